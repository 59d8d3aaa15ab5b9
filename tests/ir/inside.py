"""Runs inside an executor: the converter's program at every stage against the flatbuffer and against TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer.build import weights_of
from fuzzer.case.codec import from_json
from fuzzer.convert import passes
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import execute
from fuzzer.ir import NotEvaluableError, Program
from fuzzer.oracles.confirm.rewrite import outputs_of


def stages(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """Per stage: its name, and how far its outputs are from TensorFlow's and from the flatbuffer's (-1: not run)."""
    import tensorflow as tf

    record = execute(from_json(request["case"]), stage, only=("tf-builtin",))
    run = record.runs.get("tf-builtin")
    if run is None or not run.complete:
        return {"stages": []}
    dumped = passes.dumped(tf, record.case, weights_of(record.case), record.samples)
    cache: dict[Any, list[Any]] = {}
    found = []
    for state in [dumped[0], *(change.after for change in passes.changes(dumped))]:
        try:
            made = outputs_of(Program(tf, state.functions, cache), record.samples[0])
        except NotEvaluableError as error:
            found.append([state.name, -1.0, -1.0, str(error)])
            continue
        found.append([state.name, _apart(made, record.reference[0]), _apart(made, run.samples[0]), ""])
    return {"stages": found}


def _apart(made: list[Any], expected: list[Any]) -> float:
    """The largest difference relative to the largest number; infinity where shapes differ."""
    worst = 0.0
    for left, right in zip(made, expected, strict=True):
        if np.shape(left) != np.shape(right):
            return float("inf")
        one, other = np.asarray(left, np.float64), np.asarray(right, np.float64)
        worst = max(worst, float(np.abs(one - other).max(initial=0.0) / max(np.abs(other).max(initial=0.0), 1e-30)))
    return worst


def without_dumps(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """What is said where the converter has no such option."""
    import tensorflow as tf

    case = from_json(request["case"])
    record = execute(case, stage, only=())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "OPTION", "an_option_of_another_release")
        try:
            passes.dumped(tf, case, weights_of(case), record.samples)
        except passes.NoDumpsError as error:
            return {"said": str(error)}
    return {"said": ""}
