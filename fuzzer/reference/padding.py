"""PAD, PADV2 and MIRROR_PAD: raw codes, with the result's zero point around them.

Sources: TensorFlow Lite `kernels/pad.cc`, `kernels/mirror_pad.cc`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import given, is_quantised, need, zero_point_of
from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node
from fuzzer.reference.options import option

MIRROR_REFLECT = 0  # MirrorPadMode of schema.fbs: without the border itself; 1 is SYMMETRIC, with it


def _edges(node: Node, operands: Sequence[Array | None], codes: Array) -> list[tuple[int, int]]:
    """(before, after) of every axis, from operand 1 of shape [rank, 2]."""
    _, edges = given(node, operands, 1)
    need(edges.shape == (codes.ndim, 2) and (edges >= 0).all(), node, f"edges of shape {edges.shape} or below 0")
    return [(int(before), int(after)) for before, after in edges]


def pad(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """PAD with the result's zero point (0 for what is not quantised)."""
    _, codes = given(node, operands, 0)
    target = node.outputs[0]
    blank = zero_point_of(node, target) if is_quantised(target) else 0
    return [np.pad(codes, _edges(node, operands, codes), constant_values=np.asarray(blank, codes.dtype))]


def pad_with(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """PADV2 with the raw code of operand 2, which must have the result's scale."""
    _, codes = given(node, operands, 0)
    source, blank = given(node, operands, 2)
    target = node.outputs[0]
    same = (source.scales, source.zero_points) == (target.scales, target.zero_points)
    need(same or not is_quantised(target), node, "a filler of another scale")
    need(blank.size == 1, node, "several fillers")
    return [np.pad(codes, _edges(node, operands, codes), constant_values=blank.reshape(-1)[0])]


def mirror_pad(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """MIRROR_PAD by reflection (without the border) or symmetry (with it)."""
    _, codes = given(node, operands, 0)
    edges = _edges(node, operands, codes)
    reflected = int(option(node, "mode", MIRROR_REFLECT)) == MIRROR_REFLECT
    fits = all(max(edge) <= size - reflected for edge, size in zip(edges, codes.shape, strict=True))
    need(fits, node, "edges wider than the operand")
    return [np.pad(codes, edges, mode="reflect" if reflected else "symmetric")]


KERNELS = {"PAD": pad, "PADV2": pad_with, "MIRROR_PAD": mirror_pad}
