"""Operators that only move elements, whole tensors at a time: raw codes are copied, whatever they stand for.

Shapes come from operands and options, not from the file, because a batch may be resized. Sources: TensorFlow Lite
`kernels/{reshape,squeeze,expand_dims,transpose,tile,reverse,broadcast_to,space_to_batch_nd,batch_to_space_nd,
space_to_depth,depth_to_space,reverse_sequence}.cc`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import given, is_quantised, need, zero_point_of
from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node
from fuzzer.reference.options import option


def integers(node: Node, operands: Sequence[Array | None], position: int) -> tuple[int, ...]:
    """An operand of axes, sizes or the like as plain integers, flattened."""
    _, values = given(node, operands, position)
    return tuple(int(value) for value in values.reshape(-1))


def axis_of(node: Node, axis: int, rank: int) -> int:
    """A possibly negative axis, counted from the front."""
    need(-rank <= axis < rank, node, f"axis {axis} of rank {rank}")
    return axis % rank


def reshape(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RESHAPE: the wanted shape is operand 1, else the option; one size may be -1."""
    _, codes = given(node, operands, 0)
    if len(operands) > 1 and operands[1] is not None:
        shape = integers(node, operands, 1)
    else:
        wanted = option(node, "newShape", None)
        shape = () if wanted is None else tuple(int(size) for size in wanted)
        shape = () if shape == (0,) and codes.size == 1 else shape  # old converters' spelling of a scalar
    known = math.prod(size for size in shape if size != -1)
    need(shape.count(-1) <= 1, node, f"shape {shape} has several unknown sizes")
    need(codes.size == known or (-1 in shape and known and codes.size % known == 0), node, f"shape {shape}")
    return [codes.reshape(shape)]


