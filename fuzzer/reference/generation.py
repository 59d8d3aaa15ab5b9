"""Operators on plain integers, shapes and types: SHAPE, RANK, FILL, RANGE, ZEROS_LIKE, CAST, ONE_HOT, TOPK_V2 …

Sources: TensorFlow Lite `kernels/{shape,rank,fill,range,zeros_like,cast,one_hot,topk_v2,embedding_lookup,scatter_nd,
where,floor_div,floor_mod,add_n,pow,right_shift,bitwise_xor}.cc`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import given, is_quantised, limits, need, need_dtype, truncating_divide
from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node
from fuzzer.reference.moving import axis_of, integers
from fuzzer.reference.options import option

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")


def shape(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SHAPE, in the type of the result."""
    _, codes = given(node, operands, 0)
    return [np.array(codes.shape, node.outputs[0].dtype)]


def rank(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RANK, a scalar."""
    _, codes = given(node, operands, 0)
    return [np.array(codes.ndim, node.outputs[0].dtype)]


def fill(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """FILL a shape (operand 0) with one raw code."""
    source, value = given(node, operands, 1)
    target = node.outputs[0]
    need((source.scales, source.zero_points) == (target.scales, target.zero_points), node, "two scales")
    need(value.ndim == 0, node, "a filler that is no scalar")
    return [np.full(integers(node, operands, 0), value)]


def integer_range(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RANGE of int32 / int64: from, to (excluded), by."""
    source, first = given(node, operands, 0)
    need_dtype(node, source, ("int32", "int64"))
    start, stop, step = (int(given(node, operands, place)[1].reshape(-1)[0]) for place in range(3))
    need(step != 0 and (stop - start) * step >= 0, node, f"from {start} to {stop} by {step}")
    return [np.arange(start, stop, step, dtype=first.dtype)]


def zeros_like(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """ZEROS_LIKE of int32 / int64."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, ("int32", "int64"))
    return [np.zeros_like(codes)]


def cast(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """CAST between integers and bool: two's complement wraps, everything but 0 is true. Scales are not looked at."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, (*INTEGERS, "bool"))
    need_dtype(node, node.outputs[0], (*INTEGERS, "bool"))
    return [codes.astype(node.outputs[0].dtype)]


def one_hot(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """ONE_HOT: raw codes for on and off."""
    _, places = given(node, operands, 0)
    depth = integers(node, operands, 1)[0]
    on, off = (given(node, operands, place)[1].reshape(-1)[0] for place in (2, 3))
    axis = axis_of(node, int(option(node, "axis", 0)), places.ndim + 1)
    hit = places[..., None] == np.arange(depth)
    return [np.moveaxis(np.where(hit, on, off), -1, axis)]


def top_k(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """TOPK_V2 along the last axis: values and positions, the first of equal values first."""
    source, codes = given(node, operands, 0)
    need_dtype(node, source, ("int8", "uint8", "int16", "int32", "int64"))
    count = integers(node, operands, 1)[0]
    need(codes.ndim and 0 <= count <= codes.shape[-1], node, f"{count} of {codes.shape}")
    order = np.argsort(-codes.astype(np.int64), axis=-1, kind="stable")[..., :count]
    return [np.take_along_axis(codes, order, -1), order.astype(node.outputs[1].dtype)]


def embedding_lookup(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """EMBEDDING_LOOKUP of rows whose type is the result's."""
    (_, places), (table, rows) = given(node, operands, 0), given(node, operands, 1)
    need(table.dtype == node.outputs[0].dtype and table.stored != "INT4", node, f"{table.dtype} rows are rescaled")
    need(((places >= 0) & (places < len(rows))).all(), node, "a row outside the table")
    return [rows[places]]


def scatter_nd(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SCATTER_ND: raw codes of one place are added up (wrapping)."""
    (_, places), (_, updates) = given(node, operands, 0), given(node, operands, 1)
    made = np.zeros(integers(node, operands, 2), updates.dtype)
    need(places.ndim and places.shape[-1] <= made.ndim, node, "positions longer than the rank")
    for axis in range(places.shape[-1]):
        column = places[..., axis]
        need(((column >= 0) & (column < made.shape[axis])).all(), node, "a position outside")
    np.add.at(made, tuple(np.moveaxis(places.astype(np.int64), -1, 0)), updates)
    return [made]


# --- arithmetic of plain integers -----------------------------------------------------------------------------


def _two(node: Node, operands: Sequence[Array | None], allowed: Sequence[str]) -> tuple[Array, Array]:
    """Two operands without scales, broadcast."""
    (left, a), (_, b) = given(node, operands, 0), given(node, operands, 1)
    need_dtype(node, left, allowed)
    need(not is_quantised(left), node, "quantised operands")
    return np.broadcast_arrays(a, b)[0], np.broadcast_arrays(a, b)[1]


def floor_div(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """FLOOR_DIV of plain integers, towards minus infinity; a divisor of 0 is refused."""
    a, b = _two(node, operands, ("int8", "int16", "int32"))
    need((b != 0).all(), node, "a division by 0")
    quotient = truncating_divide(a.astype(np.int64), b.astype(np.int64))
    exact = quotient * b == a
    return [(quotient - (~exact & ((a < 0) != (b < 0)))).astype(a.dtype)]


def floor_mod(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """FLOOR_MOD of plain integers: the remainder has the divisor's sign."""
    a, b = _two(node, operands, ("int8", "int16", "int32", "int64"))
    need((b != 0).all(), node, "a division by 0")
    return [np.mod(a, b)]


def power(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """POW of int32; a negative exponent is refused as the runtime does, and so is what leaves 32 bits.

    The runtime goes through double and casts, which C++ leaves undefined where the result does not fit.
    """
    a, b = _two(node, operands, ("int32",))
    need((b >= 0).all(), node, "a negative exponent")
    real = np.power(a.astype(np.float64), b)
    need((np.abs(real) <= limits(np.int32)[1]).all(), node, "a result that leaves 32 bits")
    return [real.astype(np.int32)]


def add_n(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """ADD_N of int32, wrapping."""
    source, total = given(node, operands, 0)
    need_dtype(node, source, ("int32",))
    for place in range(1, len(operands)):
        total = total + given(node, operands, place)[1]
    return [total.copy()]


def bitwise_xor(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """BITWISE_XOR of integers."""
    a, b = _two(node, operands, INTEGERS)
    return [np.bitwise_xor(a, b)]


def right_shift(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """RIGHT_SHIFT of integers; the count is held between 0 and the type's bits less one."""
    a, b = _two(node, operands, INTEGERS)
    return [np.right_shift(a, np.clip(b, 0, 8 * a.dtype.itemsize - 1).astype(a.dtype))]


KERNELS = {
    "SHAPE": shape,
    "RANK": rank,
    "FILL": fill,
    "RANGE": integer_range,
    "ZEROS_LIKE": zeros_like,
    "CAST": cast,
    "ONE_HOT": one_hot,
    "TOPK_V2": top_k,
    "EMBEDDING_LOOKUP": embedding_lookup,
    "SCATTER_ND": scatter_nd,
    "FLOOR_DIV": floor_div,
    "FLOOR_MOD": floor_mod,
    "POW": power,
    "ADD_N": add_n,
    "BITWISE_XOR": bitwise_xor,
    "RIGHT_SHIFT": right_shift,
}
