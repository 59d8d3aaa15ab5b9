"""Native stacks of TensorFlow itself: crashes that are known, in processes that share nothing but the wheel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from fuzzer.case.codec import from_json
from fuzzer.examine.examiner import Examiner
from fuzzer.execute import Death, Executor, Limits, Zygote
from fuzzer.findings import FindingStore
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.titles import title_of
from fuzzer.oracles.death import STACK, judge_death
from tests.conftest import REAL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not version("tensorflow").startswith("2.21"), reason="the functions of TensorFlow 2.21"),
]

REGRESSIONS = Path(__file__).parents[1] / "regressions"
TITLES = {
    "crash-reverse-float32": "crash: SIGSEGV in tflite::reference_ops::Reverse",
    "crash-sigabrt-in-interpreter-py-allocate-tensors-int8": "crash: SIGABRT in tflite::ops::builtin::add::Prepare",
    "crash-sigsegv-in-calibrator-py-feed-tensors-int8": "crash in convert: SIGSEGV in "
    "tflite::optimize::calibration::MinMax::Update",
    "crash-softplus-int8": "crash in convert: SIGSEGV in mlir::TFL::ConvertStatsToQDQs::matchAndRewrite",
}
PYTHON_FRAMES = {
    "crash-reverse-float32": ("interpreter.py invoke", ""),
    "crash-sigabrt-in-interpreter-py-allocate-tensors-int8": ("interpreter.py allocate_tensors", ""),
    "crash-sigsegv-in-calibrator-py-feed-tensors-int8": ("calibrator.py _feed_tensors", "calibration"),
    "crash-softplus-int8": ("wrap_converter.py wrapped_experimental_mlir_quantize", "quantisation (MLIR)"),
}


def tree_of(name: str) -> dict[str, Any]:
    (path,) = REGRESSIONS.glob(f"{name}*.json")
    tree: dict[str, Any] = json.loads(path.read_bytes())
    return tree["case"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def other_zygote() -> Iterator[Zygote]:
    """Imports TensorFlow at other addresses."""
    zygote = Zygote(REAL)
    zygote.wait_ready()
    yield zygote
    zygote.stop()


@pytest.mark.parametrize("name", sorted(TITLES))
def test_one_defect_has_one_title_in_two_processes(real: Executor, other_zygote: Zygote, name: str) -> None:
    other = Executor(other_zygote.path, Limits(timeout_s=60.0))
    tree = tree_of(name)
    try:
        deaths = [executor.run({"command": "run", "case": tree}) for executor in (real, other)]
    finally:
        other.close()
    verdicts = []
    for death in deaths:
        assert isinstance(death, Death), death
        verdicts.append(judge_death(death))
    assert {title_of(verdict, from_json(tree)) for verdict in verdicts} == {TITLES[name]}
    one, two = (verdict.evidence for verdict in verdicts)
    assert one[STACK] == two[STACK] and len(one[STACK]) >= 10
    assert (one["python"], one.get("step", "")) == PYTHON_FRAMES[name]


def test_a_finding_shows_its_stack(real_zygote: Zygote, tmp_path: Path) -> None:
    examiner = Examiner(
        real_zygote.path, FindingStore(tmp_path, create=True), "tensorflow 2.21", Limits(timeout_s=20.0), 0.0
    )
    try:
        outcome = examiner.adopt(
            Suspicion(from_json(tree_of("crash-softplus-int8")), None, "2026-01-01T00:00:00+00:00")
        )
    finally:
        examiner.close()
    assert outcome.what == "new" and outcome.finding is not None
    finding = outcome.finding
    # Conversion was fed numbers that calibration saw reach infinity: that is part of the defect's name.
    assert finding.title.startswith(TITLES["crash-softplus-int8"])
    stack = (tmp_path / finding.path / "stack.txt").read_text().splitlines()
    assert "libtensorflow_cc.so.2 mlir::TFL::PrepareQuantizePass::runOnOperation" in stack
    page = (tmp_path / finding.path / "report.md").read_text()
    outer = next(i for i, line in enumerate(stack) if "python3" in line)
    assert outer >= 10, "what the library did, and then how Python called it"
    assert "Native stack" in page and "\n".join(stack[:outer]) + "\n```" in page
    assert "pass: `PrepareQuantizePass`" in page and "During: quantisation (MLIR)" in page
