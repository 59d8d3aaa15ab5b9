"""The health tables."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from fuzzer.campaign.snapshot import Rate, Snapshot
from fuzzer.screen.health import health, verdict_line

STUCK = Rate(cases=40, built=40, refused=40, seconds=5.0, why="op is neither a custom op nor a flex op")
FINE = Rate(cases=100, built=99, converted=90, accepted=89, refused=5, seconds=20.0)
SNAPSHOT = Snapshot(
    cases=140,
    built=139,
    converted=90,
    health={"op": {"erfinv": STUCK, "relu": FINE}, "pattern": {"conv": FINE}, "scheme": {"int8": FINE}},
    reached={"RELU": {"int8": 60, "float32": 30}, "ADD": {"float32": 4}, "custom:mine": {"float32": 1}},
)


def text(operators: bool) -> str:
    console = Console(width=160, record=True, file=StringIO())
    console.print(health(SNAPSHOT, operators))
    return console.export_text()


def test_the_op_that_never_converts_is_named_with_the_reason() -> None:
    shown = text(False)
    assert "erfinv: 40 cases, op is neither a custom op nor a flex op" in shown
    assert "20.0%" in shown, "a fifth of the time went into it"
    assert "by pattern" in shown and "by scheme" in shown
    assert "RELU" not in shown


def test_operators_by_scheme() -> None:
    lines = text(True).splitlines()
    head = next(line for line in lines if line.startswith("operator "))
    assert head.split() == ["operator", "float32", "int8"]
    assert next(line for line in lines if line.startswith("RELU")).split() == ["RELU", "30", "60"]
    assert next(line for line in lines if line.startswith("ADD")).split() == ["ADD", "4", "·"]


def test_one_line_says_how_many_builtins_and_what_is_stuck() -> None:
    line = verdict_line(SNAPSHOT)
    assert line.startswith("2 TFLite builtins reached") and "never through: erfinv" in line
    assert "never through" not in verdict_line(Snapshot())
