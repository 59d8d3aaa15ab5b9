"""The calibration data as the converter is given them."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzer.case import Conversion
from fuzzer.case.conversion import DEAR_ENTRIES, ENTRIES
from fuzzer.convert.converter import representative

SAMPLES = [[np.float32([s]), np.int32([s])] for s in (1, 2, 3, 4)]


@pytest.mark.parametrize("entry", ENTRIES)
def test_several_inputs_are_named_where_the_flatbuffer_has_a_signature(entry: str) -> None:
    """The flatbuffer's order of inputs is not the function's: a list would calibrate one with the other's numbers."""
    made = list(representative(Conversion(entry=entry, scheme="int8", optimizations="default"), SAMPLES)())
    assert len(made) == 4
    if entry in DEAR_ENTRIES:
        assert [set(sample) for sample in made] == [{"x0", "x1"}] * 4 and made[2]["x1"] == [3]  # type: ignore[call-overload]
    else:
        assert all(isinstance(sample, list) for sample in made)


def test_narrow_data_scale_floats_only() -> None:
    conversion = Conversion(scheme="int8", optimizations="default", representative="narrow")
    first = next(representative(conversion, SAMPLES)())
    assert first[0] == pytest.approx(0.1) and first[1] == 1  # type: ignore[index]
