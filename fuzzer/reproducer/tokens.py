"""Tokens of Python text, an f-string being one of them whichever Python reads it."""

from __future__ import annotations

import io
import tokenize

_START = getattr(tokenize, "FSTRING_START", -1)
_END = getattr(tokenize, "FSTRING_END", -1)
"""Python 3.12 takes f-strings apart (PEP 701); 3.11 does not."""


def tokens(source: str) -> list[tokenize.TokenInfo]:
    """All tokens of a text. Raises what `tokenize` does: `tokenize.TokenError`, `SyntaxError`, `IndentationError`."""
    lines = source.splitlines(keepends=True)
    found: list[tokenize.TokenInfo] = []
    begun: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == _START:
            begun.append(token)
        elif token.type == _END:
            start = begun.pop()
            if not begun:
                text = _between(lines, start.start, token.end)
                found.append(tokenize.TokenInfo(tokenize.STRING, text, start.start, token.end, start.line))
        elif not begun:
            found.append(token)
    return found


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text between two positions (row from 1, column from 0)."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *middle, lines[end[0] - 1][: end[1]]])
