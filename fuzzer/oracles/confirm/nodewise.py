"""Node by node: each operator of the flatbuffer alone, fed the same tensors, under two runtimes.

End to end, one step of rounding may grow through later layers; node by node it cannot, so what differs by more
than its bound here is a kernel's defect, and the node is its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat, FlatOp
from fuzzer.execute.record import CaseRun
from fuzzer.execute.runtimes import MAKERS
from fuzzer.oracles.confirm import Confirmation
from fuzzer.oracles.confirm.node import UNJUDGED, NodeDivergence
from fuzzer.oracles.confirm.node_bound import (
    apart_of,
    bound_of,
    flushed,
    kernel_kind,
    meaningful,
    undefined,
)
from fuzzer.oracles.confirm.parts import BASES, allocate, intermediates, invoke, isolate, unsteady
from fuzzer.oracles.divergence import REFERENCE_RUNTIME, real_pair
from fuzzer.oracles.messages import operator_of
from fuzzer.oracles.verdict import UNSTEADY, Kind, Verdict

MAX_SHOWN = 16
"""Numbers of an operand that are shown whole."""


def confirm(record: CaseRun, suspicion: Verdict) -> Confirmation:
    """A suspicion between kernels: confirmed by the first node on which two kernels differ beyond its bound."""
    special = suspicion.kind is Kind.NAN_PROPAGATION
    found = first_dispute(record, special)
    if found is None:
        return Confirmation(None, "no node alone differs beyond its bound: rounding grew through later layers")
    return verdict_of(record, suspicion, found, special)


def verdict_of(
    record: CaseRun, suspicion: Verdict, found: list[NodeDivergence], special: bool = False, base: str = ""
) -> Confirmation:
    """The suspicion sharpened to one operator. `found` are the runtimes that are wrong there, or differ from `base`.

    Where they were held against real arithmetic (`base` says so), they are the guilty ones; else who stands alone is.
    """
    flat = record.flat
    assert flat is not None
    worst = max(found, key=lambda d: (d.specials if special else 0, d.ratio))
    guilty = tuple(d.runtime for d in found)
    evidence = {
        **suspicion.evidence,
        "node": worst.position,
        "dtype": flat.tensors[worst.op.outputs[0]].dtype.lower(),
        "index": list(worst.index),
        "expected": worst.expected,
        "actual": worst.actual,
        "operands": operands_at(record, worst),
        "base": base or REFERENCE_RUNTIME,
        "runtimes": list(guilty),
    }
    return Confirmation(
        replace(
            suspicion,
            message=defect(record, worst, found, special, guilty if base else ()),
            runtime=worst.runtime,
            severity=float(worst.specials) if special else float(f"{worst.apart:.4g}"),
            unit="elements" if special else worst.unit,
            blame=worst.op.name,
            evidence=evidence,
        ),
        "one node alone is wrong" if base else "one node alone differs",
    )


def operands_at(record: CaseRun, found: NodeDivergence) -> list[dict[str, Any]]:
    """What went into the first bad element: each operand's name, type and scale, and its values, or those at the place.

    Small operands are given whole (`MAX_SHOWN` numbers); of larger ones of the result's shape the element alone.
    """
    flat = record.flat
    assert flat is not None
    tensors = intermediates(record, found.sample)
    shown: list[dict[str, Any]] = []
    for index in (i for i in found.op.inputs if i >= 0):
        tensor, value = flat.tensors[index], tensors.get(index)
        entry: dict[str, Any] = {"tensor": tensor.name, "dtype": tensor.dtype.lower(), "scales": tensor.scales[:8]}
        if value is not None and value.size <= MAX_SHOWN:
            entry["values"] = [_plain(v) for v in value.ravel()]
        elif value is not None and value.shape == found.shape:
            entry["at"] = _plain(value[found.index])
        shown.append(entry)
    return shown


def _plain(value: Any) -> Any:
    """A number as JSON has it; anything else in words."""
    made = value.item() if hasattr(value, "item") else value
    return made if isinstance(made, int | float | bool) and made == made and abs(made) != float("inf") else str(made)


def failing_node(record: CaseRun, verdict: Verdict) -> str:
    """The first operator that alone fails to allocate or run under the verdict's runtime; empty when none does."""
    said = operator_of(str(verdict.evidence.get("message", "")))
    if record.flat is None or verdict.kind not in (Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR) or not record.samples:
        return ""
    if not said:
        return ""  # the file as a whole is at fault: the interpreter names a node otherwise
    delegate = said.startswith("TfLite")  # it names itself; any other name is an operator's, maybe of a sub-graph
    tensors = intermediates(record, 0)
    for position, op in enumerate(record.flat.ops):
        if (
            (op.name == said or delegate)
            and op.name not in UNJUDGED
            and probe(record, position, verdict.runtime, tensors)
        ):
            return f"{op.name} ({kernel_kind(record.flat, op)})"
    return ""


