"""A case being edited: the same graph with references instead of names, so that nodes can come and go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fuzzer.case import Case, Conversion, Inference, Node, Recipe
from fuzzer.ops import TensorType, Value

Ref = int
"""A value: -1, -2, ... are inputs 0, 1, ...; from 0 on, the key of a node."""


@dataclass
class DraftNode:
    """A node in the making. `operands` may refer to values that no longer exist: repair re-draws them."""

    key: int
    op: str
    operands: list[Ref]
    attrs: dict[str, Value] = field(default_factory=dict)
    weights: dict[str, Recipe] = field(default_factory=dict)

    def copy(self) -> DraftNode:
        """An independent copy under the same key."""
        return DraftNode(self.key, self.op, list(self.operands), dict(self.attrs), dict(self.weights))


@dataclass
class Draft:
    """A mutable case. Nothing here need be valid; `repair` makes a `Case` of it."""

    inputs: list[TensorType]
    nodes: list[DraftNode]
    outputs: list[Ref]
    patterns: list[str]
    conversion: Conversion
    inference: Inference
    spare: bool = False
    """Inputs that nobody reads stay. Otherwise they go: edits leave them behind by the dozen."""
    odd: bool = False
    """Inputs may be outputs, and one value several of them. Otherwise only results of nodes are, once each."""

    def new_key(self) -> int:
        """A key no node has."""
        return 1 + max((node.key for node in self.nodes), default=-1)

    def position(self, key: int) -> int:
        """Where the node with that key stands."""
        return next(i for i, node in enumerate(self.nodes) if node.key == key)

    def values_before(self, position: int) -> list[Ref]:
        """Everything a node at `position` may refer to."""
        return [-1 - i for i in range(len(self.inputs))] + [node.key for node in self.nodes[:position]]


def draft_of(case: Case) -> Draft:
    """An editable copy of a case."""
    model = case.model
    refs: dict[str, Ref] = {f"x{i}": -1 - i for i in range(len(model.inputs))}
    refs.update({f"n{i}": i for i in range(len(model.nodes))})
    nodes = [
        DraftNode(i, node.op, [refs[o] for o in node.operands], dict(node.attrs), dict(node.weights))
        for i, node in enumerate(model.nodes)
    ]
    outputs = [refs[o] for o in model.outputs]
    read = {o for node in model.nodes for o in node.operands} | set(model.outputs)
    return Draft(
        list(model.inputs),
        nodes,
        outputs,
        list(model.patterns),
        case.conversion,
        case.inference,
        spare=any(f"x{i}" not in read for i in range(len(model.inputs))),
        odd=len(set(outputs)) < len(outputs) or min(outputs) < 0,
    )


def frozen(node: DraftNode, names: Mapping[Ref, str]) -> Node:
    """The immutable node, with names for references."""
    return Node(node.op, tuple(names[o] for o in node.operands), dict(node.attrs), dict(node.weights))
