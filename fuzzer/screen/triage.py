"""The interactive triage screen: the findings, the campaign that makes them, and what a person decides.

It draws what its source says every two seconds and keeps nothing but the view, so that it may be closed
at any moment and opened twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.widgets import Input, Static

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.findings.finding import Finding, State
from fuzzer.findings.hiding import Hidden, Hider
from fuzzer.screen.detail import PAGES, page, stamp
from fuzzer.screen.jobs import Job, Jobs
from fuzzer.screen.lines import cut, joined, line
from fuzzer.screen.listing import View, caption, columns
from fuzzer.screen.source import UNREADABLE, TriageSource
from fuzzer.screen.stats import headline, statistics
from fuzzer.screen.text import one_line, span
from fuzzer.screen.triage_keys import bindings, footer, help_text
from fuzzer.screen.triage_widgets import CSS, Ask, AskOriginal, FindingList, Help

REFRESH_S = 2.0
JOB_POLL_S = 0.25
MESSAGE_S = 8.0
SIDE_BY_SIDE = 130
"""From this width on the detail stands beside the list, below that under it."""
MIN_HEIGHT = 18
"""A lower terminal has no room for statistics beside findings."""
SPINNER = "|/-\\"
NO_FINDINGS = (
    "No findings yet.\nStart a campaign in another terminal:  python -m fuzzer --minutes 10\n"
    "This screen shows what it finds by itself."
)
NO_OTHERS = "All findings are off the main list.\nPress h to show them."
NO_MATCH = "No finding matches the filter.\nPress Esc to show all of them."


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TriageApp(App[None]):
    """`python -m fuzzer triage`."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = bindings()
    CSS = CSS

    def __init__(
        self,
        source: TriageSource,
        now: Callable[[], datetime] = _utc_now,
        clock: Callable[[], float] = time.monotonic,
        hider: Hider | None = None,
    ) -> None:
        super().__init__()
        self._hider = hider or Hider()
        self._hidden: dict[str, Hidden] = {}
        self._source = source
        self._now = now
        self._clock = clock
        self._jobs = Jobs(clock)
        self._findings: list[Finding] = []
        self._snapshot: Snapshot | None = None
        self._view = View()
        self._page = 0
        self._drawn: object = None
        self._message = ""
        self._message_until = 0.0
        self._problem = ""
        self._stats_on = True
        self._leaving = False
        self._head, self._stats, self._keys = Static(id="head"), Static(id="stats"), Static(id="keys")
        self._caption, self._columns = Static(id="caption"), Static(id="columns")
        self._list = FindingList(id="list")
        self._search = Input(placeholder="words; Enter keeps, Esc clears", id="search")
        self._tabs, self._text = Static(id="tabs"), Static(id="page")
        self._scroll = VerticalScroll(id="scroll")

    # --- layout -------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Head, statistics, list and detail, keys."""
        yield self._head
        yield self._stats
        with Container(id="body"):
            with Vertical(id="left"):
                yield self._caption
                yield self._columns
                yield self._list
                yield self._search
            with Vertical(id="right"):
                yield self._tabs
                with self._scroll:
                    yield self._text
        yield self._keys

    def on_mount(self) -> None:
        """Reads, draws, and goes on doing so."""
        self._list.focus()
        self._arrange()
        self.reload()
        self.set_interval(REFRESH_S, self.reload)
        self.set_interval(JOB_POLL_S, self._tick)

    def on_resize(self, event: events.Resize) -> None:
        """Another size may ask for another arrangement."""
        self._arrange()
        # Widths of the panes are known after the layout that this resize leads to.
        self.call_after_refresh(self._draw)

    def _arrange(self) -> None:
        base = self.screen_stack[0] if self.screen_stack else self.screen
        base.set_class(self.size.width < SIDE_BY_SIDE, "stacked")

    @property
    def _standing(self) -> bool:
        """Whether the parts are on the screen: a timer may fire while the screen is taken down."""
        return self._list.is_attached

    # --- drawing ------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Reads findings and statistics anew and draws them; selection and scroll stay."""
        if not self._standing:
            return
        try:
            self._findings = list(self._source.findings())
            self._hidden = {f.id: hidden for f in self._findings if (hidden := self._hider(f)) is not None}
            self._snapshot = self._source.snapshot()
            self._problem = ""
        except UNREADABLE as broken:
            # What was read before stays on the screen: it is more use than nothing.
            self._problem = f"can't read the findings: {broken}"
        self._draw()

    def _draw(self) -> None:
        if not self._standing:
            return
        self._draw_list()
        self._draw_head()
        self._draw_stats()
        self._draw_page()
        self._keys.update(joined(footer(self.size.width)[: max(1, self.size.height // 8)]))

    def _draw_list(self) -> None:
        hiding = {id_: hidden.why for id_, hidden in self._hidden.items()}
        rows = self._view.pick(self._findings, hiding)
        empty = (NO_MATCH if self._view.filtered else NO_OTHERS) if self._findings else NO_FINDINGS
        self._list.show(rows, self._now(), empty, hiding)
        width = self._list.size.width or self.size.width
        self._caption.update(caption(self._view, len(rows), self._findings, width, hiding))
        self._columns.update(columns(width) if rows else line())

    def _draw_head(self) -> None:
        width = self.size.width
        if self._problem:
            text = line((f" {self._problem}", "bold white on red"))
        elif self._message:
            text = line((f" {self._message}", "bold reverse"))
        elif job := self._jobs.current:
            turn = SPINNER[int(self._clock() / JOB_POLL_S) % len(SPINNER)]
            more = f", {self._jobs.waiting} more waiting" if self._jobs.waiting else ""
            text = line((f" {turn} {job.verb} {span(self._jobs.elapsed_s())}{more}: ", "bold"), job.title)
        else:
            text = line((" triage  ", "bold"), headline(self._snapshot, self._now()))
        self._head.update(cut(text, width))

    def _draw_stats(self) -> None:
        shown = self._stats_on and self.size.height >= MIN_HEIGHT
        self._stats.display = shown
        # A third of the screen: enough for every pattern on a tall one, for the worst five on 24 lines.
        rows = min(14, max(4, self.size.height // 3))
        if shown:
            self._stats.update(joined(statistics(self._snapshot, self.size.width, rows)))

    def _draw_page(self) -> None:
        """Draws the open page when anything it shows has changed."""
        names = line()
        for i, name in enumerate(PAGES):
            names.append(f" {i + 1} {name} ", "bold reverse" if i == self._page else "")
        self._tabs.update(names)
        finding = self._list.selected
        if finding is None:
            self._drawn = None
            self._text.update(Text("Nothing is selected.", style="dim"))
            return
        try:
            folder = self._source.files(finding.id)
        except UNREADABLE as broken:
            self._drawn = None
            self._text.update(Text(f"No folder: {one_line(str(broken))}", style="yellow"))
            return
        drawn = (self._page, finding, stamp(folder))
        if self._drawn != drawn:
            self._drawn = drawn
            self._text.update(page(PAGES[self._page], finding, folder, self._now(), self._hidden.get(finding.id)))

    def _tick(self) -> None:
        if not self._standing:
            return
        ended = self._jobs.poll()
        if ended:
            self._leaving = False
            self._say(f"{ended.verb} {'failed: ' if ended.failed else 'done: '}{ended.outcome} ({ended.title})")
            self.reload()
        if self._message and self._clock() > self._message_until:
            self._message = ""
        self._draw_head()

    def _say(self, message: str) -> None:
        self._message = one_line(message)
        self._message_until = self._clock() + MESSAGE_S
        self._draw_head()

    # --- looking ------------------------------------------------------------------------------------------

    def on_finding_list_selected(self) -> None:
        """Another finding: its page from the top."""
        self._draw_page()
        self._scroll.scroll_home(animate=False)

    def on_finding_list_opened(self) -> None:
        """Enter on a finding: the page takes the whole screen."""
        self._read(True)

    @property
    def _reading(self) -> bool:
        return self.screen.has_class("reading")

    def _read(self, on: bool) -> None:
        self.screen.set_class(on, "reading")
        (self._scroll if on else self._list).focus()

    def on_key(self, event: events.Key) -> None:
        """A message goes with the next key. In the page j and k scroll, and Enter goes back as it came."""
        self._message = ""
        if self.focused is not self._scroll:
            return
        if event.key in ("j", "k"):
            self._scroll.scroll_relative(y=1 if event.key == "j" else -1, animate=False)
        elif event.key == "enter":
            self._read(not self._reading)

    def action_page(self, number: int) -> None:
        """Opens one of the pages."""
        self._page = number
        self._draw_page()
        self._scroll.scroll_home(animate=False)

    def action_scroll_page(self, direction: int) -> None:
        """Scrolls the page from wherever the keyboard is."""
        self._scroll.scroll_relative(y=direction * max(1, self._scroll.size.height - 1), animate=False)

    def action_statistics(self) -> None:
        """Shows or hides the statistics."""
        self._stats_on = not self._stats_on
        self._draw_stats()

    def action_search(self) -> None:
        """Opens the search self._search."""
        self._read(False)
        self._search.add_class("open")
        self._search.value = self._view.search
        self._search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The list follows every letter."""
        if event.input.id == "search" and event.input.has_class("open"):
            self._show(replace(self._view, search=event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the words and goes back to the list."""
        if event.input.id == "search":
            event.input.remove_class("open")
            self._list.focus()

    def action_step_back(self) -> None:
        """Esc: out of the search, out of the page, then out of the filters."""
        if self._search.has_class("open"):
            self._search.remove_class("open")
            self._show(replace(self._view, search=""))
            self._list.focus()
        elif self._reading:
            self._read(False)
        else:
            self._show(self._view.cleared())

    def action_sort(self) -> None:
        """The next order."""
        self._show(self._view.next_sort())

    def action_filter_state(self) -> None:
        """The next state."""
        self._show(self._view.next_state(self._findings))

    def action_filter_kind(self) -> None:
        """The next kind."""
        self._show(self._view.next_kind(self._findings))

    def action_hidden(self) -> None:
        """What is off the main list."""
        self._show(self._view.with_hidden())

    def _show(self, view: View) -> None:
        self._view = view
        self._draw_list()
        self._draw_page()

    def action_help(self) -> None:
        """Every key."""
        self.push_screen(Help(help_text()))

    # --- deciding -----------------------------------------------------------------------------------------

    def action_mark(self, state: str) -> None:
        """Marks the selected finding; known and reported ask for a note first."""
        finding, wanted = self._list.selected, State(state)
        if finding is None:
            self._say("there is no finding to mark")
        elif wanted is State.REPORTED:
            self._ask_note(finding, wanted, "Reported where? (link)")
        elif wanted is State.KNOWN:
            self._ask_note(finding, wanted, "Known from where? (link or a few words)")
        else:
            self._mark(finding, wanted, finding.note)

    def action_note(self) -> None:
        """Asks for a note and keeps the state."""
        if finding := self._list.selected:
            self._ask_note(finding, State(finding.state), "Note")
        else:
            self._say("there is no finding to write a note on")

    def _ask_note(self, finding: Finding, state: State, question: str) -> None:
        def answered(note: str | None) -> None:
            if note is not None:
                original = finding.duplicate_of if state is State.DUPLICATE else ""
                self._mark(finding, state, note, original)

        self.push_screen(Ask(question, finding.title, finding.note), answered)

    def action_duplicate(self) -> None:
        """Asks which finding the selected one is a duplicate of."""
        finding = self._list.selected
        others = [f for f in self._findings if finding and f.id != finding.id and f.state != State.DUPLICATE]
        if finding is None or not others:
            self._say("there is no other finding this could be a duplicate of")
            return
        marked = finding

        def answered(original: str | None) -> None:
            if original is not None:
                self._mark(marked, State.DUPLICATE, marked.note, original)

        self.push_screen(AskOriginal(finding, others), answered)

    def _mark(self, finding: Finding, state: State, note: str, duplicate_of: str = "") -> None:
        try:
            self._source.mark(finding.id, state, note, duplicate_of)
        except UNREADABLE as broken:
            self._say(f"not saved: {broken}")
            return
        what = f"duplicate of {duplicate_of}" if duplicate_of else state.value
        self.reload()
        self._say(f"saved as {what}: {finding.title}")

    # --- doing --------------------------------------------------------------------------------------------

    def action_replay(self) -> None:
        """Replays the selected finding beside the screen."""
        self._start("replay", self._source.replay)

    def action_minimise(self) -> None:
        """Minimises the selected finding beside the screen."""
        self._start("minimise", self._source.minimize)

    def _start(self, verb: str, work: Callable[[str], str]) -> None:
        finding = self._list.selected
        if finding is None:
            self._say(f"there is no finding to {verb}")
        elif self._jobs.add(Job(verb, finding.id, finding.title, work)):
            self._message = ""
            self._draw_head()
        else:
            self._say(f"{verb} of this finding is already under way")

    def action_path(self) -> None:
        """Shows the folder of the selected finding and copies its path where the terminal can."""
        if finding := self._list.selected:
            path = str(self._source.files(finding.id))
            self.copy_to_clipboard(path)
            self._say(f"{path}  (copied, if the terminal allows it)")
        else:
            self._say("there is no finding to show the folder of")

    def action_leave(self) -> None:
        """Quits; asks once when that would cut a job short."""
        if self._jobs.current and not self._leaving:
            self._leaving = True
            self._say(f"{self._jobs.current.verb} is running: press q again to quit and drop it")
        else:
            self.exit()
