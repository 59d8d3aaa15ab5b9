from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from fuzzer.findings.finding import LOOKS_FLAKY
from fuzzer.screen.demo_data import HOSTILE, NOW, VERSIONS, demo_findings, write_files
from fuzzer.screen.detail import MAX_READ_BYTES, PAGES, page, stamp

FINDING = demo_findings()[1]
FILES = ("verdict.json", "report.md", "minimal.json", "case.json", "repro.py", "log.txt")
KEYS = st.sampled_from(["nodes", "inputs", "outputs", "op", "operands", "attrs", "weights", "stack", "log", "model"])
DEEP = "[" * 900 + "]" * 900


def draw(shown: RenderableType, width: int = 78) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(shown)
    return console.export_text()


def text(name: str, folder: Path) -> str:
    return draw(page(name, FINDING, folder, NOW))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path / "f", FINDING)
    return tmp_path / "f"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "difference",
            ["segfault in", "first diverging tensor", "[0, 3, 5, 1]", "tf-xnnpack", "5 of 5 fresh runs"],
        ),
        ("report", ["# invoke crash", "## To reproduce"]),
        (
            "graph",
            [
                "x0 = input  float32[1,8,8,3]",
                "n1 = add(n0, x0)",
                "├─╯",
                "◎",
                "const_rank=1",
                "scheme=int8",
                "return n1",
            ],
        ),
        ("repro.py", ["@tf.function", "return tf.add(n0, x0)"]),
        ("log", ["F0000 check failed", "SIGABRT"]),
    ],
)
def test_every_page(folder: Path, name: str, wanted: list[str]) -> None:
    shown = text(name, folder)
    assert "\x1b" not in shown
    for piece in wanted:
        assert piece in shown


FILE_PAGES = [name for name in PAGES if name != "jobs"]


@pytest.mark.parametrize("name", FILE_PAGES)
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    assert "is missing" in text(name, tmp_path / "empty")


@pytest.mark.parametrize("name", FILE_PAGES)
def test_a_deleted_folder_leaves_what_the_journal_knows(tmp_path: Path, name: str) -> None:
    shown = text(name, tmp_path / "gone")
    assert "Its folder is gone" in shown and "was deleted or moved" in " ".join(shown.split())
    assert FINDING.title in shown and FINDING.id in shown and VERSIONS[:17] in shown


@pytest.mark.parametrize(
    "damage",
    [b"", b"\xff\xfe\x00", b"{", b"[]", b"null", b"3", b'{"model": 3}',
     b'{"model": {"nodes": [3, {"op": []}]}}',
     b'{"evidence": [1]}', b'{"evidence": {"a": [{}, 3], "b": [{"x": 1}, {"y": NaN}]}}', DEEP.encode(),
     b'{"model": {"nodes": [{"op": "add", "operands": 3, "attrs": {"a": ' + DEEP.encode() + b"}}]}}",
     b'{"evidence": {"a": ' + DEEP.encode() + b"}}", HOSTILE.encode()],
)  # fmt: skip
@pytest.mark.parametrize("name", PAGES)
def test_damaged_files_never_raise(folder: Path, name: str, damage: bytes) -> None:
    for file in FILES:
        (folder / file).write_bytes(damage)
    assert text(name, folder).strip()


def test_folders_in_place_of_files(tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / file).mkdir()
    for name in FILE_PAGES:
        assert "can't be read" in text(name, tmp_path)


def test_the_case_as_found_stands_in_for_a_missing_minimal_one(folder: Path) -> None:
    (folder / "minimal.json").unlink()
    shown = text("graph", folder)
    assert "case as it was found: 2 nodes" in shown
    assert "minimal.json is missing" in shown


def test_a_case_this_version_refuses_is_still_drawn(folder: Path) -> None:
    tree: dict[str, Any] = json.loads((folder / "minimal.json").read_text())
    tree["model"]["nodes"][0]["op"] = "op_of_the_future"
    (folder / "minimal.json").write_text(json.dumps(tree))
    shown = text("graph", folder)
    assert "n0 = op_of_the_future(x0)" in shown
    assert "This version can't run it: model.nodes[0].op" in shown


