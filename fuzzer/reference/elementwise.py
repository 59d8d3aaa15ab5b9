"""Binary operators element by element, with broadcasting: ADD, SUB, MUL, DIV, SQUARED_DIFFERENCE, MAXIMUM, MINIMUM.

Quantised codes are brought to a common scale (twice the larger of the two) with spare bits, combined in 32 bits and
rescaled. Sources: TensorFlow Lite `kernels/{add,sub,mul,div,squared_difference,maximum_minimum}.cc` and
`kernels/internal/reference/{add,sub,mul,div}.h`, `reference/integer_ops/{add,mul}.h`. Products of float32 scales are
rounded to float32 where the C++ expression is one of floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fuzzer.reference.affine import (
    any_scale_of,
    is_quantised,
    limits,
    need,
    need_dtype,
    truncating_divide,
    zero_point_of,
)
from fuzzer.reference.fixed_point import (
    ACTIVATIONS,
    Array,
    activation_range,
    high_mul,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    wrap32,
)
from fuzzer.reference.graph import Node, Tensor
from fuzzer.reference.options import option
from fuzzer.reference.transcendental import leading_zeros, reciprocal

_SPARE_BITS = {"int8": 20, "uint8": 20, "int16": 15}  # left shift before rescaling: 2^(8+1+20) and 2^(16+15) fit
_SQUARE_SPARE_BITS = 7  # of SQUARED_DIFFERENCE: (2^(8+7))^2 fits in 31 bits
_POT_TOLERANCE = np.float32(1e-3)  # `CheckedLog2`: how near to an integer the logarithm of a power of two is


def _pair(node: Node, operands: Sequence[Array | None]) -> tuple[Tensor, Tensor, Array, Array]:
    need(len(node.inputs) == 2, node, f"{len(node.inputs)} operands")
    first, second = node.inputs
    a, b = operands
    assert first is not None and second is not None and a is not None and b is not None
    need(first.dtype == second.dtype, node, "operands of two types")
    return first, second, a, b


def activation_of(node: Node) -> int:
    """The fused activation, which must be one that integer kernels clamp for."""
    found = int(option(node, "fusedActivationFunction", 0))
    need(found in ACTIVATIONS, node, f"fused activation {found}")
    return found


def clamp(node: Node, values: Array) -> Array:
    """Raw results (without zero point) shifted, clamped by the fused activation, in the output's type."""
    target = node.outputs[0]
    zero_point = zero_point_of(node, target)
    low, high = activation_range(activation_of(node), float(any_scale_of(node, target)), zero_point, target.dtype)
    # min(high, max(low, x)): where the bounds cross, the upper one wins.
    return np.minimum(high, np.maximum(low, wrap32(values + zero_point))).astype(target.dtype)


def smaller_than_one(node: Node, real: float) -> tuple[int, int]:
    """A multiplier in (0, 1); the runtime aborts on others (`QuantizeMultiplierSmallerThanOneExp`)."""
    need(0.0 < real < 1.0, node, f"multiplier {real:.6g} outside (0, 1): the runtime aborts")
    multiplier, shift = quantize_multiplier(real)
    need(shift <= 0, node, f"multiplier {real!r} rounds to 1: the runtime aborts")
    return multiplier, shift


# --- plain integers -------------------------------------------------------------------------------------------


