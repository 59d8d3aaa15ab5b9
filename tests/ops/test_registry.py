"""Every op of the registry keeps the contract of `Op`; parametrised over the registry, so a new op is tested too."""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

import fuzzer.ops
from fuzzer.case import MAX_NODES, decode
from fuzzer.case.model import MAX_ELEMENTS
from fuzzer.errors import GenerateAnother, UnfitError
from fuzzer.mutate import generate
from fuzzer.ops import DTYPE_BYTES, DuplicateOpError, Op, TensorType, registry
from fuzzer.ops.window import window_size
from fuzzer.patterns import PATTERNS, Pattern, patterns
from tests.ops.nodes import drawn_node

OPS = list(registry().values())


@pytest.fixture(params=OPS, ids=lambda op: op.name)
def op(request: pytest.FixtureRequest) -> Op:
    found: Op = request.param
    return found


# --- domains ----------------------------------------------------------------------------------------------


def test_the_default_of_every_attribute_is_in_its_domain(op: Op) -> None:
    for name, domain in op.attrs.items():
        assert domain.check(domain.default) is None, name


def test_what_is_drawn_and_mutated_is_in_the_domain(op: Op) -> None:
    rng = Random(1)
    for name, domain in op.attrs.items():
        value = domain.default
        seen = set()
        for _ in range(300):
            drawn = domain.draw(rng)
            assert domain.check(drawn) is None, (name, drawn)
            value = domain.mutate(rng, value)
            assert domain.check(value) is None, (name, value)
            seen |= {drawn, value}
        assert len(seen) > 1, name
        again = json.loads(json.dumps(value))
        assert (tuple(again) if isinstance(again, list) else again) == value


WRONG: tuple[object, ...] = (None, "nonsense", -(10**9), 10**9, float("nan"), (), (1,) * 9, [1, 1], {})


def test_what_is_outside_the_domain_is_refused_in_words(op: Op) -> None:
    for name, domain in op.attrs.items():
        for wrong in WRONG:
            assert domain.check(wrong), (name, wrong)


def test_mutation_starts_from_anything(op: Op) -> None:
    """A replaced node may bring a value of another op's attribute of the same name."""
    rng = Random(2)
    for domain in op.attrs.values():
        for value in (True, 3, 2.5, "SAME", (1, 2), (1, 2, 3)):
            if domain.check(value) is None:
                assert domain.check(domain.mutate(rng, value)) is None


# --- the entry itself -------------------------------------------------------------------------------------


def test_the_entry_is_whole(op: Op) -> None:
    assert op.name.isidentifier() and op.weight > 0
    assert 1 <= op.arity[0] <= op.arity[1]
    assert op.ranks and op.dtypes and set(op.dtypes) <= set(DTYPE_BYTES)
    assert inspect.getdoc(op.build), "its source is shown to people"
    source = inspect.getsource(op.build)
    assert "numpy" not in source and "self" not in source


def test_build_asks_only_for_what_there_is(op: Op) -> None:
    for seed in range(20):
        typed = drawn_node(op, seed)
        assert set(op.parameters) <= {
            *op.attrs,
            *(s.name for s in typed.slots),
            *optional_weights(op),
            "out_shape",
            "out_dtype",
        }
    positional = [p for p in inspect.signature(op.build).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    if not any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(op.build).parameters.values()):
        assert len(positional) == 1 + op.arity[1]


def optional_weights(op: Op) -> set[str]:
    return {s.name for seed in range(40) for s in drawn_node(op, seed).slots}


def test_the_keras_layer_asks_only_for_attributes(op: Op) -> None:
    assert set(op.keras_parameters) <= set(op.attrs)
    assert set(op.keras_weights) <= optional_weights(op)
    if op.keras is not None:
        assert set(op.keras_weights) == optional_weights(op)


def test_names_of_weights_do_not_clash_with_attributes(op: Op) -> None:
    assert not optional_weights(op) & set(op.attrs)


