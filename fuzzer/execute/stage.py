"""The stage cell: a page of shared memory in which an executor says what it is doing.

It survives the executor, so a death is blamed on the stage (and runtime) in which it happened.
"""

from __future__ import annotations

import mmap
import os

SIZE = 4096
_TEXT = 256


class StageCell:
    """A short text in shared memory. One writer (the executor), one reader (its owner)."""

    def __init__(self, handle: int | None = None) -> None:
        """Makes a new cell, or maps the one behind an inherited file descriptor."""
        self.handle = os.memfd_create("stage") if handle is None else handle
        if handle is None:
            os.ftruncate(self.handle, SIZE)
        self._memory = mmap.mmap(self.handle, SIZE)

    def set(self, stage: str, detail: str = "") -> None:
        """Says where the executor is."""
        text = f"{stage} {detail}".encode()[: _TEXT - 1]
        self._memory[:_TEXT] = text + bytes(_TEXT - len(text))

    def get(self) -> tuple[str, str]:
        """The last stage and its detail; empty strings before the first."""
        text = self._memory[:_TEXT].rstrip(b"\0").decode(errors="replace")
        stage, _, detail = text.partition(" ")
        return stage, detail

    def close(self) -> None:
        """Releases the memory."""
        self._memory.close()
        os.close(self.handle)
