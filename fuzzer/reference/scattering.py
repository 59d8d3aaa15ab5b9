"""Plain integer operators that spread, gather by segment or search: SPARSE_TO_DENSE, SEGMENT_SUM, WHERE, UNIQUE …

Sources: TensorFlow Lite `kernels/{sparse_to_dense,segment_sum,unsorted_segment,where,unique,matrix_diag,
matrix_set_diag,broadcast_args}.cc`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuzzer.reference.affine import given, limits, need, need_dtype
from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node
from fuzzer.reference.moving import integers

INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


def sparse_to_dense(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SPARSE_TO_DENSE: raw codes at places (of rank 0, 1 or 2), a raw code elsewhere."""
    (_, places), (_, values), (_, blank) = (given(node, operands, place) for place in (0, 2, 3))
    made = np.full(integers(node, operands, 1), blank.reshape(-1)[0])
    rows = places.reshape(-1, 1) if places.ndim < 2 else places
    need(rows.shape[1] == made.ndim and ((rows >= 0) & (rows < made.shape)).all(), node, "a place outside")
    for row, value in zip(rows, np.broadcast_to(values.reshape(-1), len(rows)), strict=True):
        made[tuple(row)] = value
    return [made]


def segment_sum(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """SEGMENT_SUM of int32 by ascending segments, wrapping."""
    source, values = given(node, operands, 0)
    need_dtype(node, source, ("int32",))
    segments = integers(node, operands, 1)
    # As upstream: from 0, by steps of 0 or 1.
    dense = sorted(set(segments)) == list(range(len(set(segments)))) and list(segments) == sorted(segments)
    need(len(segments) == len(values) and dense, node, f"segments {segments}")
    made = np.zeros((len(set(segments)), *values.shape[1:]), values.dtype)
    np.add.at(made, list(segments), values)
    return [made]


def _by_segment(node: Node, operands: Sequence[Array | None], function: np.ufunc, first: int) -> list[Array]:
    """A function of all slices of a segment; a segment below 0 is left out."""
    source, values = given(node, operands, 0)
    need_dtype(node, source, ("int32",))
    _, segments = given(node, operands, 1)
    count = integers(node, operands, 2)[0]
    need(values.shape[: segments.ndim] == segments.shape and (segments < count).all(), node, "segments do not fit")
    rest = values.shape[segments.ndim :]
    made = np.full((count, *rest), first, values.dtype)
    kept = segments.reshape(-1) >= 0
    function.at(made, segments.reshape(-1)[kept], values.reshape(-1, *rest)[kept])
    return [made]


def unsorted_segment_sum(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """UNSORTED_SEGMENT_SUM of int32, wrapping; 0 for no slice."""
    return _by_segment(node, operands, np.add, 0)


def unsorted_segment_prod(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """UNSORTED_SEGMENT_PROD of int32, wrapping; 1 for no slice."""
    return _by_segment(node, operands, np.multiply, 1)


def unsorted_segment_max(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """UNSORTED_SEGMENT_MAX of int32; the smallest integer for no slice."""
    return _by_segment(node, operands, np.maximum, limits(np.int32)[0])


def unsorted_segment_min(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """UNSORTED_SEGMENT_MIN of int32; the largest integer for no slice."""
    return _by_segment(node, operands, np.minimum, limits(np.int32)[1])


def where(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """WHERE: the positions of what is not 0, in order, [count, rank] of int64."""
    source, values = given(node, operands, 0)
    need_dtype(node, source, (*INTEGERS, "uint32", "bool"))
    return [np.argwhere(values).astype(np.int64)]


def unique(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """UNIQUE values in order of appearance, and for each element the place of its value."""
    source, values = given(node, operands, 0)
    need_dtype(node, source, INTEGERS)
    need(values.ndim == 1, node, f"rank {values.ndim}")
    _, first, place = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    return [values[first[order]], np.argsort(order)[place].astype(node.outputs[1].dtype)]


def matrix_diag(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """MATRIX_DIAG: the last axis becomes the diagonal of square matrices of raw zeros."""
    _, values = given(node, operands, 0)
    need(values.ndim, node, "a scalar")
    size = values.shape[-1]
    made = np.zeros((*values.shape, size), values.dtype)
    made[..., np.arange(size), np.arange(size)] = values
    return [made]


def matrix_set_diag(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """MATRIX_SET_DIAG: the main diagonals of matrices replaced."""
    (_, matrices), (_, values) = given(node, operands, 0), given(node, operands, 1)
    need(matrices.ndim >= 2, node, f"rank {matrices.ndim}")
    size = min(matrices.shape[-2:])
    need(values.shape == (*matrices.shape[:-2], size), node, f"a diagonal of shape {values.shape}")
    made = matrices.copy()
    made[..., np.arange(size), np.arange(size)] = values
    return [made]


def broadcast_args(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """BROADCAST_ARGS: the shape that two shapes broadcast to."""
    source, _ = given(node, operands, 0)
    shapes = integers(node, operands, 0), integers(node, operands, 1)
    rank = max(map(len, shapes))
    aligned = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    need(all(a == b or 1 in (a, b) for a, b in zip(*aligned, strict=True)), node, f"{shapes} do not broadcast")
    return [np.array([b if a == 1 else a for a, b in zip(*aligned, strict=True)], source.dtype)]


KERNELS = {
    "SPARSE_TO_DENSE": sparse_to_dense,
    "SEGMENT_SUM": segment_sum,
    "UNSORTED_SEGMENT_SUM": unsorted_segment_sum,
    "UNSORTED_SEGMENT_PROD": unsorted_segment_prod,
    "UNSORTED_SEGMENT_MAX": unsorted_segment_max,
    "UNSORTED_SEGMENT_MIN": unsorted_segment_min,
    "WHERE": where,
    "UNIQUE": unique,
    "MATRIX_DIAG": matrix_diag,
    "MATRIX_SET_DIAG": matrix_set_diag,
    "BROADCAST_ARGS": broadcast_args,
}
