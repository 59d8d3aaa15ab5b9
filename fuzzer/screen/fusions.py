"""The fusion map as text: for every pattern and scheme what went in, what came out, and how far it is off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fuzzer.screen.text import one_line

BORDER = frozenset({"QUANTIZE", "DEQUANTIZE"})
LEGEND = "numbers: largest error of any runtime against TensorFlow, over the scale of its channel; ?: kernels disagree"
LONG = 9
"""From this many TensorFlow operators on only their number is shown."""


@dataclass(frozen=True)
class Row:
    """One variant of a pattern under one scheme. `error` is the largest error over its channel's scale, any runtime.

    `outcome` is empty when the model converted and all runtimes ran it, else what happened in a few words. `doubts` are
    kinds of suspicions that the numbers raised; a campaign examines such.
    """

    pattern: str
    ops: tuple[str, ...]
    scheme: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    fused: bool = False
    folded: tuple[str, ...] = ()
    error: float | None = None
    outcome: str = ""
    doubts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def table(rows: Iterable[Row]) -> RenderableType:
    """One block a variant, one line a scheme."""
    blocks: list[RenderableType] = []
    for (pattern, ops), several in groupby(rows, key=lambda row: (row.pattern, row.ops)):
        lines = list(several)
        blocks.append(Text.assemble("\n", (pattern, "bold"), f"  {' > '.join(ops)}"))
        blocks.append(Text(f"  TensorFlow  {given(lines[0])}", "dim"))
        shown = Table(box=None, padding=(0, 2), show_header=False)
        for row in lines:
            shown.add_row(
                row.scheme,
                Text("fused", "green") if row.fused else Text("-", "dim"),
                Text(_off(row), "red" if row.outcome else "yellow" if row.doubts else ""),
                Text(" > ".join(inner(row)) or one_line(row.outcome)[:120]),
                Text("; ".join(row.folded), "dim"),
            )
        blocks.append(shown)
    blocks.append(Text(f"\n{LEGEND}", "dim"))
    return Group(*blocks)


def inner(row: Row) -> list[str]:
    """The operators of the flatbuffer without the QUANTIZE and DEQUANTIZE around them."""
    return [name for name in row.after if name not in BORDER]


def markdown(rows: Sequence[Row], schemes: Sequence[str]) -> str:
    """The map as one Markdown table: a line for every variant, a column for every scheme."""
    lines = [
        "| pattern | TensorFlow | " + " | ".join(schemes) + " |",
        "| --- | --- |" + " --- |" * len(schemes),
    ]
    for (pattern, ops), several in groupby(rows, key=lambda row: (row.pattern, row.ops)):
        by_scheme = {row.scheme: row for row in several}
        first = next(iter(by_scheme.values()))
        cells = [_cell(by_scheme[s], by_scheme) if s in by_scheme else "" for s in schemes]
        lines.append(f"| {pattern}: {' > '.join(ops)} | {given(first)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def given(row: Row) -> str:
    """What went in."""
    return " > ".join(row.before) if len(row.before) < LONG else f"{len(row.before)} operators"


def _cell(row: Row, by_scheme: dict[str, Row]) -> str:
    first = next(iter(by_scheme.values()))
    if not row.after:
        return f"**{one_line(row.outcome)[:40]}**"
    same = row is not first and inner(row) == inner(first)
    return f"{'same' if same else ' > '.join(inner(row)) or 'nothing left'}, {_off(row)}"


def _off(row: Row) -> str:
    if row.outcome:
        return f"**{one_line(row.outcome)[:40]}**"
    mark = " ?" if row.doubts else ""
    return "" if row.error is None else f"{row.error:.0e}{mark}"
