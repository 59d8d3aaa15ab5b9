"""Operators that spread, gather by segment or search, against the runtime's kernels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reference.builder import Operand, build, codes, compare, tensor
from tests.reference.unary import agree_without_reference_kernel


def constant(values: object, dtype: str = "int32") -> Operand:
    """A constant operand."""
    return Operand(dtype, ()).constant(np.array(values, dtype))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_sparse_to_dense(dtype: str) -> None:
    places = np.array([[0, 1], [2, 3], [1, 0]], np.int32)
    operands = [tensor("int32", (3, 2)), constant([3, 4]), tensor(dtype, (3,)), constant(9, dtype)]
    content = build("SPARSE_TO_DENSE", operands, [tensor(dtype, (3, 4))], "SparseToDenseOptions")
    compare(content, {0: places, 2: np.array([5, 6, 7], dtype)})


def test_segment_sum() -> None:
    random = np.random.default_rng(30)
    fed = tensor("int32", (5, 2))
    content = build("SEGMENT_SUM", [fed, constant([0, 0, 1, 2, 2])], [tensor("int32", (3, 2))], "SegmentSumOptions")
    agree_without_reference_kernel(content, {0: codes(random, fed)}, 2)


@pytest.mark.parametrize("kind", ["SUM", "PROD", "MAX", "MIN"])
def test_unsorted_segments(kind: str) -> None:
    random = np.random.default_rng(31)
    values = random.integers(-9, 9, (5, 2)).astype(np.int32)
    operands = [tensor("int32", (5, 2)), constant([2, 0, 2, -1, 0]), constant(4)]
    options = f"UnsortedSegment{kind.title()}Options"
    compare(build(f"UNSORTED_SEGMENT_{kind}", operands, [tensor("int32", (4, 2))], options), {0: values})


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "int64"])
def test_where(dtype: str) -> None:
    random = np.random.default_rng(32)
    values = random.integers(0, 2, (3, 4, 2)).astype(dtype)
    compare(build("WHERE", [tensor(dtype, values.shape)], [tensor("int64", (1, 3))], "WhereOptions"), {0: values})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_unique(dtype: str) -> None:
    values = np.array([5, 2, 5, 7, 2, 0, 7], dtype)
    results = [tensor(dtype, (4,)), tensor("int32", (7,))]
    compare(build("UNIQUE", [tensor(dtype, (7,))], results, "UniqueOptions", idxOutType=2), {0: values})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
def test_diagonals(dtype: str) -> None:
    random = np.random.default_rng(33)
    fed = tensor(dtype, (2, 3))
    values = codes(random, fed)
    compare(build("MATRIX_DIAG", [fed], [tensor(dtype, (2, 3, 3))], "MatrixDiagOptions"), {0: values})
    for shape in ((2, 3, 5), (2, 4, 3)):
        matrices = tensor(dtype, shape)
        content = build("MATRIX_SET_DIAG", [matrices, fed], [matrices], "MatrixSetDiagOptions")
        compare(content, {0: codes(random, matrices), 1: values})


def test_broadcast_args() -> None:
    content = build("BROADCAST_ARGS", [tensor("int32", (2,)), constant([4, 1, 3])], [tensor("int32", (3,))])
    compare(content, {0: np.array([5, 1], np.int32)})
