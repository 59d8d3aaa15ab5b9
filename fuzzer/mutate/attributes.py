"""Mutators of attributes, shapes and dtypes."""

from __future__ import annotations

from functools import cache
from random import Random

from fuzzer.case.model import MAX_INPUTS
from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft
from fuzzer.ops import TensorType, registry

EMPTY_SHARE = 0.03
"""Of changed dimensions: few ops take tensors without elements."""


def change_attribute(draft: Draft, rng: Random) -> None:
    """Moves one or two attributes of a node."""
    having = [node for node in draft.nodes if registry()[node.op].attrs]
    if not having:
        return change_shape(draft, rng)
    node = rng.choice(having)
    attrs = registry()[node.op].attrs
    for key in rng.sample(list(attrs), min(len(attrs), rng.choice((1, 1, 2)))):
        value = node.attrs.get(key, attrs[key].default)
        node.attrs[key] = attrs[key].mutate(rng, value)
    return None


def change_shape(draft: Draft, rng: Random) -> None:
    """Changes one dimension of an input."""
    at = rng.randrange(len(draft.inputs))
    shape = list(draft.inputs[at].shape)
    if not shape:
        return
    dim = rng.randrange(len(shape))
    moved = rng.choice((1, shape[dim] + 1, shape[dim] - 1, shape[dim] * 2, shape[dim] // 2, rng.randint(1, 32)))
    if rng.random() < EMPTY_SHARE:
        moved = 0
    elif moved <= 0:
        moved = 1
    # 64 keeps a case cheap: what depends on size (vector width, tiles) changes well below it.
    shape[dim] = min(64 if dim < len(shape) - 1 else 256, moved)
    draft.inputs[at] = TensorType(tuple(shape), draft.inputs[at].dtype)


def change_dtype(draft: Draft, rng: Random) -> None:
    """Gives one input, or all, another dtype that some op takes, best one that reads it."""
    at = rng.randrange(len(draft.inputs))
    old = draft.inputs[at].dtype
    readers = [registry()[n.op] for n in draft.nodes if -1 - at in n.operands]
    fitting = [d for op in readers for d in op.dtypes if d != old]
    dtype = rng.choice(fitting) if fitting and rng.random() < 0.7 else rng.choice([d for d in _taken() if d != old])
    everyone = rng.random() < 0.5  # a graph mostly has one dtype
    for i, t in enumerate(draft.inputs):
        if i == at or (everyone and t.dtype == old):
            draft.inputs[i] = TensorType(t.shape, dtype)


@cache
def _taken() -> tuple[str, ...]:
    """Every dtype that some op takes; float32 and the other usual ones more than once."""
    return ("float32", "float32", "int32", *dict.fromkeys(d for op in registry().values() for d in op.dtypes))


def add_input(draft: Draft, rng: Random) -> None:
    """Feeds one operand from a new input of the same or a drawn type."""
    if len(draft.inputs) >= MAX_INPUTS:
        return change_shape(draft, rng)
    like = rng.choice(draft.inputs)
    fresh = like if rng.random() < 0.6 else TensorType(draw.shape(rng, like.rank), like.dtype)
    draft.inputs.append(fresh)
    node = rng.choice(draft.nodes)
    arity = registry()[node.op].arity[1]
    if len(node.operands) < arity:
        node.operands.append(-len(draft.inputs))
    else:
        node.operands[rng.randrange(len(node.operands))] = -len(draft.inputs)
    return None
