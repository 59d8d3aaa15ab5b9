from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from fuzzer.campaign.snapshot import Cell, Snapshot, TitleLine, Worst
from fuzzer.screen.demo_data import HOSTILE, NOW, demo_snapshot
from fuzzer.screen.live import plain_line, render, summary
from fuzzer.screen.stats import headline, statistics

SIZES = [(80, 24), (160, 48), (200, 70), (120, 36), (100, 30), (40, 10), (20, 5), (1, 1)]


def draw(snapshot: Snapshot, width: int = 80, height: int = 24, **console: Any) -> list[str]:
    screen = Console(record=True, width=width, height=height, file=io.StringIO(), **console)
    screen.print(render(snapshot, width, height))
    return screen.export_text().splitlines()


def hostile() -> Snapshot:
    bad = float("nan")
    title = TitleLine(HOSTILE, HOSTILE * 50, HOSTILE, float("inf"), HOSTILE, 10**12, "never", True)
    cell = Cell(10, 10, 20, bad, HOSTILE, (1, -1, 5))
    return Snapshot(
        state=HOSTILE,
        elapsed_s=bad,
        budget_s=0.0,
        budget_cases=0,
        versions=HOSTILE,
        cases=10**15,
        cases_per_s=bad,
        overhead=bad,
        deaths={HOSTILE: 3},
        families={HOSTILE: 10**9},
        examining=HOSTILE,
        titles=(title,) * 300,
        newest=title.title,
        worst=(Worst(HOSTILE, HOSTILE, HOSTILE, HOSTILE, bad, HOSTILE),) * 40,
        grid={HOSTILE: {HOSTILE: cell}, "empty": {}},
        by_runtime={HOSTILE: cell},
        by_kind={HOSTILE: 1},
        history=((0.0, 0, 0, 0, 0),),
        warnings=(HOSTILE * 20,) * 10,
    )


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("snapshot", [Snapshot(), demo_snapshot(), hostile()], ids=["empty", "demo", "hostile"])
def test_every_size_fits(snapshot: Snapshot, width: int, height: int) -> None:
    lines = draw(snapshot, width, height)
    assert 1 <= len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 48)])
def test_shows_what_a_person_asks_for(width: int, height: int) -> None:
    snapshot = replace(demo_snapshot(), warnings=("1.9 GB left on the disk",))
    screen = "\n".join(draw(snapshot, width, height))
    for wanted in (
        "running", "12.9%", "1:02:03 gone", "6:57:57 left", "45,048", "12.7/s", "12.1/s", "98.2%", "82.5%",
        "9.1%", "123", "crash 24 · hang 9", "12,345", "op-pairs 5,120", "1,234", "12 pending",
        "211 dismissed", "confirming 28c6a1b0", "findings 12, 5 first seen", "SIGABRT", "worst divergences",
        "! 1.9 GB left",
    ):  # fmt: skip
        assert wanted in screen, wanted


def test_large_terminal_adds_the_divergence_statistics() -> None:
    screen = "\n".join(draw(demo_snapshot(), 160, 48))
    assert "dense_sigmoid_cross_entropy" in screen
    assert "int16x8" in screen
    assert "tf-reference" in screen


def test_newest_finding_is_on_top_and_marked_without_colour() -> None:
    titles = demo_snapshot().titles
    lines = draw(replace(demo_snapshot(), newest=titles[3].title), no_color=True)
    first = lines.index(next(line for line in lines if line.startswith("findings"))) + 1
    assert lines[first].startswith("NEW")
    assert "AVERAGE_POOL_2D" in lines[first]


def test_the_newest_finding_is_as_old_as_its_folder_not_as_its_suspicion() -> None:
    snapshot = demo_snapshot()
    made = replace(snapshot, newest_at=snapshot.written)
    assert any("newest 0 s ago" in line for line in draw(made))


def test_markup_in_a_title_stays_text() -> None:
    title = replace(demo_snapshot().titles[0], title="[bold]x[/] [red]")
    screen = "\n".join(draw(replace(demo_snapshot(), titles=(title,))))
    assert "[bold]x[/] [red]" in screen


def test_hidden_findings_are_counted() -> None:
    titles = tuple(replace(demo_snapshot().titles[0], id=str(i)) for i in range(500))
    lines = draw(replace(demo_snapshot(), titles=titles))
    shown = sum("abort in" in line for line in lines)
    assert f"and {500 - shown} more" in "\n".join(lines)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"budget_s": None, "budget_cases": None}, "no limit"),
        ({"budget_s": None, "budget_cases": 90096}, "50.0%"),
        ({"budget_s": 3723.0 * 2, "budget_cases": 45048 * 4}, "50.0%"),
        ({"state": "stopping"}, "finishing findings"),
        ({"state": "finished"}, "finished"),
    ],
)
def test_progress(change: dict[str, Any], wanted: str) -> None:
    assert wanted in "\n".join(draw(replace(demo_snapshot(), **change)))


