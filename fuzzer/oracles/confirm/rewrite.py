"""Blame of converter defects: the pass after which the model is wrong, and what it made of what.

Every kernel is right and the result is wrong: so the converter changed the model. Its program is written down after
every pass (`fuzzer.convert.passes`) and run there (`fuzzer.ir`) on the sample that shows the defect. The guilty pass
is the one between the last state whose results are within the bounds of the float64 truth and the first after it whose
are not. Inside that pass the two programs are held against each other (`rewritten`).

States that cannot be run leave an interval. Where that has no ends, the operator of the flatbuffer whose result is none
of TensorFlow's values is traced to the pass that brought it: evidence for a reader, too weak for a title.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from fuzzer.build import Array, constants, walk, weights_of
from fuzzer.convert import passes
from fuzzer.execute.record import CaseRun, RuntimeRun, Slot
from fuzzer.execute.runtimes import feed
from fuzzer.ir import Function, NotEvaluableError, Operation, Program
from fuzzer.oracles.confirm import parts, truth
from fuzzer.oracles.confirm.rewritten import SILENT, Difference, Outcome, close, difference
from fuzzer.oracles.divergence import real_pair

BUDGET_S = 3.0
"""Time for one answer, conversion and truth apart."""
EXPORT = "the export to a flatbuffer"
MAX_NAMED = 6
"""Operations that are named on each side."""
Wrong = Callable[[list[Array]], bool]
"""Whether the model's outputs, for the sample that is looked at, are wrong."""


@dataclass(frozen=True)
class _State:
    """The program after a pass, how it runs, and whether its results are wrong (None: it cannot be run, and why)."""

    name: str
    stage: passes.Pass
    program: Program
    wrong: bool | None
    why: str = ""


def blame(record: CaseRun, wrong: Wrong | None = None, sample: int | None = None) -> dict[str, Any]:
    """Evidence: `pass`, `before` and `after` (names of operations), `tensor`, and how much of the road was run.

    `wrong` judges outputs; by default the float64 truth does. `sample` is what the model is run on; by default the one
    that is furthest from the truth. Where there is no answer `pass` is absent and `no pass` says why.
    """
    import tensorflow as tf

    judged = (sample, wrong) if sample is not None and wrong is not None else _judged(record)
    if judged is None:
        return {"no pass": "no sample on which every runtime is wrong"}
    sample, wrong = judged
    try:
        stages = passes.dumped(tf, record.case, weights_of(record.case), record.samples)
    except passes.NoDumpsError as error:
        return {"no pass": str(error)}
    states = _states(tf, record, stages, sample, wrong)
    found = _guilty(record, states, sample, wrong)
    ran = sum(state.wrong is not None for state in states)
    found["run"] = f"{ran} of {len(states)} states of the program"
    if "pass" not in found:
        found["introduced"] = _introduced(record, stages, sample)
        found["not run"] = sorted({s.why for s in states if s.why})[:3]
    return found


def message_of(found: dict[str, Any]) -> str:
    """The defect in words; the same for every model that shows it. Empty where no pass is known.

    Which pass folds a constant depends on what is around it: folding is one defect, whoever does it.
    """
    if "pass" not in found:
        return ""
    if _only_translated(found["before"], found["after"]):
        return f"{found['after'][0].removeprefix('tfl.').upper()} gives other values than {found['before'][0]}"
    before, after = (", ".join(_shortened(found[key])) for key in ("before", "after"))
    where = "constant folding" if found["after"] == [CONSTANT] else str(found["pass"])
    what = f": {before or 'nothing'} -> {after or 'nothing'}" if before or after else ""
    return f"the converter changed the model in {where}{what}"


