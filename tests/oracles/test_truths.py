"""The float64 truth of every op, errors in ulp, and what is said where there is no truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.execute import Executor, Reply
from fuzzer.execute.record import CaseRun
from fuzzer.ops import Op, TensorType, registry
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.confirm import truth
from fuzzer.oracles.confirm.ulp import ulp_of, worst_ulp
from tests.oracles.test_ranges import one_op

# --- ops --------------------------------------------------------------------------------------------------


def test_every_op_without_a_float64_kernel_has_a_reference_or_says_why_float32_will_do() -> None:
    without = [op for op in registry().values() if not op.float64]
    assert len(without) >= 10
    for op in without:
        assert (op.reference is not None) != bool(op.narrow), f"{op.name}: one of `reference` and `narrow`"
        assert op.judgeable and (not op.narrow or len(op.narrow) > 30), op.name
    for op in registry().values():
        assert not op.float64 or (op.reference is None and not op.narrow), op.name


@pytest.mark.slow
def test_every_op_has_a_float64_truth(real: Executor) -> None:
    """Whatever op a case is of, its graph runs in float64: a missing kernel would silence the oracle."""
    names, tried = list(registry()), 0
    for i in range(0, len(names), 20):
        answer = real.run({"call": "tests.oracles.truths:without", "ops": names[i : i + 20]}, 60.0)
        assert isinstance(answer, Reply) and "bug" not in answer.message, answer
        assert answer.message["without"] == {}
        tried += answer.message["tried"]
    assert tried > 250


def one(op: str, shape: tuple[int, ...], attrs: dict[str, Any]) -> Case:
    model = Model((TensorType(shape, "float32"),), (Node(op, ("x0",), attrs),), ("n0",))
    return Case(model, Conversion(), Inference(inputs=(Recipe("normal", 3),)))


@pytest.mark.slow
@pytest.mark.parametrize("case", [
    *(one("resize_bilinear", (2, 3, 5, 2), {"size": (h, w), "corners": c})
      for h, w in ((7, 4), (1, 9), (2, 2)) for c in ("none", "align", "half")),
    *(one("upsampling_2d", (1, 3, 2, 2), {"times": (2, 3), "method": m}) for m in ("nearest", "bilinear")),
    *(one(op, (1, 5, 4, 6, 2), {"size": (2, 3, 2), "strides": (1, 2, 3), "padding": p})
      for op in ("max_pool3d", "avg_pool3d") for p in ("SAME", "VALID")),
], ids=lambda c: f"{c.model.nodes[0].op}-{'-'.join(map(str, c.model.nodes[0].attrs.values()))}")  # fmt: skip
def test_references_are_what_tensorflow_computes_and_not_rounded_to_float32(real: Executor, case: Case) -> None:
    answer = real.run({"call": "tests.oracles.truths:beside", "case": to_json(case)}, 60.0)
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    own, exact = np.array(answer.message["own"]), np.array(answer.message["truth"])
    assert own.shape == exact.shape and own.size
    np.testing.assert_allclose(exact, own, rtol=0, atol=1e-6)
    if case.model.nodes[0].op == "avg_pool3d" or 7 in own.shape:
        assert answer.message["beyond_float32"]


TINY = np.array([2.0**-9, 0.0])

# --- ulp --------------------------------------------------------------------------------------------------


def test_one_ulp_is_the_spacing_at_the_largest_value() -> None:
    true = np.array([0.001, -3.0])
    near = np.array([np.nextafter(np.float32(0.001), np.float32(1)), np.nextafter(np.float32(-3), np.float32(-4))])
    assert ulp_of(near, true, np.ones(2), "float32") == pytest.approx(1.0)
    assert ulp_of(true + TINY, true, np.ones(2), "float16") == pytest.approx(1.0)
    assert ulp_of(true + TINY, true, np.ones(2), "int32") == 0.0
    assert ulp_of(np.array([np.nan, -3.0]), true, np.ones(2), "float32") == 0.0
    assert ulp_of(true + 2.0**9 * TINY, true, np.array([np.inf, 1.0]), "float32") == 0.0
    assert ulp_of(np.array([2.0**-126]), np.zeros(1), np.ones(1), "float32") == 2.0**23


def test_the_worst_of_all_outputs_each_on_its_own_scale() -> None:
    small, large = np.array([1.0]), np.array([1e6])
    bounds = [[np.ones(1), np.ones(1)]]
    apart = worst_ulp([[small + 1e-3, large + 1e-3]], [[small, large]], bounds, ("float32", "float32"))
    assert apart == pytest.approx(1e-3 / 2.0**-23, rel=1e-3)


# --- what nobody can judge --------------------------------------------------------------------------------


def test_a_case_with_an_op_that_has_no_truth_is_said_to_be_unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    case = one_op("relu")
    assert not replace(registry()["relu"], float64=False).judgeable
    monkeypatch.setattr(Op, "judgeable", property(lambda op: op.name != "relu"))
    said = truth.confirm(CaseRun(case), Verdict(Stage.COMPARE, Kind.VALUE, "m", "litert"))
    assert said.verdict is None and said.unjudged == "no float64 kernel and no reference: relu"
    assert said.to_json()["unjudged"]


@pytest.mark.slow
def test_what_only_meets_nan_is_unjudged_and_what_is_sound_is_judged(real: Executor) -> None:
    def asked(distribution: str) -> dict[str, Any]:
        case = one_op("relu")
        case = replace(case, inference=replace(case.inference, inputs=(Recipe(distribution, 1),)))
        suspicion = Verdict(Stage.COMPARE, Kind.VALUE, "planted", "tf-xnnpack")
        request = {"call": "tests.oracles.truths:confirmed", "case": to_json(case), "verdict": suspicion.to_json()}
        answer = real.run(request, 60.0)
        assert isinstance(answer, Reply) and "bug" not in answer.message, answer
        assert answer.message["verdict"] is None
        return answer.message

    assert asked("specials")["unjudged"].startswith("every sample meets NaN")
    assert asked("normal")["unjudged"] == "" and "error bound" in asked("normal")["why"]


def unjudged(real: Executor, model: Model, sample: Recipe, **conversion: str) -> str:
    """Why a suspicion about a model is dismissed; empty where it is not."""
    case = Case(model, Conversion(**conversion).repaired(), Inference(inputs=(sample,)))  # type: ignore[arg-type]
    suspicion = Verdict(Stage.COMPARE, Kind.VALUE, "planted", "tf-xnnpack", evidence={"runtimes": ["tf-xnnpack"]})
    answer = real.run({"command": "confirm", "case": to_json(case), "verdict": suspicion.to_json()})
    assert isinstance(answer, Reply)
    return "" if answer.message["verdict"] else str(answer.message["why"])


@pytest.mark.slow
def test_a_variance_that_overflows_inside_of_an_operator_is_nobodys(real: Executor) -> None:
    """TensorFlow has no right digit there; TFLite's kernels clamp the infinity to the largest number."""
    weights = {"gamma": Recipe("constant"), "beta": Recipe("constant")}
    node = Node("group_norm", ("x0",), {"epsilon": 0.001, "groups": 1}, weights)
    model = Model((TensorType((1, 1, 2), "float32"),), (node,), ("n0",))
    assert unjudged(real, model, Recipe("literal", values=(2e35, 0.0)))


@pytest.mark.slow
def test_a_complex_number_beyond_an_integer_has_no_value_in_it(real: Executor) -> None:
    node = Node("from_complex", ("x0",), {"to": "int32"})
    model = Model((TensorType((1, 2), "complex64"),), (node,), ("n0",))
    assert unjudged(real, model, Recipe("literal", values=(1e10, 0.0)))


@pytest.mark.slow
def test_no_kernel_counts_more_steps_than_an_integer_holds(real: Executor) -> None:
    """QUANTIZE rounds to an int32 before it saturates: 1e20 comes out as the least code of some kernels."""
    node = Node(
        "greater",
        ("x0",),
        {"const_mask": 0, "const_rank": 1, "const_wide": 1, "swap": False},
        {"const": Recipe("constant")},
    )
    model = Model((TensorType((1,), "float32"),), (node,), ("n0",))
    assert unjudged(real, model, Recipe("constant", scale=1e20), entry="frozen_graph", scheme="int8_v1")
