"""The tables of `scripts/bench coverage`, from runs that are known."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from scripts import bench_coverage as bench


def run(mode: str, seed: int, pace: float, odd: int) -> dict:
    """A run that finds a block and a feature every `pace` seconds for ten minutes; `odd` blocks are its own."""
    times = [pace * i for i in range(1, int(600 / pace) + 1)]
    return {
        "mode": mode,
        "seed": seed,
        "features": {f"op:{i}": t for i, t in enumerate(times)},
        "blocks": [*range(len(times)), *range(100_000 * seed, 100_000 * seed + odd)],
        "at": [*times, *([300.0] * odd)],
        "cases": [(t, "generate", 0.1, "crash" if i % 10 == 9 else "", f"{i}") for i, t in enumerate(times)],
        "kinds": {"a": 30.0, "b": 400.0},
        "space": [],
        "warnings": [],
    }


RUNS = [run("guided", 1, 1.0, 5), run("guided", 2, 1.0, 5), run("none", 1, 2.0, 0), run("none", 2, 2.0, 0)]


@pytest.fixture(autouse=True)
def _no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """These runs are of no library, so which of their blocks are plain is nowhere written."""
    monkeypatch.setattr(bench, "_peer", lambda by_mode, minutes: "")


def told(minutes: float, runs: list[dict] = RUNS) -> str:
    console = Console(width=150, file=io.StringIO(), force_terminal=False)
    bench.report(runs, minutes, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def row(text: str, title: str, mode: str) -> list[str]:
    table = text[text.index(f"┃ {title} ") :]
    line = next(line for line in table.splitlines() if line.startswith(f"│ {mode} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_the_race_says_when_guided_had_as_many() -> None:
    text = told(10)
    assert row(text, "blocks", "guided")[1:4] == ["305", "605", "605 605"]
    assert row(text, "blocks", "none") == ["none", "150", "300", "300 300", "5.0 min"]
    assert row(text, "features", "none")[4] == "5.0 min"
    # Blocks of one run in four are rare; those that all have are not, and neither is what half of them show.
    assert row(text, "rare blocks", "guided")[2] == "305" and row(text, "rare blocks", "none")[2] == "0"


def test_a_longer_run_is_cut() -> None:
    text = told(5)
    assert row(text, "blocks", "guided")[2] == "305" and row(text, "kinds of suspicion", "guided")[2] == "1"
    assert row(text, "mode", "none")[1] == "0.50"


def test_at_the_same_number_of_cases_pace_does_not_count() -> None:
    text = told(10)
    assert row(text, "after 300 cases", "guided")[2] == row(text, "after 300 cases", "none")[2] == "300"


def test_what_is_never_reached_is_said() -> None:
    assert row(told(10, [*RUNS, run("random", 1, 0.5, 0)]), "blocks", "random")[4] == "not reached"


@pytest.mark.parametrize(("minutes", "found"), [(4, 10), (10, 10), (20, 30)])
def test_a_kept_run_serves_for_its_first_minutes(tmp_path: Path, minutes: float, found: int) -> None:
    for name in ("guided-1-10.json", "guided-1-30.json", "guided-11-30.json", "none-1-30.json"):
        (tmp_path / name).write_text("{}")
    kept = bench._kept(tmp_path, "guided", 1, minutes)
    assert kept is not None and kept.name == f"guided-1-{found}.json"
    assert bench._kept(tmp_path, "guided", 1, 31) is None and bench._kept(tmp_path, "no choice", 1, 1) is None


def test_every_mode_is_guided_with_one_thing_changed() -> None:
    from dataclasses import asdict

    guided = asdict(bench.MODES["guided"])
    for mode, guidance in bench.MODES.items():
        changed = {key for key, value in asdict(guidance).items() if value != guided[key]}
        assert bool(changed) is (mode != "guided"), mode
        if mode not in ("none", "random", "guided"):
            assert len(changed - {"watch", "candidates"} or changed) <= 2, mode
