"""A conversion without conflict is what every edit ends with."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.case import DYNAMIC, ENTRIES, OP_SETS, REPRESENTATIVE, SCHEMES, Conversion
from fuzzer.case.codec import from_json
from fuzzer.case.conversion import KERAS_ENTRIES, OPTIMIZATIONS, QAT_BITS, TFMOT, V1_ENTRIES, V1_SCHEMES
from tests.strategies import drawn_case

anything = st.builds(
    Conversion,
    entry=st.sampled_from(ENTRIES),
    optimizations=st.sampled_from(OPTIMIZATIONS),
    scheme=st.sampled_from(SCHEMES),
    io=st.sampled_from(["float32", "int8", "uint8", "int16"]),
    per_channel=st.booleans(),
    fallback=st.booleans(),
    op_set=st.sampled_from(OP_SETS),
    unfold_batch_matmul=st.booleans(),
    calibration=st.integers(1, 8),
    representative=st.sampled_from(REPRESENTATIVE),
    dynamic=st.sampled_from(DYNAMIC),
    qat_bits=st.sampled_from(QAT_BITS),
    qat_symmetric=st.booleans(),
    qat_dense=st.booleans(),
    ranges=st.sampled_from([1.0, 6.0]),
    switches=st.dictionaries(
        st.sampled_from(["experimental_new_converter", "_experimental_calibrate_only", "allow_custom_ops"]),
        st.booleans(),
    ),
)


@given(anything)
def test_a_repaired_conversion_has_no_conflict_and_stays(old: Conversion) -> None:
    new = old.repaired()
    assert new.conflict() is None and new.repaired() == new
    assert new.scheme == old.scheme
    if old.conflict() is None:
        assert new == old


@given(anything, st.sampled_from(ENTRIES))
def test_any_conversion_can_take_any_road(old: Conversion, entry: str) -> None:
    new = old.over(entry)
    assert new.entry == entry and new.conflict() is None
    if new.scheme != old.scheme:
        assert new.scheme == old.judged


@given(anything)
def test_every_conversion_is_judged_by_a_scheme_of_the_guide(old: Conversion) -> None:
    assert old.repaired().judged in ("float32", "float16", "dynamic", "int8", "int16x8")


@given(anything)
def test_what_is_repaired_can_be_written_and_read(old: Conversion) -> None:
    case = drawn_case(1)
    made = type(case)(case.model, old.repaired(), case.inference)
    assert from_json(__import__("json").loads(made.canonical)) == made


def test_the_roads_of_each_scheme() -> None:
    for scheme in V1_SCHEMES:
        assert Conversion(scheme=scheme).allowed_entries() == V1_ENTRIES
    for scheme in TFMOT:
        assert Conversion(scheme=scheme).allowed_entries() == ("legacy_keras",)
    assert not set(Conversion(scheme="qat").allowed_entries()) & set(KERAS_ENTRIES)


@pytest.mark.parametrize(
    ("dynamic", "shape"),
    [("none", (2, 3, 4, 5)), ("batch", (None, 3, 4, 5)), ("spatial", (2, None, None, 5)), ("all", (None,) * 4)],
)
def test_unknown_axes(dynamic: str, shape: tuple[int | None, ...]) -> None:
    assert Conversion(dynamic=dynamic).signature_shape((2, 3, 4, 5)) == shape


def test_a_plain_conversion_is_written_as_nothing() -> None:
    assert Conversion().conflict() is None
    assert all(getattr(Conversion(), f.name) == getattr(Conversion().repaired(), f.name) for f in fields(Conversion))
