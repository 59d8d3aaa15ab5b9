"""Metamorphic relations: changes that must not change the result.

A case names the relation that is tried after its runtimes have run (`Inference.relation`), so that it can be repeated,
minimised and told. To add one, write it in a module here, list its module in `_MODULES` and its name in
`fuzzer.case.RELATIONS`; how a reproducer shows it is in `findings/metamorphic_text.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat
from fuzzer.execute.record import CaseRun, Failure, RuntimeRun, Variant
from fuzzer.execute.stage import StageCell
from fuzzer.oracles.divergence import Divergence, error, real_pair
from fuzzer.oracles.messages import runtime_message
from fuzzer.oracles.metamorphic import batch, file, memory, roads, threads, twice
from fuzzer.oracles.metamorphic.relation import Relation, Samples, Work, all_same, same, work_of
from fuzzer.oracles.verdict import Kind, Stage, Verdict

_MODULES = (twice, memory, threads, file, batch, roads)
SUSPICIOUS = 1e-4
"""Relative error from which results that may round otherwise are looked at, as in `fuzzer.oracles.value`."""


@cache
def relations() -> dict[str, Relation]:
    """Every relation by name."""
    return {relation.name: relation for module in _MODULES for relation in module.RELATIONS}


# --- in the executor --------------------------------------------------------------------------------------


def relate(record: CaseRun, stage: StageCell) -> None:
    """Tries the relation that the case names on every runtime that ran, and leaves the results in the record."""
    relation = relations()[record.case.inference.relation]
    if record.flat is None:
        return
    stage.set("metamorphic")
    with record.under_test("metamorphic"):
        record.unrelated = relation.applies(record)
    if record.unrelated:
        return
    if relation.other is not None:
        _run_other(record, relation, stage)
    for runtime in record.runs:
        try_on(record, runtime, stage)
    if record.variants and all(v.actual is None and v.failure is None for v in record.variants.values()):
        record.unrelated = "nothing to compare"


def try_on(record: CaseRun, runtime: str, stage: StageCell) -> None:
    """Tries the relation on one runtime, where that ran the flatbuffer itself."""
    relation, run = relations()[record.case.inference.relation], record.runs[runtime]
    if record.unrelated or not run.complete:
        return
    stage.set("metamorphic", runtime)
    if record.other is not None:
        if runtime in record.other.runs:
            record.variants[runtime] = _of_other(record, record.other.runs[runtime])
        return
    with record.under_test("metamorphic"):
        record.variants[runtime] = tried(relation, work_of(record, run), run.samples)


def tried(relation: Relation, work: Work, expected: Samples) -> Variant:
    """A flatbuffer under a relation; what the runtime raises becomes data."""
    assert relation.again is not None
    try:
        return Variant(work.runtime, expected, relation.again(work))
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return Variant(work.runtime, expected, failure=Failure(type(error).__name__, str(error)))


class _Within(StageCell):
    """The stage of a second execution: all of it belongs to the relation. Writes to the cell of the first."""

    def __init__(self, stage: StageCell) -> None:
        self._stage = stage

    def set(self, stage: str, detail: str = "") -> None:
        """Says which runtime is at work, if any."""
        self._stage.set("metamorphic", detail if stage in ("allocate", "invoke") else "")


def _run_other(record: CaseRun, relation: Relation, stage: StageCell) -> None:
    """Executes the other case. Where it is refused or not comparable, that is no matter of the relation's."""
    from fuzzer.execute.target import execute

    assert relation.other is not None
    other = execute(relation.other(record.case), _Within(stage))
    record.timings["metamorphic"] = record.timings.get("metamorphic", 0.0) + sum(other.timings.values())
    record.other = other
    if other.flat is None:
        record.unrelated = "the other conversion is refused"
    elif record.case.conversion.judged != "float32" and quantised(record.flat) != quantised(other.flat):
        record.unrelated = "the other conversion quantises otherwise"


def quantised(flat: Flat | None) -> list[tuple[str, str, list[tuple[float, ...]]]]:
    """Operators, fused activations and scales: where two flatbuffers agree in them, so must their integers."""
    if flat is None:
        return []
    return [
        (op.name, op.activation, [flat.tensors[i].scales for i in (*op.inputs, *op.outputs) if i >= 0])
        for op in flat.ops
    ]


def _of_other(record: CaseRun, run: RuntimeRun) -> Variant:
    """The first outputs of the other conversion's run. What makes that fail is its own case's matter."""
    mine = record.runs[run.runtime]
    if not run.complete:
        return Variant(run.runtime, mine.samples)
    return Variant(run.runtime, mine.samples, [outputs[: len(mine.outputs)] for outputs in run.samples])


