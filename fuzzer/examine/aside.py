"""What was set aside: suspicions that others stand for, kept until there is time for them.

Their files are moved out of the inbox, so that looking through it takes no longer however long the night, and come back
once nothing else waits, in this campaign or a later one in the same folder.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

from fuzzer.errors import CaseError
from fuzzer.findings import inbox
from fuzzer.findings.inbox import Suspicion

BROUGHT_BACK = 64
"""Suspicions at a time: those behind them may be recognised without a look by what these turn out to be."""
MAX_LOOK_S = 0.3
"""Spent on reading at a time, so that nobody waits for an examiner that looks through a full folder."""


class Aside:
    """The folder `aside` in the inbox of one crashes folder. Not safe for use by several threads at once."""

    def __init__(self, inbox_folder: Path) -> None:
        self._inbox = inbox_folder
        self._folder = inbox_folder / inbox.ASIDE
        try:
            found = sorted(e.name for e in os.scandir(self._folder) if e.name.endswith(".json") and e.name[0] != ".")
        except FileNotFoundError:
            found = []
        self._names = deque(found)

    def __len__(self) -> int:
        """How many were set aside, earlier campaigns included."""
        return len(self._names)

    def put(self, name: str) -> None:
        """Moves a file of the inbox here; nothing where somebody else has taken it. Raises `OSError`."""
        self._folder.mkdir(exist_ok=True)
        try:
            (self._inbox / name).replace(self._folder / name)
        except FileNotFoundError:
            return
        self._names.append(name)

    def bring_back(
        self, wanted: Callable[[str, Suspicion], bool], broken: Callable[[str, CaseError], None]
    ) -> Iterator[tuple[str, Suspicion]]:
        """Moves those that are `wanted` into the inbox again, by file name, at most `BROUGHT_BACK` of them.

        Each file is asked for at most once a call, the one that waits longest first. One that cannot be read is told to
        `broken` and left where it is. Raises `OSError`.
        """
        begun, brought = perf_counter(), 0
        for _ in range(len(self._names)):
            if brought == BROUGHT_BACK or perf_counter() - begun > MAX_LOOK_S:
                return
            name = self._names.popleft()
            path = self._folder / name
            try:
                suspicion = inbox.load(path)
            except CaseError as unreadable:
                if path.exists():
                    broken(f"{inbox.ASIDE}/{name}", unreadable)
                continue
            if not wanted(name, suspicion):
                self._names.append(name)
                continue
            try:
                path.replace(self._inbox / name)
            except OSError:
                self._names.appendleft(name)
                raise
            brought += 1
            yield name, suspicion
