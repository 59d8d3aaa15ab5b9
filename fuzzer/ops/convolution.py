"""Convolutions on images (rank 4, NHWC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Flag, Int, Ints
from fuzzer.ops.fan import fan_unit, optional_bias
from fuzzer.ops.spec import FLOATS, Attrs, Op, TensorType, WeightSlot, integer, pair
from fuzzer.ops.window import window_size

_PADDING = Choice(("SAME", "VALID"))
_KERNEL = Ints(2, 1, 7, 1)
_STRIDES = Ints(2, 1, 4, 1)
_DILATIONS = Ints(2, 1, 3, 1)


def _spatial(x: TensorType, attrs: Attrs) -> tuple[int, int]:
    kernel, strides, dilations = pair(attrs["kernel"]), pair(attrs["strides"]), pair(attrs["dilations"])
    padding = str(attrs["padding"])
    height, width = (window_size(x.shape[1 + i], kernel[i], strides[i], dilations[i], padding) for i in range(2))
    return height, width


# --- conv2d -----------------------------------------------------------------------------------------------


def conv2d(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, dilations: Any, padding: Any) -> Any:
    """Computes a (grouped, dilated) convolution with an optional bias."""
    y = tf.nn.conv2d(x, filter, strides=strides, padding=padding, dilations=dilations)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def conv2d_layer(
    keras: Any,
    *,
    filters: Any,
    kernel: Any,
    strides: Any,
    dilations: Any,
    padding: Any,
    groups: Any,
    use_bias: Any,
) -> Any:
    """The Keras layer."""
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding=padding.lower(),
        dilation_rate=dilations,
        groups=groups,
        use_bias=use_bias,
    )


def _conv2d_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    filters, groups = integer(attrs["filters"]), integer(attrs["groups"])
    if x.shape[3] % groups or filters % groups:
        raise UnfitError(f"{groups} groups do not divide {x.shape[3]} channels and {filters} filters")
    if max(pair(attrs["strides"])) > 1 and max(pair(attrs["dilations"])) > 1:
        raise UnfitError("TensorFlow takes strides or dilations above 1, not both")
    return TensorType((x.shape[0], *_spatial(x, attrs), filters), x.dtype)


def _conv2d_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    height, width = pair(attrs["kernel"])
    inputs, filters = x.shape[3] // integer(attrs["groups"]), integer(attrs["filters"])
    kernel = TensorType((height, width, inputs, filters), x.dtype)
    return WeightSlot("filter", kernel, fan_unit(height * width * inputs)), *optional_bias(attrs, filters, x.dtype)


def _conv2d_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    height, width = pair(attrs["kernel"])
    return out.elements * height * width * (operands[0].shape[3] // integer(attrs["groups"]))


CONV2D = Op(
    "conv2d",
    conv2d,
    _conv2d_type,
    attrs={
        "filters": Int(1, 64, 1),
        "kernel": _KERNEL,
        "strides": _STRIDES,
        "dilations": _DILATIONS,
        "padding": _PADDING,
        "groups": Choice((1, 2, 3, 4)),
        "use_bias": Flag(),
    },
    weights=_conv2d_weights,
    cost=_conv2d_cost,
    ranks=(4,),
    dtypes=FLOATS,
    keras=conv2d_layer,
    keras_weights=("filter", "bias"),
    weight=3.0,
)

# --- depthwise_conv2d -------------------------------------------------------------------------------------


def depthwise_conv2d(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, dilations: Any, padding: Any) -> Any:
    """Computes a depthwise convolution with an optional bias."""
    y = tf.nn.depthwise_conv2d(x, filter, strides=(1, *strides, 1), padding=padding, dilations=dilations)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def depthwise_conv2d_layer(
    keras: Any, *, kernel: Any, strides: Any, dilations: Any, padding: Any, multiplier: Any, use_bias: Any
) -> Any:
    """The Keras layer."""
    return keras.layers.DepthwiseConv2D(
        kernel,
        strides=strides,
        padding=padding.lower(),
        depth_multiplier=multiplier,
        dilation_rate=dilations,
        use_bias=use_bias,
    )


def _depthwise_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    strides = pair(attrs["strides"])
    if strides[0] != strides[1]:
        raise UnfitError("TensorFlow's depthwise convolution takes equal strides only")
    if strides[0] > 1 and max(pair(attrs["dilations"])) > 1:
        raise UnfitError("TensorFlow takes strides or dilations above 1, not both")
    return TensorType((x.shape[0], *_spatial(x, attrs), x.shape[3] * integer(attrs["multiplier"])), x.dtype)


def _depthwise_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    height, width = pair(attrs["kernel"])
    multiplier = integer(attrs["multiplier"])
    kernel = TensorType((height, width, x.shape[3], multiplier), x.dtype)
    return WeightSlot("filter", kernel, fan_unit(height * width)), *optional_bias(
        attrs, x.shape[3] * multiplier, x.dtype
    )


def _depthwise_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    height, width = pair(attrs["kernel"])
    return out.elements * height * width


DEPTHWISE_CONV2D = Op(
    "depthwise_conv2d",
    depthwise_conv2d,
    _depthwise_type,
    attrs={
        "kernel": _KERNEL,
        "strides": Choice(((1, 1), (2, 2), (3, 3), (4, 4))),
        "dilations": _DILATIONS,
        "padding": _PADDING,
        "multiplier": Int(1, 8, 1),
        "use_bias": Flag(),
    },
    weights=_depthwise_weights,
    cost=_depthwise_cost,
    ranks=(4,),
    dtypes=FLOATS,
    keras=depthwise_conv2d_layer,
    keras_weights=("filter", "bias"),
    weight=2.0,
)

# --- separable_conv2d -------------------------------------------------------------------------------------


def separable_conv2d(
    tf: Any, x: Any, *, depthwise: Any, pointwise: Any, bias: Any, strides: Any, dilations: Any, padding: Any
) -> Any:
    """Computes a depthwise convolution, then a 1x1 convolution, with an optional bias."""
    y = tf.nn.separable_conv2d(x, depthwise, pointwise, strides=(1, *strides, 1), padding=padding, dilations=dilations)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def separable_conv2d_layer(
    keras: Any,
    *,
    filters: Any,
    kernel: Any,
    strides: Any,
    dilations: Any,
    padding: Any,
    multiplier: Any,
    use_bias: Any,
) -> Any:
    """The Keras layer."""
    return keras.layers.SeparableConv2D(
        filters,
        kernel,
        strides=strides,
        padding=padding.lower(),
        depth_multiplier=multiplier,
        dilation_rate=dilations,
        use_bias=use_bias,
    )


def _separable_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    inner = _depthwise_type(operands, attrs)
    return TensorType((*inner.shape[:3], integer(attrs["filters"])), inner.dtype)


def _separable_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    height, width = pair(attrs["kernel"])
    multiplier, filters = integer(attrs["multiplier"]), integer(attrs["filters"])
    inner = x.shape[3] * multiplier
    return (
        WeightSlot("depthwise", TensorType((height, width, x.shape[3], multiplier), x.dtype), fan_unit(height * width)),
        WeightSlot("pointwise", TensorType((1, 1, inner, filters), x.dtype), fan_unit(inner)),
        *optional_bias(attrs, filters, x.dtype),
    )


def _separable_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    height, width = pair(attrs["kernel"])
    inner = operands[0].shape[3] * integer(attrs["multiplier"])
    return out.elements // out.shape[3] * inner * (height * width + out.shape[3])


SEPARABLE_CONV2D = Op(
    "separable_conv2d",
    separable_conv2d,
    _separable_type,
    attrs={
        "filters": Int(1, 48, 1),
        "kernel": _KERNEL,
        "strides": Choice(((1, 1), (2, 2), (3, 3))),
        "dilations": _DILATIONS,
        "padding": _PADDING,
        "multiplier": Int(1, 4, 1),
        "use_bias": Flag(),
    },
    weights=_separable_weights,
    cost=_separable_cost,
    ranks=(4,),
    dtypes=FLOATS,
    keras=separable_conv2d_layer,
    keras_weights=("depthwise", "pointwise", "bias"),
)

OPS = (CONV2D, DEPTHWISE_CONV2D, SEPARABLE_CONV2D)
