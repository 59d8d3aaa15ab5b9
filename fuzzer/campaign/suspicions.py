"""What a driver saves of what it sees: a few suspicions of each kind, for a defect may show in every second case."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from fuzzer.case import Case
from fuzzer.findings import inbox
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.titles import key_of
from fuzzer.oracles import Verdict

SAVED_PER_KEY = 2
"""Suspicions saved of one kind, message, scheme, guilty runtimes and set of ops; later ones are counted only."""


class Suspicions:
    """One driver's suspicions, saved to the inbox of a crashes folder."""

    def __init__(self, crashes: Path) -> None:
        self._crashes = crashes
        self._saved: Counter[str] = Counter()
        self._kinds: set[str] = set()

    def save(self, case: Case, verdict: Verdict, log: str) -> bool:
        """Saves one, unless enough of its like are; whether it is the first of its kind, whatever the ops.

        Raises `OSError`.
        """
        ops, kind = sorted({node.op for node in case.model.nodes}), key_of(verdict, case.conversion.scheme)
        key = f"{kind}|{sorted(verdict.runtimes)}|{ops}"
        self._saved[key] += 1
        if self._saved[key] <= SAVED_PER_KEY:
            found = datetime.now(UTC).isoformat(timespec="seconds")
            inbox.save(self._crashes, Suspicion(case, verdict, found, log))
        first = kind not in self._kinds
        self._kinds.add(kind)
        return first
