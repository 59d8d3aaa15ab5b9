"""The right (or lower) half of the triage screen: the tabs, and the open page of the selected finding."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from fuzzer.findings.finding import Finding
from fuzzer.findings.hiding import Hidden
from fuzzer.screen.detail import JOBS, PAGES, REPORT, page, stamp
from fuzzer.screen.jobs import Job
from fuzzer.screen.lines import line
from fuzzer.screen.source import UNREADABLE, TriageSource
from fuzzer.screen.text import one_line


class DetailPane(Vertical):
    """One page of one finding; drawn anew only when anything that it shows has changed, so that its scroll stays."""

    def __init__(self, source: TriageSource, id: str) -> None:
        super().__init__(id=id)
        self._source = source
        self.number = 0
        """The open page."""
        self.scroll = VerticalScroll(id="scroll")
        """What takes the keyboard when the page is read."""
        self._tabs, self._text = Static(id="tabs"), Static(id="page")
        self._drawn: object = None

    def compose(self) -> ComposeResult:
        """The tabs above the page."""
        yield self._tabs
        with self.scroll:
            yield self._text

    def show(self, finding: Finding | None, hidden: Hidden | None, jobs: Sequence[Job], now: datetime) -> None:
        """Draws the open page of `finding`; `jobs` are those of the session."""
        names = line()
        for i, name in enumerate(PAGES):
            names.append(f" {i + 1} {name} ", "bold reverse" if i == self.number else "")
        self._tabs.update(names)
        if finding is None:
            self._say("Nothing is selected.", "dim")
            return
        try:
            folder = self._source.files(finding.id)
        except UNREADABLE as broken:
            self._say(f"No folder: {one_line(str(broken))}", "yellow")
            return
        # What the pages of jobs and of the report show of jobs; no other page has to be drawn anew for them.
        state = [(job.verb, job.started, job.outcome, len(job.life.lines), list(job.life.lines)[-1:]) for job in jobs]
        drawn = (self.number, finding, stamp(folder), state if self.number in (JOBS, REPORT) else None)
        if self._drawn != drawn:
            self._drawn = drawn
            self._text.update(page(PAGES[self.number], finding, folder, now, hidden, jobs))

    def _say(self, sentence: str, style: str) -> None:
        self._drawn = None
        self._text.update(Text(sentence, style=style))

    def to_top(self) -> None:
        """Scrolls home."""
        self.scroll.scroll_home(animate=False)

    def scroll_by(self, rows: int) -> None:
        """Scrolls by rows."""
        self.scroll.scroll_relative(y=rows, animate=False)

    def scroll_by_page(self, direction: int) -> None:
        """Scrolls by a screenful, but for a row."""
        self.scroll_by(direction * max(1, self.scroll.size.height - 1))
