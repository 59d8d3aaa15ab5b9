"""Convolutions on images that reach the converter on a side road: explicit padding, run-time filters, atrous form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fuzzer.ops.convolution import CONV2D
from fuzzer.ops.domains import Choice, Flag, Int, Ints
from fuzzer.ops.fan import fan_unit, optional_bias
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer, pair
from fuzzer.ops.window import window_size, windows

_DTYPES = ("float32",)
_PADDING = Choice(("SAME", "VALID"))
_KERNEL = Ints(2, 1, 7, 1)
_STRIDES = Ints(2, 1, 4, 1)
_PADS = Ints(4, 0, 4, 0)


def _weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, (height, width), filters = operands[0], pair(attrs["kernel"]), integer(attrs["filters"])
    kernel = TensorType((height, width, x.shape[3], filters), x.dtype)
    slot = WeightSlot("filter", kernel, fan_unit(height * width * x.shape[3]))
    return slot, *optional_bias(attrs, filters, x.dtype)


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    height, width = pair(attrs["kernel"])
    return out.elements * height * width * operands[0].shape[3]


def _depthwise_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    height, width = pair(attrs["kernel"])
    return out.elements * height * width


# --- atrous_conv2d ----------------------------------------------------------------------------------------


def atrous_conv2d(tf: Any, x: Any, *, filter: Any, bias: Any, rate: Any, padding: Any) -> Any:
    """Computes a dilated convolution in the form of space-to-batch, convolution, batch-to-space."""
    y = tf.nn.atrous_conv2d(x, filter, rate=rate, padding=padding)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def _atrous_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, kernel, rate = operands[0], pair(attrs["kernel"]), integer(attrs["rate"])
    spatial = (window_size(x.shape[1 + i], kernel[i], 1, rate, str(attrs["padding"])) for i in range(2))
    return TensorType((x.shape[0], *spatial, integer(attrs["filters"])), x.dtype)


# --- explicit padding -------------------------------------------------------------------------------------


def conv2d_explicit(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, dilations: Any, pads: Any) -> Any:
    """Computes a convolution with its own padding on every side of the image."""
    padding = [[0, 0], [pads[0], pads[1]], [pads[2], pads[3]], [0, 0]]
    y = tf.nn.conv2d(x, filter, strides=strides, padding=padding, dilations=dilations)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def depthwise_conv2d_explicit(tf: Any, x: Any, *, filter: Any, bias: Any, stride: Any, pads: Any) -> Any:
    """Computes a depthwise convolution with its own padding on every side of the image."""
    padding = [[0, 0], [pads[0], pads[1]], [pads[2], pads[3]], [0, 0]]
    y = tf.nn.depthwise_conv2d(x, filter, strides=(1, stride, stride, 1), padding=padding)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def _padded(x: TensorType, attrs: Attrs) -> tuple[int, int]:
    """Height and width with the explicit padding; the window must find a place in it."""
    pads = attrs["pads"]
    assert isinstance(pads, tuple)
    return x.shape[1] + pads[0] + pads[1], x.shape[2] + pads[2] + pads[3]


def _explicit_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, size = operands[0], _padded(operands[0], attrs)
    kernel, strides, dilations = pair(attrs["kernel"]), pair(attrs["strides"]), pair(attrs["dilations"])
    spatial = (window_size(size[i], kernel[i], strides[i], dilations[i], "VALID") for i in range(2))
    return TensorType((x.shape[0], *spatial, integer(attrs["filters"])), x.dtype)


def _depthwise_explicit_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, stride = operands[0], integer(attrs["stride"])
    spatial = windows(_padded(x, attrs), attrs["kernel"], (stride, stride), "VALID")
    return TensorType((x.shape[0], *spatial, x.shape[3] * integer(attrs["multiplier"])), x.dtype)


def _depthwise_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, (height, width), multiplier = operands[0], pair(attrs["kernel"]), integer(attrs["multiplier"])
    slot = WeightSlot("filter", TensorType((height, width, x.shape[3], multiplier), x.dtype), fan_unit(height * width))
    return slot, *optional_bias(attrs, x.shape[3] * multiplier, x.dtype)


# --- filters that are values ------------------------------------------------------------------------------


def conv2d_run_time_filter(tf: Any, x: Any, y: Any, *, filters: Any, kernel: Any, strides: Any, padding: Any) -> Any:
    """Convolves x with a filter made of the elements of y, repeated as often as needed."""
    shape = (*kernel, x.shape[3], filters)
    size = shape[0] * shape[1] * shape[2] * shape[3]
    flat = tf.tile(tf.reshape(y, [-1]), [size // y.shape.num_elements() + 1])
    return tf.nn.conv2d(x, tf.reshape(flat[:size], shape), strides=strides, padding=padding)


def depthwise_conv2d_run_time_filter(
    tf: Any, x: Any, y: Any, *, multiplier: Any, kernel: Any, stride: Any, padding: Any
) -> Any:
    """Convolves every channel of x with a filter made of the elements of y, repeated as often as needed."""
    shape = (*kernel, x.shape[3], multiplier)
    size = shape[0] * shape[1] * shape[2] * shape[3]
    flat = tf.tile(tf.reshape(y, [-1]), [size // y.shape.num_elements() + 1])
    return tf.nn.depthwise_conv2d(x, tf.reshape(flat[:size], shape), strides=(1, stride, stride, 1), padding=padding)


def _run_time_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    spatial = windows(x.shape[1:3], attrs["kernel"], attrs["strides"], str(attrs["padding"]))
    return TensorType((x.shape[0], *spatial, integer(attrs["filters"])), x.dtype)


def _depthwise_run_time_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, stride = operands[0], integer(attrs["stride"])
    spatial = windows(x.shape[1:3], attrs["kernel"], (stride, stride), str(attrs["padding"]))
    return TensorType((x.shape[0], *spatial, x.shape[3] * integer(attrs["multiplier"])), x.dtype)


# --- groups and layouts -----------------------------------------------------------------------------------


def channelwise_conv2d(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, padding: Any) -> Any:
    """Computes a convolution of as many groups as channels: a depthwise one under the plain op's name."""
    y = tf.nn.conv2d(x, filter, strides=strides, padding=padding)
    return tf.nn.bias_add(y, bias) if bias is not None else y


