"""L2_NORMALIZATION over the last axis.

Sources: TensorFlow Lite `reference/l2normalization.h` (uint8), `reference/integer_ops/l2normalization.h` (int8).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import BYTES, given, need, need_dtype, scale_of, zero_point_of
from fuzzer.reference.fixed_point import Array, multiply_by_quantized_multiplier, saturate_to, wrap32
from fuzzer.reference.graph import Node
from fuzzer.reference.options import option
from fuzzer.reference.transcendental import inverse_sqrt_multiplier

OUTPUT_BITS = 7  # results have the scale 1/128: [-1, 127/128]


def l2_normalization(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """L2_NORMALIZATION of int8 (zero point 0) and uint8 (zero point 128), output scale 1/128."""
    source, codes = given(node, operands, 0)
    target = node.outputs[0]
    name = need_dtype(node, source, BYTES)
    centre = 128 if name == "uint8" else 0
    need(scale_of(node, target) == 1 / 128 and zero_point_of(node, target) == centre, node, "another output scale")
    need(not option(node, "fusedActivationFunction", 0), node, "a fused activation")
    need(1 <= codes.ndim <= 4, node, f"rank {codes.ndim}")
    values = codes.astype(np.int64) - zero_point_of(node, source)
    norms = wrap32((values * values).sum(axis=-1, keepdims=True))  # 32-bit sums: 2^15 elements are safe
    multipliers, shifts = np.empty_like(norms), np.empty_like(norms)
    for norm in np.unique(norms):
        chosen = norms == norm
        multipliers[chosen], shifts[chosen] = inverse_sqrt_multiplier(int(norm))
    if name == "uint8":  # the bits are shifted in before the product, not with it: large norms round differently
        scaled = multiply_by_quantized_multiplier(values << OUTPUT_BITS, multipliers, shifts)
    else:
        scaled = multiply_by_quantized_multiplier(values, multipliers, shifts + OUTPUT_BITS)
    return [saturate_to(scaled + centre, target.dtype)]


KERNELS = {"L2_NORMALIZATION": l2_normalization}
