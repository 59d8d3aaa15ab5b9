"""Comparisons, logic and selection: EQUAL … LESS_EQUAL, LOGICAL_AND / OR / NOT, SELECT, SELECT_V2.

Sources: TensorFlow Lite `kernels/comparisons.cc`, `reference/comparisons.h`, `kernels/select.cc`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fuzzer.reference.affine import BYTES, given, need, need_dtype, scale_of, tensor, zero_point_of
from fuzzer.reference.fixed_point import Array, high_mul, quantize_multiplier, rounding_divide_by_pot
from fuzzer.reference.graph import Node, Tensor

SPARE_BITS = 8  # real values are compared as multiples of 1/256


def _broadcasts(node: Node, *arrays: Array) -> None:
    """Operands must broadcast as NumPy's do."""
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        need(False, node, f"shapes {[array.shape for array in arrays]} do not broadcast")


def _in_256ths(node: Node, operand: Tensor, codes: Array) -> Array:
    """Real values as multiples of 1/256, rounded: what 8-bit operands of different scales are compared as.

    Values nearer than 1/256 to each other may so compare as equal, whatever their scale: the kernel's resolution.
    """
    multiplier, shift = quantize_multiplier(float(scale_of(node, operand)))
    values = (codes.astype(np.int64) - zero_point_of(node, operand)) << SPARE_BITS
    # From a scale of 1 up the runtime aborts (at 1) or shifts by a negative count (above); here: to the left.
    return rounding_divide_by_pot(high_mul(values << max(shift, 0), multiplier), max(-shift, 0))


def _compare(
    node: Node, operands: Sequence[Array | None], function: Callable[[Array, Array], Array], plain: tuple[str, ...]
) -> list[Array]:
    """Plain types and int16 by their codes, 8-bit ones by their real values."""
    (left, a), (right, b) = given(node, operands, 0), given(node, operands, 1)
    name = need_dtype(node, left, (*BYTES, "int16", "int32", "int64", *plain))
    need(right.dtype == left.dtype, node, "operands of two types")
    _broadcasts(node, a, b)
    if name in BYTES:
        a, b = _in_256ths(node, left, a), _in_256ths(node, right, b)
    if name == "int16":
        need((left.scales, left.zero_points) == (right.scales, right.zero_points), node, "int16 of two scales")
    return [np.asarray(function(a, b))]


def equal(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """EQUAL."""
    return _compare(node, operands, np.equal, ("bool",))


def not_equal(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """NOT_EQUAL."""
    return _compare(node, operands, np.not_equal, ("bool",))


def greater(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """GREATER."""
    return _compare(node, operands, np.greater, ())


def greater_equal(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """GREATER_EQUAL."""
    return _compare(node, operands, np.greater_equal, ())


def less(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LESS."""
    return _compare(node, operands, np.less, ())


def less_equal(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LESS_EQUAL."""
    return _compare(node, operands, np.less_equal, ())


# --- logic and selection --------------------------------------------------------------------------------------


def _logic(node: Node, operands: Sequence[Array | None], function: Callable[[Array, Array], Array]) -> list[Array]:
    """A function of two bools."""
    (left, a), (_, b) = given(node, operands, 0), given(node, operands, 1)
    need_dtype(node, left, ("bool",))
    _broadcasts(node, a, b)
    return [np.asarray(function(a, b))]


def logical_and(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LOGICAL_AND."""
    return _logic(node, operands, np.logical_and)


def logical_or(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LOGICAL_OR."""
    return _logic(node, operands, np.logical_or)


def logical_not(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """LOGICAL_NOT."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, ("bool",))
    return [np.asarray(~codes)]


def _alternatives(node: Node, operands: Sequence[Array | None]) -> tuple[Array, Array, Array]:
    """Condition and the two alternatives, whose scales must be the result's: raw codes are copied."""
    (_, condition), (left, a), (right, b) = (given(node, operands, place) for place in range(3))
    for operand in (left, right):
        same = (operand.scales, operand.zero_points) == (node.outputs[0].scales, node.outputs[0].zero_points)
        need(same, node, "an alternative of another scale than the result's")
    need_dtype(node, tensor(node, 0), ("bool",))
    return condition, a, b


def select(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SELECT: by element, by row (a condition of rank 1), or whole (a scalar condition)."""
    condition, a, b = _alternatives(node, operands)
    need(a.shape == b.shape, node, "alternatives of two shapes")
    if condition.shape != a.shape and condition.ndim:
        rows = condition.ndim == 1 and a.ndim and condition.shape[0] == a.shape[0]
        need(rows, node, f"a condition of shape {condition.shape} for {a.shape}")
        condition = condition.reshape(-1, *[1] * (a.ndim - 1))
    return [np.where(condition, a, b)]


def select_v2(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SELECT_V2: all three broadcast."""
    condition, a, b = _alternatives(node, operands)
    _broadcasts(node, condition, a, b)
    return [np.where(condition, a, b)]


KERNELS = {
    "EQUAL": equal,
    "NOT_EQUAL": not_equal,
    "GREATER": greater,
    "GREATER_EQUAL": greater_equal,
    "LESS": less,
    "LESS_EQUAL": less_equal,
    "LOGICAL_AND": logical_and,
    "LOGICAL_OR": logical_or,
    "LOGICAL_NOT": logical_not,
    "SELECT": select,
    "SELECT_V2": select_v2,
}
