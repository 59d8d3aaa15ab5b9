"""Pooling over images (rank 4, NHWC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.ops.domains import Choice, Domain, Flag, Ints
from fuzzer.ops.spec import FLOATS, Attrs, Op, TensorType, pair
from fuzzer.ops.window import window_size

_ATTRS: dict[str, Domain] = {
    "size": Ints(2, 1, 5, 2),
    "strides": Ints(2, 1, 4, 1),
    "padding": Choice(("VALID", "SAME")),
}


def max_pool(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Largest element of each window."""
    return tf.nn.max_pool2d(x, ksize=size, strides=strides, padding=padding)


def avg_pool(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Mean of each window; padding is not counted."""
    return tf.nn.avg_pool2d(x, ksize=size, strides=strides, padding=padding)


def global_avg_pool(tf: Any, x: Any, *, keepdims: Any) -> Any:
    """Mean over height and width."""
    return tf.reduce_mean(x, axis=(1, 2), keepdims=keepdims)


def max_pool_layer(keras: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """The Keras layer."""
    return keras.layers.MaxPooling2D(size, strides=strides, padding=padding.lower())


def avg_pool_layer(keras: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """The Keras layer."""
    return keras.layers.AveragePooling2D(size, strides=strides, padding=padding.lower())


def global_avg_pool_layer(keras: Any, *, keepdims: Any) -> Any:
    """The Keras layer."""
    return keras.layers.GlobalAveragePooling2D(keepdims=keepdims)


def _pool_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    size, strides, padding = pair(attrs["size"]), pair(attrs["strides"]), str(attrs["padding"])
    spatial = (window_size(x.shape[1 + i], size[i], strides[i], 1, padding) for i in range(2))
    return TensorType((x.shape[0], *spatial, x.shape[3]), x.dtype)


def _pool_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    height, width = pair(attrs["size"])
    return out.elements * height * width


def _global_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    batch, _, _, channels = operands[0].shape
    return TensorType((batch, 1, 1, channels) if attrs["keepdims"] else (batch, channels), operands[0].dtype)


OPS = (
    Op(
        "max_pool",
        max_pool,
        _pool_type,
        attrs=_ATTRS,
        cost=_pool_cost,
        ranks=(4,),
        dtypes=FLOATS,
        keras=max_pool_layer,
        weight=2.0,
    ),
    Op(
        "avg_pool",
        avg_pool,
        _pool_type,
        attrs=_ATTRS,
        cost=_pool_cost,
        ranks=(4,),
        dtypes=FLOATS,
        keras=avg_pool_layer,
    ),
    Op(
        "global_avg_pool",
        global_avg_pool,
        _global_type,
        attrs={"keepdims": Flag()},
        cost=lambda operands, attrs, out: operands[0].elements,
        ranks=(4,),
        dtypes=FLOATS,
        keras=global_avg_pool_layer,
        weight=0.5,
    ),
)
