"""Matrix products and bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Flag, Int
from fuzzer.ops.fan import fan_unit
from fuzzer.ops.spec import FLOATS, Attrs, Op, TensorType, WeightSlot, integer

# --- dense ------------------------------------------------------------------------------------------------


def dense(tf: Any, x: Any, *, kernel: Any, bias: Any) -> Any:
    """Computes x @ kernel over the last axis, with an optional bias."""
    y = tf.matmul(x, kernel) if x.shape.rank == 2 else tf.tensordot(x, kernel, axes=1)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def dense_layer(keras: Any, *, units: Any, use_bias: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Dense(units, use_bias=use_bias)


def _dense_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((*operands[0].shape[:-1], integer(attrs["units"])), operands[0].dtype)


def _dense_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, units = operands[0], integer(attrs["units"])
    kernel = WeightSlot("kernel", TensorType((x.shape[-1], units), x.dtype), fan_unit(x.shape[-1]))
    return (kernel, WeightSlot("bias", TensorType((units,), x.dtype), 0.5)) if attrs["use_bias"] else (kernel,)


# --- matmul -----------------------------------------------------------------------------------------------


def matmul(tf: Any, x: Any, y: Any = None, *, kernel: Any, transpose_a: Any, transpose_b: Any) -> Any:
    """Computes a (batched) product of two values, or of a value and a constant matrix."""
    return tf.matmul(x, y if y is not None else kernel, transpose_a=transpose_a, transpose_b=transpose_b)


def _swap(shape: tuple[int, ...], swap: object) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if swap else shape


def _matmul_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    left = _swap(operands[0].shape, attrs["transpose_a"])
    if len(operands) == 1:
        return TensorType((*left[:-1], integer(attrs["units"])), operands[0].dtype)
    if operands[1].rank != operands[0].rank:
        raise UnfitError(f"{operands[0]} @ {operands[1]} is no matrix product")
    right = _swap(operands[1].shape, attrs["transpose_b"])
    if right[:-2] != left[:-2] or right[-2] != left[-1]:
        raise UnfitError(f"{left} @ {right} is no matrix product")
    return TensorType((*left[:-1], right[-1]), operands[0].dtype)


def _matmul_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    if len(operands) == 2:
        return ()
    depth = _swap(operands[0].shape, attrs["transpose_a"])[-1]
    shape = _swap((depth, integer(attrs["units"])), attrs["transpose_b"])
    return (WeightSlot("kernel", TensorType(shape, operands[0].dtype), fan_unit(depth)),)


def _product_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    depth = operands[0].shape[-2 if attrs.get("transpose_a") else -1]
    return out.elements * depth


# --- bias_add ---------------------------------------------------------------------------------------------


def bias_add(tf: Any, x: Any, *, bias: Any) -> Any:
    """Adds one number a channel."""
    return tf.nn.bias_add(x, bias)


def _channel_bias(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("bias", TensorType(operands[0].shape[-1:], operands[0].dtype), 0.5),)


OPS = (
    Op(
        "dense",
        dense,
        _dense_type,
        attrs={"units": Int(1, 96, 1), "use_bias": Flag()},
        weights=_dense_weights,
        cost=_product_cost,
        ranks=(2, 3, 4),
        dtypes=FLOATS,
        keras=dense_layer,
        keras_weights=("kernel", "bias"),
        weight=2.0,
    ),
    Op(
        "matmul",
        matmul,
        _matmul_type,
        attrs={"units": Int(1, 96, 1), "transpose_a": Flag(), "transpose_b": Flag()},
        weights=_matmul_weights,
        cost=_product_cost,
        arity=(1, 2),
        ranks=(2, 3, 4),
        dtypes=FLOATS,
        weight=1.5,
    ),
    Op("bias_add", bias_add, weights=_channel_bias, ranks=(2, 3, 4, 5), dtypes=FLOATS),
)
