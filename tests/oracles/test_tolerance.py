"""One number an output: given only where it tells wrong from right on the very results it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe
from fuzzer.execute.record import CaseRun, RuntimeRun, Slot
from fuzzer.ops import TensorType
from fuzzer.oracles.confirm.tolerance import EAGER, of_quantised, told
from fuzzer.oracles.verdict import MODEL_ERROR, NOISE, STEP, TOLERANCE, Kind, Stage, Verdict


def record(scheme: str = "float32", scale: float = 0.0, **results: float) -> CaseRun:
    """Runs of a model of four ones: each runtime gives its number in one place."""
    model = Model((TensorType((1, 4), "float32"),), (Node("relu", ("x0",)),), ("n0",))
    case = Case(model, Conversion(scheme=scheme).repaired(), Inference(inputs=(Recipe("normal", 1),)))
    made = CaseRun(case, reference=[[np.ones((1, 4), np.float32)]])
    for name, number in results.items():
        value = np.ones((1, 4), np.int8 if scale else np.float32)
        value[0, 2] = number
        slot = Slot("y", 1, (1, 4), value.dtype.name, scale, 0)
        made.runs[name.replace("_", "-")] = RuntimeRun(name, outputs=[slot], samples=[[value]])
    return made


def verdict(*guilty: str, **evidence: Any) -> Verdict:
    return Verdict(Stage.COMPARE, Kind.VALUE, "m", guilty[0], 9.0, "", "", {"runtimes": list(guilty), **evidence})


@pytest.mark.parametrize(
    ("wrong", "right", "given"), [(1.5, 1.0, True), (1.5, 1.05, True), (1.15, 1.0, False), (1.5, 1.2, False)]
)
def test_it_is_given_where_it_tells(wrong: float, right: float, given: bool) -> None:
    made = record(tf_xnnpack=wrong, tf_reference=right)
    evidence = told(made, ["tf-xnnpack"], EAGER, [0.1], "why")
    assert evidence == ({TOLERANCE: {"base": EAGER, "errors": [0.1], "why": "why"}} if given else {})


def test_nan_is_infinitely_far_and_no_bound_is_no_tolerance() -> None:
    made = record(tf_xnnpack=float("nan"))
    assert told(made, ["tf-xnnpack"], EAGER, [0.1], "why")
    for bound in (0.0, float("inf"), float("nan")):
        assert told(made, ["tf-xnnpack"], EAGER, [bound], "why") == {}
    made.reference[0][0][0, 2] = np.nan  # where nothing was expected nothing is wrong
    assert told(made, ["tf-xnnpack"], EAGER, [0.1], "why") == {}


def test_integer_kernels_are_held_against_one_that_is_right() -> None:
    made = record("int8", 0.5, tf_xnnpack=9, tf_reference=2, tf_builtin=1)
    (found,) = (of_quantised(made, verdict("tf-xnnpack")).evidence[TOLERANCE],)
    assert found["base"] == "tf-reference" and found["errors"] == [1.5]
    found = of_quantised(made, verdict("tf-xnnpack", "tf-reference")).evidence.get(TOLERANCE)
    assert found is None  # the reference is as right as the optimised kernel: blame does not show in the result
    assert (
        TOLERANCE not in of_quantised(record("int8", 0.5, tf_xnnpack=3, tf_reference=1), verdict("tf-xnnpack")).evidence
    )


def test_where_every_kernel_is_wrong_tensorflow_is_the_base() -> None:
    made = record("dynamic", tf_xnnpack=3.0, tf_reference=3.0)
    blamed = verdict("tf-xnnpack", "tf-reference", **{MODEL_ERROR: 2.0, NOISE: 0.02, STEP: 0.0})
    found = of_quantised(made, blamed).evidence[TOLERANCE]
    assert found["base"] == EAGER and found["errors"] == [pytest.approx(0.02**0.5)]
    near = verdict("tf-xnnpack", "tf-reference", **{MODEL_ERROR: 0.05, NOISE: 0.02, STEP: 0.0})
    assert TOLERANCE not in of_quantised(made, near).evidence


def with_second(made: CaseRun, expected: object, actual: object, scale: float = 0.0) -> CaseRun:
    """The same runs with one more output, of which every runtime gives the same."""
    wanted, given = np.asarray(expected), np.asarray(actual)
    made.reference[0].append(wanted)
    for run in made.runs.values():
        run.samples[0].append(given)
        run.outputs.append(Slot("z", 2, given.shape, given.dtype.name, scale, 0))
    return made


def test_beside_a_string_there_is_no_tolerance() -> None:
    words = np.array([b"a"], object)
    made = with_second(record("dynamic", tf_xnnpack=3.0, tf_reference=3.0), words, words)
    blamed = verdict("tf-xnnpack", "tf-reference", **{MODEL_ERROR: 2.0, NOISE: 0.02, STEP: 0.0})
    assert of_quantised(made, blamed) == blamed


def test_what_memory_held_by_chance_is_no_measure() -> None:
    wild = record("dynamic", tf_xnnpack=1e30, tf_reference=1e30)
    blamed = verdict("tf-xnnpack", "tf-reference", **{MODEL_ERROR: 1e30, NOISE: 0.02, STEP: 0.0})
    assert of_quantised(wild, blamed).evidence[TOLERANCE]["errors"] == [pytest.approx(0.02**0.5)]
