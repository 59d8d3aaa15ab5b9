"""Mutators of the graph: insert, remove, replace, splice, duplicate, rewire."""

from __future__ import annotations

from random import Random

from fuzzer.case.model import MAX_INPUTS
from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft, DraftNode
from fuzzer.mutate.generate import add_pattern, draw_pattern
from fuzzer.ops import registry


def insert_node(draft: Draft, rng: Random) -> None:
    """Puts a drawn op between a value and one, or all, of its readers."""
    at = rng.randint(0, len(draft.nodes))
    source = rng.choice(draft.values_before(at)[-4:])
    op = draw.op(rng)
    node = DraftNode(draft.new_key(), op.name, [source], draw.attrs(rng, op))
    if op.arity[1] > 1 and rng.random() < 0.5:
        node.operands.append(rng.choice(draft.values_before(at)))
    everyone = rng.random() < 0.6
    for reader in draft.nodes[at:]:
        if source in reader.operands:
            reader.operands = [node.key if o == source else o for o in reader.operands]
            if not everyone:
                break
    draft.nodes.insert(at, node)


def remove_node(draft: Draft, rng: Random) -> None:
    """Takes a node out; its readers read its first operand."""
    if len(draft.nodes) < 2:
        return insert_node(draft, rng)
    gone = draft.nodes.pop(rng.randrange(len(draft.nodes)))
    for reader in draft.nodes:
        reader.operands = [gone.operands[0] if o == gone.key else o for o in reader.operands]
    draft.outputs = [gone.operands[0] if o == gone.key else o for o in draft.outputs]
    return None


def replace_node(draft: Draft, rng: Random) -> None:
    """Puts another op in a node's place, under the same key and with the attributes both have."""
    node = rng.choice(draft.nodes)
    old = registry()[node.op]
    alike = [o for o in registry().values() if o.name != node.op and set(o.ranks) & set(old.ranks)]
    op = rng.choices(alike, [o.weight for o in alike])[0]
    node.op = op.name
    node.attrs = {k: v for k, v in node.attrs.items() if k in op.attrs}


def splice_pattern(draft: Draft, rng: Random) -> None:
    """Appends a pattern to a value."""
    pattern = draw_pattern(rng)
    if pattern.entries:
        return insert_node(draft, rng)
    values = draft.values_before(len(draft.nodes))
    add_pattern(draft, rng, pattern, values[-1] if rng.random() < 0.6 else rng.choice(values))
    return None


def duplicate_nodes(draft: Draft, rng: Random) -> None:
    """Repeats a run of one to three nodes after itself, reading what the original wrote."""
    start = rng.randrange(len(draft.nodes))
    run = draft.nodes[start : start + rng.randint(1, 3)]
    end = start + len(run)
    shift = {run[0].operands[0]: run[-1].key} if rng.random() < 0.7 else {}
    copies = []
    key = draft.new_key()
    for node in run:
        copy = node.copy()
        copy.key = key
        copy.operands = [shift.get(o, o) for o in node.operands]
        shift[node.key] = key
        copies.append(copy)
        key += 1
    draft.nodes[end:end] = copies


def rewire_operand(draft: Draft, rng: Random) -> None:
    """Points one operand elsewhere."""
    at = rng.randrange(len(draft.nodes))
    node = draft.nodes[at]
    node.operands[rng.randrange(len(node.operands))] = rng.choice(draft.values_before(at))


def toggle_output(draft: Draft, rng: Random) -> None:
    """Returns an inner value too, or no longer: a value with two readers cannot be fused away."""
    key = rng.choice(draft.nodes).key
    if key in draft.outputs and len(draft.outputs) > 1:
        draft.outputs.remove(key)
    else:
        draft.outputs.append(key)


def spare_input(draft: Draft, rng: Random) -> None:
    """An input that nobody reads, or no longer any: a converter may drop it, and the numbers of the others move."""
    if draft.spare or len(draft.inputs) >= MAX_INPUTS:
        draft.spare = not draft.spare
        return
    draft.spare = True
    like = rng.choice(draft.inputs)
    fresh = like if rng.random() < 0.5 else draw.tensor_type(rng, like.rank)
    draft.inputs.append(fresh)


def return_input(draft: Draft, rng: Random) -> None:
    """Returns an input as it came, or no longer does."""
    inputs = [o for o in draft.outputs if o < 0]
    if draft.odd and inputs and rng.random() < 0.5:
        draft.outputs = [o for o in draft.outputs if o >= 0]
        return
    draft.odd = True
    draft.outputs.insert(rng.randint(0, len(draft.outputs)), -1 - rng.randrange(len(draft.inputs)))


def return_twice(draft: Draft, rng: Random) -> None:
    """Returns one value twice, or no longer does."""
    if len(set(draft.outputs)) < len(draft.outputs) and rng.random() < 0.5:
        draft.outputs = list(dict.fromkeys(draft.outputs))
        return
    draft.odd = True
    draft.outputs.append(rng.choice(draft.outputs or [draft.nodes[-1].key]))


def same_operand(draft: Draft, rng: Random) -> None:
    """Gives an op of several operands one value as all of them: x - x, x / x, concatenation with itself."""
    having = [
        n for n in draft.nodes if registry()[n.op].arity[1] > 1 and (len(set(n.operands)) > 1 or len(n.operands) < 2)
    ]
    if not having:
        return share_value(draft, rng)
    node = rng.choice(having)
    value = rng.choice(node.operands)
    node.operands = [value] * max(2, len(node.operands))
    return None


def share_value(draft: Draft, rng: Random) -> None:
    """Gives a value that has a reader another one, and returns both results: neither may overwrite it."""
    at = rng.randrange(len(draft.nodes))
    source = rng.choice(draft.nodes[at].operands)
    op = draw.op(rng)
    if rng.random() < 0.4:
        op = registry()[draft.nodes[at].op]
    draft.nodes.insert(at + 1, DraftNode(draft.new_key(), op.name, [source], draw.attrs(rng, op)))
