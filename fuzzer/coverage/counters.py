"""Features become libFuzzer coverage counters.

libFuzzer's feature table has 2^21 places, 8 a counter, so 262,144 counters are its limit; a feature, or a native block
by its number, gets a dense slot when it is first seen. Registration uses two functions that atheris' core library
exports (sanitizer coverage interface of LLVM, "inline 8-bit counters" and "PC table"). It must happen inside the first
test call: if the core library is loaded before `Fuzz()`, libFuzzer silently never calls the custom mutator.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

COUNTERS = 250_000
BLOCKS_A_CASE = 16
"""Of the new blocks of a case, those that get a counter. A block is hit once in a campaign, so its counter says one
thing, that this case is worth keeping; half an hour hits 206,000 (measured), which would fill the table."""
Feature = TypeVar("Feature", str, int)
_CORE = "core_with_libfuzzer"
_PC_BASE = 0x10000
_PC_STEP = 16


class NoLibFuzzerError(Exception):
    """Atheris' core library is not loaded, so there is nobody to count for."""


class Counters:
    """One byte a feature, in memory that libFuzzer reads and clears before every execution."""

    def __init__(self) -> None:
        self._slots: dict[str | int, int] = {}
        self._seen: set[str | int] = set()
        self._bytes = (ctypes.c_uint8 * COUNTERS)()
        self._pcs = (ctypes.c_size_t * (2 * COUNTERS))()
        self.registered = False

    def register(self) -> None:
        """Hands the memory to libFuzzer. Raises `NoLibFuzzerError` outside a fuzzing process."""
        core = _core_library()
        if core is None:
            raise NoLibFuzzerError("atheris' core library is not loaded")
        for i in range(COUNTERS):
            self._pcs[2 * i] = _PC_BASE + i * _PC_STEP
        library = ctypes.CDLL(core)
        start = ctypes.addressof(self._bytes)
        # By subscript: as attributes, names with two leading underscores would be mangled in a class.
        library["__sanitizer_cov_8bit_counters_init"](ctypes.c_void_p(start), ctypes.c_void_p(start + COUNTERS))
        table = ctypes.addressof(self._pcs)
        end = table + ctypes.sizeof(self._pcs)
        library["__sanitizer_cov_pcs_init"](ctypes.c_void_p(table), ctypes.c_void_p(end))
        self.registered = True

    def hit(self, features: Iterable[Feature]) -> list[Feature]:
        """Counts features for the current execution; returns those never seen before.

        When the table is full new ones are not counted any more; they are new all the same.
        """
        known = list(features)
        for feature in known:
            slot = self._slots.get(feature)
            if slot is None and len(self._slots) < COUNTERS:
                slot = self._slots[feature] = len(self._slots)
            if slot is not None:
                self._bytes[slot] = 1
        return self.learn(known)

    def hit_blocks(self, numbers: Sequence[int]) -> None:
        """Counts the new native blocks of a case, a few for all."""
        self.hit(numbers[:BLOCKS_A_CASE])

    def learn(self, features: Iterable[Feature]) -> list[Feature]:
        """Takes note of features without counting them; returns those never seen before."""
        fresh = [feature for feature in dict.fromkeys(features) if feature not in self._seen]
        self._seen.update(fresh)
        return fresh

    def __len__(self) -> int:
        """Counters in use."""
        return len(self._slots)


def _core_library() -> str | None:
    for line in Path("/proc/self/maps").read_text().splitlines():
        if _CORE in line:
            return line.split()[-1]
    return None