def _plain(node: Node, values: Array) -> list[Array]:
    """Integers without a scale, wrapped to their type, clamped by the activation (`CalculateActivationRange`)."""
    dtype = np.dtype(node.outputs[0].dtype)
    wrapped = values.astype(dtype)
    bounds = {"NONE": limits(dtype), "RELU": (0, limits(dtype)[1]), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
    low, high = bounds[ACTIVATIONS[activation_of(node)]]
    need(low >= limits(dtype)[0], node, "an activation below zero of an unsigned type")
    return [np.clip(wrapped, low, high).astype(dtype)]


def _is_plain(node: Node, first: Tensor, wide: tuple[str, ...]) -> bool:
    """Whether the kernel treats the codes as integers: 32 and 64 bits always, 16 bits without a scale."""
    name = first.dtype
    return name in wide or (name == "int16" and not is_quantised(node.outputs[0]))


# --- ADD and SUB ----------------------------------------------------------------------------------------------


def _log2(scale: np.float32) -> int | None:
    """log2 of a power of two, in float32 as `CheckedLog2` of `quantization_util.cc` computes it; else None."""
    with np.errstate(divide="ignore"):
        exponent = np.float32(np.log(scale) * (np.float32(1) / np.log(np.float32(2))))
    if not np.isfinite(exponent):
        return None
    nearest = np.round(exponent)
    return int(nearest) if abs(exponent - nearest) < _POT_TOLERANCE else None


def _pot_shifts(node: Node, first: Tensor, second: Tensor) -> tuple[int, int] | None:
    """Shifts of int16 operands whose scales are all powers of two with zero points 0; None for the general road."""
    tensors = (first, second, node.outputs[0])
    if not bool(option(node, "potScaleInt16", True)) or any(zero_point_of(node, t) for t in tensors):
        return None
    exponents = [_log2(any_scale_of(node, t)) for t in tensors]
    if None in exponents:
        return None
    one, two, out = (e for e in exponents if e is not None)
    shifts = one - out, two - out
    need(0 in shifts and max(shifts) <= 0, node, f"powers of two whose shifts are {shifts}: the runtime refuses them")
    # Beyond 15 bits RoundingDivideByPOT of int16 has no mask that fits: positive codes give 1 instead of 0.
    need(min(shifts) >= -15, node, f"a shift of {-min(shifts)} bits of int16")
    return shifts


def _sum(node: Node, operands: Sequence[Array | None], sign: int) -> list[Array]:
    first, second, a, b = _pair(node, operands)
    if _is_plain(node, first, ("int32", "int64")):
        with np.errstate(over="ignore"):
            return _plain(node, a + b if sign > 0 else a - b)
    name = need_dtype(node, first, ("int8", "uint8", "int16"))
    need(node.outputs[0].dtype == name, node, "input and output types differ")
    if name == "int16":
        shifts = _pot_shifts(node, first, second)
        if shifts is not None:
            aligned = [rounding_divide_by_pot(x, -s) for x, s in zip((a, b), shifts, strict=True)]
            return [clamp(node, np.clip(aligned[0] + sign * aligned[1], *limits(np.int16)))]
    return [_general_sum(node, (first, second), (a, b), sign, _SPARE_BITS[name])]


def _general_sum(
    node: Node, tensors: tuple[Tensor, Tensor], values: tuple[Array, Array], sign: int, spare_bits: int
) -> Array:
    one, two = _on_common_scale(node, tensors, values, sign, spare_bits)
    twice = 2 * float(max(any_scale_of(node, t) for t in tensors))
    real = twice / float(np.float32(1 << spare_bits) * any_scale_of(node, node.outputs[0]))
    return clamp(node, multiply_by_quantized_multiplier(wrap32(one + two), *smaller_than_one(node, real)))


def _on_common_scale(
    node: Node, tensors: tuple[Tensor, Tensor], values: tuple[Array, Array], sign: int, spare_bits: int
) -> tuple[Array, Array]:
    """Both operands in units of twice the larger scale / 2^spare_bits; the second's multiplier carries `sign`."""
    scales = [any_scale_of(node, tensor) for tensor in tensors]
    twice = 2 * float(max(scales))
    made = []
    for tensor, value, scale, signed in zip(tensors, values, scales, (1, sign), strict=True):
        multiplier, shift = smaller_than_one(node, float(scale) / twice)
        shifted = (value.astype(np.int64) - zero_point_of(node, tensor)) << spare_bits
        # A negative multiplier breaks ties the other way than negating the product would.
        made.append(multiply_by_quantized_multiplier(shifted, signed * multiplier, shift))
    return made[0], made[1]


def add(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """ADD of int8, uint8, int16 and plain integers.

    int16 with scales that are powers of two and zero points 0 is shifted and saturated instead (`pot_scale_int16`);
    the runtime forgets to broadcast on that road, here it is done.
    """
    return _sum(node, operands, 1)


def sub(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SUB, as ADD with the second multiplier negated."""
    return _sum(node, operands, -1)


# --- MUL, SQUARED_DIFFERENCE ----------------------------------------------------------------------------------


def mul(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """MUL of int8, uint8, int16 (zero points 0) and plain integers."""
    first, second, a, b = _pair(node, operands)
    if _is_plain(node, first, ("int32", "int64", "uint32")):
        with np.errstate(over="ignore"):
            return _plain(node, a * b)
    name = need_dtype(node, first, ("int8", "uint8", "int16"))
    target = node.outputs[0]
    need(target.dtype == name, node, f"{name} to {target.dtype}, an inner product of LSTM without scales")
    points = [zero_point_of(node, t) for t in (first, second, target)]
    need(name != "int16" or not any(points), node, "int16 with a zero point")
    real = float(any_scale_of(node, first) * any_scale_of(node, second) / any_scale_of(node, target))
    product = (a.astype(np.int64) - points[0]) * (b.astype(np.int64) - points[1])
    return [clamp(node, multiply_by_quantized_multiplier(product, *quantize_multiplier(real)))]


def squared_difference(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SQUARED_DIFFERENCE of int8 and of plain int32."""
    first, second, a, b = _pair(node, operands)
    if need_dtype(node, first, ("int8", "int32")) == "int32":
        with np.errstate(over="ignore"):
            return [(a - b) * (a - b)]
    one, two = _on_common_scale(node, (first, second), (a, b), 1, _SQUARE_SPARE_BITS)
    twice = 2 * float(max(any_scale_of(node, first), any_scale_of(node, second)))
    real = twice * twice / float(np.float32(1 << 2 * _SQUARE_SPARE_BITS) * any_scale_of(node, node.outputs[0]))
    square = wrap32((one - two) * (one - two))
    return [clamp(node, multiply_by_quantized_multiplier(square, *smaller_than_one(node, real)))]


# --- DIV ------------------------------------------------------------------------------------------------------


def div(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """DIV of int8, uint8 and int16, through a fixed-point reciprocal, and of plain int32 (towards zero)."""
    first, second, a, b = _pair(node, operands)
    if need_dtype(node, first, ("int8", "uint8", "int16", "int32")) == "int32":
        need((b != 0).all(), node, "division by zero")
        return _plain(node, truncating_divide(a.astype(np.int64), b.astype(np.int64)))
    target = node.outputs[0]
    numerator = a.astype(np.int64) - zero_point_of(node, first)
    denominator = b.astype(np.int64) - zero_point_of(node, second)
    need((denominator != 0).all(), node, "division by zero")
    real = float(any_scale_of(node, first) / (any_scale_of(node, second) * any_scale_of(node, target)))
    multiplier, shift = quantize_multiplier(real)
    numerator, denominator = np.broadcast_arrays(np.where(denominator < 0, -1, 1) * numerator, np.abs(denominator))
    inverse, over_unit = reciprocal(denominator, 31)
    headroom = leading_zeros(np.where(numerator < 0, ~numerator, numerator)) - 1  # redundant sign bits
    quotient = high_mul(wrap32(numerator << headroom), inverse)
    exponent = over_unit + headroom - shift
    need((exponent >= 0).all(), node, f"multiplier {real:.6g} overflows the quotient")
    # The runtime shifts by this in 32 bits. Above 31 (a quotient that rounds to zero) the processor takes it modulo 32,
    # so its result is saturated or any code; here it is what the shift means.
    return [clamp(node, rounding_divide_by_pot(high_mul(quotient, multiplier), np.minimum(exponent, 62)))]


# --- MAXIMUM, MINIMUM -----------------------------------------------------------------------------------------


def _extremum(pick: Callable[[Array, Array], Array]) -> Callable[[Node, Sequence[Array | None]], list[Array]]:
    def kernel(node: Node, operands: Sequence[Array | None]) -> list[Array]:
        """MAXIMUM or MINIMUM of raw codes; the runtime does not look at scales, so they must be the same."""
        first, second, a, b = _pair(node, operands)
        need_dtype(node, first, ("int8", "uint8", "int16", "int32", "int64"))
        if is_quantised(first):
            tensors = (first, second, node.outputs[0])
            same = len({(float(any_scale_of(node, t)), zero_point_of(node, t)) for t in tensors}) == 1
            need(same, node, "operands and result of different quantisation")
        return [pick(a, b)]

    return kernel


KERNELS = {
    "ADD": add,
    "SUB": sub,
    "MUL": mul,
    "SQUARED_DIFFERENCE": squared_difference,
    "DIV": div,
    "MAXIMUM": _extremum(np.maximum),
    "MINIMUM": _extremum(np.minimum),
}
