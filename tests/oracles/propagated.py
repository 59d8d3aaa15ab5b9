"""Run inside an executor: the table measured anew, and what it expects against what TensorFlow gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzer.case.codec import from_json
from fuzzer.execute import target
from fuzzer.execute.stage import StageCell
from fuzzer.oracles.confirm import parts, propagation
from fuzzer.oracles.special_values import RESULTS, outcome
from fuzzer.oracles.special_values.measure import measure


def measured(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """The table as this TensorFlow makes it."""
    return {"table": measure()}


def against_tensorflow(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """For a case that becomes one operator: how many elements are judged, and those that TensorFlow gives otherwise."""
    record = target.execute(from_json(request["case"]), stage, only=())
    flat = record.flat
    if flat is None:
        return {"operators": [], "judged": 0, "otherwise": []}
    judged, otherwise = 0, []
    for sample, reference in enumerate(record.reference):
        tensors = parts.intermediates(record, sample)
        for position, op in enumerate(flat.ops):
            if tuple(op.outputs) != flat.outputs:
                continue
            wanted = propagation.expected(flat, op, record.content, position, tensors)
            if wanted is None:
                continue
            made = outcome(np.asarray(reference[0]))
            if wanted.shape != made.shape:
                otherwise.append(f"{op.name}: shape {wanted.shape} is not {made.shape}")
                continue
            judged += int((wanted > 0).sum())
            for at in np.argwhere((wanted > 0) & (wanted != made))[:3]:
                index = tuple(int(i) for i in at)
                otherwise.append(f"{op.name} at {index}: {RESULTS[wanted[index]]}, TensorFlow {RESULTS[made[index]]}")
    return {"operators": [op.name for op in flat.ops], "judged": judged, "otherwise": otherwise}
