"""Exponential, reciprocal, logarithm and inverse square root in 32-bit fixed point.

A number in `Qm.n` is a signed 32-bit integer with `m` integer and `n = 31 - m` fractional bits. Arrays are
int64 that hold 32-bit values, so that a product never wraps before it is rounded.

Sources: gemmlowp `fixedpoint/fixedpoint.h` (`exp_on_negative_values`, `one_over_one_plus_x_for_x_in_0_1`) and
TensorFlow Lite `kernels/internal/common.h` (`log_x_for_x_greater_than_or_equal_to_1`, `GetReciprocal`,
`GetInvSqrtQuantizedMultiplierExp`). The constants are the real numbers named beside them.
"""

from __future__ import annotations

import math

import numpy as np

from fuzzer.reference.fixed_point import INT32_MAX, INT32_MIN, Array, high_mul, rounding_divide_by_pot


def _q(value: float, integer_bits: int = 0) -> int:
    """The real number as a raw `Q(integer_bits)` integer, saturated (1.0 in Q0 is 2^31 - 1)."""
    return int(min(max(round(value * 2.0 ** (31 - integer_bits)), INT32_MIN), INT32_MAX))


def saturating_shift_left(raw: Array, bits: int | Array) -> Array:
    """`raw * 2^bits`, held within 32 bits (gemmlowp SaturatingRoundingMultiplyByPOT, exponent >= 0)."""
    shifted: Array = np.clip(np.asarray(raw, np.int64) << bits, INT32_MIN, INT32_MAX)
    return shifted


