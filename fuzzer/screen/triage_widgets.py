"""The parts of the triage screen: the list, the questions it asks, and its help."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.geometry import Region, Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from fuzzer.findings.finding import Finding
from fuzzer.screen.lines import line
from fuzzer.screen.listing import Hiding, row
from fuzzer.screen.text import one_line

CSS = """
Screen { overflow: hidden; }
#warning { height: auto; }
#head { height: auto; background: $primary-background; }
#stats { height: auto; }
#body { height: 1fr; layout: horizontal; }
#left { width: 1fr; }
#right { width: 1fr; border-left: solid $primary-background; }
#caption, #columns, #tabs { height: 1; }
#caption, #tabs { background: $boost; }
#list { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
#scroll { height: 1fr; scrollbar-size-vertical: 1; }
#page { padding: 0 1; height: auto; }
#keys { height: auto; background: $primary-background; }
#search { display: none; height: 1; border: none; padding: 0 1; }
#search.open { display: block; }
.stacked #body { layout: vertical; }
.stacked #left { height: 1fr; width: 100%; }
.stacked #right { height: 1fr; width: 100%; border-left: none; }
.reading #left { display: none; }
.reading #right { border-left: none; }
Ask, AskOriginal, Help { align: center middle; }
.dialog { width: 90%; max-width: 100; height: auto; padding: 0 2; border: round $primary;
  background: $surface; }
