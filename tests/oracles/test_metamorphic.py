"""Metamorphic relations: each finds a planted violation of its promise, and none says a word of sound models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fuzzer.case import (
    DEAR_RELATIONS,
    RELATIONS,
    RUNTIMES,
    Case,
    Conversion,
    Inference,
    Model,
    Node,
    Recipe,
    decode,
    to_json,
)
from fuzzer.errors import CaseError
from fuzzer.execute import Death, Executor, Reply
from fuzzer.findings.titles import title_of
from fuzzer.mutate import draw, generate
from fuzzer.mutate.draw import CHEAP_RELATION, DEAR_RELATION
from fuzzer.ops import TensorType
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.confirm.metamorphic import FRESH
from fuzzer.oracles.death import judge_death
from fuzzer.oracles.metamorphic import relations
from fuzzer.reduce import Budget, reduce
from fuzzer.reproducer.layout import WIDTH
from fuzzer.reproducer.script import reproducer
from tests.oracles.faulty import FAULTS, RAISED

CONV = {
    "filters": 4,
    "kernel": (3, 3),
    "strides": (1, 1),
    "dilations": (1, 1),
    "padding": "SAME",
    "groups": 1,
    "use_bias": True,
}
RESIZED = ("resize_back", "batch_split")
REVERSE = {"mask": 1}


def net(relation: str, scheme: str = "float32", **conversion: Any) -> Case:
    """A batch of two images through a convolution that two operators read: everybody runs it, in any order."""
    nodes = (
        Node("conv2d", ("x0",), CONV, {"filter": Recipe("normal", 1), "bias": Recipe("normal", 2)}),
        Node("relu", ("n0",)),
        Node("tanh", ("n0",)),
    )
    model = Model((TensorType((2, 6, 6, 3), "float32"),), nodes, ("n1", "n2"))
    road = Conversion(
        **{"scheme": scheme, "dynamic": "batch" if relation in RESIZED else "none", **conversion}
    ).repaired()
    inputs = (Recipe("uniform", 1), Recipe("normal", 2))
    return Case(model, road, Inference(inputs=inputs, relation=relation))


def run(real: Executor, case: Case, fault: str) -> dict[str, Any]:
    answer = real.run({"call": "tests.oracles.faulty:planted", "case": to_json(case), "fault": fault})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    return answer.message


# --- cases ------------------------------------------------------------------------------------------------


def test_the_registry_is_what_a_case_may_name() -> None:
    assert tuple(relations()) == RELATIONS[1:] and set(FAULTS) == set(relations())
    assert {name for name, r in relations().items() if r.other is not None} == set(DEAR_RELATIONS)
    for relation in relations().values():
        assert (relation.again is None) == (relation.other is not None)


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_relation_is_part_of_the_case_and_of_its_id(relation: str) -> None:
    case = net(relation)
    assert decode(case.canonical) == case
    assert ("relation" in to_json(case)["inference"]) == (relation != "none")
    plain = replace(case, inference=replace(case.inference, relation="none"))
    assert (case.id == plain.id) == (relation == "none")


def test_an_unknown_relation_is_refused_by_name() -> None:
    tree = to_json(net("threads"))
    tree["inference"]["relation"] = "astrology"
    with pytest.raises(CaseError, match=r"inference\.relation.*second_invoke"):
        decode(json.dumps(tree))


def test_relations_are_drawn_as_often_as_they_cost() -> None:
    made = [generate(Random(seed)) for seed in range(1500)]
    drawn = [c.inference.relation for c in made]
    cheap = sum(r not in ("none", *DEAR_RELATIONS) for r in drawn) / len(drawn)
    dear = sum(r in DEAR_RELATIONS for r in drawn) / len(drawn)
    assert abs(cheap - CHEAP_RELATION) < 0.04 and abs(dear - DEAR_RELATION) < 0.015
    for case in made:
        if case.inference.relation in RESIZED:
            assert case.conversion.resized
    seen = {draw.relation(Random(seed), net("none", dynamic="batch")) for seed in range(2000)}
    assert seen == set(RELATIONS)


def test_a_relation_that_is_not_needed_is_reduced_away() -> None:
    assert reduce(net("threads"), lambda _: True, Budget()).case.inference.relation == "none"
    kept = reduce(net("threads"), lambda c: c.inference.relation == "threads", Budget()).case
    assert kept.inference.relation == "threads" and len(kept.model.nodes) == 1


# --- planted and sound ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("relation", RELATIONS[1:])
def test_a_planted_violation_is_found_and_confirmed(real: Executor, relation: str) -> None:
    message = run(real, net(relation), FAULTS[relation])
    assert message["unrelated"] == ""
    (verdict,) = [Verdict.from_json(v) for v in message["verdicts"]]
    guilty = ["tf-builtin"] if relation != "round_trip" else list(RUNTIMES)
    assert (verdict.kind, verdict.stage) == (Kind.METAMORPHIC, Stage.COMPARE) and verdict.runtime in guilty
    assert verdict.message == relations()[relation].broken
    assert verdict.evidence["relation"] == relation and verdict.evidence["runtimes"] == guilty
    assert verdict.evidence["expected"] != verdict.evidence["actual"]
    (told,) = message["confirmed"]
    assert told["verdict"] is not None, told["why"]
    final = Verdict.from_json(told["verdict"])
    assert final.kind is Kind.METAMORPHIC and final.runtime in guilty
    assert relations()[relation].broken in final.message
    if relations()[relation].alone and relation != "round_trip":
        assert final.blame == "CONV_2D" and "optimised CONV_2D (float32)" in final.message
    title = title_of(final, net(relation))
    assert title.startswith("metamorphic in compare: ") and relations()[relation].broken in title


@pytest.mark.slow
@pytest.mark.parametrize("relation", ["second_invoke", "reallocate", "threads", "node_order", "batch_rows"])
def test_a_planted_violation_between_integers_is_found(real: Executor, relation: str) -> None:
    message = run(real, net(relation, "int8", io="int8"), FAULTS[relation])
    (told,) = message["confirmed"]
    assert told["verdict"] is not None, told["why"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic", "int8", "int16x8"])
def test_sound_models_keep_every_promise(real: Executor, scheme: str) -> None:
    for relation in RELATIONS[1:]:
        message = run(real, net(relation, scheme), "")
        assert message["verdicts"] == [], (relation, message["verdicts"])
        if relation != "unfused" or scheme == "float32":
            assert message["unrelated"] == "" and len(message["tried"]) == 4, (relation, message["unrelated"])
        assert message["seconds"] > 0


@pytest.mark.slow
def test_what_differs_without_the_relation_is_told_so(real: Executor) -> None:
    message = run(real, net("preserve_all"), "fresh")
    (told,) = message["confirmed"]
    final = Verdict.from_json(told["verdict"])
    assert final.evidence["relation"] == FRESH and "fresh interpreters" in final.message


@pytest.mark.slow
def test_an_error_after_the_change_is_told_with_the_relation(real: Executor) -> None:
    message = run(real, net("reallocate"), "raises")
    (verdict,) = [Verdict.from_json(v) for v in message["verdicts"]]
    assert verdict.message.startswith(relations()["reallocate"].fails) and verdict.evidence["message"] == RAISED
    final = Verdict.from_json(message["confirmed"][0]["verdict"])
    assert final.blame == "CONV_2D" and relations()["reallocate"].fails in final.message


@pytest.mark.slow
def test_a_death_is_blamed_on_the_relation(real: Executor) -> None:
    case = net("reallocate")
    answer = real.run({"call": "tests.oracles.faulty:planted", "case": to_json(case), "fault": "aborts"})
    assert isinstance(answer, Death)
    verdict = judge_death(answer)
    assert (verdict.stage, verdict.kind, verdict.runtime) == (Stage.METAMORPHIC, Kind.CRASH, "tf-builtin")
    assert title_of(verdict, case).startswith("crash in metamorphic (reallocate): SIGABRT")


@pytest.mark.slow
def test_what_need_not_hold_is_not_tried(real: Executor) -> None:
    def ending(relation: str, last: Node) -> Case:
        case = net(relation)
        # Three images: two are swapped by moving them and by reversing them alike.
        case = replace(case, model=replace(case.model, inputs=(TensorType((3, 6, 6, 3), "float32"),)))
        nodes = (*case.model.nodes[:2], last)
        return replace(case, model=replace(case.model, nodes=nodes, outputs=("n2",)))

    flipped = ending("batch_rows", Node("reverse", ("n1",), REVERSE))
    assert run(real, flipped, "first_row")["unrelated"] == "examples of a batch are not apart"
    noisy = ending("second_invoke", Node("dropout", ("n1",), {"seed": 1, "rate": 0.5}))
    assert run(real, noisy, "stale")["unrelated"] == "random operators"
    assert run(real, net("unfused", "int8"), "other_file")["unrelated"] == "what is fused is quantised otherwise"
    fixed = replace(net("resize_back"), conversion=Conversion())
    assert run(real, fixed, "resized")["unrelated"] == "the flatbuffer fixes its shapes"


# --- reproducers ------------------------------------------------------------------------------------------


def scripts() -> dict[str, str]:
    """By relation, the reproducer of a violation; those that raise as `relation!`."""
    made = {}
    for relation in (*RELATIONS[1:], FRESH):
        case = net("preserve_all" if relation == FRESH else relation)
        exact = relation == FRESH or relations()[relation].exact
        evidence = {"relation": relation, "runtimes": ["tf-builtin"]}
        unit = "elements" if exact else "x bound"
        verdict = Verdict(Stage.COMPARE, Kind.METAMORPHIC, "made up", "tf-builtin", 1e3, unit, "", evidence)
        made[relation] = reproducer(case, verdict, "a title", "versions")
        failed = replace(verdict, unit="runs", evidence={**evidence, "message": RAISED})
        made[f"{relation}!"] = reproducer(case, failed, "a title", "versions")
    return made


def test_reproducers_are_short_python_without_anything_of_ours() -> None:
    for name, text in scripts().items():
        compile(text, name, "exec")
        assert "fuzzer" not in text and "def changed(flatbuffer):" in text
        assert max(map(len, text.splitlines())) <= WIDTH and len(text.splitlines()) < 180


def test_a_death_has_a_reproducer_of_its_relation() -> None:
    verdict = Verdict(
        Stage.METAMORPHIC, Kind.CRASH, "SIGABRT", "tf-builtin", 6.0, "signal", evidence={"signal": "SIGABRT"}
    )
    for relation in RELATIONS[1:]:
        text = reproducer(net(relation), verdict, "a title", "versions")
        compile(text, relation, "exec")
        assert "--child" in text and text.rstrip().endswith("os._exit(0)") and "    changed(flatbuffer)" not in text
        assert "\nchanged(flatbuffer)\n" in text


@pytest.mark.slow
def test_reproducers_tell_a_violation_from_a_sound_runtime(tmp_path: Path) -> None:
    """All of them in one process, with the interpreter as it is and with the fault of the relation."""
    jobs = []
    for name, text in scripts().items():
        (tmp_path / f"{name}.py").write_text(text)
        fault = FAULTS.get(name, "fresh") if not name.endswith("!") else "raises"
        jobs.append((name, "", 0))
        if not name.endswith("!") or name == "reallocate!":
            jobs.append((name, fault, 1))
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(tmp_path), json.dumps(jobs)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == [want for _, _, want in jobs], [(j, t) for j, t in zip(jobs, told, strict=True) if j[2] != t]


RUNNER = """
import json, runpy, sys
import tensorflow as tf
from tests.oracles.faulty import Faulty, faulty_class, repacking
folder, jobs = sys.argv[1], json.loads(sys.argv[2])
sound, told = tf.lite.Interpreter, []
for name, fault, _ in jobs:
    Faulty.made, Faulty.original = 0, b""
    tf.lite.Interpreter = faulty_class(sound, fault) if fault else sound
    try:
      with repacking(fault):
        runpy.run_path(f"{folder}/{name}.py", run_name="__main__")
        told.append(0)
    except SystemExit as end:
        told.append(end.code)
print(json.dumps(told))
"""
