"""Unary operators that the runtime computes in float once per code and then looks up, and integer ABS / NEG / SIGN.

8-bit types: a table of 256 codes (`PopulateLookupTable` of TensorFlow Lite `kernels/activations.cc`, `LUTPopulate`
of `kernels/internal/common.h`). int16: 513 samples with linear interpolation (`LUTPopulateInt16`, `LUTLookup`),
but LOGISTIC and TANH interpolate in a fixed table of the sigmoid (`reference/integer_ops/{logistic,tanh}.h`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fuzzer.reference.affine import (
    given,
    is_quantised,
    limits,
    need,
    need_dtype,
    round_half_away,
    scale_of,
    tensor,
    zero_point_of,
)
from fuzzer.reference.fixed_point import Array, multiply_by_quantized_multiplier, quantize_multiplier, saturate_to
from fuzzer.reference.graph import Node
from fuzzer.reference.libm import erfcf, expf, expm1f, logf, tanhf
from fuzzer.reference.options import flag
from fuzzer.reference.transcendental import inverse_sqrt_multiplier

Function = Callable[[Array], Array]
"""A float32 function of float32 values, elementwise."""

LUT_STEPS = 512  # intervals of an int16 table: the top 9 bits of a code choose one, the other 7 interpolate


# --- tables ---------------------------------------------------------------------------------------------------


def byte_table(node: Node, function: Function) -> Array:
    """What each of the 256 codes becomes, ordered from the smallest code up; the output's type."""
    source, target = tensor(node, 0), node.outputs[0]
    low, high = limits(source.dtype)
    codes = np.arange(low, high + 1, dtype=np.int64) - zero_point_of(node, source)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        transformed = function(scale_of(node, source) * codes.astype(np.float32))
        scaled = round_half_away(transformed * (np.float32(1) / scale_of(node, target)))
    shifted = scaled.astype(np.float64) + zero_point_of(node, target)
    need(not np.isnan(shifted).any(), node, "a code of the table is NaN")
    table: Array = np.clip(shifted, *limits(target.dtype)).astype(target.dtype)
    return table


def samples(function: Function, start: np.floating[Any], stop: np.floating[Any], per_unit: np.floating[Any]) -> Array:
    """The 513 samples of a function over [start, stop], in codes of 1 / per_unit, int64; the float type is start's.

    Each sample is lowered by half of the interpolation error in the middle of its interval, so that the error is
    spread to both sides (`LUTPopulateInt16` of `kernels/internal/common.h`).
    """
    kind = start.dtype.type
    step = (stop - start) / kind(LUT_STEPS)
    index = np.arange(LUT_STEPS, dtype=kind)
    low, high = limits(np.int16)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        here = function(start + index * step) * per_unit
        middle = round_half_away(function(start + index * step + step / kind(2)) * per_unit)
        following = function(start + (index + kind(1)) * step) * per_unit
        sample = round_half_away(here)
        bias = round_half_away((round_half_away((following + sample) / kind(2)) - middle) / kind(2))
        # Where the function overflows, the bias is inf - inf: no correction (upstream then stores 0 for the sample).
        body = np.clip(sample - np.where(np.isfinite(bias), bias, 0), low, high)
        last = np.clip(round_half_away(function(np.array([stop])) * per_unit), low, high)
    return np.concatenate([body, last]).astype(np.int64)


def _quantised_samples(node: Node, function: Function) -> Array:
    """The samples over the whole range of the int16 operand, in codes of the result, computed in float32."""
    source, target = tensor(node, 0), node.outputs[0]
    need(zero_point_of(node, source) == 0 and zero_point_of(node, target) == 0, node, "int16 with a zero point")
    low, high = (np.float32(limit) for limit in limits(np.int16))
    scale, target_scale = scale_of(node, source), scale_of(node, target)
    per_unit = np.float32(1 << 16) / (target_scale * high - target_scale * low)
    return samples(function, scale * low, scale * high, per_unit)


def interpolate(codes: Array, table: Array) -> Array:
    """Int16 codes through a table of 513 samples: 9 bits of index, 7 bits of fraction, rounded; int64."""
    wide = codes.astype(np.int64)
    index, fraction = 256 + (wide >> 7), wide & 0x7F
    base = table[index]
    value: Array = base + (((table[index + 1] - base) * fraction + 64) >> 7)
    return value


def _look_up(node: Node, operands: Sequence[Array | None], function: Function, allowed: tuple[str, ...]) -> list[Array]:
    """One operand through its function's table."""
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    name = need_dtype(node, source, allowed)
    need(target.dtype == name, node, "input and output types differ")
    if name == "int16":
        return [interpolate(codes, _quantised_samples(node, function)).astype(np.int16)]
    return [byte_table(node, function)[codes.astype(np.int64) - limits(source.dtype)[0]]]


# --- LOGISTIC and TANH ----------------------------------------------------------------------------------------

