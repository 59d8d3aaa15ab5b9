from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.build.values import weight
from fuzzer.case import DISTRIBUTIONS, ENTRIES, PRUNINGS, SCHEMES, Case, Conversion, Model, Node, decode
from fuzzer.case.conversion import DEAR_ENTRIES, KERAS_ENTRIES, TFMOT
from fuzzer.case.model import MAX_ELEMENTS, MAX_INPUTS
from fuzzer.errors import GenerateAnother
from fuzzer.execute import Executor, Reply
from fuzzer.mutate import MUTATORS, Mutator, cross, draw, generate, mutate
from fuzzer.mutate.attributes import change_dtype
from fuzzer.mutate.draft import Draft, DraftNode, draft_of
from fuzzer.mutate.repair import MAX_GENERATED_NODES, MAX_GENERATED_OUTPUTS, repair
from fuzzer.ops import Op, TensorType, WeightSlot, registry
from tests.strategies import MAX_SEED, cases, drawn_case

POOL = [drawn_case(seed, seed % 4) for seed in range(60)]


def check(case: Case) -> None:
    """What holds of everything the generator makes."""
    assert decode(case.canonical) == case
    model = case.model
    assert 1 <= len(model.nodes) <= MAX_GENERATED_NODES and 1 <= len(model.inputs) <= MAX_INPUTS
    assert 1 <= len(model.outputs) <= MAX_GENERATED_OUTPUTS
    assert any(o.startswith("n") for o in model.outputs)
    assert case.conversion.conflict() is None
    read = {o for n in model.nodes for o in n.operands}
    assert {f"n{i}" for i in range(len(model.nodes))} <= read | set(model.outputs), "a node that nobody reads"
    for typed in model.typed:
        assert set(typed.node.weights) == {slot.name for slot in typed.slots}
    for node in model.nodes:
        assert not node.spec.entries or case.conversion.entry in node.spec.entries, "an op on a road it cannot take"
    if case.conversion.entry in KERAS_ENTRIES:
        assert all(t.dtype == "float32" for t in model.inputs) and not spare(case) and not odd(case)


def spare(case: Case) -> bool:
    """Whether an input has no reader."""
    read = {o for n in case.model.nodes for o in n.operands} | set(case.model.outputs)
    return not {f"x{i}" for i in range(len(case.model.inputs))} <= read


def odd(case: Case) -> bool:
    """Whether an input is an output, or a value two of them."""
    outputs = case.model.outputs
    return len(set(outputs)) < len(outputs) or any(o.startswith("x") for o in outputs)


def tried(case: Case, rng: Random) -> tuple[Case, str]:
    """A mutant; where repair left nothing (integers for a chain of float ops), the case itself, as the driver does."""
    try:
        return mutate(case, rng)
    except GenerateAnother:
        return case, ""


@pytest.fixture(autouse=True)
def _offered() -> Iterator[None]:
    """Drivers learn switches and optional schemes from their executor."""
    draw.take_offer({"allow_custom_ops": [True], "_experimental_qdq_conversion_mode": ["STATIC", "DYNAMIC"]}, TFMOT)
    yield
    draw.take_offer({}, ())


# --- validity ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(4))
def test_two_thousand_mutants_are_valid(start: int) -> None:
    """A walk, not single steps: mutants of mutants of mutants."""
    rng = Random(start)
    made = 0
    pool = list(POOL)
    for _ in range(500):
        at = rng.randrange(len(pool))
        try:
            pool[at], name = mutate(pool[at], rng)
        except GenerateAnother:
            continue
        made += 1
        check(pool[at])
        assert name in {m.name for m in MUTATORS}
    assert made >= 0.95 * 500


@given(cases(), st.integers(0, MAX_SEED))
@settings(max_examples=100)
def test_mutants_of_anything_are_valid(case: Case, seed: int) -> None:
    try:
        mutant, _ = mutate(case, Random(seed))
    except GenerateAnother:
        return
    check(mutant)


def test_generated_cases_are_valid_and_differ() -> None:
    made = [generate(Random(seed)) for seed in range(1200)]
    for case in made:
        check(case)
    assert len({c.id for c in made}) > 1150
    missing = set(registry()) - {n.op for c in made for n in c.model.nodes}
    assert len(missing) < 0.2 * len(registry())
    assert {c.conversion.scheme for c in made} >= set(SCHEMES) - set(TFMOT)
    assert len({len(c.model.nodes) for c in made}) >= 5


@pytest.mark.parametrize("op", registry().values(), ids=lambda op: op.name)
def test_every_op_can_be_asked_for(op: Op) -> None:
    """What a campaign starts from: a case of every op."""
    made = [generate(Random(seed), op=op) for seed in range(4)]
    for case in made:
        check(case)
    assert sum(op.name in {node.op for node in case.model.nodes} for case in made) >= 3


