"""Which case is mutated: one whose offspring discovers much for the time it takes.

An entry's *energy* is what its own run and its mutants have given, over the seconds spent on them. A new entry has
what it found itself to show; one that was mutated in vain falls behind. Choosing looks at a few entries drawn by
chance, so it costs the same however large the corpus is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from random import Random

from fuzzer.case import Case, decode

TOURNAMENT = 6
"""Entries that compete for each choice."""
FADE = 0.9
"""What one more mutant leaves of the credit and time of those before."""
DECODED = 256
"""Entries that are kept decoded: a few are chosen again and again, and decoding is a fifth of what a mutant costs."""
OWN_SHARE = 0.5
"""How much of its own discovery an entry is credited with before it has offspring."""


class _Parent:
    __slots__ = ("credit", "id", "load", "seconds")

    def __init__(self, case_id: str, load: Callable[[], bytes], credit: float, seconds: float) -> None:
        self.id, self.load, self.credit, self.seconds = case_id, load, credit, seconds


class Parents:
    """The entries that can be mutated."""

    def __init__(self) -> None:
        self._entries: list[_Parent] = []
        self._by_id: dict[str, _Parent] = {}
        self._cases: OrderedDict[str, Case] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, case_id: str) -> bool:
        return case_id in self._by_id

    def add(self, case_id: str, load: Callable[[], bytes], gain: float, seconds: float) -> None:
        """Takes an entry; `load` reads its bytes when it is chosen."""
        if case_id not in self._by_id:
            entry = self._by_id[case_id] = _Parent(case_id, load, OWN_SHARE * gain, max(seconds, 1e-3))
            self._entries.append(entry)

    def credit(self, case_id: str, gain: float, seconds: float) -> None:
        """Takes what a mutant of an entry gave."""
        entry = self._by_id.get(case_id)
        if entry is not None:
            entry.credit = entry.credit * FADE + gain
            entry.seconds = entry.seconds * FADE + seconds

    def choose(self, rng: Random, uniform: bool = False) -> tuple[str, Case]:
        """An entry's id and case.

        Raises `LookupError` when there are none, `OSError` when its file is gone and `CaseError` when it holds no case.
        """
        if not self._entries:
            raise LookupError("no entries")
        drawn = [self._entries[rng.randrange(len(self._entries))] for _ in range(1 if uniform else TOURNAMENT)]
        best = max(drawn, key=lambda entry: entry.credit / entry.seconds)
        case = self._cases.get(best.id)
        if case is None:
            case = self._cases[best.id] = decode(best.load())
        self._cases.move_to_end(best.id)
        if len(self._cases) > DECODED:
            self._cases.popitem(last=False)
        return best.id, case
