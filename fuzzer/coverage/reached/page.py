"""The coverage report as one self-contained page: no network, no script. A pure function of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fuzzer import __version__
from fuzzer.coverage.reached.missing import by_reason
from fuzzer.coverage.reached.names import KINDS
from fuzzer.coverage.reached.plot import Curve, svg
from fuzzer.coverage.reached.report import PAUSE_S, Group, Report, Unreached
from fuzzer.coverage.reached.text import NEVER, at_marks, share, short
from fuzzer.screen.text import count, duration, percent

OPEN_ROWS = 15
"""Rows of a table that are open; the rest is folded up."""
_STYLE = """
:root { color-scheme: light }
body { font: 15px/1.45 system-ui, sans-serif; color: #1f2937; background: #fff; margin: 2rem auto; max-width: 62rem;
       padding: 0 1.2rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid #e5e7eb; padding-bottom: .25rem }
p { margin: .3rem 0 } .dim { color: #6b7280 }
nav { margin: 1rem 0; line-height: 1.9 } nav a { margin-right: 1rem; white-space: nowrap }
a { color: #1f6feb; text-decoration: none } a:hover { text-decoration: underline }
table { border-collapse: collapse; width: 100%; font-size: .88rem; table-layout: auto }
th { text-align: left; font-weight: 600; border-bottom: 2px solid #e5e7eb; position: sticky; top: 0; background: #fff }
td, th { padding: .22rem .8rem .22rem 0; vertical-align: top } td { border-bottom: 1px solid #f3f4f6 }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.name { font-family: ui-monospace, monospace; font-size: .95em; overflow-wrap: break-word }
tr.none td.name { color: #b45309 }
.bar { display: inline-block; width: 5rem; height: .6rem; background: #e5e7eb; margin-left: .5rem; border-radius: 2px }
.bar i { display: block; height: 100%; background: #1f6feb; border-radius: 2px }
summary { cursor: pointer; color: #1f6feb; margin: .4rem 0 } svg { width: 100%; height: auto }
.note { background: #fffbeb; border-left: 3px solid #f59e0b; padding: .35rem .8rem; margin: .4rem 0 }
@media print { details > * { display: block } nav { display: none } }
"""


def page(report: Report) -> str:
    """The whole page."""
    sections = list(_sections(report))
    links = " ".join(f'<a href="#s{i}">{escape(title)}</a>' for i, (title, _) in enumerate(sections))
    body = "".join(f'<h2 id="s{i}">{escape(title)}</h2>{html}' for i, (title, html) in enumerate(sections))
    notes = "".join(f'<p class="note">{escape(problem)}</p>' for problem in report.problems)
    title = f"Coverage of {escape(report.corpus)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="dim">{_head(report)}</p>{notes}<nav>{links}</nav>{body}</body></html>\n'
    )


def _head(report: Report) -> str:
    words = f"{count(report.entries)} entries after {duration(report.seconds)} of campaigns"
    if report.died:
        words += f", {count(report.died)} cases that killed their executor"
    if report.undated:
        words += f", {count(report.undated)} lines without a time"
    return f"{words}. tflite-fuzzer {__version__}"


def _sections(report: Report) -> Iterable[tuple[str, str]]:
    if report.scopes:
        yield "By scope", _scopes(report)
    yield "Growth", _growth(report)
    for kind, title in KINDS.items():
        groups = [group for group in report.groups if group.kind == kind]
        if groups:
            yield title[0].upper() + title[1:], _groups(groups)
    for kind, title in NEVER.items():
        items = [item for item in report.unreached if item.kind == kind]
        if items:
            yield f"{title[0].upper()}{title[1:]} ({len(items)})", _never(items)
    yield "Families of features", _families(report)


def _scopes(report: Report) -> str:
    rows = [
        (
            row.scope,
            row.module.rpartition("/")[2],
            _of(row.tally.functions_reached, row.tally.functions),
            _of(row.tally.blocks_reached, row.tally.blocks),
            _bar(row.tally.blocks_reached, row.tally.blocks),
            _of(*row.tally.plain),
            _bar(*row.tally.plain),
        )
        for row in report.scopes
    ]
    note = (
        '<p class="dim">Plain blocks are those that other tools count: without blocks that only a jump table or an '
        "exception leads to.</p>"
    )
    return _table(("scope", "library", "#functions", "#blocks", "#of all", "#plain", "#of all"), rows) + note


def _growth(report: Report) -> str:
    names = list(report.growth[-1].blocks)
    plots = []
    if names:
        blocks = [Curve(name, [(p.seconds, p.blocks[name]) for p in report.growth]) for name in names]
        plots.append(("native blocks", blocks))
    plots.append(
        (
            "features and entries",
            [
                Curve("features", [(p.seconds, p.features) for p in report.growth]),
                Curve("entries", [(p.seconds, p.entries) for p in report.growth]),
            ],
        )
    )
    pictures = "".join(
        f"<figure><figcaption>{title}</figcaption>{svg(curves, title)}</figure>" for title, curves in plots
    )
    rows = [
        (
            duration(point.seconds),
            *(count(point.blocks[name]) for name in names),
            count(point.features),
            count(point.entries),
        )
        for point in at_marks(report.growth)
    ]
    note = f'<p class="dim">Time in campaigns; pauses of more than {PAUSE_S:.0f} s between two entries are cut out.</p>'
    return pictures + note + _table(("#after", *(f"#{name}" for name in names), "#features", "#entries"), rows)


def _groups(groups: Sequence[Group]) -> str:
    patterned = any(group.patterns for group in groups)
    head = ("name", "scope", "#functions", "#blocks", "#share", *(("#patterns",) if patterned else ()))
    rows, dark = [], set()
    for i, group in enumerate(groups):
        tally = group.tally
        if tally.functions_reached == 0:
            dark.add(i)
        cells = [
            short(group.name),
            group.scope,
            _of(tally.functions_reached, tally.functions),
            _of(tally.blocks_reached, tally.blocks),
            _bar(tally.blocks_reached, tally.blocks),
        ]
        rows.append((*cells, *((_of(group.patterns_tried, group.patterns) if group.patterns else "",) * patterned)))
    return '<p class="dim">Most missing blocks first; amber: nothing reached.</p>' + _folded(head, rows, dark)


def _never(items: Sequence[Unreached]) -> str:
    rows = [
        (
            short(item.name),
            short(item.owner),
            f"{item.blocks:,}",
            item.needs + (" (in flatbuffers)" if item.seen else ""),
        )
        for item in items
        if item.open
    ]
    closed = "".join(
        f"<p><b>{len(those)}</b> {escape(needs)}: "
        f'<span class="dim">{escape(", ".join(dict.fromkeys(short(item.name) for item in those)))}</span></p>'
        for needs, those in by_reason(items).items()
    )
    table = _folded(("name", "where", "#blocks", "what leads there"), rows) if rows else ""
    folded = f"<details><summary>without a road</summary>{closed}</details>" if closed else ""
    return table + folded


def _families(report: Report) -> str:
    rows = [
        (family.name, count(family.count), count(family.entries), percent(family.share), family.meaning)
        for family in report.families
    ]
    note = '<p class="dim">Share: of the entries, those that were the first to show one of the family.</p>'
    return note + _table(("family", "#count", "#entries", "#share", "what"), rows)


def _folded(head: Sequence[str], rows: Sequence[Sequence[str]], dark: Iterable[int] = ()) -> str:
    """A table whose first rows are open."""
    dark = set(dark)
    shown = _table(head, rows[:OPEN_ROWS], {i for i in dark if i < OPEN_ROWS})
    if len(rows) <= OPEN_ROWS:
        return shown
    rest = _table(head, rows[OPEN_ROWS:], {i - OPEN_ROWS for i in dark if i >= OPEN_ROWS})
    return f"{shown}<details><summary>{len(rows) - OPEN_ROWS:,} more</summary>{rest}</details>"


class _Html(str):
    """Text that is markup already."""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], dark: Iterable[int] = ()) -> str:
    """A table; the titles of columns of numbers begin with a #, the first column is a name."""
    dark = set(dark)
    kinds = ["n" if title.startswith("#") else "name" if i == 0 else "" for i, title in enumerate(head)]
    marked = [f' class="{kind}"' if kind else "" for kind in kinds]
    titles = "".join(f"<th{m}>{escape(t.removeprefix('#'))}</th>" for t, m in zip(head, marked, strict=True))
    lines = []
    for i, row in enumerate(rows):
        cells = (c if isinstance(c, _Html) else escape(c) for c in row)
        inner = "".join(f"<td{m}>{cell}</td>" for m, cell in zip(marked, cells, strict=True))
        lines.append(f"<tr{' class=none' if i in dark else ''}>{inner}</tr>")
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _bar(part: int, whole: int) -> _Html:
    width = round(100 * part / whole, 1) if whole else 0
    return _Html(f'{share(part, whole)}<span class="bar"><i style="width:{width}%"></i></span>')


def _of(part: int, whole: int) -> str:
    return f"{count(part)} / {count(whole)}"
