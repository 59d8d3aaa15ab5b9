"""FULLY_CONNECTED and BATCH_MATMUL against the runtime's reference kernels, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Operand, build, codes, compare, tensor

KINDS = [
    ("int8", "int8", "int32", False),
    ("int8", "int8", "int32", True),
    ("int8", "int4", "int32", False),
    ("int8", "int4", "int32", True),
    ("uint8", "uint8", "int32", False),
    ("int16", "int8", "int64", False),
    ("int16", "int8", "int64", True),
    ("int16", "int8", "int32", True),
    ("int16", "int4", "int64", True),
]
"""Activation, weight and bias types, and whether each unit has its own scale."""


def _point(random: np.random.Generator, dtype: str) -> int:
    return 0 if dtype == "int16" else int(random.integers(-20, 20)) + (128 if dtype == "uint8" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", KINDS, ids=str)
def test_fully_connected(kinds: tuple[str, str, str, bool]) -> None:
    activation, weight, bias, per_axis = kinds
    random = np.random.default_rng(9)
    half = {"int8": 2**7, "uint8": 2**7, "int16": 2**15}[activation]
    for case in range(16):
        depth, units, keep = int(random.integers(1, 24)), int(random.integers(1, 9)), bool(case % 2)
        scale = float(random.uniform(0.01, 0.1))
        scales = random.uniform(0.001, 0.01, units if per_axis else 1).astype(np.float32)
        # Weights of one scale may have a zero point, except 4-bit and 16x8 ones.
        point = {"uint8": 120, "int8": 0 if per_axis or activation == "int16" else 3}.get(weight, 0)
        weights = Operand(weight, (units, depth), scales.tolist(), point)
        weights = weights.constant(codes(random, weights))
        swing = half * 2 ** (3 if weight == "int4" else 7) * np.sqrt(depth) / 3
        drawn = random.integers(-int(swing), int(swing), units).astype(bias)
        summand = Operand(bias, (units,), (np.float32(scale) * scales).tolist(), 0, 0, drawn)
        rows = tensor(activation, (2, 3, depth), scale, _point(random, activation))
        spread = float(swing * scale * scales.mean() / half / random.uniform(0.3, 0.6))
        shape = (2, 3, units) if keep else (6, units)
        result = tensor(activation, shape, spread, _point(random, activation))
        fields: dict[str, Any] = {"keepNumDims": keep, "fusedActivationFunction": case // 4}
        if activation == "int16" and bias == "int32":
            fields["quantizedBiasType"] = 2  # TensorType.INT32
        operands = [rows, weights, summand if case % 3 else None]
        compare(
            build("FULLY_CONNECTED", operands, [result], "FullyConnectedOptions", 9, **fields), {0: codes(random, rows)}
        )


@pytest.mark.slow
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_batch_matmul(dtype: str, constant: bool) -> None:
    random = np.random.default_rng(10)
    half = 2**7 if dtype == "int8" else 2**15
    batches: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((), ()),
        ((2,), ()),
        ((2, 1), (3,)),
        ((1, 2, 1), (3, 1, 2)),
    ]
    for case in range(16):
        flip_x, flip_y = bool(case % 2), bool(case // 2 % 2)
        m, k, n = (int(d) for d in random.integers(1, 6, 3))
        before, behind = batches[case // 4]
        one, two = (float(s) for s in random.uniform(0.01, 0.1, 2))
        left = tensor(dtype, (*before, *((k, m) if flip_x else (m, k))), one, _point(random, dtype))
        right = tensor(dtype, (*behind, *((n, k) if flip_y else (k, n))), two, _point(random, dtype))
        feeds = {0: codes(random, left)}
        if constant:
            right = right.constant(codes(random, right))
        else:
            feeds[1] = codes(random, right)
        shape = (*np.broadcast_shapes(before, behind), m, n)
        result = tensor(dtype, shape, one * two * half * float(np.sqrt(k)) / 1.5, _point(random, dtype))
        fields = {"adjX": flip_x, "adjY": flip_y}
        compare(build("BATCH_MATMUL", [left, right], [result], "BatchMatMulOptions", 3, **fields), feeds)


@pytest.mark.slow
def test_batch_matmul_of_codes() -> None:
    random = np.random.default_rng(17)
    left, right = tensor("int8", (2, 3, 5)), tensor("int8", (5, 4))
    content = build("BATCH_MATMUL", [left, right], [tensor("int32", (2, 3, 4))], "BatchMatMulOptions", 3)
    compare(content, {0: codes(random, left), 1: codes(random, right)})


def test_an_int32_bias_of_int16_is_what_it_says() -> None:
    """Without `quantizedBiasType` the runtime (TensorFlow 2.21) reads an int32 bias as int64: garbage, not run here."""
    rows, weights = tensor("int16", (4, 3), 0.01), Operand("int8", (2, 3), 0.01)
    weights = weights.constant(np.array([[1, -2, 3], [4, 5, -6]], np.int8))
    feeds = {0: np.arange(12, dtype=np.int16).reshape(4, 3) * 1000}
    found = []
    for bias in ("int32", "int64"):
        summand = Operand(bias, (2,), 0.0001).constant(np.array([30000, -70000], bias))
        content = build(
            "FULLY_CONNECTED", [rows, weights, summand], [tensor("int16", (4, 2), 0.001)], "FullyConnectedOptions", 9
        )
        found.append(reference.evaluate(content, feeds)[3].tolist())
    assert found[0] == found[1]
    # Codes 0, 1000, 2000 times 1, -2, 3 are 4000, plus 30000, times 0.0001 / 0.001.
    assert found[0][0][0] == 3400


def test_products_beyond_32_bits_saturate() -> None:
    """The runtime (TensorFlow 2.21) gives -32768 for both signs: its conversion from double has no check."""
    rows, weights = tensor("int16", (1, 1), 1.0), Operand("int8", (2, 1), 1.0).constant(np.ones((2, 1), np.int8))
    for value in (10**12, 1 << 40):
        bias = Operand("int64", (2,)).constant(np.array([value, -value], np.int64))
        result = [tensor("int16", (1, 2), 0.5)]
        content = build("FULLY_CONNECTED", [rows, weights, bias], result, "FullyConnectedOptions", 9)
        assert reference.evaluate(content, {0: np.ones((1, 1), np.int16)})[3].tolist() == [[32767, -32768]]


@pytest.mark.parametrize(
    ("operands", "reason"),
    [
        ([tensor("int8", (1, 4), 0.1), Operand("int8", (2, 4), (0.1, 0.2), (1, 0))], "zero point"),
        ([tensor("int8", (1, 4), 0.1), Operand("int8", (2, 4), (0.1, 0.2), 0, 1)], "axis 1"),
        ([tensor("int8", (1, 4), 0.1), Operand("float32", (2, 4))], "float32"),
        ([tensor("float32", (1, 4)), Operand("int8", (2, 4), 0.1)], "float32"),
        ([tensor("int8", (1, 5), 0.1), Operand("int8", (2, 4), 0.1)], "shapes"),
    ],
)
def test_refusals(operands: list[Operand], reason: str) -> None:
    weights = operands[1]
    constant = weights.constant(np.ones(weights.shape, weights.dtype))
    content = build(
        "FULLY_CONNECTED", [operands[0], constant], [tensor(operands[0].dtype, (1, 2), 0.1)], "FullyConnectedOptions", 9
    )
    assert reason in reference.refusal(content, 0)
    with pytest.raises(reference.UnsupportedError, match="FULLY_CONNECTED"):
        reference.evaluate(content, {0: np.ones(operands[0].shape, operands[0].dtype)})
