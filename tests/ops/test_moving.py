"""Shape rules with branches of the families that move elements."""

from __future__ import annotations

from typing import Any

import pytest

from fuzzer.errors import UnfitError
from fuzzer.ops import TensorType, registry


def shape_of(name: str, *shapes: tuple[int, ...], **attrs: Any) -> tuple[int, ...]:
    """The result's shape of float32 operands; attributes not given are plain."""
    op = registry()[name]
    plain = {key: domain.default for key, domain in op.attrs.items()}
    return op.type_of([TensorType(shape, "float32") for shape in shapes], {**plain, **attrs}).shape


@pytest.mark.parametrize(
    ("attrs", "shape"),
    [
        ({}, (4, 5, 6)),
        ({"begin": (1,) * 6, "end": (-1,) * 6, "begin_mask": 0, "end_mask": 0, "count": 3}, (2, 3, 4)),
        ({"strides": (-2,) * 6, "count": 2}, (2, 3, 6)),
        ({"ellipsis": 1, "count": 2, "shrink_axis_mask": 2}, (4, 5)),
        ({"new_axis_mask": 1, "count": 2}, (1, 4, 5, 6)),
        ({"begin": (-1, 0, 0, 0, 0, 0), "shrink_axis_mask": 1}, (5, 6)),
        ({"end": (9,) * 6, "end_mask": 0}, (4, 5, 6)),
        ({"count": 3, "ellipsis": 2, "new_axis_mask": 5}, (1, 4, 5, 6, 1)),
    ],
)
def test_strided_slice(attrs: dict[str, Any], shape: tuple[int, ...]) -> None:
    assert shape_of("strided_slice", (4, 5, 6), **attrs) == shape


@pytest.mark.parametrize(
    "attrs",
    [
        {"strides": (0,) * 6},
        {"count": 4},
        {"begin": (4,) * 6, "begin_mask": 0, "shrink_axis_mask": 1},
        {"strides": (-1,) * 6, "shrink_axis_mask": 1},
        {"begin": (2,) * 6, "end": (2,) * 6, "begin_mask": 0, "end_mask": 0},
    ],
)
def test_a_strided_slice_that_leaves_nothing_or_does_not_fit(attrs: dict[str, Any]) -> None:
    with pytest.raises(UnfitError):
        shape_of("strided_slice", (4, 5, 6), **attrs)


def test_sizes_follow_the_operand() -> None:
    assert shape_of("slice", (8, 3), begin=(4, 7, 0, 0, 0, 0), size=(4, 0, 8, 8, 8, 8)) == (2, 1)
    assert shape_of("split", (2, 12), parts=1) == (2, 4)
    assert shape_of("split_v", (2, 8), cuts=(6, 1, 3), pick=2) == (2, 3)
    assert shape_of("squeeze", (1, 3, 1), which=1) == (1, 3)
    assert shape_of("reshape_infer", (2, 3, 4), keep=1, axis=0) == (6, 4)
    assert shape_of("mirror_pad", (2, 5), before=(4, 4, 0, 0, 0, 0), after=(0,) * 6) == (3, 9)
    assert shape_of("gather", (2, 3, 4), axis=1, batch=1, index_rank=2, dims=(5, 6)) == (2, 5, 6, 4)


def test_blocks() -> None:
    assert shape_of("space_to_depth", (1, 12, 6, 2), block=1) == (1, 4, 2, 18)
    assert shape_of("depth_to_space", (1, 2, 3, 16), block=1) == (1, 8, 12, 1)
    assert shape_of("depth_to_space", (1, 2, 3, 5)) == (1, 4, 6, 5)
    assert shape_of("space_to_batch_nd", (1, 5, 4, 2), blocks=(2, 3), before=(1, 0)) == (6, 3, 2, 2)
    assert shape_of("batch_to_space_nd", (6, 3, 2, 2), blocks=(2, 3), before=(1, 0), after=(0, 2)) == (1, 5, 4, 2)
    assert shape_of("batch_to_space_nd", (5, 3, 2, 2), blocks=(2, 3)) == (5, 3, 2, 2)
