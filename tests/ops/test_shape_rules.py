"""Shape rules with branches, against sizes worked out by hand."""

from __future__ import annotations

import pytest

from fuzzer.errors import UnfitError
from fuzzer.ops import TensorType, Value, registry


def shape_of(name: str, *shapes: tuple[int, ...], dtype: str = "float32", **given: Value) -> tuple[int, ...]:
    op = registry()[name]
    attrs = {**{key: domain.default for key, domain in op.attrs.items()}, **given}
    return op.type_of([TensorType(shape, dtype) for shape in shapes], attrs).shape


@pytest.mark.parametrize(
    ("equation", "shapes", "out"),
    [
        ("ij,jk->ik", ((2, 3),), (2, 7)),
        ("ij,jk->ik", ((2, 3), (3, 4)), (2, 4)),
        ("...ij,...jk->...ik", ((5, 6, 2, 3),), (5, 6, 2, 7)),
        ("...ij,jk->...ik", ((5, 2, 3), (3, 4)), (5, 2, 4)),
        ("i...,i->...", ((5, 2, 3),), (2, 3)),
        ("abcd,cd->ba", ((1, 2, 3, 4),), (2, 1)),
        ("i,j->ij", ((5,),), (5, 7)),
    ],
)
def test_einsum(equation: str, shapes: tuple[tuple[int, ...], ...], out: tuple[int, ...]) -> None:
    assert shape_of("einsum", *shapes, equation=equation, units=7) == out


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", ((2, 3), (2, 4))),
        ("ij,jk->ik", ((2, 3, 4),)),
        ("...ij,...jk->...ik", ((2,),)),
        ("...ij,...jk->...ik", ((2, 3, 4), (3, 4, 5))),
    ],
)
def test_einsum_that_does_not_fit(equation: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(UnfitError):
        shape_of("einsum", *shapes, equation=equation)


def test_batches_of_matrices_broadcast() -> None:
    assert shape_of("batch_matmul", (2, 1, 3, 4), (5, 4, 6)) == (2, 5, 3, 6)
    assert shape_of("batch_matmul", (2, 3, 4), units=6, batch_rank=1, ones=1) == (2, 3, 6)
    assert shape_of("batch_matmul", (2, 3, 4), units=6, adj_x=True, adj_y=True) == (2, 4, 6)
    assert shape_of("batch_matmul", (2, 3, 4), units=6, reverse=True) == (2, 6, 4)
    with pytest.raises(UnfitError, match="no matrix product"):
        shape_of("batch_matmul", (2, 3, 4), (2, 3, 4))


def test_axes_of_reductions_count_from_the_end() -> None:
    assert shape_of("reduce_sum", (2, 3, 4), mask=0b001) == (2, 3)
    assert shape_of("reduce_sum", (2, 3, 4), mask=0b101, keepdims=True) == (1, 3, 1)
    assert shape_of("reduce_sum", (2, 3, 4), mask=0b111) == ()
    assert shape_of("reduce_sum", (2, 3, 4), mask=0b1000) == (2, 3, 4)
    assert shape_of("sum_then_mean", (2, 3, 4), mask=0b001, keepdims=False) == (1,)
    assert shape_of("arg_max", (2, 3, 4), axis=4) == (2, 4)
    with pytest.raises(UnfitError, match="spread"):
        shape_of("reduce_std", (2, 3), mask=0b100)


def test_transposed_convolutions_grow() -> None:
    grow = {"kernel": (3, 2), "strides": (2, 3)}
    assert shape_of("conv2d_transpose", (1, 4, 5, 2), **grow, padding="SAME") == (1, 8, 15, 1)
    assert shape_of("conv2d_transpose", (1, 4, 5, 2), **grow, padding="VALID") == (1, 9, 15, 1)
    padded = {**grow, "output_padding": (1, 2)}
    assert shape_of("conv2d_transpose_padded", (1, 4, 5, 2), **padded, padding="VALID") == (1, 10, 16, 1)
    assert shape_of("conv2d_transpose_padded", (1, 4, 5, 2), **padded, padding="SAME") == (1, 8, 14, 1)
    with pytest.raises(UnfitError, match="no image of 12 becomes one of 5"):
        shape_of("conv2d_transpose_padded", (1, 4, 5, 2), **grow, padding="SAME")


def test_segments() -> None:
    assert shape_of("segment_sum", (7, 2), length=3) == (3, 2)
    assert shape_of("unsorted_segment_sum", (7, 2, 3), segments=5, id_rank=2) == (5, 3)
    with pytest.raises(UnfitError, match="no entries"):
        op = registry()["unsorted_segment_max"]
        attrs = {key: domain.default for key, domain in op.attrs.items()}
        op.type_of([TensorType((7, 2), "float32"), TensorType((2,), "int32")], attrs)
