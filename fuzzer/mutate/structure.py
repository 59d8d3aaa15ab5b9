"""Mutators of the graph: insert, remove, replace, splice, duplicate, rewire."""

from __future__ import annotations

from random import Random

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