def conv2d_nchw(tf: Any, x: Any, *, filter: Any, bias: Any, strides: Any, padding: Any) -> Any:
    """Takes and gives channels first, and computes a convolution with channels last between two transposes."""
    y = tf.nn.conv2d(tf.transpose(x, [0, 2, 3, 1]), filter, strides=strides, padding=padding)
    y = tf.nn.bias_add(y, bias) if bias is not None else y
    return tf.transpose(y, [0, 3, 1, 2])


def _channelwise_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    spatial = windows(x.shape[1:3], attrs["kernel"], attrs["strides"], str(attrs["padding"]))
    return TensorType((x.shape[0], *spatial, x.shape[3] * integer(attrs["multiplier"])), x.dtype)


def _channelwise_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, (height, width) = operands[0], pair(attrs["kernel"])
    filters = x.shape[3] * integer(attrs["multiplier"])
    slot = WeightSlot("filter", TensorType((height, width, 1, filters), x.dtype), fan_unit(height * width))
    return slot, *optional_bias(attrs, filters, x.dtype)


def _last(x: TensorType) -> TensorType:
    """The type after the channels moved last."""
    return TensorType((x.shape[0], x.shape[2], x.shape[3], x.shape[1]), x.dtype)


def _nchw_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    inner = _run_time_type((_last(operands[0]),), attrs)
    return TensorType((inner.shape[0], inner.shape[3], inner.shape[1], inner.shape[2]), inner.dtype)


def _nchw_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return _weights((_last(operands[0]),), attrs)


def _nchw_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return _cost((_last(operands[0]),), attrs, out)


OPS = (
    # Kernels of their own begin at 1,024 weights and at channel counts above the vector width.
    replace(
        CONV2D, name="conv2d_wide", dtypes=_DTYPES, attrs={**CONV2D.attrs, "filters": Int(65, 256, 65)}, weight=0.5
    ),
    Op(
        "atrous_conv2d",
        atrous_conv2d,
        _atrous_type,
        attrs={
            "filters": Int(1, 64, 1),
            "kernel": _KERNEL,
            "rate": Int(1, 4, 2),
            "padding": _PADDING,
            "use_bias": Flag(),
        },
        weights=_weights,
        cost=_cost,
        ranks=(4,),
        dtypes=_DTYPES,
    ),
    Op(
        "conv2d_explicit",
        conv2d_explicit,
        _explicit_type,
        attrs={
            "filters": Int(1, 128, 1),
            "kernel": _KERNEL,
            "strides": _STRIDES,
            "dilations": Ints(2, 1, 3, 1),
            "pads": _PADS,
            "use_bias": Flag(),
        },
        weights=_weights,
        cost=_cost,
        ranks=(4,),
        dtypes=_DTYPES,
    ),
    Op(
        "depthwise_conv2d_explicit",
        depthwise_conv2d_explicit,
        _depthwise_explicit_type,
        attrs={
            "kernel": _KERNEL,
            "stride": Int(1, 4, 1),
            "pads": _PADS,
            "multiplier": Int(1, 8, 1),
            "use_bias": Flag(),
        },
        weights=_depthwise_weights,
        cost=_depthwise_cost,
        ranks=(4,),
        dtypes=_DTYPES,
    ),
    Op(
        "conv2d_run_time_filter",
        conv2d_run_time_filter,
        _run_time_type,
        attrs={"filters": Int(1, 32, 1), "kernel": _KERNEL, "strides": _STRIDES, "padding": _PADDING},
        cost=_cost,
        arity=(2, 2),
        ranks=(4,),
        dtypes=_DTYPES,
        static=True,
    ),
    Op(
        "depthwise_conv2d_run_time_filter",
        depthwise_conv2d_run_time_filter,
        _depthwise_run_time_type,
        attrs={
            "multiplier": Int(1, 8, 1),
            "kernel": _KERNEL,
            "stride": Int(1, 4, 1),
            "padding": _PADDING,
        },
        cost=_depthwise_cost,
        arity=(2, 2),
        ranks=(4,),
        dtypes=_DTYPES,
        static=True,
        weight=0.5,
    ),
    Op(
        "channelwise_conv2d",
        channelwise_conv2d,
        _channelwise_type,
        attrs={
            "multiplier": Int(1, 8, 1),
            "kernel": _KERNEL,
            "strides": _STRIDES,
            "padding": _PADDING,
            "use_bias": Flag(),
        },
        weights=_channelwise_weights,
        cost=_depthwise_cost,
        ranks=(4,),
        dtypes=_DTYPES,
    ),
    Op(
        "conv2d_nchw",
        conv2d_nchw,
        _nchw_type,
        attrs={
            "filters": Int(1, 64, 1),
            "kernel": _KERNEL,
            "strides": _STRIDES,
            "padding": _PADDING,
            "use_bias": Flag(),
        },
        weights=_nchw_weights,
        cost=_nchw_cost,
        ranks=(4,),
        dtypes=_DTYPES,
    ),
)
