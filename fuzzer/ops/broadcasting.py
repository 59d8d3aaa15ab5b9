"""Shapes that broadcast, and the constant that stands in for a missing second operand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Domain, Flag, Int
from fuzzer.ops.spec import Attrs, TensorType, WeightSlot, integer

RANKS = (0, 1, 2, 3, 4, 5, 6)
"""Every rank a value of a case may have: element-wise ops take them all."""

# The constant's axes are counted from the end. Bit i of the mask makes axis i a one; where the operand has a one
# (or no axis at all) the constant has `const_wide`, so that both sides may be broadcast at once.
CONSTANT: Mapping[str, Domain] = {
    "const_rank": Int(0, 6, 1),
    "const_mask": Int(0, 63, 0),
    "const_wide": Int(1, 5, 1),
}
SECOND: Mapping[str, Domain] = {**CONSTANT, "swap": Flag()}
"""Attributes of a binary op: the stand-in for its second operand, and whether the two change places."""


def broadcast(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """The NumPy broadcasting rule; raises `UnfitError` where it does not apply."""
    rank = max(len(left), len(right))
    shape = []
    for a, b in zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True):
        if a != b and 1 not in (a, b):
            raise UnfitError(f"{left} and {right} do not broadcast")
        shape.append(a if b == 1 else b)
    return tuple(shape)


def stand_in(shape: tuple[int, ...], rank: int, mask: int, wide: int) -> tuple[int, ...]:
    """The shape of a constant of that rank that broadcasts with `shape`."""
    sizes = []
    for place in range(rank):
        own = shape[-1 - place] if place < len(shape) else 1
        sizes.append(1 if mask >> place & 1 else wide if own == 1 else own)
    return tuple(reversed(sizes))


def constant_shape(operands: Sequence[TensorType], attrs: Attrs) -> tuple[int, ...]:
    """The shape of the constant that the attributes of `CONSTANT` describe."""
    rank, mask, wide = (integer(attrs[name]) for name in CONSTANT)
    return stand_in(operands[0].shape, rank, mask, wide)


def binary_shape(operands: Sequence[TensorType], attrs: Attrs) -> tuple[int, ...]:
    """The shape of a binary op's result."""
    second = operands[1].shape if len(operands) > 1 else constant_shape(operands, attrs)
    return broadcast(operands[0].shape, second)


def binary_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """The shape rule of a binary op that keeps the dtype."""
    return TensorType(binary_shape(operands, attrs), operands[0].dtype)


def second_operand(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    """The weight rule of a binary op: a constant where there is no second operand."""
    if len(operands) > 1:
        return ()
    return (WeightSlot("const", TensorType(constant_shape(operands, attrs), operands[0].dtype)),)
