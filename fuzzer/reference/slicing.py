"""Operators that take parts of tensors or join them: slices, gathers, splits, packs, CONCATENATION.

Raw codes are copied; only CONCATENATION of uint8 may rescale. Sources: TensorFlow Lite
`kernels/{slice,strided_slice,gather,gather_nd,split,split_v,pack,unpack,concatenation,dynamic_update_slice}.cc`,
`reference/concatenation.h`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fuzzer.reference.affine import given, is_quantised, need, round_half_away, scale_of, zero_point_of
from fuzzer.reference.fixed_point import Array, saturate_to
from fuzzer.reference.graph import Node, Tensor
from fuzzer.reference.moving import axis_of, integers
from fuzzer.reference.options import flag, option


def slice_of(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SLICE: begin and size, -1 for all that is left."""
    _, codes = given(node, operands, 0)
    begins, sizes = integers(node, operands, 1), integers(node, operands, 2)
    need(len(begins) == len(sizes) == codes.ndim, node, f"{len(begins)} bounds for rank {codes.ndim}")
    ends = [b + s if s >= 0 else whole for b, s, whole in zip(begins, sizes, codes.shape, strict=True)]
    inside = all(0 <= b <= e <= whole for b, e, whole in zip(begins, ends, codes.shape, strict=True))
    need(inside, node, f"begin {begins} with size {sizes} in {codes.shape}")
    return [codes[tuple(slice(b, e) for b, e in zip(begins, ends, strict=True))]]


def _masked(mask: int, place: int) -> bool:
    """Whether a bit of a mask is set."""
    return bool(mask >> place & 1)