def probe(record: CaseRun, position: int, runtime: str, tensors: dict[int, Array]) -> str:
    """Runs one operator alone; what the runtime raises, or an empty string."""
    try:
        interpreter = MAKERS[runtime](isolate(record.content, position), 1)
        allocate(interpreter, tensors)
        for detail in interpreter.get_input_details():
            if int(detail["index"]) in tensors:
                interpreter.set_tensor(int(detail["index"]), tensors[int(detail["index"])])
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def probe_for(record: CaseRun, position: int, runtime: str) -> dict[str, Any]:
    """Runs one operator alone, for an owner who expects a death: its name, or none when there is no such operator."""
    flat = record.flat
    if flat is None or position >= len(flat.ops):
        return {"op": ""}
    op = flat.ops[position]
    if op.name not in UNJUDGED:
        probe(record, position, runtime, intermediates(record, 0, avoid=runtime) if record.samples else {})
    return {"op": f"{op.name} ({kernel_kind(flat, op)})"}


def defect(
    record: CaseRun,
    worst: NodeDivergence,
    found: list[NodeDivergence],
    special: bool,
    wrong: Collection[str] = (),
) -> str:
    """Whose kernel of what is wrong: the same words whichever way it was confirmed, so that titles agree.

    `wrong` are the runtimes that the float64 truth or real arithmetic contradicts, where one was asked: they know
    better than a majority.
    """
    assert record.flat is not None
    if _unsteady(record, worst, found):
        return f"{worst.op.name} ({kernel_kind(record.flat, worst.op)}): {UNSTEADY}"
    what = "NaN or Inf where the others have none" if special else "wrong values"
    whose = kernels_of(record, set(wrong)) if wrong else ""
    whose = whose or outlier(record, found)
    return f"{whose} {worst.op.name} ({kernel_kind(record.flat, worst.op)}): {what}"


def _unsteady(record: CaseRun, worst: NodeDivergence, found: list[NodeDivergence]) -> bool:
    """Whether some kernel gives now this and now that: whose results differ from whose is chance then."""
    content, tensors = isolate(record.content, worst.position), intermediates(record, worst.sample)
    runtimes = dict.fromkeys([d.runtime for d in found] + [r for r, run in record.runs.items() if run.complete])
    return any(unsteady(content, runtime, tensors) for runtime in runtimes)


def unsteady_operator(record: CaseRun, verdict: Verdict) -> Verdict | None:
    """The verdict on the first operator that reads memory nobody wrote; None where every one gives the same again.

    Asked where the converter would be blamed: what such an operator gives differs from run to run, so that no two
    runs of the flatbuffer agree, and neither does the model.
    """
    flat = record.flat
    if flat is None or not record.samples:
        return None
    runtimes = [name for name, run in record.runs.items() if run.complete]
    tensors = intermediates(record, 0)
    for position, op in enumerate(flat.ops):
        if op.name in UNJUDGED:
            continue
        content = isolate(record.content, position)
        shaky = [runtime for runtime in runtimes if unsteady(content, runtime, tensors)]
        if shaky:
            said = f"{op.name} ({kernel_kind(flat, op)}): {UNSTEADY}"
            evidence = {**verdict.evidence, "node": position, "runtimes": shaky}
            return replace(verdict, message=said, runtime=shaky[0], blame=op.name, evidence=evidence)
    return None


def first_dispute(record: CaseRun, special: bool = False, told: Collection[int] = ()) -> list[NodeDivergence] | None:
    """All runtimes' divergences from reference kernels at the first node where one leaves its bound.

    Nodes in `told` are passed over: who is right there is known otherwise.
    """
    runtimes = [r for r, run in record.runs.items() if run.complete and r != REFERENCE_RUNTIME]
    by_position: dict[int, list[NodeDivergence]] = {}
    for runtime in runtimes:
        for found in divergent_nodes(record, runtime, special):
            if found.position not in told and ((found.specials > 0) if special else (found.ratio > 1)):
                by_position.setdefault(found.position, []).append(found)
                break
    return by_position[min(by_position)] if by_position else None


