"""Fresh cases: a pattern or two, chained or branched, on drawn inputs and a drawn conversion."""

from __future__ import annotations

from random import Random

from fuzzer.case import Case
from fuzzer.errors import GenerateAnother
from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft, DraftNode, Ref
from fuzzer.mutate.repair import repair
from fuzzer.ops import registry
from fuzzer.patterns import PATTERNS, Pattern

_TRIES = 20


def generate(rng: Random, pattern: Pattern | None = None) -> Case:
    """A fresh valid case, seeded from `pattern` or a drawn one.

    Raises `GenerateAnother` after 20 drafts of which repair could make nothing: never seen for the built-in
    patterns.
    """
    for _ in range(_TRIES):
        chosen = pattern or draw_pattern(rng)
        draft = _draft(rng, chosen)
        try:
            return repair(draft, rng)
        except GenerateAnother:
            continue
    raise GenerateAnother("no draft could be repaired")


def draw_pattern(rng: Random) -> Pattern:
    """A pattern, by its weight."""
    return rng.choices(PATTERNS, [p.weight for p in PATTERNS])[0]


def _draft(rng: Random, pattern: Pattern) -> Draft:
    conversion = draw.conversion(rng)
    if pattern.entries and rng.random() < 0.4:
        conversion = conversion.over(rng.choice(pattern.entries))
    draft = Draft([draw.tensor_type(rng, pattern.rank)], [], [], [], conversion, draw.inference(rng))
    end = add_pattern(draft, rng, pattern, -1)
    if rng.random() < 0.35:
        follower = draw_pattern(rng)
        if not follower.entries:
            end = add_pattern(draft, rng, follower, end)
    if rng.random() < 0.2:
        # A branch that joins again: residual connections are where rewrites meet several readers.
        other = rng.choice(draft.values_before(len(draft.nodes)))
        draft.nodes.append(DraftNode(draft.new_key(), rng.choice(("add", "mul", "concat")), [end, other]))
    if rng.random() < 0.2:
        add_node(draft, rng, end)
    return draft


def add_pattern(draft: Draft, rng: Random, pattern: Pattern, source: Ref) -> Ref:
    """Appends a pattern that reads `source`; returns the value of its last step."""
    draft.patterns.append(pattern.name)
    end = source
    for step in pattern.steps:
        if rng.random() >= step.chance:
            continue
        op = registry()[rng.choice(step.ops)]
        attrs = draw.attrs(rng, op)
        attrs.update({k: v for k, v in step.pinned.items() if k in op.attrs})
        node = DraftNode(draft.new_key(), op.name, [end], attrs)
        draft.nodes.append(node)
        end = node.key
    return end


def add_node(draft: Draft, rng: Random, source: Ref) -> Ref:
    """Appends one drawn op that reads `source`; returns its value."""
    op = draw.op(rng)
    operands = [source]
    while len(operands) < op.arity[0] or (len(operands) < op.arity[1] and rng.random() < 0.5):
        operands.append(rng.choice(draft.values_before(len(draft.nodes))))
    node = DraftNode(draft.new_key(), op.name, operands, draw.attrs(rng, op))
    draft.nodes.append(node)
    return node.key
