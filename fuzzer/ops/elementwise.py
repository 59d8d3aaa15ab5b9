"""Binary element-wise ops with broadcasting; the second operand may be a constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.ops.broadcasting import RANKS, broadcast
from fuzzer.ops.domains import Int
from fuzzer.ops.spec import COMPLEX, FLOATS, INTS, Attrs, Op, TensorType, WeightSlot, integer

# Trailing axes of the operand that a constant spans: 0 is a scalar, 1 a vector a channel, and so on.
_ATTRS = {"const_rank": Int(0, 6, 1)}
# Beyond floats and the wide integers: what the converter takes.
_MORE: dict[str, tuple[str, ...]] = {"add": ("int16", "uint32"), "mul": ("int16", "uint32", *COMPLEX)}


def add(tf: Any, x: Any, y: Any = None, *, const: Any) -> Any:
    """X + y."""
    return tf.add(x, y if y is not None else const)


def sub(tf: Any, x: Any, y: Any = None, *, const: Any) -> Any:
    """X - y."""
    return tf.subtract(x, y if y is not None else const)


def mul(tf: Any, x: Any, y: Any = None, *, const: Any) -> Any:
    """X * y."""
    return tf.multiply(x, y if y is not None else const)


def maximum(tf: Any, x: Any, y: Any = None, *, const: Any) -> Any:
    """Larger of x and y."""
    return tf.maximum(x, y if y is not None else const)


def minimum(tf: Any, x: Any, y: Any = None, *, const: Any) -> Any:
    """Smaller of x and y."""
    return tf.minimum(x, y if y is not None else const)


def _binary_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if len(operands) == 1:
        return operands[0]
    return TensorType(broadcast(operands[0].shape, operands[1].shape), operands[0].dtype)


def _const(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    if len(operands) == 2:
        return ()
    rank = min(integer(attrs["const_rank"]), operands[0].rank)
    shape = operands[0].shape[operands[0].rank - rank :]
    return (WeightSlot("const", TensorType(shape, operands[0].dtype)),)


OPS = tuple(
    Op(
        build.__name__,
        build,
        _binary_type,
        attrs=_ATTRS,
        weights=_const,
        arity=(1, 2),
        ranks=RANKS,
        dtypes=(*FLOATS, *INTS, *_MORE.get(build.__name__, ())),
        empty=True,
        weight=1.5 if build in (add, mul) else 0.7,
    )
    for build in (add, sub, mul, maximum, minimum)
)
