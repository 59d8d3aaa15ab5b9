"""The numbers of native basic blocks: which libraries are covered, and which block has which number.

A *block* is a basic block of a covered library. Its *local* number is its place in the library's table, by address;
the tables of a process follow each other, so that every block has one *number* from 0 to `BlockSpace.size`. Numbers
hold for one set of installed libraries. What is kept on disk is packed by library digest and survives a change of the
others.

Standard library only: drivers and the supervisor use it, which load neither NumPy nor TensorFlow.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

SCOPES = {
    "converter": "the converter inside TensorFlow",
    "runtime": "the TFLite runtime inside TensorFlow",
    "litert": "the LiteRT runtime",
}
"""What a block can belong to, in the order in which numbers are given."""


@dataclass(frozen=True)
class Library:
    """One library under coverage."""

    scope: str
    module: str
    """Its file, as `/proc/PID/maps` names it."""
    digest: str
    """16 hexadecimal digits that stand for its content and for how its blocks were found."""
    table: str
    """The file of its block table (`fuzzer.coverage.tables`)."""
    count: int
    """Blocks in the table."""


@dataclass(frozen=True)
class BlockSpace:
    """All libraries under coverage, in the order of their numbers."""

    libraries: tuple[Library, ...] = ()

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """The first number of each library."""
        firsts, end = [], 0
        for library in self.libraries:
            firsts.append(end)
            end += library.count
        return tuple(firsts)

    @property
    def size(self) -> int:
        """How many blocks there are."""
        return sum(library.count for library in self.libraries)

    @property
    def totals(self) -> dict[str, int]:
        """How many blocks each scope has."""
        totals = {library.scope: 0 for library in self.libraries}
        for library in self.libraries:
            totals[library.scope] += library.count
        return totals

    def place(self, number: int) -> tuple[Library, int]:
        """The library of a block, and its local number there."""
        index = bisect_right(self.firsts, number) - 1
        # Of libraries without blocks, which share their first number with the next, the last is found.
        return self.libraries[index], number - self.firsts[index]

    def by_scope(self, numbers: Iterable[int]) -> dict[str, int]:
        """How many of `numbers` lie in each scope that is covered."""
        counts = {library.scope: 0 for library in self.libraries}
        for number in numbers:
            counts[self.libraries[bisect_right(self.firsts, number) - 1].scope] += 1
        return counts

    # --- on disk and between processes ------------------------------------------------------------------

    def pack(self, numbers: Iterable[int]) -> dict[str, str]:
        """Blocks as text by library digest: what a corpus keeps. About 1.5 characters a block."""
        local: dict[str, list[int]] = {}
        for number in sorted(numbers):
            library, at = self.place(number)
            local.setdefault(library.digest, []).append(at)
        return {digest: pack(ids) for digest, ids in local.items()}

    def unpack(self, packed: Mapping[str, str]) -> list[int]:
        """The numbers of packed blocks, ascending. Those of libraries that are no longer here are left out.

        Raises `ValueError` for what `pack` cannot have written.
        """
        numbers = []
        for library, first in zip(self.libraries, self.firsts, strict=True):
            for at in unpack(packed.get(library.digest, "")):
                if at >= library.count:
                    raise ValueError(f"block {at} of {library.count}")
                numbers.append(first + at)
        return numbers

    def to_json(self) -> list[dict[str, Any]]:
        """For other processes."""
        return [asdict(library) for library in self.libraries]

    @classmethod
    def from_json(cls, value: Iterable[Mapping[str, Any]]) -> BlockSpace:
        """What `to_json` gave."""
        return cls(tuple(Library(**entry) for entry in value))


def pack(ids: Iterable[int]) -> str:
    """Ascending numbers as text: differences as LEB128 bytes (DWARF 5, section 7.6), in base64."""
    data = bytearray()
    last = -1
    for number in ids:
        rest = number - last - 1
        last = number
        while rest > 127:
            data.append(rest & 127 | 128)
            rest >>= 7
        data.append(rest)
    return base64.b64encode(bytes(data)).decode()


def unpack(text: str) -> list[int]:
    """What `pack` was given. Raises `ValueError` for other text."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as broken:
        raise ValueError(f"no base64: {broken}") from broken
    ids = []
    last, rest, shift = -1, 0, 0
    for byte in data:
        rest |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            last += rest + 1
            ids.append(last)
            rest = shift = 0
    if shift:
        raise ValueError("cut off")
    return ids
