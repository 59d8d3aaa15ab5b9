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

LONG = 9
"""From this many TensorFlow operators on only their number is shown."""


@dataclass(frozen=True)
class Row:
    """One variant of a pattern under one scheme. `error` is the largest error over its channel's scale, any runtime.

    `outcome` is empty when all runtimes ran and agree, else what happened in a few words.
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
                Text(_off(row), "red" if row.outcome else ""),
                Text(" > ".join(row.after) or one_line(row.outcome)[:120]),
                Text("; ".join(row.folded), "dim"),
            )
        blocks.append(shown)
    return Group(*blocks)


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
    ops = " > ".join(name for name in row.after if name not in ("QUANTIZE", "DEQUANTIZE"))
    same = row is not first and ops == " > ".join(n for n in first.after if n not in ("QUANTIZE", "DEQUANTIZE"))
    return f"{'same' if same else ops or 'nothing left'}, {_off(row)}"


def _off(row: Row) -> str:
    if row.outcome:
        return f"**{one_line(row.outcome)[:40]}**" if row.after else one_line(row.outcome)[:40]
    return "" if row.error is None else f"{row.error:.0e}"
