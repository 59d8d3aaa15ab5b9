"""Convolutions on sequences (rank 3, NWC) and on volumes (rank 5, NDHWC)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Flag, Int, Ints
from fuzzer.ops.fan import fan_unit, optional_bias
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer
from fuzzer.ops.window import window_size, windows

_DTYPES = ("float32",)
_PADDING = Choice(("SAME", "VALID"))
_LINE: dict[str, Domain] = {
    "kernel": Int(1, 12, 1),
    "stride": Int(1, 5, 1),
    "dilation": Int(1, 4, 1),
    "use_bias": Flag(),
}


def _length(x: TensorType, attrs: Attrs, padding: str) -> int:
    stride, dilation = integer(attrs["stride"]), integer(attrs["dilation"])
    if stride > 1 and dilation > 1:
        raise UnfitError("Keras takes strides or dilations above 1, not both")
    return window_size(x.shape[1], integer(attrs["kernel"]), stride, dilation, padding)


# --- conv1d -----------------------------------------------------------------------------------------------


def conv1d(tf: Any, x: Any, *, filter: Any, bias: Any, stride: Any, dilation: Any, padding: Any) -> Any:
    """Computes a (grouped, dilated) convolution over a sequence with an optional bias."""
    y = tf.nn.conv1d(x, filter, stride=stride, padding=padding, dilations=dilation)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def conv1d_layer(
    keras: Any, *, filters: Any, kernel: Any, stride: Any, dilation: Any, padding: Any, groups: Any, use_bias: Any
) -> Any:
    """The Keras layer."""
    return keras.layers.Conv1D(
        filters,
        kernel,
        strides=stride,
        padding=padding.lower(),
        dilation_rate=dilation,
        groups=groups,
        use_bias=use_bias,
    )


def _conv1d_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    filters, groups = integer(attrs["filters"]), integer(attrs["groups"])
    if x.shape[2] % groups or filters % groups:
        raise UnfitError(f"{groups} groups do not divide {x.shape[2]} channels and {filters} filters")
    return TensorType((x.shape[0], _length(x, attrs, str(attrs["padding"])), filters), x.dtype)


def _conv1d_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, kernel, filters = operands[0], integer(attrs["kernel"]), integer(attrs["filters"])
    inputs = x.shape[2] // integer(attrs.get("groups", 1))
    slot = WeightSlot("filter", TensorType((kernel, inputs, filters), x.dtype), fan_unit(kernel * inputs))
    return slot, *optional_bias(attrs, filters, x.dtype)


def _conv1d_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    inputs = operands[0].shape[2] // integer(attrs.get("groups", 1))
    return out.elements * integer(attrs["kernel"]) * inputs


# --- causal_conv1d ----------------------------------------------------------------------------------------


def causal_conv1d(tf: Any, x: Any, *, filter: Any, bias: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    """Computes a convolution that looks back only: the sequence is padded in front."""
    padded = tf.pad(x, [[0, 0], [dilation * (kernel - 1), 0], [0, 0]])
    y = tf.nn.conv1d(padded, filter, stride=stride, padding="VALID", dilations=dilation)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def causal_conv1d_layer(keras: Any, *, filters: Any, kernel: Any, stride: Any, dilation: Any, use_bias: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Conv1D(
        filters, kernel, strides=stride, padding="causal", dilation_rate=dilation, use_bias=use_bias
    )


def _causal_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    # Padding by the window's reach keeps the length, as SAME does.
    return TensorType((x.shape[0], _length(x, attrs, "SAME"), integer(attrs["filters"])), x.dtype)


# --- depthwise_conv1d -------------------------------------------------------------------------------------


def depthwise_conv1d(tf: Any, x: Any, *, filter: Any, bias: Any, stride: Any, dilation: Any, padding: Any) -> Any:
    """Computes a depthwise convolution over a sequence, as one over an image of height 1."""
    y = tf.nn.depthwise_conv2d(
        tf.expand_dims(x, 1),
        tf.expand_dims(filter, 0),
        strides=(1, stride, stride, 1),
        padding=padding,
        dilations=(1, dilation),
    )
    y = tf.squeeze(y, 1)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def depthwise_conv1d_layer(
    keras: Any, *, kernel: Any, stride: Any, dilation: Any, padding: Any, multiplier: Any, use_bias: Any
) -> Any:
    """The Keras layer."""
    return keras.layers.DepthwiseConv1D(
        kernel,
        strides=stride,
        padding=padding.lower(),
        depth_multiplier=multiplier,
        dilation_rate=dilation,
        use_bias=use_bias,
    )


def _depthwise1d_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    channels = x.shape[2] * integer(attrs["multiplier"])
    return TensorType((x.shape[0], _length(x, attrs, str(attrs["padding"])), channels), x.dtype)


def _depthwise1d_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, kernel, multiplier = operands[0], integer(attrs["kernel"]), integer(attrs["multiplier"])
    slot = WeightSlot("filter", TensorType((kernel, x.shape[2], multiplier), x.dtype), fan_unit(kernel))
    return slot, *optional_bias(attrs, x.shape[2] * multiplier, x.dtype)


# --- separable_conv1d -------------------------------------------------------------------------------------


def separable_conv1d(
    tf: Any, x: Any, *, depthwise: Any, pointwise: Any, bias: Any, stride: Any, dilation: Any, padding: Any
) -> Any:
    """Computes a depthwise convolution over a sequence, then a product over the channels."""
    y = tf.nn.separable_conv2d(
        tf.expand_dims(x, 1),
        tf.expand_dims(depthwise, 0),
        tf.expand_dims(pointwise, 0),
        strides=(1, stride, stride, 1),
        padding=padding,
        dilations=(1, dilation),
    )
    y = tf.squeeze(y, 1)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def separable_conv1d_layer(
    keras: Any, *, filters: Any, kernel: Any, stride: Any, dilation: Any, padding: Any, multiplier: Any, use_bias: Any
) -> Any:
    """The Keras layer."""
    return keras.layers.SeparableConv1D(
        filters,
        kernel,
        strides=stride,
        padding=padding.lower(),
        depth_multiplier=multiplier,
        dilation_rate=dilation,
        use_bias=use_bias,
    )


def _separable1d_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    inner = _depthwise1d_type(operands, attrs)
    return TensorType((*inner.shape[:2], integer(attrs["filters"])), inner.dtype)


def _separable1d_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, kernel, multiplier = operands[0], integer(attrs["kernel"]), integer(attrs["multiplier"])
    inner, filters = x.shape[2] * multiplier, integer(attrs["filters"])
    return (
        WeightSlot("depthwise", TensorType((kernel, x.shape[2], multiplier), x.dtype), fan_unit(kernel)),
        WeightSlot("pointwise", TensorType((1, inner, filters), x.dtype), fan_unit(inner)),
        *optional_bias(attrs, filters, x.dtype),
    )


def _separable1d_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    inner = operands[0].shape[2] * integer(attrs["multiplier"])
    return out.elements // out.shape[2] * inner * (integer(attrs["kernel"]) + out.shape[2])


# --- conv3d -----------------------------------------------------------------------------------------------


def conv3d(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, padding: Any) -> Any:
    """Computes a convolution over a volume with an optional bias."""
    y = tf.nn.conv3d(x, filter, strides=(1, *strides, 1), padding=padding)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def conv3d_layer(keras: Any, *, filters: Any, kernel: Any, strides: Any, padding: Any, use_bias: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Conv3D(filters, kernel, strides=strides, padding=padding.lower(), use_bias=use_bias)


def _conv3d_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    spatial = windows(x.shape[1:4], attrs["kernel"], attrs["strides"], str(attrs["padding"]))
    return TensorType((x.shape[0], *spatial, integer(attrs["filters"])), x.dtype)


def _conv3d_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, kernel, filters = operands[0], attrs["kernel"], integer(attrs["filters"])
    assert isinstance(kernel, tuple)
    shape = (*kernel, x.shape[4], filters)
    slot = WeightSlot("filter", TensorType(shape, x.dtype), fan_unit(math.prod(kernel) * x.shape[4]))
    return slot, *optional_bias(attrs, filters, x.dtype)


def _conv3d_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    kernel = attrs["kernel"]
    assert isinstance(kernel, tuple)
    return out.elements * math.prod(kernel) * operands[0].shape[4]


OPS = (
    Op(
        "conv1d",
        conv1d,
        _conv1d_type,
        attrs={"filters": Int(1, 128, 1), "padding": _PADDING, "groups": Choice((1, 2, 3, 4)), **_LINE},
        weights=_conv1d_weights,
        cost=_conv1d_cost,
        ranks=(3,),
        dtypes=_DTYPES,
        keras=conv1d_layer,
        keras_weights=("filter", "bias"),
        weight=2.0,
    ),
    Op(
        "causal_conv1d",
        causal_conv1d,
        _causal_type,
        attrs={"filters": Int(1, 64, 1), **_LINE},
        weights=_conv1d_weights,
        cost=_conv1d_cost,
        ranks=(3,),
        dtypes=_DTYPES,
        keras=causal_conv1d_layer,
        keras_weights=("filter", "bias"),
    ),
    Op(
        "depthwise_conv1d",
        depthwise_conv1d,
        _depthwise1d_type,
        attrs={"multiplier": Int(1, 8, 1), "padding": _PADDING, **_LINE},
        weights=_depthwise1d_weights,
        cost=lambda operands, attrs, out: out.elements * integer(attrs["kernel"]),
        ranks=(3,),
        dtypes=_DTYPES,
        keras=depthwise_conv1d_layer,
        keras_weights=("filter", "bias"),
    ),
    Op(
        "separable_conv1d",
        separable_conv1d,
        _separable1d_type,
        attrs={"filters": Int(1, 64, 1), "multiplier": Int(1, 4, 1), "padding": _PADDING, **_LINE},
        weights=_separable1d_weights,
        cost=_separable1d_cost,
        ranks=(3,),
        dtypes=_DTYPES,
        keras=separable_conv1d_layer,
        keras_weights=("depthwise", "pointwise", "bias"),
        weight=0.7,
    ),
    Op(
        "conv3d",
        conv3d,
        _conv3d_type,
        attrs={
            "filters": Int(1, 32, 1),
            "kernel": Ints(3, 1, 4, 1),
            "strides": Ints(3, 1, 4, 1),
            "padding": _PADDING,
            "use_bias": Flag(),
        },
        weights=_conv3d_weights,
        cost=_conv3d_cost,
        ranks=(5,),
        dtypes=_DTYPES,
        keras=conv3d_layer,
        keras_weights=("filter", "bias"),
        weight=1.5,
    ),
)
