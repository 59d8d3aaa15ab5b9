"""The report as text and as a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as Tree
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fuzzer.campaign.corpus import Line
from fuzzer.coverage.reached.build import build
from fuzzer.coverage.reached.evidence import read
from fuzzer.coverage.reached.page import page
from fuzzer.coverage.reached.plot import COLOURS, HEIGHT, WIDTH, Curve, marks, nice, svg
from fuzzer.coverage.reached.report import Point, Report
from fuzzer.coverage.reached.text import WIDTH as COLUMNS
from fuzzer.coverage.reached.text import at_marks, text
from fuzzer.ops import registry
from tests.coverage.reached import corpora

VOID = {"meta", "br", "img", "link", "input", "hr"}


@pytest.fixture
def report(tmp_path: Path) -> Report:
    corpus, _ = corpora.usual(tmp_path)
    return build(read(corpus, corpus / ".state" / corpora.BLOCKS_FILE), registry())


def shown(report: Report, rows: int | None = 12) -> str:
    console = Console(width=COLUMNS, file=StringIO(), record=True, highlight=False)
    console.print(text(report, rows))
    return console.export_text()


# --- terminal -------------------------------------------------------------------------------------------


def test_the_text_fits_and_names_what_matters(report: Report) -> None:
    words = shown(report)
    assert max(map(len, words.splitlines())) <= COLUMNS
    assert re.search(r"^converter +3/10 +6/23 +26\.1% +5/16", words, re.M), words
    assert re.search(r"^conv +runtime +1/1 +6/6 +100% *$", words, re.M)
    assert "converter passes with their rewrite patterns: 1 of 2 run" in words
    assert re.search(r"^bucketize +runtime +bucketize \(in flatbuffers already\)", words, re.M)
    assert re.search(r"1 no op of ours: svdf", words)
    assert re.search(r"^0:01:00 +6 +6 +4 +3", words, re.M), "the last point of the growth"


def test_rows_are_cut_and_all_can_be_had(report: Report) -> None:
    assert "more: --all" in shown(report, 1) and "more: --all" not in shown(report, None)
    assert "LegalizeAbs" in shown(report, None)


def test_without_blocks_the_text_is_about_features(tmp_path: Path) -> None:
    corpora.write(tmp_path / "corpus", [Line("a", ["op:conv2d/float32"], at=1.0)], None)
    words = shown(build(read(tmp_path / "corpus", tmp_path / "none"), registry()))
    assert "by scope" not in words and "never reached" not in words
    assert re.search(r"^op +1 +1 +100%", words, re.M)


def test_marks_of_growth() -> None:
    points = [Point(float(seconds), 1, 1, {}) for seconds in (0, 20, 40, 70, 500)]
    assert [point.seconds for point in at_marks(points)] == [20, 40, 70, 70, 70, 500]


# --- page -----------------------------------------------------------------------------------------------


class Balanced(HTMLParser):
    """Fails on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            if name == "href":
                self.links.add((value or "").removeprefix("#"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closed by itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag


def test_the_page_is_whole_and_needs_nothing_else(report: Report) -> None:
    html = page(report)
    parser = Balanced()
    parser.feed(html)
    assert parser.open == [] and parser.links == parser.ids and len(parser.ids) >= 8
    fetched = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!#)([^\s\"'>]+)", html)
    assert fetched == [] and "<script" not in html and "@import" not in html
    assert html.count("<svg") == 2 and "LegalizeBucketize" in html and "without a road" in html


def test_words_of_the_corpus_are_no_markup(report: Report, tmp_path: Path) -> None:
    corpora.write(tmp_path / "<b>", [Line("a", ["<i>x:y"], at=1.0)], None)
    html = page(build(read(tmp_path / "<b>", tmp_path / "<none>"), registry()))
    assert "<b></b>" not in html and "&lt;i&gt;x" in html and "&lt;none&gt;" in html


def test_the_plot_stays_inside_and_ends_at_the_last_value() -> None:
    curves = [Curve("a & b", [(0, 10), (30, 20), (60, 45_000)]), Curve("c", [(0, 0), (60, 44_900)])]
    tree = Tree.fromstring(svg(curves, "growth"))
    paths = [e.attrib["d"] for e in tree.iter() if e.tag.endswith("path")]
    assert len(paths) == 2
    for d in paths:
        xs = [float(x) for x in re.findall(r"[MH]([\d.]+)", d)]
        ys = [float(y) for y in re.findall(r"V([\d.]+)", d)]
        assert xs == sorted(xs) and max(xs) <= WIDTH and ys == sorted(ys, reverse=True) and min(ys) >= 0
    labels = {e.text: float(e.attrib["y"]) for e in tree.iter() if e.text and e.attrib.get("fill") in COLOURS}
    assert set(labels) == {"a & b 45,000", "c 44,900"} and max(labels.values()) < HEIGHT
    assert abs(labels["a & b 45,000"] - labels["c 44,900"]) >= 12, "labels lie apart"


def test_nothing_to_draw() -> None:
    assert svg([], "x") == svg([Curve("a", [(0, 5)])], "x") == svg([Curve("a", [(0, 0), (9, 0)])], "x") == ""


def test_axes() -> None:
    assert [nice(v) for v in (0.1, 3, 20, 21, 7000)] == [1, 5, 20, 50, 10_000]
    assert marks(60) == [0, 10, 20, 30, 40, 50, 60] and len(marks(8 * 3600)) <= 9 and len(marks(40 * 86400)) <= 9
