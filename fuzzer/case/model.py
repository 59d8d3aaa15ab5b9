"""The model of a case: a small typed graph in which every value has one name.

Inputs are `x0`, `x1`, ...; the result of node i is `n{i}`. Nodes are listed in an order in which each names
earlier values only, so a model is acyclic by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fuzzer.case.recipe import Recipe
from fuzzer.errors import CaseError, UnfitError
from fuzzer.ops import DTYPE_BYTES, Op, TensorType, Value, WeightSlot, registry

MAX_NODES = 32
MAX_INPUTS = 4
MAX_OUTPUTS = 8
MAX_RANK = 6
MAX_DIM = 8192
MAX_ELEMENTS = 1 << 18
"""Elements of one tensor: 1 MB of float32."""
MAX_TOTAL_BYTES = 32 << 20
"""All values and weights of a model together."""
MAX_COST = 40_000_000
"""Multiply-accumulates of one inference: 10 ms of a reference kernel at 4e9 a second."""


@dataclass(frozen=True)
class Node:
    """One op applied to named values. `weights` gives a recipe for each of the op's weight slots."""

    op: str
    operands: tuple[str, ...]
    attrs: Mapping[str, Value] = field(default_factory=dict)
    weights: Mapping[str, Recipe] = field(default_factory=dict)

    @property
    def spec(self) -> Op:
        """The op's entry in the registry."""
        return registry()[self.op]


@dataclass(frozen=True)
class TypedNode:
    """A node together with what inference found: operand types, result type, weight slots, cost."""

    node: Node
    name: str
    operands: tuple[TensorType, ...]
    type: TensorType
    slots: tuple[WeightSlot, ...]
    cost: int


@dataclass(frozen=True)
class Model:
    """Inputs (types), nodes and the names of the values returned."""

    inputs: tuple[TensorType, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    """Names of the patterns it was seeded from, for statistics; no meaning for execution."""

    @cached_property
    def typed(self) -> tuple[TypedNode, ...]:
        """Every node with its types, inferred from the inputs on.

        Raises `CaseError` naming the first node that does not fit or the budget that is exceeded.
        """
        return _infer(self)

    @cached_property
    def types(self) -> dict[str, TensorType]:
        """The type of every value by name. Raises `CaseError` as `typed` does."""
        known = {f"x{i}": t for i, t in enumerate(self.inputs)}
        known.update((t.name, t.type) for t in self.typed)
        return known

    @property
    def random(self) -> bool:
        """Whether two sound runs may give different numbers."""
        return any(node.spec.random for node in self.nodes)

    @property
    def output_types(self) -> tuple[TensorType, ...]:
        """Types of the returned values. Raises `CaseError` as `typed` does."""
        return tuple(self.types[name] for name in self.outputs)


def check_type(type_: TensorType, field_: str) -> None:
    """Raises `CaseError` when a value is beyond the size budget."""
    if type_.rank > MAX_RANK:
        raise CaseError(field_, f"rank at most {MAX_RANK}", type_.rank)
    if any(not 0 <= dim <= MAX_DIM for dim in type_.shape):
        raise CaseError(field_, f"dims from 0 to {MAX_DIM}", list(type_.shape))
    if type_.elements > MAX_ELEMENTS:
        raise CaseError(field_, f"at most {MAX_ELEMENTS} elements", type_.elements)


def check_budget(typed: TypedNode, field_: str) -> None:
    """Raises `CaseError` when a node's result, weights or work are beyond the budget."""
    check_type(typed.type, field_)
    for slot in typed.slots:
        check_type(slot.type, f"{field_}.weights.{slot.name}")
    if typed.cost > MAX_COST:
        raise CaseError(field_, f"at most {MAX_COST} multiply-accumulates", typed.cost)


def type_node(node: Node, name: str, known: Mapping[str, TensorType]) -> TypedNode:
    """Infers one node. Raises `UnfitError` from the op's own rules and `KeyError` for unknown operands."""
    spec = node.spec
    operands = tuple(known[operand] for operand in node.operands)
    try:
        result = spec.type_of(operands, node.attrs)
        weights, cost = spec.weights(operands, node.attrs), spec.cost(operands, node.attrs, result)
    except IndexError as short:
        # Ranks are checked of the first operand only; a rule that asks for an axis of another one finds none.
        raise UnfitError(f"{spec.name} takes operands of more dimensions") from short
    return TypedNode(node, name, operands, result, weights, cost)


def _infer(model: Model) -> tuple[TypedNode, ...]:
    known: dict[str, TensorType] = {}
    for i, type_ in enumerate(model.inputs):
        check_type(type_, f"model.inputs[{i}]")
        known[f"x{i}"] = type_
    done: list[TypedNode] = []
    total_bytes = sum(t.bytes for t in model.inputs)
    total_cost = 0
    for i, node in enumerate(model.nodes):
        where = f"model.nodes[{i}]"
        for operand in node.operands:
            if operand not in known:
                raise CaseError(f"{where}.operands", f"one of {', '.join(known)}", operand)
        try:
            typed = type_node(node, f"n{i}", known)
        except UnfitError as refused:
            raise CaseError(where, f"operands and attributes that fit ({refused})", node.op) from refused
        check_budget(typed, where)
        total_bytes += typed.type.bytes + sum(slot.type.bytes for slot in typed.slots)
        total_cost += typed.cost
        known[typed.name] = typed.type
        done.append(typed)
    if total_bytes > MAX_TOTAL_BYTES:
        raise CaseError("model", f"at most {MAX_TOTAL_BYTES} bytes of tensors", total_bytes)
    if total_cost > MAX_COST:
        raise CaseError("model", f"at most {MAX_COST} multiply-accumulates", total_cost)
    for i, name in enumerate(model.outputs):
        if name not in known:
            raise CaseError(f"model.outputs[{i}]", f"one of {', '.join(known)}", name)
    return tuple(done)


INPUT_DTYPES = tuple(DTYPE_BYTES)
