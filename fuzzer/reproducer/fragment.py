"""The part of an error message by which a reproducer knows it again: fixed text, no numbers or paths."""

from __future__ import annotations

import re

_VARIABLE = re.compile(
    r"\x1b\[[0-9;]*m"  # colours
    r"|loc\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\):?"
    r"|(?:/|[A-Za-z]:\\)[^\s:\"']+"
    r"|0x[0-9a-fA-F]+"
    r"|tensor<[^>]*(?:<[^>]*>[^>]*)*>"
    r"|[\"'`][^\"'`]{0,80}@[^\"'`]{0,80}[\"'`]"
    r"|[-+]?\b\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\b"
    r"|[^\x20-\x7e]+"  # line ends and all that is not plain text
)
"""What `fuzzer.oracles.messages` takes for noise; a fragment lies between two pieces of it."""
_ERROR_LINE = re.compile(r"error: ([^\n]+)")
_RUNTIME_LINE = re.compile(r"[\w/\-.]+\.(?:cc|h|c):\d+ ([^\n]+)")
MAX_FRAGMENT = 100


def fragment(message: str) -> str:
    """The longest fixed piece of the line that says what went wrong; empty when there is none."""
    reasons = [line for line in _ERROR_LINE.findall(message) if not line.startswith("failed while converting")]
    reasons = reasons or _RUNTIME_LINE.findall(message) or [message]
    pieces = [piece.strip(" .:\t") for piece in _VARIABLE.split(reasons[0])]
    return max(pieces, key=len)[:MAX_FRAGMENT].strip()
