"""Scripts about memory that nobody wrote, run by real TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer.case import Case, Inference, Recipe
from fuzzer.case.codec import from_json
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.verdict import STEADY, TOLERANCE, UNSTEADY
from fuzzer.reproducer.script import reproducer
from tests.reproducer.test_script import image

REGRESSIONS = Path(__file__).parents[1] / "regressions"


def told(name: str) -> tuple[Case, Verdict]:
    tree = json.loads((REGRESSIONS / f"value-{name}-fresh-interpreters-give-different-values.json").read_text())
    return from_json(tree["case"]), Verdict.from_json(tree["verdict"])


def run(script: str, tmp_path: Path) -> tuple[int, str]:
    path = tmp_path / "repro.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=200)
    return done.returncode, done.stdout + done.stderr[-2000:]


@pytest.mark.slow
def test_a_model_whose_results_differ_from_one_interpreter_to_the_next(tmp_path: Path) -> None:
    case, verdict = told("sum-int16")
    script = reproducer(case, verdict, "title", "v")
    assert TOLERANCE not in verdict.evidence and "evaluate" not in script and "TOLERANCE" not in script
    exits, said = run(script, tmp_path)
    assert exits == 1 and "tf-reference result 0 at" in said and ", then " in said, said


@pytest.mark.slow
def test_an_operator_that_reads_the_same_beside_other_tensors_is_held_against_what_is_right(tmp_path: Path) -> None:
    case, verdict = told("slice-float32")
    exits, said = run(reproducer(case, verdict, "title", "v"), tmp_path)
    assert exits == 0 and said.count("the same bits 33 times") == 3, said
    steady = replace(verdict, evidence={**verdict.evidence, STEADY: True})
    exits, said = run(reproducer(case, steady, "title", "v"), tmp_path)
    assert exits == 1 and "TensorFlow" in said, said


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 2])
def test_a_sound_model_gives_the_same_bits(samples: int, tmp_path: Path) -> None:
    inputs = tuple(Recipe("normal", seed) for seed in range(samples))
    case = replace(image("conv2d"), inference=Inference(inputs=inputs))
    verdict = Verdict(Stage.COMPARE, Kind.VALUE, f"CONV_2D (float32): {UNSTEADY}", "litert", 1.0, "x bound")
    script = reproducer(case, verdict, "title", "v")
    assert "LiteRtInterpreter" in script
    exits, said = run(script, tmp_path)
    assert exits == 0 and said.count("the same bits 33 times") == 4 and "gone" in said, said
