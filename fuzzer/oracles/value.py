"""Values: the cheap suspicion. Confirmation (`fuzzer.oracles.confirm`) decides what is a defect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.divergence import EAGER, Divergence
from fuzzer.oracles.verdict import Kind, Stage, Verdict

SUSPICIOUS_RELATIVE = {"float32": 1e-4, "float16": 1e-4, "dynamic": 0.05, "int8": 0.02, "int16x8": 1e-3}
"""Relative error from which a case is looked at. Float: about 1000 ulp (2^-23 = 1.2e-7), well above what 12 sound
layers accumulate. Dynamic range: kernels may quantise activations differently, each to 8 bits. These
numbers only decide what is examined; no finding rests on them."""
SUSPICIOUS_STEPS = {"int8": 1.0, "int16x8": 4.0}
"""Quantisation steps between kernels from which an integer output is looked at: one step is a difference of
rounding that the specification allows."""

STEP_NOISE = 1e-3
"""A step counted in a float output is scale * (q - zero point) in float32: one step is 1.0000007 of them."""


def judge(record: CaseRun, divergences: Mapping[str, Divergence]) -> Iterator[Verdict]:
    """One verdict for all runtimes that are suspiciously far from the base."""
    scheme = record.case.conversion.judged
    guilty = [d for d in divergences.values() if d.runtime != d.base and _suspicious(d, scheme)]
    if not guilty or record.case.model.random:
        return
    worst = max(guilty, key=lambda d: d.relative)
    yield Verdict(
        Stage.COMPARE,
        Kind.VALUE,
        f"values differ from {worst.base}",
        worst.runtime,
        worst.steps if worst.steps is not None else worst.relative,
        "steps" if worst.steps is not None else "relative",
        evidence={
            "runtimes": [d.runtime for d in guilty],
            "base": worst.base,
            "operators": list(record.flat.operators) if record.flat else [],
            "sample": worst.sample,
            "output": worst.output,
            "index": list(worst.index),
            "expected": worst.expected,
            "actual": worst.actual,
            "relative": worst.relative,
        },
    )


def _suspicious(d: Divergence, scheme: str) -> bool:
    if d.base != EAGER and d.steps is not None and scheme in SUSPICIOUS_STEPS:
        return d.steps > SUSPICIOUS_STEPS[scheme] + STEP_NOISE
    return d.relative > SUSPICIOUS_RELATIVE[scheme]
