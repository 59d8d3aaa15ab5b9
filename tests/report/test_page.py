"""The page of a finding: well-formed, self-contained, safe with hostile names, and what it draws."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzzer.report import graphs
from fuzzer.report.drawing import MAX_DRAWN, Box, draw, shorten
from fuzzer.report.layers import place
from fuzzer.report.material import Kernel, Material, Output, read
from fuzzer.report.page import element, numbers, page
from fuzzer.report.points import MAX_POINTS, Axis, by_element, chosen, scatter
from tests.report import folders

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Checker(HTMLParser):
    """Counts tags, and fails on one that is closed out of turn or would fetch or run something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: dict[str, int] = {}
        self.text = ""
        self.feed(html)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        for name, value in attrs:
            assert not name.startswith("on") and name != "src", (tag, name)
            assert name != "href" or (value or "").startswith("#"), value
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data: str) -> None:
        self.text += data


def material(tmp_path: Path, **changes: Any) -> Material:
    store, finding = folders.crashes(tmp_path / "crashes", **changes)
    return read(store.folder, finding)


def check(html: str) -> Checker:
    checked = Checker(html)
    assert "script" not in checked.tags and "link" not in checked.tags and "iframe" not in checked.tags
    assert "url(" not in html and "@import" not in html
    return checked


def test_the_page_is_whole_and_self_contained(tmp_path: Path) -> None:
    html = page(material(tmp_path))
    checked = check(html)
    assert checked.tags["svg"] == 3, "the model, and two plots"
    for words in ("What happens", "Why this is a defect", "Which kernels agree", "n0 = relu", "No flatbuffer was kept"):
        assert words in checked.text
    assert '<span class="kn">import</span>' in html, "syntax colours"
    assert 'class="blamed' not in html and "#dc2626" in html


def test_hostile_names_are_text(tmp_path: Path) -> None:
    given = material(
        tmp_path, told=folders.verdict(message=folders.HOSTILE, odd=folders.HOSTILE, operator=folders.HOSTILE)
    )
    tree = json.loads(json.dumps(given.tree))
    tree["model"]["nodes"][0]["op"] = folders.HOSTILE
    tree["model"]["nodes"][0]["attrs"] = {folders.HOSTILE: folders.HOSTILE}
    finding = replace(given.finding, title=folders.HOSTILE, state=folders.HOSTILE, runtimes=(folders.HOSTILE,))
    hostile = replace(
        given, tree=tree, case=None, finding=finding, script=f"# {folders.HOSTILE}", log=folders.HOSTILE,
        stack=(folders.HOSTILE,) * 20, problems=(folders.HOSTILE,),
    )  # fmt: skip
    checked = check(page(hostile))
    assert "img" not in checked.tags and "alert(1)" in checked.text


@pytest.mark.parametrize("name", ["minimal.json", "case.json", "verdict.json", "repro.py", "log.txt", "tensors.npz"])
def test_a_half_written_folder_has_a_page(tmp_path: Path, name: str) -> None:
    store, finding = folders.crashes(tmp_path / "crashes")
    path = store.folder / finding.path / name
    path.write_bytes(path.read_bytes()[:7])
    check(page(read(store.folder, finding)))
    for other in (store.folder / finding.path).iterdir():
        other.unlink()
    html = page(read(store.folder, finding))
    assert "no model that could be drawn" in check(html).text and 'class="note"' in html


@pytest.mark.parametrize("content", [b"TFL3", b"\x1c\0\0\0TFL3" + b"\xff" * 400, b"\0" * 64, bytes(range(256)) * 4])
def test_a_damaged_flatbuffer_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    given = replace(material(tmp_path), content=content)
    (boxes, edges), why = graphs.after(given)
    assert (boxes, edges) == ([], []) and "damaged" in why
    assert "damaged" in check(page(given)).text


# --- numbers ----------------------------------------------------------------------------------------------


def test_the_judged_element_is_shown_and_marked(tmp_path: Path) -> None:
    found = numbers(material(tmp_path))
    assert found is not None
    assert (found.runtime, found.sample, found.output) == ("tf-reference", 0, 0)
    assert found.errors.tolist() == [0, 0.25, 0, 0, 0, 0] and found.wrong.tolist() == [0, 1, 0, 0, 0, 0]


def test_codes_are_read_with_their_scale(tmp_path: Path) -> None:
    given = material(tmp_path)
    codes = np.array([[-128, -127, 0], [0, 0, 127]], np.int8)
    tensors = {**given.tensors, "sample0_tf-reference_y0": codes}
    assert numbers(replace(given, tensors=tensors)) is None, "without a scale they mean nothing"
    kernels = {"tf-reference": Kernel(outputs=(Output((2, 3), 0.5, -128),))}
    found = numbers(replace(given, tensors=tensors, kernels=kernels))
    assert found is not None and found.actual.tolist() == [0, 0.5, 64, 64, 64, 127.5]


def test_nan_and_infinity_are_errors_where_only_one_side_has_them(tmp_path: Path) -> None:
    given = material(tmp_path)
    expected = np.array([np.nan, np.inf, 1, 1, -np.inf, 2], np.float32).reshape(2, 3)
    actual = np.array([np.nan, np.inf, np.nan, np.inf, np.inf, 2], np.float32).reshape(2, 3)
    tensors = {"sample0_tensorflow_y0": expected, "sample0_tf-reference_y0": actual}
    found = numbers(replace(given, tensors=tensors))
    assert found is not None and found.errors.tolist() == [0, 0, np.inf, np.inf, np.inf, 0]
    check(page(replace(given, tensors=tensors)))


