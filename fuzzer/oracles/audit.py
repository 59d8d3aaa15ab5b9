"""The audit: one quantised case in `ONE_IN` is looked into, however alike its results are.

What every kernel gets wrong, and what the converter did, shows in no difference between runtimes, and one quantisation
step is no reason for suspicion. The audit holds each operator of each runtime against real arithmetic on the first
sample, and the flatbuffer coarsely against TensorFlow on all; confirmation (`oracles.confirm.quantised`) then judges.
Which cases are looked into is a matter of their id, so that a case is judged the same way whenever it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.divergence import Divergence, real_pair
from fuzzer.oracles.ranges import spoilt_calibration
from fuzzer.oracles.verdict import MODELS_CONSTANT, Kind, Stage, Verdict

ONE_IN = 12
"""An audit takes a third of a case's time (`scripts/bench oracles`): so many keep judging within its budget."""
CONVERTED_ONE_IN = 4
"""One audit in so many converts the model once more, in floats, to compare the constants."""
SUSPICIOUS = 1e-3
"""Share of the output's scale from which the flatbuffer is suspected, beyond the noise of its constants."""
FACTOR = 8.0
SEEDS = 3
"""Measurements of the noise: coarser than confirmation's."""


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
    """What an audit finds: the suspicion, or None."""
    from fuzzer.oracles.confirm import constants, node_exact, node_reals, prediction, quantised, truth
    from fuzzer.oracles.confirm.twin import NoTwinError

    twin = quantised.twin_of(record)
    complete = [name for name, run in record.runs.items() if run.complete]
    if twin is None or not complete:
        return None
    runtime = complete[0]
    wrong, base = next(node_reals.disputes(record, twin, complete, samples=1), None), quantised.REALS
    if not wrong:
        wrong, base = next(node_exact.disputes(record, samples=1), None), node_exact.EXACT
    if wrong:
        runtime = wrong[0].runtime
        evidence = {"operators": [wrong[0].op.name], "base": base, "runtimes": [d.runtime for d in wrong]}
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
        run = record.runs[runtime]
        made = [prediction.predict(run, twin, sample, SEEDS) for sample in record.samples]
    except NoTwinError:
        return None
    found = (_conversion(record, s, one.values, one.noise) for s, one in enumerate(made))
    verdict = None if truth.jumps(record.case) else next((v for v in found if v is not None), None)
    if verdict is None:
        evidence = {"operators": list(record.flat.operators) if record.flat else [], "base": "calibration"}
        plain = Verdict(Stage.COMPARE, Kind.VALUE, "", "converter", evidence={**evidence, "runtimes": ["converter"]})
        verdict = quantised.judge_ranges(record, plain, made).verdict
    if verdict is None and int(record.case.id, 16) // ONE_IN % CONVERTED_ONE_IN == 0:
        with record.under_test("audit"):
            stored = constants.first_wrong(record, twin)
        if stored is not None:
            evidence = {"operators": [stored.operator], "base": MODELS_CONSTANT, "runtimes": ["converter"]}
            words = f"a constant of {stored.operator} is not the model's"
            verdict = Verdict(
                Stage.COMPARE, Kind.VALUE, words, "converter", stored.apart, "steps", stored.operator, evidence
            )
    return verdict


def _conversion(record: CaseRun, sample: int, values: list[np.ndarray], noise: list[np.ndarray]) -> Verdict | None:
    """The suspicion that the flatbuffer is not the model, by one sample."""
    worst = 0.0
    for value, moved, want in zip(values, noise, record.reference[sample], strict=True):
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
