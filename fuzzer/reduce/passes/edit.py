"""Editing a case: what every pass is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from fuzzer.case import Case, Model, Node, Recipe
from fuzzer.case.model import MAX_INPUTS
from fuzzer.errors import CaseError
from fuzzer.ops import TensorType

Pass = Callable[[Case], Iterator[Case]]
"""Candidates for a smaller case, most ambitious first; the reducer skips those that are invalid or not smaller."""
Literals = Mapping[str, tuple[tuple[float, ...] | None, ...]]
"""By name of a value and by sample: its numbers as a literal recipe has them; None where it cannot have them."""
Recorder = Callable[[Case], Literals]
"""What TensorFlow computes for the values of a case; that costs an execution."""


def fits(case: Case) -> bool:
    """Whether every node takes its operands, and something is computed and returned."""
    try:
        case.model.typed  # noqa: B018  (inference validates)
    except CaseError:
        return False
    return bool(case.model.nodes) and bool(case.model.outputs)


def with_model(case: Case, model: Model) -> Case:
    """The case with another model, weights of absent slots dropped."""
    return replace(case, model=_without_spare_weights(model))


def with_inputs(case: Case, inputs: tuple[TensorType, ...]) -> Case:
    """The case with inputs of other types."""
    return with_model(case, replace(case.model, inputs=inputs))


def with_samples(case: Case, samples: tuple[Recipe, ...]) -> Case:
    """The case judged on other samples."""
    return replace(case, inference=replace(case.inference, inputs=samples))


def edited(case: Case, index: int, node: Node) -> Case:
    """The case with one node replaced."""
    nodes = list(case.model.nodes)
    nodes[index] = node
    return pruned(case, replace(case.model, nodes=tuple(nodes)))


def rewired(model: Model, old: str, new: str, start: int = 0) -> Model:
    """Nodes from `start` on, and outputs, read `new` instead of `old`."""
    nodes = tuple(
        replace(n, operands=tuple(new if o == old else o for o in n.operands)) if k >= start else n
        for k, n in enumerate(model.nodes)
    )
    return replace(model, nodes=nodes, outputs=tuple(new if o == old else o for o in model.outputs))


def pruned(case: Case, model: Model) -> Case:
    """Without nodes and inputs that no output needs, names counted anew; the case itself where that cannot be."""
    needed: set[str] = set(model.outputs)
    for i in reversed(range(len(model.nodes))):
        if f"n{i}" in needed:
            needed.update(model.nodes[i].operands)
    kept = [i for i in range(len(model.nodes)) if f"n{i}" in needed]
    inputs = [i for i in range(len(model.inputs)) if f"x{i}" in needed]
    if not inputs or len(inputs) > MAX_INPUTS:
        return case
    names = {f"n{old}": f"n{new}" for new, old in enumerate(kept)}
    names.update({f"x{old}": f"x{new}" for new, old in enumerate(inputs)})
    try:
        nodes = tuple(replace(model.nodes[i], operands=tuple(names[o] for o in model.nodes[i].operands)) for i in kept)
        outputs = tuple(names[o] for o in model.outputs)
    except KeyError:
        return case
    return with_model(case, Model(tuple(model.inputs[i] for i in inputs), nodes, outputs, model.patterns))


def fed(case: Case, index: int, names: Collection[str], output: str | None = None) -> Case:
    """Node `index` and those after it read fresh inputs instead of the values `names`; what is unused goes.

    With `output` nothing else is returned. The case itself where it would have too many inputs.
    """
    model = case.model
    try:
        types = model.types
    except CaseError:
        return case
    for name in names:
        fresh = f"x{len(model.inputs)}"
        outputs = model.outputs
        model = replace(rewired(model, name, fresh, index), inputs=(*model.inputs, types[name]), outputs=outputs)
    return pruned(case, model if output is None else replace(model, outputs=(output,)))


def lower(value: int, floor: int = 1) -> Iterator[int]:
    """Smaller numbers, smallest first: `floor`, the half, then ever less off, so that a bound is found by halving."""
    seen = {value}
    for smaller in (floor, value // 2, *(value - (value >> shift) for shift in range(2, 14)), value - 1):
        if floor <= smaller < value and smaller not in seen:
            seen.add(smaller)
            yield smaller


def _without_spare_weights(model: Model) -> Model:
    try:
        typed = model.typed
    except CaseError:
        return model
    nodes = []
    for t in typed:
        names = {slot.name for slot in t.slots}
        nodes.append(replace(t.node, weights={k: v for k, v in t.node.weights.items() if k in names}))
    return replace(model, nodes=tuple(nodes))
