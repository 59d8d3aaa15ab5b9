"""What every kernel asks of a tensor's affine quantisation, and rounding as C++ does it.

A tensor is `real = scale * (raw - zero_point)` (TensorFlow Lite 8-bit quantisation specification, "Specification
summary"). Scales are float32 in the flatbuffer and kernels compute with them in float32 unless said otherwise:
the functions here keep that, because the last bit of a multiplier decides ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node, Tensor, UnsupportedError

BYTES = ("int8", "uint8")
QUANTISED = ("int8", "uint8", "int16")
"""Types of quantised activations."""

_SMALLEST_SCALE = 2.0**-40  # and its inverse the largest: a quotient of products of three stays finite in float32


def need(condition: object, node: Node, reason: str) -> None:
    """Raise UnsupportedError with `reason` unless the condition holds."""
    if not condition:
        raise UnsupportedError(node.op, reason)


def tensor(node: Node, position: int) -> Tensor:
    """The operator's operand at `position`, which may not be left out."""
    found = node.inputs[position] if position < len(node.inputs) else None
    if found is None:
        raise UnsupportedError(node.op, f"operand {position} is left out")
    return found


def given(node: Node, operands: Sequence[Array | None], position: int) -> tuple[Tensor, Array]:
    """An operand's tensor and raw codes; it may not be left out."""
    found, codes = tensor(node, position), operands[position]
    if codes is None:
        raise UnsupportedError(node.op, f"operand {position} has no value")
    return found, codes


def dtype_name(operand: Tensor) -> str:
    """The type's name; int4 codes, which are held as int8, are int4."""
    return "int4" if operand.stored == "INT4" else operand.dtype


def need_dtype(node: Node, operand: Tensor, allowed: Sequence[str]) -> str:
    """The tensor's type name, which must be one that the runtime's kernel takes."""
    name = dtype_name(operand)
    need(name in allowed, node, f"{name} is not a type its kernel takes ({', '.join(allowed)})")
    return name


def is_quantised(operand: Tensor) -> bool:
    """Whether the tensor carries a scale."""
    return len(operand.scales) > 0


def any_scale_of(node: Node, operand: Tensor) -> np.float32:
    """The one scale of a per-tensor quantised tensor, float32, positive and finite, however extreme."""
    need(len(operand.scales) == 1, node, f"tensor {operand.name!r} has {len(operand.scales)} scales, one is needed")
    scale = np.float32(operand.scales[0])
    need(0 < scale < np.inf, node, f"tensor {operand.name!r} has the scale {scale}")
    return scale


def scale_of(node: Node, operand: Tensor) -> np.float32:
    """The same, refused where no multiplier can hold the scale itself."""
    scale = any_scale_of(node, operand)
    need(_SMALLEST_SCALE <= scale <= 1 / _SMALLEST_SCALE, node, f"tensor {operand.name!r} has the scale {scale}")
    return scale


def zero_point_of(node: Node, operand: Tensor) -> int:
    """The one zero point of a per-tensor quantised tensor."""
    need(len(operand.zero_points) == 1, node, f"tensor {operand.name!r} has no single zero point")
    return int(operand.zero_points[0])


def limits(dtype: DTypeLike) -> tuple[int, int]:
    """Smallest and largest raw value of an integer type."""
    info = np.iinfo(np.dtype(dtype))
    return int(info.min), int(info.max)


def round_half_away(values: Array | np.floating[Any]) -> Array:
    """Nearest integers, ties away from zero (C++ std::round); the float type is kept.

    In float64 the half can be added exactly, also where float32 would round 0.49999997 + 0.5 up to one.
    """
    wide = np.asarray(values, np.float64)
    rounded: Array = np.trunc(wide + np.copysign(0.5, wide)).astype(np.asarray(values).dtype)
    return rounded


def truncating_divide(numerator: Array, denominator: Array | int) -> Array:
    """Integer division towards zero, as C++ divides."""
    quotient = np.abs(numerator) // np.abs(denominator)
    return np.where((np.asarray(numerator) < 0) != (np.asarray(denominator) < 0), -quotient, quotient)
