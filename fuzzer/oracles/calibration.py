"""Scales that are no scales: zero, infinite or NaN, although the data that were calibrated on are finite.

The TFLite quantisation specification has `real = scale * (q - zero point)` with a positive scale; a tensor without one
has no values. Whether ranges hold what calibration saw is a question for confirmation
(`fuzzer.oracles.confirm.quantised`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.divergence import Divergence
from fuzzer.oracles.ranges import spoilt_calibration
from fuzzer.oracles.verdict import Kind, Stage, Verdict


def judge(record: CaseRun, divergences: Mapping[str, Divergence]) -> Iterator[Verdict]:
    """One verdict for the first tensor of an operator whose scale is no number above zero."""
    flat = record.flat
    if flat is None or spoilt_calibration(record):
        return
    for op in flat.ops:
        for index in (*op.inputs, *op.outputs):
            scales = flat.tensors[index].scales if index >= 0 else ()
            what = next((w for w in map(_fault, scales) if w), "")
            if what:
                tensor = flat.tensors[index]
                role = "a constant" if tensor.constant else "an activation"
                yield Verdict(
                    Stage.CONVERT,
                    Kind.CALIBRATION,
                    f"the quantiser gives {role} a scale of {what}",
                    "converter",
                    1.0,
                    "tensors",
                    "converter",
                    {"operator": op.name, "tensor": tensor.name, "scales": [str(s) for s in tensor.scales[:8]]},
                )
                return


def _fault(scale: float) -> str:
    """What is wrong with a scale; empty for nothing."""
    if math.isnan(scale):
        return "NaN"
    if math.isinf(scale):
        return "infinity"
    return "zero" if scale == 0.0 else ""
