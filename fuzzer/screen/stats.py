"""Divergence statistics as lines: heat map, histograms by runtime, kinds, findings over time."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from fuzzer.campaign.snapshot import Cell, Snapshot
from fuzzer.screen.discovery import discovery_line, short_discovery_line
from fuzzer.screen.lines import Lines, Part, beside, cut, heading, line
from fuzzer.screen.text import (
    count,
    duration,
    fit,
    heat_cell,
    heat_style,
    kind_rank,
    kind_style,
    parse_time,
    percent,
    rate,
    short_severity,
    span,
    sparkline,
    sure_share,
)

SCHEME_ORDER = ("float32", "float16", "dynamic", "int8", "int16x8")
HISTOGRAM_BUCKETS = 10
SILENT_S = 60.0
"""A running campaign writes every second or two; after this long it has died or hangs."""
WIDE = 130
"""From this width on a heat map cell also shows its largest divergence, and histograms are drawn larger."""
RIGHT_WIDTH, RIGHT_WIDTH_WIDE = 29, 52
NARROW_NAMES = {
    "float32": "f32", "float16": "f16", "dynamic": "dyn", "int8": "i8", "int16x8": "i16", "int8_v1": "v1i",
    "uint8_v1": "v1u", "qat": "qat", "tfmot_qat": "mot", "fake_quant": "fq",
}  # fmt: skip
"""Schemes in the columns of a small terminal."""
TINY_CELL = 4
"""A blank and three digits: whole percents without the sign."""
WORST_CELL = 12
"""Room for a share and how bad the worst was: `52.7% 3e28`."""
MIN_NAME, LEAST_NAME = 16, 12
"""Cells for the name of a pattern, and on a small terminal."""
TALL = 8
"""From this many rows on one is left for the kinds of suspicions."""


def headline(snapshot: Snapshot | None, now: datetime) -> str:
    """The campaign in one sentence, and whether it is still alive."""
    if snapshot is None:
        return "no campaign has run here"
    written = parse_time(snapshot.written)
    age = (now - written).total_seconds() if written else 0.0
    figures = f"{duration(snapshot.elapsed_s)}, {count(snapshot.cases)} cases"
    if snapshot.state == "finished":
        return f"last campaign finished {span(age)} ago: {figures}"
    figures += f", {rate(snapshot.cases_per_s)}, {count(snapshot.pending)} suspicions pending"
    if snapshot.state == "interrupted":
        return f"the last campaign was interrupted {span(age)} ago: {figures}"
    if age > SILENT_S:
        return f"the campaign has been silent for {span(age)}, it may have died: {figures}"
    return f"campaign {snapshot.state}: {figures}"


def statistics(snapshot: Snapshot | None, width: int, rows: int) -> Lines:
    """All statistics in at most `rows` lines: the heat map left, everything else right of it."""
    if rows <= 0:
        return []
    if snapshot is None:
        return [cut(line(("No campaign has run here yet: ", "dim"), "python -m fuzzer --hours 8"), width)]
    if not any(cell.cases for row in snapshot.grid.values() for cell in row.values()):
        return [cut(line(("No case has been compared yet.", "dim")), width)]
    right_width = RIGHT_WIDTH_WIDE if width >= WIDE else RIGHT_WIDTH
    if width < right_width + 40:
        return (heat_map(snapshot, width, rows) if width >= 40 else others(snapshot, width, rows))[:rows]
    left_width = width - right_width - 3
    below = [discovery(snapshot, width, with_findings=width < WIDE)]
    if width < WIDE and rows >= TALL:
        below.append(_one_row(kinds(snapshot, 10_000)[0], width))
    rows -= len(below)
    left = heat_map(snapshot, left_width, rows, worst=width >= WIDE)
    right = others(snapshot, right_width, rows) if width >= WIDE else runtimes(snapshot, right_width)
    return beside(left, right[:rows], left_width) + below


def discovery(snapshot: Snapshot, width: int, *, with_findings: bool = True) -> Text:
    """Findings over time, and how fast anything new still comes: a flat right end means saturation."""
    text = line()
    if with_findings:
        text = _growth("findings", [n for _, _, _, n, _ in snapshot.history], min(30, width // 3)).append("  ")
    text.append("discovery ", "dim")
    said = discovery_line(snapshot)
    return cut(text.append(said if text.cell_len + len(said) <= width else short_discovery_line(snapshot)), width)


def heat_map(snapshot: Snapshot, width: int, rows: int, *, worst: bool = False) -> Lines:
    """Pattern by scheme: the share of compared cases that were suspicious, worst patterns first."""
    grid = snapshot.grid
    schemes = _schemes(grid)
    worst = worst and (width - MIN_NAME) // max(1, len(schemes)) >= WORST_CELL
    cell_width = min(16, (width - MIN_NAME) // max(1, len(schemes))) if worst else 8
    name_width = min(28, width - cell_width * len(schemes))
    if name_width < MIN_NAME:
        cell_width = max(TINY_CELL, min(8, (width - LEAST_NAME) // max(1, len(schemes))))
        name_width = max(LEAST_NAME, min(28, width - cell_width * len(schemes)))
    labels = ("suspicious share, worst", "share, worst") if worst else ("suspicious share", "suspicious %")
    label = labels[0] if len(labels[0]) <= name_width else labels[1]
    head = line((fit(label, name_width), "dim"))
    for scheme in schemes:
        name = scheme if len(scheme) < cell_width else NARROW_NAMES.get(scheme, scheme)[: cell_width - 1]
        head.append(" " + fit(name, cell_width - 1, right=True), "bold")
    ranked = sorted(grid, key=lambda p: (-_sure_share(grid[p]), p))
    # One row says how many patterns did not fit; hiding one pattern to say so would be silly.
    shown = ranked if len(ranked) <= rows - 1 else ranked[: max(0, rows - 2)]
    lines = [cut(head, width)]
    lines += [cut(_heat_row(p, grid[p], schemes, name_width, cell_width, worst), width) for p in shown]
    if len(shown) < len(ranked):
        rest = [grid[p] for p in ranked[len(shown) :]]
        lines.append(cut(_rest_row(rest, schemes, name_width, cell_width), width))
    return lines[:rows]


def _schemes(grid: dict[str, dict[str, Cell]]) -> list[str]:
    seen = {scheme for row in grid.values() for scheme in row}
    return [s for s in SCHEME_ORDER if s in seen] + sorted(seen.difference(SCHEME_ORDER))


def _sure_share(row: dict[str, Cell]) -> float:
    return sure_share(sum(c.compared for c in row.values()), sum(c.suspicious for c in row.values()))


def _heat_row(name: str, row: dict[str, Cell], schemes: list[str], name_width: int, width: int, worst: bool) -> Text:
    text = line(fit(name, name_width))
    for scheme in schemes:
        cell = row.get(scheme)
        share = cell.suspicious / cell.compared if cell and cell.compared else 0.0
        text.append(" ")
        shown = heat_cell(cell, worst=worst, whole=width < len(" 52.7%"))
        if worst and len(shown) >= width:
            shown = " ".join(shown.split(" ")[:2])  # the unit has no room
        text.append(fit(shown, width - 1, right=True), heat_style(share) or "dim")
    return text


def _rest_row(rest: list[dict[str, Cell]], schemes: list[str], name_width: int, width: int) -> Text:
    """The patterns that found no room, added up."""
    text = line(
        (fit(f"{len(rest)} more" if name_width < MIN_NAME else f"{len(rest)} more patterns", name_width), "dim")
    )
    for scheme in schemes:
        cells = [row[scheme] for row in rest if scheme in row]
        total = Cell(sum(c.cases for c in cells), sum(c.compared for c in cells), sum(c.suspicious for c in cells))
        text.append(" ")
        text.append(fit(heat_cell(total, whole=width < len(" 52.7%")), width - 1, right=True), "dim")
    return text


def others(snapshot: Snapshot, width: int, rows: int) -> Lines:
    """By runtime, by kind and over time: one narrow column, with the worst divergences where there is room for any."""
    lines = runtimes(snapshot, width)
    lines.append(_growth("findings", [n for _, _, _, n, _ in snapshot.history], width))
    if width >= RIGHT_WIDTH_WIDE:
        lines += kinds(snapshot, width)
        if snapshot.worst and len(lines) + 1 < rows:
            lines += [heading("worst divergences", width), *worst_lines(snapshot, width, 3)]
    return lines


def runtimes(snapshot: Snapshot, width: int) -> Lines:
    """One row a runtime: how its divergences spread over the decades, and its suspicious share."""
    bar = 2 if width >= RIGHT_WIDTH_WIDE else 1
    room = HISTOGRAM_BUCKETS * bar
    scale = "0  1e-7 … 1e-1  ≥1" if bar == 2 else "0 ‥1e-4 ≥1"
    name_width = max(4, width - room - 7)
    lines = [
        cut(
            line(
                (fit("divergence by runtime" if bar == 2 else "by runtime", name_width), "dim"),
                " ",
                (fit(scale, room), "dim"),
                " susp.",
            ),
            width,
        )
    ]
    for name, cell in sorted(snapshot.by_runtime.items()):
        share = cell.suspicious / cell.compared if cell.compared else 0.0
        drawn = "".join(c * bar for c in sparkline(cell.histogram[:HISTOGRAM_BUCKETS], room, log=True))
        part: Part = (fit(percent(share), 5, right=True), heat_style(share) or "dim")
        lines.append(cut(line(fit(name, name_width), " ", (fit(drawn, room), "cyan"), " ", part), width))
    return lines


def kinds(snapshot: Snapshot, width: int) -> Lines:
    """Suspicions by kind, as many to a line as fit."""
    lines = [line(("suspicions", "dim"), " " if snapshot.by_kind else " none")]
    for kind in sorted(snapshot.by_kind, key=kind_rank):
        item = line((kind, kind_style(kind)), f" {count(snapshot.by_kind[kind])}")
        if lines[-1].cell_len + item.cell_len + 2 > width:
            lines.append(line("  "))
        lines[-1].append_text(item)
        lines[-1].append("  ")
    return [cut(text, width) for text in lines]


def _one_row(text: Text, width: int) -> Text:
    text.rstrip()
    return cut(text, width)


def _growth(name: str, values: list[int], width: int) -> Text:
    total = values[-1] if values else 0
    label = f"{name} {count(total):>6} "
    return cut(line((label, "dim"), (sparkline(values, width - len(label)), "green")), width)


def worst_lines(snapshot: Snapshot, width: int, rows: int) -> Lines:
    """The largest divergences, one a line."""
    return [
        cut(
            line(
                (fit(short_severity(w.severity, w.unit), 10, right=True), "yellow"),
                f"  {fit(w.runtime, 12)} {fit(w.scheme, 8)} {fit(w.pattern, 20)}",
                (f" case {w.case}", "dim"),
            ),
            width,
        )
        for w in snapshot.worst[: max(0, rows)]
    ]


def growth_lines(snapshot: Snapshot, width: int) -> Lines:
    """How features and findings grew over the run: a flat right end means the campaign has saturated."""
    if len(snapshot.history) < 2:
        return []
    head = f"0 to {duration(snapshot.history[-1][0])}"
    return [
        heading(f"growth, {head}", width),
        _growth("features", [f for _, _, f, _, _ in snapshot.history], width),
        _growth("findings", [n for _, _, _, n, _ in snapshot.history], width),
    ]