def squeeze(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SQUEEZE of the named axes, or of all that have size 1."""
    _, codes = given(node, operands, 0)
    named = option(node, "squeezeDims", None)
    if named is None or len(named) == 0:
        return [codes.squeeze()]
    axes = tuple(axis_of(node, int(axis), codes.ndim) for axis in named)
    need(all(codes.shape[axis] == 1 for axis in axes), node, "an axis whose size is not 1")
    return [codes.squeeze(tuple(set(axes)))]


def expand_dims(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """EXPAND_DIMS at operand 1."""
    _, codes = given(node, operands, 0)
    (axis,) = integers(node, operands, 1)
    return [np.expand_dims(codes, axis_of(node, axis, codes.ndim + 1))]


def transpose(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """TRANSPOSE by operand 1."""
    _, codes = given(node, operands, 0)
    order = tuple(axis_of(node, axis, codes.ndim) for axis in integers(node, operands, 1))
    need(sorted(order) == list(range(codes.ndim)), node, f"order {order} of rank {codes.ndim}")
    return [codes.transpose(order)]


def tile(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """TILE by operand 1."""
    _, codes = given(node, operands, 0)
    times = integers(node, operands, 1)
    need(len(times) == codes.ndim, node, f"{len(times)} multiples for rank {codes.ndim}")
    return [np.tile(codes, times)]


def reverse(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """REVERSE_V2 along the axes of operand 1."""
    _, codes = given(node, operands, 0)
    return [np.flip(codes, tuple(axis_of(node, axis, codes.ndim) for axis in integers(node, operands, 1)))]


def reverse_sequence(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """REVERSE_SEQUENCE: the first `lengths[b]` elements of each batch along another axis."""
    _, codes = given(node, operands, 0)
    along, batch = (int(option(node, name, 0)) for name in ("seqDim", "batchDim"))
    need(along != batch and max(along, batch) < codes.ndim, node, "one axis for both")
    moved = np.moveaxis(codes, (batch, along), (0, 1)).copy()
    for place, length in enumerate(integers(node, operands, 1)):
        need(0 <= length <= moved.shape[1], node, f"length {length}")
        moved[place, :length] = moved[place, :length][::-1].copy()
    return [np.moveaxis(moved, (0, 1), (batch, along))]


def broadcast_to(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """BROADCAST_TO the shape of operand 1."""
    _, codes = given(node, operands, 0)
    shape = integers(node, operands, 1)
    fits = len(shape) >= codes.ndim and all(
        size in (1, wanted) for size, wanted in zip(codes.shape[::-1], shape[::-1], strict=False)
    )
    need(fits, node, f"{codes.shape} does not broadcast to {shape}")
    return [np.broadcast_to(codes, shape).copy()]


# --- blocks of space ------------------------------------------------------------------------------------------


def _blocks(
    node: Node, operands: Sequence[Array | None], codes: Array
) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    """Block size and (before, after) of each of the one or two spatial axes."""
    sizes, edges = integers(node, operands, 1), integers(node, operands, 2)
    need(codes.ndim in (3, 4) and len(sizes) == codes.ndim - 2, node, f"rank {codes.ndim} with {len(sizes)} blocks")
    need(len(edges) == 2 * len(sizes) and min(edges) >= 0 and min(sizes) > 0, node, "negative edges or blocks")
    return sizes, list(zip(edges[0::2], edges[1::2], strict=True))


def space_to_batch(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SPACE_TO_BATCH_ND: padded with the result's zero point."""
    _, codes = given(node, operands, 0)
    sizes, edges = _blocks(node, operands, codes)
    target = node.outputs[0]
    blank = zero_point_of(node, target) if is_quantised(target) else 0
    padded = np.pad(codes, [(0, 0), *edges, (0, 0)], constant_values=np.asarray(blank, codes.dtype))
    space = padded.shape[1:-1]
    need(all(s % b == 0 for s, b in zip(space, sizes, strict=True)), node, f"blocks {sizes} do not divide {space}")
    split = [padded.shape[0]]
    for size, block in zip(space, sizes, strict=True):
        split += [size // block, block]
    count = len(sizes)
    order = [*range(2, 2 * count + 1, 2), 0, *range(1, 2 * count, 2), 2 * count + 1]
    moved = padded.reshape(*split, padded.shape[-1]).transpose(order)
    outer = [size // block for size, block in zip(space, sizes, strict=True)]
    return [moved.reshape(padded.shape[0] * math.prod(sizes), *outer, padded.shape[-1])]


def batch_to_space(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """BATCH_TO_SPACE_ND, then cropped."""
    _, codes = given(node, operands, 0)
    sizes, crops = _blocks(node, operands, codes)
    need(codes.shape[0] % math.prod(sizes) == 0, node, f"blocks {sizes} do not divide the batch")
    count, batch, space = len(sizes), codes.shape[0] // math.prod(sizes), codes.shape[1:-1]
    split = codes.reshape(*sizes, batch, *space, codes.shape[-1])
    order = [count]
    for axis in range(count):
        order += [count + 1 + axis, axis]
    whole = [size * block for size, block in zip(space, sizes, strict=True)]
    joined = split.transpose(*order, 2 * count + 1).reshape(batch, *whole, codes.shape[-1])
    kept = tuple(slice(low, size - high) for size, (low, high) in zip(whole, crops, strict=True))
    return [joined[(slice(None), *kept)]]


def space_to_depth(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SPACE_TO_DEPTH of a [batch, height, width, channels] tensor."""
    _, codes = given(node, operands, 0)
    block = int(option(node, "blockSize", 0))
    need(codes.ndim == 4 and block > 0, node, f"rank {codes.ndim}, block {block}")
    batch, height, width, depth = codes.shape
    need(height % block == 0 and width % block == 0, node, f"block {block} does not divide {height} by {width}")
    split = codes.reshape(batch, height // block, block, width // block, block, depth)
    return [split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // block, width // block, block * block * depth)]


def depth_to_space(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """DEPTH_TO_SPACE of a [batch, height, width, channels] tensor."""
    _, codes = given(node, operands, 0)
    block = int(option(node, "blockSize", 0))
    need(codes.ndim == 4 and block > 0, node, f"rank {codes.ndim}, block {block}")
    batch, height, width, depth = codes.shape
    need(depth % (block * block) == 0, node, f"block {block} does not divide {depth} channels")
    split = codes.reshape(batch, height, width, block, block, depth // (block * block))
    return [split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * block, width * block, -1)]


KERNELS = {
    "RESHAPE": reshape,
    "SQUEEZE": squeeze,
    "EXPAND_DIMS": expand_dims,
    "TRANSPOSE": transpose,
    "TILE": tile,
    "REVERSE_V2": reverse,
    "REVERSE_SEQUENCE": reverse_sequence,
    "BROADCAST_TO": broadcast_to,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "BATCH_TO_SPACE_ND": batch_to_space,
    "SPACE_TO_DEPTH": space_to_depth,
    "DEPTH_TO_SPACE": depth_to_space,
}
