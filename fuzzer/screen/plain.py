"""A campaign in plain text: one line every few seconds, and the account at its end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from fuzzer.campaign.snapshot import Snapshot, TitleLine
from fuzzer.findings.hiding import count_line
from fuzzer.screen.discovery import blocks_line, discovery_line
from fuzzer.screen.examining import pending_words, stages_line
from fuzzer.screen.health import verdict_line
from fuzzer.screen.text import count, duration, one_line, percent, rate, severity, short_count, tally, ulps, urgency

_STATUS_HIDDEN = "python -m fuzzer status --hidden"
SHOW_HIDDEN = f"{_STATUS_HIDDEN} shows them"
MAX_LINE = 160
NARROW = 100


def plain_line(snapshot: Snapshot) -> str:
    """The campaign in one line of `key=value` fields, at most 160 characters.

    When numbers grow long the least important fields are left out; the others keep their names and order.
    """
    time = duration(snapshot.elapsed_s)
    if snapshot.budget_s is not None:
        time += f"/{duration(snapshot.budget_s)}"
    cases = str(snapshot.cases)
    if snapshot.budget_cases is not None:
        cases += f"/{snapshot.budget_cases}"
    fresh = sum(t.this_run for t in snapshot.listed)
    # (rank, field): the highest rank goes first when there is no room.
    fields = [
        (0, one_line(snapshot.state).replace(" ", "-")[:12]),
        (0, f"time={time.replace(' ', '')}"),
        (0, f"cases={cases}"),
        (0, f"rate={rate(snapshot.cases_per_s)}"),
        (2, f"valid={percent(snapshot.valid_share)}"),
        (3, f"converted={percent(snapshot.conversion_share)}"),
        (6, f"overhead={percent(snapshot.overhead)}"),
        (2, f"features={snapshot.features}"),
        *([(3, f"blocks={sum(snapshot.blocks.values())}")] if snapshot.all_blocks else []),
        (4, f"corpus={snapshot.corpus}"),
        (4, f"restarts={snapshot.restarts}"),
        (2, f"deaths={sum(snapshot.deaths.values())}"),
        (5, f"pending={snapshot.pending}"),
        (1, f"findings={len(snapshot.listed)}"),
        (1, f"new={fresh}"),
    ]
    if snapshot.warnings:
        fields.append((1, f"warnings={len(snapshot.warnings)}"))
    while len(text := " ".join(field for _, field in fields)) > MAX_LINE:
        fields.remove(max(fields, key=lambda item: item[0]))
    return text


def summary(snapshot: Snapshot, hidden: bool = False) -> str:
    """The account of a campaign: its figures, every title found, what to do next; no colours.

    Titles that are off the main list are counted; with `hidden` they are listed too.
    """
    lines = [_headline(snapshot), "", *_figures(snapshot), *_warnings(snapshot), "", *_titles(snapshot, hidden), ""]
    lines += _next_steps(snapshot)
    return "\n".join(lines) + "\n"


def _headline(snapshot: Snapshot) -> str:
    fresh = sum(t.this_run for t in snapshot.listed)
    end = {"finished": "finished", "stopping": "stopped"}.get(snapshot.state, one_line(snapshot.state))
    found = f"{fresh} new finding{'s' if fresh != 1 else ''}" if fresh else "no new finding"
    return f"campaign {end} after {duration(snapshot.elapsed_s)}: {count(snapshot.cases)} cases, {found}"


def _figures(snapshot: Snapshot) -> list[str]:
    rows = [
        (
            "cases",
            f"{count(snapshot.cases)}, {rate(snapshot.mean_cases_per_s)} on average, seed {snapshot.seed}",
        ),
        ("valid", f"{percent(snapshot.valid_share)} of cases built ({count(snapshot.built)})"),
        (
            "converted",
            f"{percent(snapshot.conversion_share)} of those ({count(snapshot.converted)}), "
            f"{count(snapshot.refused)} cleanly refused, {count(snapshot.compared)} compared",
        ),
        ("overhead", f"{percent(snapshot.overhead)} of a case's time outside TensorFlow and TFLite"),
        (
            "executors",
            f"{count(snapshot.restarts)} restarts, {count(snapshot.recycled)} of them planned; "
            f"deaths: {tally(snapshot.deaths)}",
        ),
        ("features", f"{count(snapshot.features)} ({tally(snapshot.families)})"),
        ("blocks", blocks_line(snapshot)),
        ("discovery", discovery_line(snapshot)),
        ("operators", verdict_line(snapshot)),
        ("corpus", f"{count(snapshot.corpus)} cases in {one_line(snapshot.corpus_dir) or 'corpus'}"),
        (
            "suspicions",
            f"{count(snapshot.suspicions)} raised, {count(snapshot.dismissed)} dismissed, {pending_words(snapshot)}",
        ),
    ]
    if stages := stages_line(snapshot):
        rows.append(("examining", stages))
    if snapshot.versions:
        rows.append(("versions", one_line(snapshot.versions)))
    return [f"  {label:<11}{text}" for label, text in rows]


def _warnings(snapshot: Snapshot) -> list[str]:
    return [f"  warning    {one_line(text)}" for text in snapshot.warnings]


def _titles(snapshot: Snapshot, hidden: bool) -> list[str]:
    if not snapshot.titles:
        return ["findings: none"]
    listed = snapshot.listed
    fresh = sum(t.this_run for t in listed)
    where = one_line(snapshot.crashes_dir) or "crashes"
    lines = [f"findings: {len(listed)} in {where}, {fresh} new (+)", *_rows(listed)]
    left_out = [t for t in snapshot.titles if t.hidden]
    if left_out:
        how = "listed below" if hidden else f"{_STATUS_HIDDEN}{_elsewhere(snapshot)} shows them"
        lines.append(f"  {count_line((t.hidden for t in left_out), how)}")
    for why in dict.fromkeys(sorted(t.hidden for t in left_out)) if hidden else ():
        some = [t for t in left_out if t.hidden == why]
        lines += ["", f"hidden: {why}", *_rows(some)]
    return lines


def _rows(titles: Sequence[TitleLine]) -> list[str]:
    ranked = sorted(titles, key=lambda t: (not t.this_run, urgency(t.kind, t.unit, t.severity), t.title))
    kind_width = min(16, max((len(one_line(t.kind)) for t in ranked), default=0))
    lines = []
    for t in ranked:
        mark = "+" if t.this_run else " "
        bad = f"{severity(t.severity, t.unit):>11} {ulps(t.ulp):>11} x{short_count(t.count):<4}"
        lines.append(f"{mark} {one_line(t.id):<12} {one_line(t.kind):<{kind_width}} {bad} {one_line(t.title)}")
    return lines


def _elsewhere(snapshot: Snapshot) -> str:
    """The option that names a folder of findings which is not the default one."""
    plain = snapshot.crashes_dir in ("", "crashes")
    return "" if plain else f" --crashes {shlex.quote(snapshot.crashes_dir)}"


def _next_steps(snapshot: Snapshot) -> list[str]:
    steps = []
    if snapshot.titles:
        where = f" --crashes {shlex.quote(snapshot.crashes_dir)}" if snapshot.crashes_dir not in ("", "crashes") else ""
        steps += [
            (f"python -m fuzzer triage{where}", "look at the findings and mark them"),
            (f"python -m fuzzer replay --all{where}", "check that each one still reproduces"),
        ]
    if snapshot.pending:
        steps.append(("python -m fuzzer --minutes 10", f"goes on, with the {count(snapshot.pending)} pending first"))
    if not steps:
        steps.append(("python -m fuzzer --hours 8", "go on from the corpus"))
    width = max(len(command) for command, _ in steps)
    return ["next:", *(f"  {command:<{width}}  {why}" for command, why in steps)]
