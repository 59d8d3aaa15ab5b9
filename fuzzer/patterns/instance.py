"""Plain instances of a pattern: what a person would write, to look at what the converter makes of it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from fuzzer.case import IO_DTYPES, Case, Conversion, Inference, Recipe
from fuzzer.mutate.draft import Draft, DraftNode
from fuzzer.mutate.repair import repair
from fuzzer.ops import TensorType, Value, registry
from fuzzer.patterns import Pattern, Step

SHAPES = {
    0: (),
    1: (24,),
    2: (2, 64),
    3: (1, 6, 32),
    4: (1, 8, 12, 32),
    5: (1, 4, 6, 8, 8),
    6: (1, 2, 3, 4, 5, 2),
}
"""The input of an instance by rank: even sizes, so that blocks of two fit, and enough channels for weights of 1,024
elements, below which the converter leaves weights in float."""
_TYPICAL: dict[str, tuple[Value, ...]] = {
    "kernel": ((3, 3), (3, 3, 3), (3,), 3),
    "use_bias": (True,),
    "size": ((2, 2), (2, 2, 2), (2,), 2),
    "padding": ("SAME",),
}
"""Attributes of the instances where the default would hide something: a 1x1 kernel, no bias."""


def variants(pattern: Pattern) -> list[tuple[Step, ...]]:
    """The steps with one op each: all first choices, every other choice once, and without what is optional."""
    first = [replace(step, ops=step.ops[:1], chance=1.0) for step in pattern.steps]
    found = [tuple(first)]
    for i, step in enumerate(pattern.steps):
        found += [(*first[:i], replace(step, ops=(op,), chance=1.0), *first[i + 1 :]) for op in step.ops[1:]]
    needed = tuple(plain for plain, step in zip(first, pattern.steps, strict=True) if step.chance >= 1)
    if needed and len(needed) < len(first):
        found.append(needed)
    return found


def instance(pattern: Pattern, steps: tuple[Step, ...], scheme: str) -> Case:
    """One variant as a case under a scheme. Raises `GenerateAnother` when nothing can be made of it."""
    nodes = []
    first = registry()[steps[0].ops[0]]
    dtype = "float32" if "float32" in first.dtypes else first.dtypes[0]
    for key, step in enumerate(steps):
        op = registry()[step.ops[0]]
        attrs: dict[str, Value] = {name: domain.default for name, domain in op.attrs.items()}
        for name, values in _TYPICAL.items():
            fitting = [v for v in values if name in op.attrs and op.attrs[name].check(v) is None]
            attrs.update({name: fitting[0]} if fitting else {})
        if SHAPES[pattern.rank]:
            # As many channels out as in: what joins an earlier value must fit it.
            attrs.update({name: SHAPES[pattern.rank][-1] for name in ("filters", "units") if name in op.attrs})
        attrs.update({k: v for k, v in step.pinned.items() if k in op.attrs})
        operands = [key - 1] * max(1, op.arity[0])
        if step.with_ is not None and op.arity[1] > 1:
            operands = [key - 1, min(step.with_, key) - 1]
        nodes.append(DraftNode(key, op.name, operands, attrs))
    conversion = Conversion(
        entry=pattern.entries[0] if pattern.entries else "concrete_function",
        scheme=scheme,
        optimizations="default" if scheme == "qat" else "none",
        io=IO_DTYPES[scheme][0],
    ).repaired()
    inference = Inference(inputs=(Recipe("uniform", 1), Recipe("normal", 2)))
    draft = Draft(
        [TensorType(SHAPES[pattern.rank], dtype)], nodes, [nodes[-1].key], [pattern.name], conversion, inference
    )
    return _plain(repair(draft, Random(pattern.name)))


def _plain(case: Case) -> Case:
    """The case with well-scaled weights: what repair drew may be huge, pruned or not a number."""
    nodes = tuple(
        replace(node, weights={name: Recipe("normal", 7 * i + k) for k, name in enumerate(node.weights)})
        for i, node in enumerate(case.model.nodes)
    )
    return replace(case, model=replace(case.model, nodes=nodes))
