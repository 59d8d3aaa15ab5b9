"""Errors sorted by whose matter they are: every row by its example, and some of them asked of the real stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fuzzer.campaign.health import MAX_NAMES, Health
from fuzzer.case import Case, Conversion, to_json
from fuzzer.execute import Executor, Reply
from fuzzer.execute.record import CaseRun, Failure, RuntimeRun
from fuzzer.oracles.error_table import ROWS, ErrorClass, classify, row_of
from fuzzer.oracles.errors import asked_wrongly, classes
from fuzzer.oracles.messages import is_refusal
from tests.oracles.test_ranges import one_op

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.pattern.pattern[:40])
def test_every_row_has_an_example_that_is_its_own(row: Any) -> None:
    found = row_of(row.example)
    assert found is row, f"taken by {found.pattern.pattern if found else None}"
    assert classify(row.example) is row.error and row.source and "\n" not in row.source


def test_every_class_has_rows_and_most_examples_are_captured() -> None:
    assert {row.error for row in ROWS} == set(ErrorClass)
    assert sum(row.captured for row in ROWS) >= len(ROWS) * 0.6
    assert len({row.pattern.pattern for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_golden_messages_are_of_the_class_that_their_head_says(path: Path) -> None:
    head, _, raw = path.read_text().partition("\n\n")
    refused = "REFUSAL: yes" in head
    assert (classify(raw) in (ErrorClass.UNSUPPORTED, ErrorClass.USER)) is refused is is_refusal(raw)


def test_what_no_row_knows_is_internal() -> None:
    assert row_of("the sky is falling") is None and classify("the sky is falling") is ErrorClass.INTERNAL


# --- of executions ----------------------------------------------------------------------------------------


def test_classes_follow_the_verdicts() -> None:
    record = CaseRun(one_op("relu"))
    record.convert_failure = Failure("ConverterError", "error: 'tf.MatMul' op is neither a custom op nor a flex op")
    assert classes(record) == {"convert": ErrorClass.UNSUPPORTED} and asked_wrongly(record) == ""
    record.convert_failure = Failure(
        "ValueError", "The inference_input_type and inference_output_type must be tf.int8."
    )
    assert classes(record) == {"convert": ErrorClass.USER}
    assert asked_wrongly(record).startswith("The inference_input_type")
    record.convert_failure = Failure("ConverterError", "something broke")
    assert classes(record) == {"convert": ErrorClass.INTERNAL} and asked_wrongly(record) == ""


def test_words_of_refusal_are_internal_where_others_run_the_model() -> None:
    words = "unsupported datatype (INT32) of tensorNode number 1 (TfLiteXNNPackDelegate) failed to prepare."
    record = CaseRun(one_op("relu"))
    record.runs["tf-xnnpack"] = RuntimeRun("tf-xnnpack", allocate_failure=Failure("RuntimeError", words))
    assert classes(record) == {"allocate/tf-xnnpack": ErrorClass.UNSUPPORTED}
    record.runs["tf-builtin"] = RuntimeRun("tf-builtin", samples=[[]])
    assert classes(record) == {"allocate/tf-xnnpack": ErrorClass.INTERNAL}


def test_health_counts_and_is_bounded() -> None:
    health = Health()
    event: dict[str, Any] = {"scheme": "int8", "patterns": [], "ops": ["relu"], "errors": ["user", "internal"]}
    for i in range(MAX_NAMES + 5):
        health.take({**event, "asked_wrongly": f"message {i}"}, True)
    assert health.errors == {"user": MAX_NAMES + 5, "internal": MAX_NAMES + 5}
    assert len(health.asked_wrongly) == MAX_NAMES + 1 and health.asked_wrongly["others"] == 5
    health.take_unjudged("no float64 kernel: mfcc")
    assert health.unjudged == {"no float64 kernel: mfcc": 1}


# --- the real stack ---------------------------------------------------------------------------------------


def case(**conversion: Any) -> Case:
    return replace(one_op("relu"), conversion=replace(Conversion(), **conversion))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (
            case(scheme="int8", optimizations="default", representative="absent", fallback=False),
            "user",
            "`representative_dataset` must be specified",
        ),
        (case(), None, ""),
    ],
    ids=["no representative data", "sound"],
)
def test_what_is_asked_wrongly_of_the_real_converter(
    real: Executor, asked: Case, error: str | None, words: str
) -> None:
    answer = real.run({"command": "run", "case": to_json(asked)}, 60.0)
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    assert answer.message["errors"] == ([error] if error else [])
    assert words in answer.message["asked_wrongly"]
    assert any(f.startswith("err:convert/user/") for f in answer.message["features"]) is (error == "user")
    assert answer.message["verdicts"] == []
