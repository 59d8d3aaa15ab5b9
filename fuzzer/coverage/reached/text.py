"""The coverage report for a terminal: tables of at most 100 columns. A pure function of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fuzzer.coverage.reached.missing import by_reason
from fuzzer.coverage.reached.names import KINDS
from fuzzer.coverage.reached.report import BLOCKS, Group, Point, Report, Unreached
from fuzzer.coverage.reached.roads import NOTHING
from fuzzer.screen.text import count, duration, fit, one_line, percent

WIDTH = 100
ROWS = 12
"""Rows of a table; `--json` and `--html` have all."""
CLOSED = 5
"""Names that are given where something other than an op of ours is missing."""
MARKS_S = (30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
"""Times at which growth is shown: powers of two in minutes, then hours."""
NEVER = {
    "kernel": "TFLite kernels never reached",
    "node": "nodes that XNNPACK never took",
    "pass": "converter passes never run",
    "pattern": "rewrite patterns never tried",
}


def text(report: Report, rows: int | None = ROWS) -> RenderableType:
    """The whole report; `rows` is how many rows a table may have, None for all."""
    parts: list[RenderableType] = [_head(report)]
    if report.scopes:
        parts.append(scopes(report))
    parts.append(growth(report))
    for kind, title in KINDS.items():
        of_kind = [group for group in report.groups if group.kind == kind]
        if of_kind:
            parts.append(_groups(title, of_kind, rows))
    for kind, title in NEVER.items():
        of_kind_too = [item for item in report.unreached if item.kind == kind]
        if report.scopes:
            parts.append(_never(title, of_kind_too, rows))
    parts.append(families(report))
    return Stack(*parts)


def _head(report: Report) -> RenderableType:
    words = f"{count(report.entries)} entries after {duration(report.seconds)} of campaigns"
    if report.died:
        words += f", {count(report.died)} killers"
    if report.undated:
        words += f", {count(report.undated)} lines without a time"
    return Text.assemble((f"coverage of {one_line(report.corpus)}", "bold"), f": {words}")


def scopes(report: Report) -> RenderableType:
    """Reached and all, by library. Plain blocks are what other tools count."""
    table = _table()
    table.add_column("scope")
    for name in ("functions", "blocks", "of all", "plain", "of all"):
        table.add_column(name, justify="right")
    for row in report.scopes:
        tally = row.tally
        table.add_row(
            row.scope,
            _of(tally.functions_reached, tally.functions),
            _of(tally.blocks_reached, tally.blocks),
            share(tally.blocks_reached, tally.blocks),
            _of(*tally.plain),
            share(*tally.plain),
        )
    note = Text("plain: without blocks that only a jump table or an exception leads to, as others count", "dim")
    return Stack(_title("by scope"), table, note)


def growth(report: Report) -> RenderableType:
    """Blocks, features and entries at some times of the campaigns."""
    table = _table()
    names = list(report.growth[-1].blocks)
    for name in ("after", *names, "features", "entries"):
        table.add_column(name, justify="right")
    for point in at_marks(report.growth):
        blocks = (count(point.blocks[name]) for name in names)
        table.add_row(duration(point.seconds), *blocks, count(point.features), count(point.entries))
    return Stack(_title("growth"), table)


def at_marks(points: Sequence[Point]) -> list[Point]:
    """The last point before each of `MARKS_S`, and the last of all."""
    found = []
    for mark in MARKS_S:
        if points[-1].seconds < mark:
            break
        found.append(next(point for point in reversed(points) if point.seconds <= mark))
    return [*found, points[-1]]


def _groups(title: str, groups: Sequence[Group], rows: int | None) -> RenderableType:
    reached = sum(group.tally.functions_reached > 0 for group in groups)
    words = f"{title}: {count(reached)} of {count(len(groups))} reached"
    if any(group.run is not None for group in groups):
        passes_ = [group.run for group in groups if group.run is not None]
        words = f"{title}: {count(sum(passes_))} of {count(len(passes_))} run"
    table = _table()
    passes = any(group.patterns for group in groups)
    table.add_column("", width=46 if passes else 52, no_wrap=True)
    table.add_column("scope")
    for name in ("functions", "blocks", "share", *(["patterns"] if passes else [])):
        table.add_column(name, justify="right")
    for group in groups[:rows]:
        tally = group.tally
        cells: list[RenderableType] = [
            Text(fit(short(group.name), 46 if passes else 52).rstrip(), "" if tally.functions_reached else "yellow"),
            group.scope,
            _of(tally.functions_reached, tally.functions),
            _of(tally.blocks_reached, tally.blocks),
            share(tally.blocks_reached, tally.blocks),
        ]
        if passes:
            cells.append(_of(group.patterns_tried, group.patterns) if group.patterns else "")
        table.add_row(*cells)
    return Stack(_title(f"{words}; most missing blocks first"), _with_rest(table, len(groups), rows))


def _never(title: str, items: Sequence[Unreached], rows: int | None) -> RenderableType:
    if not items:
        return _title(f"{title}: none")
    ways = [item for item in items if item.open]
    head = _title(f"{title}: {count(len(items))}, {count(len(ways))} of them with a road of ours")
    table = _table()
    table.add_column("", width=40, no_wrap=True)
    table.add_column("where", width=18, no_wrap=True)
    table.add_column("what leads there", width=38, overflow="fold")
    for item in ways[:rows]:
        where = item.owner.rpartition("::")[2]
        needs = item.needs + (" (in flatbuffers already)" if item.seen else "")
        table.add_row(fit(short(item.name), 40).rstrip(), fit(where, 18).rstrip(), one_line(needs))
    return Stack(head, *([_with_rest(table, len(ways), rows)] if ways else []), *_closed(items, rows))


def _closed(items: Iterable[Unreached], rows: int | None) -> list[RenderableType]:
    """Those without a road, by what is in the way."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=False, style="dim")
    table.add_column(justify="right", width=5)
    table.add_column(overflow="fold")
    for needs, those in by_reason(items).items():
        names = list(dict.fromkeys(short(item.name) for item in those))
        shown = names if rows is None or needs == NOTHING else names[:CLOSED]
        rest = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        table.add_row(str(len(those)), f"{needs}: {', '.join(shown)}{rest}")
    return [Text("without a road:", "dim"), table] if table.row_count else []


