"""Reductions over axes: MEAN, SUM, REDUCE_PROD, REDUCE_MAX / MIN / ANY / ALL, ARG_MAX / ARG_MIN, CUMSUM.

Sources: TensorFlow Lite `kernels/reduce.cc`, `reference/reduce.h` (`QuantizedMeanOrSum`, `QuantizedReduceProd`),
`kernels/arg_min_max.cc`, `kernels/cumsum.cc`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import (
    QUANTISED,
    given,
    is_quantised,
    limits,
    need,
    need_dtype,
    scale_of,
    tensor,
    truncating_divide,
    zero_point_of,
)
from fuzzer.reference.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    Array,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    saturate_to,
    wrap32,
)
from fuzzer.reference.graph import Node
from fuzzer.reference.options import flag

PLAIN = ("int32", "int64")


def _axes(node: Node, operands: Sequence[Array | None], rank: int) -> tuple[int, ...]:
    """The axes of operand 1, normalised, each once, ascending."""
    _, axes = given(node, operands, 1)
    chosen = {int(axis) + rank if axis < 0 else int(axis) for axis in axes.reshape(-1)}
    need(all(0 <= axis < max(rank, 1) for axis in chosen), node, f"an axis out of range for rank {rank}")
    return tuple(sorted(chosen)) if rank else ()


def _count(codes: Array, axes: tuple[int, ...]) -> int:
    """How many elements go into one result."""
    return math.prod(codes.shape[axis] for axis in axes)


def _same_quantisation(node: Node) -> bool:
    """Whether operand and result share scale and zero point (or have none)."""
    source, target = tensor(node, 0), node.outputs[0]
    if not is_quantised(source) and not is_quantised(target):
        return True
    return (scale_of(node, source), zero_point_of(node, source)) == (
        scale_of(node, target),
        zero_point_of(node, target),
    )


# --- MEAN and SUM ---------------------------------------------------------------------------------------------


def _rescaled_sum(node: Node, codes: Array, axes: tuple[int, ...], mean: bool) -> Array:
    """Sums without their zero points, times the ratio of the scales (and 1 / count of a mean, in the multiplier)."""
    source, target = tensor(node, 0), node.outputs[0]
    if source.dtype == "int16":
        need(zero_point_of(node, source) == 0 and zero_point_of(node, target) == 0, node, "int16 with a zero point")
    count = _count(codes, axes)
    multiplier, shift = quantize_multiplier(float(scale_of(node, source)) / float(scale_of(node, target)))
    if mean and count:
        # As many bits as the count has are moved into the multiplier before it is divided; never below 2^-31.
        bits = min(count.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << bits) // count, shift - bits
    wide = codes.astype(np.int64).sum(axis=axes, keepdims=flag(node, "keepDims"))
    sums = wrap32(wide - zero_point_of(node, source) * count)  # 32-bit sums
    scaled = multiply_by_quantized_multiplier(sums, multiplier, shift)
    return saturate_to(scaled + zero_point_of(node, target), target.dtype)


def mean(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """MEAN of quantised int8, uint8, int16 and of plain int32, int64 (truncated towards zero)."""
    source, codes = given(node, operands, 0)
    name = need_dtype(node, source, (*QUANTISED, *PLAIN))
    axes = _axes(node, operands, codes.ndim)
    need(codes.size, node, "no elements")
    if name in QUANTISED:
        return [_mean_of_none(node, codes) if _no_axis(operands) else _rescaled_sum(node, codes, axes, mean=True)]
    sums = codes.astype(np.int64).sum(axis=axes, keepdims=flag(node, "keepDims"))
    return [truncating_divide(sums, _count(codes, axes)).astype(name)]


def _no_axis(operands: Sequence[Array | None]) -> bool:
    """Whether the list of axes is empty."""
    return operands[1] is not None and operands[1].size == 0


def _mean_of_none(node: Node, codes: Array) -> Array:
    """A mean or sum over no axis is a requantisation, which the runtime leaves out: it copies the raw codes."""
    need(_same_quantisation(node), node, "no axis and different scales")
    return codes.copy()


def add_up(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SUM of quantised int8, uint8, int16 and of plain int32, int64 (wrapping).

    The reference kernel of TensorFlow 2.21 reads int8 and int16 codes as uint8 (`kernels/reduce.cc`,
    QuantizedMeanOrSum under kReference); computed here is what its uint8 and the optimised kernels compute.
    """
    source, codes = given(node, operands, 0)
    name = need_dtype(node, source, (*QUANTISED, *PLAIN))
    axes = _axes(node, operands, codes.ndim)
    if name in QUANTISED:
        return [_mean_of_none(node, codes) if _no_axis(operands) else _rescaled_sum(node, codes, axes, mean=False)]
    return [codes.sum(axis=axes, keepdims=flag(node, "keepDims"), dtype=codes.dtype)]


# --- REDUCE_PROD ----------------------------------------------------------------------------------------------


def _multiply_saturating(wide: Array, multiplier: int, shift: int) -> Array:
    """A 47-bit product times a real multiplier cut to 16 bits, as `multiply_wide`, but held within 32 bits.

    The runtime lets the result wrap there, so that a large product comes out with any value and sign; real
    arithmetic saturates.
    """
    reduced = min((multiplier + (1 << 15)) >> 16, 0x7FFF)
    held: Array = np.clip((wide * reduced + (1 << (14 - shift))) >> (15 - shift), INT32_MIN, INT32_MAX)
    return held


