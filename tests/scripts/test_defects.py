"""The harness of injected defects: its table, its seams, and that a measurement tells found from missed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.execute import Executor, Reply
from fuzzer.findings import FindingStore
from fuzzer.mutate.draw import WILD
from fuzzer.ops import TensorType, registry
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.patterns import patterns
from scripts import bench_judging, bench_oracles
from scripts.bench_oracles import Injector, Trial, accused, named
from scripts.defects import DEFECTS, Defect, Party

ROOT = Path(__file__).parents[2]


def test_there_are_enough_kinds_over_all_schemes_and_runtimes() -> None:
    real = [d for d in DEFECTS.values() if not d.control]
    assert len({d.kind for d in real}) >= 60
    assert {d.scheme for d in real} == {"float32", "float16", "dynamic", "int8", "int16x8", "qat"}
    assert {r for d in real for r in d.runtimes} == {"tf-xnnpack", "tf-builtin", "tf-reference", "litert"}
    assert len({d.operator for d in real}) >= 25


def test_every_defect_has_a_guilty_party_and_cases_to_draw() -> None:
    for defect in DEFECTS.values():
        assert (defect.party is Party.CONVERTER) == (not defect.runtimes), defect.name
        assert defect.wanted, defect.name
        assert all(name in patterns() or name in registry() for name in defect.draw), defect.name


def test_nothing_of_the_product_knows_of_injection() -> None:
    for path in (ROOT / "fuzzer").rglob("*.py"):
        text = path.read_text()
        assert "scripts.defects" not in text and "from scripts" not in text, path


def test_cases_are_drawn_the_same_way_twice_and_hold_no_wild_inputs() -> None:
    from itertools import islice
    from random import Random

    defect = next(d for d in DEFECTS.values() if d.scheme == "int8")
    first, again = ([*islice(bench_oracles.cases_for(defect, Random("5")), 5)] for _ in range(2))
    assert [c.id for c in first] == [c.id for c in again]
    assert all(c.conversion.scheme == "int8" for c in first)
    assert not any(recipe.distribution in WILD for c in first for recipe in c.inference.inputs)


def _verdict(message: str, blame: str, runtimes: list[str]) -> Verdict:
    evidence = {"runtimes": runtimes}
    return Verdict(Stage.COMPARE, Kind.VALUE, message, runtimes[0], 3.0, "steps", blame, evidence)


def test_blame_counts_only_when_it_is_the_right_one() -> None:
    kernel = next(d for d in DEFECTS.values() if d.operator == "CONV_2D" and d.runtimes == ("tf-xnnpack", "litert"))
    right = _verdict("XNNPACK CONV_2D (int8): wrong values", "CONV_2D", ["tf-xnnpack", "litert"])
    assert named(kernel, right, {}) and accused(kernel, right)
    other = _verdict("reference ADD (int8): wrong values", "ADD", ["tf-xnnpack", "litert"])
    assert not named(kernel, other, {}) and not accused(kernel, other)
    converter = next(d for d in DEFECTS.values() if d.party is Party.CONVERTER)
    assert accused(converter, _verdict("the converter changed the model", "converter", ["litert"]))
    assert not accused(converter, right)
    by_tensor = Verdict(Stage.COMPARE, Kind.VALUE, "", evidence={"tensor": "conv/out"})
    assert named(converter, by_tensor, {"tensors": ["conv/out"]})
    assert not named(converter, by_tensor, {"tensors": ["dense/out"]})


def test_misses_are_the_unfound_the_misblamed_and_the_confirmed_controls() -> None:
    real = next(d for d in DEFECTS.values() if not d.control)
    control = next(d for d in DEFECTS.values() if d.control)

    def trial(defect: Defect, confirmed: bool, blamed: bool, case: str = "c") -> Trial:
        made = Trial(defect.name, defect.kind, defect.scheme, defect.party.value, case)
        made.confirmed, made.blamed = confirmed, blamed
        return made

    fine = [trial(real, True, True), trial(control, False, False), trial(real, False, False, case="")]
    wrong = [trial(real, False, False), trial(real, True, False), trial(control, True, False)]
    assert bench_oracles.misses([*fine, *wrong]) == wrong


def test_a_campaign_without_findings_has_a_table(tmp_path: Path) -> None:
    FindingStore(tmp_path, create=True)
    status = {"cases": 2000, "suspicions": 3, "dismissed": 3, "pending": 0}
    (tmp_path / "status.json").write_text(json.dumps(status))
    table = bench_judging.campaign_table(tmp_path)
    assert [*table.columns[1].cells] == ["2000", "0", "0.00", "3, 3, 0"]


# --- with TensorFlow --------------------------------------------------------------------------------------


def _net(scheme: str) -> Case:
    conv = {"filters": 4, "kernel": (3, 3), "strides": (1, 1), "dilations": (1, 1), "padding": "SAME", "groups": 1}
    nodes = (
        Node(
            "conv2d", ("x0",), {**conv, "use_bias": True}, {"filter": Recipe("normal", 1), "bias": Recipe("normal", 2)}
        ),
        Node("max_pool", ("n0",), {"size": (2, 2), "strides": (2, 2), "padding": "VALID"}),
    )
    model = Model((TensorType((1, 8, 8, 3), "float32"),), nodes, ("n1", "n0"))
    io = "int8" if scheme == "int8" else "float32"
    return Case(model, Conversion(scheme=scheme, io=io).repaired(), Inference(inputs=(Recipe("uniform", 1),) * 2))


@pytest.mark.slow
def test_a_model_in_pieces_is_the_model_and_one_step_is_one_step(real: Executor) -> None:
    request = {"call": "tests.scripts.checks:stepped", "case": to_json(_net("int8")), "operator": "MAX_POOL_2D"}
    answer = real.run(request)
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    assert set(answer.message["same"].values()) == {True}
    assert set(map(tuple, answer.message["moved"].values())) == {(1, 1)}


@pytest.fixture(scope="module")
def injector() -> Iterator[Injector]:
    made = Injector(1)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "blame"),
    [
        ("kernel drops the bias: CONV_2D [float32 tf-xnnpack+litert]", "CONV_2D"),
        ("convolution without its bias: CONV_2D [float32]", "converter"),
        ("last channel is not computed: DEPTHWISE_CONV_2D [int8 tf-xnnpack+litert]", "DEPTHWISE_CONV_2D"),
    ],
)
def test_a_coarse_defect_is_found_and_blamed(injector: Injector, name: str, blame: str) -> None:
    trial = injector.trial(DEFECTS[name], 0)
    assert trial.detected and trial.confirmed and trial.blamed
    assert trial.blame == blame
    assert all(seconds < 10 for seconds in trial.confirm_s)


@pytest.mark.slow
def test_what_nobody_calls_a_defect_is_not_confirmed(injector: Injector) -> None:
    trial = injector.trial(DEFECTS["control: one ulp: CONV_2D [float32 tf-xnnpack+litert]"], 0)
    assert trial.case and not trial.confirmed
