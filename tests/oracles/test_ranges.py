"""What is nobody's defect: NaN, infinity, overflow, denormals, casts without a value; and whose a refusal is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.convert.flatbuffer import Flat, FlatOp, FlatTensor
from fuzzer.execute import Executor, Reply
from fuzzer.execute.record import CaseRun, Failure, RuntimeRun
from fuzzer.findings.titles import title_of
from fuzzer.ops import TensorType
from fuzzer.oracles import Kind, Stage, Verdict, errors, ranges
from fuzzer.oracles.confirm import node_bound

ALL = ("tf-xnnpack", "tf-builtin", "tf-reference", "litert")


def one_op(op: str, dtype: str = "float32", scheme: str = "float32", attrs: dict[str, Any] | None = None) -> Case:
    model = Model((TensorType((1, 8), dtype),), (Node(op, ("x0",), attrs or {}),), ("n0",))
    return Case(model, Conversion(scheme=scheme).repaired(), Inference(inputs=(Recipe("normal", 1),)))


# --- numbers ----------------------------------------------------------------------------------------------


def test_limits_lie_well_below_the_largest_number() -> None:
    assert ranges.limit("float16") == pytest.approx(65.504) and ranges.limit("float32") < 3.5e35
    assert ranges.limit("float64") > 1e300


def test_denormals_are_flushed_and_nothing_else() -> None:
    value = np.array([1e-39, -1e-45, 1.2e-38, 0.0, 1.0], np.float32)
    assert ranges.flushed(value).tolist() == [0.0, 0.0, value[2], 0.0, 1.0]
    assert ranges.flushed(np.array([1, 2])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("number", "dtype", "fits"),
    [(127.0, "int8", True), (128.0, "int8", False), (np.nan, "int32", False), (-1.0, "uint8", False)],
)
def test_what_fits_an_integer_type(number: float, dtype: str, fits: bool) -> None:
    assert ranges.fits(np.array([number], np.float32), dtype) is fits


def test_calibration_is_spoilt_by_infinity_only_where_there_is_one() -> None:
    record = CaseRun(one_op("relu", scheme="int8"))
    record.samples = [[np.ones((1, 8), np.float32)]]
    assert not ranges.spoilt_calibration(record)
    record.samples.append([np.full((1, 8), np.inf, np.float32)])
    assert ranges.spoilt_calibration(record)
    assert not ranges.spoilt_calibration(replace(record, case=one_op("relu")))


def test_constants_that_are_infinite_spoil_what_is_quantised() -> None:
    for scheme, spoilt in (("int8", True), ("dynamic", True), ("float16", False), ("float32", False)):
        case = one_op("dense", scheme=scheme, attrs={"units": 1, "use_bias": False})
        assert not ranges.spoilt_calibration(CaseRun(case))
        (node,) = case.model.nodes
        odd = replace(node, weights={**node.weights, "kernel": Recipe("literal", values=(float("inf"), *[1.0] * 7))})
        made = CaseRun(replace(case, model=replace(case.model, nodes=(odd,))))
        assert not made.finite_constants and ranges.spoilt_calibration(made) == spoilt


# --- refusals ---------------------------------------------------------------------------------------------


def record_of(case: Case, tensor: FlatTensor, failures: dict[str, str]) -> CaseRun:
    op = FlatOp("REVERSE_SEQUENCE", (0,), (0,), "NONE")
    record = CaseRun(case, flat=Flat((op,), (tensor,), (0,), (0,), 1, (op.name,)))
    for name in ALL:
        run = RuntimeRun(name)
        if name in failures:
            run.allocate_failure = Failure("RuntimeError", failures[name])
        else:
            run.samples = [[np.ones((1, 8))]]
        record.runs[name] = run
    return record


def told(record: CaseRun) -> list[str]:
    return [v.runtime for v in errors.judge(record, {})]


WORDS = "Type 'INT8' is not supported by reverse_sequence.Node number 1 (REVERSE_SEQUENCE) failed to prepare."
CONDITION = (
    "a.cc:3 x->type == kTfLiteInt8 || x->type == kTfLiteInt4 was not true."
    "Node number 1 (REVERSE_SEQUENCE) failed to prepare."
)
MADE = FlatTensor("q", "INT8", (1, 8), False, False, (0.1,))
OWN = FlatTensor("x0", "INT16", (1, 8), False, False, ())


def test_a_type_of_the_quantiser_that_nobody_takes_is_a_defect() -> None:
    assert told(record_of(one_op("relu", scheme="int8"), MADE, dict.fromkeys(ALL, WORDS))) == ["tf-xnnpack"]


def test_a_type_of_the_quantiser_that_somebody_takes_is_a_refusal() -> None:
    assert told(record_of(one_op("relu", scheme="int8"), MADE, {"litert": WORDS})) == []


@pytest.mark.parametrize("message", [WORDS, CONDITION])
def test_a_small_type_of_the_model_is_refused(message: str) -> None:
    assert told(record_of(one_op("abs", "int16"), OWN, dict.fromkeys(ALL, message))) == []


def test_a_type_condition_on_what_the_converter_made_is_a_defect() -> None:
    assert told(record_of(one_op("relu"), MADE, dict.fromkeys(ALL, CONDITION))) == ["tf-xnnpack"]


def test_the_reference_resolver_may_lack_a_type() -> None:
    assert told(record_of(one_op("relu"), MADE, {"tf-reference": CONDITION})) == []


def test_a_delegate_may_not_refuse_what_it_claimed() -> None:
    words = "unsupported datatype (INT32) of tensorNode number 1 (TfLiteXNNPackDelegate) failed to prepare."
    assert told(record_of(one_op("relu"), OWN, {"tf-xnnpack": words})) == ["tf-xnnpack"]
    assert told(record_of(one_op("relu"), OWN, dict.fromkeys(ALL, words))) == []


def test_an_empty_range_after_infinite_data_is_no_finding() -> None:
    record = CaseRun(one_op("relu", scheme="int16x8"), samples=[[np.ones((1, 8), np.float32)]])
    record.convert_failure = Failure(
        "RuntimeError", "Max and min for dynamic tensors should be recorded during calibration: Failed for tensor a"
    )
    assert [v.kind for v in errors.judge(record, {})] == [Kind.CONVERTER_ERROR]
    record.samples[0][0][0, 0] = np.nan
    assert list(errors.judge(record, {})) == []


# --- titles -----------------------------------------------------------------------------------------------


def test_a_file_at_fault_has_one_title_whatever_its_ops() -> None:
    message = "Constant buffer N specified an out of range offset"
    verdict = Verdict(Stage.ALLOCATE, Kind.ALLOCATE_ERROR, message, "tf-xnnpack")
    switches = {"_experimental_use_buffer_offset": True}
    cases = [
        replace(c, conversion=replace(c.conversion, switches=switches))
        for c in (one_op("relu", scheme="int8"), one_op("tanh", scheme="int16x8"))
    ]
    assert len({title_of(verdict, case) for case in cases}) == 1
    crash = Verdict(Stage.CONVERT, Kind.CRASH, "SIGSEGV: in a.py b", "converter")
    assert title_of(crash, cases[0]) == "crash in convert: SIGSEGV: in a.py b (_experimental_use_buffer_offset=True)"


# --- sums -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("SOFTMAX", 127.0), ("ADD", 1.0)])
def test_terms_of_a_sum(name: str, count: float) -> None:
    tensor = FlatTensor("x", "FLOAT32", (1, 127), False, False, ())
    op = FlatOp(name, (0,), (0,), "NONE")
    assert node_bound.terms(Flat((op,), (tensor,), (0,), (0,), 1, (name,)), op) == count


# --- real executions --------------------------------------------------------------------------------------


def confirmed(real: Executor, case: Case, kind: Kind) -> Iterator[str]:
    """The messages of what is confirmed of a case."""
    answer = real.run({"command": "run", "case": to_json(case)}, 60.0)
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    for verdict in answer.message["verdicts"]:
        if verdict["kind"] == kind.value:
            again = real.run({"command": "confirm", "case": to_json(case), "verdict": verdict}, 60.0)
            assert isinstance(again, Reply) and "bug" not in again.message, again
            if again.message["verdict"]:
                yield json.dumps(again.message["verdict"]["message"])


@pytest.mark.slow
@pytest.mark.parametrize("distribution", ["specials", "huge", "denormal", "extremes", "ties"])
@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("relu6", {}),
        ("tanh", {}),
        ("square", {}),
        ("softmax", {"axis": 1}),
        ("reduce_sum", {"keepdims": False, "mask": 2}),
        ("cast", {"dtype": "int32"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("scheme", ["float32", "dynamic"])
def test_odd_numbers_in_sound_ops_are_no_findings(
    real: Executor, op: str, attrs: dict[str, Any], distribution: str, scheme: str
) -> None:
    case = one_op(op, scheme=scheme, attrs=attrs)
    case = replace(case, inference=replace(case.inference, inputs=(Recipe(distribution, 3), Recipe(distribution, 4))))
    assert [m for kind in (Kind.VALUE, Kind.NAN_PROPAGATION) for m in confirmed(real, case, kind)] == []
