"""Simulated quantisation, as quantisation-aware training leaves it in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Flag, Float, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer

_LOW = Float(-8.0, 0.0, -1.0, special=(0.0, -6.0, -0.013))
_WIDTH = Float(0.01, 12.0, 2.0, special=(6.0, 0.1, 2.0))
_BITS = Choice((8, 8, 8, 4, 16, 2))
_MAX_CHANNELS = 64


def fake_quant(tf: Any, x: Any, *, low: Any, width: Any, bits: Any, narrow: Any) -> Any:
    """Rounds to a grid given by attributes."""
    return tf.quantization.fake_quant_with_min_max_args(x, low, low + width, bits, narrow)


def fake_quant_off_zero(tf: Any, x: Any, *, low: Any, width: Any, bits: Any) -> Any:
    """Rounds to a grid whose range leaves zero out: TensorFlow moves it."""
    return tf.quantization.fake_quant_with_min_max_vars(x, tf.constant(low), tf.constant(low + width), bits)


def fake_quant_vars(tf: Any, x: Any, *, low: Any, width: Any, bits: Any, narrow: Any) -> Any:
    """Rounds to a grid given by two tensors."""
    return tf.quantization.fake_quant_with_min_max_vars(x, tf.constant(low), tf.constant(low + width), bits, narrow)


def quantize_dequantize(tf: Any, x: Any, *, low: Any, width: Any, bits: Any, signed: Any, given: Any) -> Any:
    """Rounds to a grid whose range is given, or the data's own."""
    return tf.quantization.quantize_and_dequantize_v2(
        x, low, low + width, signed_input=signed, num_bits=bits, range_given=given
    )


def quantize_dequantize_v4(tf: Any, x: Any, *, low: Any, width: Any, bits: Any, signed: Any, narrow: Any) -> Any:
    """The same with a fixed range, as a raw op that can leave out the lowest number."""
    low, high = tf.cast(low, x.dtype), tf.cast(low + width, x.dtype)
    return tf.raw_ops.QuantizeAndDequantizeV4(
        input=x,
        input_min=low,
        input_max=high,
        signed_input=signed,
        num_bits=bits,
        range_given=True,
        narrow_range=narrow,
    )


def qat_dense(tf: Any, x: Any, *, kernel: Any, bias: Any, low: Any, width: Any, bits: Any, relu: Any) -> Any:
    """A dense layer with simulated quantisation of operand, kernel and result."""
    fake = tf.quantization.fake_quant_with_min_max_args
    y = tf.matmul(fake(x, low, low + width), fake(kernel, -1.0, 1.0, bits, True)) + bias
    return fake(tf.nn.relu(y) if relu else y, 0.0 if relu else -4.0, 6.0)


def qat_conv(tf: Any, x: Any, *, filter: Any, bias: Any, low: Any, width: Any, per_channel: Any, relu: Any) -> Any:
    """A convolution with simulated quantisation of operand, filter (per channel or not) and result."""
    fake = tf.quantization.fake_quant_with_min_max_args
    if per_channel:
        top = tf.reduce_max(tf.abs(filter), [0, 1, 2]) + 0.01
        made = tf.quantization.fake_quant_with_min_max_vars_per_channel(filter, -top, top, 8, True)
    else:
        made = fake(filter, -1.0, 1.0, 8, True)
    y = tf.nn.conv2d(fake(x, low, low + width), made, 1, "SAME") + bias
    return fake(tf.nn.relu(y) if relu else y, 0.0 if relu else -4.0, 6.0)


# --- rules ------------------------------------------------------------------------------------------------


def _channels(x: TensorType) -> int:
    if x.shape[-1] > _MAX_CHANNELS:
        raise UnfitError(f"{x.shape[-1]} channels are more than {_MAX_CHANNELS}")
    return x.shape[-1]


def _unit(fan_in: int) -> float:
    return float(f"{fan_in**-0.5:.4g}")


def _layer_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    _channels(operands[0])
    return TensorType((*operands[0].shape[:-1], integer(attrs["units"])), operands[0].dtype)


def _dense_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, units = operands[0], integer(attrs["units"])
    return (
        WeightSlot("kernel", TensorType((x.shape[-1], units), x.dtype), _unit(x.shape[-1])),
        WeightSlot("bias", TensorType((units,), x.dtype), 0.1),
    )


def _conv_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, units, size = operands[0], integer(attrs["units"]), integer(attrs["size"])
    return (
        WeightSlot("filter", TensorType((size, size, x.shape[-1], units), x.dtype), _unit(x.shape[-1] * size * size)),
        WeightSlot("bias", TensorType((units,), x.dtype), 0.1),
    )


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    size = integer(attrs["size"]) ** 2 if "size" in attrs else 1
    return out.elements * (1 + operands[0].shape[-1] * size)


_GRIDS = (
    "the grid of fake quantisation is made of float32 numbers (fake_quant_ops_functor.h, Nudge): float64 has another. "
    "Sums of products on it are held against their conditioning, which rounding in float32 is part of"
)


def _op(build: Any, attrs: dict[str, Domain], weight: float, **more: Any) -> Op:
    # None of these kernels exists in float64, but `quantize_and_dequantize`.
    base = {"float64": False, "narrow": _GRIDS, "discontinuous": True, "dtypes": ("float32",)}
    more = {**base, **more}
    return Op(build.__name__, build, attrs=attrs, weight=weight, **more)


_GRID: dict[str, Domain] = {"low": _LOW, "width": _WIDTH, "bits": _BITS}
_LAYER: dict[str, Domain] = {"low": _LOW, "width": _WIDTH, "units": Int(1, 16, 4), "relu": Flag()}

OPS = (
    _op(fake_quant, {**_GRID, "width": Float(8.0, 16.0, 8.0), "narrow": Flag()}, 0.4),
    _op(
        fake_quant_off_zero,
        {"low": Choice((1.0, 0.5, -3.0, -9.0)), "width": Choice((1.0, 0.1, 2.9)), "bits": Choice((8, 16))},
        0.15,
    ),
    _op(fake_quant_vars, {**_GRID, "width": Float(8.0, 16.0, 8.0), "narrow": Flag()}, 0.3),
    _op(
        quantize_dequantize,
        {**_GRID, "width": Float(8.0, 16.0, 8.0), "signed": Flag(True), "given": Flag(True)},
        0.15,
        float64=True,
        narrow="",
    ),
    _op(
        quantize_dequantize_v4,
        {**_GRID, "width": Float(8.0, 16.0, 8.0), "signed": Flag(True), "narrow": Flag()},
        0.15,
        float64=True,
        narrow="",
    ),
    _op(
        qat_dense,
        {**_LAYER, "width": Float(8.0, 12.0, 8.0), "bits": Choice((8, 8, 4))},
        0.4,
        ranks=(2,),
        infer=_layer_type,
        weights=_dense_weights,
        cost=_cost,
    ),
    _op(
        qat_conv,
        {**_LAYER, "width": Float(8.0, 12.0, 8.0), "size": Int(1, 3, 3), "per_channel": Flag()},
        0.4,
        ranks=(4,),
        infer=_layer_type,
        weights=_conv_weights,
        cost=_cost,
    ),
)
