"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV against the runtime's reference kernels, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Array, Operand, build, codes, compare, tensor

KINDS = [
    ("int8", "int8", "int32"),
    ("int8", "int4", "int32"),
    ("uint8", "uint8", "int32"),
    ("int16", "int8", "int64"),
    ("int16", "int8", "int32"),
]
"""Activation, weight and bias types that the runtime takes together."""
LAYERS = [(kinds, per_axis) for kinds in KINDS for per_axis in (False, True) if not (per_axis and kinds[0] == "uint8")]
"""With one scale for all weights or one a channel; uint8 weights have one."""
CASES = 12


def _tell(results: list[Array]) -> bool:
    """Whether results are codes between the bounds for the most part, so that each one tells something."""
    together = np.concatenate([r.reshape(-1) for r in results])
    low, high = np.iinfo(together.dtype).min, np.iinfo(together.dtype).max
    return bool(((together > low) & (together < high)).mean() > 0.5)


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
    weights = Operand(weight, shape, scales.tolist(), int(random.integers(100, 150)) if weight == "uint8" else 0, axis)
    weights = weights.constant(codes(random, weights))
    half = {"int8": 2**7, "uint8": 2**7, "int16": 2**15}[activation]
    swing = half * 2 ** (3 if weight == "int4" else 7) * np.sqrt(depth) / 3
    drawn = random.integers(-int(swing), int(swing), units).astype(bias)
    summand = Operand(bias, (units,), (np.float32(scale) * scales).tolist(), 0, 0, drawn)
    return scale, point, weights, summand, float(swing * scale * scales.mean() / (half * random.uniform(0.3, 0.6)))


def _result(random: np.random.Generator, dtype: str, shape: tuple[int, ...], scale: float) -> Operand:
    point = 0 if dtype == "int16" else int(random.integers(-30, 30)) + (128 if dtype == "uint8" else 0)
    return tensor(dtype, shape, scale, point)


