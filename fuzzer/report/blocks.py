"""What a report is made of before it is laid out: sections of paragraphs, facts, code and tables.

A text is a tuple of strings and `Mono`s. Whatever comes from a model, a message or a file is a `Mono`: it ends up in a
code span, where GitHub makes no mentions, links or markup of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from fuzzer.report.scrub import scrub, without_paths


@dataclass(frozen=True)
class Mono:
    """Foreign text, or a name: shown as it is, in a fixed-width font."""

    text: str


Words = tuple[str | Mono, ...]


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    words: Words


@dataclass(frozen=True)
class Facts:
    """Names with their values, one a line."""

    rows: tuple[tuple[str, Words], ...]


@dataclass(frozen=True)
class Code:
    """Lines as they are: `language` is `python` or `text`. `keep` says which end matters when there is no room."""

    text: str
    language: str = "text"
    keep: str = "start"


@dataclass(frozen=True)
class Grid:
    """A table; titles of columns of numbers begin with a #."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Paragraph | Facts | Code | Grid


@dataclass(frozen=True)
class Section:
    """A heading and what is below it. `key` names it for those who lay it out; `long` parts are folded up."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    long: bool = False


@dataclass(frozen=True)
class Report:
    """A whole report: its title, one paragraph on what it is about, and the sections in upstream's order."""

    title: str
    lead: Words
    sections: tuple[Section, ...]

    def section(self, key: str) -> Section | None:
        """The section of that key, where there is one."""
        return next((section for section in self.sections if section.key == key), None)


def say(text: str) -> Paragraph:
    """A paragraph of our own words."""
    return Paragraph((text,))


T = TypeVar("T")


def clean(part: T) -> T:
    """The same report (or part of one) without anything that tells of this machine or its user."""
    return _clean(part)  # type: ignore[return-value]


def _clean(part: object) -> object:
    if isinstance(part, str):
        return scrub(part)
    if isinstance(part, tuple):
        return tuple(_clean(item) for item in part)
    if isinstance(part, Code) and part.language == "python":
        return replace(part, text=without_paths(part.text))  # a user's name may be a word of the program
    if isinstance(part, Mono | Paragraph | Facts | Code | Grid | Section | Report):
        changes: dict[str, Any] = {f.name: _clean(getattr(part, f.name)) for f in fields(part) if f.name != "language"}
        return replace(part, **changes)
    return part