def families(report: Report) -> RenderableType:
    """What each family of features brought."""
    table = _table()
    table.add_column("family")
    for name in ("count", "entries", "share"):
        table.add_column(name, justify="right")
    table.add_column("what")
    for family in report.families:
        style = "bold" if family.name == BLOCKS else "" if family.count else "dim"
        cells = (one_line(family.name), count(family.count), count(family.entries), percent(family.share))
        table.add_row(*cells, family.meaning, style=style)
    title = _title("families (share: of the entries, those that were the first to show one of it)")
    return Stack(title, table)


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))


def _title(words: str) -> RenderableType:
    return Text(f"\n{words}", "bold")


def _with_rest(table: Table, total: int, rows: int | None) -> RenderableType:
    if rows is None or total <= rows:
        return table
    return Stack(table, Text(f"  and {count(total - rows)} more: --all, --html FILE or --json", "dim"))


def short(name: str) -> str:
    """A name without the scopes that everything in its table shares."""
    for prefix in ("tflite::ops::builtin::", "tflite::ops::", "mlir::"):
        if name.startswith(prefix) and name != prefix.removesuffix("::"):
            return name.removeprefix(prefix)
    return name


def share(part: int, whole: int) -> str:
    """`12.3%`, or a dash where there is nothing."""
    return percent(part / whole) if whole else "-"


def _of(part: int, whole: int) -> str:
    return f"{count(part)}/{count(whole)}"
