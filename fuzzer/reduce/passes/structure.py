"""Fewer nodes, outputs and inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fuzzer.case import Case
from fuzzer.ops import Value
from fuzzer.reduce.passes.edit import edited, fed, pruned, rewired

MAX_PAIRED = 8
"""Nodes of a case of which pairs are tried: what is left after all other passes is rarely more."""


def no_oddities(case: Case) -> Iterator[Case]:
    """No input among the outputs, no output twice, no input that nobody reads."""
    model = case.model
    nodes_only = tuple(o for o in model.outputs if o.startswith("n"))
    once = tuple(dict.fromkeys(model.outputs))
    for outputs in dict.fromkeys((tuple(dict.fromkeys(nodes_only)), nodes_only, once)):
        if outputs and outputs != model.outputs:
            yield pruned(case, replace(model, outputs=outputs))
    yield pruned(case, model)


def lone_node(case: Case) -> Iterator[Case]:
    """One node and fresh inputs for all it reads, last node first: most defects are of one op."""
    nodes = case.model.nodes
    if len(nodes) > 1:
        for i in reversed(range(len(nodes))):
            yield fed(case, i, tuple(dict.fromkeys(nodes[i].operands)), f"n{i}")


def single_output(case: Case) -> Iterator[Case]:
    """One output only; the first or the second half of them; then every single output removed."""
    outputs = case.model.outputs
    if len(outputs) > 1:
        half = len(outputs) // 2
        alone = [(name,) for name in outputs]
        fewer = [outputs[:i] + outputs[i + 1 :] for i in range(len(outputs))]
        for kept in (*alone, outputs[:half], outputs[half:], *fewer):
            yield pruned(case, replace(case.model, outputs=kept))


def cut_tail(case: Case) -> Iterator[Case]:
    """Returns an inner value instead of everything after it, earliest first."""
    for i in range(len(case.model.nodes) - 1):
        yield pruned(case, replace(case.model, outputs=(f"n{i}",)))


def cut_head(case: Case) -> Iterator[Case]:
    """Feeds a node from fresh inputs instead of everything before it, last first: all its operands, then each."""
    nodes = case.model.nodes
    for i in reversed(range(1, len(nodes))):
        operands = tuple(o for o in dict.fromkeys(nodes[i].operands) if o.startswith("n"))
        if len(operands) > 1:
            yield fed(case, i, operands)
        for operand in operands:
            yield fed(case, i, (operand,))


def bypass_node(case: Case) -> Iterator[Case]:
    """Takes one node out; its readers read one of its operands."""
    model = case.model
    for i in reversed(range(len(model.nodes))):
        for operand in dict.fromkeys(model.nodes[i].operands):
            if operand.startswith("x") and f"n{i}" in model.outputs and operand not in model.outputs:
                continue  # an input would be returned
            yield pruned(case, rewired(model, f"n{i}", operand))


def bypass_adapter(case: Case) -> Iterator[Case]:
    """Takes one node out and gives an input the type of its result: what a reshape or a cast was there for."""
    model = case.model
    for i in reversed(range(len(model.nodes))):
        for operand in dict.fromkeys(model.nodes[i].operands):
            gone = f"n{i}"
            if gone in model.outputs and operand.startswith("x"):
                continue
            for k, old in enumerate(model.inputs):
                if old != model.types[gone]:
                    inputs = (*model.inputs[:k], model.types[gone], *model.inputs[k + 1 :])
                    yield pruned(case, replace(rewired(model, gone, operand), inputs=inputs))


def bypass_pair(case: Case) -> Iterator[Case]:
    """Takes two nodes out at once where neither goes alone: a transposition and its inverse, two casts, two resizes."""
    model = case.model
    if not 2 < len(model.nodes) <= MAX_PAIRED:
        return
    for i in range(len(model.nodes)):
        for j in range(i + 1, len(model.nodes)):
            for first in dict.fromkeys(model.nodes[i].operands):
                for second in dict.fromkeys(model.nodes[j].operands):
                    # The later one first: what it read may be the other one.
                    small = rewired(rewired(model, f"n{j}", second), f"n{i}", first)
                    if all(o.startswith("n") or o in model.outputs for o in small.outputs):
                        yield pruned(case, small)


def single_operand(case: Case) -> Iterator[Case]:
    """Drops the second operand of ops that take a constant instead, or uses the first twice."""
    for i, node in enumerate(case.model.nodes):
        if len(node.operands) < 2:
            continue
        if node.spec.arity[0] == 1:
            plain: dict[str, Value] = {k: d.default for k, d in node.spec.attrs.items() if k.startswith("const_")}
            yield edited(case, i, replace(node, operands=node.operands[:1], attrs={**node.attrs, **plain}))
            yield edited(case, i, replace(node, operands=node.operands[:1]))
        if node.spec.arity[0] < len(node.operands):
            for k in range(len(node.operands)):
                yield edited(case, i, replace(node, operands=node.operands[:k] + node.operands[k + 1 :]))
        yield edited(case, i, replace(node, operands=(node.operands[0],) * len(node.operands)))


def shared_input(case: Case) -> Iterator[Case]:
    """One input in the place of two of the same type."""
    model = case.model
    for i, type_ in enumerate(model.inputs):
        for j in range(i + 1, len(model.inputs)):
            if model.inputs[j] == type_:
                yield pruned(case, rewired(model, f"x{j}", f"x{i}"))
