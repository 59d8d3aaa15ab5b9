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
from fuzzer.html import Html, document, figure, folded, folded_table, table
from fuzzer.screen.text import count, duration, percent


def page(report: Report) -> str:
    """The whole page."""
    return document(f"Coverage of {report.corpus}", _head(report), list(_sections(report)), report.problems)


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
    return table(("scope", "library", "#functions", "#blocks", "#of all", "#plain", "#of all"), rows) + note


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
    pictures = "".join(figure(title, svg(curves, title)) for title, curves in plots)
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
    return pictures + note + table(("#after", *(f"#{name}" for name in names), "#features", "#entries"), rows)


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
    return '<p class="dim">Most missing blocks first; amber: nothing reached.</p>' + folded_table(head, rows, dark)


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
    shown = folded_table(("name", "where", "#blocks", "what leads there"), rows) if rows else ""
    return shown + (folded("without a road", closed) if closed else "")


def _families(report: Report) -> str:
    rows = [
        (family.name, count(family.count), count(family.entries), percent(family.share), family.meaning)
        for family in report.families
    ]
    note = '<p class="dim">Share: of the entries, those that were the first to show one of the family.</p>'
    return note + table(("family", "#count", "#entries", "#share", "what"), rows)


def _bar(part: int, whole: int) -> Html:
    width = round(100 * part / whole, 1) if whole else 0
    return Html(f'{share(part, whole)}<span class="bar"><i style="width:{width}%"></i></span>')


def _of(part: int, whole: int) -> str:
    return f"{count(part)} / {count(whole)}"
