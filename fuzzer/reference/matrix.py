"""FULLY_CONNECTED and BATCH_MATMUL.

Sources: TensorFlow Lite `kernels/{fully_connected,batch_matmul}.cc`, `kernels/internal/reference/{fully_connected,
batch_matmul}.h`, `reference/integer_ops/fully_connected.h`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import any_scale_of, given, need, need_dtype, zero_point_of
from fuzzer.reference.fixed_point import Array, wrap32
from fuzzer.reference.graph import Node
from fuzzer.reference.options import flag, option
from fuzzer.reference.products import activations, rescale, rescale_in_double, weights, with_bias


def fully_connected(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """FULLY_CONNECTED: weights [units, depth], scales along axis 0; per-tensor weights may have a zero point.

    The reference kernel (alone: optimised ones use fixed point) multiplies the sum in double (measured, TensorFlow
    2.21), so ties and near-ties may differ by one step from the fixed-point definition.
    """
    need(int(option(node, "weightsFormat", 0)) == 0 and len(node.outputs) == 1, node, "shuffled weights")
    source, rows = activations(node, operands, 0)
    factor, matrix = weights(node, operands, 1, source.dtype, axis=0, symmetric=False)
    need(matrix.ndim == 2, node, f"weights of rank {matrix.ndim}")
    units, depth = matrix.shape
    need(depth > 0, node, "weights without elements")
    keep = flag(node, "keepNumDims")
    need(rows.size % depth == 0 and (not keep or rows.shape[-1] == depth), node, "operand shapes do not match")
    products = rows.reshape(-1, depth).astype(np.float64) @ matrix.astype(np.float64).T
    sums = with_bias(node, operands, 2, products)
    one, target = float(any_scale_of(node, source)), float(any_scale_of(node, node.outputs[0]))
    codes = rescale_in_double(node, sums, [one * scale / target for scale in factor.scales])
    return [codes.reshape((*rows.shape[:-1], units) if keep else (-1, units))]


def batch_matmul(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """BATCH_MATMUL of int8, or of int16 without zero points; batches broadcast.

    int8 to int32 is the plain product of the codes, without scales (`EvalInt8Int32`).
    """
    one, left = given(node, operands, 0)
    two, right = given(node, operands, 1)
    name = need_dtype(node, one, ("int8", "int16"))
    need(need_dtype(node, two, ("int8", "int16")) == name, node, "operands of two types")
    need(left.ndim >= 2 and right.ndim >= 2, node, "operands of rank below 2")
    target = node.outputs[0]
    plain = (name, target.dtype) == ("int8", "int32")
    need(plain or target.dtype == name, node, f"{name} to {target.dtype}")
    points = (0, 0) if plain else (zero_point_of(node, one), zero_point_of(node, two))
    need(not plain or not any((*one.zero_points, *two.zero_points)), node, "a plain product of codes with a zero point")
    need(name == "int8" or not any((*points, zero_point_of(node, target))), node, "int16 with a zero point")
    a, b = left.astype(np.float64) - points[0], right.astype(np.float64) - points[1]
    a = a.swapaxes(-1, -2) if flag(node, "adjX") else a
    b = b.swapaxes(-1, -2) if flag(node, "adjY") else b
    need(a.shape[-1] == b.shape[-2], node, "operand shapes do not match")
    sums = np.rint(a @ b).astype(np.int64)
    if plain:
        return [wrap32(sums).astype(np.int32)]
    # float32 product of the scales, divided in double (`GetQuantizedConvolutionMultipler`).
    real = float(any_scale_of(node, one) * any_scale_of(node, two)) / float(any_scale_of(node, target))
    return [rescale(node, sums, [real])]


KERNELS = {
    "FULLY_CONNECTED": fully_connected,
    "BATCH_MATMUL": batch_matmul,
}
