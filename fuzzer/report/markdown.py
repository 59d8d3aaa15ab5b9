"""A report as Markdown: for `report.md`, for standard output, and for the text areas of GitHub's form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fuzzer.report.blocks import Block, Code, Facts, Grid, Mono, Paragraph, Report, Section, Words

_SPECIAL = re.compile(r"[\\`*<|~]|(?<!\w)_|_(?!\w)|^[>+\-]|(?<!\w)#|\](?=[(\[:])")
"""What begins markup in CommonMark 0.31 and GitHub's additions; a `_` inside a word does not."""
_MENTION = re.compile(r"@(?=\w)")
_CELL = 160
"""Characters of a table's cell."""


def markdown(report: Report) -> str:
    """The whole text."""
    return "\n".join([f"# {plain(report.title)}", "", words(report.lead), "", *body(report.sections)])


def body(sections: Sequence[Section], level: int = 2, *, fold: bool = False) -> list[str]:
    """Sections as lines; `fold` puts long ones into `<details>`."""
    lines: list[str] = []
    for section in sections:
        inner = [line for block in section.blocks for line in (*lines_of(block), "")]
        if fold and section.long:
            lines += [f"<details><summary>{plain(section.title)}</summary>", "", *inner, "</details>", ""]
        else:
            lines += [f"{'#' * level} {plain(section.title)}", "", *inner]
    return lines


def lines_of(block: Block) -> list[str]:
    """One block."""
    if isinstance(block, Paragraph):
        return [words(block.words)]
    if isinstance(block, Facts):
        return [f"- {plain(name)}: {words(value)}" for name, value in block.rows]
    if isinstance(block, Grid):
        return _table(block)
    return fenced(block)


def fenced(code: Code) -> list[str]:
    """Lines in a fence that nothing in them can close."""
    longest = max((len(run) for run in re.findall(r"`+", code.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{code.language}", *code.text.splitlines(), fence]


def words(parts: Words) -> str:
    """Running text with code spans."""
    return "".join(span(part.text) if isinstance(part, Mono) else plain(part) for part in parts).strip()


def plain(text: str) -> str:
    """Text that is no markup, mentions nobody and links nothing."""
    # A zero-width space after the @: GitHub knows no other way to write a name without calling its bearer.
    return _MENTION.sub("@\u200b", _SPECIAL.sub(r"\\\g<0>", one_line(text)))


def span(text: str) -> str:
    """A code span; longer delimiters where the text holds backticks (CommonMark 0.31, section 6.1)."""
    text = one_line(text).strip()
    if not text:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def one_line(text: str) -> str:
    """Text without line breaks and control characters."""
    return "".join(c if c.isprintable() else " " for c in text)


def _table(grid: Grid) -> list[str]:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    marks = ["---:" if title.startswith("#") else "---" for title in grid.head]
    titles = [plain(title.removeprefix("#")) for title in grid.head]
    return [row(titles), row(marks), *(row([_cell(cell) for cell in cells]) for cells in grid.rows)]


def _cell(text: str) -> str:
    shown = one_line(text)
    return plain(shown if len(shown) <= _CELL else shown[: _CELL - 1] + "…")
