"""SOFTMAX and LOG_SOFTMAX over the last axis.

8-bit: gemmlowp's fixed-point exponential and reciprocal (TensorFlow Lite `reference/softmax.h`,
`reference/integer_ops/log_softmax.h`). int16: two tables of 513 samples, exp over [-10, 0] and 1 / (1 + x) over
[0, 1] (`SoftmaxInt16`). The optimised and the XNNPACK kernels use float tables instead and may differ by a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from fuzzer.reference.affine import QUANTISED, given, limits, need, need_dtype, scale_of, tensor, zero_point_of
from fuzzer.reference.fixed_point import (
    Array,
    high_mul,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturate_to,
)
from fuzzer.reference.graph import Node
from fuzzer.reference.lookup import interpolate, samples
from fuzzer.reference.options import option
from fuzzer.reference.transcendental import exp_of_negative, leading_zeros, log_of_at_least_one, reciprocal

DIFFERENCE_BITS = 5  # integer bits of a difference to the row's maximum: exp(-16) no longer counts
SUM_BITS = 12  # integer bits of a sum of exponentials: rows of up to 2^12 elements are safe

INT16_RANGE = 65535  # steps between the smallest and the largest int16


def _input_scaling(node: Node, beta: float, scale: np.float32) -> tuple[int, int, int]:
    """Multiplier and left shift that take a difference of codes to Q5.26, and the smallest difference that counts.

    `PreprocessSoftmaxScaling` and `CalculateInputRadius` of `kernels/internal/quantization_util.cc`, in double.
    """
    real = min(beta * float(scale) * (1 << (31 - DIFFERENCE_BITS)), 2.0**31 - 1)
    need(real > 1, node, f"an input scale of {scale} is too small for its fixed point")
    multiplier, shift = quantize_multiplier(real)
    radius = ((1 << DIFFERENCE_BITS) - 1) * (1 << (31 - DIFFERENCE_BITS)) / (1 << shift)
    return multiplier, shift, -math.floor(radius)


def _exponentials(differences: Array, scaling: tuple[int, int, int]) -> tuple[Array, Array]:
    """Exp of the differences in Q0 (zero where they do not count), and their sums per row in Q12."""
    multiplier, shift, smallest = scaling
    counts = differences >= smallest
    scaled = multiply_by_quantized_multiplier(np.where(counts, differences, 0), multiplier, shift)
    values = np.where(counts, exp_of_negative(scaled), 0)
    sums = rounding_divide_by_pot(values, SUM_BITS).sum(axis=-1, keepdims=True)
    return values, sums


def _softmax_byte(node: Node, codes: Array, beta: float) -> Array:
    """8-bit codes to 8-bit or int16 codes of scale 1 / 2^bits and the smallest code as zero."""
    source, target = tensor(node, 0), node.outputs[0]
    wide = codes.astype(np.int64)
    differences = wide - wide.max(axis=-1, keepdims=True)
    values, sums = _exponentials(differences, _input_scaling(node, beta, scale_of(node, source)))
    mantissa, bits_over_unit = reciprocal(sums, SUM_BITS)
    low = limits(target.dtype)[0]
    exponent = bits_over_unit + 31 - 8 * np.dtype(target.dtype).itemsize
    result = rounding_divide_by_pot(high_mul(mantissa, values), exponent)
    return saturate_to(result + low, target.dtype)


@cache
def _softmax_tables() -> tuple[Array, Array]:
    """Samples of exp over [-10, 0] and of 1 / (1 + x) over [0, 1], Q0.15, computed in double (`SoftmaxPrepare`)."""
    f64 = np.float64
    exponential = samples(np.exp, f64(-10), f64(0), f64(1 << 15))
    return exponential, samples(lambda x: 1 / (1 + x), f64(0), f64(1), f64(1 << 15))


def _softmax_int16(node: Node, codes: Array, beta: float) -> Array:
    """int16 codes to int16 codes of scale 2^-15."""
    source, target = tensor(node, 0), node.outputs[0]
    need(zero_point_of(node, source) == 0 and zero_point_of(node, target) == 0, node, "int16 with a zero point")
    need(codes.ndim <= 4, node, f"int16 of rank {codes.ndim}")
    exponential, inverse = _softmax_tables()
    # The float32 product is taken before the double quotient: differences in [-65535, 0] stand for [-10, 0].
    real = float(scale_of(node, source) * np.float32(beta)) / (10.0 / INT16_RANGE)
    wide = codes.astype(np.int64)
    scaled = multiply_by_quantized_multiplier(wide - wide.max(axis=-1, keepdims=True), *quantize_multiplier(real))
    values = interpolate(saturate_to(scaled + 32767, np.int16), exponential)
    sums = values.sum(axis=-1, keepdims=True)
    headroom = leading_zeros(sums)  # sums are Q16.15
    shifted = ((sums << (headroom - 1)) + (1 << 13)) >> 14
    factor = interpolate(saturate_to(shifted - (1 << 15) - (1 << 16), np.int16), inverse)
    shift = 31 - headroom
    return saturate_to(np.maximum((values * factor + (1 << (shift - 1))) >> shift, 0), np.int16)


def softmax(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SOFTMAX of int8 and uint8 (to the same type or int16) and of int16."""
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    name, result = need_dtype(node, source, QUANTISED), target.dtype
    need(result in (name, "int16"), node, f"{name} to {result}")
    beta = float(np.float32(option(node, "beta", 0.0)))
    if codes.size == 0:
        return [np.zeros(codes.shape, target.dtype)]
    return [_softmax_int16(node, codes, beta) if name == "int16" else _softmax_byte(node, codes, beta)]


def log_softmax(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LOG_SOFTMAX of int8 and uint8 (output scale 16/256, the largest code as zero point)."""
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    need_dtype(node, source, ("int8", "uint8"))
    low, high = limits(target.dtype)
    need(scale_of(node, target) == 16 / 256 and zero_point_of(node, target) == high, node, "another output scale")
    if codes.size == 0:
        return [np.zeros(codes.shape, target.dtype)]
    scaling = _input_scaling(node, 1.0, scale_of(node, source))
    multiplier, shift, smallest = scaling
    wide = codes.astype(np.int64)
    differences = wide - wide.max(axis=-1, keepdims=True)
    _, sums = _exponentials(differences, scaling)
    logs = log_of_at_least_one(sums, SUM_BITS, DIFFERENCE_BITS)
    # The smallest difference whose logarithm Q5 still holds, back in codes (`PreprocessLogSoftmaxScalingExp`).
    back, back_shift = quantize_multiplier((1 << (31 - shift)) / multiplier)
    least = multiply_by_quantized_multiplier(logs - (1 << 31), back, back_shift)
    counts = differences > np.maximum(smallest - 1, least)
    scaled = multiply_by_quantized_multiplier(np.where(counts, differences, 0), multiplier, shift)
    output_bits = 4
    values = rounding_divide_by_pot(scaled - logs, 31 - DIFFERENCE_BITS - output_bits) + high
    return [saturate_to(np.where(counts, values, low), target.dtype)]


KERNELS = {"SOFTMAX": softmax, "LOG_SOFTMAX": log_softmax}
