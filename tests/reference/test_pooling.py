"""AVERAGE_POOL_2D and MAX_POOL_2D against the runtime's reference kernels, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import build, codes, compare, tensor


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_random_windows(op: str, dtype: str) -> None:
    random = np.random.default_rng(11)
    for case in range(24):
        window = [int(w) for w in random.integers(1, 4, 2)]
        size = [int(random.integers(w, 9)) for w in window]
        scale, point = (
            (0.0005, 0) if dtype == "int16" else (float(random.uniform(0.02, 0.2)), int(random.integers(0, 30)))
        )
        image = tensor(dtype, (2, *size, 3), scale, point)
        fields = {
            "padding": case % 2,
            "filterHeight": window[0],
            "filterWidth": window[1],
            "strideH": int(random.integers(1, 4)),
            "strideW": int(random.integers(1, 4)),
            "fusedActivationFunction": case // 2 % 4,
        }
        content = build(op, [image], [tensor(dtype, (1,) * 4, scale, point)], "Pool2DOptions", 3, **fields)
        compare(content, {0: codes(random, image)})


def test_a_mean_rounds_away_from_code_zero() -> None:
    """Ties of the codes themselves, whatever the zero point: (-1 - 2) / 2 = -2, (1 + 2) / 2 = 2."""
    image = tensor("int8", (1, 1, 4, 1), 1.0, 10)
    fields = {"padding": 1, "filterHeight": 1, "filterWidth": 2, "strideH": 1, "strideW": 2}
    content = build("AVERAGE_POOL_2D", [image], [tensor("int8", (1, 1, 2, 1), 1.0, 10)], "Pool2DOptions", 3, **fields)
    found = reference.evaluate(content, {0: np.array([-1, -2, 1, 2], np.int8).reshape(1, 1, 4, 1)})[1]
    assert found.reshape(-1).tolist() == [-2, 2]


def test_different_quantisation_is_refused() -> None:
    image = tensor("int8", (1, 2, 2, 1), 1.0, 10)
    fields = {"filterHeight": 1, "filterWidth": 1, "strideH": 1, "strideW": 1}
    content = build("MAX_POOL_2D", [image], [tensor("int8", (1, 2, 2, 1), 0.5, 10)], "Pool2DOptions", 3, **fields)
    assert reference.refusal(content, 0) == "input and output of different quantisation"