# --- judging ----------------------------------------------------------------------------------------------


def judge(record: CaseRun, divergences: Mapping[str, Divergence]) -> Iterator[Verdict]:
    """One verdict for all runtimes that break the promise alike, and one for each error of those that raise."""
    if not record.variants:
        return
    relation = relations()[record.case.inference.relation]
    guilty = {r: v for r, v in record.variants.items() if broken(record, relation, v)}
    if guilty:
        runtime, worst = max(guilty.items(), key=lambda item: worst_of(item[1])[0])
        yield Verdict(
            Stage.COMPARE,
            Kind.METAMORPHIC,
            relation.broken,
            runtime,
            float(differing(worst)),
            "elements",
            evidence={**evidence(relation, worst), "runtimes": list(guilty)},
        )
    seen: set[str] = set()
    for runtime, found in record.variants.items():
        if found.failure is None or (message := f"{relation.fails}: {runtime_message(found.failure.message)}") in seen:
            continue
        seen.add(message)
        yield Verdict(
            Stage.COMPARE,
            Kind.METAMORPHIC,
            message,
            runtime,
            1.0,
            "runs",
            evidence={"relation": relation.name, "promise": relation.promise, "message": found.failure.message},
        )


def broken(record: CaseRun, relation: Relation, found: Variant) -> bool:
    """Whether a runtime's results are not what the relation promises, or far enough from it to be looked at."""
    if found.actual is None or all_same(found.actual, found.expected):
        return False
    if exact(record, relation):
        return True
    return worst_of(found)[0] > SUSPICIOUS


def exact(record: CaseRun, relation: Relation) -> bool:
    """Whether the relation promises this model the same bits."""
    return relation.exact or (relation.exact_integers and integers_only(record))


def integers_only(record: CaseRun) -> bool:
    """Whether nothing of the flatbuffer is computed in floats, so that there is no rounding to differ by."""
    flat = record.flat
    return flat is not None and not any(
        flat.tensors[o].dtype.startswith(("FLOAT", "BFLOAT", "COMPLEX"))
        for op in flat.ops
        if op.name != "DEQUANTIZE"
        for o in op.outputs
    )


def worst_of(found: Variant) -> tuple[float, int, int]:
    """The largest error relative to its channel, and its sample and output; other shapes or NaN are the worst."""
    worst = (0.0, 0, 0)
    for s, o, left, right in _pairs(found):
        if left.shape != right.shape:
            return np.inf, s, o
        relative, special = error(*real_pair(left, right))
        worst = max(worst, (np.inf if special else relative, s, o))
    return worst


def differing(found: Variant) -> int:
    """How many elements are not the same."""
    return sum(int(np.sum(_unlike(left, right))) for _, _, left, right in _pairs(found))


def evidence(relation: Relation, found: Variant) -> dict[str, object]:
    """What is to be told: the relation, and one element that is not what was promised."""
    told: dict[str, object] = {"relation": relation.name, "promise": relation.promise}
    _, s, o = worst_of(found)
    left, right = next((a, b) for i, k, a, b in _pairs(found) if (i, k) == (s, o))
    if left.shape != right.shape:
        return {**told, "sample": s, "output": o, "expected": str(right.shape), "actual": str(left.shape)}
    if left.dtype.kind in "OSU" or not left.size:
        return {**told, "sample": s, "output": o}
    first, second = real_pair(left, right)
    with np.errstate(invalid="ignore"):
        apart = np.where(_unlike(left, right), np.nan_to_num(np.abs(first - second), nan=np.inf), -1.0)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), left.shape))
    # As words: JSON holds neither NaN nor infinity.
    return {**told, "sample": s, "output": o, "index": list(at), "expected": str(right[at]), "actual": str(left[at])}


def _pairs(found: Variant) -> Iterator[tuple[int, int, Array, Array]]:
    """Sample, output, and the actual and expected tensor."""
    for s, (actual, expected) in enumerate(zip(found.actual or [], found.expected, strict=False)):
        for o, (left, right) in enumerate(zip(actual, expected, strict=False)):
            yield s, o, left, right


def _unlike(left: Array, right: Array) -> Array:
    """Where two tensors are not the same; everywhere when their shapes are not."""
    if left.shape != right.shape:
        return np.ones(right.shape, bool)
    unlike = left != right
    if left.dtype.kind not in "OSU":
        unlike &= ~((left != left) & (right != right))
    return np.asarray(unlike)


__all__ = ["Relation", "Work", "exact", "judge", "relate", "relations", "same", "tried", "try_on", "work_of"]
