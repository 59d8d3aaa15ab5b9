"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV of int8, uint8 and int16 images (NHWC).

Padding contributes nothing to a sum: it stands for the real value 0. Sources: TensorFlow Lite `kernels/{conv,
depthwise_conv,transpose_conv}.cc`, `kernels/internal/reference/{conv,depthwiseconv_uint8,reference_ops}.h` and
`reference/integer_ops/{conv,depthwise_conv,transpose_conv}.h`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import given, need
from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node
from fuzzer.reference.products import activations, real_multipliers, rescale, weights, with_bias
from fuzzer.reference.windows import axis, patches, spatial


def conv_2d(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """CONV_2D: filter [out, height, width, in / groups], scales along axis 0; groups divide both channel counts."""
    source, image = activations(node, operands, 0)
    factor, kernel = weights(node, operands, 1, source.dtype, axis=0, symmetric=True)
    need(kernel.ndim == 4, node, f"a filter of rank {kernel.ndim}")
    out, height, width, depth = kernel.shape
    axes = spatial(node, image.shape, (height, width))
    need(depth > 0 and image.shape[3] % depth == 0, node, f"{image.shape[3]} channels under a filter of {depth}")
    groups = image.shape[3] // depth
    need(groups > 0 and out % groups == 0, node, f"{out} filters in {groups} groups")
    seen = patches(image.astype(np.float64), axes)
    parts = []
    for group in range(groups):
        part = seen[..., group * depth : (group + 1) * depth]
        filters = kernel[group * (out // groups) : (group + 1) * (out // groups)].astype(np.float64)
        parts.append(np.tensordot(part, filters, axes=([3, 4, 5], [1, 2, 3])))
    sums = with_bias(node, operands, 2, np.concatenate(parts, axis=-1))
    return [rescale(node, sums, real_multipliers(node, source, factor))]


def depthwise_conv_2d(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """DEPTHWISE_CONV_2D: filter [1, height, width, in * multiplier], scales along axis 3."""
    source, image = activations(node, operands, 0)
    factor, kernel = weights(node, operands, 1, source.dtype, axis=3, symmetric=True)
    need(kernel.ndim == 4 and kernel.shape[0] == 1, node, f"a filter of shape {kernel.shape}")
    _, height, width, out = kernel.shape
    axes = spatial(node, image.shape, (height, width))
    depth = image.shape[3]
    need(depth > 0 and out % depth == 0, node, f"{out} filters for {depth} channels")
    filters = kernel[0].reshape(height, width, depth, out // depth)
    seen = patches(image.astype(np.float64), axes)
    products = np.einsum("nrchwi,hwim->nrcim", seen, filters.astype(np.float64))
    sums = with_bias(node, operands, 2, products.reshape(*products.shape[:3], out))
    return [rescale(node, sums, real_multipliers(node, source, factor))]


def transpose_conv(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """TRANSPOSE_CONV: operands are output shape, filter [out, height, width, in], image and an optional bias."""
    _, shape = given(node, operands, 0)
    source, image = activations(node, operands, 2)
    factor, kernel = weights(node, operands, 1, source.dtype, axis=0, symmetric=True)
    need(kernel.ndim == 4 and image.ndim == 4 and shape.size == 4, node, "image, filter or result is not of rank 4")
    out, height, width, depth = kernel.shape
    sizes = tuple(int(d) for d in shape)
    need(depth == image.shape[3] and sizes[0] == image.shape[0] and sizes[3] == out, node, "shapes do not match")
    # The padding is that of the convolution from the result back to the image (its size there is not checked).
    options = node.options
    rows = axis(node, sizes[1], height, int(options.strideH), 1)
    columns = axis(node, sizes[2], width, int(options.strideW), 1)
    # A canvas wide enough for every contribution, cut to the result.
    reach = [
        max((n - 1) * a.stride + a.window, a.before + size)
        for n, a, size in zip(image.shape[1:3], (rows, columns), sizes[1:3], strict=True)
    ]
    canvas = np.zeros((sizes[0], *reach, out))
    for y in range(height):
        for x in range(width):
            where = (slice(None), *_every(y, rows.stride, image.shape[1]), *_every(x, columns.stride, image.shape[2]))
            canvas[where] += image.astype(np.float64) @ kernel[:, y, x, :].astype(np.float64).T
    cut = canvas[:, rows.before : rows.before + sizes[1], columns.before : columns.before + sizes[2]]
    return [rescale(node, with_bias(node, operands, 3, cut), real_multipliers(node, source, factor))]


def _every(start: int, stride: int, count: int) -> tuple[slice]:
    """`count` positions from `start`, `stride` apart."""
    return (slice(start, start + stride * count, stride) if count else slice(0, 0),)


KERNELS = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "TRANSPOSE_CONV": transpose_conv,
}
