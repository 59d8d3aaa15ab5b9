"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR of [batch, height, width, channels] images.

Positions of RESIZE_BILINEAR have 10 fractional bits, for int8 and int16; uint8 interpolates in float32. Sources:
TensorFlow Lite `reference/resize_bilinear.h`, `reference/resize_nearest_neighbor.h`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import QUANTISED, given, need, need_dtype, round_half_away, truncating_divide
from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node
from fuzzer.reference.options import flag

ONE = 1 << 10  # a whole pixel


def _sizes(node: Node, operands: Sequence[Array | None], image: Array) -> list[tuple[int, int]]:
    """(size of the image, wanted size) of height and width."""
    _, wanted = given(node, operands, 1)
    need(image.ndim == 4 and wanted.size == 2, node, "an operand that is no image of rank 4, or no pair of sizes")
    need((wanted > 0).all() and image.size, node, "a size of zero or an image without elements")
    return list(zip(image.shape[1:3], (int(size) for size in wanted.reshape(-1)), strict=True))


def _fixed_positions(node: Node, size: int, wanted: int) -> tuple[Array, Array, Array]:
    """For each wanted pixel: the neighbour below, the one above, and the weight of the latter (10 bits)."""
    if flag(node, "alignCorners") and wanted > 1:
        step = (ONE * (size - 1) + (wanted - 1) // 2) // (wanted - 1)
    else:
        step = (ONE * size + wanted // 2) // wanted
    position = np.arange(wanted, dtype=np.int64) * step
    if flag(node, "halfPixelCenters"):
        position += step // 2 - ONE // 2
    lower = np.maximum(truncating_divide(position, ONE), 0)
    upper = np.minimum(truncating_divide(position + ONE - 1, ONE), size - 1)
    return lower, upper, position - ONE * lower


def _bilinear_fixed(node: Node, image: Array, sizes: list[tuple[int, int]]) -> Array:
    """Integer interpolation, 20 fractional bits, rounded to nearest away from zero."""
    (top, bottom, y), (left, right, x) = (_fixed_positions(node, size, wanted) for size, wanted in sizes)
    y, x = y[:, None, None], x[None, :, None]
    wide = image.astype(np.int64)
    total = wide[:, top][:, :, left] * (ONE - y) * (ONE - x)
    total += wide[:, bottom][:, :, left] * y * (ONE - x)
    total += wide[:, top][:, :, right] * (ONE - y) * x
    total += wide[:, bottom][:, :, right] * y * x
    half = ONE * ONE // 2
    return truncating_divide(total + np.where(total > 0, half, -half), ONE * ONE).astype(image.dtype)


def _float_positions(node: Node, size: int, wanted: int) -> tuple[Array, Array, Array]:
    """The same in float32; the weight may be negative before the first pixel."""
    f32 = np.float32
    step = f32(size) / f32(wanted)
    if flag(node, "alignCorners") and wanted > 1:
        step = f32(size - 1) / f32(wanted - 1)
    index = np.arange(wanted, dtype=f32)
    position = (index + f32(0.5)) * step - f32(0.5) if flag(node, "halfPixelCenters") else index * step
    lower = np.maximum(np.floor(position).astype(np.int64), 0)
    upper = np.minimum(np.ceil(position).astype(np.int64), size - 1)
    return lower, upper, (position - lower.astype(f32)).astype(f32)


def _bilinear_float(node: Node, image: Array, sizes: list[tuple[int, int]]) -> Array:
    """Float32 interpolation of uint8, half added and truncated."""
    (top, bottom, y), (left, right, x) = (_float_positions(node, size, wanted) for size, wanted in sizes)
    y, x, one = y[:, None, None], x[None, :, None], np.float32(1)
    real = image.astype(np.float32)
    total = real[:, top][:, :, left] * (one - y) * (one - x)
    total = total + real[:, bottom][:, :, left] * y * (one - x)
    total = total + real[:, top][:, :, right] * (one - y) * x
    total = total + real[:, bottom][:, :, right] * y * x
    rounded: Array = np.trunc(total + np.float32(0.5)).astype(image.dtype)
    return rounded


def bilinear(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RESIZE_BILINEAR of int8, int16 and uint8."""
    source, image = given(node, operands, 0)
    name = need_dtype(node, source, QUANTISED)
    need(not (flag(node, "alignCorners") and flag(node, "halfPixelCenters")), node, "both ways to align")
    sizes = _sizes(node, operands, image)
    return [_bilinear_float(node, image, sizes) if name == "uint8" else _bilinear_fixed(node, image, sizes)]


def _nearest(node: Node, size: int, wanted: int) -> Array:
    """The pixel of the image for each wanted pixel."""
    f32, aligned = np.float32, flag(node, "alignCorners")
    step = f32(size - 1) / f32(wanted - 1) if aligned and wanted > 1 else f32(size) / f32(wanted)
    offset = f32(0.5) if flag(node, "halfPixelCenters") else f32(0)
    position = (np.arange(wanted, dtype=f32) + offset) * step
    index = (round_half_away(position) if aligned else np.floor(position)).astype(np.int64)
    chosen: Array = np.clip(index, 0, size - 1)
    return chosen


def nearest(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RESIZE_NEAREST_NEIGHBOR of int8, uint8 and int16."""
    source, image = given(node, operands, 0)
    need_dtype(node, source, QUANTISED)
    rows, columns = (_nearest(node, size, wanted) for size, wanted in _sizes(node, operands, image))
    return [image[:, rows][:, :, columns]]


KERNELS = {"RESIZE_BILINEAR": bilinear, "RESIZE_NEAREST_NEIGHBOR": nearest}
