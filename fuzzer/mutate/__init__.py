"""Mutation of structure: what libFuzzer's custom mutator and crossover call.

`MUTATORS` is the one list of mutators: to add one, write a function that edits a `Draft` and list it here
with its weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from fuzzer.case import DEFAULT_INPUTS, Case
from fuzzer.case.conversion import DEAR_ENTRIES
from fuzzer.errors import GenerateAnother
from fuzzer.mutate.attributes import add_input, change_attribute, change_dtype, change_shape
from fuzzer.mutate.conversion import change_entry, change_scheme, toggle_dynamic, toggle_flag, toggle_switch
from fuzzer.mutate.crossover import cross
from fuzzer.mutate.draft import Draft, draft_of
from fuzzer.mutate.draw import WILD, related
from fuzzer.mutate.generate import generate
from fuzzer.mutate.repair import repair
from fuzzer.mutate.structure import (
    duplicate_nodes,
    insert_node,
    remove_node,
    replace_node,
    return_input,
    return_twice,
    rewire_operand,
    same_operand,
    share_value,
    spare_input,
    splice_pattern,
    toggle_output,
)
from fuzzer.mutate.values import change_input, change_threads, change_weight, prune_weight, scale_weight, wild_input


@dataclass(frozen=True)
class Mutator:
    """An edit and how often it is drawn, relative to the others."""

    edit: Callable[[Draft, Random], None]
    weight: float

    @property
    def name(self) -> str:
        """The name under which statistics count it."""
        return self.edit.__name__


MUTATORS = (
    Mutator(change_attribute, 6),
    Mutator(insert_node, 4),
    Mutator(replace_node, 3),
    Mutator(remove_node, 2),
    Mutator(splice_pattern, 1.5),
    Mutator(duplicate_nodes, 1),
    Mutator(rewire_operand, 1.5),
    Mutator(toggle_output, 1),
    Mutator(change_shape, 3),
    Mutator(change_dtype, 0.5),
    Mutator(add_input, 0.7),
    Mutator(change_scheme, 3),
    Mutator(toggle_flag, 2),
    Mutator(toggle_switch, 0.7),
    Mutator(toggle_dynamic, 0.4),
    Mutator(change_entry, 0.6),
    Mutator(change_weight, 2),
    Mutator(scale_weight, 1),
    Mutator(change_input, 1),
    Mutator(change_threads, 0.3),
    Mutator(prune_weight, 0.6),
    Mutator(wild_input, 1.4),
    Mutator(same_operand, 0.6),
    Mutator(share_value, 0.8),
    Mutator(spare_input, 0.15),
    Mutator(return_input, 0.15),
    Mutator(return_twice, 0.15),
)
LEAVE_ODDITY = 0.5
"""How often a child loses what only some children should have: spare inputs, odd outputs, unusual samples."""
LEAVE_DEAR_ROAD = 0.7
LEAVE_ODD_ROAD = 0.3
"""The same for unknown axes and switches, which every offspring would keep otherwise."""
MAX_GROWN_NODES = 5
SHRINK_SHARE = 0.6
"""Edits add more than they take away: above five nodes a mutant first loses some, or the corpus drifts up."""
_WEIGHTS = [m.weight for m in MUTATORS]


def mutate(case: Case, rng: Random) -> tuple[Case, str]:
    """A valid mutant of `case` and the name of the first edit.

    One to three edits are stacked: one keeps the offspring near, three cross plateaus where no single edit
    shows anything new. Raises `GenerateAnother` when repair leaves nothing.
    """
    draft = draft_of(case)
    _calm(draft, rng)
    edits = rng.choices(MUTATORS, _WEIGHTS, k=rng.choice((1, 1, 1, 2, 2, 3)))
    while len(draft.nodes) > MAX_GROWN_NODES and rng.random() < SHRINK_SHARE:
        remove_node(draft, rng)
    for mutator in edits:
        if draft.nodes:
            mutator.edit(draft, rng)
    if draft.conversion.entry in DEAR_ENTRIES and rng.random() < LEAVE_DEAR_ROAD:
        # Offspring inherits the road; without this the corpus drifts to the roads that cost five times as much.
        draft.conversion = draft.conversion.over("concrete_function")
    odd = draft.conversion.dynamic != "none" or draft.conversion.switches
    if odd and draft.conversion == case.conversion and rng.random() < LEAVE_ODD_ROAD:
        draft.conversion = replace(draft.conversion, dynamic="none", switches={})
    return related(rng, repair(draft, rng)), edits[0].name


def _calm(draft: Draft, rng: Random) -> None:
    """Takes oddities back before the edits, which may bring new ones."""
    draft.spare = draft.spare and rng.random() >= LEAVE_ODDITY
    draft.odd = draft.odd and rng.random() >= LEAVE_ODDITY
    if any(r.distribution in WILD for r in draft.inference.inputs) and rng.random() < LEAVE_ODDITY:
        plain = dict(enumerate(DEFAULT_INPUTS))
        inputs = tuple(
            plain.get(i, DEFAULT_INPUTS[0]) if r.distribution in WILD else r
            for i, r in enumerate(draft.inference.inputs)
        )
        draft.inference = replace(draft.inference, inputs=inputs)


__all__ = ["MUTATORS", "GenerateAnother", "Mutator", "cross", "generate", "mutate"]
