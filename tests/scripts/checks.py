"""Runs inside an executor: pieces of a model against the whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzer.case import RUNTIMES
from fuzzer.case.codec import from_json
from fuzzer.execute import runtimes
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import execute
from scripts.defects.defect import Tamper
from scripts.defects.flat import Edited
from scripts.defects.results import one_step
from scripts.defects.stepped import Site, SteppedInterpreter


def _nothing(site: Site, operands: list[Any], results: list[Any]) -> list[Any]:
    return results


def _outputs(record: Any, runtime: str, operator: str, tamper: Tamper, stage: StageCell) -> list[list[Any]]:
    original = runtimes.MAKERS[runtime]

    def made(content: bytes, threads: int, **options: Any) -> Any:
        def guilty(model: Edited, op: Any) -> bool:
            return model.name(op) == operator

        return SteppedInterpreter(original, content, threads, options, guilty, tamper)

    runtimes.MAKERS[runtime] = made
    try:
        run = runtimes.run(record, runtime, stage)
    finally:
        runtimes.MAKERS[runtime] = original
    assert run.complete, run
    return run.samples


def stepped(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """For every runtime: whether pieces give what the whole gives, and how many elements one step changes."""
    record = execute(from_json(request["case"]), stage)
    same, moved = {}, {}
    for runtime in RUNTIMES:
        whole = record.runs[runtime].samples
        pieces = _outputs(record, runtime, request["operator"], _nothing, stage)
        wrong = _outputs(record, runtime, request["operator"], one_step, stage)
        pairs = [(a, b) for left, right in zip(whole, pieces, strict=True) for a, b in zip(left, right, strict=True)]
        same[runtime] = all(np.array_equal(a, b) for a, b in pairs)
        first = whole[0][0].astype(np.int64) - wrong[0][0].astype(np.int64)
        moved[runtime] = [int(np.sum(first != 0)), int(np.abs(first).max())]
    return {"same": same, "moved": moved}