def test_mutation_does_not_touch_its_parent() -> None:
    for case in POOL[:30]:
        before = case.canonical
        for seed in range(5):
            tried(case, Random(seed))
        assert type(case)(case.model, case.conversion, case.inference).canonical == before


# --- each mutator -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mutator", MUTATORS, ids=lambda m: m.name)
def test_a_mutator_changes_something_and_repair_makes_it_valid(mutator: Mutator) -> None:
    changed = refused = 0
    for seed in range(5 * len(POOL)):
        case, rng = POOL[seed % len(POOL)], Random(seed)
        draft = draft_of(case)
        mutator.edit(draft, rng)
        try:
            mutant = repair(draft, rng)
        except GenerateAnother:
            refused += 1
            continue
        check(mutant)
        changed += mutant.id != case.id
    # Half of the dtypes are integers, which most ops do not take. Dear roads are drawn one time in forty.
    assert refused <= (0.5 if mutator.name == "change_dtype" else 0.02) * 5 * len(POOL)
    assert changed >= (1 if mutator.name == "change_entry" else 0.2 * 5 * len(POOL))


def test_every_mutator_is_drawn() -> None:
    rng = Random(0)
    names = Counter(tried(rng.choice(POOL), rng)[1] for _ in range(1500))
    assert set(names) - {""} == {m.name for m in MUTATORS}


def test_most_mutants_differ_from_their_parent() -> None:
    rng = Random(1)
    same = sum(tried(case, rng)[0].id == case.id for case in POOL * 5)
    assert same < 0.15 * len(POOL) * 5


def test_names_of_mutators_are_unique() -> None:
    assert len({m.name for m in MUTATORS}) == len(MUTATORS)
    assert all(m.weight > 0 for m in MUTATORS)


# --- what is drawn ----------------------------------------------------------------------------------------


FRESH = [generate(Random(seed)) for seed in range(3000)]
WALKED = list(FRESH[:200])
for _step, _rng in ((i, Random(i)) for i in range(2000)):
    WALKED[_step % 200] = tried(WALKED[_step % 200], _rng)[0]


def share(cases: list[Case], holds: Callable[[Case], bool]) -> float:
    return sum(map(holds, cases)) / len(cases)


def distributions(case: Case) -> set[str]:
    return {
        r.distribution for r in (*case.inference.inputs, *(w for n in case.model.nodes for w in n.weights.values()))
    }


@pytest.mark.parametrize("cases_", [FRESH, WALKED], ids=["fresh", "walked"])
def test_most_cases_stay_judgeable(cases_: list[Case]) -> None:
    extreme = {"huge", "extremes", "denormal", "channels"}
    assert 1 / 150 < share(cases_, lambda c: "specials" in distributions(c)) < 1 / 15
    assert 1 / 25 < share(cases_, lambda c: bool(extreme & distributions(c))) < 1 / 7
    assert 0.002 < share(cases_, spare) < 0.04
    assert 0.002 < share(cases_, odd) < 0.06
    assert share(cases_, lambda c: c.model.inputs[0].dtype == "float32") > 0.6


def test_every_kind_of_number_is_drawn() -> None:
    rng = Random(3)
    weights = [draw.weight_recipe(rng) for _ in range(4000)]
    assert {r.pattern for r in weights if r.sparsity} == set(PRUNINGS)
    assert any(r.sparsity and r.clusters for r in weights) and {r.clusters for r in weights} >= {2, 16}
    inputs = {r.distribution for _ in range(2000) for r in draw.inference(rng).inputs}
    assert inputs | {r.distribution for r in weights} == set(DISTRIBUTIONS) - {"literal"}
    gammas = [weight(WeightSlot("gamma", TensorType((3,), "float32"), 0.25, 1.0), r) for r in weights]
    assert any((g == 0).all() for g in gammas) and any((g < 0).all() for g in gammas)
    assert any((abs(g) > 0).all() and (abs(g) < 1e-5).all() for g in gammas)


def test_shapes_of_every_rank() -> None:
    rng = Random(4)
    for rank in range(7):
        shapes = [draw.shape(rng, rank) for _ in range(500)]
        assert all(len(s) == rank and all(d >= 1 for d in s) for s in shapes)
        assert all(math.prod(s) <= MAX_ELEMENTS for s in shapes)
        if rank:
            dims = {d for s in shapes for d in s}
            assert 1 in dims and dims & {3, 7, 13, 17, 31} and any(s[0] > 1 for s in shapes)
            assert any(0 in draw.shape(rng, rank, empty=True) for _ in range(500))
    assert share([c for c in FRESH if c.model.inputs[0].rank == 4], lambda c: c.model.inputs[0].shape[-1] >= 48) > 0.01
    big = share(FRESH, lambda c: any(s.type.elements >= 1024 for t in c.model.typed for s in t.slots))
    assert big > 0.12


