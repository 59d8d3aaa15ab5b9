"""Of a death: which runtimes live, and what they make of the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuzzer.case.codec import from_json
from fuzzer.examine import kernels
from fuzzer.examine.observing import Observer
from fuzzer.execute import Executor
from fuzzer.oracles import Kind, Stage, Verdict

DEATH = (
    Path(__file__).parents[1]
    / "regressions"
    / "crash-transpose-conv-float32-sigsegv-in-xnn-indirection-init-subconv2d.json"
)


def test_deaths_stand_beside_what_lived_or_alone(tmp_path: Path) -> None:
    lived = {"failure": "", "outputs": []}
    (tmp_path / kernels.FILE).write_text(json.dumps({"schema": kernels.SCHEMA, "kernels": {"tf-builtin": lived}}))
    kernels.add_deaths(tmp_path, {"litert": "dies of SIGABRT in allocate"})
    tree = json.loads((tmp_path / kernels.FILE).read_text())
    assert tree["kernels"]["tf-builtin"] == lived
    assert tree["kernels"]["litert"] == {"failure": "dies of SIGABRT in allocate", "outputs": []}
    (tmp_path / kernels.FILE).unlink()
    kernels.add_deaths(tmp_path, {"litert": "dies of SIGSEGV in invoke"})
    assert set(json.loads((tmp_path / kernels.FILE).read_text())["kernels"]) == {"litert"}


@pytest.mark.slow
def test_the_runtimes_that_live_are_kept_and_the_others_named(real: Executor, tmp_path: Path) -> None:
    case = from_json(json.loads(DEATH.read_text())["case"])
    Observer(real).save_survivors(case, Verdict(Stage.ALLOCATE, Kind.CRASH, "m", "tf-xnnpack"), tmp_path)
    found = {name: k["failure"] for name, k in json.loads((tmp_path / kernels.FILE).read_text())["kernels"].items()}
    assert set(found) == {"tf-builtin", "tf-reference", "litert"}
    alive = [name for name, failure in found.items() if not failure.startswith("dies")]
    assert {"tf-builtin", "tf-reference"} <= set(alive)
    assert (tmp_path / "model.tflite").is_file() and (tmp_path / "tensors.npz").is_file()


@pytest.mark.slow
def test_of_a_death_in_the_converter_there_is_nothing_to_keep(real: Executor, tmp_path: Path) -> None:
    case = from_json(json.loads(DEATH.read_text())["case"])
    Observer(real).save_survivors(case, Verdict(Stage.CONVERT, Kind.CRASH, "m", "converter"), tmp_path)
    assert list(tmp_path.iterdir()) == []
