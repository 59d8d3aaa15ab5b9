"""Tensors put together and taken apart: concatenation, stacks, splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_0, FROM_1, axis_of, divisor, free, ints, replaced
from fuzzer.ops.domains import Choice, Flag, Int, Ints
from fuzzer.ops.spec import INTS, SMALL_INTS, Attrs, Op, TensorType, WeightSlot, integer

_AXIS = Int(0, 5, 0)
_PICK = Int(0, 7, 0)
_MAX_PARTS = 24
_JOINED = ("float32", *INTS, *SMALL_INTS[:3], "uint32", "bool", "float16")
_TAKEN = ("float32", "int32", "int8", "uint8", "int16")


def concat_many(tf: Any, *xs: Any, axis: Any) -> Any:
    """Up to five operands one after another along any axis."""
    return tf.concat(xs, -1 - axis % xs[0].shape.rank)


def _concat_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs)
    total = 0
    for other in operands:
        if other.rank != x.rank or replaced(other, axis).shape != replaced(x, axis).shape:
            raise UnfitError(f"{x} and {other} differ outside axis {axis}")
        total += other.shape[axis]
    return replaced(x, axis, total)


def concat_copies(tf: Any, x: Any, *, axis: Any, copies: Any) -> Any:
    """A tensor several times in a row: every operand of the concatenation is the same one."""
    return tf.concat([x] * copies, -1 - axis % x.shape.rank)


def _concat_copies_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs)
    return replaced(x, axis, x.shape[axis] * integer(attrs["copies"]))


def concat_const(tf: Any, x: Any, *, axis: Any, const: Any, before: Any) -> Any:
    """A tensor and a constant one after another, in either order."""
    return tf.concat([const, x] if before else [x, const], -1 - axis % x.shape.rank)


def _concat_const_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs)
    return replaced(x, axis, x.shape[axis] + integer(attrs["length"]))


def _concat_const_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("const", replaced(operands[0], axis_of(operands[0], attrs), integer(attrs["length"]))),)


def stack(tf: Any, *xs: Any, axis: Any) -> Any:
    """Operands of one shape side by side along a new axis."""
    return tf.stack(xs, -1 - axis % (xs[0].shape.rank + 1))


def _stack_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    for other in operands[1:]:
        if other.shape != x.shape:
            raise UnfitError(f"{x} and {other} are not of one shape")
    axis = axis_of(x, attrs, 1)
    return TensorType((*x.shape[:axis], len(operands), *x.shape[axis:]), x.dtype)


def stack_copies(tf: Any, x: Any, *, axis: Any, copies: Any) -> Any:
    """A tensor several times along a new axis."""
    return tf.stack([x] * copies, -1 - axis % (x.shape.rank + 1))


def _stack_copies_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs, 1)
    return TensorType((*x.shape[:axis], integer(attrs["copies"]), *x.shape[axis:]), x.dtype)


def unstack(tf: Any, x: Any, *, axis: Any, pick: Any) -> Any:
    """One of the slices along an axis, all of which are computed."""
    parts = tf.unstack(x, axis=-1 - axis % x.shape.rank)
    return parts[pick % len(parts)]


def _unstack_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs)
    if not 0 < x.shape[axis] <= _MAX_PARTS:
        raise UnfitError(f"unstack gives 1 to {_MAX_PARTS} tensors here, not {x.shape[axis]}")
    return replaced(x, axis)


def split(tf: Any, x: Any, *, axis: Any, parts: Any, pick: Any, out_shape: Any) -> Any:
    """One of several equal parts along an axis; `parts` chooses among the divisors of the axis."""
    along = x.shape.rank - 1 - axis % x.shape.rank
    pieces = tf.split(x, x.shape[along] // out_shape[along], axis=along)
    return pieces[pick % len(pieces)]


def _split_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs)
    return replaced(x, axis, x.shape[axis] // divisor(x.shape[axis], integer(attrs["parts"]), _MAX_PARTS))


def split_v(tf: Any, x: Any, *, axis: Any, cuts: Any, pick: Any, rest: Any) -> Any:
    """One of four unequal parts along an axis, cut at eighths of it; one size may be left for TensorFlow to find."""
    along = x.shape.rank - 1 - axis % x.shape.rank
    points = [0, *sorted(x.shape[along] * cut // 8 for cut in cuts), x.shape[along]]
    sizes = [points[i + 1] - points[i] for i in range(4)]
    return tf.split(x, [-1 if i == rest else sizes[i] for i in range(4)], axis=along)[pick]


def _split_v_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis, size = axis_of(x, attrs), x.shape[axis_of(x, attrs)]
    points = [0, *sorted(size * cut // 8 for cut in ints(attrs["cuts"])), size]
    pick = integer(attrs["pick"])
    if points[pick + 1] == points[pick]:
        raise UnfitError(f"part {pick} of {size} is empty")
    return replaced(x, axis, points[pick + 1] - points[pick])


def meshgrid(tf: Any, x: Any, y: Any, *, pick: Any, indexing: Any) -> Any:
    """One of the two coordinate matrices of two vectors."""
    return tf.meshgrid(x, y, indexing=indexing)[pick]


def _meshgrid_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, y = operands
    if y.rank > 1:
        raise UnfitError("meshgrid takes vectors")
    shape = (y.elements, x.elements) if attrs["indexing"] == "xy" else (x.elements, y.elements)
    return TensorType(shape, x.dtype)


OPS = (
    Op(
        "concat_many",
        concat_many,
        _concat_type,
        attrs={"axis": _AXIS},
        cost=free,
        arity=(2, 5),
        ranks=FROM_1,
        dtypes=_JOINED,
        empty=True,
    ),
    Op(
        "concat_copies",
        concat_copies,
        _concat_copies_type,
        attrs={"axis": _AXIS, "copies": Int(2, 6, 2)},
        cost=free,
        ranks=FROM_1,
        dtypes=_JOINED,
        empty=True,
        weight=0.7,
    ),
    Op(
        "concat_const",
        concat_const,
        _concat_const_type,
        attrs={"axis": _AXIS, "length": Int(1, 6, 1), "before": Flag()},
        weights=_concat_const_weights,
        cost=free,
        ranks=FROM_1,
        dtypes=_JOINED,
        weight=0.6,
        static=True,
    ),
    Op(
        "stack",
        stack,
        _stack_type,
        attrs={"axis": Int(0, 6, 0)},
        cost=free,
        arity=(2, 5),
        ranks=FROM_0[:6],
        dtypes=_JOINED,
        empty=True,
        weight=0.7,
    ),
    Op(
        "stack_copies",
        stack_copies,
        _stack_copies_type,
        attrs={"axis": Int(0, 6, 0), "copies": Int(1, 4, 2)},
        cost=free,
        ranks=FROM_0[:6],
        dtypes=_JOINED,
        empty=True,
        weight=0.5,
    ),
    Op(
        "unstack",
        unstack,
        _unstack_type,
        attrs={"axis": _AXIS, "pick": _PICK},
        cost=free,
        ranks=FROM_1,
        dtypes=(*_TAKEN, "bool", "float16"),
        empty=True,
        weight=0.7,
        static=True,
    ),
    Op(
        "split",
        split,
        _split_type,
        attrs={"axis": _AXIS, "parts": Int(0, 5, 0), "pick": _PICK},
        cost=free,
        ranks=FROM_1,
        dtypes=(*_TAKEN, "float16"),
        static=True,
    ),
    Op(
        "split_v",
        split_v,
        _split_v_type,
        attrs={"axis": _AXIS, "cuts": Ints(3, 0, 8, 4), "pick": Int(0, 3, 0), "rest": Choice((-1, 0, 1, 2, 3))},
        cost=free,
        ranks=FROM_1,
        dtypes=(*_TAKEN, "int64", "float16"),
        static=True,
    ),
    Op(
        "meshgrid",
        meshgrid,
        _meshgrid_type,
        attrs={"pick": Choice((0, 1)), "indexing": Choice(("xy", "ij"))},
        cost=free,
        arity=(2, 2),
        ranks=(0, 1),
        dtypes=("float32", *INTS, "int8", "uint8", "int16", "uint32", "bool", "complex64", "float16"),
        weight=0.3,
        static=True,
    ),
)
