"""Numbers as a literal recipe says them: the way back from a tensor to a case."""

from __future__ import annotations

import numpy as np

from fuzzer.build.values import INTEGER_LIMIT, INTEGER_STEP, Array, cast
from fuzzer.ops import WeightSlot

MAX_MAGNITUDE = 1e38
"""What a literal of a case may be (`fuzzer.case.codec`)."""


def literal_of(tensor: Array, slot: WeightSlot | None = None) -> tuple[float, ...] | None:
    """The values of a `literal` recipe that makes exactly this tensor; None where none does.

    JSON has neither infinity nor NaN, integers of a recipe end at 1000, and words are made of numbers, not the other
    way. Floats are the shortest decimal numbers that round to the same bits. With `slot` the tensor is that weight.
    """
    array = np.asarray(tensor)
    if array.dtype == object or not array.size:
        return None
    if array.dtype.kind == "c":
        array = array.real
    if array.dtype.kind in "iu":
        # A slot with a span counts from its low end; see `fuzzer.build.values.weight`.
        low = slot.span[0] if slot is not None and slot.span is not None else 0
        whole = array.astype(np.float64) - low
        if not (np.abs(whole) <= INTEGER_LIMIT).all():
            return None
        values = tuple(float(v) / INTEGER_STEP for v in whole.ravel())
    elif array.dtype == bool:
        values = tuple(float(v) for v in array.ravel())
    else:
        if not np.isfinite(array.astype(np.float64)).all():
            return None
        values = tuple(float(str(v)) for v in array.ravel())
    if any(abs(v) > MAX_MAGNITUDE for v in values):
        return None
    if slot is None or slot.span is None:
        again = cast(np.array(values, np.float64).reshape(array.shape), tensor.dtype.name)
        if again.tobytes() != np.asarray(tensor).tobytes():
            return None
    return values