.tall { height: 90%; max-height: 40; }
.dialog OptionList { height: 1fr; border: none; padding: 0; }
.dialog Input { height: 1; border: none; padding: 0 1; margin: 1 0; background: $boost; }
"""
"""The layout of the triage screen: here and not in a file of its own, so that every installation has it."""
MAX_CHOICES = 200
"""Findings offered as the original of a duplicate; typing narrows them down."""


class FindingList(ScrollView, can_focus=True):
    """The list of findings. Only the visible rows are drawn, so a thousand cost as much as ten."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end,G", "move(1000000)", show=False),
        Binding("enter", "open", show=False),
    ]

    class Selected(Message):
        """Another finding is selected, or none any more."""

    class Opened(Message):
        """The person wants to read the selected finding."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.rows: list[Finding] = []
        self.hiding: Hiding = {}
        self.place = 0
        self.now: datetime | None = None
        self.empty = ""

    @property
    def selected(self) -> Finding | None:
        """The selected finding."""
        return self.rows[self.place] if self.rows else None

    def show(self, rows: list[Finding], now: datetime | None, empty: str, hiding: Hiding | None = None) -> None:
        """Shows other rows; the selection stays on its finding, or near its place when that is gone."""
        before = self.selected
        same = next((i for i, f in enumerate(rows) if before and f.id == before.id), None)
        moved = same is not None and same != self.place
        self.place = same if same is not None else max(0, min(self.place, len(rows) - 1))
        self.rows, self.now, self.empty, self.hiding = rows, now, empty, hiding or {}
        self.virtual_size = Size(1, max(1, len(rows)))
        if moved or same is None:
            self._reveal()
        self.refresh()
        after = self.selected
        if (before.id if before else None) != (after.id if after else None):
            self.post_message(self.Selected())

    def action_move(self, step: int) -> None:
        """Moves the selection."""
        self._select(self.place + step)

    def action_page(self, direction: int) -> None:
        """Moves the selection by a screenful."""
        self._select(self.place + direction * max(1, self.size.height - 1))

    def action_open(self) -> None:
        """Enter."""
        if self.rows:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        """A click selects."""
        self._select(event.y + self.scroll_offset.y)

    def on_resize(self) -> None:
        """Keeps the selection in sight."""
        self.virtual_size = Size(1, max(1, len(self.rows)))
        self._reveal()

    def _select(self, place: int) -> None:
        place = max(0, min(place, len(self.rows) - 1))
        if place == self.place or not self.rows:
            return
        self.place = place
        self._reveal()
        self.refresh()
        self.post_message(self.Selected())

    def _reveal(self) -> None:
        self.scroll_to_region(Region(0, self.place, 1, 1), animate=False)

    def render_line(self, y: int) -> Strip:
        """One visible row."""
        place = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if place < len(self.rows):
            finding = self.rows[place]
            text = row(finding, width, self.now, place == self.place, self.hiding.get(finding.id, ""))
        else:
            hints = [] if self.rows else self.empty.split("\n")
            text = line(hints[place] if place < len(hints) else "")
        strip = Strip([s for s in text.render(self.app.console) if s.text != "\n"])
        return strip.extend_cell_length(width).crop(0, width).apply_style(self.rich_style)


class Question(ModalScreen[str | None]):
    """Something that is answered in its `Input`; keys that are typed before it is there are not lost."""

    def on_mount(self) -> None:
        """The answer can be typed."""
        self.set_focus(self.query_one(Input))

    def on_key(self, event: events.Key) -> None:
        """A key that came while there was no focus yet."""
        if self.focused is None and event.is_printable and event.character:
            self.query_one(Input).insert_text_at_cursor(event.character)
            event.stop()


class Ask(Question):
    """Asks for one line of text; `None` when the person changed their mind."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "cancel")]

    def __init__(self, question: str, about: str, value: str) -> None:
        super().__init__()
        self._question, self._about, self._value = question, about, value

    def compose(self) -> ComposeResult:
        """A box in the middle."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._question, style="bold"))
            yield Static(line((one_line(self._about), "dim")))
            # Nothing selected: the first letter typed would wipe out the note that is there.
            yield Input(self._value, id="answer", select_on_focus=False)
            yield Static(Text("Enter accepts, Esc cancels", style="dim"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss(event.value.strip())


class AskOriginal(Question):
    """Asks which finding the selected one is a duplicate of: pick from the list, or type an id or words."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("down", "choose(1)", show=False, priority=True),
        Binding("up", "choose(-1)", show=False, priority=True),
    ]

    def __init__(self, finding: Finding, others: Sequence[Finding]) -> None:
        super().__init__()
        self._finding = finding
        # Likely originals first: the same kind, then the same ops.
        self._others = sorted(others, key=lambda f: (f.kind != finding.kind, f.ops != finding.ops, f.title.casefold()))
        self._shown: list[Finding] = []

    def compose(self) -> ComposeResult:
        """A box in the middle."""
        with Vertical(classes="dialog tall"):
            yield Static(Text("Duplicate of which finding?", style="bold"))
            yield Static(line((one_line(self._finding.title), "dim")))
            yield Input(placeholder="type an id or words of the title", id="answer")
            yield OptionList(id="choices")
            yield Static(Text("↑ ↓ choose, Enter accepts, Esc cancels", style="dim"))

    def on_mount(self) -> None:
        """The list takes no focus: keys go to the text, arrows move the choice."""
        self.query_one(OptionList).can_focus = False
        self._narrow("")
        super().on_mount()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrows the choices down."""
        self._narrow(event.value)

    def _narrow(self, typed: str) -> None:
        words = typed.casefold().split()
        fits = [f for f in self._others if all(w in f"{f.id} {f.title} {f.kind}".casefold() for w in words)]
        self._shown = fits[:MAX_CHOICES]
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options([Option(line((f"{f.id} ", "dim"), one_line(f.title))) for f in self._shown])
        choices.highlighted = 0 if self._shown else None

    def action_choose(self, step: int) -> None:
        """Moves the choice."""
        choices = self.query_one(OptionList)
        if self._shown:
            choices.highlighted = max(0, min(len(self._shown) - 1, (choices.highlighted or 0) + step))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click."""
        self.dismiss(self._shown[event.option_index].id)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: the highlighted finding; nothing happens while nothing fits."""
        place = self.query_one(OptionList).highlighted
        if place is not None and place < len(self._shown):
            self.dismiss(self._shown[place].id)


class Help(ModalScreen[None]):
    """Every key and what it does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss(None)", "close"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, text: RenderableType) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """A box in the middle."""
        with VerticalScroll(classes="dialog tall"):
            yield Static(self._text)

    def action_scroll(self, step: int) -> None:
        """Scrolls by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)
