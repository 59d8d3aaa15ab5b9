"""Fresh cases, on drawn inputs and a drawn conversion.

Half are a pattern or two, chained or branched. Half start from a single drawn op that is fed with inputs of its own
ranks and dtypes: no pattern leads to most of the ops, and repair would reach them by reshapes and casts only.
"""

from __future__ import annotations

from random import Random

from fuzzer.case import Case, Node, type_node
from fuzzer.case.model import MAX_INPUTS
from fuzzer.errors import GenerateAnother, UnfitError
from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft, DraftNode, Ref
from fuzzer.mutate.repair import repair
from fuzzer.ops import Op, TensorType, Value, registry
from fuzzer.patterns import Pattern, patterns

_TRIES = 20
_FITTING_TRIES = 16
SINGLE_SHARE = 0.5
SPARE_SHARE = 0.01
ODD_SHARE = 0.01


def generate(rng: Random, pattern: Pattern | None = None, op: Op | None = None) -> Case:
    """A fresh valid case, seeded from `pattern` or `op`, or from a drawn one of either.

    Raises `GenerateAnother` after 20 drafts of which repair could make nothing: never seen for the built-in
    patterns.
    """
    for _ in range(_TRIES):
        if op is not None or (pattern is None and rng.random() < SINGLE_SHARE):
            draft = _single(rng, op or draw.op(rng))
        else:
            draft = _draft(rng, pattern or draw_pattern(rng))
        _odd(draft, rng)
        try:
            return draw.related(rng, repair(draft, rng))
        except GenerateAnother:
            continue
    raise GenerateAnother("no draft could be repaired")


def draw_pattern(rng: Random) -> Pattern:
    """A pattern, by its weight."""
    known = list(patterns().values())
    return rng.choices(known, [p.weight for p in known])[0]


def _draft(rng: Random, pattern: Pattern) -> Draft:
    conversion = draw.conversion(rng)
    if pattern.entries and rng.random() < 0.4:
        conversion = conversion.over(rng.choice(pattern.entries))
    draft = Draft([_input_of(rng, pattern)], [], [], [], conversion, draw.inference(rng, conversion.integer))
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


def _input_of(rng: Random, pattern: Pattern) -> TensorType:
    """An input that the pattern's first op takes as it is by default; the last one tried where none is found."""
    step = pattern.steps[0]
    op = registry()[step.ops[0]]
    attrs = {key: step.pinned.get(key, domain.default) for key, domain in op.attrs.items()}
    node = Node(op.name, ("x0",) * op.arity[0], attrs)
    for _ in range(_FITTING_TRIES):
        made = draw.tensor_type(rng, pattern.rank)
        try:
            type_node(node, "", {"x0": TensorType(made.shape, op.dtypes[0])})
        except UnfitError:
            continue
        break
    return made


def _single(rng: Random, op: Op) -> Draft:
    """One op on inputs of its own, and what may follow it: a pattern, or up to three ops."""
    inputs, operands, attrs = _fitting(rng, op)
    conversion = draw.conversion(rng)
    draft = Draft(inputs, [], [], [], conversion, draw.inference(rng, conversion.integer))
    draft.nodes.append(DraftNode(draft.new_key(), op.name, operands, attrs))
    end: Ref = draft.nodes[0].key
    if rng.random() < 0.25:
        follower = draw_pattern(rng)
        if not follower.entries:
            add_pattern(draft, rng, follower, end)
        return draft
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        end = add_node(draft, rng, end)
    return draft


def _fitting(rng: Random, op: Op) -> tuple[list[TensorType], list[Ref], dict[str, Value]]:
    """Inputs, operands and attributes that suit an op; the last ones tried where none do, which repair mends."""
    for _ in range(_FITTING_TRIES):
        attrs = draw.attrs(rng, op)
        inputs = [draw.tensor_type(rng, draw.rank(rng, op.ranks), op)]
        operands: list[Ref] = [-1]
        types = list(inputs)
        low, high = op.arity
        count = low if rng.random() < 0.4 else rng.randint(low, min(high, max(low, MAX_INPUTS)))
        for i in range(1, count):
            wanted = op.dtypes_of(i, types)
            same = [k for k, t in enumerate(types) if t.dtype in wanted]
            if same and (rng.random() < 0.15 or len(inputs) >= MAX_INPUTS):
                at = rng.choice(same)
                operands.append(operands[at])
                types.append(types[at])
                continue
            if len(inputs) >= MAX_INPUTS:
                break
            types.append(TensorType(_beside(rng, op, types[0].shape), draw.one_of(rng, wanted)))
            inputs.append(types[-1])
            operands.append(-len(inputs))
        names = [f"x{i}" for i in range(len(types))]
        try:
            type_node(Node(op.name, tuple(names), attrs), "", dict(zip(names, types, strict=True)))
        except UnfitError:
            continue
        break
    return inputs, operands, attrs


def _beside(rng: Random, op: Op, first: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a further operand: the first's, one that broadcasts, a matrix that fits, or any."""
    kind = rng.random()
    if kind < 0.45 or not first:
        return first
    if kind < 0.6:
        return tuple(1 if rng.random() < 0.5 else dim for dim in first)
    if kind < 0.7:
        return first[rng.randint(1, len(first)) :]
    if kind < 0.8 and len(first) >= 2:
        return (*first[:-2], first[-1], first[-2] if rng.random() < 0.5 else rng.randint(1, 64))
    if kind < 0.9:
        at = rng.randrange(len(first))
        return (*first[:at], rng.randint(1, 8), *first[at + 1 :])
    return draw.shape(rng, draw.rank(rng, range(5)), op.empty)


def _odd(draft: Draft, rng: Random) -> None:
    """Rarely an input that nobody reads, an input among the outputs, or one output twice."""
    if len(draft.inputs) < MAX_INPUTS and rng.random() < SPARE_SHARE:
        draft.spare = True
        draft.inputs.append(draw.tensor_type(rng, draw.rank(rng, range(5))))
    if draft.nodes and rng.random() < ODD_SHARE:
        draft.odd = True
        end = draft.nodes[-1].key
        draft.outputs = rng.choice(([end, end], [end, -1], [-1, end]))


def add_pattern(draft: Draft, rng: Random, pattern: Pattern, source: Ref) -> Ref:
    """Appends a pattern that reads `source`; returns the value of its last step."""
    draft.patterns.append(pattern.name)
    end, made = source, [source]
    for step in pattern.steps:
        if rng.random() >= step.chance:
            made.append(end)
            continue
        op = registry()[rng.choice(step.ops)]
        attrs = draw.attrs(rng, op)
        attrs.update({k: v for k, v in step.pinned.items() if k in op.attrs})
        joined = [] if step.with_ is None or op.arity[1] < 2 else [made[step.with_]]
        node = DraftNode(draft.new_key(), op.name, [end, *joined], attrs)
        draft.nodes.append(node)
        end = node.key
        made.append(end)
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