def strided_slice(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """STRIDED_SLICE with its five masks, as tf.strided_slice defines them; `offset` makes end relative to begin."""
    _, codes = given(node, operands, 0)
    begins, ends, strides = (integers(node, operands, place) for place in (1, 2, 3))
    begin_mask, end_mask, ellipsis, new_axis, shrink = (
        int(option(node, f"{name}Mask", 0)) for name in ("begin", "end", "ellipsis", "newAxis", "shrinkAxis")
    )
    need(all(strides), node, "a stride of 0")
    index: list[Any] = []
    axis, taken = 0, sum(not _masked(new_axis | ellipsis, place) for place in range(len(begins)))
    for place, (begin, end, stride) in enumerate(zip(begins, ends, strides, strict=True)):
        if _masked(ellipsis, place):
            index.append(...)
            axis += codes.ndim - taken
        elif _masked(new_axis, place):
            index.append(None)
        else:
            need(axis < codes.ndim, node, f"{len(begins)} slices of rank {codes.ndim}")
            last = begin + end if flag(node, "offset") else end
            if _masked(shrink, place):
                need(-codes.shape[axis] <= begin < codes.shape[axis], node, f"index {begin} of {codes.shape[axis]}")
                need(not _masked(begin_mask, place), node, "an index that is masked")
                index.append(begin)
            else:
                bounds = None if _masked(begin_mask, place) else begin, None if _masked(end_mask, place) else last
                index.append(slice(*bounds, stride))
            axis += 1
    return [np.array(codes[tuple(index)])]


def gather(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """GATHER along an axis, with batch dimensions."""
    _, codes = given(node, operands, 0)
    _, places = given(node, operands, 1)
    axis = axis_of(node, int(option(node, "axis", 0)), codes.ndim)
    batch = int(option(node, "batchDims", 0))
    batch = batch + places.ndim if batch < 0 else batch
    need(0 <= batch <= min(axis, places.ndim), node, f"{batch} batch dimensions")
    need(codes.shape[:batch] == places.shape[:batch], node, "batch dimensions differ")
    _inside(node, places, codes.shape[axis])
    if not batch:
        return [np.take(codes, places.astype(np.int64), axis=axis)]
    rows = math.prod(codes.shape[:batch])
    flat, chosen = codes.reshape(rows, *codes.shape[batch:]), places.reshape(rows, *places.shape[batch:])
    taken = [np.take(flat[row], chosen[row].astype(np.int64), axis=axis - batch) for row in range(rows)]
    return [np.stack(taken).reshape(*codes.shape[:batch], *taken[0].shape)]


def _inside(node: Node, places: Array, size: int) -> None:
    """Indices must lie in [0, size); the runtime refuses others when it runs."""
    need(((places >= 0) & (places < size)).all(), node, f"an index outside [0, {size})")


def gather_nd(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """GATHER_ND: the last axis of the indices is a position."""
    _, codes = given(node, operands, 0)
    _, places = given(node, operands, 1)
    need(places.ndim and places.shape[-1] <= codes.ndim, node, "positions longer than the rank")
    for axis in range(places.shape[-1]):
        _inside(node, places[..., axis], codes.shape[axis])
    return [codes[tuple(np.moveaxis(places.astype(np.int64), -1, 0))]]


# --- splitting and joining ------------------------------------------------------------------------------------


def split(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SPLIT into equal parts; the axis is operand 0."""
    _, codes = given(node, operands, 1)
    axis = axis_of(node, integers(node, operands, 0)[0], codes.ndim)
    count = int(option(node, "numSplits", 0))
    need(count == len(node.outputs) and codes.shape[axis] % count == 0, node, f"{count} parts of {codes.shape[axis]}")
    return list(np.split(codes, count, axis))


def split_v(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SPLIT_V into parts of given sizes, one of which may be -1."""
    _, codes = given(node, operands, 0)
    sizes, axis = list(integers(node, operands, 1)), axis_of(node, integers(node, operands, 2)[0], codes.ndim)
    need(sizes.count(-1) <= 1 and len(sizes) == len(node.outputs), node, f"sizes {sizes}")
    if -1 in sizes:
        sizes[sizes.index(-1)] = codes.shape[axis] - sum(size for size in sizes if size != -1)
    need(sum(sizes) == codes.shape[axis] and min(sizes) >= 0, node, f"sizes {sizes} of {codes.shape[axis]}")
    return list(np.split(codes, np.cumsum(sizes)[:-1], axis))


def pack(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """PACK: all operands along a new axis."""
    parts = [given(node, operands, place)[1] for place in range(len(operands))]
    return [np.stack(parts, axis_of(node, int(option(node, "axis", 0)), parts[0].ndim + 1))]


def unpack(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """UNPACK: one result for each place of an axis."""
    _, codes = given(node, operands, 0)
    axis = axis_of(node, int(option(node, "axis", 0)), codes.ndim)
    need(codes.shape[axis] == len(node.outputs), node, f"{len(node.outputs)} results of {codes.shape[axis]}")
    return list(np.moveaxis(codes, axis, 0).copy())


def _rescaled(node: Node, source: Tensor, codes: Array) -> Array:
    """Codes on the result's scale, through float32 (`ConcatenationWithScaling`)."""
    target = node.outputs[0]
    zero, target_zero = zero_point_of(node, source), zero_point_of(node, target)
    scale, target_scale = scale_of(node, source), scale_of(node, target)
    if (zero, scale) == (target_zero, target_scale):
        return codes
    factor = scale * (np.float32(1) / target_scale)
    bias = np.float32(-zero) * factor
    rounded = round_half_away(codes.astype(np.float32) * factor + bias).astype(np.int64)
    return saturate_to(rounded + target_zero, codes.dtype)


def concatenation(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """CONCATENATION; quantised uint8 operands are rescaled, int8 and int16 ones must have the result's scale."""
    given_parts = [given(node, operands, place) for place in range(len(operands))]
    need(not option(node, "fusedActivationFunction", 0), node, "a fused activation")
    axis = axis_of(node, int(option(node, "axis", 0)), given_parts[0][1].ndim)
    target = node.outputs[0]
    parts = []
    for source, codes in given_parts:
        if is_quantised(source) and is_quantised(target):
            equal = (source.scales, source.zero_points) == (target.scales, target.zero_points)
            need(equal or target.dtype == "uint8", node, f"{target.dtype} operands with several scales")
            codes = codes if equal else _rescaled(node, source, codes)
        parts.append(codes)
    return [np.concatenate(parts, axis)]


def dynamic_update_slice(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """DYNAMIC_UPDATE_SLICE: the start is moved so that the update fits."""
    _, codes = given(node, operands, 0)
    _, update = given(node, operands, 1)
    starts = integers(node, operands, 2)
    need(len(starts) == codes.ndim == update.ndim, node, "ranks differ")
    need(all(u <= s for u, s in zip(update.shape, codes.shape, strict=True)), node, "an update larger than the operand")
    result = codes.copy()
    first = [min(max(b, 0), s - u) for b, s, u in zip(starts, codes.shape, update.shape, strict=True)]
    result[tuple(slice(b, b + u) for b, u in zip(first, update.shape, strict=True))] = update
    return [result]


KERNELS = {
    "SLICE": slice_of,
    "STRIDED_SLICE": strided_slice,
    "GATHER": gather,
    "GATHER_ND": gather_nd,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "PACK": pack,
    "UNPACK": unpack,
    "CONCATENATION": concatenation,
    "DYNAMIC_UPDATE_SLICE": dynamic_update_slice,
}
