"""What the families that move elements share: axes, divisors, sizes drawn as fractions."""

from __future__ import annotations

from collections.abc import Sequence

from fuzzer.ops.domains import Value
from fuzzer.ops.spec import ANY, Attrs, TensorType, integer

FROM_0 = (0, 1, 2, 3, 4, 5, 6)
FROM_1 = FROM_0[1:]
FROM_2 = FROM_0[2:]
MOVED = tuple(dtype for dtype in ANY if dtype != "bfloat16")
"""What a reshape may be given: the converter takes a graph of every dtype but this one (TensorFlow 2.21)."""


def free(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    """The cost of an op that only moves elements."""
    return 0


def axis_of(x: TensorType, attrs: Attrs, extra: int = 0) -> int:
    """The axis `-1 - axis % rank` of an operand, counted from the start; `extra` axes are about to be added."""
    rank = x.rank + extra
    return rank - 1 - integer(attrs["axis"]) % rank


def ints(value: Value) -> tuple[int, ...]:
    """An attribute known to be a tuple of ints, for the type checker."""
    assert isinstance(value, tuple)
    return value


def replaced(x: TensorType, axis: int, *dims: int) -> TensorType:
    """The type with other dims in place of one axis."""
    return TensorType((*x.shape[:axis], *dims, *x.shape[axis + 1 :]), x.dtype)


def divisor(number: int, choice: int, most: int) -> int:
    """One of the divisors of `number` from 2 to `most`, else 1."""
    found = [d for d in range(2, min(number, most) + 1) if number % d == 0]
    return found[choice % len(found)] if found else 1
