"""What fully connected, convolution and matrix product share: operands without zero points, the sum, its rescaling.

Sums are taken in float64, where every product of two codes and every sum the runtime can hold is exact (below 2^53),
and then wrapped to the accumulator's width.

Sources: TensorFlow Lite 8-bit quantisation specification ("Per-axis vs per-tensor", "Symmetric vs asymmetric");
`kernels/kernel_util.cc` (`PopulateConvolutionQuantizationParams`, `GetQuantizedConvolutionMultipler`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import any_scale_of, given, need, need_dtype, zero_point_of
from fuzzer.reference.elementwise import clamp
from fuzzer.reference.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    Array,
    multiply_by_quantized_multiplier,
    multiply_wide,
    quantize_multipliers,
    wrap32,
)
from fuzzer.reference.graph import Node, Tensor
from fuzzer.reference.options import option

WEIGHTS = {"int8": ("int8", "int4"), "uint8": ("uint8",), "int16": ("int8", "int4")}
"""The weight types that a kernel takes for each activation type (16x8: int16 activations have 8-bit weights)."""

_INT32 = 2  # TensorType.INT32 of schema.fbs, as `quantized_bias_type` spells it


def activations(node: Node, operands: Sequence[Array | None], position: int) -> tuple[Tensor, Array]:
    """The image or matrix operand: its tensor, and its codes less the zero point, int64."""
    operand, codes = given(node, operands, position)
    name = need_dtype(node, operand, tuple(WEIGHTS))
    need(node.outputs[0].dtype == name, node, f"{name} to {node.outputs[0].dtype}")
    zero_point = zero_point_of(node, operand)
    if name == "int16":
        need(zero_point == 0 and zero_point_of(node, node.outputs[0]) == 0, node, "int16 with a zero point")
    return operand, codes.astype(np.int64) - zero_point


def weights(
    node: Node, operands: Sequence[Array | None], position: int, dtype: str, axis: int, symmetric: bool
) -> tuple[Tensor, Array]:
    """The weights less their zero point, int64; `axis` is the only one along which scales may differ.

    `symmetric`: signed weights must have zero point 0 (the kernels leave it out of the sum).
    """
    operand, codes = given(node, operands, position)
    name = need_dtype(node, operand, WEIGHTS[dtype])
    several = len(operand.scales) > 1
    if several:
        need(name != "uint8", node, "uint8 weights with a scale a channel")
        need(operand.axis == axis, node, f"scales along axis {operand.axis}, channels are axis {axis}")
        need(len(operand.scales) == codes.shape[axis], node, "as many scales as channels are needed")
    zero_point = 0 if several else zero_point_of(node, operand)
    if name == "int4" or (name != "uint8" and (symmetric or several)):
        need(not any(operand.zero_points), node, "signed weights with a zero point")
    return operand, codes.astype(np.int64) - zero_point


def real_multipliers(node: Node, source: Tensor, factor: Tensor) -> list[float]:
    """Scale of the input * scale of the weights / scale of the output, one or one a channel.

    In double; but uint8 multiplies the scales in float32 first (`GetQuantizedConvolutionMultipler`).
    """
    one, target = any_scale_of(node, source), float(any_scale_of(node, node.outputs[0]))
    if source.dtype == "uint8":
        return [float(one * any_scale_of(node, factor)) / target]
    need(len(factor.scales) > 0, node, f"tensor {factor.name!r} has no scale")
    return [float(one) * scale / target for scale in factor.scales]


def with_bias(node: Node, operands: Sequence[Array | None], position: int, total: Array) -> Array:
    """The exact sum with the bias added along the last axis, int64.

    int16 activations take int64, or int32 biases. The runtime (TensorFlow 2.21) reads int32 ones as if they were int64
    unless the operator says `quantized_bias_type`; here they are what the tensor says.
    """
    summed = np.rint(total).astype(np.int64)
    if position >= len(operands) or operands[position] is None:
        return summed
    bias, codes = given(node, operands, position)
    wide = node.outputs[0].dtype == "int16"
    need_dtype(node, bias, ("int32", "int64") if wide else ("int32",))
    need(not any(bias.zero_points), node, "a bias with a zero point")
    return summed + codes.astype(np.int64).reshape(-1)


def accumulates_in_64_bits(node: Node) -> bool:
    """Whether sums are 64-bit: int16 activations, unless `quantized_bias_type` says INT32."""
    return node.outputs[0].dtype == "int16" and int(option(node, "quantizedBiasType", 0)) != _INT32


def rescale(node: Node, sums: Array, reals: Sequence[float]) -> Array:
    """Sums times their channel's multiplier in fixed point, clamped, as the output's codes."""
    multipliers, shifts = quantize_multipliers(reals)
    if accumulates_in_64_bits(node):
        return clamp(node, multiply_wide(sums, multipliers, shifts))
    return clamp(node, multiply_by_quantized_multiplier(wrap32(sums), multipliers, shifts))


def rescale_in_double(node: Node, sums: Array, reals: Sequence[float]) -> Array:
    """Sums times their channel's multiplier in double, ties away from zero, clamped, as the output's codes.

    Products beyond 32 bits saturate; the int16 kernel (TensorFlow 2.21) converts without a check, which gives 0 or the
    smallest code where the largest is right.
    """
    held = sums if accumulates_in_64_bits(node) else wrap32(sums)
    product = held.astype(np.float64) * np.asarray(reals, np.float64)
    whole = np.trunc(product)
    nearest = whole + np.where(np.abs(product - whole) >= 0.5, np.sign(product), 0)
    return clamp(node, np.clip(nearest, INT32_MIN, INT32_MAX).astype(np.int64))
