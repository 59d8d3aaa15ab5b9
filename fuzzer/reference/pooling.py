"""AVERAGE_POOL_2D and MAX_POOL_2D of int8, uint8 and int16 images (NHWC).

Codes are pooled as they are: the runtime requires that input and output are quantised alike. Sources: TensorFlow Lite
`kernels/pooling.cc`, `kernels/internal/reference/pooling.h`, `reference/integer_ops/pooling.h`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import any_scale_of, given, limits, need, need_dtype, truncating_divide, zero_point_of
from fuzzer.reference.elementwise import activation_of
from fuzzer.reference.fixed_point import Array, activation_range
from fuzzer.reference.graph import Node
from fuzzer.reference.options import option
from fuzzer.reference.windows import Axis, patches, spatial

_QUANTISED = ("int8", "uint8", "int16")


def _windows(node: Node, operands: Sequence[Array | None]) -> tuple[Array, tuple[Axis, Axis]]:
    source, image = given(node, operands, 0)
    name, target = need_dtype(node, source, _QUANTISED), node.outputs[0]
    need(target.dtype == name, node, f"{name} to {target.dtype}")
    same = any_scale_of(node, source) == any_scale_of(node, target) and zero_point_of(node, source) == zero_point_of(
        node, target
    )
    need(same, node, "input and output of different quantisation")
    window = int(option(node, "filterHeight", 0)), int(option(node, "filterWidth", 0))
    return image, spatial(node, image.shape, window)


def _clamp(node: Node, values: Array) -> list[Array]:
    """Codes between the bounds of the fused activation; no zero point is added."""
    target = node.outputs[0]
    scale, point = float(any_scale_of(node, target)), zero_point_of(node, target)
    low, high = activation_range(activation_of(node), scale, point, target.dtype)
    return [np.minimum(high, np.maximum(low, values)).astype(target.dtype)]


def average_pool_2d(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """AVERAGE_POOL_2D: the mean of the codes inside the image, rounded to nearest, ties away from code 0.

    Rounding is about the code 0, not about the zero point.
    """
    image, axes = _windows(node, operands)
    inside = patches(np.ones((1, *image.shape[1:3], 1), np.int64), axes)
    count = inside.sum(axis=(3, 4))
    need((count > 0).all(), node, "a window that lies in the padding alone")
    total = patches(image.astype(np.int64), axes).sum(axis=(3, 4))
    half = count // 2
    return _clamp(node, truncating_divide(np.where(total > 0, total + half, total - half), count))


def max_pool_2d(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """MAX_POOL_2D: the largest code inside the image; the smallest code of the type where there is none."""
    image, axes = _windows(node, operands)
    lowest = limits(image.dtype)[0]
    return _clamp(node, patches(image.astype(np.int64), axes, fill=lowest).max(axis=(3, 4), initial=lowest))


KERNELS = {"AVERAGE_POOL_2D": average_pool_2d, "MAX_POOL_2D": max_pool_2d}
