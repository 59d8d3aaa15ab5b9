"""Shapes that only a run tells: what is selected by value, its shape, size and rank, and tensors made from them.

Every result is brought back to a static shape, filled up with zeros or summed, so that what follows is typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_0, FROM_1, free
from fuzzer.ops.domains import Choice, Float, Int
from fuzzer.ops.spec import BOOL, INTS, Attrs, Op, TensorType, integer

_NUMBERS = ("float32", *INTS, "float16")
_MOVED = ("float32", *INTS, "int8", "uint8", "int16", "float16")


def _flat(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((operands[0].elements,), operands[0].dtype)


def boolean_mask(tf: Any, x: Any, mask: Any, *, out_shape: Any) -> Any:
    """Elements where the mask is true, then zeros."""
    picked = tf.boolean_mask(x, mask)
    return tf.reshape(tf.concat([picked, tf.zeros_like(tf.reshape(x, [-1]))], 0)[: out_shape[0]], out_shape)


def _mask_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, mask = operands
    if x.shape != mask.shape:
        raise UnfitError(f"{mask} is no mask of {x}")
    return _flat(operands, attrs)


def boolean_mask_rows(tf: Any, x: Any, mask: Any, *, out_shape: Any) -> Any:
    """Rows where the flat mask is true, then the rows from the start on."""
    picked = tf.boolean_mask(x, tf.reshape(mask, [-1])[: x.shape[0]])
    return tf.reshape(tf.concat([picked, x], 0)[: x.shape[0]], out_shape)


def _mask_rows_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, mask = operands
    if mask.elements < x.shape[0]:
        raise UnfitError(f"{mask} is too small for the rows of {x}")
    return x


def where_indices(tf: Any, x: Any, *, out_shape: Any) -> Any:
    """Indices of the elements that are true or positive, then zeros."""
    found = tf.where(x if x.dtype == tf.bool else x > 0)
    return tf.reshape(tf.concat([found, tf.zeros(out_shape, found.dtype)], 0)[: out_shape[0]], out_shape)


def _where_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((operands[0].elements, operands[0].rank), "int64")


def unique(tf: Any, x: Any, *, pick: Any, index: Any, out_shape: Any) -> Any:
    """Distinct elements in order of appearance, then zeros; or of each element which of them it is."""
    values, places = tf.unique(tf.reshape(x, [-1]), out_idx=index)
    filled = tf.concat([values, tf.zeros(out_shape, x.dtype)], 0)
    return places if pick else tf.reshape(filled[: out_shape[0]], out_shape)


def _unique_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.elements,), str(attrs["index"]) if attrs["pick"] else x.dtype)


def shape_of(tf: Any, x: Any, *, of: Any, index: Any, out_dtype: Any) -> Any:
    """Shape, size or rank of something whose first dimension is unknown: the positive rows of a tensor."""
    rows = tf.boolean_mask(x, tf.reshape(x, [x.shape[0], -1])[:, 0] > 0)
    if of == "shape":
        return tf.shape(rows, out_type=tf.as_dtype(out_dtype))
    return tf.size(rows, out_type=tf.as_dtype(out_dtype)) if of == "size" else tf.cast(tf.rank(rows), out_dtype)


def _shape_of_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.rank,) if attrs["of"] == "shape" else (), str(attrs["index"]))


def fill_dynamic(tf: Any, x: Any, *, value: Any, out_shape: Any) -> Any:
    """As many numbers as there are positive elements, then zeros."""
    count = tf.shape(tf.boolean_mask(x, x > 0))
    made = tf.fill(count, tf.cast(value, x.dtype))
    return tf.reshape(tf.concat([made, tf.zeros(out_shape, x.dtype)], 0)[: out_shape[0]], out_shape)


def like_dynamic(tf: Any, x: Any, *, what: Any, out_shape: Any) -> Any:
    """Zeros or ones for the positive elements, then the elements."""
    picked = tf.boolean_mask(x, x > 0)
    made = tf.zeros_like(picked) if what == "zeros" else tf.ones_like(picked)
    return tf.reshape(tf.concat([made, tf.reshape(x, [-1])], 0)[: out_shape[0]], out_shape)


def range_dynamic(tf: Any, x: Any, *, out_shape: Any) -> Any:
    """0, 1, 2, ... for as many as there are positive elements, then zeros."""
    made = tf.range(tf.size(tf.boolean_mask(x, x > 0)))
    return tf.reshape(tf.concat([made, tf.zeros(out_shape, "int32")], 0)[: out_shape[0]], out_shape)


def _range_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((operands[0].elements,), "int32")


def range_from(tf: Any, x: Any, *, count: Any, delta: Any, out_shape: Any) -> Any:
    """A range that starts at a run-time number; the limit lies half a step behind the last."""
    start = tf.reshape(x, [-1])[0]
    step = tf.cast(delta, x.dtype)
    half = tf.cast(delta / 2, x.dtype) if x.dtype.is_floating else step
    return tf.reshape(tf.range(start, start + step * (count - 1) + half, step), out_shape)


def _range_from_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((integer(attrs["count"]),), operands[0].dtype)


def reshape_dynamic(tf: Any, x: Any, shape: Any, *, out_shape: Any) -> Any:
    """The first dims swapped by a run-time shape: which of two, a number at run time decides; flat again after."""
    odd = tf.math.floormod(tf.reshape(shape, [-1])[0], 2)
    turned = tf.where(odd > 0, tf.constant(out_shape, shape.dtype), tf.constant(out_shape[::-1], shape.dtype))
    return tf.reshape(tf.reshape(x, turned), out_shape)


def _reshape_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.shape[0], x.elements // x.shape[0]), x.dtype)


def broadcast_dynamic(tf: Any, x: Any, y: Any, *, out_shape: Any) -> Any:
    """A row broadcast to as many rows as another tensor has positive ones; with zeros behind."""
    rows = tf.boolean_mask(y, tf.reshape(y, [y.shape[0], -1])[:, 0] > 0)
    target = tf.raw_ops.BroadcastArgs(s0=[1, out_shape[1]], s1=tf.concat([tf.shape(rows)[:1], [1]], 0))
    wide = tf.broadcast_to(tf.reshape(x, [1, -1]), target)
    return tf.reshape(tf.concat([wide, tf.zeros(out_shape, x.dtype)], 0)[: out_shape[0]], out_shape)


def _broadcast_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, y = operands
    if not y.rank:
        raise UnfitError("a scalar has no rows")
    return TensorType((y.shape[0], x.elements), x.dtype)


def take_dynamic(tf: Any, x: Any, *, out_shape: Any) -> Any:
    """The first rows, as many as have a positive first element; a cumulative product of the rest is not needed."""
    count = tf.math.reduce_sum(tf.cast(tf.reshape(x, [x.shape[0], -1])[:, 0] > 0, "int32"))
    return tf.reshape(tf.concat([x[:count], x], 0)[: x.shape[0]], out_shape)


def tile_dynamic(tf: Any, x: Any, times: Any, *, most: Any, out_shape: Any) -> Any:
    """The tensor one to `most` times along its first axis, then cut to `most` copies."""
    count = 1 + tf.math.floormod(tf.reshape(times, [-1])[0], most)
    multiples = tf.concat([tf.reshape(count, [1]), tf.ones([x.shape.rank - 1], times.dtype)], 0)
    return tf.reshape(tf.concat([tf.tile(x, multiples), *[x] * most], 0)[: out_shape[0]], out_shape)


def _tile_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.shape[0] * integer(attrs["most"]), *x.shape[1:]), x.dtype)


def _entry(build: Any, infer: Any, **more: Any) -> Op:
    given = {"cost": free, "ranks": FROM_1, "dtypes": _NUMBERS, "weight": 0.3, "discontinuous": True, "static": True}
    return Op(build.__name__, build, infer, **{**given, **more})


def _first(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


_INDEX = Choice(INTS)

OPS = (
    _entry(
        boolean_mask,
        _mask_type,
        arity=(2, 2),
        dtypes=(*_MOVED, "bool"),
        operand_dtypes=(BOOL,),
        discontinuous=False,
    ),
    _entry(
        boolean_mask_rows,
        _mask_rows_type,
        arity=(2, 2),
        ranks=FROM_1[:5],
        dtypes=(*_MOVED, "bool"),
        operand_dtypes=(BOOL,),
        discontinuous=False,
    ),
    _entry(where_indices, _where_type, dtypes=(*BOOL, *_NUMBERS), weight=0.5),
    _entry(unique, _unique_type, attrs={"pick": Choice((0, 1)), "index": _INDEX}, ranks=FROM_0, dtypes=_MOVED),
    _entry(shape_of, _shape_of_type, attrs={"of": Choice(("shape", "size", "rank")), "index": _INDEX}, weight=0.4),
    _entry(fill_dynamic, _flat, attrs={"value": Float(-8.0, 8.0, 1.0)}),
    _entry(like_dynamic, _flat, attrs={"what": Choice(("zeros", "ones"))}),
    _entry(range_dynamic, _range_dynamic_type),
    _entry(
        range_from,
        _range_from_type,
        attrs={"count": Int(1, 32, 4), "delta": Choice((1, 2, 5, -1, -3))},
        ranks=FROM_0,
        dtypes=("float32", *INTS),
        discontinuous=False,
    ),
    _entry(
        reshape_dynamic, _reshape_dynamic_type, arity=(2, 2), dtypes=_MOVED, operand_dtypes=(INTS,), discontinuous=False
    ),
    _entry(broadcast_dynamic, _broadcast_dynamic_type, arity=(2, 2)),
    _entry(take_dynamic, _first, ranks=FROM_1[:5]),
    _entry(
        tile_dynamic,
        _tile_dynamic_type,
        attrs={"most": Int(1, 4, 2)},
        arity=(2, 2),
        ranks=FROM_1[:5],
        dtypes=("float32", *INTS, "uint8", "float16"),
        operand_dtypes=(INTS,),
        discontinuous=False,
    ),
)
