"""Are the constants of a quantised flatbuffer those of the model, rounded?

The same model converted in floats has the same constants under the same names (a name is that of the operations a
tensor came from): each must be the nearest number that the quantised one can hold. Over 258 generated cases 1,774 of
1,829 quantised constants had a namesake, and all but biases lay within half a step. Only names that are one
constant's alone are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat
from fuzzer.execute.record import CaseRun
from fuzzer.oracles.confirm.parts import in_floats
from fuzzer.oracles.confirm.prediction import HALF_ROUNDING, HALF_TINY
from fuzzer.oracles.confirm.twin import NoTwinError, Twin

HALF_STEP = 0.51
SINGLE = 2.0**-22
"""Biases are divided by their scale in float32: of a large one the last bits are lost (seen: 95 steps of 1e9)."""


@dataclass(frozen=True)
class WrongConstant:
    """A constant that is not the model's: `apart` is in steps of its own grid (1 for a float16: in its allowance)."""

    operator: str
    tensor: str
    place: int
    index: tuple[int, ...]
    expected: float
    actual: float
    apart: float


def first_wrong(record: CaseRun, twin: Twin) -> WrongConstant | None:
    """The first constant, in execution order, that is further from the model's than rounding; None where all are near.

    Converts the case once more, in floats. Constants without a namesake of the same shape are passed over.
    """
    flat = record.flat
    assert flat is not None
    plain = in_floats(record, only=())
    if plain.flat is None:
        return None
    try:
        model = Twin(plain.content, plain.flat)
    except NoTwinError:
        return None
    named, own = _named(plain.flat, model), _named(flat, twin)
    for op in flat.ops:
        for place, index in enumerate(op.inputs):
            name = flat.tensors[index].name if index >= 0 else ""
            value, want = own.get(name), named.get(name)
            if value is None or want is None or value.shape != want.shape:
                continue
            ratio, apart = _apart(twin, index, value.astype(np.float64), want.astype(np.float64))
            at = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
            if ratio[at] > 1:
                numbers = (float(want[at]), float(value[at]), float(apart[at]))
                return WrongConstant(op.name, flat.tensors[index].name, place, at, *numbers)
    return None


def _named(flat: Flat, twin: Twin) -> dict[str, Array]:
    """Float constants by name, those whose name is theirs alone.

    Of several that came from one operation, and of those without one, the converter makes names by counting, which
    comes out otherwise in another conversion.
    """
    floats = {i: value for i, value in twin.constants.items() if value.dtype.kind == "f" and value.size > 1}
    stems = Counter(_COUNTED.sub("", flat.tensors[i].name) for i in floats)
    return {
        flat.tensors[i].name: value
        for i, value in floats.items()
        if stems[_COUNTED.sub("", flat.tensors[i].name)] == 1 and not flat.tensors[i].name.startswith(_NAMELESS)
    }


_COUNTED = re.compile(r"\d+$")
_NAMELESS = ("arith.constant", "Const")


def _apart(
    twin: Twin, index: int, value: NDArray[np.float64], want: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far each element is from the model's: over what rounding allows, and in steps."""
    with np.errstate(all="ignore"):
        grid = twin.grids.get(index)
        if grid is not None:
            lowest, highest = ((bound - grid.zero) * grid.step for bound in (grid.lowest, grid.highest))
            apart = np.abs(value - np.clip(want, lowest, highest)) / grid.step
            allowed = HALF_STEP + SINGLE * np.abs(grid.position(want))
        elif index in twin.halves:
            apart = np.abs(value - want)
            allowed = 1.01 * (HALF_ROUNDING * np.abs(want) + HALF_TINY)
        else:
            return np.zeros(value.shape), np.zeros(value.shape)
        ratio = np.where(np.isfinite(apart) & np.isfinite(allowed), apart / allowed, 0.0)
    return ratio, np.nan_to_num(apart)
