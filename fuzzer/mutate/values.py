"""Mutators of the numbers: weight recipes, input recipes, threads."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from fuzzer.case import DEFAULT_INPUTS
from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft

_USUAL = tuple(r.distribution for r in DEFAULT_INPUTS)


def change_weight(draft: Draft, rng: Random) -> None:
    """Draws one weight anew."""
    having = [node for node in draft.nodes if node.weights]
    if not having:
        return change_input(draft, rng)
    node = rng.choice(having)
    node.weights[rng.choice(sorted(node.weights))] = draw.weight_recipe(rng)
    return None


def scale_weight(draft: Draft, rng: Random) -> None:
    """Scales or shifts one weight, keeping its numbers otherwise."""
    having = [node for node in draft.nodes if node.weights]
    if not having:
        return change_input(draft, rng)
    node = rng.choice(having)
    name = rng.choice(sorted(node.weights))
    recipe = node.weights[name]
    if rng.random() < 0.5:
        moved = recipe.scale * rng.choice((0.1, 0.5, 2.0, 10.0, -1.0))
        node.weights[name] = replace(recipe, scale=float(f"{min(1e4, max(-1e4, moved)):.3g}"))
    else:
        # -1 and less undo the 1 that gammas and variances start from.
        node.weights[name] = replace(recipe, offset=rng.choice((0.0, 0.5, 1.0, -1.0, -0.999999, -2.0, 4.0)))
    return None


def change_input(draft: Draft, rng: Random) -> None:
    """Draws one sample anew, of the same distribution: all four stay represented. Unusual ones become usual again."""
    inputs = list(draft.inference.inputs)
    at = rng.randrange(len(inputs))
    old = inputs[at].distribution
    if old in draw.WILD or old not in _USUAL:
        missing = [d for d in _USUAL if d not in {r.distribution for r in inputs}]
        inputs[at] = draw.input_recipe(rng, rng.choice(missing or _USUAL))
    else:
        inputs[at] = draw.input_recipe(rng, old)
    draft.inference = replace(draft.inference, inputs=tuple(inputs))


def wild_input(draft: Draft, rng: Random) -> None:
    """Feeds unusual numbers in one sample: NaN, infinities, subnormal, huge, tied ones, the ends of a dtype."""
    inputs = list(draft.inference.inputs)
    inputs[rng.randrange(len(inputs))] = draw.wild_input(rng, draft.conversion.integer)
    draft.inference = replace(draft.inference, inputs=tuple(inputs))


def prune_weight(draft: Draft, rng: Random) -> None:
    """Prunes or clusters one weight, or takes that back, keeping its numbers otherwise."""
    having = [node for node in draft.nodes if node.weights]
    if not having:
        return change_input(draft, rng)
    node = rng.choice(having)
    name = rng.choice(sorted(node.weights))
    recipe = node.weights[name]
    if recipe.sparsity and rng.random() < 0.4:
        node.weights[name] = replace(recipe, sparsity=0.0, pattern="random")
    elif rng.random() < 0.7:
        node.weights[name] = draw.pruned(rng, recipe)
    else:
        node.weights[name] = replace(recipe, clusters=0 if recipe.clusters else rng.choice((2, 4, 16, 256)))
    return None


def change_threads(draft: Draft, rng: Random) -> None:
    """Runs the interpreters with another number of threads."""
    draft.inference = replace(draft.inference, threads=rng.choice((1, 1, 2, 4)))
