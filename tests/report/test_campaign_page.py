"""The page of a campaign."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer.campaign.snapshot import Cell, Snapshot
from fuzzer.errors import UserError
from fuzzer.findings.hiding import Hider
from fuzzer.report.campaign import OPEN_TITLES, page, read
from tests.coverage.reached import corpora
from tests.findings import samples
from tests.report import folders
from tests.report.test_page import check

HISTORY = tuple((10.0 * i, 50 * i, 20 * i, i // 3, 100 * i) for i in range(30))
SHOT = Snapshot(
    state="finished",
    started="2026-01-02T03:04:05+00:00",
    elapsed_s=290.0,
    cases=1450,
    mean_cases_per_s=5.0,
    built=1440,
    features=580,
    history=HISTORY,
    grid={
        "conv_bias": {"int8": Cell(10, 8, 4), "float32": Cell(5, 5, 0)},
        "(none)": {"int8": Cell(3, 0, 0)},
        folders.HOSTILE: {"int8": Cell(1, 1, 1)},
    },
    by_runtime={"litert": Cell(9, 9, 1, histogram=(5, 0, 0, 0, 0, 0, 0, 0, 0, 4))},
)


def store(folder: Path, titles: int) -> Path:
    samples.store(folder, *(f"value in compare: number {i} {'is long ' * (i % 30)}" for i in range(titles)))
    return folder


def made(folder: Path, shot: Snapshot | None = SHOT) -> str:
    return page(read(folder, None, Hider([]), shot))


def test_everything_is_there(tmp_path: Path) -> None:
    html = made(store(tmp_path, 3))
    checked = check(html)
    for words in ("1,450", "Coverage over time", "Cases per second", "Findings over time", "Titles (3)", "conv_bias"):
        assert words in checked.text
    assert checked.tags["svg"] == 4, "blocks, features, cases a second, titles"
    assert "5.0" in checked.text and "Finished after 0:04:50, started 2026-01-02 03:04 UTC" in checked.text
    assert 'title="4 of 8 compared, 10 asked">50.0%</td>' in html and "alert(1)" in checked.text


def test_the_rate_is_that_between_two_points(tmp_path: Path) -> None:
    history = ((0.0, 0, 0, 0, 0), (10.0, 10, 1, 0, 0), (20.0, 110, 2, 0, 0))
    text = check(made(store(tmp_path, 1), replace(SHOT, history=history))).text
    assert re.search(r"now 10(?!\d)", text), "100 cases in the last ten seconds"


def test_the_hottest_pattern_comes_first_and_uncompared_ones_last(tmp_path: Path) -> None:
    text = check(made(store(tmp_path, 1))).text
    heat = text.partition("blank: not asked.")[2]
    assert heat.index("alert(1)") < heat.index("conv_bias") < heat.index("(none)")


def test_many_titles_are_folded(tmp_path: Path) -> None:
    html = made(store(tmp_path, OPEN_TITLES + 98))
    assert "98 more" in check(html).text and html.count("number ") == OPEN_TITLES + 98


def test_hidden_titles_are_apart_and_counted(tmp_path: Path) -> None:
    stored = samples.store(tmp_path, "value in compare: one")
    stored.add(samples.finding("value in compare: special", special_operands=True), samples.fill())
    text = check(made(tmp_path)).text
    assert "Titles (1)" in text and "1 off the main list: 1 nan-propagation" in text


def test_without_findings_or_history_it_says_so(tmp_path: Path) -> None:
    text = check(made(tmp_path, replace(SHOT, history=(), grid={}, by_runtime={}))).text
    assert "No findings." in text and "nothing to draw yet" in text and "Nothing was compared yet." in text


def test_findings_without_a_campaign(tmp_path: Path) -> None:
    text = check(made(store(tmp_path, 2), None)).text
    assert "status.json is missing" in text and "Titles (2)" in text and "Coverage over time" not in text


def test_with_neither_there_is_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither findings nor a campaign"):
        read(tmp_path, None, Hider([]), None)


def test_lines_of_a_newer_journal_are_said(tmp_path: Path) -> None:
    store(tmp_path, 1)
    with (tmp_path / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"schema": 99, "event": "finding"}) + "\n")
    said = "lines of the journal that could not be read (damaged, or of a newer release): 1"
    assert said in check(made(tmp_path)).text


def test_coverage_by_library_comes_from_the_corpus(tmp_path: Path) -> None:
    corpus, _ = corpora.usual(tmp_path)
    shot = replace(SHOT, blocks={"converter": 6}, corpus_dir=str(corpus))
    html = made(store(tmp_path / "crashes", 1), shot)
    assert "native blocks, by library" in check(html).text and ">runtime 6<" in html
    gone = made(tmp_path / "crashes", replace(shot, corpus_dir=str(tmp_path / "gone")))
    assert "coverage by library is left out: there is no corpus" in check(gone).text
