"""The live screen of a campaign: a pure function of a snapshot, drawn with rich.

Blocks are ordered by what a person looks for first, and a small terminal shows the first ones.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from fuzzer.campaign.snapshot import Snapshot, TitleLine
from fuzzer.findings.hiding import count_line
from fuzzer.screen.discovery import blocks_line, discovery_line
from fuzzer.screen.examining import pending_words
from fuzzer.screen.health import verdict_line
from fuzzer.screen.lines import Lines, Part, beside, cut, heading, line, pairs, wrapped
from fuzzer.screen.plain import SHOW_HIDDEN, plain_line, summary
from fuzzer.screen.stats import growth_lines, heat_map, kinds, runtimes, worst_lines
from fuzzer.screen.text import (
    ago,
    count,
    duration,
    fit,
    kind_style,
    one_line,
    parse_time,
    percent,
    rate,
    short_count,
    short_severity,
    tally,
    urgency,
)

__all__ = ["plain_line", "render", "summary"]

WIDE = 120
TALL = 36
"""From this size on there is room for the divergence statistics beside the findings."""
LOW_VALID_SHARE = 0.95
"""The generator promises this share of valid models; below it something is wrong with the generator."""
HIGH_OVERHEAD = 0.15
STATE_STYLES = {"running": "bold green", "stopping": "bold yellow", "finished": "bold cyan"}


def render(snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """The whole screen in at most `height` lines of `width` cells."""
    width, height = max(1, width), max(1, height)
    head = [header(snapshot, width), progress(snapshot, width)]
    warnings = _warnings(snapshot, width, max(1, height // 8))
    middle = pairs(figures(snapshot), width) + details(snapshot, width)
    # However small the terminal, a third of it shows findings.
    top = head + warnings + middle[: max(1, height * 2 // 3 - len(head) - len(warnings))]
    rows = height - len(top)
    if width >= WIDE and height >= TALL:
        body = _wide_body(snapshot, width, rows)
    else:
        body = _narrow_body(snapshot, width, rows)
    return Group(*(top + body)[:height])


def _narrow_body(snapshot: Snapshot, width: int, rows: int) -> Lines:
    worst_rows = min(len(snapshot.worst), 3 if rows >= 12 else 2) if rows >= 8 else 0
    tail = [heading("worst divergences", width), *worst_lines(snapshot, width, worst_rows)] if worst_rows else []
    return findings(snapshot, width, rows - len(tail)) + tail


def _wide_body(snapshot: Snapshot, width: int, rows: int) -> Lines:
    """Findings left, how the campaign goes right, the heat map below where the terminal is tall enough."""
    right_width = min(64, width * 2 // 5)
    left_width = width - right_width - 3
    right = growth_lines(snapshot, right_width)
    right += runtimes(snapshot, right_width)
    right += kinds(snapshot, right_width)
    if snapshot.worst:
        right += [heading("worst divergences", right_width), *worst_lines(snapshot, right_width, 6)]
    below: Lines = []
    if snapshot.grid and rows > len(right) + 6:
        # Findings keep at least the height of the column beside them.
        room = rows - len(right) - 1
        heat = heat_map(snapshot, min(width, 140), room, worst=True)
        below = [heading("suspicious share of compared cases, by pattern and scheme", width), *heat]
    left = findings(snapshot, left_width, rows - len(below))
    return beside(left, right[: rows - len(below)], left_width) + below


def header(snapshot: Snapshot, width: int) -> Text:
    """What runs here: state, workers, seed, versions."""
    state = snapshot.state
    parts: list[Part] = [
        ("tflite-fuzzer  ", "bold"),
        (state, STATE_STYLES.get(state, "bold")),
        f"  seed {snapshot.seed}  {snapshot.workers} worker{'s' if snapshot.workers != 1 else ''}",
        (f"  {snapshot.versions}", "dim"),
    ]
    return cut(line(*parts), width)


def progress(snapshot: Snapshot, width: int) -> Text:
    """Bar, share, time gone and left."""
    share, left = done(snapshot)
    times = f" {duration(snapshot.elapsed_s)} gone"
    if snapshot.state == "stopping":
        times += ", finishing findings"
    elif snapshot.state == "finished":
        times += ", finished"
    elif share is None:
        times += ", no limit (Ctrl-C stops)"
    else:
        times += f", {duration(left)} left"
    if share is None:
        return cut(line(times.strip()), width)
    label = f" {percent(share):>6}{times}"
    room = max(4, width - len(label))
    full = round(room * share)
    return cut(line(("━" * full, "green"), ("─" * (room - full), "dim"), label), width)


def done(snapshot: Snapshot) -> tuple[float | None, float | None]:
    """Share of the budget used, and the seconds left; `None` where there is no budget or no rate yet."""
    shares: list[float] = []
    left: list[float] = []
    if snapshot.budget_s is not None and snapshot.budget_s > 0:
        shares.append(snapshot.elapsed_s / snapshot.budget_s)
        left.append(snapshot.budget_s - snapshot.elapsed_s)
    if snapshot.budget_cases is not None and snapshot.budget_cases > 0:
        shares.append(snapshot.cases / snapshot.budget_cases)
        if snapshot.mean_cases_per_s > 0:
            left.append((snapshot.budget_cases - snapshot.cases) / snapshot.mean_cases_per_s)
    if not shares:
        return None, None
    return min(1.0, max([0.0, *shares])), max(0.0, min(left)) if left else None


def figures(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    """The numbers of the campaign: label, value, style. Red and yellow mean that something needs a look."""
    deaths = sum(snapshot.deaths.values())
    low = snapshot.cases > 100 and snapshot.valid_share < LOW_VALID_SHARE
    slow = "yellow" if snapshot.overhead > HIGH_OVERHEAD else ""
    some = snapshot.cases > 0
    return [
        ("cases", count(snapshot.cases), ""),
        ("rate now", rate(snapshot.cases_per_s), ""),
        ("rate mean", rate(snapshot.mean_cases_per_s), ""),
        ("corpus", count(snapshot.corpus), ""),
        ("valid", percent(snapshot.valid_share) if some else "-", "yellow" if low else ""),
        ("converted", percent(snapshot.conversion_share) if snapshot.built else "-", ""),
        ("refused", count(snapshot.refused), ""),
        ("overhead", percent(snapshot.overhead) if some else "-", slow),
        ("features", count(snapshot.features), ""),
        ("blocks", count(sum(snapshot.blocks.values())) if snapshot.all_blocks else "-", ""),
        ("restarts", count(snapshot.restarts), ""),
        ("recycled", count(snapshot.recycled), ""),
        ("deaths", count(deaths), "red" if deaths else ""),
    ]


def details(snapshot: Snapshot, width: int) -> Lines:
    """What the figures consist of, one line each, and what the examiner does."""
    suspicions = (
        f"{count(snapshot.suspicions)} raised · {pending_words(snapshot)} · {count(snapshot.dismissed)} dismissed"
    )
    rows = (
        ("deaths", tally(snapshot.deaths)),
        ("features", tally(snapshot.families)),
        ("blocks", blocks_line(snapshot)),
        ("discovery", discovery_line(snapshot)),
        ("operators", verdict_line(snapshot)),
        ("suspicions", suspicions),
        ("examiner", snapshot.examining or "idle"),
    )
    return [cut(line((f"{label:<10} ", "dim"), text), width) for label, text in rows]


def findings(snapshot: Snapshot, width: int, rows: int) -> Lines:
    """Findings of this run first, then by urgency; the newest one is on top and highlighted.

    What is off the main list is one line at the end, which comes before any title when there is little room.
    """
    if rows <= 0:
        return []
    titles = snapshot.listed
    fresh = sum(t.this_run for t in titles)
    newest = next((t for t in titles if _newest(snapshot, t)), None)
    filed = snapshot.newest_at or (newest.first_seen if newest else "")
    age = f", newest {ago(filed, parse_time(snapshot.written))} ago" if newest else ""
    lines = [heading(f"findings {len(titles)}, {fresh} first seen in this run{age}", width)]
    hidden = count_line((t.hidden for t in snapshot.titles), SHOW_HIDDEN)
    tail = [cut(line((f"  {hidden}", "dim")), width)] if hidden else []
    if not titles:
        return [*lines, line(("none yet", "dim")), *tail][:rows]
    ranked = sorted(
        titles, key=lambda t: (not _newest(snapshot, t), not t.this_run, urgency(t.kind, t.unit, t.severity))
    )
    room = rows - 1 - len(tail)
    shown = ranked if len(ranked) <= room else ranked[: max(0, room - 1)]
    lines += [_finding(snapshot, t, width) for t in shown]
    if len(shown) < len(ranked):
        lines.append(line((f"  and {len(ranked) - len(shown)} more: python -m fuzzer triage", "dim")))
    return [*lines, *tail][:rows]


def _newest(snapshot: Snapshot, title: TitleLine) -> bool:
    return title.this_run and title.title == snapshot.newest


def _finding(snapshot: Snapshot, title: TitleLine, width: int) -> Text:
    newest = _newest(snapshot, title)
    mark = "NEW " if newest else ("  + " if title.this_run else "    ")
    text = line((mark, "bold reverse green" if newest else "green"))
    text.append(fit(title.kind, 15), kind_style(title.kind))
    text.append(f" {fit(short_severity(title.severity, title.unit), 10, right=True)} ", "bold")
    text.append(f"x{short_count(title.count):<4} ", "dim")
    text.append(one_line(title.title), "bold" if newest else "")
    return cut(text, width)


def _warnings(snapshot: Snapshot, width: int, rows: int) -> Lines:
    """Across the whole screen. A warning that begins with `error` is red: the campaign lost something."""
    lines: Lines = []
    for text in snapshot.warnings:
        style = "bold white on red" if text.lower().startswith("error") else "bold black on yellow"
        lines += wrapped(f"! {text}", width, 2, style)
    if len(lines) > rows:
        hidden = len(lines) - rows + 1
        lines = [
            *lines[: rows - 1],
            *wrapped(f"! and {hidden} more lines: python -m fuzzer status", width, 1, "yellow"),
        ]
    return lines[:rows] if rows else []
