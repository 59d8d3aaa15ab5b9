"""Where examiners' time goes, stage by stage: kept while they work, shown in the summary."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

STAGES = ("confirm", "minimise", "repeat", "cause", "script", "save")
"""Running a suspicion once and confirming it; minimising; the minimal case in fresh processes; what dies or rewrites;
running `repro.py`; the numbers and the report."""


class StageClock:
    """Seconds and times by stage, of all examiners together. Safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._times: Counter[str] = Counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time of the block to a stage, also when it raises."""
        begun = monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._seconds[name] += monotonic() - begun
                self._times[name] += 1

    def totals(self) -> dict[str, tuple[int, float]]:
        """Stage -> how often, and seconds in all; those that cost anything, in the order of `STAGES`."""
        with self._lock:
            return {name: (self._times[name], round(self._seconds[name], 3)) for name in STAGES if self._times[name]}
