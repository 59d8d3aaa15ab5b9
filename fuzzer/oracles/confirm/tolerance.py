"""One number an output that tells wrong results from right ones: what a reader of a reproducer has to be told.

The oracles judge every element by a bound of its own. Where what is wrong is wrong by far more than any element may be,
the largest of these bounds says the same in one number, and a reproducer needs nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fuzzer.build import Array
from fuzzer.case import RUNTIMES
from fuzzer.execute.record import CaseRun
from fuzzer.oracles.divergence import EAGER, REFERENCE_RUNTIME, step_of
from fuzzer.oracles.value import SUSPICIOUS_RELATIVE, SUSPICIOUS_STEPS
from fuzzer.oracles.verdict import MODEL_ERROR, NOISE, STEP, TOLERANCE, Kind, Verdict

__all__ = ["EAGER", "of_quantised", "told"]

CLEAR = 2.0
"""How many tolerances every wrong runtime has to be off."""
STEPS = {scheme: steps + 0.5 for scheme, steps in SUSPICIOUS_STEPS.items()}
"""Quantisation steps between kernels: half a step more than the oracles pass over (`fuzzer.oracles.value`)."""
PARTS = {scheme: SUSPICIOUS_RELATIVE[scheme] for scheme in ("dynamic", "float16")}
"""Parts of the largest value of an output, as `fuzzer.oracles.value` passes over them."""


def told(record: CaseRun, guilty: Collection[str], base: str, allowed: Sequence[float], why: str) -> dict[str, Any]:
    """Evidence of one tolerance an output, in the unit of the output's numbers; empty where it would not tell.

    `base` is TensorFlow or a runtime, `allowed` the error against it by output. Every guilty runtime must be off by
    `CLEAR` of them somewhere, no other runtime by one.
    """
    expected = record.reference if base == EAGER else record.runs[base].samples
    if not _numbers(expected[0]) or not all(0 < number < float("inf") for number in allowed):
        return {}
    for runtime, run in record.runs.items():
        if not run.complete or len(run.samples) != len(expected):
            continue
        apart = [_furthest(actual, wanted) for actual, wanted in zip(run.samples, expected, strict=True)]
        worst = max(max(row[o] for row in apart) / number for o, number in enumerate(allowed))
        if not (worst > CLEAR if runtime in guilty else worst <= 1.0):
            return {}
    return {TOLERANCE: {"base": base, "errors": [float(number) for number in allowed], "why": why}}


def _numbers(outputs: Sequence[Array]) -> bool:
    """Whether all outputs are real numbers of NumPy's own."""
    return all(value.dtype.kind in "fiub" for value in outputs)


def _furthest(actual: Sequence[Array], expected: Sequence[Array]) -> list[float]:
    """By output, the largest error; infinity for NaN or infinity where a number was expected."""
    found = []
    for left, right in zip(actual, expected, strict=True):
        if left.shape != right.shape or left.dtype.kind not in "fiub":
            return [float("inf")] * len(expected)
        with np.errstate(all="ignore"):
            apart = np.abs(left.astype(np.float64) - right.astype(np.float64))
        apart = np.where(np.isfinite(right.astype(np.float64)), np.nan_to_num(apart, nan=np.inf), 0.0)
        found.append(float(np.max(apart, initial=0.0)))
    return found


def of_quantised(record: CaseRun, verdict: Verdict) -> Verdict:
    """A verdict on values of a quantised case, with its tolerance against a runtime that is right, or TensorFlow.

    Of the runtimes the reference kernels are asked first.
    """
    scheme, guilty = record.case.conversion.judged, verdict.evidence.get("runtimes")
    right = [REFERENCE_RUNTIME, *(runtime for runtime in RUNTIMES if runtime != REFERENCE_RUNTIME)]
    if verdict.kind is not Kind.VALUE or TOLERANCE in verdict.evidence or not isinstance(guilty, list):
        return verdict
    if verdict.runtime == "converter" or not guilty:
        return against_model(record, verdict)
    base = next((r for r in right if r not in guilty and r in record.runs and record.runs[r].complete), "")
    if not base:
        return against_model(record, verdict)
    if scheme not in STEPS | PARTS:
        return verdict
    allowed = [_allowed(record, base, o, scheme) for o in range(len(record.runs[base].outputs))]
    if scheme in STEPS:
        why = f"{STEPS[scheme]:g} steps of the output, where the format explains {STEPS[scheme] - 0.5:g}"
    else:
        why = f"{PARTS[scheme]:g} of the largest value"
    evidence = {**verdict.evidence, **told(record, guilty, base, allowed, why)}
    return replace(verdict, evidence=evidence)


def against_model(record: CaseRun, verdict: Verdict) -> Verdict:
    """A verdict on a flatbuffer that every kernel gets as wrong, with its tolerance against TensorFlow.

    It lies half way (geometrically) from what rounding to integers accounts for to what was found, or to all of the
    largest value: more than that (1e30 was seen) is memory that nobody wrote, and the next run finds other numbers.
    """
    evidence = verdict.evidence
    error, noise = evidence.get(MODEL_ERROR, 0.0), evidence.get(NOISE, 0.0)
    if verdict.kind is not Kind.VALUE or error <= CLEAR**2 * noise:
        return verdict
    run = next(run for run in record.runs.values() if run.complete)
    if any(slot.scale for slot in run.outputs):
        return verdict  # the outputs are integers, TensorFlow's are not
    if not _numbers(record.reference[0]):
        return verdict
    rows = zip(*record.reference, strict=True)
    sizes = [max(float(np.max(np.abs(v[np.isfinite(v)]), initial=0.0)) for v in row) for row in rows]
    part = float((min(1.0, error) * max(noise, 1e-9)) ** 0.5)
    allowed = [part * max(size, float(evidence.get(STEP, 0.0))) for size in sizes]
    why = f"rounding to integers accounts for about {noise:.2g} of the largest value, {error:.2g} was found"
    everybody = [name for name, run in record.runs.items() if run.complete]
    return replace(verdict, evidence={**evidence, **told(record, everybody, EAGER, allowed, why)})


def _allowed(record: CaseRun, base: str, output: int, scheme: str) -> float:
    """The tolerance of one output; 0.0 where it has no step."""
    run = record.runs[base]
    if scheme in STEPS:
        slot = run.outputs[output]
        return STEPS[scheme] * (1.0 if slot.scale else step_of(record.flat, slot))
    values = [outputs[output].astype(np.float64) for outputs in run.samples if outputs[output].dtype.kind == "f"]
    largest = max((float(np.max(np.abs(v[np.isfinite(v)]), initial=0.0)) for v in values), default=0.0)
    return PARTS[scheme] * largest
