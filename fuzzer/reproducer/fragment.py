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
_RUNTIME_LINE = re.compile(r"(?<![\w/\-.])[\w/\-.]+\.(?:cc|h|c):\d+ ([^\n]+)")
_WORDLESS = re.compile(r"\s*(\w+:)?\s*")
"""The class of an error that says nothing: the converter raises a bare `RuntimeError` now and then."""
MAX_FRAGMENT = 100


def recognition(message: str) -> tuple[str, str]:
    """What a reproducer knows an error by: a text, and the test of the script's `message` with `@known@` for it.

    Of an error without words the class alone is left, and any other error of that class has it too: nothing may follow.
    """
    wordless = _WORDLESS.fullmatch(message)
    if wordless is not None:
        return wordless[1] or ":", "message.strip().endswith(@known@)"
    whole = message.strip()
    # Numbers, or letters that are not plain: a few of those, which stay on one line however they are written.
    return fragment(message) or whole[: MAX_FRAGMENT if whole.isascii() else 5], "@known@ in message"


def fragment(message: str) -> str:
    """The longest fixed piece of the line that says what went wrong; empty when there is none."""
    reasons = [line for line in _ERROR_LINE.findall(message) if not line.startswith("failed while converting")]
    reasons = reasons or _RUNTIME_LINE.findall(message) or [message]
    pieces = [piece.strip(" .:\t") for piece in _VARIABLE.split(reasons[0])]
    return max(pieces, key=len)[:MAX_FRAGMENT].strip()
