"""Shapes of constants and results, worked out by hand."""

from __future__ import annotations

import pytest

from fuzzer.errors import UnfitError
from fuzzer.ops import TensorType, Value, registry
from fuzzer.ops.broadcasting import broadcast, stand_in


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ((), (), ()),
        ((2, 3), (), (2, 3)),
        ((3,), (2, 1), (2, 3)),
        ((1, 5, 1), (4, 1, 6), (4, 5, 6)),
        ((0, 3), (1, 1), (0, 3)),
        ((1,), (0,), (0,)),
    ],
)
def test_broadcast(left: tuple[int, ...], right: tuple[int, ...], result: tuple[int, ...]) -> None:
    assert broadcast(left, right) == broadcast(right, left) == result


@pytest.mark.parametrize(("left", "right"), [((2,), (3,)), ((2, 3), (2,)), ((0,), (2,))])
def test_what_does_not_broadcast(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    with pytest.raises(UnfitError):
        broadcast(left, right)


@pytest.mark.parametrize(
    ("shape", "rank", "mask", "wide", "constant"),
    [
        ((2, 3, 4), 0, 0, 1, ()),
        ((2, 3, 4), 2, 0, 1, (3, 4)),
        ((2, 3, 4), 3, 0b010, 1, (2, 1, 4)),
        ((2, 3, 4), 2, 0b11, 5, (1, 1)),
        ((2, 1, 4), 3, 0, 5, (2, 5, 4)),
        ((3,), 3, 0b100, 2, (1, 2, 3)),
        ((), 2, 0, 3, (3, 3)),
    ],
)
def test_the_constant_that_stands_in(
    shape: tuple[int, ...], rank: int, mask: int, wide: int, constant: tuple[int, ...]
) -> None:
    assert stand_in(shape, rank, mask, wide) == constant
    broadcast(shape, constant)


def _type(op: str, operands: list[TensorType], **attrs: Value) -> TensorType:
    spec = registry()[op]
    return spec.type_of(operands, {**{k: d.default for k, d in spec.attrs.items()}, **attrs})


def test_where_broadcasts_three_ways() -> None:
    operands = [TensorType((3, 1), "float32"), TensorType((5,), "float32"), TensorType((2, 1, 1), "bool")]
    assert _type("where", operands) == TensorType((2, 3, 5), "float32")
    assert _type("where", operands[:1], const_rank=2, const_wide=4, mask_rank=3) == TensorType((4, 3, 4), "float32")


def test_select_takes_one_condition_a_row_and_no_other_vector() -> None:
    x = TensorType((2, 3), "int32")
    assert _type("select", [x, x, TensorType((2,), "bool")]) == x
    with pytest.raises(UnfitError):
        _type("select", [x, x, TensorType((3,), "bool")])
    with pytest.raises(UnfitError):
        _type("select", [x, TensorType((2, 1), "int32")])


@pytest.mark.parametrize(
    ("x", "dtype", "result"),
    [
        (TensorType((2, 3), "float32"), "int32", (2, 3)),
        (TensorType((2, 3), "float32"), "uint8", (2, 3, 4)),
        (TensorType((2, 4), "int8"), "float32", (2,)),
        (TensorType((2,), "int32"), "int64", ()),
        (TensorType((), "int64"), "int16", (4,)),
    ],
)
def test_bitcast(x: TensorType, dtype: str, result: tuple[int, ...]) -> None:
    assert _type("bitcast", [x], dtype=dtype) == TensorType(result, dtype)


@pytest.mark.parametrize("x", [TensorType((2, 3), "int8"), TensorType((), "int8")])
def test_bitcast_needs_whole_elements(x: TensorType) -> None:
    with pytest.raises(UnfitError):
        _type("bitcast", [x], dtype="int32")


def test_glu_halves_an_axis() -> None:
    assert _type("glu", [TensorType((2, 6, 3), "float32")], axis=2) == TensorType((2, 3, 3), "float32")
    with pytest.raises(UnfitError):
        _type("glu", [TensorType((2, 6, 3), "float32")], axis=1)
    with pytest.raises(UnfitError):
        _type("glu", [TensorType((2,), "float32")], axis=2)


def test_shared_axes_of_prelu_exist() -> None:
    x = TensorType((2, 5, 6, 3), "float32")
    (alpha,) = registry()["prelu"].weights([x], {"shared": (1, 1, 0, 0, 0)})
    assert alpha.type.shape == (1, 1, 3)
    with pytest.raises(UnfitError):
        _type("prelu", [x], shared=(0, 0, 0, 1, 0))
