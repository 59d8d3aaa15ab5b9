"""Transposed convolutions, which make images, sequences and volumes larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Flag, Int, Ints
from fuzzer.ops.fan import fan_unit, optional_bias
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer, pair

_DTYPES = ("float32",)


def _attrs(count: int, kernel: int, filters: int) -> dict[str, Domain]:
    return {
        "filters": Int(1, filters, 1),
        "kernel": Ints(count, 1, kernel, 1),
        "strides": Ints(count, 1, 4, 1),
        "padding": Choice(("SAME", "VALID")),
        "use_bias": Flag(),
    }


# --- conv2d_transpose -------------------------------------------------------------------------------------


def conv2d_transpose(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, padding: Any, out_shape: Any) -> Any:
    """Computes a transposed convolution with an optional bias."""
    y = tf.nn.conv2d_transpose(x, filter, out_shape, strides=strides, padding=padding)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def conv2d_transpose_layer(keras: Any, *, filters: Any, kernel: Any, strides: Any, padding: Any, use_bias: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Conv2DTranspose(filters, kernel, strides=strides, padding=padding.lower(), use_bias=use_bias)


def conv2d_transpose_padded_layer(
    keras: Any, *, filters: Any, kernel: Any, strides: Any, padding: Any, output_padding: Any, use_bias: Any
) -> Any:
    """The Keras layer, told how much larger its result is."""
    return keras.layers.Conv2DTranspose(
        filters,
        kernel,
        strides=strides,
        padding=padding.lower(),
        output_padding=(output_padding[0] % strides[0], output_padding[1] % strides[1]),
        use_bias=use_bias,
    )


def _grown(size: int, kernel: int, stride: int, padding: str) -> int:
    """Keras' size of a result without output padding."""
    return size * stride + (max(kernel - stride, 0) if padding == "VALID" else 0)


def _grown_padded(size: int, kernel: int, stride: int, padding: str, extra: int) -> int:
    """Keras' size of a result with output padding; raises where the forward convolution would not lead back."""
    out = (size - 1) * stride + kernel + extra % stride
    if padding == "VALID":
        return out
    out -= kernel // 2 * 2
    if not (size - 1) * stride < out <= size * stride:
        raise UnfitError(f"no image of {out} becomes one of {size} with stride {stride}")
    return out


def _type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, kernel, strides = operands[0], attrs["kernel"], attrs["strides"]
    assert isinstance(kernel, tuple) and isinstance(strides, tuple)
    padding = str(attrs["padding"])
    spatial = (_grown(n, k, s, padding) for n, k, s in zip(x.shape[1:-1], kernel, strides, strict=True))
    return TensorType((x.shape[0], *spatial, integer(attrs["filters"])), x.dtype)


def _padded_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, kernel, strides, extra = (
        operands[0],
        pair(attrs["kernel"]),
        pair(attrs["strides"]),
        pair(attrs["output_padding"]),
    )
    padding = str(attrs["padding"])
    spatial = (_grown_padded(x.shape[1 + i], kernel[i], strides[i], padding, extra[i]) for i in range(2))
    return TensorType((x.shape[0], *spatial, integer(attrs["filters"])), x.dtype)


def _weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, kernel, filters = operands[0], attrs["kernel"], integer(attrs["filters"])
    assert isinstance(kernel, tuple)
    shape = (*kernel, filters, x.shape[-1])
    slot = WeightSlot("filter", TensorType(shape, x.dtype), fan_unit(math.prod(kernel) * x.shape[-1]))
    return slot, *optional_bias(attrs, filters, x.dtype)


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    kernel = attrs["kernel"]
    assert isinstance(kernel, tuple)
    return operands[0].elements * math.prod(kernel) * out.shape[-1]


# --- atrous_conv2d_transpose ------------------------------------------------------------------------------


def atrous_conv2d_transpose(tf: Any, x: Any, *, filter: Any, bias: Any, rate: Any, padding: Any, out_shape: Any) -> Any:
    """Computes a transposed dilated convolution in the form of space-to-batch and batch-to-space."""
    y = tf.nn.atrous_conv2d_transpose(x, filter, out_shape, rate=rate, padding=padding)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def _atrous_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, kernel, rate = operands[0], pair(attrs["kernel"]), integer(attrs["rate"])
    grown = rate if attrs["padding"] == "VALID" else 0
    spatial = (x.shape[1 + i] + grown * (kernel[i] - 1) for i in range(2))
    return TensorType((x.shape[0], *spatial, integer(attrs["filters"])), x.dtype)


# --- conv1d_transpose, conv3d_transpose -------------------------------------------------------------------


def conv1d_transpose(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, padding: Any, out_shape: Any) -> Any:
    """Computes a transposed convolution over a sequence with an optional bias."""
    y = tf.nn.conv1d_transpose(x, filter, out_shape, strides=strides[0], padding=padding)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def conv1d_transpose_layer(keras: Any, *, filters: Any, kernel: Any, strides: Any, padding: Any, use_bias: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Conv1DTranspose(
        filters, kernel[0], strides=strides[0], padding=padding.lower(), use_bias=use_bias
    )


def conv3d_transpose(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, padding: Any, out_shape: Any) -> Any:
    """Computes a transposed convolution over a volume with an optional bias."""
    y = tf.nn.conv3d_transpose(x, filter, out_shape, strides=strides, padding=padding)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def conv3d_transpose_layer(keras: Any, *, filters: Any, kernel: Any, strides: Any, padding: Any, use_bias: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Conv3DTranspose(filters, kernel, strides=strides, padding=padding.lower(), use_bias=use_bias)


OPS = (
    Op(
        "conv2d_transpose",
        conv2d_transpose,
        _type,
        attrs=_attrs(2, 7, 48),
        weights=_weights,
        cost=_cost,
        ranks=(4,),
        dtypes=_DTYPES,
        keras=conv2d_transpose_layer,
        keras_weights=("filter", "bias"),
        weight=1.5,
        static=True,
    ),
    Op(
        "conv2d_transpose_padded",
        conv2d_transpose,
        _padded_type,
        attrs={**_attrs(2, 7, 48), "output_padding": Ints(2, 0, 3, 0)},
        weights=_weights,
        cost=_cost,
        ranks=(4,),
        dtypes=_DTYPES,
        keras=conv2d_transpose_padded_layer,
        keras_weights=("filter", "bias"),
        static=True,
    ),
    Op(
        "atrous_conv2d_transpose",
        atrous_conv2d_transpose,
        _atrous_type,
        attrs={
            "filters": Int(1, 48, 1),
            "kernel": Ints(2, 1, 5, 1),
            "rate": Int(1, 4, 2),
            "padding": Choice(("SAME", "VALID")),
            "use_bias": Flag(),
        },
        weights=_weights,
        cost=_cost,
        ranks=(4,),
        dtypes=_DTYPES,
        static=True,
        weight=0.5,
    ),
    Op(
        "conv1d_transpose",
        conv1d_transpose,
        _type,
        attrs=_attrs(1, 9, 64),
        weights=_weights,
        cost=_cost,
        ranks=(3,),
        dtypes=_DTYPES,
        keras=conv1d_transpose_layer,
        keras_weights=("filter", "bias"),
        static=True,
    ),
    Op(
        "conv3d_transpose",
        conv3d_transpose,
        _type,
        attrs=_attrs(3, 4, 24),
        weights=_weights,
        cost=_cost,
        ranks=(5,),
        dtypes=_DTYPES,
        keras=conv3d_transpose_layer,
        keras_weights=("filter", "bias"),
        static=True,
    ),
)
