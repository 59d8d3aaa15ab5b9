"""Reduction with planted defects: hard examples must shrink to the expected answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, decode
from fuzzer.errors import GenerateAnother
from fuzzer.mutate import generate, mutate
from fuzzer.ops import TensorType
from fuzzer.reduce import Budget, Reduction, reduce, size
from fuzzer.reduce.passes import PASSES
from tests.strategies import drawn_case

Predicate = Callable[[Case], bool]


def big_case(wanted: Predicate, nodes: int = 8) -> Case:
    """A generated and often mutated case of many nodes on which the predicate holds."""
    rng = Random(1)
    best = None
    for _ in range(4000):
        case = generate(rng)
        for _ in range(12):
            try:
                case, _ = mutate(case, rng)
            except GenerateAnother:
                continue
            if wanted(case) and len(case.model.nodes) >= nodes:
                return case
            if wanted(case) and (best is None or len(case.model.nodes) > len(best.model.nodes)):
                best = case
    assert best is not None
    return best


def has(op: str, **attrs: object) -> Predicate:
    def holds(case: Case) -> bool:
        return any(n.op == op and all(n.attrs[k] == v for k, v in attrs.items()) for n in case.model.nodes)

    return holds


def both(one: str, two: str) -> Predicate:
    return lambda case: has(one)(case) and has(two)(case)


def guarded(holds: Predicate) -> Predicate:
    """The predicate as an executor sees it: whatever it is asked must be a valid case, never asked twice."""
    asked: set[str] = set()

    def checked(case: Case) -> bool:
        assert decode(case.canonical) == case
        assert case.id not in asked
        asked.add(case.id)
        return holds(case)

    return checked


def shrunk(holds: Predicate, nodes: int = 8) -> Reduction:
    case = big_case(holds, nodes)
    result = reduce(case, guarded(holds), Budget(120.0, 20_000))
    assert result.complete and holds(result.case) and size(result.case) < size(case)
    return result


def test_one_op_with_an_attribute_under_a_scheme() -> None:
    def holds(case: Case) -> bool:
        dilated = any(
            n.op == "depthwise_conv2d" and max(n.attrs["dilations"]) == 3  # type: ignore[arg-type]
            for n in case.model.nodes
        )
        return dilated and case.conversion.scheme == "int8"

    case = shrunk(holds).case
    (node,) = case.model.nodes
    assert node.op == "depthwise_conv2d" and sorted(node.attrs["dilations"]) == [1, 3]  # type: ignore[arg-type]
    assert case.conversion == Conversion(scheme="int8").repaired()
    assert [t.shape[0] for t in case.model.inputs] == [1]
    assert all(n <= 2 for n in node.attrs["kernel"])  # type: ignore[union-attr]
    assert node.attrs["use_bias"] is False and node.attrs["multiplier"] == 1
    assert len(case.inference.runtimes) == 1 and len(case.inference.inputs) == 1


@pytest.mark.parametrize(
    "op", ["relu6", "max_pool", "leaky_relu", "dense", "batch_norm", "concat", "matmul", "reshape"]
)
def test_any_single_op(op: str) -> None:
    case = shrunk(has(op)).case
    assert [n.op for n in case.model.nodes] == [op]
    assert case.conversion == Conversion() and case.inference.threads == 1
    assert sum(t.elements for t in case.model.inputs) <= 4


def test_two_ops_in_a_row() -> None:
    def holds(case: Case) -> bool:
        nodes = case.model.nodes
        return any(
            n.op == "relu"
            and any(o == f"n{i}" and nodes[i].op == "conv2d" for o in n.operands for i in range(len(nodes)))
            for n in nodes
        )

    case = shrunk(holds).case
    assert [n.op for n in case.model.nodes] == ["conv2d", "relu"] and case.model.outputs == ("n1",)


def test_two_ops_anywhere() -> None:
    case = shrunk(both("max_pool", "relu6")).case
    assert sorted(n.op for n in case.model.nodes) == ["max_pool", "relu6"]


def test_a_value_with_two_readers() -> None:
    def holds(case: Case) -> bool:
        reads = [o for n in case.model.nodes for o in dict.fromkeys(n.operands)]
        return any(reads.count(f"n{i}") >= 2 for i in range(len(case.model.nodes)))

    assert len(shrunk(holds).case.model.nodes) <= 3


def test_a_size_is_kept_where_it_matters() -> None:
    def holds(case: Case) -> bool:
        return any(n.op == "conv2d" and n.attrs["filters"] >= 9 for n in case.model.nodes)  # type: ignore[operator]

    (node,) = shrunk(holds).case.model.nodes
    assert node.attrs["filters"] == 9


def test_what_depends_on_one_sample_keeps_that_sample() -> None:
    def holds(case: Case) -> bool:
        return any(r.distribution == "boundary" for r in case.inference.inputs)

    case = shrunk(holds).case
    assert [r.distribution for r in case.inference.inputs] == ["boundary"] and len(case.model.nodes) == 1


def test_what_depends_on_numbers_of_a_weight_keeps_them() -> None:
    def holds(case: Case) -> bool:
        return any(r.sparsity >= 0.5 for n in case.model.nodes for r in n.weights.values())

    (node,) = shrunk(holds, 5).case.model.nodes
    assert sum(r.sparsity >= 0.5 for r in node.weights.values()) == 1


@pytest.mark.parametrize("pattern", ["block", "two_four"])
def test_a_pattern_of_pruning_is_kept_where_it_matters(pattern: str) -> None:
    def holds(case: Case) -> bool:
        recipes = [r for n in case.model.nodes for r in n.weights.values()]
        return any(r.sparsity and r.pattern == pattern for r in recipes)

    (node,) = shrunk(holds, 4).case.model.nodes
    kept = [r for r in node.weights.values() if r.sparsity]
    assert [(r.pattern, r.clusters, r.scale, r.seed) for r in kept] == [(pattern, 0, 1.0, 0)]


def test_unusual_numbers_dtypes_and_graphs_become_usual() -> None:
    """What nothing depends on goes: oddities, dtypes, distributions."""
    type_ = TensorType((2, 6), "float16")
    weights = {"const": Recipe("channels", 7, 3.0, 1.0, 0.5, 4, pattern="block")}
    node = Node("add", ("x0",), {"const_rank": 2}, weights)
    model = Model((type_, TensorType((3,), "bool")), (node,), ("x0", "n0", "n0"))
    inputs = (Recipe("specials", 1), Recipe("extremes", 2))
    case = reduce(Case(model, inference=Inference(inputs=inputs)), has("add"), Budget(60.0, 5000)).case
    assert case.model.outputs == ("n0",) and case.model.inputs == (TensorType((1,), "float32"),)
    assert case.model.nodes[0].weights["const"] in (Recipe("constant"), Recipe("constant", 0, 0.0))
    assert case.inference.inputs[0].distribution == "constant"


def test_what_an_odd_graph_shows_is_kept() -> None:
    model = Model((TensorType((2, 6), "float32"),), (Node("relu", ("x0",)), Node("tanh", ("n0",))), ("n1", "n0", "n1"))

    def holds(case: Case) -> bool:
        return len(set(case.model.outputs)) < len(case.model.outputs)

    case = reduce(Case(model), holds, Budget(60.0, 5000)).case
    assert case.model.outputs == ("n0", "n0") and len(case.model.nodes) == 1


def test_runtimes_and_threads() -> None:
    def holds(case: Case) -> bool:
        return {"litert", "tf-reference"} <= set(case.inference.runtimes)

    case = reduce(replace(drawn_case(5), inference=Inference(threads=4)), holds, Budget(60.0, 5000)).case
    assert set(case.inference.runtimes) == {"litert", "tf-reference"} and case.inference.threads == 1


# --- the contract -----------------------------------------------------------------------------------------


def test_a_reduction_can_be_repeated() -> None:
    holds = has("depthwise_conv2d")
    case = big_case(holds)
    seen: list[list[str]] = []
    for _ in range(2):
        order: list[str] = []

        def recording(candidate: Case, order: list[str] = order) -> bool:
            order.append(candidate.id)
            return holds(candidate)

        reduce(case, recording, Budget(120.0, 20_000))
        seen.append(order)
    assert seen[0] == seen[1] and len(seen[0]) > 10


@pytest.mark.parametrize("executions", [0, 1, 7])
def test_the_budget_of_executions_is_kept(executions: int) -> None:
    asked = []
    holds = both("max_pool", "relu6")
    result = reduce(big_case(holds), lambda c: asked.append(c) or holds(c), Budget(60.0, executions))  # type: ignore[func-returns-value]
    assert len(asked) == result.executions == executions and not result.complete
    assert holds(result.case)


def test_the_budget_of_seconds_is_kept() -> None:
    holds = both("max_pool", "relu6")

    def slow(case: Case) -> bool:
        time.sleep(0.05)
        return holds(case)

    case = big_case(holds)
    begun = time.monotonic()
    result = reduce(case, slow, Budget(0.3, 10_000))
    assert time.monotonic() - begun < 2 and not result.complete


def test_it_stops_when_told() -> None:
    asked: list[Case] = []
    budget = Budget(60.0, 10_000, stop=lambda: len(asked) >= 3)
    result = reduce(big_case(has("relu")), lambda c: asked.append(c) or True, budget)  # type: ignore[func-returns-value]
    assert len(asked) == 3 and not result.complete


def test_what_cannot_shrink_comes_back_as_it_was() -> None:
    case = big_case(has("relu"))
    result = reduce(case, lambda _: False, Budget(60.0, 20_000))
    assert result.case == case and result.complete


def test_what_always_holds_becomes_as_small_as_can_be() -> None:
    case = reduce(big_case(has("conv2d")), lambda _: True, Budget(60.0, 20_000)).case
    assert len(case.model.nodes) == 1 and case.conversion == Conversion()
    assert all(
        r in (Recipe("constant"), Recipe("constant", 0, 0.0), Recipe("normal"), Recipe("uniform"))
        for r in case.inference.inputs
    )


def test_a_smaller_minimum_never_shrinks_again() -> None:
    """A fixed point: reducing the result finds nothing more."""
    first = shrunk(has("avg_pool"))
    again = reduce(first.case, has("avg_pool"), Budget(60.0, 20_000))
    assert again.case == first.case


@pytest.mark.parametrize("propose", PASSES, ids=lambda p: p.__name__)
def test_a_pass_proposes_the_same_things_twice_and_keeps_the_case(propose) -> None:  # type: ignore[no-untyped-def]
    proposed = 0
    rng = Random(3)
    for seed in range(90):
        case = drawn_case(seed, 5) if seed < 30 else generate(rng)
        before = case.canonical
        first, again = list(propose(case)), list(propose(case))
        assert first == again and case.canonical == before
        proposed += len(first)
    assert proposed
