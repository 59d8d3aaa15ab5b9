"""Sliding windows over images: sizes, padding, and the patches that convolution and pooling look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fuzzer.reference.affine import need
from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node
from fuzzer.reference.options import option

SAME, VALID = 0, 1  # Padding of schema.fbs


@dataclass(frozen=True)
class Axis:
    """One spatial axis: how many results, how far apart, and what is padded in front (elements)."""

    size: int
    window: int
    stride: int
    dilation: int
    padding: int
    before: int


def axis(node: Node, size: int, window: int, stride: int, dilation: int) -> Axis:
    """Output size and padding of one axis (`ComputePaddingHeightWidth`, TensorFlow Lite `kernels/padding.h`)."""
    padding = int(option(node, "padding", SAME))
    need(stride > 0 and dilation > 0 and window > 0, node, f"stride {stride}, dilation {dilation}, window {window}")
    reach = (window - 1) * dilation + 1
    results = -(-size // stride) if padding == SAME else (size + stride - reach) // stride
    need(results >= 0, node, f"a window of {reach} over {size} elements without padding")
    total = max(0, (results - 1) * stride + reach - size)
    return Axis(results, window, stride, dilation, total, total // 2)


def spatial(node: Node, shape: tuple[int, ...], window: tuple[int, int]) -> tuple[Axis, Axis]:
    """Height and width of an NHWC image under the operator's strides, dilations and padding."""
    need(len(shape) == 4, node, f"an image of rank {len(shape)}")
    return (
        axis(node, shape[1], window[0], int(option(node, "strideH", 0)), int(option(node, "dilationHFactor", 1))),
        axis(node, shape[2], window[1], int(option(node, "strideW", 0)), int(option(node, "dilationWFactor", 1))),
    )


def patches(image: Array, axes: tuple[Axis, Axis], fill: int = 0) -> Array:
    """NHWC to [N, rows, columns, window height, window width, C]; outside of the image is `fill`."""
    index = [np.arange(a.size)[:, None] * a.stride + np.arange(a.window)[None, :] * a.dilation for a in axes]
    margins = [(0, 0)]
    for a, where, length in zip(axes, index, image.shape[1:3], strict=True):
        last = int(where.max(initial=0))
        margins.append((a.before, max(0, last + 1 - a.before - length)))
    padded = np.pad(image, [*margins, (0, 0)], constant_values=fill)
    return padded[:, index[0][:, None, :, None], index[1][None, :, None, :]]
