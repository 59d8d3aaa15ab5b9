"""ADD, SUB, MUL, DIV, SQUARED_DIFFERENCE, MAXIMUM and MINIMUM against the runtime's reference kernels, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Array, Operand, build, codes, compare, runtime, tensor

VERSIONS = {"ADD": 4, "SUB": 5, "MUL": 7, "DIV": 2, "SQUARED_DIFFERENCE": 2, "MAXIMUM": 4, "MINIMUM": 4}
OPTIONS = {
    **{"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"},
    **{"SQUARED_DIFFERENCE": "SquaredDifferenceOptions"},
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "MaximumMinimumOptions"),
}
SCALES = [
    ((0.05, 3), (0.07, -10), (0.1, 5)),
    ((0.5, 0), (0.001, 127), (0.4, -128)),
    ((0.02, -1), (0.02, -1), (0.02, -1)),
]
"""Scale and zero point of both operands and of the result."""
SHAPES = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((1, 3, 1), (2, 1, 4)), ((7,), (1,))]


def _binary(op: str, operands: list[Operand], result: Operand, **fields: Any) -> bytes:
    return build(op, operands, [result], OPTIONS[op], VERSIONS[op], **fields)


def _all_pairs() -> dict[int, Array]:
    every = np.arange(-128, 128, dtype=np.int8)
    return {0: np.repeat(every, 256), 1: np.tile(every, 256)}


@pytest.mark.slow
@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"])
def test_every_pair_of_int8_codes(op: str, scales: tuple[tuple[float, int], ...]) -> None:
    one, two, result = (tensor("int8", (65536,), *quantisation) for quantisation in scales)
    found = compare(_binary(op, [one, two], result), _all_pairs())[2]
    assert len(np.unique(found)) > 40  # not all saturated


def _quantisation(random: np.random.Generator, dtype: str) -> tuple[float, int]:
    points = {"int8": (-20, 20), "uint8": (100, 150)}.get(dtype, (0, 1))
    return float(np.exp(random.uniform(-4, 1))), int(random.integers(*points))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
def test_random_scales_activations_and_broadcasting(op: str, dtype: str) -> None:
    random = np.random.default_rng(4)
    for case in range(16):
        shapes = SHAPES[case % 4]
        one, two = (tensor(dtype, shape, *_quantisation(random, dtype)) for shape in shapes)
        result = tensor(dtype, np.broadcast_shapes(*shapes), *_quantisation(random, dtype))
        fields = {"fusedActivationFunction": case // 4}
        fields |= {"potScaleInt16": bool(case % 2)} if op != "MUL" else {}
        compare(_binary(op, [one, two], result, **fields), {0: codes(random, one), 1: codes(random, two)})


@pytest.mark.slow
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_int16_with_scales_that_are_powers_of_two(op: str) -> None:
    random = np.random.default_rng(5)
    for shift in range(0, 16):
        scales = [2.0**-8, 2.0 ** (-8 - shift)][:: 1 if shift % 2 else -1]
        one, two = (tensor("int16", (500,), scale, 0) for scale in scales)
        content = _binary(op, [one, two], tensor("int16", (500,), 2.0**-8, 0), fusedActivationFunction=shift % 4)
        compare(content, {0: codes(random, one), 1: codes(random, two)})


def test_int16_powers_of_two_broadcast() -> None:
    """The runtime (TensorFlow 2.21) forgets to broadcast ADD there and writes past its buffers; not run."""
    one, two = tensor("int16", (2, 3), 0.5), tensor("int16", (3,), 0.25)
    feeds = {0: np.array([[1, 2, 3], [32767, -5, 0]], np.int16), 1: np.array([2, 5, -6], np.int16)}
    found = reference.evaluate(_binary("ADD", [one, two], tensor("int16", (2, 3), 0.5)), feeds)[2]
    assert found.tolist() == [[2, 5, 0], [32767, -2, -3]]


@pytest.mark.slow
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "DIV", "SQUARED_DIFFERENCE"])
def test_plain_integers_wrap(op: str) -> None:
    random = np.random.default_rng(6)
    for case in range(8):
        shapes = SHAPES[case % 4]
        one, two = (tensor("int32", shape) for shape in shapes)
        feeds = {0: codes(random, one), 1: codes(random, two)}
        if op == "DIV":
            feeds[0], feeds[1] = np.where(feeds[0] == -(2**31), 1, feeds[0]), np.where(feeds[1] == 0, 3, feeds[1])
        fields = {} if op == "SQUARED_DIFFERENCE" else {"fusedActivationFunction": case % 4}
        compare(_binary(op, [one, two], tensor("int32", np.broadcast_shapes(*shapes)), **fields), feeds)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
@pytest.mark.parametrize("op", ["MAXIMUM", "MINIMUM"])
def test_maximum_and_minimum(op: str, dtype: str) -> None:
    random = np.random.default_rng(7)
    quantisation = _quantisation(random, dtype) if dtype in ("int8", "uint8", "int16") else ()
    for shapes in SHAPES:
        one, two = (tensor(dtype, shape, *quantisation) for shape in shapes)
        content = _binary(op, [one, two], tensor(dtype, np.broadcast_shapes(*shapes), *quantisation))
        compare(content, {0: codes(random, one), 1: codes(random, two)})


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_div(dtype: str) -> None:
    """Bit for bit while the quotient is at least half a step; below that the runtime shifts by 32 bits and more.

    There TensorFlow 2.21 gives the smallest or largest code, or the zero point plus one; the reference gives the code
    nearest to the real quotient, which is within one step of the zero point.
    """
    random = np.random.default_rng(8)
    agreed = 0
    for _ in range(12):
        one, two, result = (tensor(dtype, (300,), *_quantisation(random, dtype)) for _ in range(3))
        feeds = {0: codes(random, one), 1: codes(random, two)}
        unfit = (feeds[1] == two.zero_point) | (feeds[1] == 0)
        feeds[1] = np.where(unfit, two.zero_point + 1 or 1, feeds[1]).astype(dtype)
        content = _binary("DIV", [one, two], result)
        found, ours = runtime(content, feeds)[2], reference.evaluate(content, feeds)[2]
        real = (feeds[0].astype(np.float64) - one.zero_point) / (feeds[1].astype(np.float64) - two.zero_point)
        assert isinstance(one.scale, float) and isinstance(two.scale, float) and isinstance(result.scale, float)
        steps = real * one.scale / two.scale / result.scale
        exact = np.clip(np.round(steps) + result.zero_point, np.iinfo(dtype).min, np.iinfo(dtype).max)
        assert np.abs(ours - exact).max() <= 1
        sure = np.abs(steps) >= 1
        assert (ours[sure] == found[sure]).all()
        agreed += int(sure.sum())
    assert agreed > 500


@pytest.mark.parametrize(
    ("op", "operands", "reason"),
    [
        ("ADD", [tensor("float32", (2,)), tensor("float32", (2,))], "float32 is not a type"),
        ("ADD", [tensor("int8", (2,), 0.1), tensor("uint8", (2,), 0.1)], "two types"),
        ("ADD", [tensor("int8", (2,), 1e9), tensor("int8", (2,), 0.1)], "aborts"),
        ("MUL", [tensor("int16", (2,), 0.1, 5), tensor("int16", (2,), 0.1)], "zero point"),
        ("MAXIMUM", [tensor("int8", (2,), 0.1), tensor("int8", (2,), 0.2)], "different quantisation"),
        ("DIV", [tensor("uint8", (2,), 0.1, 3), tensor("uint8", (2,), 0.1, 0).constant(np.zeros(2, np.uint8))], "zero"),
    ],
)
def test_refusals(op: str, operands: list[Operand], reason: str) -> None:
    first = operands[0]
    result = tensor(first.dtype, (2,), 0.1 if first.scale else None)
    assert reason in reference.refusal(_binary(op, operands, result), 0)