def _half_sum(left: Array, right: int) -> Array:
    """(left + right) / 2, ties away from zero (gemmlowp RoundingHalfSum)."""
    total = left + right
    nudged = total + np.where(total >= 0, 1, -1)
    half: Array = np.sign(nudged) * (np.abs(nudged) // 2)
    return half


def leading_zeros(raw: Array) -> Array:
    """Leading zero bits of 32-bit non-negative values; 32 for zero."""
    # frexp gives the bit length exactly: 32-bit integers are exact in float64.
    return 32 - np.frexp(np.asarray(raw, np.float64))[1]


# --- exp ------------------------------------------------------------------------------------------------------

# exp(-2^k) for k = -2 .. 4: the factors of the barrel shifter for 5 integer bits.
_EXP_EXPONENTS = range(-2, 5)
_EXP_MINUS_EIGHTH = _q(math.exp(-1 / 8))
_THIRD = _q(1 / 3)


def _exp_near_minus_eighth(raw: Array) -> Array:
    """exp(x) for x in [-1/4, 0), Q0 to Q0: Taylor's series of order 4 around -1/8."""
    x = raw + (1 << 28)  # x + 1/8
    x2 = high_mul(x, x)
    x3 = high_mul(x2, x)
    x4 = high_mul(x2, x2)
    tail = high_mul(rounding_divide_by_pot(x4, 2) + x3, _THIRD) + x2
    return _EXP_MINUS_EIGHTH + high_mul(np.asarray(_EXP_MINUS_EIGHTH), x + rounding_divide_by_pot(tail, 1))


def exp_of_negative(raw: Array) -> Array:
    """exp(x) for x <= 0: Q5.26 in, Q0.31 out."""
    quarter = 1 << 24
    reduced = (raw & (quarter - 1)) - quarter
    result = _exp_near_minus_eighth(saturating_shift_left(reduced, 5))
    remainder = reduced - raw
    for exponent in _EXP_EXPONENTS:
        factor = _q(math.exp(-(2.0**exponent)))
        result = np.where(remainder & (1 << (26 + exponent)), high_mul(result, factor), result)
    return np.where(raw == 0, INT32_MAX, result)


# --- 1 / (1 + x) ----------------------------------------------------------------------------------------------


def one_over_one_plus(raw: Array) -> Array:
    """1 / (1 + x) for x in [0, 1], Q0 to Q0: three Newton-Raphson steps from 48/17 - 32/17 d."""
    half_denominator = _half_sum(raw, INT32_MAX)
    x = _q(48 / 17, 2) + high_mul(half_denominator, _q(-32 / 17, 2))
    for _ in range(3):
        rest = _q(1.0, 2) - high_mul(half_denominator, x)
        x = x + saturating_shift_left(high_mul(x, rest), 2)
    return saturating_shift_left(x, 1)


def reciprocal(raw: Array, integer_bits: int) -> tuple[Array, Array]:
    """1 / x of a positive `Q(integer_bits)` number: (Q0 mantissa, bits above one), elementwise."""
    headroom = leading_zeros(raw)
    mantissa = (raw << headroom) - (1 << 31)
    return one_over_one_plus(mantissa), integer_bits - headroom


# --- log ------------------------------------------------------------------------------------------------------


def log_of_at_least_one(raw: Array, integer_bits: int, result_bits: int) -> Array:
    """log(x) for x >= 1: `Q(integer_bits)` in, `Q(result_bits)` out."""
    accumulator_bits = result_bits + 1
    to_accumulator = 31 - accumulator_bits
    sqrt_half, fourth_root_half = _q(math.sqrt(0.5)), _q(0.5**0.25)
    quarter = rounding_divide_by_pot(np.asarray(_q(0.25), np.int64), accumulator_bits)

    headroom_a = leading_zeros(raw)
    r_a = saturating_shift_left(high_mul(saturating_shift_left(raw, headroom_a - 1), sqrt_half), 1)
    power_a = np.clip(saturating_shift_left(integer_bits - headroom_a, to_accumulator) + quarter, INT32_MIN, INT32_MAX)
    headroom_b = leading_zeros(high_mul(raw, sqrt_half)) - 1
    r_b = saturating_shift_left(raw, headroom_b)
    power_b = np.clip(saturating_shift_left(integer_bits - headroom_b, to_accumulator) - quarter, INT32_MIN, INT32_MAX)
    r, power = np.minimum(r_a, r_b), np.maximum(power_a, power_b)

    p = _half_sum(r, fourth_root_half)
    q = 2 * (r - fourth_root_half)
    square = high_mul(q, q)
    root = 2**0.25
    numerator = high_mul(q, r) + high_mul(high_mul(q, square), _q(11 / 240 * root))
    inner = _q(2 / root - root) + q + high_mul(np.asarray(_q(root / 20)), square)
    denominator = high_mul(p, inner) + high_mul(np.asarray(_q(root / 4)), q)
    scaled = rounding_divide_by_pot(numerator, accumulator_bits)
    total = high_mul(power, _q(math.log(2.0))) + high_mul(scaled, one_over_one_plus(denominator))
    return saturating_shift_left(total, accumulator_bits - result_bits)


# --- 1 / sqrt -------------------------------------------------------------------------------------------------


def inverse_sqrt_multiplier(value: int) -> tuple[int, int]:
    """1 / sqrt(value) of a non-negative integer as (Q0 multiplier, shift to the left).

    Five Newton-Raphson steps from 1 in Q3; 0 and 1 both give one, as upstream (a zero norm divides nothing).
    """
    if value <= 1:
        return INT32_MAX, 0
    right_shift = 11
    while value >= 1 << 29:
        value //= 4
        right_shift += 1
    pairs = (32 - value.bit_length() - 1) // 2 - 1
    right_shift -= pairs
    half_input = np.asarray((value << 2 * pairs) >> 1, np.int64)
    quarter_input = rounding_divide_by_pot(half_input, 1)
    x = np.asarray(_q(1.0, 3), np.int64)
    for _ in range(5):
        cube = saturating_shift_left(high_mul(high_mul(x, x), x), 6)
        # Both products are Q6 numbers, subtracted before they go back to Q3.
        x = saturating_shift_left(high_mul(np.asarray(_q(1.5, 3)), x) - high_mul(quarter_input, cube), 3)
    multiplier = int(high_mul(x, _q(math.sqrt(0.5))))
    if right_shift < 0:
        multiplier <<= -right_shift
        right_shift = 0
    return multiplier, -right_shift