def test_ops_get_inputs_of_their_own_dtypes() -> None:
    rng = Random(5)
    for op in registry().values():
        drawn = Counter(draw.dtype(rng, op) for _ in range(300))
        assert set(drawn) <= set(op.dtypes) and drawn.most_common(1)[0][0] == op.dtypes[0]
    first = [c for c in FRESH if not c.model.patterns or c.model.nodes[0].op == "cast"]
    assert {t.dtype for c in first for t in c.model.inputs} >= {"float32", "float16", "int32", "int64"}
    assert {t.rank for c in FRESH for t in c.model.inputs} == set(range(7))


def test_half_of_the_fresh_cases_start_from_one_op() -> None:
    assert 0.3 < share(FRESH, lambda c: not c.model.patterns) < 0.55
    twice = share(FRESH, lambda c: any(len(set(n.operands)) < len(n.operands) for n in c.model.nodes))
    several = share(FRESH, lambda c: len(c.model.inputs) > 1)
    assert twice > 0.01 and several > 0.05


def test_dtypes_of_single_inputs_change() -> None:
    seen = set()
    for seed in range(600):
        draft = draft_of(POOL[seed % len(POOL)])
        change_dtype(draft, Random(seed))
        seen |= {t.dtype for t in draft.inputs}
    assert seen >= {d for op in registry().values() for d in op.dtypes}


def test_odd_graphs_survive_repair() -> None:
    """A spare input, an input returned, a value returned twice, one value as both operands."""
    image = TensorType((1, 4, 4, 2), "float32")
    nodes = (Node("add", ("x0", "x0"), {"const_rank": 1}), Node("mul", ("n0", "n0"), {"const_rank": 1}))
    for outputs in (("n1", "n1"), ("x0", "n1"), ("n1", "x1", "n0", "n1")):
        case = Case(Model((image, TensorType((3,), "int32")), nodes, outputs))
        again = repair(draft_of(case), Random(0))
        assert again.model == case.model and decode(case.canonical) == case


# --- repeatability ----------------------------------------------------------------------------------------


def test_the_seed_decides() -> None:
    for seed in range(100):
        case = POOL[seed % len(POOL)]
        assert generate(Random(seed)) == generate(Random(seed))
        assert mutate(case, Random(seed)) == mutate(case, Random(seed))
        other = POOL[(seed * 7 + 1) % len(POOL)]
        assert cross(case, other, Random(seed)) == cross(case, other, Random(seed))
    assert len({mutate(POOL[0], Random(seed))[0].id for seed in range(50)}) > 30


def test_an_object_and_its_decoded_twin_mutate_alike() -> None:
    """The driver keeps made objects, and decodes after a restart: both must give the same mutant."""
    for seed, case in enumerate(POOL):
        twin = decode(case.canonical)
        assert mutate(case, Random(seed)) == mutate(twin, Random(seed))
        assert cross(case, POOL[0], Random(seed)) == cross(twin, POOL[0], Random(seed))


# --- crossover --------------------------------------------------------------------------------------------


def test_crossover_takes_from_both_parents_and_adds_nothing() -> None:
    both = total = 0
    for seed in range(300):
        rng = Random(seed)
        left, right = rng.sample(POOL, 2)
        child = cross(left, right, rng)
        check(child)
        ours, theirs = ({n.op for n in p.model.nodes} for p in (left, right))
        ops = {n.op for n in child.model.nodes}
        assert ops <= ours | theirs | {"reshape", "cast"}
        assert child.conversion.scheme in (left.conversion.scheme, right.conversion.scheme)
        if ours - theirs and theirs - ours:
            total += 1
            both += bool(ops & (ours - theirs)) and bool(ops & (theirs - ours))
    assert total > 100 and both >= 0.5 * total


def test_a_case_crossed_with_itself_is_valid() -> None:
    for seed, case in enumerate(POOL):
        check(cross(case, case, Random(seed)))


# --- repair -----------------------------------------------------------------------------------------------


@given(cases(), st.integers(0, MAX_SEED))
@settings(max_examples=150)
def test_repair_makes_a_case_of_any_draft(case: Case, seed: int) -> None:
    """Operands that point nowhere, attributes of other ops, too many nodes: still a valid case, or a refusal."""
    rng = Random(seed)
    draft: Draft = draft_of(case)
    for _ in range(rng.randint(1, 20)):
        op = rng.choice(list(registry()))
        operands = [rng.randint(-9, 40) for _ in range(rng.randint(0, 4))] or [99]
        attrs = dict(rng.choice(draft.nodes).attrs) if draft.nodes else {}
        draft.nodes.insert(rng.randint(0, len(draft.nodes)), DraftNode(draft.new_key(), op, operands, attrs))
    draft.outputs += [rng.randint(-5, 40) for _ in range(10)]
    try:
        check(repair(draft, rng))
    except GenerateAnother:
        assert not draft.nodes or all(not set(registry()[n.op].dtypes) & {draft.inputs[0].dtype} for n in draft.nodes)


