"""A sub-graph gives way to the numbers it computed: they become the sample, or a constant of the node that reads them.

Fresh inputs drawn anew miss what depends on numbers; recorded ones show it again wherever the numbers alone matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fuzzer.build.literals import literal_of
from fuzzer.build.values import sample
from fuzzer.case import Case, Node, Recipe, type_node
from fuzzer.errors import GenerateAnother
from fuzzer.ops import TensorType
from fuzzer.reduce.passes.edit import Literals, Pass, Recorder, edited, fed, with_samples
from fuzzer.reduce.passes.literals import MAX_LITERAL

MAX_WIDE = 5
"""The widest constant beside an operand of one element: `const_wide` of `fuzzer.ops.broadcasting`."""


def recorded_operands(record: Recorder | None) -> Pass:
    """The pass that asks `record` for the values of a case, once, if it has anything to propose for inner ones at all.

    The samples of a case are known without it.
    """

    def recorded(case: Case) -> Iterator[Case]:
        heads, constants = list(_heads(case)), list(_constants(case))
        inner = bool(heads) or any(operand.startswith("n") for _, operand, _ in constants)
        known = {**_given(case), **(record(case) if inner and record is not None else {})}
        for operand, small in heads:
            literals = known.get(operand, ())
            if literals and all(values is not None for values in literals):
                samples = [Recipe("literal", values=values or ()) for values in literals]
                yield with_samples(small, tuple(dict.fromkeys(samples)))
        for index, operand, node in constants:
            yield from _with_constant(case, index, node, known.get(operand, ()))

    return recorded


def _given(case: Case) -> Literals:
    """The samples of a case, which nobody needs to run it for."""
    return {
        f"x{i}": tuple(literal_of(sample(type_, recipe, i)) for recipe in case.inference.inputs)
        for i, type_ in enumerate(case.model.inputs)
        if 0 < type_.elements <= MAX_LITERAL
    }


def _heads(case: Case) -> Iterator[tuple[str, Case]]:
    """Values that can be the only input of what comes after them, last first: a sample gives all inputs its numbers."""
    types = case.model.types
    for i in reversed(range(1, len(case.model.nodes))):
        for operand in dict.fromkeys(case.model.nodes[i].operands):
            if operand.startswith("n") and 0 < types[operand].elements <= MAX_LITERAL:
                small = fed(case, i, (operand,))
                if len(small.model.inputs) == 1 and small != case:
                    yield operand, small


def _constants(case: Case) -> Iterator[tuple[int, str, Node]]:
    """Nodes that can take their second operand as a constant: their index, the operand, and the node that does."""
    types = case.model.types
    for i, node in enumerate(case.model.nodes):
        if len(node.operands) != 2 or node.spec.arity[0] != 1:
            continue
        first, second = (types[o] for o in node.operands)
        if 0 < second.elements <= MAX_LITERAL and (small := _folded(node, first, second)) is not None:
            yield i, node.operands[1], small


def _folded(node: Node, first: TensorType, second: TensorType) -> Node | None:
    """The node with a constant of the second operand's shape; None where its attributes cannot describe it."""
    attrs = dict(node.attrs)
    if "const_rank" in attrs:
        ones = [place for place in range(second.rank) if second.shape[-1 - place] == 1]
        own = {place: first.shape[-1 - place] if place < first.rank else 1 for place in range(second.rank)}
        wide = [second.shape[-1 - place] for place in range(second.rank) if own[place] == 1 and place not in ones]
        attrs["const_rank"] = second.rank
        attrs["const_mask"] = sum(1 << place for place in ones)
        attrs["const_wide"] = min(max(wide, default=1), MAX_WIDE)
    small = replace(node, operands=node.operands[:1], attrs=attrs)
    if any(domain.check(attrs[key]) is not None for key, domain in node.spec.attrs.items()):
        return None
    try:
        slots = type_node(small, "n", {node.operands[0]: first}).slots
    except GenerateAnother:
        return None
    return small if [slot.type for slot in slots] == [second] and slots[0].span is None else None


def _with_constant(
    case: Case, index: int, node: Node, literals: tuple[tuple[float, ...] | None, ...]
) -> Iterator[Case]:
    """The recorded numbers of the first sample as the constant, on all samples; then those of each, on it alone."""
    slot = type_node(node, "n", case.model.types).slots[0].name
    samples = case.inference.inputs
    for s, values in enumerate(literals):
        if values is None:
            continue
        small = edited(case, index, replace(node, weights={slot: Recipe("literal", values=values)}))
        if s == 0:
            yield small
        if len(samples) > 1:
            yield with_samples(small, (samples[s],))
