"""Elements by size: top-k, sorting, buckets, permutations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_0, FROM_1, replaced
from fuzzer.ops.domains import Choice, Flag, Int, Ints
from fuzzer.ops.spec import INTS, SMALL_INTS, Attrs, Op, TensorType, integer

_NUMBERS = ("float32", *INTS, *SMALL_INTS[:3], "float16")
_DIRECTION = Choice(("ASCENDING", "DESCENDING"))


def top_k(tf: Any, x: Any, *, eighths: Any, pick: Any, ordered: Any, out_shape: Any) -> Any:
    """The largest elements of the last axis, or where they are; how many is a fraction of the axis.

    In what order unsorted ones come is not promised, so they are sorted.
    """
    made = tf.math.top_k(x, k=out_shape[-1], sorted=ordered)[pick]
    return made if ordered else tf.sort(made)


def _top_k_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    count = min(x.shape[-1], 1 + x.shape[-1] * integer(attrs["eighths"]) // 8)
    return TensorType((*x.shape[:-1], count), "int32" if attrs["pick"] else x.dtype)


def top_k_dynamic(tf: Any, x: Any, k: Any, *, out_shape: Any) -> Any:
    """The largest elements of the last axis, as many as a number at run time says; then what the axis begins with."""
    count = 1 + tf.math.floormod(tf.reshape(k, [-1])[0], x.shape[-1])
    found = tf.math.top_k(x, k=tf.cast(count, "int32"))[0]
    return tf.reshape(tf.concat([found, x], -1)[..., : x.shape[-1]], out_shape)


def _same(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


def sort(tf: Any, x: Any, *, axis: Any, direction: Any) -> Any:
    """Elements in order along an axis."""
    return tf.sort(x, axis=-1 - axis % x.shape.rank, direction=direction)


def argsort(tf: Any, x: Any, *, axis: Any, direction: Any) -> Any:
    """Indices that put elements in order along an axis; equals stay in place."""
    return tf.argsort(x, axis=-1 - axis % x.shape.rank, direction=direction, stable=True)


def _argsort_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, "int32")


def bucketize(tf: Any, x: Any, *, bounds: Any, step: Any) -> Any:
    """Which bucket each element falls into."""
    return tf.raw_ops.Bucketize(input=x, boundaries=sorted(bound / step for bound in bounds))


def invert_permutation(tf: Any, x: Any) -> Any:
    """The rank of every element, as the inverse of the permutation that sorts."""
    return tf.math.invert_permutation(tf.argsort(x, stable=True))


def dynamic_stitch(tf: Any, x: Any, y: Any, *, turn: Any) -> Any:
    """Rows of two tensors in turn."""
    count = x.shape[0]
    return tf.dynamic_stitch([[2 * i for i in range(count)], [2 * i + 1 for i in range(count)]], [x, y])


def _stitch_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, y = operands
    if x.shape != y.shape:
        raise UnfitError(f"{x} and {y} are not of one shape")
    return replaced(x, 0, 2 * x.shape[0])


OPS = (
    Op(
        "top_k",
        top_k,
        _top_k_type,
        attrs={"eighths": Int(0, 8, 0), "pick": Choice((0, 1)), "ordered": Flag(True)},
        ranks=FROM_1,
        dtypes=_NUMBERS,
        weight=0.7,
        discontinuous=True,
    ),
    Op(
        "top_k_dynamic",
        top_k_dynamic,
        _same,
        arity=(2, 2),
        ranks=FROM_1[:5],
        dtypes=_NUMBERS,
        operand_dtypes=(INTS,),
        weight=0.3,
        discontinuous=True,
    ),
    Op(
        "sort",
        sort,
        attrs={"axis": Int(0, 5, 0), "direction": _DIRECTION},
        ranks=FROM_1,
        dtypes=_NUMBERS,
        weight=0.4,
        discontinuous=True,
    ),
    Op(
        "argsort",
        argsort,
        _argsort_type,
        attrs={"axis": Int(0, 5, 0), "direction": _DIRECTION},
        ranks=FROM_1,
        dtypes=("float32", *INTS, "float16"),
        weight=0.4,
        discontinuous=True,
    ),
    Op(
        "bucketize",
        bucketize,
        _argsort_type,
        attrs={"bounds": Ints(4, -20, 20, 0), "step": Choice((1, 2, 8))},
        ranks=FROM_0,
        dtypes=("float32", *INTS),
        weight=0.4,
        discontinuous=True,
    ),
    Op(
        "invert_permutation",
        invert_permutation,
        _argsort_type,
        ranks=(1,),
        dtypes=("float32", *INTS),
        weight=0.2,
        discontinuous=True,
    ),
    Op(
        "dynamic_stitch",
        dynamic_stitch,
        _stitch_type,
        attrs={"turn": Choice((0, 1))},
        arity=(2, 2),
        dtypes=("float32", "int32", "int8", "uint8", "int16"),
        weight=0.2,
    ),
)
