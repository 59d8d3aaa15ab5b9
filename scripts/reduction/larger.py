"""Larger cases with what a planted defect needs somewhere in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from fuzzer.case import DEFAULT_INPUTS, Case, Conversion
from fuzzer.errors import GenerateAnother
from fuzzer.mutate import draw, generate
from fuzzer.mutate.draft import Draft, DraftNode, draft_of
from fuzzer.mutate.draw import WILD
from fuzzer.mutate.generate import add_node, add_pattern, draw_pattern
from fuzzer.mutate.repair import repair
from fuzzer.mutate.structure import insert_node
from fuzzer.ops import registry
from scripts.defects.planted import Planted

MAX_DRAWS = 60
"""Cases drawn for one with a defect: most die of a repair that parts what the defect needs, or show nothing."""
NODES = range(3, 9)
"""Nodes of a larger case."""


def larger(planted: Planted, rng: Random) -> Iterator[Case]:
    """Cases of three to eight nodes with what the defect needs in them, under drawn schemes and settings."""
    for _ in range(MAX_DRAWS):
        try:
            draft = draft_of(generate(rng, op=registry()[rng.choice(planted.seeds)]))
            _grow(draft, planted, rng)
            case = repair(draft, rng)
        except GenerateAnother:
            continue
        if len(case.model.nodes) not in NODES or case.model.random:
            continue
        if any(t.dtype != "float32" for t in case.model.inputs):
            continue
        yield case


def _grow(draft: Draft, planted: Planted, rng: Random) -> None:
    seed = next((n for n in draft.nodes if n.op in planted.seeds), None)
    if seed is None:
        raise GenerateAnother("the seed was repaired away")
    seed.attrs.update({k: v for k, v in planted.pinned.items() if k in registry()[seed.op].attrs})
    end = seed.key
    for name in planted.then:
        op = registry()[name]
        operands = [end, *(rng.choice([-1, end]) for _ in range(op.arity[0] - 1))]
        draft.nodes.append(DraftNode(draft.new_key(), name, operands, draw.attrs(rng, op)))
        end = draft.nodes[-1].key
    wanted = rng.choice(NODES)
    while len(draft.nodes) < wanted:
        chosen = rng.random()
        if chosen < 0.4:
            insert_node(draft, rng)
        elif chosen < 0.7:
            add_node(draft, rng, rng.choice([end, draft.nodes[-1].key]))
        else:
            pattern = draw_pattern(rng)
            if not pattern.entries:
                add_pattern(draft, rng, pattern, draft.nodes[-1].key)
    draft.outputs = list(dict.fromkeys([end, draft.nodes[-1].key]))
    draft.conversion = _conversion(planted, rng)
    inputs = tuple(
        recipe if recipe.distribution not in WILD else DEFAULT_INPUTS[i % len(DEFAULT_INPUTS)]
        for i, recipe in enumerate(draft.inference.inputs)
    )
    draft.inference = replace(draft.inference, inputs=inputs, threads=rng.choice((1, 4)), relation="none")


def _conversion(planted: Planted, rng: Random) -> Conversion:
    drawn = draw.with_scheme(rng, draw.conversion(rng), rng.choice(planted.schemes))
    drawn = replace(drawn, representative="samples", switches={}, **planted.minimum.settings)
    unusual = (
        {"unfold_batch_matmul": True},
        {"op_set": "select_tf"},
        {"entry": "saved_model"},
        {"entry": "frozen_graph"},
        {"dynamic": "batch"},
        {"per_channel": False},
    )
    return replace(drawn, **rng.choice(unusual)).repaired()  # type: ignore[arg-type]
