"""Planted dependencies of many kinds, in many generated cases: reduction must come to the known smallest case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from fuzzer.build.literals import literal_of
from fuzzer.build.values import samples_of, weights_of
from fuzzer.case import Case, Node
from fuzzer.errors import GenerateAnother
from fuzzer.mutate import generate, mutate
from fuzzer.reduce import Budget, reduce

WANTED = 5
"""Cases of each kind."""
TRIES = 2500
"""Cases generated to find those."""
SHARE = 0.9
"""Of all reductions, what must come to the expected case (issue: at least nine in ten)."""


@dataclass(frozen=True)
class Planted:
    """What a case shows the defect, and whether a case is the smallest one that does."""

    name: str
    holds: Callable[[Case], bool]
    smallest: Callable[[Case], bool]


def nodes(case: Case, op: str) -> list[Node]:
    return [n for n in case.model.nodes if n.op == op]


def readers(case: Case, first: str, second: str) -> bool:
    """Whether an op reads the result of another one."""
    every = case.model.nodes
    return any(
        n.op == second and any(o == f"n{i}" for o in n.operands)
        for n in every
        for i, m in enumerate(every)
        if m.op == first
    )


def ops(case: Case) -> list[str]:
    return [n.op for n in case.model.nodes]


def elements(case: Case) -> int:
    return sum(t.elements for t in case.model.inputs)


CONVOLUTIONS = ("conv2d", "depthwise_conv2d")


def strided_before_relu(case: Case) -> bool:
    strided = [f"n{i}" for i, n in enumerate(case.model.nodes) if n.op in CONVOLUTIONS and max(n.attrs["strides"]) > 1]
    return any(n.op in ("relu", "relu6") and n.operands[0] in strided for n in case.model.nodes)


def dims_above(bound: int) -> Callable[[Case], bool]:
    return lambda case: max(sum(t.shape) for t in case.model.inputs) > bound


def positive_weight(case: Case) -> bool:
    """A weight of several elements that are not all equal: a constant does not show it."""
    for node in weights_of(case):
        for weight in node.values():
            if weight.dtype == "float32" and 2 <= weight.size <= 64 and (weight > 0.4).any() and (weight <= 0.4).any():
                return True
    return False


def lone_weight(case: Case) -> bool:
    for typed, made in zip(case.model.typed, weights_of(case), strict=True):
        for slot in typed.slots:
            numbers = literal_of(made[slot.name], slot)
            if numbers and any(n > 0.4 for n in numbers) and any(n <= 0.4 for n in numbers):
                return len(case.model.nodes) == 1 and len(numbers) <= 2
    return False


def negative_sample(case: Case) -> bool:
    """A sample with a number below -0.5 and one that is not, in the first input."""
    return any(
        s[0].dtype == "float32" and s[0].size >= 2 and (s[0] < -0.5).any() and not (s[0] < -0.5).all()
        for s in samples_of(case)
    )


def flags(case: Case) -> bool:
    return case.conversion.scheme == "int8" and case.conversion.io == "uint8"


def depth(case: Case) -> int:
    deep: dict[str, int] = {}
    for i, node in enumerate(case.model.nodes):
        deep[f"n{i}"] = 1 + max(deep.get(o, 0) for o in node.operands)
    return max(deep.values(), default=0)


PLANTED = (
    Planted(
        "a strided convolution before a ReLU", strided_before_relu, lambda c: len(ops(c)) == 2 and elements(c) <= 16
    ),
    Planted(
        "dense read by softmax",
        lambda c: readers(c, "dense", "softmax"),
        lambda c: ops(c) == ["dense", "softmax"] and elements(c) <= 2,
    ),
    Planted(
        "dims above 20",
        dims_above(20),
        lambda c: len(ops(c)) == 1 and 20 < max(sum(t.shape) for t in c.model.inputs) <= 22,
    ),
    Planted(
        "two flags together",
        flags,
        lambda c: (
            len(ops(c)) == 1
            and elements(c) <= 2
            and not c.conversion.switches
            and c.conversion.entry == "concrete_function"
        ),
    ),
    Planted(
        "concat of three",
        lambda c: any(len(n.operands) >= 3 for n in nodes(c, "concat")),
        lambda c: ops(c) == ["concat"] and elements(c) <= 3,
    ),
    Planted(
        "equal dims of a matmul",
        lambda c: any(len(n.operands) == 2 for n in nodes(c, "matmul")),
        lambda c: ops(c) == ["matmul"] and elements(c) <= 2,
    ),
    Planted("one weight element", positive_weight, lone_weight),
    Planted(
        "one sample element",
        negative_sample,
        lambda c: len(ops(c)) == 1 and len(c.inference.inputs) == 1 and elements(c) <= 3,
    ),
    Planted(
        "two outputs",
        lambda c: len(set(c.model.outputs)) >= 2,
        lambda c: len(set(c.model.outputs)) == 2 and len(ops(c)) <= 2,
    ),
    Planted(
        "an inner value transposed",
        lambda c: any(n.operands[0].startswith("n") for n in nodes(c, "transpose")),
        lambda c: len(ops(c)) == 2 and ops(c)[1] == "transpose" and elements(c) <= 2,
    ),
    Planted("four nodes in depth", lambda c: depth(c) >= 4, lambda c: len(ops(c)) == 4 and elements(c) <= 4),
    Planted(
        "batch of 2 and a pool",
        lambda c: bool(nodes(c, "max_pool")) and any(t.shape[0] >= 2 for t in c.model.inputs if t.rank),
        lambda c: ops(c) == ["max_pool"] and elements(c) <= 2,
    ),
)


def cases(planted: Planted, seed: int) -> list[Case]:
    """Generated and mutated cases that show it, larger than the smallest one."""
    rng = Random(seed)
    found: list[Case] = []
    for _ in range(TRIES):
        case = generate(rng)
        for _ in range(rng.randrange(6)):
            try:
                case, _ = mutate(case, rng)
            except GenerateAnother:
                continue
        if len(case.model.nodes) > 1 and planted.holds(case) and not planted.smallest(case):
            found.append(case)
            if len(found) == WANTED:
                break
    return found


def test_planted_dependencies_come_to_their_smallest_case(capsys: pytest.CaptureFixture[str]) -> None:
    good = count = 0
    executions = []
    missed = []
    for planted in PLANTED:
        chosen = cases(planted, 11)
        assert len(chosen) >= 2, planted.name
        for case in chosen:
            result = reduce(case, planted.holds, Budget(60.0, 2000))
            assert result.complete and planted.holds(result.case)
            count += 1
            executions.append(result.executions)
            if planted.smallest(result.case):
                good += 1
            else:
                missed.append(
                    (
                        planted.name,
                        ops(result.case),
                        [t.shape for t in result.case.model.inputs],
                        result.case.canonical.decode(),
                    )
                )
    executions.sort()
    with capsys.disabled():
        print(f"\n{good} of {count} at the smallest case; median {executions[count // 2]} executions")
    assert good >= SHARE * count, missed
