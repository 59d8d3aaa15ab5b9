"""The audit: one quantised case in `ONE_IN` is looked into, however alike its results are.

What every kernel gets wrong, and what the converter did, shows in no difference between runtimes, and one quantisation
step is no reason for suspicion. The audit holds each operator, as one of the runtimes has it, against real arithmetic
and the flatbuffer against TensorFlow, on the first sample and coarsely; confirmation (`oracles.confirm.quantised`)
then judges on all of them. Which cases are looked into is a matter of their id, so that a case is judged the same way
whenever it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.divergence import REFERENCE_RUNTIME, Divergence, real_pair
from fuzzer.oracles.ranges import spoilt_calibration
from fuzzer.oracles.verdict import Kind, Stage, Verdict

ONE_IN = 4
"""An audit takes a fifth of a case's time (measured: 12 of 65 ms): so many keep judging within its budget."""
SUSPICIOUS = 1e-3
"""Share of the output's scale from which the flatbuffer is suspected, beyond the noise of its constants."""
FACTOR = 8.0


def audited(record: CaseRun) -> bool:
    """Whether a case is looked into."""
    judged = record.case.conversion.judged != "float32" and record.flat is not None and not record.case.model.random
    return judged and int(record.case.id, 16) % ONE_IN == 0


def judge(record: CaseRun, divergences: Mapping[str, Divergence]) -> Iterator[Verdict]:
    """One verdict where an operator or the flatbuffer is suspiciously far from real arithmetic."""
    if audited(record) and divergences and not spoilt_calibration(record):
        found = look(record)
        if found is not None:
            yield found


def look(record: CaseRun) -> Verdict | None:
    """What an audit of the first sample finds: the suspicion, or None."""
    from fuzzer.oracles.confirm import node_exact, node_reals, quantised
    from fuzzer.oracles.confirm.twin import NoTwinError

    twin = quantised.twin_of(record)
    complete = [name for name, run in record.runs.items() if run.complete]
    if twin is None or not complete:
        return None
    runtime = complete[int(record.case.id, 16) // ONE_IN % len(complete)]
    wrong, base = next(node_reals.disputes(record, twin, (runtime,), samples=1), None), quantised.REALS
    if not wrong and runtime == REFERENCE_RUNTIME:
        wrong, base = next(node_exact.disputes(record, samples=1), None), node_exact.EXACT
    if wrong:
        evidence = {"operators": [wrong[0].op.name], "base": base, "runtimes": [runtime]}
        return Verdict(
            Stage.COMPARE,
            Kind.VALUE,
            f"{wrong[0].op.name} is far from {base}",
            runtime,
            wrong[0].apart,
            "steps",
            wrong[0].op.name,
            evidence,
        )
    if quantised.unjudgeable(record):
        return None
    try:
        made = quantised.predict(record, record.runs[runtime], twin, record.samples[0])
    except NoTwinError:
        return None
    return _conversion(record, made.values, made.noise)


def _conversion(record: CaseRun, values: list[np.ndarray], noise: list[np.ndarray]) -> Verdict | None:
    worst = 0.0
    for value, moved, want in zip(values, noise, record.reference[0], strict=True):
        if value.shape != want.shape or not value.size or want.dtype.kind != "f":
            continue
        left, right = real_pair(value, want)
        fair = np.isfinite(left) & np.isfinite(right) & np.isfinite(moved)
        scale = float(np.abs(np.where(fair, right, 0.0)).max())
        with np.errstate(all="ignore"):
            ratio = np.where(fair, np.abs(left - right) / (FACTOR * moved + SUSPICIOUS * scale + 1e-30), 0.0)
        worst = max(worst, float(np.nan_to_num(ratio).max()))
    if worst <= 1:
        return None
    operators = list(record.flat.operators) if record.flat else []
    return Verdict(
        Stage.COMPARE,
        Kind.VALUE,
        "the flatbuffer is far from the model",
        "converter",
        worst,
        "x bound",
        "converter",
        {"operators": operators, "base": "tensorflow", "runtimes": ["converter"]},
    )
