"""One defect, one title."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fuzzer.case import Case, Conversion
from fuzzer.findings.titles import CALIBRATED_ON, chain, key_of, title_of
from fuzzer.oracles import Kind, Stage, Verdict
from tests.strategies import drawn_case

CASE: Case = replace(drawn_case(1, 0), conversion=Conversion())
TRAINED = replace(CASE, conversion=Conversion(scheme="qat"))


def title(message: str, case: Case, kind: Kind = Kind.CONVERTER_ERROR, stage: Stage = Stage.CONVERT) -> str:
    return title_of(Verdict(stage, kind, message, "converter"), case)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "ConverterError: 'tfl.sub' op failed to verify that binary op operands have same element type",
            "ConverterError: 'tfl.relu' op failed to verify that x and y must have same element type",
        ),
        (
            "ConverterError: 'tfl.pack' op operand #N must be variadic of tensor of N-bit float",
            "ConverterError: 'tfl.conv_2d' op operand #N must be tensor of N-bit float or QI8 type",
        ),
    ],
)
def test_the_operator_that_mixed_widths_meet_in_is_chance(one: str, other: str) -> None:
    assert title(one, TRAINED) == title(other, TRAINED)
    assert title(one, CASE) != title(other, CASE), "without fake quantisation the operator is the news"


def died(message: str, **evidence: str) -> Verdict:
    return Verdict(Stage.CONVERT, Kind.CRASH, message, "converter", evidence=dict(evidence))


def test_a_native_function_is_the_title_whatever_leads_there() -> None:
    frame = "tflite::optimize::calibration::MinMax::Update"
    verdict = died(f"SIGSEGV in {frame}", frame=frame)
    int8, int16 = (replace(CASE, conversion=Conversion(scheme=scheme)) for scheme in ("int8", "int16x8"))
    switched = replace(CASE, conversion=Conversion(scheme="int8", switches={"unfold_batchmatmul": True}))
    other = replace(drawn_case(5, 0), conversion=Conversion())
    made = {title_of(verdict, case) for case in (int8, int16, switched, other)}
    assert made == {f"crash in convert: SIGSEGV in {frame}"}
    assert key_of(verdict, "int8") == key_of(verdict, "int16x8")
    assert key_of(died("SIGSEGV"), "int8") != key_of(died("SIGSEGV"), "int16x8"), "no function: the scheme is told"


def test_a_kernel_is_the_same_in_every_stage() -> None:
    """It is prepared by `allocate`, by `invoke` for dynamic shapes, and by calibration."""
    verdict = died("SIGABRT in a::add::Prepare", frame="a::add::Prepare", kernel="add")
    invoke = replace(verdict, stage=Stage.INVOKE, runtime="litert")
    assert title_of(verdict, CASE) == title_of(invoke, CASE) == "crash: SIGABRT in a::add::Prepare"
    assert key_of(verdict, "int8") == key_of(invoke, "float32")


def test_a_function_that_runs_everything_needs_the_ops_beside_it() -> None:
    verdict = died("SIGSEGV in tflite::Subgraph::InvokeImpl")
    assert chain(CASE) in title_of(verdict, CASE)


def test_what_the_calibration_data_did_is_told_with_the_function() -> None:
    verdict = died("SIGSEGV in f", frame="f", **{CALIBRATED_ON: "NaN or infinity"})
    assert title_of(verdict, CASE) == "crash in convert: SIGSEGV in f (calibrated on NaN or infinity)"


def test_an_operator_that_the_runtime_names_is_the_title_whatever_ops_lead_there() -> None:
    message = "div.cc data[i] != zero_point was not true [DIV]"
    made = title(message, CASE, Kind.INVOKE_ERROR, Stage.INVOKE)
    assert made == "invoke-error in invoke: DIV: div.cc data[i] != zero_point was not true [DIV] (float32)"


def test_a_rewrite_of_the_converter_is_the_title_whatever_ops_lead_there() -> None:
    message = "the converter changed the model in P: tf.A -> tfl.b"
    found = {"pass": "P", "before": ["tf.A"], "after": ["tfl.b"]}
    told = Verdict(Stage.COMPARE, Kind.VALUE, message, blame="converter", evidence=found)
    other = replace(drawn_case(2, 0), conversion=Conversion())
    assert title_of(told, CASE) == title_of(told, other) == f"value in compare: {message} (float32)"
    untold = replace(told, message="the converter changed the model", evidence={})
    assert title_of(untold, CASE) != title_of(untold, other), "without a pass the ops tell defects apart"


def test_every_kind_is_explained_in_reports() -> None:
    from fuzzer.report.words import EXPECTED, WHAT, WHY

    for texts in (WHAT, EXPECTED, WHY):
        assert set(texts) == set(Kind) and all(text.endswith(".") for text in texts.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "the quantiser wrote a ONE_HOT (int32) that no kernel",
            "the quantiser wrote a ONE_HOT (int64) that no kernel",
        ),
        ("the quantiser wrote an ADD (int8) that no kernel", "the quantiser wrote an ADD (int16) that no kernel"),
    ],
)
def test_the_type_of_the_first_operand_is_chance_where_scales_of_others_are_wrong(one: str, other: str) -> None:
    made = {title_of(Verdict(Stage.COMPARE, Kind.VALUE, said, blame="OP"), CASE) for said in (one, other)}
    assert len(made) == 1 and not any("int" in text.split(":")[1] for text in made)
    kernel = [Verdict(Stage.COMPARE, Kind.VALUE, f"optimised ADD ({t}): wrong values", blame="ADD") for t in ("a", "b")]
    assert title_of(kernel[0], CASE) != title_of(kernel[1], CASE), "of a kernel the type is a part of its name"


def test_the_verifier_says_in_two_ways_that_types_differ() -> None:
    one = "ConverterError: 'tfl.add' op failed to verify that Operands should have valid shapes and "
    one += "element type needs to match"
    other = "ConverterError: 'tfl.sub' op failed to verify that binary op operands have same element type"
    assert title(one, TRAINED) == title(other, TRAINED) and title(one, CASE) != title(other, CASE)


def test_a_message_that_breaks_off_before_its_reason_names_no_defect() -> None:
    words = "InvalidArgumentError: MLIR Graph Optimizer failed"
    other = replace(drawn_case(2, 0), conversion=Conversion())
    reason, none = (
        {"message": text} for text in ("MLIR Graph Optimizer failed: for this", "MLIR Graph Optimizer failed: ")
    )
    told = [Verdict(Stage.CONVERT, Kind.CONVERTER_ERROR, words, "converter", evidence=e) for e in (reason, none)]
    assert title_of(told[0], CASE) == title_of(told[0], other), "the message tells"
    assert title_of(told[1], CASE) != title_of(told[1], other) and chain(other) in title_of(told[1], other)
