"""QUANTIZE and DEQUANTIZE: between float32 and codes, and between codes of two quantisations.

Sources: TensorFlow Lite `kernels/{quantize.cc,dequantize.h}`, `kernels/internal/reference/{quantize,requantize,
dequantize}.h`, `reference/integer_ops/dequantize.h`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import any_scale_of, given, limits, need, need_dtype, round_half_away, zero_point_of
from fuzzer.reference.fixed_point import (
    Array,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    saturate_to,
    wrap32,
)
from fuzzer.reference.graph import Node, Tensor

_REQUANTISED = {
    "int8": ("int8", "uint8"),
    "uint8": ("uint8", "int8"),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
}
"""Output types of QUANTIZE by integer input type."""


def quantize(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """QUANTIZE of float32 (also with a scale a channel), or of codes, which it rescales."""
    source, values = given(node, operands, 0)
    target = node.outputs[0]
    if source.dtype == "float32":
        need(target.stored in ("INT8", "UINT8", "INT16"), node, f"float32 to {target.stored}")
        return [_nearest(node, values, target)]
    narrow = "INT4" in (source.stored, target.stored)
    known = not narrow and target.dtype in _REQUANTISED.get(source.dtype, ())
    need(known, node, f"{source.stored} to {target.stored}")
    points = zero_point_of(node, source), zero_point_of(node, target)
    need((source.dtype, target.dtype) != ("int16", "int16") or points == (0, 0), node, "int16 with a zero point")
    real = float(any_scale_of(node, source)) / float(any_scale_of(node, target))
    moved = wrap32(values.astype(np.int64) - points[0])
    scaled = multiply_by_quantized_multiplier(moved, *quantize_multiplier(real))
    return [saturate_to(wrap32(scaled + points[1]), target.dtype)]


def _nearest(node: Node, values: Array, target: Tensor) -> Array:
    """Nearest codes of float32 values, the quotient in float32, ties away from zero, saturated.

    A quotient beyond 32 bits saturates on its own side; in the runtime that conversion is undefined (on x86 a large
    positive value becomes the smallest code). NaN has no code and is refused.
    """
    scales, points = _along_axis(node, target, values.ndim)
    with np.errstate(over="ignore"):
        quotient = values / scales
    need(not np.isnan(quotient).any(), node, "NaN has no code")
    low, high = limits(target.dtype)
    return np.clip(round_half_away(quotient).astype(np.float64) + points, low, high).astype(target.dtype)


def _along_axis(node: Node, tensor: Tensor, rank: int) -> tuple[Array, Array]:
    """Scales (float32) and zero points (int64) of a tensor, shaped to broadcast along its quantised axis."""
    if len(tensor.scales) <= 1:
        return np.asarray(any_scale_of(node, tensor)), np.asarray(zero_point_of(node, tensor), np.int64)
    shape = [1] * rank
    shape[tensor.axis] = len(tensor.scales)
    points = np.broadcast_to(np.asarray(tensor.zero_points, np.int64), (len(tensor.scales),))
    return np.asarray(tensor.scales, np.float32).reshape(shape), points.reshape(shape)


def dequantize(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """DEQUANTIZE to float32: of int8, uint8, int16 and int4 codes, of float16, and a scale a channel for 8 bits.

    One rounding: a product of 24-bit scale and 17-bit code is exact in double, so it does not matter that uint8
    multiplies in double and int8 in float32.
    """
    source, values = given(node, operands, 0)
    need(node.outputs[0].dtype == "float32", node, f"{source.dtype} to {node.outputs[0].dtype}")
    if source.dtype == "float16":
        return [values.astype(np.float32)]
    name = need_dtype(node, source, ("int8", "uint8", "int16", "int4"))
    need(len(source.scales) <= 1 or name != "int16", node, "int16 with a scale a channel")
    scales, points = _along_axis(node, source, values.ndim)
    return [scales * (values.astype(np.int64) - points).astype(np.float32)]


KERNELS = {"QUANTIZE": quantize, "DEQUANTIZE": dequantize}