# Where `sigmoid_table_uint16` of `kernels/internal/common.cc` is one above the nearest integer to 65536 * sigmoid.
_TABLE_ONE_ABOVE = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46,
    49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip


def _sigmoid_table() -> Array:
    """The 256 samples of 65536 * sigmoid(i / 24) that both int16 operators interpolate in; int64."""
    samples = np.round(65536 / (1 + np.exp(-np.arange(256) / 24))).astype(np.int64)
    samples[list(_TABLE_ONE_ABOVE)] += 1
    return np.minimum(samples, 0xFFFF)


_SIGMOID_TABLE = _sigmoid_table()


def _scale_exponent(scale: np.float32) -> int | None:
    """log2 of a power of two, else None (`CheckedLog2`: within 1e-3, in float32)."""
    log2 = np.log(scale, dtype=np.float32) * (np.float32(1) / np.log(np.float32(2)))
    nearest = round_half_away(log2)
    return int(nearest) if abs(log2 - nearest) < np.float32(1e-3) else None


def _table_position(node: Node, codes: Array, free_shifts: tuple[int, ...]) -> Array:
    """Codes rescaled to 1 / (3 * 4096), the table's own scale: by an exact shift, else by a 16-bit multiplier."""
    source, target = tensor(node, 0), node.outputs[0]
    need(zero_point_of(node, source) == 0 and zero_point_of(node, target) == 0, node, "int16 with a zero point")
    need(_scale_exponent(scale_of(node, target)) == -15, node, "an int16 output scale that is not 2^-15")
    scale = scale_of(node, source)
    exponent = _scale_exponent(scale)
    if exponent is not None and exponent + 12 in free_shifts:
        return codes.astype(np.int64) * (3 << (exponent + 12))
    multiplier, shift = float(scale) * 4096 * 3, 0
    while multiplier <= 32767 / 2 and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    need(multiplier < 1 << 16, node, f"an int16 input scale of {scale} overflows the 32-bit product")
    return (codes.astype(np.int64) * int(multiplier) + ((1 << shift) >> 1)) >> shift


def _sample(position: Array, fraction_bits: int) -> tuple[Array, Array]:
    """The table at |position| with linear interpolation (`fraction_bits` more bits), and where it is past the end."""
    magnitude = np.abs(position)
    index = magnitude >> fraction_bits
    held = np.minimum(index, 254)
    step = _SIGMOID_TABLE[held + 1] - _SIGMOID_TABLE[held]
    value = (_SIGMOID_TABLE[held] << fraction_bits) + (magnitude & ((1 << fraction_bits) - 1)) * step
    return value, index >= 255


def _logistic_int16(node: Node, codes: Array) -> Array:
    """int16 sigmoid, output scale 2^-15."""
    position = _table_position(node, codes, (0,))
    value, past = _sample(position, 9)
    value = np.where(past, 0x7FFF << 10, value)
    return (np.where(position >= 0, value + (1 << 9), (1 << 25) - value + (1 << 9) - 1) >> 10).astype(np.int16)


def _tanh_int16(node: Node, codes: Array) -> Array:
    """int16 tanh as 2 sigmoid(2 x) - 1, output scale 2^-15."""
    position = _table_position(node, codes, (0, 1))
    value, past = _sample(position, 8)
    value = np.where(past, 0xFFFF << 8, value)
    positive, negative = value - (1 << 23) + (1 << 7), -value + (1 << 23) + (1 << 7) - 1
    return (np.where(position >= 0, positive, negative) >> 8).astype(np.int16)


