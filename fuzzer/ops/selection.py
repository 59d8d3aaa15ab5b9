"""Element by element from one operand or another, as a condition says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.broadcasting import (
    CONSTANT,
    RANKS,
    SECOND,
    binary_shape,
    binary_type,
    broadcast,
    constant_shape,
    second_operand,
    stand_in,
)
from fuzzer.ops.domains import Choice, Int
from fuzzer.ops.spec import BOOL, INTS, Attrs, Op, TensorType, WeightSlot, integer

# What the converter takes, and float16.
_DTYPES = ("float32", *INTS, "int8", "int16", "uint32", *BOOL, "float16")


def select(tf: Any, x: Any, y: Any = None, condition: Any = None, *, const: Any, mask: Any) -> Any:
    """X where true, else y of the same shape; the condition is of that shape, or says it for each row."""
    return tf.raw_ops.Select(
        condition=condition if condition is not None else mask, x=x, y=y if y is not None else const
    )


def _select_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    if len(operands) > 1 and operands[1].shape != x.shape:
        raise UnfitError(f"{x} and {operands[1]} differ")
    if len(operands) > 2 and operands[2].shape not in (x.shape, x.shape[:1], ()):
        raise UnfitError(f"a condition {operands[2]} does not choose within {x}")
    return x


def _select_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    shape = {"same": x.shape, "rows": x.shape[:1], "scalar": ()}[str(attrs["mask_shape"])]
    slots = (WeightSlot("const", x), WeightSlot("mask", TensorType(shape, "bool")))
    return slots[len(operands) - 1 :]


def where(tf: Any, x: Any, y: Any = None, condition: Any = None, *, const: Any, mask: Any, swap: Any) -> Any:
    """X where true, else y (or the other way round); all three broadcast."""
    chosen = condition if condition is not None else mask
    other = y if y is not None else const
    return tf.where(chosen, other, x) if swap else tf.where(chosen, x, other)


def _mask_shape(operands: Sequence[TensorType], attrs: Attrs) -> tuple[int, ...]:
    result = binary_shape(operands, attrs)
    return stand_in(result, integer(attrs["mask_rank"]), integer(attrs["mask_mask"]), integer(attrs["const_wide"]))


def _where_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    condition = operands[2].shape if len(operands) > 2 else _mask_shape(operands, attrs)
    return TensorType(broadcast(binary_shape(operands, attrs), condition), operands[0].dtype)


def _where_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    slots = []
    if len(operands) < 2:
        slots.append(WeightSlot("const", TensorType(constant_shape(operands, attrs), operands[0].dtype)))
    if len(operands) < 3:
        slots.append(WeightSlot("mask", TensorType(_mask_shape(operands, attrs), "bool")))
    return tuple(slots)


def where_greater(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X where it is above y, else 0; or y where it is above x."""
    other = y if y is not None else const
    if swap:
        return tf.where(tf.greater(other, x), other, tf.zeros_like(x))
    return tf.where(tf.greater(x, other), x, tf.zeros_like(other))


def where_condition(tf: Any, x: Any, *, yes: Any, no: Any) -> Any:
    """One constant where a condition is true, another where it is not."""
    return tf.where(x, yes, no)


def _condition_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    shape = broadcast(operands[0].shape, constant_shape(operands, attrs))
    return TensorType(shape, str(attrs["dtype"]))


def _condition_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    dtype = str(attrs["dtype"])
    return WeightSlot("yes", TensorType(constant_shape(operands, attrs), dtype)), WeightSlot(
        "no", TensorType((), dtype)
    )


OPS = (
    Op(
        "select",
        select,
        _select_type,
        attrs={"mask_shape": Choice(("same", "rows", "scalar"))},
        weights=_select_weights,
        arity=(1, 3),
        ranks=RANKS,
        dtypes=_DTYPES,
        operand_dtypes=(0, BOOL),
        empty=True,
        weight=0.6,
    ),
    Op(
        "where",
        where,
        _where_type,
        attrs={**SECOND, "mask_rank": Int(0, 6, 1), "mask_mask": Int(0, 63, 0)},
        weights=_where_weights,
        arity=(1, 3),
        ranks=RANKS,
        dtypes=_DTYPES,
        operand_dtypes=(0, BOOL),
        empty=True,
    ),
    Op(
        "where_greater",
        where_greater,
        binary_type,
        attrs=SECOND,
        weights=second_operand,
        arity=(1, 2),
        ranks=RANKS,
        dtypes=("float32", *INTS, "float16"),
        empty=True,
        discontinuous=True,
        weight=0.6,
    ),
    Op(
        "where_condition",
        where_condition,
        _condition_type,
        attrs={**CONSTANT, "dtype": Choice(("float32", *INTS, "int8", "int16", "uint32"))},
        weights=_condition_weights,
        ranks=RANKS,
        dtypes=BOOL,
        empty=True,
        weight=0.5,
    ),
)