@pytest.mark.parametrize(("index", "place"), [([1, 2], 5), ([0, 0], 0), ([2, 0], None), ([-1, 0], None), ([1], None)])
def test_an_index_is_a_place_or_nothing(index: list[int], place: int | None) -> None:
    assert element(index, (2, 3)) == place
    assert element("12", (2, 3)) is None and element([], ()) == 0 and element([1.0, 2], (2, 3)) is None


@pytest.mark.parametrize(
    "values",
    [[0.0], [5.0, 5.0], [-1e308, 1e308], [1e-320, 1e300], [np.nan, np.inf, -np.inf], [3e38, 3.1e38], [0.0, 1e-45]],
)
@pytest.mark.parametrize("log", [False, True])
def test_an_axis_takes_any_numbers(values: list[float], log: bool) -> None:
    axis = Axis(np.array(values), 300.0, 20.0, log=log)
    assert all(20.0 <= axis.at(value) <= 300.0 for value in values)
    assert 1 <= len(axis.ticks()) <= 14
    errors = np.abs(np.array(values))
    wrong = errors > 1
    for svg in (scatter(np.array(values), errors, errors, wrong), by_element(errors, wrong)):
        assert "nan" not in svg and "inf" not in re.sub(r">[^<]*<", "><", svg)
        Checker(svg)


def test_ticks_are_round_and_cover_the_axis() -> None:
    assert Axis(np.array([0.0, 10.0]), 0, 100).ticks() == [0, 5, 10]
    assert Axis(np.array([1e-8, 1e-2]), 0, 100, log=True).ticks() == [1e-8, 1e-6, 1e-4, 1e-2]


def test_of_many_elements_the_worst_are_drawn() -> None:
    errors = np.zeros(100_000)
    errors[77_777] = 1.0
    shown = chosen(errors)
    assert shown.size <= MAX_POINTS and 77_777 in shown and {0, 99_999} <= set(shown.tolist())
    assert chosen(np.zeros(3)).tolist() == [0, 1, 2]


# --- graphs -----------------------------------------------------------------------------------------------


def test_layers_follow_the_edges_and_nothing_overlaps() -> None:
    sizes = {name: (60.0 + 10 * i, 30.0) for i, name in enumerate("abcedfg")}
    edges = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("e", "d"), ("d", "f"), ("d", "g")]
    placed = place(sizes, edges)
    for start, end in edges:
        assert placed.centres[start][1] + 30 < placed.centres[end][1]
        assert placed.routes[start, end][0] == placed.centres[start]
        assert placed.routes[start, end][-1] == placed.centres[end]
    assert len(placed.routes["a", "d"]) == 3, "a long edge passes the layer between"
    names = list(sizes)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            (x0, y0), (x1, y1) = placed.centres[one], placed.centres[other]
            assert abs(y0 - y1) >= 30 or abs(x0 - x1) >= (sizes[one][0] + sizes[other][0]) / 2
    left = min(x - sizes[n][0] / 2 for n, (x, _) in placed.centres.items())
    right = max(x + sizes[n][0] / 2 for n, (x, _) in placed.centres.items())
    assert left >= -1e-6 and right <= placed.width + 1e-6
    assert placed.centres["e"][1] == placed.centres["b"][1], "a source stands just above its reader"


def test_edges_backwards_or_to_nowhere_are_left_out() -> None:
    placed = place({"a": (1.0, 1.0), "b": (1.0, 1.0)}, [("b", "a"), ("a", "a"), ("a", "zz"), ("a", "b"), ("a", "b")])
    assert list(placed.routes) == [("a", "b")]
    assert place({}, []).height == 0


def test_a_large_graph_is_cut_and_said() -> None:
    boxes = [Box(f"n{i}", f"n{i}") for i in range(MAX_DRAWN + 5)]
    svg = draw(boxes, [(f"n{i}", f"n{i + 1}") for i in range(MAX_DRAWN + 4)], "t", "c")
    assert svg.count("<rect") == MAX_DRAWN and f"The first {MAX_DRAWN} of {MAX_DRAWN + 5} nodes" in svg
    assert len(shorten("x" * 99)) == 44 and shorten("a\n\x00 b") == "a b"


def test_a_case_of_another_release_is_drawn_from_its_json(tmp_path: Path) -> None:
    tree = {"model": {"inputs": [{"shape": [1], "dtype": "f8"}, 7], "nodes": [{"op": "new", "operands": ["x0", 3]}, 5]}}
    boxes, edges = graphs.before(replace(material(tmp_path), tree=tree, case=None))
    assert [box.name for box in boxes] == ["x0", "x1", "n0 = new"] and ("x0", "n0") in edges
    assert boxes[2].role == "blamed", "the only node there is"
    assert graphs.before(replace(material(tmp_path), tree={"model": [1]}, case=None)) == ([], [])


@pytest.mark.parametrize(("stage", "said"), [
    ("convert", "dies or fails before there is one"), ("allocate", "The script writes it anew"),
    ("invoke", "The script writes it anew"),
])  # fmt: skip
def test_why_there_is_no_flatbuffer_depends_on_the_stage(tmp_path: Path, stage: str, said: str) -> None:
    shown = check(page(material(tmp_path, stage=stage))).text
    assert f"No flatbuffer was kept{'.' if stage != 'convert' else ':'}" in shown and said in shown


@pytest.mark.parametrize("kind", ["crash", "hang", "converter-error"])
def test_what_ends_before_any_number_has_no_empty_plots(tmp_path: Path, kind: str) -> None:
    given = replace(material(tmp_path, kind=kind), tensors={})
    assert "Expected and actual values" not in check(page(given)).text
    value = replace(given, finding=replace(given.finding, kind="value"))
    assert "Nothing to draw" in check(page(value)).text
