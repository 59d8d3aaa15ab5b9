"""Mutators of the numbers: weight recipes, input recipes, threads."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft


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
        node.weights[name] = replace(recipe, offset=rng.choice((0.0, 0.5, 1.0, -1.0, 4.0)))
    return None


def change_input(draft: Draft, rng: Random) -> None:
    """Draws one sample anew, of the same distribution: all four stay represented."""
    inputs = list(draft.inference.inputs)
    at = rng.randrange(len(inputs))
    inputs[at] = draw.input_recipe(rng, inputs[at].distribution)
    draft.inference = replace(draft.inference, inputs=tuple(inputs))


def change_threads(draft: Draft, rng: Random) -> None:
    """Runs the interpreters with another number of threads."""
    draft.inference = replace(draft.inference, threads=rng.choice((1, 1, 2, 4)))
