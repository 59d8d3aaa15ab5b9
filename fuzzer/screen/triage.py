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

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget
from textual.widgets import Input, Static

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.findings.finding import Finding, State
from fuzzer.findings.hiding import Hidden, Hider
from fuzzer.screen.deciding import Deciding
from fuzzer.screen.detail import JOBS, REPORT
from fuzzer.screen.doing import Doing
from fuzzer.screen.job_page import REPORT as REPORT_JOB
from fuzzer.screen.keys_in_turn import KeysInTurn
from fuzzer.screen.lines import Lines, cut, joined, line, wrapped
from fuzzer.screen.listing import View, caption, columns, why_empty
from fuzzer.screen.pane import DetailPane
from fuzzer.screen.source import UNREADABLE, TriageSource
from fuzzer.screen.stats import headline, statistics
from fuzzer.screen.text import one_line
from fuzzer.screen.triage_keys import bindings, footer, help_text
from fuzzer.screen.triage_widgets import CSS, FindingList, Help

REFRESH_S = 2.0
JOB_POLL_S = 0.25
MESSAGE_S = 8.0
SIDE_BY_SIDE = 130
"""From this width on the detail stands beside the list, below that under it."""
MIN_HEIGHT = 18
"""A lower terminal has no room for statistics beside findings."""
MESSAGE_ROWS = 3
"""A path or a reason may need more than a line of 80 cells."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TriageApp(KeysInTurn):
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
        self.source = source
        """Where findings come from and decisions go."""
        self._now = now
        self._clock = clock
        self._deciding = Deciding(self)
        self._doing = Doing(self, clock)
        self.findings: list[Finding] = []
        """All that were read last."""
        self._snapshot: Snapshot | None = None
        self._view = View()
        self._message = ""
        self._message_until = 0.0
        self._problem = ""
        self._warnings: list[str] = []
        self._stats_on = True
        self._leaving = False
        self._head, self._stats, self._keys = Static(id="head"), Static(id="stats"), Static(id="keys")
        self._warning = Static(id="warning")
        self._caption, self._columns = Static(id="caption"), Static(id="columns")
        self._list = FindingList(id="list")
        self._search = Input(placeholder="words; Enter keeps, Esc clears", id="search")
        self._pane = DetailPane(source, id="right")

    # --- layout -------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Head, statistics, list and detail, keys."""
        yield self._head
        yield self._warning
        yield self._stats
        with Container(id="body"):
            with Vertical(id="left"):
                yield self._caption
                yield self._columns
                yield self._list
                yield self._search
            yield self._pane
        yield self._keys

    def on_mount(self) -> None:
        """Reads, draws, and goes on doing so."""
        self._list.focus()
        self._arrange(self.size.width)
        self.reload()
        self.set_interval(REFRESH_S, self.reload)
        self.set_interval(JOB_POLL_S, self._tick)

    def on_resize(self, event: events.Resize) -> None:
        """Another size may ask for another arrangement."""
        # The event's size: `self.size` of a real terminal is still the one before.
        self._arrange(event.size.width)
        # Widths of the panes are known after the layout that this resize leads to.
        self.call_after_refresh(self._draw)

    def _arrange(self, width: int) -> None:
        base = self.screen_stack[0] if self.screen_stack else self.screen
        base.set_class(width < SIDE_BY_SIDE, "stacked")

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
            self.findings = list(self.source.findings())
            self._hidden = {f.id: hidden for f in self.findings if (hidden := self._hider(f)) is not None}
            self._problem = ""
        except UNREADABLE as broken:
            # What was read before stays on the screen: it is more use than nothing.
            self._problem = f"can't read the findings: {broken}"
        self._warnings = [unread] if (unread := self.source.unread()) else []
        try:
            self._snapshot = self.source.snapshot()
        except UNREADABLE as broken:
            self._warnings.append(f"no statistics: {broken}")
        self._draw()

    @property
    def selected(self) -> Finding | None:
        """The finding that keys act on."""
        return self._list.selected

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
        rows = self._view.pick(self.findings, hiding)
        self._list.show(rows, self._now(), why_empty(self._view, self.findings), hiding)
        width = self._list.size.width or self.size.width
        self._caption.update(caption(self._view, len(rows), self.findings, width, hiding))
        self._columns.update(columns(width) if rows else line())

    def _draw_head(self) -> None:
        width = self.size.width
        rows: Lines = []
        if self._problem:
            rows += wrapped(f" {self._problem}", width, MESSAGE_ROWS, "bold white on red")
        if self._message:
            rows += wrapped(f" {self._message}", width, MESSAGE_ROWS, "bold reverse")
        elif not rows:
            doing = self._doing.headline()
            rows = [cut(doing or line((" triage  ", "bold"), headline(self._snapshot, self._now())), width)]
        self._head.update(joined(rows))
        self._warning.display = bool(self._warnings)
        warnings = [row for text in self._warnings for row in wrapped(f" {text}", width, 2, "yellow")]
        self._warning.update(joined(warnings))

    def _draw_stats(self) -> None:
        shown = self._stats_on and self.size.height >= MIN_HEIGHT and not self._reading
        self._stats.display = shown
        # A quarter of the screen: enough for many patterns on a tall one, for the worst three on 24 lines.
        rows = min(14, max(6, self.size.height // 4))
        if shown:
            self._stats.update(joined(statistics(self._snapshot, self.size.width, rows)))

    def _draw_page(self) -> None:
        finding = self.selected
        hidden = self._hidden.get(finding.id) if finding else None
        self._pane.show(finding, hidden, self._doing.jobs.all(), self._now())

    def _tick(self) -> None:
        if not self._standing:
            return
        if self._doing.poll():
            self._leaving = False
            self.reload()
        elif self._pane.number == JOBS:
            self._draw_page()
        if self._message and self._clock() > self._message_until:
            self._message = ""
            self._leaving = False  # the question is gone, so is the answer
        self._draw_head()

    def say(self, message: str) -> None:
        self._message = one_line(message)
        self._message_until = self._clock() + MESSAGE_S
        self._draw_head()

    # --- looking ------------------------------------------------------------------------------------------

    def on_finding_list_selected(self) -> None:
        """Another finding: its page from the top."""
        self._draw_page()
        self._pane.to_top()

    def on_finding_list_opened(self) -> None:
        """Enter on a finding: the page takes the whole screen."""
        self._read(True)

    @property
    def _reading(self) -> bool:
        return self.screen_stack[0].has_class("reading")

    def _read(self, on: bool) -> None:
        self.screen.set_class(on, "reading")
        self._draw_stats()
        self._focus(self._pane.scroll if on else self._list)

    def _focus(self, widget: Widget) -> None:
        """At once, so that the next key goes there: `Widget.focus` would wait its turn."""
        self.screen_stack[0].set_focus(widget)

    def on_key(self, event: events.Key) -> None:
        """A message goes with the next key. In the page j and k scroll, and Enter goes back as it came."""
        self._message = ""
        if self.focused is not self._pane.scroll:
            return
        if event.key in ("j", "k"):
            self._pane.scroll_by(1 if event.key == "j" else -1)
        elif event.key == "enter":
            self._read(not self._reading)
            event.prevent_default()  # or the list, which has the focus now, would open it again

    def action_page(self, number: int) -> None:
        """Opens one of the pages."""
        self._pane.number = number
        self._draw_page()
        self._pane.to_top()

    def action_scroll_page(self, direction: int) -> None:
        """Scrolls the page from wherever the keyboard is."""
        self._pane.scroll_by_page(direction)

    def action_statistics(self) -> None:
        """Shows or hides the statistics."""
        self._stats_on = not self._stats_on
        self._draw_stats()

    def action_search(self) -> None:
        """Opens the search self._search."""
        self._read(False)
        self._search.add_class("open")
        self._search.value = self._view.search
        self._focus(self._search)

    def on_input_changed(self, event: Input.Changed) -> None:
        """The list follows every letter."""
        if event.input.id == "search" and event.input.has_class("open"):
            self._show(replace(self._view, search=event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the words and goes back to the list."""
        if event.input.id == "search":
            event.input.remove_class("open")
            self._focus(self._list)

    def action_step_back(self) -> None:
        """Esc: out of the search, out of the page, then out of the filters."""
        if self._search.has_class("open"):
            self._search.remove_class("open")
            self._show(replace(self._view, search=""))
            self._focus(self._list)
        elif self._reading:
            self._read(False)
        else:
            self._show(self._view.cleared())

    def action_sort(self) -> None:
        """The next order."""
        self._show(self._view.next_sort())

    def action_filter_state(self) -> None:
        """The next state."""
        self._show(self._view.next_state(self.findings))

    def action_filter_kind(self) -> None:
        """The next kind."""
        self._show(self._view.next_kind(self.findings))

    def action_hidden(self) -> None:
        """What is off the main list."""
        self._show(self._view.with_hidden())

    def _show(self, view: View) -> None:
        """Another view begins at its top, where the worst, the newest, or what was looked for stands.

        Back out of a filter the selection stays on its finding: it is what the person was looking for.
        """
        widened = self._view.filtered and not view.filtered
        self._view = view
        self._draw_list()
        if not widened:
            self._list.action_move(-len(self._list.rows))
        self._draw_page()

    def action_help(self) -> None:
        """Every key."""
        self.push_screen(Help(help_text()))

    # --- deciding and doing -------------------------------------------------------------------------------

    def action_mark(self, state: str) -> None:
        """Marks the selected finding."""
        self._deciding.mark(State(state))

    def action_note(self) -> None:
        """Writes or changes the note."""
        self._deciding.note()

    def action_duplicate(self) -> None:
        """Marks the selected finding as a duplicate."""
        self._deciding.duplicate()

    def action_start(self, verb: str) -> None:
        """Runs something beside the screen; what a script prints is what it is run for, so that page opens."""
        if self._doing.start(verb):
            self._message = ""
            self._draw_head()
            if verb == "repro.py":
                self.action_page(JOBS)

    def action_report(self) -> None:
        """Opens the report on the whole screen and writes the one that is ready to send."""
        if self._doing.start(REPORT_JOB):
            self.action_page(REPORT)
            self._read(True)

    def action_stop(self) -> None:
        """Stops what runs."""
        self._doing.stop()

    def action_path(self) -> None:
        """Shows the folder of the selected finding and copies its path where the terminal can."""
        self._doing.show_path()

    def action_leave(self) -> None:
        """Quits; asks once when that would cut a job short."""
        running = self._doing.jobs.current
        if running and not self._leaving:
            self._leaving = True
            self.say(f"{running.verb} is running: press q again to quit and stop it")
        else:
            self.exit()

    def on_unmount(self) -> None:
        """Nothing that was started here outlives the screen."""
        self._doing.jobs.close()
