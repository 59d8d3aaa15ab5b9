"""Clamps and slopes: every code of every type, over scales, against the runtime's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reference.builder import build, codes, compare, tensor
from tests.reference.unary import agree, every_code, quantisation

EIGHT, ALL = ("int8", "uint8"), ("int8", "uint8", "int16")
CASES = [
    *[(op, dtype) for op in ("RELU", "RELU6", "LEAKY_RELU") for dtype in ALL],
    *[(op, dtype) for op in ("RELU_N1_TO_1", "RELU_0_TO_1", "HARD_SWISH") for dtype in EIGHT],
]


@pytest.mark.parametrize(("op", "dtype"), CASES)
def test_every_code(op: str, dtype: str) -> None:
    random = np.random.default_rng(7)
    for turn in range(4 if dtype == "int16" else 16):
        source = quantisation(random, dtype)
        ratio = 1.0 if turn % 4 == 0 else float(10 ** random.uniform(-1.5, 1.5))
        target = source[0] * ratio, source[1] if turn % 4 == 0 else quantisation(random, dtype)[1]
        if op == "LEAKY_RELU":
            alpha = float(random.choice([0.2, 0.01, -0.5, 1.7, 0.0]))
            agree(op, every_code(dtype), source, target, "LeakyReluOptions", alpha=alpha)
        else:
            agree(op, every_code(dtype), source, target)


@pytest.mark.parametrize("dtype", EIGHT)
@pytest.mark.parametrize("slope", [(1, 1, 5), (3, 4, 5), (2, 3, 4, 5), (5,), (1, 1, 1)])
def test_prelu(dtype: str, slope: tuple[int, ...]) -> None:
    random = np.random.default_rng(8)
    for turn in range(4):
        fed, alpha, made = (tensor(dtype, s, *quantisation(random, dtype)) for s in ((2, 3, 4, 5), slope, (2, 3, 4, 5)))
        feeds = {0: codes(random, fed)}
        if turn % 2:
            alpha = alpha.constant(codes(random, alpha))
        else:
            feeds[1] = codes(random, alpha)
        compare(build("PRELU", [fed, alpha], [made]), feeds)
