"""The findings list of the triage screen: which findings, in which order, and how a row reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.text import Text

from fuzzer.findings.finding import Finding, State
from fuzzer.findings.hiding import SHORT, count_line
from fuzzer.screen.brief import brief_title
from fuzzer.screen.lines import cut, line
from fuzzer.screen.text import (
    ago,
    fit,
    kind_rank,
    kind_style,
    number,
    one_line,
    short_ago,
    short_count,
    short_kind,
    short_severity,
    urgency,
)

ALL = ""
"""The filter value that lets everything through."""
SORTS: dict[str, Callable[[Finding], Any]] = {
    "severity": lambda f: (urgency(f.kind, f.unit, f.severity), f.title),
    "count": lambda f: (-f.count, f.title),
    "newest": lambda f: tuple(-ord(c) for c in f.first_seen),
    "last seen": lambda f: tuple(-ord(c) for c in f.last_seen),
    "title": lambda f: f.title.casefold(),
    "kind": lambda f: (f.kind, f.title),
    "state": lambda f: (_place(f.state), urgency(f.kind, f.unit, f.severity), f.title),
}
STATE_STYLES = {
    "new": "bold", "known": "dim", "reported": "cyan", "duplicate": "dim", "fixed": "green", "flaky": "magenta",
}  # fmt: skip
STATES_SHORT = {"reported": "filed", "duplicate": "dup"}
"""States in five cells, for small terminals."""
SIDE_COLUMNS = 90
"""From this width on a row has room for the whole name of a kind."""
ULP_COLUMN = 110
"""From this width on it has room for the error in ulp too."""
FULL_TITLES = 140
"""From this width on a title is only shortened where it has to be: most fit, and rows beside it say it alike."""
NO_FINDINGS = (
    "No findings yet.\nStart a campaign in another terminal:  python -m fuzzer --minutes 10\n"
    "This screen shows what it finds by itself."
)
NO_OTHERS = "All findings are off the main list.\nPress h to show them."
NO_MATCH = "No finding matches the filter.\nPress Esc to show all of them."
Hiding = Mapping[str, str]
"""Why findings are off the main list, by id; what is on it is not in here."""


@dataclass(frozen=True)
class View:
    """What the person asked to see."""

    state: str = ALL
    kind: str = ALL
    search: str = ""
    sort: str = "severity"
    hidden: bool = False
    """Whether to show what is off the main list: known behaviour, propagation of NaN."""

    def pick(self, findings: Sequence[Finding], hiding: Hiding | None = None) -> list[Finding]:
        """The findings that pass every filter, in order; those off the main list last, where they are shown."""
        off = hiding or {}
        words = self.search.casefold().split()
        passed = (
            f
            for f in findings
            if self.state in (ALL, f.state)
            and self.kind in (ALL, f.kind)
            and (self.hidden or f.id not in off)
            and _holds(f, words)
        )
        return sorted(passed, key=lambda f: (f.id in off, SORTS[self.sort](f)))

    def with_hidden(self) -> View:
        """The same view with what is off the main list, or without it again."""
        return replace(self, hidden=not self.hidden)

    def next_sort(self) -> View:
        """The same view in the next order."""
        return replace(self, sort=_after(list(SORTS), self.sort))

    def next_state(self, findings: Sequence[Finding]) -> View:
        """The same view of the next state that any finding is in."""
        present = {f.state for f in findings}
        known = [s.value for s in State if s.value in present]
        return replace(self, state=_after([ALL, *known, *sorted(present.difference(known))], self.state))

    def next_kind(self, findings: Sequence[Finding]) -> View:
        """The same view of the next kind that any finding has."""
        present = sorted({f.kind for f in findings}, key=lambda kind: (kind_rank(kind), kind))
        return replace(self, kind=_after([ALL, *present], self.kind))

    def cleared(self) -> View:
        """The same order without any filter; what is off the main list stays as it is."""
        return View(sort=self.sort, hidden=self.hidden)

    @property
    def filtered(self) -> bool:
        """Whether anything may be hidden."""
        return self.cleared() != self


def _place(state: str) -> int:
    """The order of the states; one of a newer release comes last."""
    return list(State).index(State(state)) if state in list(State) else len(State)


def _after(values: list[str], current: str) -> str:
    place = values.index(current) if current in values else -1
    return values[(place + 1) % len(values)]


def _holds(finding: Finding, words: list[str]) -> bool:
    """Whether every word occurs anywhere in what a person might remember of a finding."""
    if not words:
        return True
    fields = (
        finding.id, finding.title, finding.kind, finding.stage, finding.message, finding.blame, finding.note,
        finding.quantisation, finding.entry, finding.state, finding.case,
        finding.duplicate_of, *finding.ops, *finding.patterns, *finding.runtimes, *finding.dtypes,
        *finding.alternatives,
    )  # fmt: skip
    text = "\n".join(fields).casefold()
    return all(word in text for word in words)


def caption(view: View, shown: int, findings: Sequence[Finding], width: int, hiding: Hiding | None = None) -> Text:
    """One line above the list: how many, filtered and sorted how, and how many are hidden."""
    off = hiding or {}
    text = _shown(view, shown, findings, off, wordy=True)
    count = sum(f.id in off for f in findings)
    if text.cell_len + len(f"  +{count} hidden (h)") > width:
        text = _shown(view, shown, findings, off, wordy=False)
    forms: tuple[str, ...] = ()
    if view.hidden and off:
        forms = ("with those hidden by default (h)", f"with {count} hidden ones (h)", f"+{count} hidden")
    elif left_out := count_line((off.get(f.id, "") for f in findings), "h shows them"):
        forms = (left_out, f"{count} hidden (h shows them)", f"{count} hidden (h)", f"{count} hidden")
    if forms:
        fits = (form for form in forms if text.cell_len + 2 + len(form) <= width)
        text.append(f"  {next(fits, forms[-1])}", "yellow")
    return cut(text, width)


def _shown(view: View, shown: int, findings: Sequence[Finding], off: Hiding, *, wordy: bool) -> Text:
    """How many are shown of how many, in which order, through which filters."""
    total = sum(view.hidden or f.id not in off for f in findings)
    number = f"{shown} of {total}" if view.filtered else f"{total}"
    text = line((f"{number} finding{'s' if total != 1 else ''}", "bold"), (f" by {view.sort}", ""))
    for name, value in (("state", view.state), ("kind", view.kind), ("search", view.search)):
        if value:
            text.append(f"  {f'{name} ' if wordy else ''}{one_line(value)}", "bold reverse")
    if view.filtered:
        return text.append("  Esc shows all" if wordy else "  Esc: all", "dim")
    counts = Counter(f.state for f in findings if view.hidden or f.id not in off)
    return text.append("  " + ", ".join(f"{counts[s]} {s}" for s in State if counts[s]), "dim")


def why_empty(view: View, findings: Sequence[Finding]) -> str:
    """What an empty list says: why it is, and what to do."""
    if not findings:
        return NO_FINDINGS
    return NO_MATCH if view.filtered else NO_OTHERS


@dataclass(frozen=True)
class Layout:
    """Widths of the columns, in cells; 0 where there is no room for one."""

    severity: int
    ulp: int
    kind: int
    count: int
    state: int
    seen: int
    """Of each of the two: when it was seen first, and last. Under the short head `1st last` one has a cell more."""

    @property
    def short(self) -> bool:
        """Whether names and times are abbreviated."""
        return self.seen < len("59 min")


def layout(width: int) -> Layout:
    """The columns of a list that wide. On 80 cells half of them are left for the title."""
    if width >= SIDE_COLUMNS:
        return Layout(10, 8 if width >= ULP_COLUMN else 0, 15, 5, 9, 6)
    return Layout(9, 0, 7, 4, 5, 3)


def columns(width: int) -> Text:
    """The names of the columns of `row`."""
    lay = layout(width)
    ulp = f"{'ulp':>{lay.ulp}}" if lay.ulp else ""
    count = "seen" if lay.short else "count"
    head = f"  {'severity':>{lay.severity}}{ulp} {'kind':<{lay.kind}} {count:>{lay.count}} "
    seen = f"{'first':>{lay.seen}} {'last':>{lay.seen}}" if not lay.short else "1st last"
    return cut(line((f"{head}{'state':<{lay.state}} {seen} title", "dim underline")), width)


def row(finding: Finding, width: int, now: datetime | None, selected: bool, hidden: str = "") -> Text:
    """One finding on one line. The selected one is marked by a character too, for screens without colour.

    One that is off the main list says why in front of its title.
    """
    lay = layout(width)
    seen, kind = (short_ago, short_kind(finding.kind)) if lay.short else (ago, finding.kind)
    text = line(
        "▸ " if selected else "  ",
        (fit(short_severity(finding.severity, finding.unit), lay.severity, right=True), "bold"),
        *([fit(f" {number(finding.ulp) if finding.ulp > 0 else ''}", lay.ulp, right=True)] if lay.ulp else []),
        " ",
        (fit(kind, lay.kind), kind_style(finding.kind)),
        f" {fit(short_count(finding.count), lay.count, right=True)} ",
        (fit(state_cell(finding, lay.short), lay.state), STATE_STYLES.get(finding.state, "")),
        f" {fit(seen(finding.first_seen, now), lay.seen, right=True)}",
        f" {fit(seen(finding.last_seen, now), lay.seen + lay.short, right=True)} ",
        (f"[{SHORT.get(hidden, hidden)}] " if hidden else "", "dim"),
    )
    title = brief_title(finding, max(0, width - text.cell_len), always=width < FULL_TITLES)
    text.append(title, "dim" if hidden else "")
    cut(text, width)
    text.pad_right(max(0, width - text.cell_len))
    if selected:
        text.stylize("reverse")
    return text


def state_cell(finding: Finding, short: bool = False) -> str:
    """The state; of a new finding that not every fresh run showed, how many did: `new 2/3`, `2/3` in short.

    One that its last replay did not show any more is `gone?`: a person decides whether that is fixed or flaky.
    """
    if finding.state == State.NEW and finding.replayed == "gone":
        return "gone?"
    if finding.state == State.NEW and finding.reproduced < finding.repeats:
        share = f"{finding.reproduced}/{finding.repeats}"
        return share if short else f"{finding.state} {share}"
    return STATES_SHORT.get(finding.state, finding.state) if short else finding.state
