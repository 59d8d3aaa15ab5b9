"""Parts of a tensor: slices, strided slices with every mask, constant and run-time positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_1, axis_of, free, ints, replaced
from fuzzer.ops.domains import Choice, Flag, Int, Ints
from fuzzer.ops.spec import INTS, Attrs, Op, TensorType, WeightSlot, integer

_DTYPES = ("float32", *INTS, "int8", "uint8", "bool")
_EIGHTHS = Ints(6, 0, 7, 0)


def slice(tf: Any, x: Any, *, begin: Any, size: Any, rest: Any, out_shape: Any) -> Any:
    """A box whose corner is given in eighths of each axis, its size in eighths of what is left; -1 for all of it."""
    corner = [x.shape[i] * begin[i] // 8 for i in range(x.shape.rank)]
    return tf.slice(x, corner, [-1 if rest and size[i] == 8 else out_shape[i] for i in range(x.shape.rank)])


def slice_dynamic(tf: Any, x: Any, begin: Any, *, size: Any, out_shape: Any) -> Any:
    """A box whose corner is known at run time only, brought into range."""
    first = tf.reshape(begin, [-1])[0]
    room = [x.shape[i] - d + 1 for i, d in enumerate(out_shape)]
    return tf.slice(x, tf.stack([tf.math.floormod(first + i, n) for i, n in enumerate(room)]), out_shape)


def _slice_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """Never empty where the operand is not."""
    x = operands[0]
    begin = ints(attrs["begin"]) if "begin" in attrs else (0,) * 6
    shape = []
    for dim, start, size in zip(x.shape, begin, ints(attrs["size"]), strict=False):
        left = dim - dim * start // 8
        shape.append(min(left, max(1, left * size // 8)))
    return TensorType(tuple(shape), x.dtype)


def strided_slice(
    tf: Any,
    x: Any,
    *,
    count: Any,
    begin: Any,
    end: Any,
    strides: Any,
    begin_mask: Any,
    end_mask: Any,
    ellipsis: Any,
    new_axis_mask: Any,
    shrink_axis_mask: Any,
    raw_masks: Any,
) -> Any:
    """A strided slice with every mask; `ellipsis` is the position of the ellipsis, counted from 1.

    Bits that mean nothing (beyond the indices, the begin of an axis that is shrunk) are cleared unless `raw_masks`.
    """
    known = 2**count - 1
    kept = 63 if raw_masks else known & ~shrink_axis_mask
    seen = 63 if raw_masks else known
    steps = [1 if new_axis_mask >> i & 1 and not raw_masks else strides[i] for i in range(count)]
    return tf.strided_slice(
        x,
        begin[:count],
        end[:count],
        steps,
        begin_mask=begin_mask & kept,
        end_mask=end_mask & kept,
        ellipsis_mask=2**ellipsis // 2 & known,
        new_axis_mask=new_axis_mask & seen,
        shrink_axis_mask=shrink_axis_mask & seen,
    )


def _strided_slice_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """The rule of `ValidateStridedSliceOp` (tensorflow/core/util/strided_slice_op.cc)."""
    x, count = operands[0], integer(attrs["count"])
    new, shrink = integer(attrs["new_axis_mask"]), integer(attrs["shrink_axis_mask"])
    ellipsis = integer(attrs["ellipsis"]) - 1
    ellipsis = ellipsis if 0 <= ellipsis < count else count
    consumed = sum(1 for i in range(count) if i != ellipsis and not new >> i & 1)
    if consumed > x.rank:
        raise UnfitError(f"{consumed} indices are too many for {x}")
    shape: list[int] = []
    at = 0
    for i in range(count + (ellipsis == count)):
        if i == ellipsis:
            shape.extend(x.shape[at : at + x.rank - consumed])
            at += x.rank - consumed
        elif new >> i & 1:
            shape.append(1)
        else:
            size = _interval(x.shape[at], i, attrs)
            if not shrink >> i & 1:
                shape.append(size)
            at += 1
    return TensorType(tuple(shape), x.dtype)


def _interval(dim: int, i: int, attrs: Attrs) -> int:
    """How many elements index `i` takes from an axis of `dim`."""
    begin, end, stride = (ints(attrs[name])[i] for name in ("begin", "end", "strides"))
    if stride == 0:
        raise UnfitError("a stride of 0")
    if integer(attrs["shrink_axis_mask"]) >> i & 1:
        if stride < 0 or not -dim <= begin < dim:
            raise UnfitError(f"index {begin} with stride {stride} does not fit {dim}")
        return 1
    low, high = (0, dim) if stride > 0 else (-1, dim - 1)
    first, last = (low, high) if stride > 0 else (high, low)
    start = first if integer(attrs["begin_mask"]) >> i & 1 else min(high, max(low, begin + dim * (begin < 0)))
    stop = last if integer(attrs["end_mask"]) >> i & 1 else min(high, max(low, end + dim * (end < 0)))
    size = -((start - stop) // stride)
    if size <= 0:
        raise UnfitError(f"nothing is left of {dim} from {begin} to {end} by {stride}")
    return size


def strided_slice_dynamic(tf: Any, x: Any, begin: Any, *, stride: Any, shrink: Any, out_shape: Any) -> Any:
    """Along the first axis from a run-time position on, always so many that the size is known; or one element."""
    reach = 1 if shrink else (out_shape[0] - 1) * stride + 1
    start = tf.math.floormod(tf.reshape(begin, [-1])[0], x.shape[0] - reach + 1)
    return x[start] if shrink else tf.reshape(x[start : start + reach : stride], out_shape)


def _strided_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, stride = operands[0], integer(attrs["stride"])
    if attrs["shrink"]:
        return TensorType(x.shape[1:], x.dtype)
    most = (x.shape[0] - 1) // stride + 1
    return TensorType((max(1, most - 1), *x.shape[1:]), x.dtype)


def update_slice(tf: Any, x: Any, *, patch: Any, axis: Any, rows: Any, start: Any) -> Any:
    """Some places of an axis replaced by a constant: what is before and behind is split off, perhaps nothing."""
    along = x.shape.rank - 1 - axis % x.shape.rank
    rest = x.shape[along] - patch.shape[along]
    parts = tf.split(x, [rest * start // 8, patch.shape[along], rest - rest * start // 8], axis=along)
    return tf.concat([parts[0], patch, parts[2]], along)


def _patch(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    axis = axis_of(x, attrs)
    return (WeightSlot("patch", replaced(x, axis, max(1, x.shape[axis] * integer(attrs["rows"]) // 8))),)


def dynamic_update_slice(tf: Any, x: Any, begin: Any, *, patch: Any, rows: Any) -> Any:
    """A tensor with a constant box written into it, where is known at run time only."""
    from tensorflow.compiler.tf2xla.python import xla

    room = [x.shape[i] - patch.shape[i] + 1 for i in range(x.shape.rank)]
    first = tf.reshape(begin, [-1])[0]
    corner = tf.stack([tf.math.floormod(first + i, room[i]) for i in range(x.shape.rank)])
    return xla.dynamic_update_slice(x, patch, corner)


def _box(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    sizes = zip(x.shape, ints(attrs["rows"]), strict=False)
    return (WeightSlot("patch", TensorType(tuple(max(1, dim * size // 8) for dim, size in sizes), x.dtype)),)


def _first(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


_SIZE = Ints(6, 0, 8, 8)

OPS = (
    Op(
        "slice",
        slice,
        _slice_type,
        attrs={"begin": _EIGHTHS, "size": _SIZE, "rest": Flag()},
        cost=free,
        ranks=FROM_1[:5],
        dtypes=(*_DTYPES, "uint32", "string", "float16"),
        empty=True,
        static=True,
    ),
    Op(
        "slice_dynamic",
        slice_dynamic,
        _slice_type,
        attrs={"size": _SIZE},
        cost=free,
        arity=(2, 2),
        ranks=FROM_1[:5],
        dtypes=(*_DTYPES, "uint32", "string", "float16"),
        operand_dtypes=(INTS,),
        weight=0.5,
        static=True,
    ),
    Op(
        "strided_slice",
        strided_slice,
        _strided_slice_type,
        attrs={
            "count": Int(1, 6, 1),
            "begin": Ints(6, -4, 4, 0),
            "end": Ints(6, -4, 9, 0),
            "strides": Ints(6, -3, 3, 1),
            "begin_mask": Int(0, 63, 63),
            "end_mask": Int(0, 63, 63),
            "ellipsis": Int(0, 6, 0),
            "new_axis_mask": Int(0, 63, 0),
            "shrink_axis_mask": Int(0, 63, 0),
            # Rarely: TFLite reads the bits that TensorFlow ignores, which hides everything else.
            "raw_masks": Choice((0, 0, 0, 0, 1)),
        },
        cost=free,
        ranks=FROM_1[:5],
        dtypes=(*_DTYPES, "int16", "uint32", "string", "float16"),
        weight=1.2,
        static=True,
    ),
    Op(
        "strided_slice_dynamic",
        strided_slice_dynamic,
        _strided_dynamic_type,
        attrs={"stride": Int(1, 3, 1), "shrink": Int(0, 1, 0)},
        cost=free,
        arity=(2, 2),
        ranks=FROM_1[:5],
        dtypes=(*_DTYPES, "int16", "uint32", "string", "float16"),
        operand_dtypes=(INTS,),
        weight=0.5,
        static=True,
    ),
    Op(
        "update_slice",
        update_slice,
        attrs={"axis": Int(0, 4, 0), "rows": Int(0, 7, 1), "start": Int(0, 8, 4)},
        weights=_patch,
        cost=free,
        ranks=FROM_1[:5],
        dtypes=("float32", *INTS, "int8", "uint8", "int16", "float16"),
        weight=0.4,
        static=True,
    ),
    Op(
        "dynamic_update_slice",
        dynamic_update_slice,
        _first,
        attrs={"rows": Ints(6, 0, 8, 4)},
        weights=_box,
        cost=free,
        arity=(2, 2),
        ranks=FROM_1,
        dtypes=("float32", *INTS, "int8", "uint8", "int16", "bool", "float16"),
        operand_dtypes=(INTS,),
        weight=0.5,
        static=True,
    ),
)
