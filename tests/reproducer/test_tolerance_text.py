"""Reproducers that judge with one number an output."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from fuzzer.case import RUNTIMES, Case, Inference, Model, Node, Recipe, to_json
from fuzzer.case.codec import from_json
from fuzzer.execute import Executor, Reply
from fuzzer.ops import TensorType
from fuzzer.oracles.confirm.tolerance import EAGER
from fuzzer.oracles.verdict import MODEL_ERROR, NOISE, STEP, TOLERANCE, Kind, Stage, Verdict
from fuzzer.reproducer.layout import WIDTH
from fuzzer.reproducer.script import reproducer
from fuzzer.reproducer.tolerance_text import tolerance_of
from tests.reproducer.test_script import cases, image, run, undefined, verdict


def told(base: str, errors: list[float]) -> dict[str, object]:
    return {TOLERANCE: {"base": base, "errors": errors, "why": "as far as rounding goes"}}


def test_scripts_of_many_cases() -> None:
    seen = set()
    for case, rng in cases(120, 11):
        base = rng.choice((EAGER, *RUNTIMES))
        if rng.random() < 0.5:
            case = replace(
                case,
                model=replace(case.model, outputs=case.model.outputs[:1]),
                inference=replace(case.inference, inputs=case.inference.inputs[:1]),
            )
        made = verdict(runtime="litert", **told(base, [rng.uniform(1e-6, 1.0) for _ in case.model.outputs]))
        script = reproducer(case, made, "t", "v")
        tree = ast.parse(script)
        assert undefined(tree) == set()
        assert "TOLERANCE =" in script and "float64 truth" not in script
        assert all(len(line) <= WIDTH for line in script.splitlines() if "TOLERANCE" in line)
        seen.add(("zip(outputs" in script, base == EAGER))
    assert len(seen) == 4  # one result and many, against TensorFlow and between kernels


def test_one_number_is_written_no_lower_than_measured() -> None:
    for seed in range(50):
        error = 10 ** Random(seed).uniform(-30, 30)
        tolerance = tolerance_of(image("relu"), verdict(**told(EAGER, [error])))
        assert tolerance is not None and error <= float(tolerance.text) <= 1.2 * error


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [1.0],
        {"base": EAGER},
        {"base": "someone", "errors": [1.0]},
        {"base": EAGER, "errors": [1.0, 2.0]},
        {"base": EAGER, "errors": [0.0]},
        {"base": EAGER, "errors": [float("nan")]},
        {"base": EAGER, "errors": ["1); import os; ("]},
        {"base": EAGER, "errors": [True]},
    ],
)
def test_evidence_that_cannot_be_used_is_passed_over(odd: object) -> None:
    case, made = image("relu"), verdict(**{TOLERANCE: odd})
    assert tolerance_of(case, made) is None
    assert "TOLERANCE" not in reproducer(case, made, "t", "v")


def test_words_of_evidence_stay_comments() -> None:
    why = 'x"""\nimport os\n\\N{BULLET} {0}'
    made = verdict(**{TOLERANCE: {"base": EAGER, "errors": [0.5], "why": why}})
    tree = ast.parse(reproducer(image("relu"), made, "t", "v"))
    tame = ast.parse(reproducer(image("relu"), verdict(**told(EAGER, [0.5])), "t", "v"))
    assert ast.dump(tree) == ast.dump(tame)


REGRESSIONS = Path(__file__).parents[1] / "regressions"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["tf-xnnpack-depthwise-conv-2d-float32-wrong-values-float32", "optimised-add-int8-wrong-values-int8"]
)
def test_a_confirmed_defect_has_one_number_that_shows_it(name: str, real: Executor, tmp_path: Path) -> None:
    tree = json.loads((REGRESSIONS / f"value-{name}.json").read_text())
    case, made = from_json(tree["case"]), Verdict.from_json(tree["verdict"])
    answer = real.run({"command": "confirm", "case": to_json(case), "verdict": made.to_json()})
    assert isinstance(answer, Reply)
    confirmed = Verdict.from_json(answer.message["verdict"])
    assert tolerance_of(case, confirmed) is not None
    done = run(reproducer(case, confirmed, "t", "v"), tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr[-2000:]


@pytest.mark.slow
def test_the_number_is_of_this_case_and_not_of_the_one_it_was_reduced_from(real: Executor) -> None:
    """Where the hot path does not suspect a quantised case, what was told of the larger one is all there is."""
    tree = json.loads((REGRESSIONS / "value-optimised-add-int8-wrong-values-int8.json").read_text())
    case, made = from_json(tree["case"]), Verdict.from_json(tree["verdict"])
    larger = {**told("tf-reference", [123.0]), MODEL_ERROR: 0.9, NOISE: 0.0, STEP: 9.0}
    other = replace(made, kind=Kind.CALIBRATION, stage=Stage.COMPARE, evidence={**made.evidence, **larger})
    answer = real.run({"command": "confirm", "case": to_json(case), "verdict": other.to_json()})
    assert isinstance(answer, Reply)
    confirmed = Verdict.from_json(answer.message["verdict"])
    assert confirmed.kind is Kind.VALUE and confirmed.evidence[TOLERANCE]["errors"] != [123.0]
    assert confirmed.evidence.get(MODEL_ERROR) != 0.9 and confirmed.evidence.get(STEP) != 9.0


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("base", [EAGER, "tf-reference", "litert"])
def test_a_healthy_model_is_within(base: str, samples: int, tmp_path: Path) -> None:
    inference = Inference(inputs=tuple(Recipe("normal", seed) for seed in range(samples)))
    case = replace(image("conv2d"), inference=inference)
    done = run(reproducer(case, verdict(**told(base, [1e-4])), "t", "v"), tmp_path)
    assert done.returncode == 0 and "gone" in done.stdout, done.stdout + done.stderr[-2000:]


def log_of_one_more() -> Case:
    """log(x + 1) of 1e-8 is 0 in float32, op by op; as a graph TensorFlow makes `log1p` of it, which is 1e-8."""
    add = Node("add", ("x0",), {"const_rank": 1}, {"const": Recipe("constant")})
    model = Model((TensorType((1, 4), "float32"),), (add, Node("log", ("n0",))), ("n1",))
    return Case(model, inference=Inference(inputs=(Recipe("literal", values=(1e-8,)),)))


@pytest.mark.parametrize("samples", [1, 2])
def test_tensorflow_is_asked_op_by_op(samples: int) -> None:
    case = replace(log_of_one_more(), inference=Inference(inputs=tuple(Recipe("normal", s) for s in range(samples))))
    script = reproducer(case, verdict(**told(EAGER, [1e-9])), "t", "v")
    assert "@tf.function" in script and "model.python_function(" in script


@pytest.mark.slow
def test_what_only_a_graph_computes_is_not_expected(tmp_path: Path) -> None:
    done = run(reproducer(log_of_one_more(), verdict(**told(EAGER, [1e-9])), "t", "v"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_a_base_takes_part_even_where_it_is_litert() -> None:
    guilty = [runtime for runtime in RUNTIMES if runtime != "litert"]
    script = reproducer(image("relu"), verdict(runtimes=guilty, **told("litert", [1e-3])), "t", "v")
    assert 'expected = run("litert")' in script
    assert "from ai_edge_litert.interpreter import Interpreter as LiteRtInterpreter" in script
    assert "interpreter = interpreter_of(runtime)" in script
