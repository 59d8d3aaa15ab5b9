"""The stage cell: shared memory in which an executor says what it is doing, and where it was when it died.

It survives the executor, so a death is blamed on the stage (and runtime) in which it happened. Behind the page with the
stage lies the area that the native handler writes stacks to (`fuzzer.native`).
"""

from __future__ import annotations

import mmap
import os

from fuzzer.native import trace
from fuzzer.native.library import library, problem
from fuzzer.native.trace import Trace

JUDGING = "judge"
"""The stage in which the case has run and the oracles are at work."""
SIZE = mmap.PAGESIZE
_TEXT = 256


class StageCell:
    """A short text and stacks in shared memory. One writer (the executor), one reader (its owner)."""

    def __init__(self, handle: int | None = None) -> None:
        """Makes a new cell, or maps the one behind an inherited file descriptor."""
        self.handle = os.memfd_create("stage") if handle is None else handle
        if handle is None:
            os.ftruncate(self.handle, SIZE + trace.AREA_BYTES)  # pages that are not written take no memory
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

    # --- stacks -----------------------------------------------------------------------------------------

    def catch_signals(self) -> None:
        """Has the native handler write this process's deaths here. Nothing happens where there is no native library."""
        if problem():
            return
        failed = library().stack_install(self.handle, SIZE)
        if failed:
            # An executor without stacks is worth more than none; the log says why they are missing.
            os.write(2, f"no native stacks: {os.strerror(failed)}\n".encode())

    def forget_stacks(self) -> None:
        """Empties the area for the next executor. The one before must be dead: its memory vanishes under it."""
        os.ftruncate(self.handle, SIZE)
        os.ftruncate(self.handle, SIZE + trace.AREA_BYTES)

    @property
    def samples(self) -> int:
        """How many samples are here."""
        return trace.samples_taken(self.handle, SIZE)

    def read_crash(self) -> Trace | None:
        """The stack of the crash."""
        return trace.read_crash(self.handle, SIZE)

    def read_samples(self, maps: str) -> tuple[Trace, ...]:
        """The samples of a process whose `/proc/PID/maps` was `maps`."""
        return trace.read_samples(self.handle, SIZE, maps)

    def close(self) -> None:
        """Releases the memory."""
        self._memory.close()
        os.close(self.handle)
