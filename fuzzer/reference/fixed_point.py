"""Fixed-point arithmetic of TensorFlow Lite's integer kernels, over NumPy int64 arrays that hold 32-bit values.

A real multiplier is `multiplier * 2^(shift - 31)` with a 31-bit multiplier. The released wheels are built without
`TFLITE_SINGLE_ROUNDING`, so a product of a 32-bit accumulator is rounded twice: to 31 bits, then by the shift
(measured: `tests/reference/test_fixed_point.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1

_SMALLEST_SHIFT = -31  # below it every bit is shifted out: the multiplier is flushed to zero
_LARGEST_SHIFT = 31  # above it the runtime shifts an int by 32 bits or more: its result is undefined
_LARGEST_WIDE_SHIFT = 14  # the same for 64-bit accumulators, whose products are shifted right by 15 - shift
_REDUCED_MAX = 0x7FFF  # the 16-bit multiplier of 64-bit accumulators saturates here

ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}
"""ActivationFunctionType of schema.fbs, those that integer kernels clamp for."""


class MultiplierError(ArithmeticError):
    """A real multiplier for which the fixed-point arithmetic of the runtime is not defined."""


def round_away(value: float) -> int:
    """Nearest integer, ties away from zero (C++ std::round of a double)."""
    whole = math.trunc(value)
    return whole + int(math.copysign(1, value)) if abs(value - whole) >= 0.5 else whole


def wrap32(values: Array | int) -> Array:
    """Two's complement wrap to 32 bits, still int64: what an int32 of C++ holds after an overflow."""
    return ((np.asarray(values, np.int64) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def saturate_to(values: Array, dtype: DTypeLike) -> Array:
    """Integers clamped to the type's range and stored in it."""
    info = np.iinfo(np.dtype(dtype))
    return np.clip(values, info.min, info.max).astype(dtype)


# --- real multipliers -----------------------------------------------------------------------------------------


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A double as (31-bit multiplier, shift to the left); below 2^-32 both are 0.

    `QuantizeMultiplier` of TensorFlow Lite `kernels/internal/quantization_util.cc`. Raises MultiplierError for an
    infinite or undefined multiplier, on which the runtime aborts, and from 2^31 on.
    """
    if real == 0.0:
        return 0, 0
    if not math.isfinite(real):
        raise MultiplierError(f"multiplier {real}")
    fraction, shift = math.frexp(real)
    multiplier = round_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < _SMALLEST_SHIFT:
        return 0, 0
    if shift > _LARGEST_SHIFT:
        raise MultiplierError(f"multiplier {real:.6g} is 2^{_LARGEST_SHIFT} or more")
    return multiplier, shift


def quantize_multipliers(reals: Iterable[float]) -> tuple[Array, Array]:
    """Multipliers and shifts of several channels, each int64 of shape [channels]."""
    pairs = [quantize_multiplier(float(real)) for real in reals]
    return np.array([m for m, _ in pairs], np.int64), np.array([s for _, s in pairs], np.int64)


# --- gemmlowp -------------------------------------------------------------------------------------------------


def high_mul(left: Array | int, right: Array | int) -> Array:
    """The upper 32 bits of twice the 64-bit product, rounded to nearest, ties upwards.

    `SaturatingRoundingDoublingHighMul` of gemmlowp `fixedpoint/fixedpoint.h`: the quotient is truncated towards zero
    after a nudge; the one overflow, (-2^31)^2, saturates.
    """
    a, b = np.asarray(left, np.int64), np.asarray(right, np.int64)
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    quotient = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
    return np.where((a == INT32_MIN) & (b == INT32_MIN), INT32_MAX, quotient)


def rounding_divide_by_pot(values: Array | int, exponent: Array | int) -> Array:
    """`values / 2^exponent`, nearest, ties away from zero (`RoundingDivideByPOT` of gemmlowp `fixedpoint.h`)."""
    wide, power = np.asarray(values, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << power) - 1
    threshold = (mask >> 1) + (wide < 0)
    return (wide >> power) + ((wide & mask) > threshold)


def multiply_by_quantized_multiplier(accumulator: Array | int, multiplier: Array | int, shift: Array | int) -> Array:
    """A 32-bit accumulator times a real multiplier, rounded twice; int64 holding 32-bit values.

    `MultiplyByQuantizedMultiplier(int32_t, …)` of TensorFlow Lite `kernels/internal/common.cc` without
    `TFLITE_SINGLE_ROUNDING`. The shift to the left wraps at 32 bits, as the compiled kernel does.
    """
    power = np.asarray(shift, np.int64)
    shifted = wrap32(np.asarray(accumulator, np.int64) << np.maximum(power, 0))
    return rounding_divide_by_pot(high_mul(shifted, multiplier), np.maximum(-power, 0))


def multiply_wide(accumulator: Array | int, multiplier: Array | int, shift: Array | int) -> Array:
    """A 64-bit accumulator times a real multiplier cut to 16 bits, rounded once (ties up); wraps to 32 bits.

    `MultiplyByQuantizedMultiplier(int64_t, …)` of TensorFlow Lite `kernels/internal/common.cc`: what int16
    activations with 64-bit sums use. Sums are below 2^47 by contract. Raises MultiplierError from a multiplier of
    2^14 on.
    """
    if np.max(shift, initial=0) > _LARGEST_WIDE_SHIFT:
        raise MultiplierError(f"a multiplier of a 64-bit sum is 2^{_LARGEST_WIDE_SHIFT} or more")
    wide, power = np.asarray(multiplier, np.int64), 15 - np.asarray(shift, np.int64)
    reduced = np.where(wide < 0x7FFF0000, (wide + (1 << 15)) >> 16, _REDUCED_MAX)
    return wrap32((np.asarray(accumulator, np.int64) * reduced + (np.int64(1) << (power - 1))) >> power)


# --- activations ----------------------------------------------------------------------------------------------


def activation_range(activation: int, scale: float, zero_point: int, dtype: DTypeLike) -> tuple[int, int]:
    """The raw codes between which a fused activation (ActivationFunctionType of schema.fbs) clamps.

    `CalculateActivationRangeQuantized` of TensorFlow Lite `kernels/kernel_util.cc`: bounds are divided by the float32
    scale in float32, so 6 / scale may round to another code than in double. Other activations (TANH, SIGN_BIT)
    clamp to the type alone there; callers refuse them.
    """
    info = np.iinfo(np.dtype(dtype))
    low, high = int(info.min), int(info.max)

    def code(real: float) -> int:
        with np.errstate(over="ignore"):
            steps = float(np.float32(real) / np.float32(scale))
        # Beyond 32 bits the runtime's conversion is undefined; such a bound never clamps.
        return zero_point + round_away(min(max(steps, INT32_MIN), INT32_MAX))

    name = ACTIVATIONS.get(activation, "")
    if name in ("RELU", "RELU6"):
        low = max(low, code(0.0))
    if name == "RELU6":
        high = min(high, code(6.0))
    if name == "RELU_N1_TO_1":
        low, high = max(low, code(-1.0)), min(high, code(1.0))
    return low, high