def test_repair_keeps_what_is_valid() -> None:
    for seed, case in enumerate(POOL):
        again = repair(draft_of(case), Random(seed))
        assert again.model.nodes == case.model.nodes and again.model.inputs == case.model.inputs
        assert set(again.model.outputs) >= set(case.model.outputs)
        assert again.conversion == case.conversion and again.inference == case.inference


@pytest.fixture
def needy(monkeypatch: pytest.MonkeyPatch) -> None:
    """`relu` needs a SavedModel, custom ops and known shapes."""
    ops = dict(registry())
    ops["relu"] = replace(
        ops["relu"], entries=("saved_model", "session"), switches={"allow_custom_ops": True}, static=True
    )
    for module in ("fuzzer.mutate.repair", "fuzzer.case.model", "fuzzer.case.codec", "fuzzer.mutate.draw"):
        monkeypatch.setattr(import_module(module), "registry", lambda: ops)


def _with_relu(**conversion: Any) -> Draft:
    case = POOL[0]
    node = DraftNode(0, "relu", [-1])
    made = Conversion(**conversion).repaired()
    return Draft([TensorType((1, 4), "float32")], [node], [0], [], made, case.inference)


def test_an_op_decides_about_its_road(needy: None) -> None:
    with_switch = 0
    for seed in range(60):
        rng = Random(seed)
        draft = _with_relu(entry="keras", dynamic="batch")
        draft.inputs[0] = TensorType((1, 1 + seed), "float32")
        draft.nodes.append(DraftNode(1, "dense", [0], {"units": 1 + seed, "use_bias": False}))
        case = repair(draft, rng)
        assert case.conversion.entry in ("saved_model", "session") and case.conversion.dynamic == "none"
        with_switch += case.conversion.switches == {"allow_custom_ops": True}
        assert repair(draft_of(case), rng).conversion == case.conversion
    assert 40 < with_switch < 60  # one case in ten goes without


def test_a_scheme_of_the_optional_package_needs_a_layer_with_weights() -> None:
    plain = repair(_with_relu(scheme="tfmot_qat"), Random(0)).conversion
    assert (plain.scheme, plain.entry) == ("int8", "legacy_keras")
    draft = _with_relu(scheme="tfmot_qat")
    draft.nodes.append(DraftNode(1, "dense", [0], {"units": 3, "use_bias": True}))
    assert repair(draft, Random(0)).conversion.scheme == "tfmot_qat"


def test_recurrent_ops_have_known_shapes() -> None:
    draft = _with_relu(dynamic="batch")
    draft.inputs[0] = TensorType((1, 4, 3), "float32")
    draft.nodes[0] = DraftNode(0, "gru", [-1])
    assert repair(draft, Random(0)).conversion.dynamic == "none"


def test_switches_come_from_the_offer_only() -> None:
    assert {n for seed in range(200) for n in draw.switches(Random(seed))} == {
        "allow_custom_ops", "_experimental_qdq_conversion_mode",
    }  # fmt: skip
    draw.take_offer({}, ())
    made = [draw.conversion(Random(seed)) for seed in range(600)]
    assert not any(c.switches for c in made) and not any(c.scheme in TFMOT for c in made)


def test_the_plain_road_is_the_bulk() -> None:
    entries = Counter(draw.conversion(Random(seed)).entry for seed in range(6000))
    assert entries["concrete_function"] > 0.85 * 6000 and len(entries) == len(ENTRIES)
    assert sum(entries[e] for e in DEAR_ENTRIES) < 0.05 * 6000


# --- with TensorFlow --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_mutants_build_in_tensorflow(real: Executor) -> None:
    """>= 95 % of mutants must build: the issue's own number, on mutants of mutants."""
    from fuzzer.case import to_json

    rng = Random(5)
    pool = [generate(rng) for _ in range(25)]
    built, failures = 0, []
    for i in range(150):
        mutant, _ = tried(pool[i % len(pool)], rng)
        pool[i % len(pool)] = mutant
        entry = mutant.conversion.entry if i % 10 == 0 else "concrete_function"
        case = replace(mutant, conversion=replace(mutant.conversion, entry=entry))
        answer = real.run({"command": "run", "case": to_json(case)}, 15.0)
        if isinstance(answer, Reply):
            assert "bug" not in answer.message, answer.message["bug"]
            built += answer.message["built"]
            if not answer.message["built"]:
                failures.append((case.id, [f for f in answer.message["features"] if f.startswith("msg:build")]))
        else:
            built += answer.stage not in ("start", "build", "reference")
    assert built >= 0.95 * 150, failures
