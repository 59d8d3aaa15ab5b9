"""Metamorphic suspicions: tried again on every runtime, held against what rounding explains, and put to one operator.

Before a relation is blamed, the same is done without it: where interpreters that are both fresh already differ, memory
that nobody wrote is read, whatever was changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.case import RUNTIMES
from fuzzer.execute import runtimes
from fuzzer.execute.record import CaseRun, Slot, Variant
from fuzzer.execute.stage import StageCell
from fuzzer.oracles import metamorphic, ranges, signature
from fuzzer.oracles.confirm import Confirmation, parts, truth
from fuzzer.oracles.confirm.node_bound import MAX_STEPS, MAX_STEPS_16, kernel_kind
from fuzzer.oracles.divergence import real_pair, step_of
from fuzzer.oracles.messages import runtime_message
from fuzzer.oracles.metamorphic.relation import Relation, Samples, Work, all_same
from fuzzer.oracles.value import STEP_NOISE
from fuzzer.oracles.verdict import UNSTEADY, Kind, Verdict

FRESH = "fresh"
"""What evidence names in the place of a relation where none is needed."""
FRESH_DIFFER = UNSTEADY
FRESH_FAILS = "one fresh interpreter runs, another fails"
CONTROLS = 6
"""Fresh interpreters that are held against the first."""
PERTURBATIONS = 6

Real = NDArray[np.float64]


def confirm(record: CaseRun, suspicion: Verdict, stage: StageCell) -> Confirmation:
    """Examines a suspicion on a fresh execution of its case."""
    if record.case.inference.relation == "none":
        return Confirmation(None, "the case names no relation")
    if record.flat is None or record.unrelated:
        return Confirmation(None, record.unrelated or "no flatbuffer")
    _everywhere(record, stage)
    failed = "message" in suspicion.evidence
    again = sorted(metamorphic.judge(record, {}), key=lambda v: ("message" in v.evidence) != failed)
    if not again:
        return Confirmation(None, "did not happen again")
    relation = metamorphic.relations()[record.case.inference.relation]
    stage.set("confirm")
    afresh = _afresh_too(record, again[0])
    if afresh is not None:
        return afresh
    if "message" in again[0].evidence:
        return _told(record, relation, again[0], "fails again")
    planned = _by_plan(record, relation, again[0])
    if planned is not None:
        return planned
    if told := [v for v in signature.judge(record, {}) if v.runtime in again[0].runtimes]:
        return Confirmation(None, f"told by itself: {told[0].message}")
    if record.other is not None and record.case.conversion.judged == "float32":
        return _by_truth(record, record.other, relation, again[0])
    if metamorphic.exact(record, relation):
        return _named(record, relation, again[0], "not the same again")
    return _within(record, relation, again[0])


def _everywhere(record: CaseRun, stage: StageCell) -> None:
    """Runs what a reduced case leaves out: whose kernels break the promise shows beside the others."""
    for runtime in (r for r in RUNTIMES if r not in record.runs):
        record.runs[runtime] = runtimes.run(record, runtime, stage)
        if record.other is not None and record.other.content:
            record.other.runs[runtime] = runtimes.run(record.other, runtime, stage)
        metamorphic.try_on(record, runtime, stage)


# --- without the relation ---------------------------------------------------------------------------------


def _plain(work: Work) -> Samples:
    return work.all(work.interpreter())


def _afresh(work: Work) -> Samples:
    """The outputs of fresh interpreters: the first that are not those of the first one, or the last."""
    first = found = _plain(work)
    for seed in range(CONTROLS):
        parts.litter(seed)
        found = _plain(work)
        if not all_same(found, first):
            break
    return found


_FRESH = Relation(
    FRESH, "Fresh interpreters give the same for the same inputs.", FRESH_DIFFER, FRESH_FAILS, lambda _: "", _afresh
)
"""No change at all, as a relation."""


def _afresh_too(record: CaseRun, verdict: Verdict) -> Confirmation | None:
    """The same without the relation, where fresh interpreters differ or fail already."""
    guilty = []
    for runtime in verdict.runtimes:
        runs = [(record, record.runs[runtime])]
        if record.other is not None and record.other.runs[runtime].complete:
            runs.append((record.other, record.other.runs[runtime]))
        controls = [metamorphic.tried(_FRESH, metamorphic.work_of(r, run), run.samples) for r, run in runs]
        control = next((c for c in controls if c.failure or not all_same(c.actual or [], c.expected)), controls[0])
        if control.failure is not None:
            message = f"{FRESH_FAILS}: {runtime_message(control.failure.message)}"
            failed = {"relation": FRESH, "promise": _FRESH.promise, "message": control.failure.message}
            told = replace(verdict, message=message, runtime=runtime, severity=1.0, unit="runs", evidence=failed)
            return _told(record, _FRESH, told, "not even fresh interpreters run")
        if not all_same(control.actual or [], control.expected):
            guilty.append(runtime)
    if not guilty:
        return None
    evidence: dict[str, object] = {"relation": FRESH, "promise": _FRESH.promise, "runtimes": guilty}
    told = replace(verdict, runtime=guilty[0], evidence={**verdict.evidence, **evidence})
    return _named(record, _FRESH, told, "not even fresh interpreters agree")


def _by_plan(record: CaseRun, relation: Relation, verdict: Verdict) -> Confirmation | None:
    """Where two tensors share memory that both need, other relations break as well: the plan is told, not they."""
    kept = metamorphic.relations()["preserve_all"]
    if relation is kept or relation.other is not None:
        return None
    found = {
        r: metamorphic.tried(kept, metamorphic.work_of(record, record.runs[r]), record.runs[r].samples)
        for r in verdict.runtimes
    }
    guilty = {r: v for r, v in found.items() if _beyond(record, kept, metamorphic.work_of(record, record.runs[r]), v)}
    if not guilty:
        return None
    runtime = next(iter(guilty))
    evidence = {**metamorphic.evidence(kept, guilty[runtime]), "runtimes": list(guilty)}
    return _named(record, kept, replace(verdict, runtime=runtime, evidence=evidence), "tensors overwrite each other")


# --- one operator alone -----------------------------------------------------------------------------------


def _named(record: CaseRun, relation: Relation, verdict: Verdict, why: str) -> Confirmation:
    """The verdict with the first operator that breaks the promise alone, and whose kernel of it does.

    An operator that differs by itself without any change is told so: that its model did not show it was luck.
    """
    for position, works in _alone(record):
        for tried in (_FRESH, relation) if relation.alone else (_FRESH,):
            guilty = [
                work.runtime for work in works if work.runtime in verdict.runtimes and _breaks(record, tried, work)
            ]
            if not guilty or record.flat is None:
                continue
            op = record.flat.ops[position]
            message = f"{family(guilty, record)} {op.name} ({kernel_kind(record.flat, op)}): {tried.broken}"
            evidence = {**verdict.evidence, "relation": tried.name, "promise": tried.promise, "runtimes": guilty}
            runtime = verdict.runtime if verdict.runtime in guilty else guilty[0]
            return Confirmation(
                replace(verdict, message=message, runtime=runtime, blame=op.name, evidence=evidence), why
            )
    blame = "converter" if record.other is not None and relation is not _FRESH else ""
    message = f"{family(verdict.runtimes, record)}: {relation.broken}"
    return Confirmation(replace(verdict, message=message, blame=blame), why)


def _told(record: CaseRun, relation: Relation, verdict: Verdict, why: str) -> Confirmation:
    """An error after the change, with the first operator that raises alone."""
    for position, works in _alone(record) if relation.alone else ():
        for work in works:
            if work.runtime == verdict.runtime and _raises(relation, work) and record.flat is not None:
                op = record.flat.ops[position]
                message = f"{op.name} ({kernel_kind(record.flat, op)}): {verdict.message}"
                return Confirmation(replace(verdict, message=message, blame=op.name), why)
    return Confirmation(verdict, why)


def _breaks(record: CaseRun, relation: Relation, work: Work) -> bool:
    expected = _ran(work)
    if expected is None:
        return False
    found = metamorphic.tried(relation, work, expected)
    return _beyond(record, relation, work, found)


def _beyond(record: CaseRun, relation: Relation, work: Work, found: Variant) -> bool:
    """Whether results are not what the relation promises, roundings considered where they may differ."""
    if found.actual is None or all_same(found.actual, found.expected):
        return False
    return metamorphic.exact(record, relation) or _ratio(record, work, found) > truth.FACTOR


def _raises(relation: Relation, work: Work) -> bool:
    expected = _ran(work)
    return expected is not None and metamorphic.tried(relation, work, expected).failure is not None


def _ran(work: Work) -> Samples | None:
    try:
        return _plain(work)
    except (RuntimeError, ValueError):
        return None


def _alone(record: CaseRun) -> Iterator[tuple[int, list[Work]]]:
    """Every operator by itself on every runtime that ran the model, fed what it is fed inside."""
    flat = record.flat
    tensors = [parts.intermediates(record, sample) for sample in range(len(record.samples))]
    if flat is None or not all(tensors):
        return
    for position, op in enumerate(flat.ops):
        given = [i for i in dict.fromkeys(op.inputs) if i >= 0 and not flat.tensors[i].constant]
        if not given or not op.outputs or any(i not in known for known in tensors for i in given):
            continue
        content = parts.isolate(record.content, position)
        feeds = tuple({i: known[i] for i in given} for known in tensors)
        slots = tuple(Slot("", i, flat.tensors[i].shape, "", 0.0, 0) for i in op.outputs)
        ran = [r for r, run in record.runs.items() if run.complete]
        yield position, [Work(r, content, feeds, slots, record.case.inference.threads) for r in ran]


def family(guilty: Collection[str], record: CaseRun) -> str:
    """Whose kernels they are, in a word or two: the same for one defect."""
    names, complete = set(guilty), {r for r, run in record.runs.items() if run.complete}
    if names == complete and len(complete) > 1:
        return "every runtime"
    if names == {"tf-xnnpack", "litert"}:
        return "XNNPACK"
    if names == {"tf-xnnpack", "tf-builtin", "litert"}:
        return "optimised"  # where XNNPACK leaves an operator alone, three runtimes share its optimised kernel
    words = {"tf-builtin": "optimised", "tf-reference": "reference"}
    return "+".join(sorted(words.get(name, name) for name in names))


# --- within rounding --------------------------------------------------------------------------------------


def _within(record: CaseRun, relation: Relation, verdict: Verdict) -> Confirmation:
    """Results that may round otherwise: how far the same flatbuffer moves with its numbers says how far."""
    works = {r: metamorphic.work_of(record, record.runs[r]) for r in verdict.runtimes}
    found = {r: _ratio(record, work, record.variants[r]) for r, work in works.items()}
    guilty = {r: ratio for r, ratio in found.items() if ratio > truth.FACTOR}
    if not guilty:
        return Confirmation(None, f"within {max(found.values(), default=0.0):.2g} of what roundings move it")
    runtime = max(guilty, key=lambda r: guilty[r])
    told = metamorphic.evidence(relation, record.variants[runtime])
    evidence = {**told, "runtimes": list(guilty), "ratios": {r: float(f"{v:.4g}") for r, v in found.items()}}
    severity = float(f"{guilty[runtime]:.3g}")
    sharper = replace(verdict, runtime=runtime, severity=severity, unit="x bound", evidence=evidence)
    return _named(record, relation, sharper, "beyond what roundings move it")


def _ratio(record: CaseRun, work: Work, found: Variant) -> float:
    """The largest difference in bounds. Where one side is no number, the other must be none either."""
    bounds = _motion(record, work, found.expected)
    worst = 0.0
    for s, outputs in enumerate(found.actual or []):
        if not _promised(record, s % len(record.samples)):
            continue
        for o, actual in enumerate(outputs):
            expected = found.expected[s][o]
            if actual.shape != expected.shape:
                return truth.WORST
            left, right = real_pair(actual, expected)
            with np.errstate(all="ignore"):
                apart = np.where(np.isfinite(left) & np.isfinite(right), np.abs(left - right), np.inf)
                unlike = (left != right) & ~(np.isnan(left) & np.isnan(right))
                ratio = np.where(unlike, apart / bounds[s][o], 0.0)
            ratio = np.minimum(np.nan_to_num(ratio, nan=0.0, posinf=truth.WORST), truth.WORST)
            worst = max(worst, float(ratio.max(initial=0.0)))
    return worst


def _promised(record: CaseRun, sample: int) -> bool:
    """Whether a sample keeps clear of NaN, infinity and overflow on its way: see `ranges`."""
    values = [*record.samples[sample], *parts.intermediates(record, sample).values()]
    return all(
        ranges.finite(v) and (v.dtype.kind != "f" or np.abs(v).max(initial=0.0) <= ranges.limit(v.dtype.name))
        for v in values
    )


def _motion(record: CaseRun, work: Work, expected: Samples) -> list[list[Real]]:
    """Per element: how far it moves when inputs and constants move by a few roundings (as in `truth`, item b).

    Where activations are quantised, or an op jumps, a rounding may take one to its next step: inputs then move by a
    step of eight bits.
    """
    bounds = [[np.zeros(value.shape) for value in outputs] for outputs in expected]
    coarse = _coarse(record)
    for seed in range(PERTURBATIONS):
        random = np.random.RandomState(seed)
        feeds = tuple({i: _moved(value, random, coarse) for i, value in fed.items()} for fed in work.feeds)
        moved = _ran(replace(work, content=parts.nudged_constants(work.content, seed), feeds=feeds)) or expected
        for s, outputs in enumerate(moved):
            for o, value in enumerate(outputs):
                if value.shape == expected[s][o].shape:
                    with np.errstate(all="ignore"):
                        left, right = real_pair(value, expected[s][o])
                        apart = np.where(left == right, 0.0, np.nan_to_num(np.abs(left - right), nan=np.inf))
                    bounds[s][o] = np.maximum(bounds[s][o], apart)
    steps = [step_of(record.flat, slot) for slot in work.outputs]
    return [
        [_bound(b, v, step) for b, v, step in zip(row, outputs, steps, strict=True)]
        for row, outputs in zip(bounds, expected, strict=True)
    ]


def _coarse(record: CaseRun) -> bool:
    """Whether roundings may grow to steps: quantised activations, in the file or at run time, or an op that jumps."""
    flat = record.flat
    quantised = flat is not None and any(t.scales for t in flat.tensors)
    return quantised or truth.jumps(record.case)


def _moved(value: Array, random: np.random.RandomState, coarse: bool) -> Array:
    """A tensor moved by up to a few roundings, or by up to a step of eight bits of its own range."""
    if not coarse or not value.size or value.dtype.kind not in "fiu":
        return parts.nudged(value, random)
    if value.dtype.kind in "iu":
        if value.dtype.itemsize > 2:
            return value  # an index, or a shape
        info, by = np.iinfo(str(value.dtype)), max(1, 1 << (8 * value.dtype.itemsize - 8))
        stepped = value.astype(np.int64) + random.randint(-by, by + 1, value.shape)
        whole: Array = np.clip(stepped, info.min, info.max).astype(value.dtype)
        return whole
    finite = np.abs(value[np.isfinite(value)]).astype(np.float64)
    step = float(finite.max(initial=0.0)) / 128
    stepped_real: Array = (value.astype(np.float64) + step * random.uniform(-1.0, 1.0, value.shape)).astype(value.dtype)
    return stepped_real


def _bound(motion: Real, value: Array, step: float) -> Real:
    """At least two roundings at the scale of the result, and one quantisation step (`node_bound.MAX_STEPS`).

    An element of a bool, an integer without a scale or a string that moves is nobody's; so is one that becomes NaN.
    """
    steps = (MAX_STEPS_16 if value.dtype == np.int16 else MAX_STEPS) / truth.FACTOR
    if value.dtype.kind in "iu" and step:
        return np.maximum(motion, steps)
    if value.dtype.kind not in "fc":
        return np.where(motion > 0, np.inf, 0.5 / truth.FACTOR)
    finite = motion[np.isfinite(motion)]
    sizes = np.abs(value[np.isfinite(value)]) if value.size else np.zeros(0)
    unit = truth.UNIT.get(value.dtype.name, truth.UNIT["float32"])
    slack = 2 * unit * float(sizes.max(initial=0.0)) + step * steps * (1 + STEP_NOISE) + 1e-300
    return np.maximum(motion, 0.25 * (float(finite.mean()) if finite.size else 0.0)) + slack


# --- two conversions --------------------------------------------------------------------------------------


def _by_truth(record: CaseRun, other: CaseRun, relation: Relation, verdict: Verdict) -> Confirmation:
    """Two conversions of a float model: exactly one of them must be wrong against the float64 truth.

    Where both are, or this one is and the oracle of values looks at it anyway, that is no matter of the relation's.
    """
    from fuzzer.oracles import value

    suspicion = replace(verdict, kind=Kind.VALUE, evidence={})
    mine, its = truth.confirm(record, suspicion), truth.confirm(other, suspicion)
    if mine.verdict is None and its.verdict is None:
        return Confirmation(None, f"neither conversion is wrong: {mine.why}")
    if mine.verdict is not None and its.verdict is not None:
        return Confirmation(None, "both conversions are wrong, which the oracle of values tells")
    if mine.verdict is not None and list(value.judge(record, record.divergences)):
        return Confirmation(None, "the case's own conversion is wrong, which the oracle of values tells")
    wrong = mine.verdict or its.verdict
    assert wrong is not None
    which = "this" if mine.verdict is not None else "the other"
    evidence = {
        **verdict.evidence,
        "wrong": which,
        **{k: wrong.evidence[k] for k in ("ratios",) if k in wrong.evidence},
    }
    message = f"{relation.broken}: {which} is wrong against the float64 truth"
    return Confirmation(
        replace(
            verdict,
            message=message,
            runtime=wrong.runtime if wrong.runtime in verdict.runtimes else verdict.runtime,
            severity=wrong.severity,
            unit=wrong.unit,
            blame="converter",
            evidence=evidence,
        ),
        "one of two conversions is wrong",
    )
