"""Set cover: few and cheap entries that together reach everything that any of them reaches.

The greedy rule of V. Chvatal, "A Greedy Heuristic for the Set-Covering Problem", Mathematics of Operations Research
4(3), 1979: again and again the entry with the most that is new for its cost. What an entry would add only shrinks, so
an old estimate is an upper bound and only the top of a heap is counted anew (M. Minoux, "Accelerated greedy
algorithms for maximizing submodular set functions", 1978).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]
"""Eight elements a byte, as `numpy.packbits` writes them."""

_ONES = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)
"""Set bits of a 16-bit word; NumPy has it from 2.0 on (`bitwise_count`), and we run on 1.26 too."""


def extent(rows: Iterable[Bits], size: int) -> tuple[Bits, Bits]:
    """The elements below `size` that some rows have, and those that every row has."""
    some = np.zeros((size + 7) // 8, np.uint8)
    every = ~some
    for row in rows:
        some |= row
        every &= row
    return some, every & some


def numbers_of(bits: Bits, size: int) -> npt.NDArray[np.intp]:
    """The elements that are set, ascending."""
    return np.flatnonzero(np.unpackbits(bits, count=size))


def project(row: Bits, columns: npt.NDArray[np.intp]) -> Bits:
    """A row with these elements alone, in their order."""
    return np.packbits(np.unpackbits(row)[columns])


def cover(rows: Sequence[Bits] | Bits, costs: Sequence[float]) -> list[int]:
    """Indices of rows, ascending, that together have every element of all rows; none of them can be left out.

    `rows` are packed bits, all of one length; `costs` are positive. One row at least is chosen where there are any:
    elements that every row has tell nothing apart and are usually left out before (`extent`, `project`), and
    somebody must have them.
    """
    if not len(rows):
        return []
    matrix = _words(rows)
    missing = np.bitwise_or.reduce(matrix, axis=0)
    heap = [(-_count(row) / cost, cost, i) for i, (row, cost) in enumerate(zip(matrix, costs, strict=True))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while missing.any():
        _, cost, i = heapq.heappop(heap)
        gain = _count(matrix[i] & missing)
        if not gain:
            continue
        rank = (-gain / cost, cost, i)
        if heap and heap[0] < rank:
            heapq.heappush(heap, rank)
            continue
        chosen.append(i)
        missing &= ~matrix[i]
    if not chosen:
        return [min(range(len(costs)), key=costs.__getitem__)]
    return sorted(_needed(matrix, chosen, costs))


def _needed(matrix: npt.NDArray[np.uint16], chosen: list[int], costs: Sequence[float]) -> list[int]:
    """`chosen` without what later choices made superfluous, the dearest first."""
    times = np.zeros(matrix.shape[1] * 16, np.uint32)
    for i in chosen:
        times += np.unpackbits(matrix[i].view(np.uint8))
    kept = []
    for i in sorted(chosen, key=lambda i: -costs[i]):
        mine = np.unpackbits(matrix[i].view(np.uint8)).astype(bool)
        if times[mine].min() > 1:
            times[mine] -= 1
        else:
            kept.append(i)
    return kept


def _words(rows: Sequence[Bits] | Bits) -> npt.NDArray[np.uint16]:
    """The rows as one matrix of 16-bit words, padded with nothing."""
    width = len(rows[0])
    matrix = np.zeros((len(rows), (width + 1) // 2 * 2), np.uint8)
    for i, row in enumerate(rows):
        matrix[i, :width] = row
    return matrix.view(np.uint16)


def _count(words: npt.NDArray[np.uint16]) -> int:
    return int(_ONES[words].sum(dtype=np.int64))