def _only_translated(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether one operation of TensorFlow's became one of TFLite's: whether pass or kernel is at fault is open then."""
    return len(before) == len(after) == 1 and before[0].startswith("tf.") and after[0].startswith("tfl.")


CONSTANT = "constant"
"""Stands for what a pass has computed itself."""


def _shortened(names: Sequence[str]) -> list[str]:
    once = list(dict.fromkeys(names))
    return once if len(once) <= MAX_NAMED else [*once[:MAX_NAMED], "..."]


# --- judging -----------------------------------------------------------------------------------------------


def _judged(record: CaseRun) -> tuple[int, Wrong] | None:
    """The sample on which every runtime is wrong, the one furthest from TensorFlow, and the float64 truth as its judge.

    The truth of one sample at a time: that of all would cost as much again as confirming did.
    """
    complete = [run for run in record.runs.values() if run.complete]

    def apart(sample: int) -> float:
        pairs = ((run.samples[sample], record.reference[sample]) for run in complete)
        return min((_apart(outputs, reference) for outputs, reference in pairs), default=0.0)

    for sample in sorted(range(len(record.samples)), key=apart, reverse=True):
        wrong = _judge(record, sample)
        if complete and all(wrong(run.samples[sample]) for run in complete):
            return sample, wrong
    return None


def _judge(record: CaseRun, sample: int) -> Wrong:
    alone = replace(record, samples=[record.samples[sample]], reference=[record.reference[sample]])
    known = truth.Truth(alone)
    expected = [value.shape for value in known.values[0]]

    def wrong(outputs: list[Array]) -> bool:
        if [np.shape(output) for output in outputs] != expected:
            return True
        run = RuntimeRun("pass", samples=[outputs])
        return truth.ratios(replace(alone, runs={"pass": run}), known)["pass"] > truth.FACTOR

    return wrong


def _apart(outputs: Sequence[Array], reference: Sequence[Array]) -> float:
    """The largest difference relative to the largest number of its output; NaN and infinity are far off."""
    worst = 0.0
    for left, right in zip(outputs, reference, strict=False):
        if left.shape != right.shape:
            return float("inf")
        one, other = real_pair(left, right)
        with np.errstate(all="ignore"):
            apart = np.nan_to_num(np.abs(one - other), nan=np.inf, posinf=np.inf)
        scale = float(np.nan_to_num(np.abs(other), nan=0.0, posinf=0.0).max(initial=0.0))
        worst = max(worst, float(apart.max(initial=0.0)) / max(scale, 1e-300))
    return worst


def _states(tf: Any, record: CaseRun, stages: Sequence[passes.Pass], sample: int, wrong: Wrong) -> list[_State]:
    """The import and every pass that changed something, run."""
    cache: dict[Any, list[Any]] = {}
    deadline = perf_counter() + BUDGET_S
    states = []
    for stage in [stages[0], *(change.after for change in passes.changes(stages))]:
        program = Program(tf, stage.functions, cache, deadline)
        try:
            states.append(_State(stage.name, stage, program, wrong(outputs_of(program, record.samples[sample]))))
        except NotEvaluableError as error:
            states.append(_State(stage.name, stage, program, None, str(error)))
    return states


def outputs_of(program: Program, sample: Sequence[Array]) -> list[Array]:
    """The model's outputs in its order. Raises `NotEvaluableError`."""
    entry = program.entry
    results, _ = program.run(_inputs(entry, sample))
    return _in_order(entry, results)


def _inputs(entry: Function, sample: Sequence[Array]) -> list[Array]:
    """The sample in the order of the function's arguments, which are matched by name."""
    listed = str(entry.attributes.get("tf.entry_function", {}).get("inputs", "")).split(",")
    names = listed if len(listed) == len(entry.arguments) else [""] * len(entry.arguments)
    paths = [attributes.get("tf_saved_model.index_path") for attributes in entry.argument_attributes]
    names = [str(path[0]) if path else name for path, name in zip(paths, names, strict=True)]
    if len(names) != len(sample):
        raise NotEvaluableError(f"{len(names)} arguments for {len(sample)} inputs")
    slots = [Slot(name, i, (), "float32", 0.0, 0) for i, name in enumerate(names)]
    return [value for _, value in feed(slots, sample)]


def _in_order(entry: Function, results: list[Array]) -> list[Array]:
    """A SavedModel names its results, and ours sort by position; other functions have them in order."""
    paths = [attributes.get("tf_saved_model.index_path") for attributes in entry.result_attributes]
    if len(paths) != len(results) or not all(paths):
        return results
    named = zip(map(str, paths), results, strict=True)
    return [result for _, result in sorted(named, key=lambda pair: pair[0])]


# --- the guilty pass ---------------------------------------------------------------------------------------


def _guilty(record: CaseRun, states: Sequence[_State], sample: int, wrong: Wrong) -> dict[str, Any]:
    """The pass behind the last state that is right; empty where that is not known."""
    known = [i for i, state in enumerate(states) if state.wrong is not None]
    if not known:
        return {}
    if not states[known[-1]].wrong:
        return _exported(record, states[-1], sample) if known[-1] == len(states) - 1 else {}
    right = max((i for i in known if not states[i].wrong), default=-1)
    bad = next(i for i in known if i > right)
    if right < 0:
        # No state was right: what comes before the converter (tracing, Grappler) is at fault, or what was not run.
        return {"pass": passes.IMPORT, "before": [], "after": []} if bad == 0 else {}
    name = states[bad].name if bad == right + 1 else f"{states[right + 1].name} to {states[bad].name}"
    found = _difference(record, states[right], states[bad], sample, wrong)
    if found is None:
        change = passes.Change(states[right].stage, states[bad].stage)
        return {"pass": name, "before": sorted(change.removed), "after": sorted(change.added)}
    told = {
        "pass": name,
        "before": [_name(op) for op in found.before],
        "after": [_name(op) for op in found.after] or [CONSTANT],
        "program before": [shown(op) for op in found.before[:MAX_NAMED]],
        "program after": [shown(op) for op in found.after[:MAX_NAMED]],
    }
    tensor = _tensor(record, found.value, sample)
    return {**told, "tensor": tensor} if tensor else told


def _exported(record: CaseRun, last: _State, sample: int) -> dict[str, Any]:
    """The program is right to the end and the flatbuffer is not: the first operation whose value it does not have."""
    assert record.flat is not None
    held = {i: np.asarray(value) for i, value in parts.intermediates(record, sample).items()}
    _, steps = last.program.run(_inputs(last.program.entry, record.samples[sample]))
    told = {"pass": EXPORT, "before": [], "after": []}
    known = [value for step in steps for value in step.values]
    for step in steps:
        kept = any(close(theirs, value) for value in step.values for theirs in held.values())
        if step.operation.name not in SILENT and not kept:
            strange = (op for op in record.flat.ops if op.outputs and not _holds(known, held.get(op.outputs[0])))
            lines = {"program before": [shown(step.operation)]}
            return {**told, **lines, "before": [_name(step.operation)], "after": [op.name for op in strange][:1]}
    return told


def _holds(known: Sequence[Any], value: Any) -> bool:
    return any(close(theirs, value) for theirs in known)


def _difference(record: CaseRun, right: _State, bad: _State, sample: int, wrong: Wrong) -> Difference | None:
    def outcome(state: _State, replaced: dict[str, Any]) -> Outcome:
        entry = state.program.entry
        results, steps = state.program.run(_inputs(entry, record.samples[sample]), replaced)
        return Outcome(frozenset(entry.arguments), steps, wrong(_in_order(entry, results)))

    try:
        return difference(outcome(right, {}), outcome(bad, {}), lambda replaced: outcome(bad, replaced).wrong)
    except NotEvaluableError:
        return None  # the time is up: both states ran before


def _name(op: Operation) -> str:
    """What an operation does: one of TensorFlow's may stand in a `tfl.custom_tf` for a while."""
    inner = op.regions[0].operations if op.name == "tfl.custom_tf" and op.regions else []
    return inner[0].name if inner else op.name


def shown(op: Operation) -> str:
    """An operation as a reader wants it: types, and the attributes that are plain words or numbers."""
    plain = {k: v for k, v in op.attributes.items() if isinstance(v, int | float | str | list) and k != "device"}
    attributes = " {" + ", ".join(f"{k} = {v}" for k, v in plain.items()) + "}" if plain else ""
    return f"{op.name}{attributes} : ({', '.join(op.operand_types)}) -> ({', '.join(op.result_types)})"


def _tensor(record: CaseRun, value: Array, sample: int) -> str:
    """The tensor of the flatbuffer that holds the first wrong value, by its number and name; empty when none does."""
    assert record.flat is not None
    for index, held in parts.intermediates(record, sample).items():
        if close(np.asarray(held), value):
            return f"{index} {record.flat.tensors[index].name}"
    return ""


# --- without running ---------------------------------------------------------------------------------------


def _introduced(record: CaseRun, stages: Sequence[passes.Pass], sample: int) -> dict[str, Any]:
    """The pass that brought the operator whose result is none of TensorFlow's values, and what it took away.

    Weaker than running: a rewrite that is right on the way may have values of its own. Empty where all values are
    TensorFlow's, or no pass brought the operator.
    """
    import tensorflow as tf

    assert record.flat is not None
    held = parts.intermediates(record, sample)
    weights = constants(tf, weights_of(record.case))
    inputs = [tf.constant(x) for x in record.samples[sample]]
    true = [value.numpy() for value in walk(tf, record.case, inputs, weights).values()]
    strange = [
        op
        for op in record.flat.ops
        if op.outputs
        and not op.name.startswith(("VAR_HANDLE", "READ_VARIABLE"))
        and not any(close(np.asarray(held[i]), value) for i in op.outputs if i in held for value in true)
    ]
    for op in strange:
        name = f"tfl.{op.name.lower()}"
        change = next((c for c in passes.changes(stages) if c.added[name]), None)
        if change is not None:
            told = {"before": sorted(change.removed), "after": sorted(change.added)}
            return {"operator": name, "pass": change.after.name, **told}
    return {}
