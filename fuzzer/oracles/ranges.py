"""Numbers that no format promises anything about: what a case feeds decides whether its result can be judged.

Nothing here is a list of cases. The rules, each with its source:

- TFLite's built-in kernels clamp every float result to the finite range, also where there is no activation
  (`CalculateActivationRange`, kernel_util.h: lowest() to max()), and take `std::min` and `std::max` of NaN as they
  come; XNNPACK keeps infinities and NaN. No number is promised, so what comes of NaN, of infinity, or of a sum that
  overflows in one order and not in another, is no wrong value. Where TensorFlow defines whether it is NaN, infinite or
  finite, `fuzzer.oracles.special_values` says so, and a difference is a finding of its own kind off the main list.
- A float that is NaN, or beyond an integer type, has no value in it (C++20, 7.3.10).
- Denormals may be flushed to zero: TensorFlow sets FTZ and DAZ on its own threads (port::ScopedFlushDenormal).
- What the quantiser makes of representative data or constants with NaN or infinity is no quantisation of anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzer.build import Array
from fuzzer.execute.record import CaseRun

MARGIN = 1e3
"""Sums are held to be safe from overflow while their result is this much smaller than the largest number."""
TINY = float(np.finfo(np.float32).tiny)
"""The smallest normal float32; what is smaller may be zero."""
LARGEST = {
    "float64": 1.7976931348623157e308,
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": 3.4028234663852886e38,
}


def limit(dtype: str) -> float:
    """The magnitude up to which a result of a float type is far from overflow."""
    return LARGEST.get(dtype, LARGEST["float32"]) / MARGIN


def finite(value: Any) -> bool:
    """Whether a tensor of floats has neither NaN nor infinity; other tensors have none."""
    return value.dtype.kind not in "fc" or bool(np.all(np.isfinite(value)))


def flushed(value: Array) -> Array:
    """The tensor with denormal numbers taken as zero."""
    if value.dtype.kind != "f":
        return value
    result: Array = np.where(np.abs(value) < TINY, np.zeros((), value.dtype), value)
    return result


def fits(numbers: Array, dtype: str) -> bool:
    """Whether all floats have a value in an integer type."""
    bounds = np.iinfo(dtype)
    wide = numbers.astype(np.float64)
    return bool(np.all((wide >= bounds.min) & (wide <= bounds.max)))


def spoilt_calibration(record: CaseRun) -> bool:
    """Whether the quantiser sees NaN or infinity: in the representative data, which contain the samples, or in what
    the model stores.
    """
    conversion = record.case.conversion
    if conversion.calibrated and not all(finite(x) for sample in record.samples for x in sample):
        return True
    return conversion.judged not in ("float32", "float16") and not record.finite_constants
