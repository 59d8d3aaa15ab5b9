"""Operators on plain integers, shapes and types against the runtime's reference kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from fuzzer.reference import UnsupportedError
from tests.reference.builder import Array, Operand, build, codes, compare, tensor

TYPES = ("int8", "uint8", "int16", "int32", "int64", "bool")
ENUM = {"int32": 2, "int64": 4}


def constant(values: Any, dtype: str = "int32") -> Operand:
    """A constant operand."""
    return Operand(dtype, ()).constant(np.array(values, dtype))


@pytest.mark.parametrize("result", TYPES)
@pytest.mark.parametrize("dtype", TYPES)
def test_cast(dtype: str, result: str) -> None:
    random = np.random.default_rng(25)
    fed = tensor(dtype, (20,))
    values = random.random(20) < 0.5 if dtype == "bool" else codes(random, fed)
    compare(build("CAST", [fed], [tensor(result, (20,))], "CastOptions"), {0: values})


@pytest.mark.parametrize("result", ["int32", "int64"])
def test_shape_and_rank(result: str) -> None:
    values = np.zeros((2, 3, 4), np.int8)
    fed = tensor("int8", values.shape, 0.1)
    compare(build("SHAPE", [fed], [tensor(result, (3,))], "ShapeOptions", outType=ENUM[result]), {0: values})
    compare(build("RANK", [fed], [tensor("int32", ())], "RankOptions"), {0: values})


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_fill(dtype: str) -> None:
    scale = (0.1, 0) if dtype in ("int8", "int16") else ()
    content = build(
        "FILL", [constant([2, 3]), tensor(dtype, (), *scale)], [tensor(dtype, (2, 3), *scale)], "FillOptions"
    )
    compare(content, {1: np.array(7, dtype)})


@pytest.mark.parametrize("bounds", [(0, 7, 2), (5, -4, -3), (3, 4, 1)])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_range(dtype: str, bounds: tuple[int, int, int]) -> None:
    operands = [tensor(dtype, ()) for _ in bounds]
    feeds = {place: np.array(bound, dtype) for place, bound in enumerate(bounds)}
    compare(build("RANGE", operands, [tensor(dtype, (1,))], "RangeOptions"), feeds)


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "bool"])
def test_one_hot(dtype: str, axis: int) -> None:
    places = np.array([[0, 2, 1], [4, -1, 3]], np.int32)
    shape = list(places.shape)
    shape.insert(axis if axis >= 0 else 2, 4)
    operands = [tensor("int32", places.shape), constant(4), constant(1, dtype), constant(0, dtype)]
    compare(build("ONE_HOT", operands, [tensor(dtype, shape)], "OneHotOptions", axis=axis), {0: places})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_top_k_with_ties(dtype: str) -> None:
    random = np.random.default_rng(26)
    for count in (1, 3, 6):
        values = random.integers(0, 4, (3, 6)).astype(dtype)
        fed = tensor(dtype, (3, 6))
        content = build("TOPK_V2", [fed, constant(count)], [tensor(dtype, (3, count)), tensor("int32", (3, count))])
        compare(content, {0: values})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_scatter_adds_up(dtype: str) -> None:
    random = np.random.default_rng(27)
    places = np.array([[2, 1], [0, 3], [2, 1]], np.int32)
    fed = tensor(dtype, (3, 2))
    operands = [tensor("int32", places.shape), fed, constant([3, 4, 2])]
    compare(
        build("SCATTER_ND", operands, [tensor(dtype, (3, 4, 2))], "ScatterNdOptions"),
        {0: places, 1: codes(random, fed)},
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_embedding_lookup(dtype: str) -> None:
    random = np.random.default_rng(28)
    table = tensor(dtype, (5, 3), 0.1)
    operands = [tensor("int32", (4,)), table.constant(codes(random, table))]
    content = build("EMBEDDING_LOOKUP", operands, [tensor(dtype, (4, 3), 0.1)])
    compare(content, {0: np.array([4, 0, 0, 2], np.int32)})


def pairs(dtype: str) -> tuple[Array, Array]:
    """All pairs of small signed values and extremes, without zero divisors."""
    info = np.iinfo(dtype)
    left = np.array([info.min, -7, -1, 0, 1, 6, info.max], dtype)
    return left[:, None], np.array([-7, -3, 1, 2, 5, info.max], dtype)


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        *[("FLOOR_DIV", d) for d in ("int8", "int16", "int32")],
        *[("FLOOR_MOD", d) for d in ("int8", "int16", "int32", "int64")],
        *[(op, d) for op in ("BITWISE_XOR", "RIGHT_SHIFT") for d in ("int8", "int16", "int32")],
    ],
)
def test_two_plain_integers(op: str, dtype: str) -> None:
    left, right = pairs(dtype)
    operands = [tensor(dtype, left.shape), tensor(dtype, right.shape)]
    compare(build(op, operands, [tensor(dtype, (7, 6))]), {0: left, 1: right})


def test_add_n_and_zeros() -> None:
    random = np.random.default_rng(29)
    fed = tensor("int32", (2, 3))
    feeds = {place: codes(random, fed) for place in range(3)}
    compare(build("ADD_N", [fed] * 3, [fed], "AddNOptions"), feeds)
    compare(build("ZEROS_LIKE", [fed], [fed], "ZerosLikeOptions"), {0: feeds[0]})


def test_integer_powers() -> None:
    left, right = np.array([[-3], [0], [2], [7]], np.int32), np.array([0, 1, 5, 11], np.int32)
    operands = [tensor("int32", left.shape), tensor("int32", right.shape)]
    compare(build("POW", operands, [tensor("int32", (4, 4))], "PowOptions"), {0: left, 1: right})
    content = build("POW", [operands[0], constant([40])], [tensor("int32", (4, 1))], "PowOptions")
    with pytest.raises(UnsupportedError, match="leaves 32 bits"):
        reference.evaluate(content, {0: left})


def test_a_division_by_zero_is_refused() -> None:
    fed = tensor("int32", (2,))
    content = build("FLOOR_DIV", [fed, constant([1, 0])], [fed])
    assert reference.refusal(content, 0) == "a division by 0"
