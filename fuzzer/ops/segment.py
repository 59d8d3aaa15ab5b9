"""Reductions over rows that belong together, by the id of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Flag, Int
from fuzzer.ops.spec import INTS, Attrs, Op, TensorType, WeightSlot, integer, one_per_operand_element

_DTYPES = ("float32", "int32")


def segment_sum(tf: Any, x: Any, *, length: Any, out_shape: Any) -> Any:
    """Sum of every few rows."""
    return tf.reshape(tf.math.segment_sum(x, [i // length for i in range(x.shape[0])]), out_shape)


def unsorted_segment_sum(tf: Any, x: Any, y: Any = None, *, ids: Any, segments: Any) -> Any:
    """Sum of the entries of each id."""
    return tf.math.unsorted_segment_sum(x, ids if y is None else tf.math.floormod(y, segments), segments)


def unsorted_segment_prod(tf: Any, x: Any, y: Any = None, *, ids: Any, segments: Any) -> Any:
    """Product of the entries of each id."""
    return tf.math.unsorted_segment_prod(x, ids if y is None else tf.math.floormod(y, segments), segments)


def unsorted_segment_max(tf: Any, x: Any, y: Any = None, *, ids: Any, segments: Any) -> Any:
    """Largest of the entries of each id."""
    return tf.math.unsorted_segment_max(x, ids if y is None else tf.math.floormod(y, segments), segments)


def unsorted_segment_min(tf: Any, x: Any, y: Any = None, *, ids: Any, segments: Any) -> Any:
    """Smallest of the entries of each id."""
    return tf.math.unsorted_segment_min(x, ids if y is None else tf.math.floormod(y, segments), segments)


def unsorted_segment_mean(tf: Any, x: Any, y: Any = None, *, ids: Any, segments: Any) -> Any:
    """Mean of the entries of each id."""
    return tf.math.unsorted_segment_mean(x, ids if y is None else tf.math.floormod(y, segments), segments)


def unsorted_segment_sqrt_n(tf: Any, x: Any, y: Any = None, *, ids: Any, segments: Any) -> Any:
    """Sum of the entries of each id over the square root of their number."""
    return tf.math.unsorted_segment_sqrt_n(x, ids if y is None else tf.math.floormod(y, segments), segments)


def _sorted_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((-(-x.shape[0] // integer(attrs["length"])), *x.shape[1:]), x.dtype)


def _prefix(operands: Sequence[TensorType], attrs: Attrs) -> int:
    """How many axes of x the ids have."""
    if len(operands) == 2:
        ids = operands[1].shape
        if not ids or operands[0].shape[: len(ids)] != ids:
            raise UnfitError(f"ids of {operands[1]} are no entries of {operands[0]}")
        return len(ids)
    return min(integer(attrs["id_rank"]), operands[0].rank)


def _unsorted_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((integer(attrs["segments"]), *x.shape[_prefix(operands, attrs) :]), x.dtype)


def _ids(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    if len(operands) == 2:
        return ()
    shape = operands[0].shape[: _prefix(operands, attrs)]
    # TensorFlow drops the entries of negative ids.
    span = (-1 if attrs["dropped"] else 0, integer(attrs["segments"]))
    return (WeightSlot("ids", TensorType(shape, "int32"), span=span),)


def _unsorted(build: Callable[..., Any], dtypes: tuple[str, ...], weight: float) -> Op:
    return Op(
        build.__name__,
        build,
        _unsorted_type,
        attrs={"segments": Int(1, 20, 4), "id_rank": Int(1, 3, 1), "dropped": Flag()},
        weights=_ids,
        cost=one_per_operand_element,
        arity=(1, 2),
        dtypes=dtypes,
        operand_dtypes=(INTS,),
        weight=weight,
    )


OPS = (
    Op(
        "segment_sum",
        segment_sum,
        _sorted_type,
        attrs={"length": Int(1, 6, 2)},
        cost=one_per_operand_element,
        dtypes=_DTYPES,
        weight=0.7,
        static=True,
    ),
    _unsorted(unsorted_segment_sum, _DTYPES, 0.7),
    _unsorted(unsorted_segment_prod, _DTYPES, 0.4),
    _unsorted(unsorted_segment_max, _DTYPES, 0.4),
    _unsorted(unsorted_segment_min, _DTYPES, 0.4),
    _unsorted(unsorted_segment_mean, ("float32",), 0.2),
    _unsorted(unsorted_segment_sqrt_n, ("float32",), 0.2),
)
