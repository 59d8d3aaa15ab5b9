"""An error in units in the last place of an output's scale.

One unit is the spacing of the output's dtype at the output's largest exact magnitude: `u * 2^floor(log2(max |truth|))`
with u = 2^-23 for float32 (Goldberg 1991, section 1.2). It says how much of the precision that the format has is lost,
whatever the conditioning of the case; the ratio to the bound says how far beyond rounding that is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array

UNIT = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""One unit in the last place of a number in [1, 2)."""
SMALLEST = 2.0**-126
"""The scale of an output that is zero throughout: the smallest normal float32."""


def ulp_of(actual: Array, true: Array, bound: NDArray[np.float64], dtype: str) -> float:
    """The largest finite error of an output where it is judged (`bound` finite); 0 for dtypes that are no floats."""
    if dtype not in UNIT or actual.shape != true.shape:
        return 0.0
    got, want = actual.astype(np.float64), true.astype(np.float64)
    judged = np.isfinite(bound) & np.isfinite(want) & np.isfinite(got)
    if not judged.any():
        return 0.0
    largest = max(float(np.abs(want[judged]).max()), SMALLEST)
    spacing = UNIT[dtype] * 2.0 ** math.floor(math.log2(largest))
    return float(np.abs(got[judged] - want[judged]).max()) / spacing


def worst_ulp(
    samples: Sequence[Sequence[Array]],
    truths: Sequence[Sequence[Array]],
    bounds: Sequence[Sequence[NDArray[np.float64]]],
    dtypes: Sequence[str],
) -> float:
    """The largest over the outputs of all samples, each on its own scale; four digits of it."""
    found = [
        ulp_of(actual, true, bound, dtype)
        for outputs, exact, limits in zip(samples, truths, bounds, strict=True)
        for actual, true, bound, dtype in zip(outputs, exact, limits, dtypes, strict=True)
    ]
    return float(f"{max(found, default=0.0):.4g}")
