"""Where a quantised flatbuffer first leaves the model: tensor by tensor against the same model converted in floats.

Both flatbuffers name a tensor after the operations it is the result of, so tensors of one name are one value. The float
one is computed by its own kernels, the quantised one by its real twin, whose noise is that of its rounded constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat
from fuzzer.execute.record import CaseRun
from fuzzer.oracles.confirm import parts
from fuzzer.oracles.confirm.twin import NoTwinError

FACTOR = 16.0
ROUNDING = 1e-4
"""Share of a tensor's largest value that float kernels may differ by: about 1000 ulp."""


Noisy = Callable[[dict[int, Array]], tuple[dict[int, Array], dict[int, NDArray[np.float64]]]]
"""The twin's tensors for real inputs, and how far each moves with the rounding of the constants."""


def first_wrong_tensor(record: CaseRun, feeds: list[dict[int, Array]], noisy: Noisy) -> dict[str, Any]:
    """The first tensor that is another than in the float flatbuffer: its name, maker and worst element; or nothing.

    `feeds` are real inputs by tensor index, a sample each.
    """
    flat = record.flat
    assert flat is not None
    plain = parts.in_floats(record, only=())
    if plain.flat is None:
        return {}
    wanted = _by_name(plain.flat)
    for sample, given in enumerate(feeds):
        expected = parts.intermediates(plain, sample)
        try:
            values, moved = noisy(given)
        except NoTwinError:
            return {}
        for op in flat.ops:
            for index in op.outputs:
                other = wanted.get(flat.tensors[index].name)
                if other is None or other not in expected or index not in values:
                    continue
                found = _worst(values[index], expected[other], moved.get(index))
                if found is not None:
                    return {"tensor": flat.tensors[index].name, "operator": op.name, "sample": sample, **found}
    return {}


def _by_name(flat: Flat) -> dict[str, int]:
    """Tensors that operators make, by name; names that several share are left out."""
    made = [i for op in flat.ops for i in op.outputs]
    names = [flat.tensors[i].name for i in made]
    return {name: i for name, i in zip(names, made, strict=True) if names.count(name) == 1}


def _worst(value: Array, want: Array, moved: NDArray[np.float64] | None) -> dict[str, Any] | None:
    if value.shape != want.shape or not value.size or want.dtype.kind != "f" or value.dtype.kind != "f":
        return None
    left, right = value.astype(np.float64), want.astype(np.float64)
    fair = np.isfinite(left) & np.isfinite(right)
    allowed = ROUNDING * float(np.abs(np.where(fair, right, 0.0)).max()) + 1e-30
    bound = allowed + (FACTOR * moved if moved is not None else np.zeros(value.shape))
    ratio = np.where(fair, np.abs(np.where(fair, left - right, 0.0)) / bound, 0.0)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
    if ratio[at] <= 1:
        return None
    return {"index": list(at), "expected": float(right[at]), "actual": float(left[at])}
