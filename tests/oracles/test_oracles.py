"""Oracles on real executions: silent on healthy ones, exact on planted defects, and still aware of known ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.case.codec import from_json
from fuzzer.examine.examiner import Examiner
from fuzzer.execute import Executor, Limits, Reply, Zygote
from fuzzer.findings import FindingStore
from fuzzer.ops import TensorType
from fuzzer.oracles import Kind, Verdict

pytestmark = pytest.mark.slow

REGRESSIONS = [
    p for p in sorted((Path(__file__).parents[1] / "regressions").glob("*.json")) if b'"verdict"' in p.read_bytes()
]
TENSORFLOW = ".".join(version("tensorflow").split(".")[:2])

CONV = {
    "filters": 4,
    "kernel": (3, 3),
    "strides": (1, 1),
    "dilations": (1, 1),
    "padding": "SAME",
    "groups": 1,
    "use_bias": True,
}


def small_net(scheme: str = "float32", io: str = "float32", **conversion: Any) -> Case:
    """Convolution, ReLU, pooling, dense: two outputs; what everybody runs, so it must be healthy."""
    nodes = (
        Node("conv2d", ("x0",), CONV, {"filter": Recipe("normal", 1), "bias": Recipe("normal", 2)}),
        Node("relu", ("n0",)),
        Node("global_avg_pool", ("n1",), {"keepdims": False}),
        Node(
            "dense",
            ("n2",),
            {"units": 5, "use_bias": True},
            {"kernel": Recipe("normal", 3), "bias": Recipe("normal", 4)},
        ),
    )
    model = Model((TensorType((1, 8, 8, 3), "float32"),), nodes, ("n3", "n2"))
    inputs = (Recipe("uniform", 1), Recipe("normal", 2))
    return Case(model, Conversion(scheme=scheme, io=io, **conversion).repaired(), Inference(inputs=inputs))


def judged(real: Executor, case: Case, tamper: str) -> list[Verdict]:
    answer = real.run({"call": "tests.oracles.planted:judged", "case": to_json(case), "tamper": tamper})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    return [Verdict.from_json(v) for v in answer.message["verdicts"]]


# --- healthy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        small_net(),
        small_net("float16"),
        small_net("dynamic"),
        small_net("int8"),
        small_net("int8", "int8"),
        small_net("int8", "uint8", fallback=False),
        small_net("int16x8"),
        small_net("int16x8", "int16"),
        small_net(entry="saved_model"),
        small_net(entry="keras"),
        small_net(entry="legacy_keras"),
        small_net(op_set="select_tf"),
    ],
    ids=lambda c: f"{c.conversion.scheme}-{c.conversion.io}-{c.conversion.entry}-{c.conversion.op_set}",
)
def test_a_healthy_case_gives_no_verdict(real: Executor, case: Case) -> None:
    assert judged(real, case, "nothing") == []


# --- planted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tamper", "kind", "runtime"),
    [
        ("value", Kind.VALUE, "tf-xnnpack"),
        ("nan", Kind.NAN_PROPAGATION, "tf-xnnpack"),
        ("infinity", Kind.NAN_PROPAGATION, "tf-xnnpack"),
        ("shape", Kind.SHAPE, "tf-xnnpack"),
        ("declared_shape", Kind.SHAPE, "litert"),
        ("dtype", Kind.DTYPE, "tf-builtin"),
        ("dropped", Kind.OUTPUT_COUNT, "tf-builtin"),
        ("internal_error", Kind.CONVERTER_ERROR, "converter"),
        ("allocate", Kind.ALLOCATE_ERROR, "tf-xnnpack"),
        ("invoke", Kind.INVOKE_ERROR, "litert"),
        ("refusal", None, ""),
        ("allocate_refusal", None, ""),
    ],
)
@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_a_planted_defect_gives_exactly_its_kind(
    real: Executor, scheme: str, tamper: str, kind: Kind | None, runtime: str
) -> None:
    verdicts = judged(real, small_net(scheme), tamper)
    assert [(v.kind, v.runtime) for v in verdicts] == ([] if kind is None else [(kind, runtime)])
    for verdict in verdicts:
        assert verdict.message and verdict.unit and Verdict.from_json(verdict.to_json()) == verdict


def test_a_planted_integer_value_is_told_in_steps(real: Executor) -> None:
    (verdict,) = judged(real, small_net("int8", "int8"), "value")
    assert (verdict.kind, verdict.unit, verdict.severity) == (Kind.VALUE, "steps", 9.0)
    assert verdict.evidence["base"] == "tf-reference" and verdict.evidence["runtimes"] == ["tf-xnnpack"]


def test_a_planted_float_value_is_located(real: Executor) -> None:
    (verdict,) = judged(real, small_net(), "value")
    assert verdict.evidence["base"] == "tensorflow"
    assert (verdict.evidence["sample"], verdict.evidence["output"], verdict.evidence["index"]) == (0, 0, [0, 4])
    assert verdict.severity == pytest.approx(verdict.evidence["relative"])


def test_runtimes_that_say_the_same_share_a_verdict(real: Executor) -> None:
    (verdict,) = judged(real, small_net(), "allocate")
    assert verdict.evidence["runtimes"] == ["tf-xnnpack", "litert"]


# --- confirmation -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examiner(real_zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examiner]:
    store = FindingStore(tmp_path_factory.mktemp("crashes"), create=True)
    made = Examiner(real_zygote.path, store, "", Limits(timeout_s=15.0))
    yield made
    made.close()


@pytest.mark.parametrize("scheme", ["float32", "dynamic", "int8", "int16x8"])
@pytest.mark.parametrize("kind", [Kind.VALUE, Kind.NAN_PROPAGATION, Kind.SHAPE, Kind.CONVERTER_ERROR])
def test_a_suspicion_of_a_healthy_case_is_dismissed_in_words(examiner: Examiner, kind: Kind, scheme: str) -> None:
    from fuzzer.oracles import Stage

    stage = Stage.CONVERT if kind is Kind.CONVERTER_ERROR else Stage.COMPARE
    seen = examiner.observe(small_net(scheme), Verdict(stage, kind, "planted", "tf-xnnpack"))
    assert seen.verdict is None and seen.why


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda p: p.stem)
def test_a_known_upstream_defect_is_still_detected(examiner: Examiner, path: Path) -> None:
    tree = json.loads(path.read_bytes())
    if tree["tensorflow"] != TENSORFLOW:
        pytest.skip(f"recorded on TensorFlow {tree['tensorflow']}, here is {TENSORFLOW}: it may have been mended")
    want = Verdict.from_json(tree["verdict"])
    seen = examiner.observe(from_json(tree["case"]), want, fresh=True, patient=True)
    assert seen.verdict is not None, seen.why
    got = seen.verdict
    assert (got.kind, got.stage, got.message) == (want.kind, want.stage, want.message)
    assert got.severity > 0 and got.unit == want.unit


def test_there_are_regression_cases_of_many_kinds() -> None:
    kinds = {json.loads(p.read_bytes())["verdict"]["kind"] for p in REGRESSIONS}
    assert len(REGRESSIONS) >= 8 and kinds >= {"value", "crash", "converter-error", "allocate-error"}


KNOWN_WRONG = {"CONV_3D_TRANSPOSE", "LOCAL_RESPONSE_NORMALIZATION"}
"""Kernels of TensorFlow 2.21 that are wrong on ordinary graphs; there is a regression case of each."""


def test_small_float_cases_are_no_findings(real: Executor) -> None:
    """Ordinary float graphs on the built-in and reference kernels: whatever is suspected, nothing is confirmed."""
    from dataclasses import replace

    from fuzzer.mutate import generate

    rng = Random(11)
    confirmed = []
    for _ in range(60):
        case = generate(rng)
        runtimes = ("tf-builtin", "tf-reference")
        case = replace(
            case,
            conversion=Conversion(),
            inference=replace(case.inference, runtimes=runtimes, inputs=(Recipe("uniform", 1), Recipe("normal", 2))),
        )
        answer = real.run({"command": "run", "case": to_json(case)}, 20.0)
        if not isinstance(answer, Reply):
            continue
        assert "bug" not in answer.message, answer.message["bug"]
        for verdict in answer.message["verdicts"]:
            if verdict["kind"] != "value":
                continue
            again = real.run({"command": "confirm", "case": to_json(case), "verdict": verdict}, 60.0)
            assert isinstance(again, Reply)
            if again.message["verdict"] and again.message["verdict"]["blame"] not in KNOWN_WRONG:
                confirmed.append((case.canonical.decode(), again.message["verdict"]["message"]))
    assert not confirmed
