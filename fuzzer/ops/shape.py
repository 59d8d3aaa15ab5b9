"""Ops that move elements and compute nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Float, Int, Ints
from fuzzer.ops.spec import FLOATS, INTS, Attrs, Op, TensorType, integer

_DTYPES = FLOATS + INTS


def _free(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return 0


# --- reshape ----------------------------------------------------------------------------------------------


def reshape(tf: Any, x: Any, *, out_shape: Any) -> Any:
    """Same elements, another shape."""
    return tf.reshape(x, out_shape)


def _reshape_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """Splits the elements of one batch entry over `rank` dims.

    The attributes say how, never how many: the target follows the operand, so that a mutation upstream
    does not break a reshape downstream.
    """
    x = operands[0]
    rank, split = integer(attrs["rank"]), integer(attrs["split"])
    if rank == 1:
        return TensorType((x.elements,), x.dtype)
    batch = x.shape[0] if x.rank else 1
    rest = x.elements // batch
    inner: list[int] = []
    for i in range(rank - 2):
        divisor = _divisor(rest, split + i)
        inner.append(divisor)
        rest //= divisor
    return TensorType((batch, *inner, rest), x.dtype)


def _divisor(number: int, choice: int) -> int:
    """One of the divisors of `number` up to its square root, largest first."""
    divisors = [d for d in range(math.isqrt(number), 0, -1) if number % d == 0]
    return divisors[choice % len(divisors)]


# --- concat -----------------------------------------------------------------------------------------------


def concat(tf: Any, *xs: Any, axis: Any) -> Any:
    """Operands one after another along an axis counted from the end."""
    return tf.concat(xs, axis=-axis)


def concat_layer(keras: Any, *, axis: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Concatenate(axis=-axis)


def _concat_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    axis = operands[0].rank - integer(attrs["axis"])
    if axis < 0:
        raise UnfitError(f"axis -{attrs['axis']} is outside rank {operands[0].rank}")
    shape = list(operands[0].shape)
    for other in operands[1:]:
        if other.rank != len(shape) or any(
            a != b for i, (a, b) in enumerate(zip(operands[0].shape, other.shape, strict=True)) if i != axis
        ):
            raise UnfitError(f"{operands[0]} and {other} differ outside axis {axis}")
        shape[axis] += other.shape[axis]
    return TensorType(tuple(shape), operands[0].dtype)


# --- transpose --------------------------------------------------------------------------------------------


def transpose(tf: Any, x: Any, *, rotate: Any) -> Any:
    """Axes rotated by a few places."""
    rank = x.shape.rank
    return tf.transpose(x, [(axis + rotate) % rank for axis in range(rank)])


def _transpose_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, rotate = operands[0], integer(attrs["rotate"])
    return TensorType(tuple(x.shape[(axis + rotate) % x.rank] for axis in range(x.rank)), x.dtype)


# --- pad --------------------------------------------------------------------------------------------------


def pad(tf: Any, x: Any, *, before: Any, after: Any, mode: Any, value: Any) -> Any:
    """Pads the two middle axes of an image."""
    paddings = [[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]]
    return tf.pad(x, paddings, mode=mode, constant_values=tf.cast(value, x.dtype) if mode == "CONSTANT" else 0)


def _pad_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    before, after = attrs["before"], attrs["after"]
    assert isinstance(before, tuple) and isinstance(after, tuple)
    # REFLECT repeats all but the edge, SYMMETRIC the edge too (tf.pad's documentation).
    limit = {"CONSTANT": math.inf, "REFLECT": -1, "SYMMETRIC": 0}[str(attrs["mode"])]
    spatial = []
    for size, b, a in zip(x.shape[1:3], before, after, strict=True):
        if limit != math.inf and max(a, b) > size + limit:
            raise UnfitError(f"{attrs['mode']} padding of {max(a, b)} is too much for size {size}")
        spatial.append(size + a + b)
    return TensorType((x.shape[0], *spatial, x.shape[3]), x.dtype)


OPS = (
    Op(
        "reshape",
        reshape,
        _reshape_type,
        attrs={"rank": Int(1, 6, 2), "split": Int(0, 3, 0)},
        cost=_free,
        dtypes=_DTYPES,
    ),
    Op(
        "concat",
        concat,
        _concat_type,
        attrs={"axis": Int(1, 4, 1)},
        cost=_free,
        arity=(2, 3),
        dtypes=_DTYPES,
        keras=concat_layer,
    ),
    Op(
        "transpose",
        transpose,
        _transpose_type,
        attrs={"rotate": Int(1, 4, 1)},
        cost=_free,
        ranks=(2, 3, 4, 5),
        dtypes=_DTYPES,
        weight=0.7,
    ),
    Op(
        "pad",
        pad,
        _pad_type,
        attrs={
            "before": Ints(2, 0, 3, 1),
            "after": Ints(2, 0, 3, 1),
            "mode": Choice(("CONSTANT", "REFLECT", "SYMMETRIC")),
            "value": Float(-4.0, 4.0, 0.0, special=(0.0, 1.0, -1.0)),
        },
        cost=_free,
        ranks=(4,),
        dtypes=FLOATS,
        weight=0.7,
    ),
)