def test_a_huge_log_shows_its_end(folder: Path) -> None:
    (folder / "log.txt").write_bytes(b"x" * 80 + b"\n" * (MAX_READ_BYTES * 4) + b"the end\n")
    shown = text("log", folder)
    assert "the end" in shown
    assert "xxxx" not in shown


def test_stamp_changes_with_the_files(folder: Path) -> None:
    before = stamp(folder)
    (folder / "report.md").write_text("longer than before" * 100)
    assert stamp(folder) != before
    assert stamp(folder / "gone") == ()


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(json_trees, json_trees)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_files_edited_by_hand_never_raise(folder: Path, verdict: Any, case: Any) -> None:
    model = case if isinstance(case, dict) else {}
    (folder / "verdict.json").write_text(json.dumps({"evidence": verdict, "message": verdict}))
    (folder / "minimal.json").write_text(json.dumps({"model": model, **model}))
    for name in ("difference", "graph"):
        assert text(name, folder).strip()


def test_a_replay_is_told_with_its_age_and_one_that_failed_stands_out(folder: Path) -> None:
    again = replace(
        FINDING, replayed="reproduced", replayed_at=NOW.isoformat(), replay_said="signal 11 (SIGSEGV), in run 1"
    )
    said = " ".join(draw(page("difference", again, folder, NOW)).split())
    assert "replayed reproduced 0 s ago: signal 11 (SIGSEGV), in run 1" in said and "last replay" not in said
    gone = " ".join(draw(page("difference", replace(again, replayed="gone"), folder, NOW)).split())
    assert "last replay: gone 0 s ago" in gone.split("frame")[0]
    flaky = replace(again, replay_said=f"signal 11, only in run 3 of 3: {LOOKS_FLAKY}")
    assert "last replay: reproduced 0 s ago" in " ".join(draw(page("difference", flaky, folder, NOW)).split())
    assert "replayed" not in " ".join(draw(page("difference", FINDING, folder, NOW)).split())


def test_a_mark_says_when_it_was_made(folder: Path) -> None:
    at = (NOW - timedelta(minutes=3)).isoformat()
    fixed = replace(FINDING, state="fixed", note="", duplicate_of="", marked_at=at)
    assert "marked as fixed (3 min ago)" in draw(page("difference", fixed, folder, NOW))
    assert "note: issue 7 (3 min ago)" in draw(page("difference", replace(fixed, note="issue 7"), folder, NOW))


def test_an_error_is_not_called_one_error(folder: Path) -> None:
    error = replace(FINDING, kind="converter-error", severity=1.0, unit="error", ulp=0.0, stage="convert")
    shown = draw(page("difference", error, folder, NOW))
    assert "1 error" not in shown and "converter-error at convert" in shown


def test_what_the_title_says_is_not_said_again(folder: Path) -> None:
    verdict = {"message": "", "evidence": {"frame": "tflite::Prepare", "signal": "SIGSEGV", "python": "interpreter.py"}}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    told = replace(FINDING, title="crash: SIGSEGV in tflite::Prepare")
    shown = draw(page("difference", told, folder, NOW))
    assert shown.count("tflite::Prepare") == 1 and "interpreter.py" in shown
    assert draw(page("difference", replace(FINDING, title="crash"), folder, NOW)).count("tflite::Prepare") == 1


def test_the_worst_element_is_not_said_again_below_the_table(folder: Path) -> None:
    worst = {"actual": -7.25, "expected": 1.5, "index": [0], "output": 0, "ratios": {"litert": 31.0}}
    (folder / "verdict.json").write_text(json.dumps({"message": "", "evidence": worst}))
    alone = draw(page("difference", FINDING, folder, NOW))
    assert "expected" in alone and "x bound.litert" in alone
    arrays = {"sample0_tensorflow_y0": np.float32([1.5]), "sample0_litert_y0": np.float32([-7.25])}
    np.savez(folder / "tensors.npz", **arrays)
    tabled = draw(page("difference", FINDING, folder, NOW))
    assert tabled.count("-7.25") == 1 and "expected" not in tabled and "x bound.litert" in tabled
    (folder / "verdict.json").write_text(json.dumps({"message": "", "evidence": {**worst, "node": 3}}))
    assert "expected" in draw(page("difference", FINDING, folder, NOW))  # of the node alone: not in the table
