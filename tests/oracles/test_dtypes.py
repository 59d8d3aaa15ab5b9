"""Oracles on records made by hand: every dtype, and tensors without elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.build.values import numpy_dtype, tensor
from fuzzer.case import DISTRIBUTIONS, Case, Conversion, Inference, Model, Recipe
from fuzzer.execute.record import CaseRun, RuntimeRun, Slot
from fuzzer.execute.runtimes import output
from fuzzer.ops import DTYPE_BYTES, TensorType
from fuzzer.oracles import Kind, judge_all, statistics
from fuzzer.oracles.confirm import node_bound, truth
from fuzzer.oracles.divergence import error, real_pair

DTYPES = sorted(DTYPE_BYTES)
SHAPES = [(), (0,), (1,), (5,), (2, 0, 3), (2, 3)]


def record(dtype: str, want: Any, got: Any, scheme: str = "float32") -> CaseRun:
    """A case that returns its input, run on one runtime beside the reference kernels."""
    type_ = TensorType(want.shape, dtype)
    case = Case(
        Model((type_,), (), ("x0",)),
        Conversion(scheme=scheme).repaired(),
        Inference(runtimes=("tf-xnnpack", "tf-reference"), inputs=(Recipe("uniform", 1),)),
    )
    made = CaseRun(case, samples=[[want]], reference=[[want]], content=b"x")
    for runtime, value in (("tf-xnnpack", got), ("tf-reference", want)):
        slot = Slot("y", 1, want.shape, dtype, 0.0, 0)
        made.runs[runtime] = RuntimeRun(runtime, [slot], [slot], [[value]], ("CAST",))
    return made


def other(value: Any) -> Any:
    """The tensor with its last element changed."""
    moved = value.copy()
    flat = moved.reshape(-1)
    if moved.dtype == object:
        flat[-1] = b"something else"
    elif moved.dtype == bool:
        flat[-1] = not flat[-1]
    else:
        flat[-1] = np.array(5 if flat[-1] != 5 else 100).astype(moved.dtype)
    return flat.reshape(value.shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_tensors_of_any_dtype_are_healthy(dtype: str, shape: tuple[int, ...]) -> None:
    value = tensor(Recipe("normal", 1), TensorType(shape, dtype))
    for scheme in ("float32", "dynamic"):
        made = record(dtype, value, value.copy(), scheme)
        assert judge_all(made) == [] and statistics(made)["tf-xnnpack"]["relative"] == 0


@pytest.mark.parametrize("shape", [s for s in SHAPES if 0 not in s])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_changed_element_of_any_dtype_is_a_value(dtype: str, shape: tuple[int, ...]) -> None:
    value = tensor(Recipe("uniform", 1), TensorType(shape, dtype))
    for scheme in ("float32", "dynamic"):
        (verdict,) = judge_all(record(dtype, value, other(value), scheme))
        assert verdict.kind is Kind.VALUE and verdict.runtime == "tf-xnnpack"
        assert verdict.evidence["index"] == [n - 1 for n in shape]


@given(
    st.sampled_from(DTYPES),
    st.sampled_from(SHAPES),
    st.sampled_from([d for d in DISTRIBUTIONS if d != "literal"]),
    st.sampled_from([d for d in DISTRIBUTIONS if d != "literal"]),
)
@settings(max_examples=200)
def test_oracles_take_any_numbers(dtype: str, shape: tuple[int, ...], left: str, right: str) -> None:
    made = [tensor(Recipe(d, 1), TensorType(shape, dtype)) for d in (left, right)]
    run = record(dtype, *made)
    judge_all(run)
    statistics(run)
    apart, specials = error(*real_pair(*made))
    assert apart >= 0 and 0 <= specials <= made[0].size


def test_complex_numbers_are_apart_by_the_modulus_of_their_difference() -> None:
    left, right = np.array([3 + 4j, 1j], "complex64"), np.array([3 + 4j, -1j], "complex64")
    relative, specials = error(*real_pair(left, right))
    assert relative == pytest.approx(2 / 5) and specials == 0
    assert error(*real_pair(left, np.array([complex("nan"), 1j], "complex64"))) == (0.0, 1)


def test_strings_are_equal_or_not() -> None:
    left = np.array([b"a", b"", b"b"], object)
    assert error(*real_pair(left, left.copy())) == (0.0, 0)
    assert error(*real_pair(left, np.array([b"a", b"", b"c"], object))) == (1.0, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bounds_of_the_truth_exist_for_any_dtype(dtype: str) -> None:
    value = tensor(Recipe("normal", 1), TensorType((4,), dtype))
    wide = truth._wide(value)
    own, kind = truth._apart(value, wide), value.dtype.kind
    bound = truth._bound(wide, [wide, wide], own, kind, 1.0, 2.0**-23)
    assert bound.shape == (4,) and (bound >= 0).all()
    if value.dtype.kind in "biuO":
        moved = truth._bound(wide, [truth._wide(other(value)), wide], own, kind, 1.0, 2.0**-23)
        assert np.isinf(moved[-1]) and np.isfinite(moved[:-1]).all()


def test_an_element_of_which_tensorflow_has_no_digit_right_is_nobodys() -> None:
    """A variance that overflows makes zeros of all elements: an eighth of the largest one is lost as it is."""
    true, own = np.array([1.0, 8.0, 1e-7, 4.0]), np.array([1.0, 8.0, 1e-6, 1e-6])
    bound = truth._bound(true, [true, true], own, "f", 1.0, 2.0**-23)
    assert np.isinf(bound).tolist() == [True, True, False, False]


def test_a_bool_that_differs_between_kernels_is_beyond_its_bound() -> None:
    missing: Any = None  # a bool needs neither flatbuffer nor operator
    bound, unit = node_bound.bound_of(missing, missing, 0, np.array([True]), lambda _: None, {})
    assert unit == "elements" and (bound < 1).all()


class Refusing:
    """The Python layer of an interpreter, for a tensor without elements."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.detail = {"index": 1, "shape": np.array(shape), "dtype": np.bytes_ if dtype == "string" else dtype}
        if dtype != "string":
            self.detail["dtype"] = numpy_dtype(dtype).type

    def get_tensor(self, index: int) -> Any:
        raise ValueError("Invalid tensor size.")

    def get_output_details(self) -> list[dict[str, Any]]:
        return [self.detail]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_output_without_elements_is_read(dtype: str) -> None:
    slot = Slot("y", 1, (2, 0), dtype, 0.0, 0)
    value = output(Refusing((2, 0), dtype), slot)
    assert value.shape == (2, 0) and value.dtype == numpy_dtype(dtype)
    with pytest.raises(ValueError, match="Invalid"):
        output(Refusing((2, 1), dtype), slot)
