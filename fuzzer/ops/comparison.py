"""Comparisons and logic: results are booleans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.ops.broadcasting import RANKS, SECOND, binary_shape, second_operand
from fuzzer.ops.spec import BOOL, INTS, STRING, Attrs, Op, TensorType


def less(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X < y, or y < x."""
    other = y if y is not None else const
    return tf.less(other, x) if swap else tf.less(x, other)


def less_equal(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X <= y, or y <= x."""
    other = y if y is not None else const
    return tf.less_equal(other, x) if swap else tf.less_equal(x, other)


def greater(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X > y, or y > x."""
    other = y if y is not None else const
    return tf.greater(other, x) if swap else tf.greater(x, other)


def greater_equal(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X >= y, or y >= x."""
    other = y if y is not None else const
    return tf.greater_equal(other, x) if swap else tf.greater_equal(x, other)


def equal(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """Where x is y."""
    other = y if y is not None else const
    return tf.equal(other, x) if swap else tf.equal(x, other)


def not_equal(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """Where x is not y."""
    other = y if y is not None else const
    return tf.not_equal(other, x) if swap else tf.not_equal(x, other)


def logical_and(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """Both."""
    other = y if y is not None else const
    return tf.logical_and(other, x) if swap else tf.logical_and(x, other)


def logical_or(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """Either or both."""
    other = y if y is not None else const
    return tf.logical_or(other, x) if swap else tf.logical_or(x, other)


def logical_xor(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """One but not the other."""
    other = y if y is not None else const
    return tf.math.logical_xor(other, x) if swap else tf.math.logical_xor(x, other)


def _bool_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(binary_shape(operands, attrs), "bool")


# Those the converter takes: `less` and its kin differ.
_DTYPES = {
    less: ("float32", *INTS, "int16", "float16"),
    less_equal: ("float32", *INTS, "float16"),
    greater: ("float32", *INTS, "float16"),
    greater_equal: ("float32", *INTS, "int16", "float16"),
    equal: ("float32", *INTS, "uint8", "int16", *BOOL, *STRING, "float16"),
    not_equal: ("float32", *INTS, *BOOL, *STRING, "float16"),
    logical_and: BOOL,
    logical_or: BOOL,
    logical_xor: BOOL,
}

OPS = tuple(
    Op(
        build.__name__,
        build,
        _bool_type,
        attrs=SECOND,
        weights=second_operand,
        arity=(1, 2),
        ranks=RANKS,
        dtypes=dtypes,
        empty=True,
        discontinuous=True,
        weight=0.6,
    )
    for build, dtypes in _DTYPES.items()
)
