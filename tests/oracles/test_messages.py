"""Captured messages and logs, each with the message it must become: adding a case is adding a file to golden/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.case import Case
from fuzzer.execute import Death
from fuzzer.findings.titles import MAX_TITLE, chain, finding_id, folder_name, key_of, title_of
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.death import judge_death
from fuzzer.oracles.messages import (
    MAX_MESSAGE,
    converter_message,
    fatal_message,
    is_refusal,
    normalise,
    runtime_message,
)
from tests.strategies import drawn_case

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))
READERS = {"converter": converter_message, "runtime": runtime_message, "fatal": fatal_message}


def headed(path: Path) -> tuple[dict[str, str], str]:
    head, _, raw = path.read_text().partition("\n\n")
    return dict((line + " ").split(": ", 1) for line in head.splitlines()), raw


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_golden_messages(path: Path) -> None:
    head, raw = headed(path)
    assert READERS[head["KIND"].strip()](raw) == head["MESSAGE"].strip()
    assert is_refusal(raw) == (head["REFUSAL"].strip() == "yes")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_the_message_is_the_same_on_another_machine(path: Path) -> None:
    """Other folders, other line numbers, other process ids and other tensor sizes."""
    head, raw = headed(path)
    moved = raw.replace("/home/user/venv/lib/python3.11", "/home/u/.venv/lib/python3.13").replace(":207 ", ":999 ")
    moved = moved.replace("number 3", "number 12").replace("Got 3 and 0", "Got 17 and 2").replace("0.02", "1e-05")
    assert READERS[head["KIND"].strip()](moved) == head["MESSAGE"].strip()


def test_there_are_enough_golden_files() -> None:
    assert len(GOLDEN) >= 12


def test_glog_checks_are_read() -> None:
    log = "I0000 noise\nF0000 00:00:1700000000.123456 1234 kernel.cc:12] Check failed: a == b (3 vs. 4)\n*** trace\n"
    assert fatal_message(log) == "Check failed: a == b (N vs. N)"
    assert fatal_message("nothing was said\n") == ""


@given(st.text(max_size=400))
def test_messages_of_any_text_are_short_and_single_lines(text: str) -> None:
    for reader in (converter_message, runtime_message, fatal_message, normalise):
        message = reader(text)
        assert len(message) <= MAX_MESSAGE + 64 and "\n" not in message and "\x1b[" not in message


@pytest.mark.parametrize(
    "unit", ["(", "loc(", "loc((a)", "{{node ", "tensor<", "error: ", '"@', "1e", "a/", "Node number 1 (A"]
)
def test_long_messages_do_not_blow_up_the_patterns(unit: str) -> None:
    import time

    size = 20_000
    begun = time.process_time()
    converter_message(unit * (size // len(unit)))
    runtime_message(unit * (size // len(unit)))
    assert time.process_time() - begun < 2


# --- deaths -----------------------------------------------------------------------------------------------

FRAME = '  File "/x/site-packages/tensorflow/lite/python/interpreter.py", line 12 in invoke\n'


@pytest.mark.parametrize(
    ("death", "stage", "kind", "message", "runtime", "severity"),
    [
        (
            Death(
                "crash", "SIGABRT", "allocate", "tf-xnnpack", "F0000 1 2 a.cc:1] Check failed: x > 1\n" + FRAME, 1, 0
            ),
            Stage.ALLOCATE,
            Kind.CRASH,
            "SIGABRT: Check failed: x > N",
            "tf-xnnpack",
            (6.0, "signal"),
        ),
        (
            Death("crash", "SIGSEGV", "invoke", "litert", FRAME, 1, 0),
            Stage.INVOKE,
            Kind.CRASH,
            "SIGSEGV: in interpreter.py invoke",
            "litert",
            (11.0, "signal"),
        ),
        (
            Death("crash", "exit 3", "convert", "", "", 1, 0),
            Stage.CONVERT,
            Kind.CRASH,
            "exit 3",
            "converter",
            (0.0, "signal"),
        ),
        (
            Death("hang", "SIGKILL", "convert", "", FRAME, 5.04, 0),
            Stage.CONVERT,
            Kind.HANG,
            "no answer: in interpreter.py invoke",
            "converter",
            (5.0, "s"),
        ),
        (
            Death("out-of-memory", "SIGKILL", "reference", "", "", 1, 4100.0),
            Stage.REFERENCE,
            Kind.OUT_OF_MEMORY,
            "memory limit",
            "tensorflow",
            (4100.0, "MB"),
        ),
        (
            Death("crash", "SIGFPE", "judge", "", "", 1, 0),
            Stage.BUILD,
            Kind.CRASH,
            "SIGFPE",
            "tensorflow",
            (8.0, "signal"),
        ),
    ],
)
def test_verdicts_on_deaths(
    death: Death, stage: Stage, kind: Kind, message: str, runtime: str, severity: tuple[float, str]
) -> None:
    verdict = judge_death(death)
    assert (verdict.stage, verdict.kind, verdict.message, verdict.runtime) == (stage, kind, message, runtime)
    assert (verdict.severity, verdict.unit) == severity
    assert Verdict.from_json(verdict.to_json()) == verdict


# --- titles -----------------------------------------------------------------------------------------------

CASE: Case = replace(
    drawn_case(1), conversion=replace(drawn_case(1).conversion, scheme="int8", optimizations="default")
)


def test_titles() -> None:
    ops = chain(CASE)
    crash = Verdict(Stage.INVOKE, Kind.CRASH, "SIGABRT: Check failed", "litert", 6.0, "signal")
    assert title_of(crash, CASE) == f"crash in invoke: SIGABRT: Check failed [litert] ({ops}, int8)"
    error = Verdict(Stage.ALLOCATE, Kind.ALLOCATE_ERROR, "pad.cc types", "tf-xnnpack")
    assert title_of(error, CASE) == f"allocate-error in allocate: pad.cc types ({ops}, int8)"
    value = Verdict(Stage.COMPARE, Kind.VALUE, "XNNPACK CONV_2D (int8): wrong values", "litert", blame="CONV_2D")
    assert title_of(value, CASE) == "value in compare: XNNPACK CONV_2D (int8): wrong values"


def test_severity_evidence_and_numbers_are_not_in_the_title() -> None:
    one = Verdict(Stage.COMPARE, Kind.VALUE, "m", "a", 1.0, "steps", "CONV_2D", {"x": 1})
    two = replace(one, severity=9.0, evidence={})
    assert title_of(one, CASE) == title_of(two, CASE) and key_of(one, "int8") == key_of(two, "int8")
    assert finding_id(title_of(one, CASE)) == finding_id(title_of(two, CASE))


def test_ids_and_folders() -> None:
    assert finding_id("value in compare: x") == "47280966b93d"
    name = folder_name("crash: ../../etc/\x00passwd — Ünï\n" * 20, "abc")
    assert name.endswith("-abc") and len(name) < 80 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    long = title_of(Verdict(Stage.COMPARE, Kind.SHAPE, "m " * 500, "a"), CASE)
    assert len(long) == MAX_TITLE


@pytest.mark.parametrize("channels", [1, 90, 200, 2048])
def test_types_are_taken_out_however_many_channels_have_a_scale(channels: int) -> None:
    """A message is cut after what is read of it: where the cut fell would be a part of the title."""
    scales = ",".join(["0.0014377953264656969"] * channels)
    type_ = f"'tensor<1x1x30x87x!quant.uniform<i8<-127:127>:f32:2, {{{scales}}}>>'"
    said = converter_message(f"error: 'tfl.reshape' op requires {type_} to be cast to {type_}\n  somewhere\n")
    assert said == "'tfl.reshape' op requires 'tensor' to be cast to 'tensor'"


def test_the_two_wheels_are_built_under_two_roots() -> None:
    said = {
        runtime_message(f"{root}/kernels/elementwise.cc Sqrt is only defined for non-negative values")
        for root in ("tflite", "tensorflow/lite", "litert")
    }
    assert said == {"<path> Sqrt is only defined for non-negative values"}


def test_numbers_of_inputs_and_nodes_are_chance() -> None:
    assert normalise("Graph does not contain node: x0") == normalise("Graph does not contain node: x12")
    assert normalise("op n3 of x1") == normalise("op n7 of x0") != normalise("op of x0")
    assert "int8" in normalise("int8 and x86_64") and "x86_64" in normalise("int8 and x86_64")


def test_a_delegate_that_complains_twice_says_one_thing() -> None:
    """Of node 11, then of 12, without a break between the sentences: ten titles of one defect in one campaign."""
    told = [f"failed to delegate BATCH_MATMUL node #{n}" for n in (1, 2, 11, 140)]
    assert {normalise(one + other) for one in told for other in told} == {"failed to delegate BATCH_MATMUL node #N"}
    assert runtime_message("".join(told) + "Node number 3 (BATCH_MATMUL) failed to prepare.").endswith("[BATCH_MATMUL]")
    assert normalise("one and one and two and two") == "one and one and two and two", (
        "short words may follow each other"
    )
