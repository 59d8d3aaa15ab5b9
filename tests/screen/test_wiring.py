from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.screen.wiring import LANE_CELLS, MAX_LANES, Drawn, Step, TooWideError, wire

UP, DOWN, LEFT, RIGHT = "│├┤┴┼╰╯╵", "│├┤┬┼╭╮╷", "─┬┴┼┤╮╯╴", "─┬┴┼├╭╰╶"


def drawing(steps: Sequence[Step]) -> list[str]:
    rows: list[str] = []
    for drawn in wire(steps):
        rows += [*drawn.above, drawn.row]
    return [row.rstrip() for row in rows]


def node(name: str, *operands: str) -> Step:
    return Step(name, operands, "●")


def test_a_chain_is_a_column() -> None:
    assert drawing([node("x0"), node("n0", "x0"), node("", "n0")]) == ["●", "●", "●"]


def test_a_residual_block_branches_and_joins() -> None:
    steps = [node("x0"), node("n0", "x0"), node("n1", "n0", "x0"), node("", "n1")]
    assert drawing(steps) == ["●", "├─╮", "│ ●", "├─╯", "●", "●"]


def test_lanes_that_only_pass_are_crossed() -> None:
    steps = [node("a"), node("b"), node("c"), node("d", "a", "c"), node("", "d", "b")]
    assert drawing(steps) == ["●", "│ ●", "│ │ ●", "├─│─╯", "● │", "├─╯", "●"]


def test_a_value_that_nobody_reads_ends() -> None:
    assert drawing([node("a"), node("b"), node("c", "a")]) == ["●", "│ ●", "●"]


def test_operands_that_nobody_made_get_no_line() -> None:
    assert drawing([node("n0", "nowhere"), node("n1", "n0", "n7")]) == ["●", "●"]


def test_too_many_values_at_once_are_refused() -> None:
    names = [f"x{i}" for i in range(MAX_LANES + 1)]
    with pytest.raises(TooWideError):
        wire([*map(node, names), node("", *names)])
    assert len(wire([*map(node, names[1:]), node("", *names[1:])])) == MAX_LANES + 1


@st.composite
def graphs(draw: st.DrawFn) -> list[Step]:
    steps = []
    for i in range(draw(st.integers(1, 12))):
        operands = draw(st.lists(st.integers(0, 13).map(lambda k: f"v{k}"), max_size=3))
        steps.append(node(draw(st.sampled_from([f"v{i}", f"v{i}", ""])), *operands))
    return steps


@given(graphs())
def test_strokes_meet(steps: list[Step]) -> None:
    """Every stroke that leaves a cell is met by its neighbour, and every step stands on its own row once."""
    drawn: list[Drawn] = wire(steps)
    assert [d.row.count("●") for d in drawn] == [1] * len(steps)
    rows = [row for d in drawn for row in (*d.above, d.row)]
    for row in rows:
        for i, cell in enumerate(row):
            if cell in RIGHT:
                assert i + 1 < len(row) and (row[i + 1] in LEFT or row[i + 1] == "│"), rows
    for upper, lower in pairwise(rows):
        for i in range(0, max(len(upper), len(lower)), LANE_CELLS):
            above, below = upper.ljust(i + 1)[i], lower.ljust(i + 1)[i]
            if below in UP:
                assert above in DOWN or above == "●", rows
            if above in DOWN:
                assert below in UP or below == "●", rows