def _rescaled_product(node: Node, codes: Array, axes: tuple[int, ...]) -> Array:
    """Products in 32 bits (saturated), rescaled after every factor by input scale / n-th root of the output scale."""
    source, target = tensor(node, 0), node.outputs[0]
    count = _count(codes, axes)
    need(count, node, "no elements")
    root = math.pow(float(scale_of(node, target)), 1.0 / count)
    multiplier, shift = quantize_multiplier(float(scale_of(node, source)) / root)
    need(shift <= 14, node, "an input scale that is too large for its fixed point")
    rest = [axis for axis in range(codes.ndim) if axis not in axes]
    factors = codes.transpose(*rest, *axes).reshape(*[codes.shape[axis] for axis in rest], count).astype(np.int64)
    factors = factors - zero_point_of(node, source)
    product = factors[..., 0]
    for position in range(1, count):
        product = _multiply_saturating(product * factors[..., position], multiplier, shift)
    result = _multiply_saturating(product, multiplier, shift) + zero_point_of(node, target)
    shape = [1 if axis in axes else size for axis, size in enumerate(codes.shape)]
    return saturate_to(result, target.dtype).reshape(shape if flag(node, "keepDims") else result.shape)


def product(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """REDUCE_PROD of quantised int8 / int16, and of plain integers (wrapping)."""
    source, codes = given(node, operands, 0)
    name = need_dtype(node, source, ("int8", "uint8", "int16", *PLAIN))
    axes = _axes(node, operands, codes.ndim)
    if is_quantised(source):
        need(name in ("int8", "int16"), node, f"quantised {name}")
        return [_rescaled_product(node, codes, axes)]
    return [codes.prod(axis=axes, keepdims=flag(node, "keepDims"), dtype=codes.dtype)]


# --- extremes and logic ---------------------------------------------------------------------------------------


def _extreme(node: Node, operands: Sequence[Array | None], largest: bool) -> list[Array]:
    """The largest or smallest raw codes; scale and zero point of operand and result must be equal."""
    source, codes = given(node, operands, 0)
    name = need_dtype(node, source, (*QUANTISED, *PLAIN))
    need(name in PLAIN or _same_quantisation(node), node, "different scales")
    axes, keep = _axes(node, operands, codes.ndim), flag(node, "keepDims")
    low, high = limits(codes.dtype)
    if largest:
        return [np.asarray(codes.max(axis=axes, keepdims=keep, initial=low))]
    return [np.asarray(codes.min(axis=axes, keepdims=keep, initial=high))]


def largest(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """REDUCE_MAX of integers."""
    return _extreme(node, operands, largest=True)


def smallest(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """REDUCE_MIN of integers."""
    return _extreme(node, operands, largest=False)


def any_of(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """REDUCE_ANY of bool."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, ("bool",))
    return [np.asarray(codes.any(axis=_axes(node, operands, codes.ndim), keepdims=flag(node, "keepDims")))]


def all_of(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """REDUCE_ALL of bool."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, ("bool",))
    return [np.asarray(codes.all(axis=_axes(node, operands, codes.ndim), keepdims=flag(node, "keepDims")))]


def _position(node: Node, operands: Sequence[Array | None], largest: bool) -> list[Array]:
    """The first position of the extreme along one axis, of raw codes."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, ("int8", "uint8", "int32", "bool"))
    _, axis = given(node, operands, 1)
    need(axis.size == 1, node, "several axes")
    place = int(axis.reshape(-1)[0])
    need(-codes.ndim <= place < codes.ndim and codes.shape[place], node, "an axis that is out of range or empty")
    found = codes.argmax(axis=place) if largest else codes.argmin(axis=place)
    return [np.asarray(found).astype(node.outputs[0].dtype)]


def argmax(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """ARG_MAX; the first of equal values."""
    return _position(node, operands, largest=True)


def argmin(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """ARG_MIN; the first of equal values."""
    return _position(node, operands, largest=False)


def cumsum(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """CUMSUM of plain int32 / int64 (wrapping), exclusive and reversed as its options say."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, PLAIN)
    _, axis = given(node, operands, 1)
    place = int(axis.reshape(-1)[0])
    need(-codes.ndim <= place < codes.ndim, node, "an axis out of range")
    ordered = np.flip(codes, place) if flag(node, "reverse") else codes
    sums = np.cumsum(ordered, axis=place, dtype=codes.dtype)
    if flag(node, "exclusive"):
        sums = sums - ordered
    return [np.flip(sums, place) if flag(node, "reverse") else sums]


KERNELS = {
    "MEAN": mean,
    "SUM": add_up,
    "REDUCE_PROD": product,
    "REDUCE_MAX": largest,
    "REDUCE_MIN": smallest,
    "REDUCE_ANY": any_of,
    "REDUCE_ALL": all_of,
    "ARG_MAX": argmax,
    "ARG_MIN": argmin,
    "CUMSUM": cumsum,
}
