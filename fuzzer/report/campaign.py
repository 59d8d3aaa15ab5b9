"""A campaign as one self-contained page: coverage, speed and findings over time, the heat map, the table of titles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fuzzer import __version__
from fuzzer.campaign.discovery import Point
from fuzzer.campaign.snapshot import Cell, Snapshot
from fuzzer.coverage.reached import evidence
from fuzzer.coverage.reached.plot import Curve, svg
from fuzzer.coverage.reached.report import Point as GrowthPoint
from fuzzer.coverage.reached.report import growth
from fuzzer.errors import UserError
from fuzzer.findings import Finding, FindingStore
from fuzzer.findings.hiding import Hider
from fuzzer.html import Html, document, figure, folded, folded_table, markup, table
from fuzzer.report.page import moment
from fuzzer.report.scrub import scrub
from fuzzer.screen.text import count, duration, heat_cell, percent, severity, sure_share, urgency

OPEN_TITLES = 50
OPEN_PATTERNS = 25
RATE_POINTS = 60
"""Points of the curve of cases per second; the history has up to 240, and single seconds are noise."""
HOTTEST = 0.5
"""Share of suspicious cases from which a cell has the full colour. Exactly zero stays plain."""
_DECADES = ("0", *(f"<1e{e}" for e in range(-7, 1)), ">=1e0")
STYLE = """
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .6rem; margin: .8rem 0 }
.tiles div { background: #f9fafb; border: 1px solid #e5e7eb; border-radius: 6px; padding: .45rem .7rem }
.tiles b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
.tiles span { color: #6b7280; font-size: .85rem }
figure { margin: .8rem 0 } figcaption { color: #6b7280; margin-bottom: .2rem }
table.heat td { text-align: center; padding: .16rem .3rem; border: 1px solid #fff; font-variant-numeric: tabular-nums }
table.heat th { text-align: center; padding: .2rem .3rem } table.heat td.name, table.heat th.name { text-align: left }
.hist { display: flex; align-items: flex-end; gap: 2px; height: 2.2rem } .hist i { background: #1f6feb; width: .9rem;
        display: block }
.titles td.name { overflow-wrap: anywhere; width: 52% } .whole { white-space: nowrap }
"""


@dataclass(frozen=True)
class Campaign:
    """What the page is made of. `why_hidden` holds titles that are off the main list, by id."""

    findings: tuple[Finding, ...]
    why_hidden: dict[str, str]
    snapshot: Snapshot | None = None
    growth: tuple[GrowthPoint, ...] = ()
    """Native blocks reached over the time of all campaigns on the corpus, by library."""
    problems: tuple[str, ...] = ()


def read(
    crashes: Path,
    corpus: Path | None,
    hider: Hider,
    snapshot: Snapshot | None,
    problems: Sequence[str] = (),
) -> Campaign:
    """Reads a folder of findings and the corpus (None: the one that the campaign of `snapshot` names).

    Raises `UserError` where there is neither a finding nor a campaign.
    """
    store = FindingStore(crashes, lenient=True)
    findings = store.findings()
    said = list(problems)
    if store.damaged:
        said.append(f"lines of the journal that could not be read (damaged, or of a newer release): {store.damaged}")
    if snapshot is None and not findings:
        raise UserError(f"{crashes} holds neither findings nor a campaign; start one: python -m fuzzer --minutes 10")
    if snapshot is None and not problems:
        said.append("status.json is missing: nothing is known of the campaign but its findings")
    why = {f.id: hidden.why for f in findings if (hidden := hider(f)) is not None}
    points: tuple[GrowthPoint, ...] = ()
    if snapshot is not None and snapshot.blocks:
        try:
            points = _growth(corpus or Path(snapshot.corpus_dir))
        except UserError as missing:
            said.append(f"coverage by library is left out: {missing}")
    return Campaign(tuple(findings), why, snapshot, points, tuple(said))


def _growth(corpus: Path) -> tuple[GrowthPoint, ...]:
    """Blocks over time by library. Raises `UserError` where there is no corpus."""
    from fuzzer.campaign.corpus import BLOCKS_FILE, STATE

    return tuple(growth(evidence.read(corpus, corpus / STATE / BLOCKS_FILE)))


def page(campaign: Campaign) -> str:
    """The whole page."""
    sections = [(title, html) for title, html in _sections(campaign) if html]
    return document("Fuzzing campaign", _lead(campaign), sections, map(scrub, campaign.problems), STYLE)


def _lead(campaign: Campaign) -> str:
    shot = campaign.snapshot
    if shot is None:
        return f"{len(campaign.findings)} findings. tflite-fuzzer {__version__}"
    state = shot.state.capitalize()
    workers = f"{shot.workers} worker{'s' * (shot.workers != 1)}"
    return (
        f"{state} after {duration(shot.elapsed_s)}, started {moment(shot.started)}, {workers}, seed {shot.seed}. "
        f"{shot.versions or 'Releases unknown'}. tflite-fuzzer {__version__}"
    )


def _sections(campaign: Campaign) -> Iterator[tuple[str, str]]:
    shot = campaign.snapshot
    listed = [f for f in campaign.findings if f.id not in campaign.why_hidden]
    if shot is not None:
        yield "At a glance", _tiles(shot, listed)
        yield "Coverage over time", _coverage(shot, campaign)
        yield "Cases per second", _speed(shot.history)
    yield "Findings over time", _found(campaign, listed)
    yield f"Titles ({len(listed)})", _titles(listed, campaign)
    if shot is not None:
        yield "Divergence by pattern and quantisation", _heat(shot)
        yield "Divergence by runtime", _runtimes(shot)


# --- the run ----------------------------------------------------------------------------------------------


def _tiles(shot: Snapshot, listed: Sequence[Finding]) -> str:
    blocks = sum(shot.blocks.values())
    tiles = [
        ("cases", count(shot.cases)),
        ("cases per second", f"{shot.mean_cases_per_s:.1f}"),
        ("valid", percent(shot.valid_share)),
        ("converted", percent(shot.conversion_share)),
        ("TFLite builtins", count(shot.builtins)),
        ("features", count(shot.features)),
        *((("native blocks", count(blocks)),) if blocks else ()),
        ("titles", count(len(listed))),
        ("deaths", count(sum(shot.deaths.values()))),
    ]
    return f'<div class="tiles">{"".join(f"<div><b>{v}</b><span>{name}</span></div>" for name, v in tiles)}</div>'


def _coverage(shot: Snapshot, campaign: Campaign) -> str:
    history = shot.history
    plots = []
    names = list(campaign.growth[-1].blocks) if campaign.growth else []
    if names:
        curves = [Curve(name, [(p.seconds, p.blocks[name]) for p in campaign.growth]) for name in names]
        plots.append(figure("native blocks, by library, over all campaigns on this corpus", svg(curves, "blocks")))
    elif any(point[4] for point in history):
        plots.append(figure("native blocks reached", svg([_curve("blocks", history, 4)], "native blocks")))
    plots.append(figure("features", svg([_curve("features", history, 2)], "features")))
    return _drawn(plots)


def _curve(name: str, history: Sequence[Point], column: int) -> Curve:
    return Curve(name, [(point[0], float(point[column])) for point in history])


def _speed(history: Sequence[Point]) -> str:
    """The rate between points of the history, a minute or more apart in long runs."""
    step = max(1, len(history) // RATE_POINTS)
    chosen = history[::step]
    rates = [(b[0], (b[1] - a[1]) / (b[0] - a[0])) for a, b in pairwise(chosen) if b[0] > a[0]]
    return _drawn([figure("cases per second, all workers together", svg([Curve("now", rates)], "cases per second"))])


def _drawn(figures: Sequence[str]) -> str:
    there = [f for f in figures if "<svg" in f]
    return "".join(there) or '<p class="dim">The run was too short: nothing to draw yet.</p>'


# --- findings ---------------------------------------------------------------------------------------------


def _found(campaign: Campaign, listed: Sequence[Finding]) -> str:
    if not campaign.findings:
        return '<p class="dim">No findings.</p>'
    plots = []
    if campaign.snapshot is not None:
        plots.append(figure("titles, hidden ones too", svg([_curve("titles", campaign.snapshot.history, 3)], "titles")))
    kinds: dict[str, list[Finding]] = {}
    for finding in sorted(listed, key=lambda f: urgency(f.kind, f.unit, f.severity)):
        kinds.setdefault(finding.kind, []).append(finding)
    rows = [(kind, count(len(those)), count(sum(f.count for f in those))) for kind, those in kinds.items()]
    drawn = _drawn(plots) if plots else ""
    return drawn + table(("kind", "#titles", "#suspicions"), rows)


def _titles(listed: Sequence[Finding], campaign: Campaign) -> str:
    head = ("title", "#severity", "state", "#seen", "#again", "first seen", "id")

    def rows(findings: Sequence[Finding]) -> list[tuple[str, ...]]:
        ranked = sorted(findings, key=lambda f: (*urgency(f.kind, f.unit, f.severity), f.title))
        return [_row(finding) for finding in ranked]

    shown: str = folded_table(head, rows(listed), open_rows=OPEN_TITLES) if listed else ""
    hidden = [f for f in campaign.findings if f.id in campaign.why_hidden]
    if hidden:
        why: dict[str, int] = {}
        for finding in hidden:
            reason = campaign.why_hidden[finding.id]
            why[reason] = why.get(reason, 0) + 1
        words = ", ".join(f"{n} {reason}" for reason, n in sorted(why.items()))
        shown += folded(f"{len(hidden)} off the main list: {words}", table(head, rows(hidden)))
    note = "Again: fresh processes that showed it. <code>python -m fuzzer report ID</code> writes the report of one."
    if not shown:
        return '<p class="dim">No findings.</p>'
    return f'<div class="titles">{shown}</div><p class="dim">{note}</p>'


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        Html(markup(scrub(finding.title)).replace("::", "::<wbr>")),
        severity(finding.severity, finding.unit),
        _whole(finding.state + (" (flaky)" if finding.reproduced < finding.repeats else "")),
        count(finding.count),
        f"{finding.reproduced}/{finding.repeats}",
        _whole(moment(finding.first_seen).removesuffix(" UTC")),
        _whole(finding.id),
    )


def _whole(text: str) -> Html:
    """Text that stays on one line."""
    return Html(f'<span class="whole">{markup(text)}</span>')


# --- divergence -------------------------------------------------------------------------------------------


def _heat(shot: Snapshot) -> str:
    """Patterns, the most suspicious first, by scheme; a cell is the share of compared cases that were suspected."""
    if not shot.grid:
        return '<p class="dim">Nothing was compared yet.</p>'
    schemes = sorted({s for row in shot.grid.values() for s in row}, key=lambda s: -_cases(shot, s))
    ranked = sorted(shot.grid, key=lambda p: (-_share(shot.grid[p].values()), p))
    head = "".join(f"<th>{markup(s)}</th>" for s in schemes)
    lines = [
        f'<tr><td class="name">{markup(pattern)}</td>{"".join(_cell(shot.grid[pattern].get(s)) for s in schemes)}</tr>'
        for pattern in ranked
    ]

    def part(rows: Sequence[str]) -> Html:
        return Html(
            f'<table class="heat"><thead><tr><th class="name">pattern</th>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table>"
        )

    note = '<p class="dim">Share of compared cases that an oracle suspected; ·: nothing compared, blank: not asked.</p>'
    rest = lines[OPEN_PATTERNS:]
    return note + part(lines[:OPEN_PATTERNS]) + (folded(f"{len(rest)} more", part(rest)) if rest else "")


def _cases(shot: Snapshot, scheme: str) -> int:
    return sum(row[scheme].cases for row in shot.grid.values() if scheme in row)


def _share(cells: Iterable[Cell]) -> float:
    given = list(cells)
    compared = sum(cell.compared for cell in given)
    return sure_share(compared, sum(cell.suspicious for cell in given)) if compared else -1.0


def _cell(cell: Cell | None) -> str:
    shown = heat_cell(cell)
    share = cell.suspicious / cell.compared if cell is not None and cell.compared else 0.0
    heat = 0.08 + 0.62 * min(1.0, share / HOTTEST)
    style = f' style="background:rgba(220,38,38,{heat:.2f})"' if share > 0 else ""
    tip = f' title="{cell.suspicious} of {cell.compared} compared, {cell.cases} asked"' if cell is not None else ""
    return f"<td{style}{tip}>{markup(shown)}</td>"


def _runtimes(shot: Snapshot) -> str:
    """How far each runtime's results are from the reference, by decade."""
    rows = []
    for runtime, cell in shot.by_runtime.items():
        top = max(cell.histogram, default=0) or 1
        bars = "".join(
            f'<i style="height:{max(2, round(100 * n / top)) if n else 0}%" title="{markup(label)}: {n}"></i>'
            for label, n in zip(_DECADES, cell.histogram, strict=False)
        )
        share = percent(cell.suspicious / cell.compared) if cell.compared else "-"
        rows.append((runtime, count(cell.compared), share, Html(f'<div class="hist">{bars}</div>')))
    if not rows:
        return ""
    note = f'<p class="dim">Bars: cases by relative error: {markup(", ".join(_DECADES))}.</p>'
    return table(("runtime", "#compared", "#suspected", "error"), rows) + note
