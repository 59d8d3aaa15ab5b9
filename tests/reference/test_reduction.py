"""Reductions over all kinds of axes against the runtime's reference kernels; where those are wrong, by name."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Array, Operand, build, codes, compare, runtime, tensor
from tests.reference.unary import builtin, quantisation

QUANTISED, PLAIN = ("int8", "uint8", "int16"), ("int32", "int64")
AXES = ([1, 2], [0], [-1], [2, 1], [0, 1, 2, 3], [1], [3, 0], [1, 1])


def reduction(
    random: np.random.Generator, op: str, dtype: str, turn: int, rescale: bool
) -> tuple[bytes, dict[int, Array]]:
    """A reduction of a random rank-4 tensor; `rescale` gives the result a scale of its own."""
    axes, keep = AXES[turn % len(AXES)], bool(turn % 3)
    shape = tuple(int(size) for size in random.integers(1, 6, 4))
    made_shape = np.zeros(shape).sum(axis=tuple({axis % 4 for axis in axes}), keepdims=keep).shape
    source: tuple[float, int] | None = quantisation(random, dtype) if dtype in QUANTISED else None
    target = source
    if source is not None and rescale:
        target = source[0] * float(10 ** random.uniform(-1, 1.5)), quantisation(random, dtype)[1]
        if op == "REDUCE_PROD":  # such that no running product leaves 32 bits: see the test of int16 products
            source, target = (
                (float(random.uniform(0.001, 0.01)), source[1]),
                (float(random.uniform(0.01, 0.1)), target[1]),
            )
    fed = tensor(dtype, shape, *(source or ()))
    axis = Operand("int32", ()).constant(np.array(axes, np.int32))
    made = tensor(dtype, made_shape, *(target or ()))
    fed_codes = random.random(shape) < 0.5 if dtype == "bool" else codes(random, fed)
    content = build(op, [fed, axis], [made], "ReducerOptions", 1 if dtype == "bool" else 2, keepDims=keep)
    return content, {0: fed_codes}


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        *[("MEAN", dtype) for dtype in (*QUANTISED, *PLAIN)],
        *[("SUM", dtype) for dtype in ("uint8", *PLAIN)],
        *[("REDUCE_PROD", dtype) for dtype in ("int8", *PLAIN)],
        *[(op, dtype) for op in ("REDUCE_MAX", "REDUCE_MIN") for dtype in (*QUANTISED, *PLAIN)],
        ("REDUCE_ANY", "bool"),
        ("REDUCE_ALL", "bool"),
    ],
)
def test_reductions(op: str, dtype: str) -> None:
    random = np.random.default_rng(10)
    for turn in range(32):
        compare(*reduction(random, op, dtype, turn, rescale=op in ("MEAN", "SUM", "REDUCE_PROD")))


def test_the_reference_sum_of_signed_codes_is_wrong_upstream() -> None:
    """Upstream: under BUILTIN_REF SUM reads int8 (and int16) codes as uint8; ours are those of real arithmetic."""
    random = np.random.default_rng(11)
    for dtype in ("int8", "int16"):
        fed, made = tensor(dtype, (4, 6), 0.01, 0), tensor(dtype, (4,), 0.08, 0)
        values = random.integers(-100, -1, (4, 6)).astype(dtype)
        axis = Operand("int32", ()).constant(np.array([1], np.int32))
        content = build("SUM", [fed, axis], [made], "ReducerOptions", 2)
        ours, theirs = reference.evaluate(content, {0: values})[2], runtime(content, {0: values})[2]
        assert np.abs(ours - values.astype(float).sum(1) * 0.01 / 0.08).max() <= 0.51
        assert np.abs(ours.astype(int) - theirs).max() > 10


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_signed_sums_are_within_a_step_of_the_optimised_kernel(dtype: str) -> None:
    """The optimised kernel sums in float32, so it may round a tie to the other side."""
    random = np.random.default_rng(35)
    for turn in range(32):
        content, feeds = reduction(random, "SUM", dtype, turn, rescale=True)
        ours, theirs = reference.evaluate(content, feeds)[2].astype(int), builtin(content, feeds, 2)
        assert np.abs(ours - theirs).max() <= 1, turn


def test_int16_products_agree_until_they_leave_32_bits() -> None:
    """Upstream: running products beyond 32 bits wrap, where real arithmetic saturates."""
    axis = Operand("int32", ()).constant(np.array([1], np.int32))
    fed, made = tensor("int16", (3, 4), 0.01, 0), tensor("int16", (3,), 0.01, 0)
    content = build("REDUCE_PROD", [fed, axis], [made], "ReducerOptions", 2)
    small = np.array([[100, 200, -300, 150], [50, 60, 70, 80], [-90, -100, 110, 120]], np.int16)
    compare(content, {0: small})
    fed, made = tensor("int16", (1, 4), 0.5, 0), tensor("int16", (1,), 0.0001, 0)
    content = build("REDUCE_PROD", [fed, axis], [made], "ReducerOptions", 2)
    large = np.full((1, 4), 30000, np.int16)
    np.testing.assert_array_equal(reference.evaluate(content, {0: large})[2], [32767])
    assert runtime(content, {0: large})[2][0] != 32767


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "bool"])
@pytest.mark.parametrize("op", ["ARG_MAX", "ARG_MIN"])
def test_first_position_of_the_extreme(op: str, dtype: str) -> None:
    random = np.random.default_rng(12)
    for turn in range(9):
        shape = tuple(int(size) for size in random.integers(1, 6, 3))
        axis = turn % 3 - (3 if turn > 5 else 0)
        result, kind = (("int32", 2), ("int64", 4))[turn % 2]
        fed = tensor(dtype, shape, *((0.1, 3) if dtype in QUANTISED else ()))
        values = random.random(shape) < 0.5 if dtype == "bool" else (codes(random, fed) // 60).astype(dtype)
        where = Operand("int32", ()).constant(np.array([axis], np.int32))
        made = tensor(result, np.zeros(shape).sum(axis=axis).shape)
        options = "ArgMaxOptions" if op == "ARG_MAX" else "ArgMinOptions"
        compare(build(op, [fed, where], [made], options, outputType=kind), {0: values})


@pytest.mark.parametrize("dtype", PLAIN)
def test_cumsum(dtype: str) -> None:
    random = np.random.default_rng(13)
    for turn in range(12):
        fed = tensor(dtype, (3, 4, 2))
        axis = Operand("int32", ()).constant(np.array(turn % 3 - 3 * (turn > 5), np.int32))
        fields = {"exclusive": bool(turn & 1), "reverse": bool(turn & 2)}
        compare(build("CUMSUM", [fed, axis], [fed], "CumsumOptions", **fields), {0: codes(random, fed)})


def test_refusals_name_the_reason() -> None:
    axis = Operand("int32", ()).constant(np.array([0], np.int32))
    different = build("REDUCE_MAX", [tensor("int8", (4,), 0.1), axis], [tensor("int8", (), 0.2)], "ReducerOptions")
    assert reference.refusal(different, 0) == "different scales"
    beyond = Operand("int32", ()).constant(np.array([4], np.int32))
    content = build("MEAN", [tensor("int8", (4,), 0.1), beyond], [tensor("int8", (), 0.1)], "ReducerOptions")
    assert "out of range" in reference.refusal(content, 0)
