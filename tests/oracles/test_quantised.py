"""Quantised cases against real arithmetic: sound ones pass, a step at one element does not, the graph is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.convert.flatbuffer import Flat, FlatOp, FlatTensor
from fuzzer.execute import Executor, Reply
from fuzzer.ops import TensorType
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.confirm import formats
from fuzzer.oracles.confirm.node import NodeDivergence
from fuzzer.oracles.confirm.prediction import Prediction
from fuzzer.oracles.confirm.quantised import ROUNDED, by_rounding, fair_samples, is_shown, with_model_error
from fuzzer.oracles.confirm.twin import Grid
from fuzzer.oracles.verdict import MODEL_ERROR, NOISE
from tests.oracles.test_oracles import small_net
from tests.oracles.test_tolerance import record, verdict, with_second

GRID = Grid(np.asarray([0.5]), np.asarray([-3.0]), -128.0, 127.0)


def test_a_grid_knows_what_its_codes_stand_for() -> None:
    codes = np.arange(-128, 128)
    assert np.array_equal(GRID.position(GRID.real(codes)), codes)
    assert GRID.real(np.asarray([-3]))[0] == 0.0


def test_a_grid_knows_what_lies_outside() -> None:
    assert GRID.beyond(GRID.real(np.asarray([-128, 127]))).max() == 0.0
    assert GRID.beyond(np.asarray([GRID.real(np.asarray([127]))[0] + 1.5]))[0] == pytest.approx(3.0)


def test_channels_have_grids_of_their_own() -> None:
    grid = Grid(np.asarray([[1.0], [2.0]]), np.zeros((2, 1)), -128.0, 127.0)
    assert np.array_equal(grid.real(np.asarray([[3], [3]])), [[3.0], [6.0]])


def _flat(name: str, scales: list[tuple[float, ...]]) -> Flat:
    tensors = tuple(FlatTensor(f"t{i}", "INT8", (1,), i > 0, False, s) for i, s in enumerate(scales))
    op = FlatOp(name, tuple(range(len(scales) - 1)), (len(scales) - 1,), "")
    return Flat((op,), tensors, (0,), (len(scales) - 1,), 1, (name,))


@pytest.mark.parametrize(
    ("name", "scales", "faulty"),
    [
        ("CONV_2D", [(0.5,), (0.1, 0.2), (0.05, 0.1), (1.0,)], False),
        ("CONV_2D", [(0.5,), (0.1, 0.2), (0.05, 0.2), (1.0,)], True),
        ("FULLY_CONNECTED", [(0.5,), (0.1,), (0.07,), (1.0,)], True),
        ("FULLY_CONNECTED", [(0.5,), (0.1,), (), (1.0,)], False),
        ("SELECT_V2", [(), (0.5,), (0.5,), (0.5,)], False),
        ("SELECT_V2", [(), (0.5,), (0.25,), (0.5,)], True),
        ("ADD", [(0.5,), (0.25,), (0.5,)], False),
    ],
)
def test_formats_that_no_kernel_can_work_with_are_named(
    name: str, scales: list[tuple[float, ...]], faulty: bool
) -> None:
    flat = _flat(name, scales)
    assert bool(formats.fault(flat, flat.ops[0])) == faulty


def _confirmed(real: Executor, scheme: str, edit: str, wrong: str = "", steps: int = 1) -> tuple[Verdict | None, str]:
    request = {"case": to_json(small_net(scheme)), "edit": edit, "wrong": wrong, "steps": steps}
    answer = real.run({"call": "tests.oracles.edited:confirmed", **request})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    tree = answer.message["verdict"]
    return (Verdict.from_json(tree) if tree else None), answer.message["why"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["float16", "dynamic", "int8", "int16x8"])
def test_the_twin_is_the_model_up_to_the_noise_of_its_constants(real: Executor, scheme: str) -> None:
    answer = real.run({"call": "tests.oracles.edited:twin_error", "case": to_json(small_net(scheme))})
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    for apart, noise in zip(answer.message["apart"], answer.message["noise"], strict=True):
        assert apart <= 8 * noise + 1e-5
        assert noise < 0.05
    assert answer.message["beyond"] < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["float16", "dynamic", "int8", "int16x8"])
def test_a_sound_flatbuffer_is_dismissed(real: Executor, scheme: str) -> None:
    verdict, why = _confirmed(real, scheme, "nothing")
    assert (verdict is None and "right" in why) or "no node alone" in why


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tf-xnnpack", "tf-builtin", "tf-reference", "litert"])
def test_two_steps_at_one_element_of_one_kernel_are_found_and_named(real: Executor, runtime: str) -> None:
    verdict, why = _confirmed(real, "int8", "nothing", runtime, 2)
    assert verdict is not None, why
    assert verdict.blame == "CONV_2D" and runtime in verdict.runtimes
    assert verdict.evidence["base"] == "real arithmetic" and verdict.severity > 1
    assert [o["dtype"] for o in verdict.evidence["operands"]][:2] == ["int8", "int8"]


@pytest.mark.slow
@pytest.mark.parametrize("edit", ["reversed_filter", "neighbours_scale"])
def test_a_flatbuffer_that_computes_something_else_is_the_converters(real: Executor, edit: str) -> None:
    verdict, why = _confirmed(real, "int8", edit)
    assert verdict is not None, why
    assert verdict.kind is Kind.VALUE and verdict.runtime == "converter"


@pytest.mark.slow
def test_a_lost_bias_is_the_converters(real: Executor) -> None:
    verdict, why = _confirmed(real, "int8", "dropped_bias")
    assert verdict is not None and verdict.runtime == "converter", why
    assert verdict.blame == "CONV_2D" and verdict.evidence["place"] == 2 and verdict.evidence["actual"] == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["float16", "int8"])
def test_another_function_than_the_models_is_the_converters(real: Executor, scheme: str) -> None:
    verdict, why = _confirmed(real, scheme, "dilated")
    assert verdict is not None and verdict.blame == "converter", why
    # In float16 the result of the convolution goes by another name than in floats: the one after it is named.
    assert verdict.evidence["first tensor"]["operator"] in ("CONV_2D", "MEAN")


@pytest.mark.slow
def test_a_range_that_does_not_hold_what_calibration_saw_is_told(real: Executor) -> None:
    verdict, why = _confirmed(real, "int8", "narrow_range")
    assert verdict is not None and verdict.kind is Kind.CALIBRATION, (verdict, why)
    assert verdict.unit == "% of the range" and verdict.severity > 5


@pytest.mark.slow
def test_ranges_of_other_data_are_nobodys(real: Executor) -> None:
    case = small_net("int8")
    narrow = replace(case, conversion=replace(case.conversion, representative="narrow"))
    request = {"case": to_json(narrow), "edit": "nothing"}
    answer = real.run({"call": "tests.oracles.edited:confirmed", **request})
    assert isinstance(answer, Reply) and answer.message["verdict"] is None, answer


@pytest.mark.slow
def test_a_scale_of_zero_is_told_and_confirmed(real: Executor) -> None:
    net = small_net("int16x8")
    silent = Node("mul", ("x0",), {"const_rank": 1}, {"const": Recipe("constant", 0, 0.0)})
    case = replace(net, model=Model(net.model.inputs, (silent,), ("n0",)))
    answer = real.run({"command": "run", "case": to_json(case)})
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    told = [v for v in map(Verdict.from_json, answer.message["verdicts"]) if v.kind is Kind.CALIBRATION]
    assert len(told) == 1 and "zero" in told[0].message, answer.message["verdicts"]
    again = real.run({"command": "confirm", "case": to_json(case), "verdict": told[0].to_json()})
    assert isinstance(again, Reply) and Verdict.from_json(again.message["verdict"]).message == told[0].message


@pytest.mark.slow
def test_what_moves_no_output_is_no_defect(real: Executor) -> None:
    """A ONE_HOT whose operands and result have different scales: every kernel writes the code of 1.0 all the same."""
    table = {"table": Recipe("constant")}
    nodes = (Node("one_hot_matmul", ("x0",), {"rows": 8, "units": 1}, table), Node("relu", ("n0",)))
    model = Model((TensorType((1,), "int32"),), nodes, ("n1",))
    conversion = Conversion(scheme="int8", optimizations="default").repaired()
    case = Case(model, conversion, Inference(inputs=(Recipe("constant"),)))
    suspicion = Verdict(Stage.COMPARE, Kind.VALUE, "planted", "tf-xnnpack", evidence={"runtimes": ["tf-xnnpack"]})
    answer = real.run({"command": "confirm", "case": to_json(case), "verdict": suspicion.to_json()})
    assert isinstance(answer, Reply)
    assert answer.message["verdict"] is None and "the outputs are TensorFlow's" in answer.message["why"]


@pytest.mark.slow
def test_unwritten_memory_is_not_the_converters(real: Executor) -> None:
    """A batched product whose batch is broadcast reads what was in memory: no two interpreters agree."""
    attrs = {"adj_x": False, "adj_y": True, "batch_rank": 0, "ones": 0, "reverse": True, "units": 1}
    inputs = (TensorType((1, 6, 1), "float32"), TensorType((5, 6, 31), "float32"))
    model = Model(inputs, (Node("batch_matmul", ("x0", "x1"), attrs),), ("n0",))
    conversion = Conversion(scheme="float16", optimizations="default").repaired()
    tree = to_json(Case(model, conversion, Inference(inputs=(Recipe("constant"),))))
    suspicion = Verdict(Stage.COMPARE, Kind.VALUE, "planted", "tf-builtin", evidence={"runtimes": ["tf-builtin"]})
    answer = real.run({"command": "confirm", "case": tree, "verdict": suspicion.to_json()})
    assert isinstance(answer, Reply)
    told = answer.message["verdict"]
    assert told["blame"] == "BATCH_MATMUL" and "fresh interpreters give different values" in told["message"]


@pytest.mark.parametrize(("code", "shown"), [(2, False), (4, False), (5, True)])
def test_a_fault_of_every_kernel_has_to_show(code: int, shown: bool) -> None:
    """Codes of 0.5 each; TensorFlow says 1.0."""
    assert is_shown(record("int8", 0.5, tf_xnnpack=code, tf_reference=code)) == shown


def test_a_coarse_output_does_not_hide_another() -> None:
    """The first output is twenty of its steps off, the second one has a step as large as its numbers."""
    made = record("int8", 0.5, tf_xnnpack=60)
    made.reference = [[np.float32([[0.5, 0.5, 20.0, 0.5]])]]
    assert is_shown(made)
    assert is_shown(with_second(made, np.float32([4.0]), np.int8([1]), scale=4.0))


@pytest.mark.parametrize("actual", [np.nan, np.inf])
def test_what_is_not_finite_is_shown(actual: float) -> None:
    made = record("dynamic", tf_xnnpack=1.0)
    assert not is_shown(made)
    made.runs["tf-xnnpack"].samples[0][0][0, 2] = actual
    assert is_shown(made)


def test_what_cannot_be_compared_is_not_passed_over() -> None:
    assert is_shown(with_second(record("dynamic", tf_xnnpack=1.0), np.zeros(3, np.float32), np.zeros(4, np.float32)))
    words = np.array([b"a"], object)
    assert not is_shown(with_second(record("dynamic", tf_xnnpack=1.0), words, words))


@pytest.mark.parametrize("scheme", ["dynamic", "float16"])
def test_outputs_without_a_grid_are_rounded_too(scheme: str) -> None:
    evidence = with_model_error(record(scheme, tf_xnnpack=1.5), verdict("tf-xnnpack")).evidence
    assert evidence[MODEL_ERROR] == 0.5 and evidence[NOISE] == ROUNDED[scheme] > 0
    coarse = with_model_error(record("int8", 0.5, tf_xnnpack=3), verdict("tf-xnnpack")).evidence
    assert coarse[NOISE] == 0.5


@pytest.mark.slow
def test_a_constant_of_more_numbers_than_its_shape_has_no_twin(real: Executor) -> None:
    """The converter folds a model whose input has no effect into constants of shape [1] with two numbers."""
    target = Recipe("constant", scale=0.0)
    nodes = (
        Node("cosine_similarity", ("x0",), weights={"target": target}),
        Node("hard_swish", ("n0",), {"form": "divide last"}),
        Node("softplus", ("n1",)),
    )
    model = Model((TensorType((1, 2), "float32"),), nodes, ("n2",))
    conversion = Conversion(entry="frozen_graph", scheme="dynamic", optimizations="default").repaired()
    case = Case(model, conversion, Inference(inputs=(Recipe("normal", 1),)))
    suspicion = Verdict(Stage.COMPARE, Kind.VALUE, "planted", "tf-xnnpack", evidence={"runtimes": ["tf-xnnpack"]})
    answer = real.run({"command": "confirm", "case": to_json(case), "verdict": suspicion.to_json()})
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer.message.get("bug", "")[-800:]
    assert answer.message["verdict"] is None


def dense_relu6(pooled: bool) -> Case:
    """Declared ranges (-6 to 6), a dense layer and ReLU6; `pooled`: behind a sum of three, with usual samples."""
    kernel = {"kernel": Recipe("normal", 64625)}
    if not pooled:
        nodes = (Node("dense", ("x0",), {"units": 30, "use_bias": False}, kernel), Node("relu6", ("n0",)))
        model = Model((TensorType((2, 3), "float32"),), nodes, ("n1",))
        inference = Inference(inputs=(Recipe("literal", values=(6.5, 6.5, 6.5, 0.0, 6.5, 127.0)),))
    else:
        pool = Node("sum_pool", ("x0",), {"padding": "SAME", "size": (1, 3), "strides": (1, 1)})
        dense = Node("dense", ("n0",), {"units": 57, "use_bias": False}, kernel)
        model = Model((TensorType((1, 11, 11, 5), "float32"),), (pool, dense, Node("relu6", ("n1",))), ("n2",))
        inference = Inference(inputs=(Recipe("uniform", 1), Recipe("normal", 2), Recipe("boundary", 3)))
    conversion = Conversion(entry="frozen_graph", scheme="uint8_v1").repaired()
    return Case(model, conversion, inference)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pooled", "why"),
    [(True, "what is left is the rounding of the weights"), (False, "ranges that were not made for them")],
)
def test_a_clamp_hides_what_rounding_does_and_ranges_are_declared(real: Executor, pooled: bool, why: str) -> None:
    """A sum that ReLU6 leaves at 0.36 is below zero for the rounded weights, and for those moved a little."""
    suspicion = Verdict(Stage.COMPARE, Kind.VALUE, "planted", "tf-xnnpack", evidence={"runtimes": ["tf-xnnpack"]})
    tree = to_json(dense_relu6(pooled))
    answer = real.run({"command": "confirm", "case": tree, "verdict": suspicion.to_json()})
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer.message.get("bug", "")[-800:]
    assert answer.message["verdict"] is None and why in answer.message["why"], answer.message["why"]


def test_a_format_accounts_for_a_rounding_of_one_kernel_and_for_no_more() -> None:
    op = _flat("CONV_2D", [(0.5,), (0.1,), (0.07,), (1.0,)]).ops[0]

    def off(by: float) -> NodeDivergence:
        return NodeDivergence(0, op, "tf-xnnpack", 2.0, by, "steps", (0,), 0.0, by, 0, 0, (1,))

    assert by_rounding([off(0.75)]) and by_rounding([off(0.7), off(0.99)])
    assert not by_rounding([off(0.75), off(1.5)]) and not by_rounding([off(255.0)])


def test_samples_count_where_calibration_saw_them_or_nothing_saturates() -> None:
    made = [Prediction([], [], {1: 0.0}), Prediction([], [], {1: 0.2, 2: 0.0}), Prediction([], [], {1: 0.3})]

    def fair(**settings: Any) -> list[int]:
        one = record()
        conversion = replace(Conversion(), **settings).repaired()
        return fair_samples(replace(one, case=replace(one.case, conversion=conversion)), made)

    assert fair(scheme="int8", optimizations="default", calibration=2) == [0, 1]
    assert fair(scheme="int8", optimizations="default", representative="narrow") == [0]
    assert fair(scheme="uint8_v1", entry="frozen_graph") == [0]


@pytest.mark.slow
def test_what_saturates_shows_no_fault_of_a_format(real: Executor) -> None:
    """MATRIX_DIAG copies codes into another scale: of 6.5, which the declared range cuts, little is its doing."""
    matrix = Node("matrix_diag", ("x0",), {"version": 3})
    model = Model((TensorType((1,), "float32"),), (matrix,), ("n0",))
    conversion = Conversion(entry="frozen_graph", scheme="int8_v1").repaired()
    case = Case(model, conversion, Inference(inputs=(Recipe("literal", values=(6.5,)),)))
    suspicion = Verdict(Stage.COMPARE, Kind.VALUE, "planted", "tf-xnnpack", evidence={"runtimes": ["tf-xnnpack"]})
    answer = real.run({"command": "confirm", "case": to_json(case), "verdict": suspicion.to_json()})
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer.message.get("bug", "")[-800:]
    assert answer.message["verdict"] is None and "the outputs are TensorFlow's" in answer.message["why"]
