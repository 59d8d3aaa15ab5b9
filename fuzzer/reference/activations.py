"""Activations made of clamps and slopes: RELU and its kin, LEAKY_RELU, PRELU, HARD_SWISH.

Sources: TensorFlow Lite `kernels/activations.cc` (multipliers, clamps), `reference/leaky_relu.h`,
`reference/prelu.h`, `reference/hard_swish.h`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import (
    BYTES,
    QUANTISED,
    given,
    limits,
    need,
    need_dtype,
    round_half_away,
    scale_of,
    tensor,
    truncating_divide,
    zero_point_of,
)
from fuzzer.reference.fixed_point import (
    Array,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturate_to,
)
from fuzzer.reference.graph import Node
from fuzzer.reference.options import option


def _operand(node: Node, operands: Sequence[Array | None], allowed: tuple[str, ...]) -> Array:
    """The first operand less its zero point, int64."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, allowed)
    return codes.astype(np.int64) - zero_point_of(node, source)


def _relu(
    node: Node, operands: Sequence[Array | None], low: float, high: float | None, allowed: tuple[str, ...]
) -> list[Array]:
    """Rescaled to the output and clamped to the codes of the real bounds (`QuantizedReluX`)."""
    values = _operand(node, operands, allowed)
    source, target = tensor(node, 0), node.outputs[0]
    scale, zero = scale_of(node, target), zero_point_of(node, target)
    bottom, top = limits(target.dtype)
    bottom = max(bottom, zero + int(round_half_away(np.float32(low) / scale)))
    if high is not None:
        top = min(top, zero + int(round_half_away(np.float32(high) / scale)))
    rescaled = zero + multiply_by_quantized_multiplier(
        values, *quantize_multiplier(float(scale_of(node, source) / scale))
    )
    return [np.minimum(np.maximum(rescaled, bottom), top).astype(target.dtype)]


def relu(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RELU of int8, uint8 and int16."""
    return _relu(node, operands, 0.0, None, QUANTISED)


def relu6(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RELU6 of int8, uint8 and int16."""
    return _relu(node, operands, 0.0, 6.0, QUANTISED)


def relu_n1_to_1(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RELU_N1_TO_1 of int8 and uint8."""
    return _relu(node, operands, -1.0, 1.0, BYTES)


def relu_0_to_1(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RELU_0_TO_1 of int8 and uint8."""
    return _relu(node, operands, 0.0, 1.0, BYTES)


def leaky_relu(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LEAKY_RELU of int8, uint8 and int16: one multiplier for each side of zero."""
    values = _operand(node, operands, QUANTISED)
    source, target = tensor(node, 0), node.outputs[0]
    source_scale, scale = scale_of(node, source), scale_of(node, target)
    alpha = np.float32(option(node, "alpha", 0.0))
    positive = multiply_by_quantized_multiplier(values, *quantize_multiplier(float(source_scale / scale)))
    # (scale * alpha) / scale, each step in float32.
    negative = multiply_by_quantized_multiplier(values, *quantize_multiplier(float(source_scale * alpha / scale)))
    return [saturate_to(np.where(values >= 0, positive, negative) + zero_point_of(node, target), target.dtype)]


def prelu(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """PRELU of int8 and uint8, alpha broadcast to the operand."""
    values = _operand(node, operands, BYTES)
    source, target = tensor(node, 0), node.outputs[0]
    slope, alpha = given(node, operands, 1)
    scale = scale_of(node, target)
    need_dtype(node, slope, BYTES)
    aligned = zip(alpha.shape[::-1], values.shape[::-1], strict=False)
    fits = alpha.ndim <= values.ndim and all(size in (1, whole) for size, whole in aligned)
    need(fits, node, f"alpha of shape {alpha.shape} for {values.shape}")
    factors = alpha.astype(np.int64) - zero_point_of(node, slope)
    positive = multiply_by_quantized_multiplier(values, *quantize_multiplier(float(scale_of(node, source) / scale)))
    negative = multiply_by_quantized_multiplier(
        values * factors, *quantize_multiplier(float(scale_of(node, source) * scale_of(node, slope) / scale))
    )
    return [saturate_to(np.where(values >= 0, positive, negative) + zero_point_of(node, target), target.dtype)]


# --- HARD_SWISH -----------------------------------------------------------------------------------------------


def _to_16_bits(multiplier: int) -> int:
    """A Q0.31 multiplier as Q0.15 (`DownScaleInt32ToInt16Multiplier`)."""
    return min((multiplier + (1 << 15)) >> 16, 0x7FFF)


def _saturating_16(values: Array) -> Array:
    """Held within int16."""
    return np.clip(values, -(1 << 15), (1 << 15) - 1)


def _high_mul_16(left: Array, right: int) -> Array:
    """Rounded, doubled high half of a 16-bit product (gemmlowp SaturatingRoundingDoublingHighMul, int16)."""
    product = left * right
    return _saturating_16(truncating_divide(product + np.where(product >= 0, 1 << 14, 1 - (1 << 14)), 1 << 15))


def hard_swish(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """HARD_SWISH of int8 and uint8, in 16-bit fixed point."""
    values = _operand(node, operands, BYTES)
    source, target = tensor(node, 0), node.outputs[0]
    f32 = np.float32
    # Seven more bits than the input; 3.0 is 32768 on the scale of the [0, 1] factor. All in float32.
    fine_scale = f32(1 / 128) * scale_of(node, source)
    multiplier, exponent = quantize_multiplier(float(fine_scale / scale_of(node, target)))
    factor_multiplier, factor_exponent = quantize_multiplier(float(fine_scale / (f32(3) / f32(32768))))
    need(exponent <= 0, node, "an output scale finer than 1/128 of the input's")

    fine = values * 128
    scaled = _high_mul_16(fine, _to_16_bits(multiplier))
    factor = fine
    if factor_exponent > 0:
        factor = _saturating_16(factor << (factor_exponent - 1))
    factor = _high_mul_16(factor, _to_16_bits(factor_multiplier))
    if factor_exponent > 0:
        factor = _saturating_16(factor << 1)
    elif factor_exponent < 0:
        factor = rounding_divide_by_pot(factor, -factor_exponent)
    factor = (factor + (1 << 15)) >> 1
    product = truncating_divide(factor * scaled, 1 << 15)  # towards zero: cancels the bias of the roundings above
    return [saturate_to(rounding_divide_by_pot(product, -exponent) + zero_point_of(node, target), target.dtype)]


KERNELS = {
    "RELU": relu,
    "RELU6": relu6,
    "RELU_N1_TO_1": relu_n1_to_1,
    "RELU_0_TO_1": relu_0_to_1,
    "LEAKY_RELU": leaky_relu,
    "PRELU": prelu,
    "HARD_SWISH": hard_swish,
}