def test_error_warnings_are_red_and_others_yellow() -> None:
    screen = Console(
        record=True, width=80, height=24, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    screen.print(render(replace(demo_snapshot(), warnings=("error: disk full", "slow disk")), 80, 24))
    styles = {s.text.strip(): str(s.style) for s in screen._record_buffer if s.text.startswith("! ")}
    assert "on red" in styles["! error: disk full"]
    assert "on yellow" in styles["! slow disk"]


# --- plain text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snapshot", [Snapshot(), demo_snapshot(), hostile()], ids=["empty", "demo", "hostile"])
def test_plain_line_is_one_short_line(snapshot: Snapshot) -> None:
    line = plain_line(snapshot)
    assert len(line) <= 160
    assert "\n" not in line
    assert "\x1b" not in line
    assert "cases=" in line
    assert "findings=" in line


def test_plain_line_has_greppable_fields() -> None:
    fields = dict(field.split("=") for field in plain_line(demo_snapshot()).split(" ")[1:])
    assert fields["time"] == "1:02:03/8:00:00"
    assert fields["cases"] == "45048"
    assert fields["rate"] == "12.7/s"
    assert fields["valid"] == "98.2%"
    assert fields["deaths"] == "36"
    assert (fields["findings"], fields["new"]) == ("12", "5")


def test_summary_names_every_title_and_what_to_do_next() -> None:
    snapshot = replace(demo_snapshot(), state="finished")
    text = summary(snapshot)
    for title in snapshot.titles:
        assert title.title in text
        assert title.id in text
    assert text.startswith("campaign finished after 1:02:03: 45,048 cases, 5 new findings")
    for wanted in ("98.2%", "9.1%", "123 restarts", "crash 24", "python -m fuzzer triage", "replay --all"):
        assert wanted in text


def test_summary_of_nothing() -> None:
    text = summary(Snapshot(state="finished"))
    assert "findings: none" in text
    assert "triage" not in text


def test_summary_quotes_another_crashes_folder() -> None:
    text = summary(replace(demo_snapshot(), crashes_dir="my crashes"))
    assert "python -m fuzzer triage --crashes 'my crashes'" in text


def test_summary_of_hostile_titles_is_one_line_each() -> None:
    text = summary(replace(hostile(), titles=hostile().titles[:1], warnings=()))
    assert "\x1b" not in text
    assert sum("[bold red]x[/]" in line and line.startswith("+ ") for line in text.splitlines()) == 1


# --- statistics -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [10, 40, 60, 80, 130, 200])
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 14])
@pytest.mark.parametrize(
    "snapshot", [None, Snapshot(), demo_snapshot(), hostile()], ids=["none", "empty", "demo", "hostile"]
)
def test_statistics_fit(snapshot: Snapshot | None, width: int, rows: int) -> None:
    lines = statistics(snapshot, width, rows)
    assert len(lines) <= rows
    assert all(line.cell_len <= width for line in lines)


def test_statistics_on_80x24_show_all_parts() -> None:
    screen = "\n".join(line.plain for line in statistics(demo_snapshot(), 80, 8))
    for wanted in (
        "relu_max_pool",
        "16.7%",
        "7 more",
        "litert",
        "0.4%",
        "findings",
        "crash 24",
        "value 203",
    ):
        assert wanted in screen, wanted


def test_a_pattern_seen_once_does_not_stand_above_a_proven_one() -> None:
    grid = {"once": {"int8": Cell(1, 1, 1)}, "proven": {"int8": Cell(60, 60, 30)}, "sound": {"int8": Cell(90, 90, 0)}}
    shown = [text.plain for text in statistics(replace(demo_snapshot(), grid=grid), 100, 8)]
    places = [next(i for i, row in enumerate(shown) if row.startswith(name)) for name in ("proven", "once", "sound")]
    assert places == sorted(places), shown


@pytest.mark.parametrize("rows", range(6, 20))
def test_the_worst_divergences_have_no_title_without_any_below_it(rows: int) -> None:
    worst = tuple(Worst(f"{i}", "litert", "int8", "conv", 9.0, "relative") for i in range(3))
    shown = [text.plain for text in statistics(replace(demo_snapshot(), worst=worst), 200, rows)]
    titled = [i for i, row in enumerate(shown) if "worst divergences" in row]
    assert len(titled) <= 1
    assert all("9 rel" in shown[i + 1] for i in titled), shown
    assert titled or rows < 19


def test_headline_notices_a_dead_campaign() -> None:
    assert "no campaign" in headline(None, NOW)
    assert "campaign running" in headline(demo_snapshot(), NOW)
    late = NOW.replace(hour=13)
    assert "silent for 1 h, it may have died" in headline(demo_snapshot(), late)
    assert "finished 1 h ago" in headline(replace(demo_snapshot(), state="finished"), late)
