"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV against the runtime's reference kernels, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Array, Operand, build, codes, compare, runtime, tensor

KINDS = [
    ("int8", "int8", "int32"),
    ("int8", "int4", "int32"),
    ("uint8", "uint8", "int32"),
    ("int16", "int8", "int64"),
    ("int16", "int8", "int32"),
]
"""Activation, weight and bias types that the runtime takes together."""
CASES = 12


def _layer(
    random: np.random.Generator,
    kinds: tuple[str, str, str],
    shape: tuple[int, ...],
    axis: int,
    per_axis: bool,
    depth: int,
) -> tuple[float, int, Operand, Operand, float]:
    """Input scale and zero point, weights, bias, and an output scale under which few results saturate."""
    activation, weight, bias = kinds
    units = shape[axis]
    scale = float(random.uniform(0.01, 0.1))
    scales = random.uniform(0.001, 0.01, units if per_axis else 1).astype(np.float32)
    point = 0 if activation == "int16" else int(random.integers(-20, 20)) + (128 if activation == "uint8" else 0)
    weights = Operand(
        weight, shape, scales.tolist(), int(random.integers(100, 150)) if weight == "uint8" else 0, axis
    )
    weights = weights.constant(codes(random, weights))
    half = {"int8": 2**7, "uint8": 2**7, "int16": 2**15}[activation]
    swing = half * 2 ** (3 if weight == "int4" else 7) * np.sqrt(depth) / 3
    drawn = random.integers(-int(swing), int(swing), units).astype(bias)
    summand = Operand(bias, (units,), (np.float32(scale) * scales).tolist(), 0, 0, drawn)
    return scale, point, weights, summand, float(swing * scale * scales.mean() / (half * random.uniform(0.3, 0.6)))


def _result(random: np.random.Generator, dtype: str, shape: tuple[int, ...], scale: float) -> Operand:
    point = 0 if dtype == "int16" else int(random.integers(-30, 30)) + (128 if dtype == "uint8" else 0)
    return tensor(dtype, shape, scale, point)


def _options(random: np.random.Generator, kinds: tuple[str, str, str], bias_type: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = {
        "padding": int(random.integers(0, 2)),
        "strideH": int(random.integers(1, 4)),
        "strideW": int(random.integers(1, 4)),
        "fusedActivationFunction": int(random.integers(0, 4)),
    }
    if kinds[0] == "int16" and kinds[2] == "int32" and bias_type:
        made["quantizedBiasType"] = 2  # TensorType.INT32
    return made


@pytest.mark.slow
@pytest.mark.parametrize("per_axis", [False, True])
@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_conv_2d(kinds: tuple[str, str, str], per_axis: bool) -> None:
    if kinds[0] == "uint8" and per_axis:
        pytest.skip("uint8 weights have one scale")
    random = np.random.default_rng(1)
    for case in range(CASES):
        groups = 2 if case % 4 == 3 and kinds[0] == "int8" else 1
        depth, units = int(random.integers(1, 5)), groups * int(random.integers(1, 4))
        window = (int(random.integers(1, 4)), int(random.integers(1, 4)))
        filters = (units, *window, depth)
        scale, point, weights, bias, spread = _layer(random, kinds, filters, 0, per_axis, depth * window[0] * window[1])
        image = tensor(kinds[0], (2, 7, 8, depth * groups), scale, point)
        options = _options(random, kinds)
        options |= {"dilationHFactor": int(random.integers(1, 3)), "dilationWFactor": int(random.integers(1, 3))}
        operands = [image, weights, bias]
        content = build("CONV_2D", operands, [_result(random, kinds[0], (1,) * 4, spread)], "Conv2DOptions", 5, **options)
        compare(content, {0: codes(random, image)})


@pytest.mark.slow
@pytest.mark.parametrize("per_axis", [False, True])
@pytest.mark.parametrize("kinds", KINDS[:4], ids="-".join)
def test_depthwise_conv_2d(kinds: tuple[str, str, str], per_axis: bool) -> None:
    if kinds[0] == "uint8" and per_axis:
        pytest.skip("uint8 weights have one scale")
    random = np.random.default_rng(2)
    for _ in range(CASES):
        depth, multiplier = int(random.integers(1, 4)), int(random.integers(1, 4))
        window = (int(random.integers(1, 4)), int(random.integers(1, 4)))
        filters = (1, *window, depth * multiplier)
        scale, point, weights, bias, spread = _layer(random, kinds, filters, 3, per_axis, window[0] * window[1])
        image = tensor(kinds[0], (2, 7, 8, depth), scale, point)
        options = _options(random, kinds) | {"depthMultiplier": multiplier}
        options |= {"dilationHFactor": int(random.integers(1, 3)), "dilationWFactor": int(random.integers(1, 3))}
        result = _result(random, kinds[0], (1,) * 4, spread)
        content = build(
            "DEPTHWISE_CONV_2D", [image, weights, bias], [result], "DepthwiseConv2DOptions", 5, **options
        )
        compare(content, {0: codes(random, image)})


@pytest.mark.slow
@pytest.mark.parametrize("per_axis", [False, True])
@pytest.mark.parametrize("kinds", [k for k in KINDS if k[1] != "int4"], ids="-".join)
def test_transpose_conv(kinds: tuple[str, str, str], per_axis: bool) -> None:
    if kinds[0] == "uint8" and per_axis:
        pytest.skip("uint8 weights have one scale")
    random = np.random.default_rng(3)
    for case in range(CASES):
        depth, units = int(random.integers(1, 4)), int(random.integers(1, 4))
        window = (int(random.integers(1, 4)), int(random.integers(1, 4)))
        scale, point, weights, bias, spread = _layer(random, kinds, (units, *window, depth), 0, per_axis, depth)
        options = _options(random, kinds)
        size = (int(random.integers(3, 9)), int(random.integers(3, 9)))
        strides, same = (options["strideH"], options["strideW"]), options["padding"] == 0
        small = [
            max(1, -(-n // s) if same else (n - w + s) // s)
            for n, s, w in zip(size, strides, window, strict=True)
        ]
        image = tensor(kinds[0], (2, *small, depth), scale, point)
        shape = Operand("int32", (4,)).constant(np.array([2, *size, units], np.int32))
        result = _result(random, kinds[0], (2, *size, units), spread)
        operands = [shape, weights, image, bias][: 3 if case % 3 == 2 else 4]
        content = build("TRANSPOSE_CONV", operands, [result], "TransposeConvOptions", 4, **options)
        compare(content, {2: codes(random, image)})
