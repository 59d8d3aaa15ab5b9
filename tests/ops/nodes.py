"""Valid nodes of one op, drawn by seed: used by the conformance tests and inside executors."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, TypedNode, check_budget, type_node
from fuzzer.case.model import check_type
from fuzzer.errors import CaseError, UnfitError
from fuzzer.mutate import draw
from fuzzer.ops import Op, TensorType

MAX_COST = 2_000_000


def drawn_case(op: Op, seed: int, dtype: str | None = None) -> Case:
    """A valid case of a single node of that op; small, so that thousands can be run."""
    rng = Random(f"{op.name}/{seed}")
    for _ in range(5000):
        rank = rng.choice(op.ranks)
        chosen = dtype if dtype in op.dtypes else rng.choice(op.dtypes)
        first = TensorType(draw.shape(rng, rank), chosen)
        inputs = [first]
        for i in range(1, rng.randint(*op.arity)):
            shape = first.shape if rng.random() < 0.6 else draw.shape(rng, rng.choice(op.ranks))
            inputs.append(TensorType(shape, rng.choice(op.dtypes_of(i, inputs))))
        attrs = draw.attrs(rng, op)
        names = tuple(f"x{i}" for i in range(len(inputs)))
        node = Node(op.name, names, attrs)
        try:
            for name, type_ in zip(names, inputs, strict=True):
                check_type(type_, name)
            typed = type_node(node, "n0", dict(zip(names, inputs, strict=True)))
            check_budget(typed, "n0")
        except (UnfitError, CaseError):
            continue
        if typed.cost > MAX_COST:
            continue
        weights = {slot.name: Recipe("normal", rng.randrange(1 << 16)) for slot in typed.slots}
        model = Model(tuple(inputs), (replace(node, weights=weights),), ("n0",))
        return Case(model, Conversion(), Inference(inputs=(Recipe("normal", 1), Recipe("uniform", 2, 3.0))))
    raise AssertionError(f"no valid node of {op.name} in 5000 draws")


def drawn_node(op: Op, seed: int) -> TypedNode:
    return drawn_case(op, seed).model.typed[0]
