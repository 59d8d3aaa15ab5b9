"""Confirmation: decides, out of the hot path, whether a suspicion is a defect, and puts a name to it.

Float cases are held against the float64 truth and the measured conditioning of the case (`truth`), all others
node by node: integers against real arithmetic (`quantised`, `node_reals`), other results between kernels (`nodewise`);
relations against the same without them (`metamorphic`); what comes of NaN and infinity that go in, against what
TensorFlow defines (`propagation`). What cannot be confirmed is dismissed with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fuzzer.case import RUNTIMES
from fuzzer.execute.record import CaseRun
from fuzzer.execute.stage import StageCell
from fuzzer.oracles.verdict import (
    MODEL_ERROR,
    NOISE,
    RELATION,
    SPECIAL_OPERANDS,
    STEP,
    TOLERANCE,
    ULP,
    Kind,
    Stage,
    Verdict,
)

NUMBERS = frozenset({Kind.VALUE, Kind.NAN_PROPAGATION, Kind.CALIBRATION})
"""Kinds that are about numbers: which of them it is, confirmation tells."""


MEASURED = frozenset({TOLERANCE, MODEL_ERROR, NOISE, STEP, ULP})
"""Keys of evidence that confirming measures anew, or leaves out where it cannot."""


@dataclass(frozen=True)
class Confirmation:
    """The outcome: the sharpened verdict, or None and why not.

    `unjudged` says in a few words what is in the way where nobody can tell; empty where it was judged.
    """

    verdict: Verdict | None
    why: str
    unjudged: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        verdict = self.verdict.to_json() if self.verdict else None
        return {"verdict": verdict, "why": self.why, "unjudged": self.unjudged}


def confirm(record: CaseRun, suspicion: Verdict, stage: StageCell) -> dict[str, Any]:
    """Examines a suspicion on a fresh execution of its case; JSON of a `Confirmation`."""
    from fuzzer.oracles.confirm import nodewise, tolerance

    told = _examine(record, unmeasured(suspicion), stage)
    verdict = told.verdict
    if verdict is None:
        return told.to_json()
    if verdict.kind in NUMBERS and (verdict.blame in ("", "converter") or verdict.unwritten):
        verdict = nodewise.unsteady_operator(record, verdict) or verdict
    if verdict.unwritten:
        verdict = unmeasured(verdict)  # how far off chance was tells nothing
    elif record.case.conversion.judged != "float32":
        verdict = tolerance.of_quantised(record, verdict)
    return replace(told, verdict=verdict).to_json()


def unmeasured(suspicion: Verdict) -> Verdict:
    """A verdict without what was measured of a case: a smaller one has other numbers, and chance has none."""
    return replace(suspicion, evidence={k: v for k, v in suspicion.evidence.items() if k not in MEASURED})


def _examine(record: CaseRun, suspicion: Verdict, stage: StageCell) -> Confirmation:
    from fuzzer.execute import runtimes
    from fuzzer.oracles import judge_all, ranges
    from fuzzer.oracles.confirm import metamorphic, nodewise, propagation, quantised, truth

    if suspicion.kind is Kind.METAMORPHIC:
        return metamorphic.confirm(record, suspicion, stage)

    if suspicion.kind in NUMBERS and record.content:
        # A reduced case may ask for one runtime only; whose result is wrong shows beside the others.
        for runtime in (r for r in RUNTIMES if r not in record.runs):
            record.runs[runtime] = runtimes.run(record, runtime, stage)
    if suspicion.evidence.get(SPECIAL_OPERANDS):
        stage.set("confirm")
        return propagation.confirm(record, suspicion)
    again = [v for v in judge_all(record) if v.kind is suspicion.kind]
    if suspicion.kind not in NUMBERS or suspicion.stage is Stage.CONVERT:
        # What is seen in the flatbuffer itself needs no numbers.
        same = [v for v in again if v.message == suspicion.message] or again
        if not same:
            return Confirmation(None, "did not happen again")
        stage.set("confirm")
        return Confirmation(replace(same[0], blame=nodewise.failing_node(record, same[0])), "same again")
    quantised_case = record.case.conversion.judged != "float32"
    if not again and not (quantised_case and any(run.complete for run in record.runs.values())):
        return Confirmation(None, "did not happen again")
    stage.set("confirm")
    if ranges.spoilt_calibration(record):
        why = "the representative data or the model's constants hold NaN or infinity: their scales mean nothing"
        return Confirmation(None, why, "calibrated on NaN or infinity")
    judge = quantised.confirm if quantised_case else truth.confirm
    if suspicion.kind is Kind.NAN_PROPAGATION:
        # One defect, one title: where numbers are wrong as well, they tell it.
        wrong = next((v for v in judge_all(record) if v.kind is Kind.VALUE), None)
        told = judge(record, wrong) if wrong is not None else None
        if told is not None and told.verdict is not None:
            return told
    # Of quantised cases the hot path looks into a sample only: the judge decides, not whether it is suspected again.
    seen = again[0] if again else replace(suspicion, kind=Kind.VALUE)
    told = judge(record, seen)
    if told.verdict is None and record.content and propagation.applies(record):
        propagated = propagation.confirm(record, seen)
        told = propagated if propagated.verdict is not None else told
    return told if told.verdict is not None else _of_state(record, seen, stage) or told


STATE = ("second_invoke", "preserve_all", "threads")
"""Relations that tell what no operator alone shows: state, memory and races of the interpreter around the kernels."""


def _of_state(record: CaseRun, suspicion: Verdict, stage: StageCell) -> Confirmation | None:
    """Runtimes differ although every operator alone is right: whether one breaks a promise about its state.

    The case did not name the relation; the verdict's evidence does, and whoever goes on must have the case name it.
    """
    from fuzzer.oracles import metamorphic as relations
    from fuzzer.oracles.confirm import metamorphic

    if suspicion.kind is not Kind.VALUE or suspicion.evidence.get("base") not in (*RUNTIMES, "tensorflow"):
        return None
    if record.case.model.random or record.case.inference.relation != "none":
        return None
    for name in STATE:
        inference = replace(record.case.inference, relation=name)
        tried = replace(record, case=replace(record.case, inference=inference), variants={}, unrelated="", other=None)
        relations.relate(tried, stage)
        broken = next(relations.judge(tried, {}), None)
        told = metamorphic.confirm(tried, broken, stage) if broken is not None else None
        if told is not None and told.verdict is not None:
            evidence = {**told.verdict.evidence, RELATION: name}
            return replace(told, verdict=replace(told.verdict, evidence=evidence))
    return None
