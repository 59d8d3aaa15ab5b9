"""The keys of the triage screen, declared once: bindings, footer and help read this table."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType

from fuzzer.screen.lines import Lines, line


@dataclass(frozen=True)
class Key:
    """One key: what it is bound to, how it is written, what the footer and the help say."""

    bound: str
    action: str
    shown: str
    label: str
    help: str
    obvious: bool = False
    """Left out of the footer of a small terminal; the help has it."""


SECTIONS: dict[str, tuple[Key, ...]] = {
    "look": (
        Key("", "", "↑↓", "move", "select a finding (also j k, PageUp PageDown, Home End, the mouse)", True),
        Key("", "", "⏎", "read", "Enter: give the finding the whole screen; Enter or Esc goes back"),
        Key("1", "page(0)", "1-6", "pages", "difference, report, graph, repro.py, log, jobs", True),
        Key("space", "scroll_page(1)", "Space", "scroll", "scroll the page, b scrolls back", True),
        Key("", "", "Tab", "pane", "go from the list to the page, where ↑ ↓ j k scroll, and back", True),
        Key("g", "statistics", "g", "stats", "show or hide the statistics of the campaign", True),
    ),
    "list": (
        Key("slash", "search", "/", "search", "find words in title, id, ops, patterns, message or note"),
        Key("s", "sort", "s", "sort", "sort by severity, count, newest, last seen, title, kind, state"),
        Key("f", "filter_state", "f", "state", "one state only: new, known, reported, duplicate, fixed, flaky"),
        Key("t", "filter_kind", "t", "kind", "one kind only"),
        Key("h", "hidden", "h", "hidden", "show or hide known behaviour and propagation of NaN", True),
        Key("escape", "step_back", "Esc", "all", "leave the page; then show all findings again", True),
    ),
    "mark": (
        Key("n", "mark('new')", "n", "new", "mark as new again", True),
        Key("K", "mark('known')", "K", "known", "mark as known, with a note"),
        Key("R", "mark('reported')", "R", "reported", "mark as reported, with a note: the link of the issue"),
        Key("x", "mark('fixed')", "x", "fixed", "mark as fixed"),
        Key("F", "mark('flaky')", "F", "flaky", "mark as flaky: it shows only now and then"),
        Key("d", "duplicate", "d", "dup", "mark as a duplicate of another finding"),
        Key("e", "note", "e", "note", "write or change the note"),
    ),
    "do": (
        Key("r", "start('replay')", "r", "replay", "run it again in fresh processes (the screen goes on)"),
        Key("m", "start('minimise')", "m", "minimise", "shrink its case further (the screen goes on)"),
        Key("p", "start('repro.py')", "p", "run", "run repro.py and show what it prints, on page 6", True),
        Key("o", "report", "o", "report", "open the report on the whole screen, written anew"),
        Key("c", "stop", "c", "stop", "stop what runs beside the screen", True),
        Key("y", "path", "y", "path", "show its folder and copy the path"),
        Key("question_mark", "help", "?", "help", "this help"),
        Key("q,ctrl+c", "leave", "q", "quit", "quit; decisions are already saved"),
    ),
}
_EXTRA = (
    ("2", "page(1)"), ("3", "page(2)"), ("4", "page(3)"), ("5", "page(4)"), ("6", "page(5)"), ("b", "scroll_page(-1)"),
)  # fmt: skip
SMALL = 100
_STATISTICS = (
    "Left: the share of compared cases whose outputs an oracle suspected, by pattern and scheme, worst "
    "patterns first; a blank was never asked for, · was not compared. On a small screen the columns are f32 float32, "
    "f16 float16, dyn dynamic, i8 int8, i16 int16x8, v1i and v1u int8 and uint8 of the v1 converter, qat fake "
    "quantisation, mot tensorflow-model-optimization. Right: how divergence spreads "
    "over decades, from none to 1 and more, by runtime. A suspicion becomes a finding once it is confirmed."
)


def bindings() -> list[BindingType]:
    """The application's bindings."""
    keys = [(k.bound, k.action) for section in SECTIONS.values() for k in section if k.bound]
    return [Binding(bound, action, show=False) for bound, action in (*keys, *_EXTRA)]


def footer(width: int) -> Lines:
    """Every key with its label, on as few lines as the width allows."""
    lines: Lines = [line()]
    for key in (key for section in SECTIONS.values() for key in section):
        if key.obvious and width < SMALL:
            continue
        item = line((f" {key.shown}", "bold"), (f" {key.label}", "dim"))
        if lines[-1].cell_len + item.cell_len > width:
            lines.append(line())
        item.append(" ")
        lines[-1].append_text(item)
    return lines


def help_text() -> RenderableType:
    """The page behind `?`."""
    parts: list[RenderableType] = [line(("Triage: look at every finding, decide what it is, report it.", "bold"))]
    for name, keys in SECTIONS.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="bold", no_wrap=True, min_width=5)
        table.add_column()
        for key in keys:
            table.add_row(Text(key.shown), Text(key.help))
        parts += [line(), line((name, "bold underline")), table]
    parts += [line(), line(("statistics", "bold underline")), Text(_STATISTICS)]
    return Group(*parts, line(), line(("q, Esc or Enter closes this", "dim")))
