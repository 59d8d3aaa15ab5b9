"""Lines between the nodes of a graph, drawn from top to bottom: a lane is a value that something below still needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_LANES = 16
"""Wider drawings leave no room for the words beside them."""
LANE_CELLS = 2
_BOX = " ╵╷│╴╯╮┤╶╰╭├─┴┬┼"
"""Unicode, Box Drawing: by 1 for a stroke up, 2 down, 4 left, 8 right."""
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8


@dataclass(frozen=True)
class Step:
    """One thing to draw: a value `name`, made from `operands`. An empty name is a value that nobody reads."""

    name: str
    operands: tuple[str, ...]
    mark: str


@dataclass(frozen=True)
class Drawn:
    """The drawing of a step: rows of strokes above it, its own row, and what passes beside its further lines."""

    above: tuple[str, ...]
    row: str
    beside: str


class TooWideError(Exception):
    """The graph needs more lanes than there is room for."""


def wire(steps: Sequence[Step]) -> list[Drawn]:
    """Draws steps in their order; an operand that no earlier step made gets no line. Raises `TooWideError`."""
    readers = Counter(operand for step in steps for operand in set(step.operands))
    lanes: list[str] = []
    drawn = [_step(step, lanes, readers) for step in steps]
    width = max((len(d.row) for d in drawn), default=0)
    return [Drawn(tuple(a.ljust(width) for a in d.above), d.row.ljust(width), d.beside.ljust(width)) for d in drawn]


def _step(step: Step, lanes: list[str], readers: Counter[str]) -> Drawn:
    """Draws one step and brings `lanes` (the value in each, empty where free) up to date."""
    before = [bool(name) for name in lanes]
    feeding = [i for i, name in enumerate(lanes) if name and name in step.operands]
    for i in feeding:
        readers[lanes[i]] -= 1
        if not readers[lanes[i]]:
            lanes[i] = ""
    place = next((i for i in feeding if not lanes[i]), None)
    if place is None:
        place = next((i for i, taken in enumerate(before) if not taken), len(lanes))
    if place == len(lanes):
        lanes.append("")
        before.append(False)
    if len(lanes) > MAX_LANES:
        raise TooWideError
    lanes[place] = step.name or "?"
    above = _strokes(before, lanes, {*feeding, place}) if feeding and feeding != [place] else ""
    row = "".join(_cell(step.mark if i == place else "│" if name else " ", " ") for i, name in enumerate(lanes))
    if not readers[step.name]:
        lanes[place] = ""
    beside = "".join(_cell("│" if name else " ", " ") for name in lanes)
    while lanes and not lanes[-1]:
        lanes.pop()
    return Drawn((above.rstrip(),) if above else (), row.rstrip(), beside.rstrip())


def _strokes(before: Iterable[bool], lanes: Sequence[str], joined: set[int]) -> str:
    """The row that joins operands with the step below it; lanes that only pass are crossed like a bridge."""
    first, last = min(joined), max(joined)
    text = ""
    for i, up in enumerate(before):
        if i in joined:
            down = _DOWN if lanes[i] else 0
            stroke = _BOX[(_UP if up else 0) + down + (_LEFT if i > first else 0) + (_RIGHT if i < last else 0)]
        else:
            stroke = "│" if up else "─" if first < i < last else " "
        text += _cell(stroke, "─" if first <= i < last else " ")
    return text


def _cell(stroke: str, filling: str) -> str:
    return stroke + filling * (LANE_CELLS - 1)