def _options(random: np.random.Generator, kinds: tuple[str, str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "padding": int(random.integers(0, 2)),
        "strideH": int(random.integers(1, 4)),
        "strideW": int(random.integers(1, 4)),
        "fusedActivationFunction": int(random.integers(0, 4)),
    }
    if kinds[0] == "int16" and kinds[2] == "int32":
        made["quantizedBiasType"] = 2  # TensorType.INT32
    return made


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "per_axis"), LAYERS, ids=str)
def test_conv_2d(kinds: tuple[str, str, str], per_axis: bool) -> None:
    random, results = np.random.default_rng(1), []
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
        content = build(
            "CONV_2D", operands, [_result(random, kinds[0], (1,) * 4, spread)], "Conv2DOptions", 5, **options
        )
        results.append(compare(content, {0: codes(random, image)})[3])
    assert _tell(results)


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "per_axis"), [p for p in LAYERS if p[0] != KINDS[-1]], ids=str)
def test_depthwise_conv_2d(kinds: tuple[str, str, str], per_axis: bool) -> None:
    random, results = np.random.default_rng(2), []
    for _ in range(CASES):
        depth, multiplier = int(random.integers(1, 4)), int(random.integers(1, 4))
        window = (int(random.integers(1, 4)), int(random.integers(1, 4)))
        filters = (1, *window, depth * multiplier)
        scale, point, weights, bias, spread = _layer(random, kinds, filters, 3, per_axis, window[0] * window[1])
        image = tensor(kinds[0], (2, 7, 8, depth), scale, point)
        options = _options(random, kinds) | {"depthMultiplier": multiplier}
        options |= {"dilationHFactor": int(random.integers(1, 3)), "dilationWFactor": int(random.integers(1, 3))}
        result = _result(random, kinds[0], (1,) * 4, spread)
        content = build("DEPTHWISE_CONV_2D", [image, weights, bias], [result], "DepthwiseConv2DOptions", 5, **options)
        results.append(compare(content, {0: codes(random, image)})[3])
    assert _tell(results)


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "per_axis"), [p for p in LAYERS if p[0][1] != "int4"], ids=str)
def test_transpose_conv(kinds: tuple[str, str, str], per_axis: bool) -> None:
    random, results = np.random.default_rng(3), []
    for case in range(CASES):
        depth, units = int(random.integers(1, 4)), int(random.integers(1, 4))
        window = (int(random.integers(1, 4)), int(random.integers(1, 4)))
        scale, point, weights, bias, spread = _layer(random, kinds, (units, *window, depth), 0, per_axis, depth)
        options = _options(random, kinds)
        size = (int(random.integers(3, 9)), int(random.integers(3, 9)))
        strides, same = (options["strideH"], options["strideW"]), options["padding"] == 0
        small = [
            max(1, -(-n // s) if same else (n - w + s) // s) for n, s, w in zip(size, strides, window, strict=True)
        ]
        image = tensor(kinds[0], (2, *small, depth), scale, point)
        shape = Operand("int32", (4,)).constant(np.array([2, *size, units], np.int32))
        result = _result(random, kinds[0], (2, *size, units), spread)
        operands = [shape, weights, image, bias][: 3 if case % 3 == 2 else 4]
        content = build("TRANSPOSE_CONV", operands, [result], "TransposeConvOptions", 4, **options)
        results.append(compare(content, {2: codes(random, image)})[len(operands)])
    assert _tell(results)


@pytest.mark.parametrize(
    ("image", "filters", "reason"),
    [
        (tensor("int8", (1, 4, 4, 3), 0.1), Operand("int8", (2, 1, 1, 2), 0.1), "3 channels under a filter of 2"),
        (tensor("int8", (1, 4, 4, 2), 0.1), Operand("int8", (2, 1, 1, 2), 0.1, 7), "zero point"),
        (tensor("int16", (1, 4, 4, 2), 0.1, 3), Operand("int8", (2, 1, 1, 2), 0.1), "zero point"),
        (tensor("int16", (1, 4, 4, 2), 0.1), Operand("int16", (2, 1, 1, 2), 0.1), "int16 is not a type"),
        (tensor("int8", (1, 4, 4, 2), 0.1), Operand("int8", (2, 9, 9, 2), 0.1), "without padding"),
        (tensor("float32", (1, 4, 4, 2)), Operand("float32", (2, 1, 1, 2)), "float32 is not a type"),
    ],
)
def test_refusals(image: Operand, filters: Operand, reason: str) -> None:
    weights = filters.constant(np.ones(filters.shape, filters.dtype))
    result = tensor(image.dtype, (1, 4, 4, 2), 0.1)
    content = build("CONV_2D", [image, weights, None], [result], "Conv2DOptions", 5, padding=1, strideH=1, strideW=1)
    assert reason in reference.refusal(content, 0)


def test_padding_stands_for_the_real_zero() -> None:
    """Beside the image a sum gets nothing, whatever the zero point."""
    image = tensor("int8", (1, 1, 2, 1), 1.0, 10)
    weights = Operand("int8", (1, 1, 3, 1), 1.0).constant(np.array([[[[1], [10], [100]]]], np.int8))
    fields = {"padding": 0, "strideH": 1, "strideW": 1}
    content = build(
        "CONV_2D", [image, weights, None], [tensor("int8", (1, 1, 2, 1), 10.0, 0)], "Conv2DOptions", 5, **fields
    )
    found = reference.evaluate(content, {0: np.array([11, 12], np.int8).reshape(1, 1, 2, 1)})[3]
    # 10 * 1 + 100 * 2 = 210; 1 * 1 + 10 * 2 = 21; both in steps of 10.
    assert found.reshape(-1).tolist() == [21, 2]


def test_only_the_quotient_of_scales_counts() -> None:
    """Scales far from 1, as calibration makes of huge or tiny ranges, are computed as any others."""
    codes_in = np.arange(4, dtype=np.int8).reshape(1, 2, 2, 1)
    weights = Operand("int8", (1, 1, 1, 1), 0.5).constant(np.full((1, 1, 1, 1), 3, np.int8))
    for scale in (1e-30, 1.0, 1e30):
        image, result = tensor("int8", (1, 2, 2, 1), scale), tensor("int8", (1, 2, 2, 1), scale)
        content = build("CONV_2D", [image, weights, None], [result], "Conv2DOptions", 5, strideH=1, strideW=1)
        assert reference.evaluate(content, {0: codes_in})[3].reshape(-1).tolist() == [0, 2, 3, 5]
