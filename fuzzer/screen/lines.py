"""Screens made of lines: a block is a list of one-line texts, so its height is known before it is drawn.

That is what lets a screen give every row of a small terminal to what matters most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.text import Text

from fuzzer.screen.text import one_line

Lines = list[Text]
Part = str | tuple[str, str]
"""A piece of a line, with a style or without."""
_DEEP_PATH = re.compile(r"(?<!\S)/(?:[^/\s]+/)+([^/\s]+/[^/\s]+)")
"""An absolute path of three parts and more; the last two say which file is meant."""


def line(*parts: Part, style: str = "") -> Text:
    """One line from pieces. Nothing in them is read as markup, and control characters are made harmless."""
    text = Text(style=style, no_wrap=True, overflow="ellipsis", end="\n")
    for part in parts:
        plain, look = (part, "") if isinstance(part, str) else part
        text.append(one_line(plain), look)
    return text


def cut(text: Text, width: int) -> Text:
    """The line in at most `width` cells."""
    text.truncate(max(1, width), overflow="ellipsis")
    return text


def heading(title: str, width: int) -> Text:
    """A section's title on a rule across the screen."""
    text = cut(line((f"{title} ", "bold")), width)
    text.append("─" * max(0, width - text.cell_len), "dim")
    return text


def pairs(items: Sequence[tuple[str, str, str]], width: int, cell: int = 20) -> Lines:
    """(label, value, style) in a grid of as many columns as fit."""
    columns = max(1, width // cell)
    # Equal rows look like a table: 12 items in 4 columns, not 5 + 5 + 2.
    rows = -(-len(items) // columns)
    columns = -(-len(items) // rows) if rows else 1
    cell = width // columns
    result = []
    for start in range(0, len(items), columns):
        text = line()
        for i, (label, value, style) in enumerate(items[start : start + columns]):
            text.append_text(cut(line((f"{label:<10} ", "dim"), (value, style or "bold")), cell - 1))
            text.pad_right(max(0, cell * (i + 1) - text.cell_len))
        result.append(cut(text, width))
    return result


def beside(left: Lines, right: Lines, left_width: int, gap: str = " │ ") -> Lines:
    """Two blocks side by side; the shorter one is filled up with empty lines."""
    result = []
    for i in range(max(len(left), len(right))):
        text = cut(left[i].copy() if i < len(left) else line(), left_width)
        text.pad_right(left_width - text.cell_len)
        text.append(gap, "dim")
        text.append_text(right[i] if i < len(right) else line())
        result.append(text)
    return result


def wrapped(text: str, width: int, rows: int, style: str) -> Lines:
    """A sentence over at most `rows` full-width lines; a long one loses the front of its paths, then its end."""
    text = one_line(text)
    result = _broken(text, width)
    if len(result) > rows:
        result = _broken(_DEEP_PATH.sub(r"…/\1", text), width)
    if len(result) > rows:
        result = [*result[: rows - 1], " ".join(result[rows - 1 :])]
    lines = [cut(line(row, style=style), width) for row in result]
    for row in lines:
        row.pad_right(max(0, width - row.cell_len))
    return lines


def _broken(text: str, width: int) -> list[str]:
    # A word that is too long, a path say, is broken rather than cut.
    words = [w[i : i + width] for w in text.split(" ") for i in range(0, max(1, len(w)), max(1, width))]
    result: list[str] = [""]
    for word in words:
        if result[-1] and len(result[-1]) + 1 + len(word) > width:
            result.append(word)
        else:
            result[-1] = f"{result[-1]} {word}".strip()
    return result


def joined(block: Lines) -> Text:
    """A block as one text, for a widget that shows one."""
    text = Text("\n", no_wrap=True, overflow="ellipsis", end="").join(block)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
