"""Fixed-point arithmetic against exact rational arithmetic, and the released build's rounding."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from fuzzer.reference.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    MultiplierError,
    activation_range,
    high_mul,
    multiply_by_quantized_multiplier,
    multiply_wide,
    quantize_multiplier,
    rounding_divide_by_pot,
    wrap32,
)
from tests.reference.builder import build, runtime, tensor

EDGES = [INT32_MIN, INT32_MIN + 1, -(1 << 30), -3, -2, -1, 0, 1, 2, 3, (1 << 30) - 1, 1 << 30, INT32_MAX - 1, INT32_MAX]


def _half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def _half_away(value: Fraction) -> int:
    return _half_up(value) if value >= 0 else -_half_up(-value)


def test_high_mul_is_the_exact_product_rounded_half_up() -> None:
    random = np.random.default_rng(0)
    values = [*EDGES, *(int(v) for v in random.integers(INT32_MIN, INT32_MAX, 200))]
    pairs = [(a, b) for a in values for b in EDGES]
    expected = [min(_half_up(Fraction(a * b, 1 << 31)), INT32_MAX) for a, b in pairs]
    a, b = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    assert high_mul(a, b).tolist() == expected


def test_division_by_a_power_of_two_rounds_half_away() -> None:
    values = np.array([*range(-300, 300), *EDGES], np.int64)
    for exponent in range(0, 32):
        expected = [_half_away(Fraction(int(v), 1 << exponent)) for v in values]
        assert rounding_divide_by_pot(values, exponent).tolist() == expected


@pytest.mark.parametrize("real", [1e-12, 2.0**-31, 0.1, 0.25, 0.499999999999, 0.5, 1 - 2.0**-40, 1.0, 1.7, 12345.6])
def test_a_multiplier_is_the_nearest_31_bits(real: float) -> None:
    multiplier, shift = quantize_multiplier(real)
    if real < 2.0**-32:
        assert (multiplier, shift) == (0, 0)
        return
    assert (1 << 30) <= multiplier <= INT32_MAX
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(real)) <= Fraction(2) ** (shift - 32)


@pytest.mark.parametrize("real", [float("inf"), float("nan"), 2.0**31])
def test_a_multiplier_that_no_kernel_can_use_is_refused(real: float) -> None:
    with pytest.raises(MultiplierError):
        quantize_multiplier(real)


def test_a_product_is_rounded_twice() -> None:
    # The real multiplier is 1/4, applied as 1/2 (ties up) and then 1/2 (ties away from zero).
    assert multiply_by_quantized_multiplier(np.array([2, -2]), 1 << 30, -1).tolist() == [1, -1]
    assert multiply_by_quantized_multiplier(np.array([1, -1]), 1 << 30, -1).tolist() == [1, 0]
    assert multiply_by_quantized_multiplier(np.array([1 << 30]), 1 << 30, 1).tolist() == [wrap32(1 << 31) // 2]


def test_wide_sums_use_sixteen_bits_of_the_multiplier() -> None:
    random = np.random.default_rng(1)
    sums = random.integers(-(1 << 40), 1 << 40, 100)
    for real in (1e-6, 0.3, 1.9, 0.9999999):
        multiplier, shift = quantize_multiplier(real)
        reduced = min((multiplier + (1 << 15)) >> 16, 0x7FFF)
        expected = [_half_up(Fraction(int(s) * reduced) * Fraction(2) ** (shift - 15)) for s in sums]
        assert multiply_wide(sums, multiplier, shift).tolist() == [int(wrap32(e)) for e in expected]
    with pytest.raises(MultiplierError):
        multiply_wide(sums, 1 << 30, 15)


def test_activation_bounds() -> None:
    assert activation_range(0, 0.1, 3, "int8") == (-128, 127)
    assert activation_range(1, 0.1, 3, "int8") == (3, 127)
    assert activation_range(2, 0.1, 3, "int8") == (-7, 13)
    assert activation_range(3, 0.1, 3, "int8") == (3, 63)
    assert activation_range(3, 0.01, 128, "uint8") == (128, 255)
    assert activation_range(3, 1e-45, 0, "int16") == (0, 32767)


@pytest.mark.slow
def test_the_released_wheel_rounds_twice() -> None:
    """QUANTIZE from int16 to int16 with multipliers where single and double rounding differ."""
    codes = np.arange(-32768, 32768, dtype=np.int64)
    apart = 0
    for ratio in (0.3, 0.11, 0.0123, 2.0**-5 * 1.000001):
        content = build(
            "QUANTIZE", [tensor("int16", (65536,), ratio)], [tensor("int16", (65536,), 1.0)], "QuantizeOptions", 3
        )
        found = runtime(content, {0: codes.astype(np.int16)})[1]
        multiplier, shift = quantize_multiplier(float(np.float32(ratio)))
        twice = multiply_by_quantized_multiplier(codes, multiplier, shift)
        once = (codes * multiplier + (1 << (30 - shift))) >> (31 - shift)
        assert (found == twice).all()
        apart += int((once != twice).sum())
    assert apart > 0  # else these multipliers would not tell