def outlier(record: CaseRun, found: list[NodeDivergence]) -> str:
    """Whose kernel stands alone. `found` are the runtimes that differ from the reference kernels.

    When all of them do and agree among themselves, the reference kernels are the odd one out; when they do not even
    agree, nobody's result can be trusted (memory that was never written looks like this).
    """
    guilty = {d.runtime for d in found}
    others = {r for r, run in record.runs.items() if run.complete and r != REFERENCE_RUNTIME}
    if guilty == others and len({_kernel(r) for r in guilty}) > 1:
        return "reference" if _agree(found) else "every kernel of"
    return kernels_of(record, guilty)


def kernels_of(record: CaseRun, guilty: set[str]) -> str:
    """The kernels of some runtimes in a word or two."""
    complete = {r for r, run in record.runs.items() if run.complete}
    if guilty == complete and len(complete) > 1:
        return "every kernel of"
    if guilty == {REFERENCE_RUNTIME}:
        return "reference"
    if guilty == complete - {REFERENCE_RUNTIME} and {"tf-builtin", "litert"} <= guilty:
        return "optimised"  # where XNNPACK leaves an op alone, all but the reference run the optimised kernel
    if guilty == {"tf-builtin", REFERENCE_RUNTIME}:
        return "optimised+reference"
    if guilty == {"tf-xnnpack", "litert"}:
        return "XNNPACK"
    if guilty == {"tf-xnnpack", "tf-builtin"}:
        return "tf.lite"  # where XNNPACK leaves an op alone, both run the optimised kernel of one release
    if len(guilty) == 1 and "tf-builtin" not in guilty and not {"tf-xnnpack", "litert"} <= set(record.runs):
        return _kernel(*guilty)
    return "+".join(sorted(_kernel(r) if r == "tf-builtin" else r for r in guilty))


def _agree(found: list[NodeDivergence]) -> bool:
    """Whether runtimes that differ from the base differ in the same way: same place, same value."""
    first = found[0]
    step = 1.0 if first.unit == "steps" else 1e-3 * abs(first.actual)
    return all(d.index == first.index and abs(d.actual - first.actual) <= step for d in found)


def _kernel(runtime: str) -> str:
    return {"tf-xnnpack": "XNNPACK", "litert": "XNNPACK", "tf-builtin": "optimised"}.get(runtime, runtime)


def divergent_nodes(record: CaseRun, runtime: str, special: bool = False) -> Iterator[NodeDivergence]:
    """Every operator's divergence under `runtime`, worst sample each, in execution order.

    What is worst depends on what is looked for: NaN and infinity (`special`), or numbers.
    """
    flat = record.flat
    if flat is None or runtime == REFERENCE_RUNTIME:
        return
    recorded = [intermediates(record, sample) for sample in range(len(record.samples))]
    if not all(recorded):
        return
    for position, op in enumerate(flat.ops):
        if op.name in UNJUDGED or not op.outputs:
            continue
        content = isolate(record.content, position)
        found = [_compare(flat, position, op, runtime, content, tensors, special) for tensors in recorded]
        made = [replace(f, sample=sample) for sample, f in enumerate(found) if f is not None]
        if made:
            yield max(made, key=lambda f: f.specials if special else f.ratio)


def _compare(
    flat: Flat, position: int, op: FlatOp, runtime: str, content: bytes, tensors: dict[int, Array], special: bool
) -> NodeDivergence | None:
    if not meaningful(flat, op, tensors):
        return None
    base = next((b for b in BASES if b != runtime and invoke(b, content, tensors)), REFERENCE_RUNTIME)
    expected = invoke(base, content, tensors)
    actual = invoke(runtime, content, tensors)
    if not expected or not actual:
        return None
    by_flush = flushed(op, base, content, tensors)
    worst: NodeDivergence | None = None
    for o, (want, got) in enumerate(zip(expected, actual, strict=True)):
        if want.shape != got.shape or want.size == 0 or undefined(op, want, tensors):
            continue
        right, left = real_pair(got, want)
        apart, odd = apart_of(op, right, left, want.dtype.name)
        if by_flush and by_flush[o].shape == want.shape:
            # Either is right where denormals go in: with them, or with zeros.
            by_zero = apart_of(op, *real_pair(got, by_flush[o]), want.dtype.name)
            apart, odd = np.minimum(apart, by_zero[0]), odd & by_zero[1]
        bound, unit = bound_of(flat, op, o, want, lambda moved: invoke(base, content, tensors, moved), tensors)
        ratio = apart / np.maximum(bound, 1e-30)
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(odd if special else ratio)), want.shape))
        found = NodeDivergence(
            position,
            op,
            runtime,
            float(ratio[at]),
            float(apart[at]),
            unit,
            at,
            float(left[at]),
            float(right[at]),
            int(odd.sum()),
            shape=want.shape,
        )
        if worst is None or (found.specials > worst.specials if special else found.ratio > worst.ratio):
            worst = found
    return worst
