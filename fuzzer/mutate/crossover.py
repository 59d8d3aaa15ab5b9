"""Crossover: the head of one graph feeds the tail of another."""

from __future__ import annotations

from random import Random

from fuzzer.case import Case
from fuzzer.case.model import MAX_INPUTS
from fuzzer.mutate.draft import Draft, draft_of
from fuzzer.mutate.draw import related
from fuzzer.mutate.repair import repair

MAX_CHILD_NODES = 7
"""Children that only grow end at the limit of the generator, where every case costs twice as much and reads worse."""


def cross(left: Case, right: Case, rng: Random) -> Case:
    """A child of two cases. Raises `GenerateAnother` when repair leaves nothing."""
    head, tail = draft_of(left), draft_of(right)
    cut_left = rng.randint(1, min(len(head.nodes), MAX_CHILD_NODES - 1)) if head.nodes else 0
    first = max(0, len(tail.nodes) - (MAX_CHILD_NODES - cut_left))
    cut_right = rng.randrange(first, len(tail.nodes)) if tail.nodes else 0
    head.nodes = head.nodes[:cut_left]
    _append(head, tail, cut_right, rng)
    head.patterns += tail.patterns
    if rng.random() < 0.5:
        head.conversion = tail.conversion
    if rng.random() < 0.5:
        head.inference = tail.inference
    return related(rng, repair(head, rng))


def _append(head: Draft, tail: Draft, start: int, rng: Random) -> None:
    """Adds the nodes of `tail` from `start` on; values it cut off come from the head, or as new inputs."""
    shift = head.new_key()
    values = head.values_before(len(head.nodes))
    added = {node.key for node in tail.nodes[start:]}
    mapped: dict[int, int] = {}
    for node in tail.nodes[start:]:
        copy = node.copy()
        for i, operand in enumerate(copy.operands):
            if operand in added:
                copy.operands[i] = operand + shift
                continue
            if operand not in mapped:
                fresh = operand < 0 and len(head.inputs) < MAX_INPUTS and rng.random() < 0.3
                if fresh:
                    head.inputs.append(tail.inputs[-1 - operand])
                    mapped[operand] = -len(head.inputs)
                else:
                    mapped[operand] = values[-1] if rng.random() < 0.6 else rng.choice(values)
            copy.operands[i] = mapped[operand]
        copy.key += shift
        head.nodes.append(copy)
    head.outputs += [o + shift for o in tail.outputs if o in added]