def test_inference_is_total(op: Op) -> None:
    """Whatever operands are offered: a type, or `UnfitError`."""
    rng = Random(3)
    fits = 0
    for _ in range(1000):
        operands = tuple(
            TensorType(
                tuple(rng.randint(0 if op.empty else 1, 6) for _ in range(rng.choice((*op.ranks, rng.randint(0, 6))))),
                rng.choice((*op.dtypes, rng.choice(list(DTYPE_BYTES)))),
            )
            for _ in range(rng.randint(1, 4))
        )
        if rng.random() < 0.4:
            operands = (operands[0],) * len(operands)
        attrs = {k: d.draw(rng) if rng.random() < 0.5 else d.default for k, d in op.attrs.items()}
        try:
            result = op.type_of(operands, attrs)
        except UnfitError as refused:
            assert str(refused)
            continue
        fits += 1
        assert result.rank >= 0 and all(d >= (0 if op.empty else 1) for d in result.shape)
        assert op.cost(operands, attrs, result) >= 0
        assert all(all(d >= (0 if op.empty else 1) for d in slot.type.shape) for slot in op.weights(operands, attrs))
    assert fits


def test_a_valid_node_can_be_drawn_within_budget(op: Op) -> None:
    for seed in range(20):
        typed = drawn_node(op, seed)
        assert typed.node.op == op.name and typed.type.elements <= MAX_ELEMENTS


# --- the registry -----------------------------------------------------------------------------------------


@pytest.fixture
def _family(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    module = types.ModuleType("tests.ops.planted_family")
    module.OPS = (replace(registry()["relu"], weight=3.0),)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(fuzzer.ops, "FAMILIES", (*fuzzer.ops.FAMILIES, module.__name__))
    registry.cache_clear()
    yield module.__name__
    monkeypatch.undo()
    registry.cache_clear()


def test_two_ops_of_one_name_are_refused_naming_both(_family: str) -> None:
    with pytest.raises(DuplicateOpError) as refused:
        registry()
    text = str(refused.value)
    assert "'relu'" in text and "fuzzer.ops.activation" in text and _family in text


def test_every_family_is_listed_and_none_twice() -> None:
    assert len(set(fuzzer.ops.FAMILIES)) == len(fuzzer.ops.FAMILIES)
    assert len(registry()) >= 25


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding", "out"),
    [
        (8, 3, 1, 1, "SAME", 8),
        (8, 3, 2, 1, "SAME", 4),
        (7, 3, 2, 1, "SAME", 4),
        (8, 3, 1, 1, "VALID", 6),
        (8, 3, 2, 1, "VALID", 3),
        (8, 3, 1, 3, "VALID", 2),
        (7, 3, 1, 3, "VALID", 1),
        (1, 5, 4, 1, "SAME", 1),
    ],
)
def test_window_sizes(size: int, kernel: int, stride: int, dilation: int, padding: str, out: int) -> None:
    assert window_size(size, kernel, stride, dilation, padding) == out


def test_a_window_that_does_not_fit() -> None:
    with pytest.raises(UnfitError, match="window of 7 does not fit 6"):
        window_size(6, 3, 1, 3, "VALID")


# --- patterns ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.name)
def test_a_pattern_gives_valid_cases_with_its_ops(pattern: Pattern) -> None:
    whole = 0
    for seed in range(60):
        case = generate(Random(seed), pattern)
        assert decode(case.canonical) == case and len(case.model.nodes) <= MAX_NODES
        assert pattern.name in case.model.patterns
        ops = [node.op for node in case.model.nodes]
        wanted = [step.ops for step in pattern.steps if step.chance == 1.0]
        at = 0
        for op in ops:
            if at < len(wanted) and op in wanted[at]:
                at += 1
        whole += at == len(wanted)
    # Repair may take a step out that the drawn dtype or size does not allow.
    assert whole >= 48


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.name)
def test_a_pattern_names_ops_and_attributes_that_exist(pattern: Pattern) -> None:
    assert patterns()[pattern.name] is pattern and pattern.weight > 0
    for step in pattern.steps:
        assert 0 < step.chance <= 1
        for name in step.ops:
            op = registry()[name]
            for key, value in step.pinned.items():
                assert key not in op.attrs or op.attrs[key].check(value) is None
        assert all(any(key in registry()[name].attrs for name in step.ops) for key in step.pinned)


def test_the_ten_patterns_of_the_issue_are_there() -> None:
    assert len(PATTERNS) >= 10


def test_generation_never_gives_up() -> None:
    for seed in range(300):
        try:
            generate(Random(seed))
        except GenerateAnother as error:  # pragma: no cover
            pytest.fail(f"seed {seed}: {error}")
