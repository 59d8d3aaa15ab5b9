from __future__ import annotations

import signal
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from fuzzer.campaign.snapshot import Cell
from fuzzer.oracles.verdict import Kind
from fuzzer.screen import text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00:00"),
        (3723.9, "1:02:03"),
        (-5, "0:00:00"),
        (2 * 86400 + 29000, "2d 08:03:20"),
        (None, "-"),
        (float("nan"), "-"),
        (float("inf"), "-"),
    ],
)
def test_duration(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (59, "59 s"),
        (61, "1 min"),
        (7300, "2 h"),
        (200000, "2 d"),
        (float("inf"), "-"),
    ],
)
def test_span(seconds: float, shown: str) -> None:
    assert text.span(seconds) == shown


def test_ago_takes_naive_times_as_utc_and_survives_nonsense() -> None:
    now = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
    assert text.ago("2026-03-14T11:57:00+00:00", now) == "3 min"
    assert text.ago("2026-03-14T11:57:00", now) == "3 min"
    assert text.ago("2026-03-14T11:57:00Z", now) == "3 min"
    assert text.ago("yesterday", now) == "-"
    assert text.ago("2026-03-14T11:57:00", None) == "-"


def test_counts() -> None:
    assert text.count(45123) == "45,123"
    assert text.count(float("inf")) == "-"
    assert [text.short_count(n) for n in (0, 9999, 45123, 999_999, 1_240_000, 3 * 10**9)] == [
        "0",
        "9999",
        "45k",
        "1000k",
        "1.2M",
        "3.0G",
    ]
    assert text.rate(12.345) == "12.3/s"
    assert text.tally({"hang": 3, "crash": 12}) == "crash 12 · hang 3"
    assert text.tally({}) == "none"


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0%"), (1, "100%"), (0.9825, "98.2%"), (0.0001, "<0.1%"), (0.9999, ">99.9%"), (float("nan"), "-")],
)
def test_percent_never_rounds_to_all_or_nothing(share: float, shown: str) -> None:
    assert text.percent(share) == shown


@pytest.mark.parametrize(
    ("value", "unit", "full", "short"),
    [
        (11, "signal", "SIGSEGV", "SIGSEGV"),
        (float(signal.SIGABRT), "signal", "SIGABRT", "SIGABRT"),
        (999, "signal", "signal 999", "signal 999"),
        (float("nan"), "signal", "signal nan", "signal nan"),
        (37, "steps", "37 steps", "37 steps"),
        (2566, "steps", "2566 steps", "3e3 steps"),
        (341.72, "x bound", "342x bound", "342x"),
        (3.1e7, "x bound", "3.1e7x bound", "3e7x"),
        (16384, "MB", "16 GB", "16 GB"),
        (512, "MB", "512 MB", "512 MB"),
        (60.04, "s", "60 s", "60 s"),
        (12, "elements", "12 elements", "12 elem"),
        (float("inf"), "x bound", "infx bound", "infx"),
        (1, "", "1", "1"),
        (1, "error", "error", "error"),
        (2, "error", "2 error", "2 error"),
        (1, "steps", "1 step", "1 step"),
        (1, "elements", "1 element", "1 elem"),
        (1, "s", "1 s", "1 s"),
        (109, "% of the range", "109 % of the range", "109 %"),
    ],
)
def test_severity_has_its_unit(value: float, unit: str, full: str, short: str) -> None:
    assert text.severity(value, unit) == full
    assert text.short_severity(value, unit) == short
    assert len(short) <= 10


def test_urgency_knows_every_kind_and_sorts_nan() -> None:
    assert sorted(text.KIND_ORDER) == sorted(kind.value for kind in Kind)
    keys = [text.urgency("value", "steps", v) for v in (1.0, float("nan"), 37.0)]
    assert sorted(keys)[0] == text.urgency("value", "steps", 37.0)
    assert text.urgency("crash", "signal", 6) < text.urgency("value", "steps", 1e9) < text.urgency("new?", "", 1)


def test_wrong_values_of_different_units_are_ranked_by_what_they_destroy() -> None:
    worst_first = [
        ("x bound", 1e30),
        ("steps", 255.0),  # the whole of int8
        ("x bound", 2e6),
        ("steps", 18730.0),  # of int16
        ("steps", 128.0),
        ("steps", 15.0),
        ("x bound", 16.0),
        ("absolute", 4e-7),
        ("steps", 1.0),
    ]
    keys = [text.urgency("value", unit, value) for unit, value in worst_first]
    assert keys == sorted(keys)
    assert text.urgency("value", "steps", float("inf")) < keys[0]
    assert text.lost("elements", 5.0) == 0.0


def test_short_times_take_three_cells() -> None:
    now = datetime(2026, 3, 14, 12, tzinfo=UTC)
    told = [text.short_ago(iso, now) for iso in (
        "2026-03-14T11:59:30Z", "2026-03-14T11:01:00Z", "2026-03-13T13:00:00Z", "2026-01-01", "2025-10-01",
        "2020-01-01", "never",
    )]  # fmt: skip
    assert told == ["30s", "59m", "23h", "72d", "23w", "6y", "-"]
    assert max(map(len, told)) <= 3


def test_sparkline_keeps_peaks_and_handles_zero() -> None:
    assert text.sparkline([], 10) == ""
    assert text.sparkline([0, 0], 10) == "  "
    assert text.sparkline([0, 1, 2, 4], 10) == " ▂▄█"
    assert "█" in text.sparkline([0] * 500 + [9] + [0] * 500, 20)
    assert len(text.sparkline(list(range(1000)), 33)) == 33
    assert text.sparkline([1, float("nan"), 10_000], 9, log=True)[0] != " "
    assert text.sparkline([1, 2], 0) == ""


def test_heat() -> None:
    assert text.heat_style(0) == text.heat_style(float("nan")) == ""
    assert len({text.heat_style(s) for s in (0.001, 0.05, 0.5)}) == 3
    assert text.heat_cell(None) == text.heat_cell(Cell()) == ""
    assert text.heat_cell(Cell(cases=4)) == "·"
    assert text.heat_cell(Cell(10, 8, 2, 37, "steps")) == "25.0%"
    assert text.heat_cell(Cell(10, 8, 2, 37, "steps"), worst=True) == "25.0% 37 steps"
    assert text.heat_cell(Cell(10, 8, 0, 37, "steps"), worst=True) == "0%"


def test_text_can_not_move_the_cursor() -> None:
    assert text.one_line("a\x1b[31mred\x1b[0m\nb\tc") == "ared b c"
    assert text.one_line("\x1b]8;;file:///etc\x07link\x1b]8;;\x07") == "link"
    assert text.one_line("x\x9b2Jy\u202ez\x00") == "x·2Jy·z·"
    assert text.one_line("[bold]x[/]") == "[bold]x[/]"
    assert text.many_lines("a\n\tb\x1b[2J\r\nc") == "a\n    b\nc"


def test_fit_is_exact_in_cells() -> None:
    for given in ("", "abc", "abcdefgh", "日本語のタイトル", "a\nb"):
        for width in (0, 1, 2, 5, 9):
            assert cell_len(text.fit(given, width)) == width
    assert text.fit("abcdef", 4) == "abc…"
    assert text.fit("ab", 4, right=True) == "  ab"