def logistic(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LOGISTIC of int8, uint8 (output scale 1/256) and int16 (output scale 1/32768)."""
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    if need_dtype(node, source, ("int8", "uint8", "int16")) == "int16":
        return [_logistic_int16(node, codes)]
    need(scale_of(node, target) == 1 / 256, node, "an output scale that is not 1/256")
    # In float32 throughout, also the sum: 1 / (1 + exp(-x)).
    return _look_up(node, operands, lambda x: np.float32(1) / (np.float32(1) + expf(-x)), ("int8", "uint8"))


def tanh(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """TANH of int8, uint8 and int16 (output scale 1/32768)."""
    source, codes = given(node, operands, 0)
    if need_dtype(node, source, ("int8", "uint8", "int16")) == "int16":
        return [_tanh_int16(node, codes)]
    return _look_up(node, operands, tanhf, ("int8", "uint8"))


# --- other functions ------------------------------------------------------------------------------------------


def elu(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """ELU of int8."""
    return _look_up(node, operands, lambda x: np.where(x < 0, expm1f(x), x), ("int8",))


def _gelu_exact(x: Array) -> Array:
    """X * erfc(-x / sqrt 2) / 2, in float32."""
    return np.float32(0.5) * x * erfcf(x * np.float32(-math.sqrt(0.5)))


def _gelu_tanh(x: Array) -> Array:
    """The tanh approximation of GELU (Hendrycks and Gimpel 2016, section 2), in float32."""
    one, half = np.float32(1), np.float32(0.5)
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return half * x * (one + tanhf(inner))


def gelu(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """GELU of int8, uint8 and int16, exact or approximate as its option says."""
    return _look_up(
        node, operands, _gelu_tanh if flag(node, "approximate") else _gelu_exact, ("int8", "uint8", "int16")
    )


def exp(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """EXP of int8 and int16."""
    return _look_up(node, operands, expf, ("int8", "int16"))


def log(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LOG of int8 and int16; what is not positive gives the smallest output."""
    target = node.outputs[0]
    smallest = scale_of(node, target) * np.float32(limits(target.dtype)[0] - zero_point_of(node, target))
    return _look_up(
        node, operands, lambda x: np.where(x > 0, logf(np.where(x > 0, x, np.float32(1))), smallest), ("int8", "int16")
    )


def sqrt(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SQRT of int8 and int16, truncated towards zero (`SqrtEvalQuantized` casts, it does not round)."""
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    need_dtype(node, source, ("int8", "int16"))
    real = scale_of(node, source) * (codes.astype(np.int64) - zero_point_of(node, source)).astype(np.float32)
    need(not (real < 0).any(), node, "a negative operand")
    steps = np.sqrt(real) / scale_of(node, target)
    return [saturate_to(np.trunc(steps).astype(np.int64) + zero_point_of(node, target), target.dtype)]


def _rsqrt_int8(node: Node, codes: Array) -> Array:
    """int8 RSQRT: the inverse root of the integer, then the scales (`RsqrtEvalQuantizedInt8`)."""
    source, target = tensor(node, 0), node.outputs[0]
    # 1. / (sqrt(float) * float): a float32 product divided in double.
    scale = 1.0 / float(np.sqrt(scale_of(node, source)) * scale_of(node, target))
    multiplier, shift = quantize_multiplier(scale)
    guard_bits = 20  # keeps the root's fraction in an integer
    values = codes.astype(np.int64) - zero_point_of(node, source)
    table = np.zeros(256, np.int64)
    table[0] = limits(np.int8)[1]  # the root of zero is the largest code
    for value in range(1, 256):
        root, root_shift = inverse_sqrt_multiplier(value)
        wide = multiply_by_quantized_multiplier(np.asarray(1, np.int64), root, root_shift + guard_bits)
        scaled = multiply_by_quantized_multiplier(wide, multiplier, shift - guard_bits)
        table[value] = int(scaled) + zero_point_of(node, target)
    return saturate_to(table[values], np.int8)


def rsqrt(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RSQRT of int8 and int16; zero gives the largest output, a negative operand is refused as the runtime does."""
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    name = need_dtype(node, source, ("int8", "int16"))
    need((codes >= zero_point_of(node, source)).all(), node, "a negative operand")
    if name == "int8":
        return [_rsqrt_int8(node, codes)]
    largest = np.float32(limits(np.int16)[1]) * scale_of(node, target)
    return _look_up(
        node,
        operands,
        lambda x: np.where(x > 0, np.float32(1) / np.sqrt(np.where(x > 0, x, np.float32(1))), largest),
        ("int16",),
    )


# --- integer functions ----------------------------------------------------------------------------------------


def absolute(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """ABS of quantised int8 / int16, of plain int16 and int32."""
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    name = need_dtype(node, source, ("int8", "int16", "int32"))
    if name == "int32" or not is_quantised(source):
        need(name != "int8", node, "int8 without a scale")
        return [np.abs(codes)]
    value = np.abs(codes.astype(np.int64) - zero_point_of(node, source))
    if scale_of(node, source) != scale_of(node, target):
        # The quotient of the float32 scales is itself float32.
        value = multiply_by_quantized_multiplier(
            value, *quantize_multiplier(float(scale_of(node, source) / scale_of(node, target)))
        )
    return [saturate_to(value + zero_point_of(node, target), target.dtype)]


def negative(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """NEG of plain integers and of quantised int8 / int16.

    The runtime (TensorFlow 2.21) negates the raw codes of a quantised tensor and so ignores zero points and
    scales; real arithmetic negates the value, which is what is computed here.
    """
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    name = need_dtype(node, source, ("int8", "int16", "int32", "int64"))
    if name in ("int32", "int64") or not is_quantised(source):
        return [-codes]
    value = codes.astype(np.int64) - zero_point_of(node, source)
    ratio = float(scale_of(node, source) / scale_of(node, target))
    value = -multiply_by_quantized_multiplier(value, *quantize_multiplier(ratio)) if ratio != 1 else -value
    return [saturate_to(value + zero_point_of(node, target), target.dtype)]


def sign(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SIGN of int32."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, ("int32",))
    return [np.sign(codes)]


KERNELS = {
    "LOGISTIC": logistic,
    "TANH": tanh,
    "ELU": elu,
    "GELU": gelu,
    "EXP": exp,
    "LOG": log,
    "SQRT": sqrt,
    "RSQRT": rsqrt,
    "ABS": absolute,
    "NEG": negative,
    "SIGN": sign,
}
