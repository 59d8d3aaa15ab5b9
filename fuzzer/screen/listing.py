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
from fuzzer.screen.lines import cut, line
from fuzzer.screen.text import ago, fit, kind_rank, kind_style, number, one_line, short_count, short_severity, urgency

ALL = ""
"""The filter value that lets everything through."""
SORTS: dict[str, Callable[[Finding], Any]] = {
    "severity": lambda f: (urgency(f.kind, f.unit, f.severity), f.title),
    "count": lambda f: (-f.count, f.title),
    "newest": lambda f: tuple(-ord(c) for c in f.first_seen),
    "title": lambda f: f.title.casefold(),
    "kind": lambda f: (f.kind, f.title),
}
STATE_STYLES = {"new": "bold", "known": "dim", "reported": "cyan", "duplicate": "dim", "fixed": "green"}
SIDE_COLUMNS = 90
"""From this width on a row has room for the whole name of a kind."""
ULP_COLUMN = 110
"""From this width on it has room for the error in ulp too."""
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
        *finding.ops, *finding.patterns, *finding.runtimes, *finding.dtypes,
    )  # fmt: skip
    text = "\n".join(fields).casefold()
    return all(word in text for word in words)


def caption(view: View, shown: int, findings: Sequence[Finding], width: int, hiding: Hiding | None = None) -> Text:
    """One line above the list: how many, filtered and sorted how, and how many are hidden."""
    off = hiding or {}
    total = sum(view.hidden or f.id not in off for f in findings)
    number = f"{shown} of {total}" if view.filtered else f"{total}"
    text = line((f"{number} finding{'s' if total != 1 else ''}", "bold"), (f"  by {view.sort}", ""))
    for name, value in (("state", view.state), ("kind", view.kind), ("search", view.search)):
        if value:
            text.append(f"  {name} {one_line(value)}", "bold reverse")
    left_out = count_line((off.get(f.id, "") for f in findings), "h shows them")
    if left_out:
        text.append("  with those hidden by default (h)" if view.hidden else f"  {left_out}", "yellow")
    if view.filtered:
        text.append("  Esc shows all", "dim")
    else:
        counts = Counter(f.state for f in findings if view.hidden or f.id not in off)
        text.append("  " + ", ".join(f"{counts[s]} {s}" for s in State if counts[s]), "dim")
    return cut(text, width)


def columns(width: int) -> Text:
    """The names of the columns of `row`."""
    kind = 15 if width >= SIDE_COLUMNS else 10
    ulp = f" {'ulp':>7}" if width >= ULP_COLUMN else ""
    head = f"  {'severity':>10}{ulp} {'kind':<{kind}} {'count':>5} {'state':<9} {'age':>6} title"
    return cut(line((head, "dim underline")), width)


def row(finding: Finding, width: int, now: datetime | None, selected: bool, hidden: str = "") -> Text:
    """One finding on one line. The selected one is marked by a character too, for screens without colour.

    One that is off the main list says why in front of its title.
    """
    kind_width = 15 if width >= SIDE_COLUMNS else 10
    text = line(
        "▸ " if selected else "  ",
        (fit(short_severity(finding.severity, finding.unit), 10, right=True), "bold"),
        *([fit(f" {number(finding.ulp) if finding.ulp > 0 else ''}", 8, right=True)] if width >= ULP_COLUMN else []),
        " ",
        (fit(finding.kind, kind_width), kind_style(finding.kind)),
        f" {short_count(finding.count):>5} ",
        (fit(finding.state, 9), STATE_STYLES.get(finding.state, "")),
        f" {ago(finding.first_seen, now):>6} ",
        (f"[{SHORT.get(hidden, hidden)}] " if hidden else "", "dim"),
        (one_line(finding.title), "dim" if hidden else ""),
    )
    cut(text, width)
    text.pad_right(max(0, width - text.cell_len))
    if selected:
        text.stylize("reverse")
    return text
