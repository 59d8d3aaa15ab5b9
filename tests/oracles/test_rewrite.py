"""Converter defects are blamed on a pass, and on what it made of what."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from fuzzer.case import Case, Inference, Model, Node, Recipe, to_json
from fuzzer.case.codec import from_json
from fuzzer.examine.examiner import Examiner
from fuzzer.execute import Executor, Limits, Reply, Zygote
from fuzzer.findings import FindingStore
from fuzzer.findings.inbox import Suspicion
from fuzzer.ops import TensorType
from fuzzer.oracles import Verdict
from fuzzer.oracles.confirm.rewrite import message_of
from tests.oracles.test_oracles import small_net

ROOT = Path(__file__).parents[1] / "regressions"
TENSORFLOW = ".".join(version("tensorflow").split(".")[:2])
recorded = pytest.mark.skipif(TENSORFLOW != "2.21", reason="other releases have other defects")
SOFTPLUS = "the converter changed the model in LegalizeTFPass: tf.Softplus -> tfl.exp, tfl.add, tfl.log"


def regression(start: str) -> dict[str, Any]:
    (path,) = ROOT.glob(f"{start}*.json")
    tree: dict[str, Any] = json.loads(path.read_text())
    return tree


def single(op: str, shape: tuple[int, ...], scale: float = 1.0, **attrs: Any) -> Case:
    model = Model((TensorType(shape, "float32"),), (Node(op, ("x0",), attrs),), ("n0",))
    return Case(model, inference=Inference(inputs=(Recipe("normal", 1, scale=scale), Recipe("normal", 2, scale=scale))))


def cosine() -> Case:
    """Numbers whose squares add up to less than the epsilon of `tf.math.l2_normalize`."""
    node = Node("cosine_similarity", ("x0", "x0"))
    model = Model((TensorType((2, 4), "float32"),), (node,), ("n0",))
    return Case(model, inference=Inference(inputs=(Recipe("normal", 1, scale=1e-7),)))


def rewrite(real: Executor, case: Case) -> dict[str, Any]:
    answer = real.run({"command": "rewrite", "case": to_json(case)})
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    message: dict[str, Any] = answer.message
    return message


def test_messages_name_the_pass_and_what_became_of_what() -> None:
    plain = {"pass": "P", "before": ["tf.A", "tf.A", "tf.B"], "after": ["tfl.c"]}
    assert message_of(plain) == "the converter changed the model in P: tf.A, tf.B -> tfl.c"
    assert message_of({**plain, "after": []}) == "the converter changed the model in P: tf.A, tf.B -> nothing"
    assert message_of({"pass": "import", "before": [], "after": []}) == "the converter changed the model in import"
    assert message_of({"no pass": "this release has no IR dumps"}) == ""


def test_an_operation_that_became_one_other_is_told_without_a_culprit() -> None:
    one = {"pass": "LegalizeTFPass", "before": ["tf.LRN"], "after": ["tfl.local_response_normalization"]}
    assert message_of(one) == "LOCAL_RESPONSE_NORMALIZATION gives other values than tf.LRN"
    for before, after in ((["tf.LRN"], ["tfl.mul", "tfl.cast"]), (["tfl.mul"], ["tfl.add"]), (["tf.LRN"], [])):
        told = message_of({**one, "before": before, "after": after})
        assert told.startswith("the converter changed the model in LegalizeTFPass")


def test_folding_is_one_defect_whichever_pass_does_it() -> None:
    one, other = ({"pass": name, "before": ["tf.Atan2"], "after": ["constant"]} for name in ("A", "B"))
    assert (
        message_of(one) == message_of(other) == "the converter changed the model in constant folding: "
        "tf.Atan2 -> constant"
    )


@pytest.mark.slow
@recorded
@pytest.mark.parametrize(
    ("start", "before", "after"),
    [
        ("value-softplus", ["tf.Softplus"], ["tfl.exp", "tfl.add", "tfl.log"]),
        ("value-strided-slice", ["tf.StridedSlice"], ["tfl.strided_slice"]),
    ],
)
def test_known_defects_name_their_pass(real: Executor, start: str, before: list[str], after: list[str]) -> None:
    found = rewrite(real, from_json(regression(start)["case"]))["rewrite"]
    assert (found["pass"], found["before"], found["after"]) == ("LegalizeTFPass", before, after), found
    done, _, of = found["run"].split()[:3]
    assert done == of, "every state of a small program is run"


@pytest.mark.slow
@recorded
def test_one_defect_has_one_message_whatever_is_around_it(real: Executor) -> None:
    """A log-cosh holds a softplus, which the converter rewrites among everything else."""
    assert rewrite(real, single("log_sigmoid", (1, 8), 1000.0))["message"] == SOFTPLUS
    assert rewrite(real, single("softplus", (2, 3, 4), 300.0))["message"] == SOFTPLUS


@pytest.mark.slow
@recorded
def test_other_defects_of_the_same_pass_have_other_messages(real: Executor) -> None:
    attrs = {"bits": 8, "given": True, "low": -1.0, "signed": False, "width": 12.4}
    message = rewrite(real, single("quantize_dequantize", (4, 5, 2), **attrs))["message"]
    assert message.startswith("the converter changed the model in LegalizeTFPass: tf.QuantizeAndDequantizeV"), message
    assert message.endswith("-> tfl.quantize, tfl.dequantize"), message


FAKE = {"bits": 8, "low": -1.83, "width": 11.6, "narrow": True}


@pytest.mark.slow
@recorded
@pytest.mark.parametrize(
    ("case", "message"),
    [
        # The limits of a narrow range, 1 and 255, stand in the program's types; a flatbuffer has no place for them.
        (single("fake_quant", (3, 11), 10.0, **FAKE), "the export to a flatbuffer: tfl.quantize -> QUANTIZE"),
        # Two bits become four.
        (
            single("fake_quant", (3, 11), 10.0, **{**FAKE, "bits": 2, "narrow": False}),
            "PrepareTFPass: tf.FakeQuantWithMinMaxArgs -> tfl.quantize, tfl.dequantize",
        ),
        # The epsilon is lost.
        (
            cosine(),
            "OptimizePass: tfl.square, tfl.sum, tfl.maximum, tfl.rsqrt, tfl.mul -> tfl.l2_normalization",
        ),
    ],
    ids=["narrow", "two bits", "epsilon"],
)
def test_defects_of_several_passes(real: Executor, case: Case, message: str) -> None:
    assert rewrite(real, case)["message"] == f"the converter changed the model in {message}"


@pytest.mark.slow
def test_a_sound_model_blames_nobody(real: Executor) -> None:
    found = rewrite(real, small_net())["rewrite"]
    assert found == {"no pass": "no sample on which every runtime is wrong"}


@pytest.mark.slow
@recorded
def test_the_finding_tells_the_pass(real_zygote: Zygote, tmp_path: Path) -> None:
    tree = regression("value-softplus")
    examiner = Examiner(
        real_zygote.path, FindingStore(tmp_path / "crashes", create=True), "tensorflow 2.21", Limits(timeout_s=30.0)
    )
    try:
        suspicion = Suspicion(from_json(tree["case"]), Verdict.from_json(tree["verdict"]), "2026-01-02T03:04:05+00:00")
        finding = examiner.adopt(suspicion).finding
    finally:
        examiner.close()
    assert finding is not None and finding.title == f"value in compare: {SOFTPLUS} (float32)"
    assert finding.script_exit == 1 and finding.reproduced == finding.repeats
    folder = tmp_path / "crashes" / finding.path
    report = (folder / "report.md").read_text()
    assert "- pass: `LegalizeTFPass`" in report and "tf.Softplus" in report and "tfl.log" in report
    script = " ".join((folder / "repro.py").read_text().split())
    assert "wrong after LegalizeTFPass: before it tf.Softplus, after it tfl.exp" in script
