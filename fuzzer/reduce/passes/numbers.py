"""Plainer weights and samples: constants, plain distributions, then literal numbers of which few matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fuzzer.build.literals import literal_of
from fuzzer.build.values import sample, weight
from fuzzer.case import Case, Recipe
from fuzzer.ops import WeightSlot
from fuzzer.reduce.passes.edit import edited, with_model, with_samples
from fuzzer.reduce.passes.literals import MAX_LITERAL, Values, fewer

_PLAIN = (
    Recipe("constant", 0, 0.0),
    Recipe("constant"),
    Recipe("normal"),
    Recipe("uniform"),
)


def plain_weights(case: Case) -> Iterator[Case]:
    """All weights plain at once, then each: constants first, then an unscaled recipe of the same seed."""
    for recipe in _PLAIN[1:]:
        nodes = tuple(replace(n, weights=dict.fromkeys(n.weights, recipe)) for n in case.model.nodes)
        yield with_model(case, replace(case.model, nodes=nodes))
    for i, node in enumerate(case.model.nodes):
        for name, old in node.weights.items():
            plain = Recipe(old.distribution, old.seed, values=old.values)
            rounded = replace(old, scale=1.0, sparsity=0.0, clusters=0, pattern="random")
            for recipe in dict.fromkeys((*_PLAIN, plain, rounded, *_simpler(old))):
                if recipe != old:
                    yield edited(case, i, replace(node, weights={**node.weights, name: recipe}))


def few_weights(case: Case) -> Iterator[Case]:
    """The numbers of a weight as literals, most of them 0 or equal."""
    for i, typed in enumerate(case.model.typed):
        for slot in typed.slots:
            old = typed.node.weights.get(slot.name)
            if old is None or old.distribution == "constant" or slot.type.elements > MAX_LITERAL:
                continue
            for values in _few(old, _weight_numbers(slot, old)):
                new = Recipe("literal", values=values)
                yield edited(case, i, replace(typed.node, weights={**typed.node.weights, slot.name: new}))


def plain_samples(case: Case) -> Iterator[Case]:
    """One sample only, then half of them, then a plain one."""
    samples = case.inference.inputs
    if len(samples) > 1:
        for recipe in samples:
            yield with_samples(case, (recipe,))
        half = len(samples) // 2
        fewer_by_one = (samples[:i] + samples[i + 1 :] for i in range(len(samples)))
        for rest in (samples[:half], samples[half:], *fewer_by_one):
            yield with_samples(case, rest)
    for i, old in enumerate(samples):
        plain = (Recipe("constant"), Recipe("uniform"), Recipe("normal"), replace(old, scale=1.0, offset=0.0))
        for recipe in dict.fromkeys((*plain, *_simpler(old))):
            if recipe != old:
                yield with_samples(case, (*samples[:i], recipe, *samples[i + 1 :]))


def few_samples(case: Case) -> Iterator[Case]:
    """The numbers of a sample as literals, most of them 0 or equal; with several inputs those of one, for all."""
    for i, old in enumerate(case.inference.inputs):
        if old.distribution == "constant":
            continue
        for position, type_ in enumerate(case.model.inputs):
            if not 0 < type_.elements <= MAX_LITERAL:
                continue
            for values in _few(old, literal_of(sample(type_, old, position))):
                recipe = Recipe("literal", values=values)
                yield with_samples(case, (*case.inference.inputs[:i], recipe, *case.inference.inputs[i + 1 :]))


def _few(old: Recipe, numbers: Values | None) -> Iterator[Values]:
    """The numbers as they are where they are not literal yet, then fewer of them."""
    if numbers is None:
        return
    if old.distribution != "literal" or len(old.values) > len(numbers):
        yield numbers
    yield from fewer(old.values if old.distribution == "literal" and len(old.values) <= len(numbers) else numbers)


def _weight_numbers(slot: WeightSlot, recipe: Recipe) -> Values | None:
    """The numbers of a weight; 0 where they are infinite or NaN, which no literal is."""
    array = weight(slot, recipe)
    if array.dtype.kind == "f":
        array = np.nan_to_num(array, posinf=0.0, neginf=0.0)
    return literal_of(array, slot)


def _simpler(old: Recipe) -> Iterator[Recipe]:
    """A recipe with one field plain."""
    if old.pattern != "random":
        yield replace(old, pattern="random")
    if old.distribution != "literal":
        yield replace(old, seed=0)
    for name, value in (("sparsity", 0.0), ("clusters", 0), ("scale", 1.0), ("offset", 0.0)):
        if getattr(old, name) != value:
            changes: dict[str, Any] = {name: value, **({"pattern": "random"} if name == "sparsity" else {})}
            yield replace(old, **changes)
    if len(old.values) > 1:
        yield replace(old, values=old.values[: len(old.values) // 2])
        yield replace(old, values=old.values[:1])
    elif old.values and old.values != (1.0,):
        yield replace(old, values=(1.0,))
    if old.distribution in _NUMBERS:
        # One unusual number says more than a thousand drawn ones.
        for number in _NUMBERS[old.distribution]:
            yield Recipe("constant", 0, number)


_NUMBERS: dict[str, tuple[float, ...]] = {
    "specials": (-0.0,),
    "zeros": (-0.0,),
    "extremes": (2.0**117, -1.0),
    "huge": (1e6, 1e20),
    "denormal": (2.0**-127, 2.0**-20),
}
"""What a constant may say of a distribution: JSON holds neither infinities nor NaN."""
