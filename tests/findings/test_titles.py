"""One defect, one title."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fuzzer.case import Case, Conversion
from fuzzer.findings.titles import title_of
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
