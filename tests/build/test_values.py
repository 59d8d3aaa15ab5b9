from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.build.values import (
    BOUNDARY,
    INTEGER_LIMIT,
    INTEGER_STEP,
    cast,
    draw,
    sample,
    samples_of,
    weight,
    weights_of,
)
from fuzzer.case import DISTRIBUTIONS, Case, Recipe
from fuzzer.ops import TensorType, WeightSlot
from tests.strategies import cases, drawn_case

MADE = [d for d in DISTRIBUTIONS if d != "literal"]


@pytest.mark.parametrize("distribution", MADE)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 3, 4, 5)])
def test_the_same_recipe_gives_the_same_numbers(distribution: str, shape: tuple[int, ...]) -> None:
    recipe = Recipe(distribution, 5, 2.0, 0.5, 0.25, 4)
    first, again = draw(recipe, shape), draw(recipe, shape)
    assert first.shape == shape and first.dtype == np.float64 and np.isfinite(first).all()
    assert np.array_equal(first, again)


def test_the_numbers_never_change() -> None:
    """Golden values: a stored case must build the same model in every release."""
    assert draw(Recipe("normal", 2), (3,)).tolist() == pytest.approx(
        [-0.4167578474054706, -0.056266827226329474, -2.136196095668454], abs=0
    )
    assert draw(Recipe("uniform", 1), (2,)).tolist() == pytest.approx([-0.165955990594852, 0.4406489868843162], abs=0)
    assert draw(Recipe("boundary", 3), (4,)).tolist() == [6.5, -1.0, 6.0, 0.0]


def test_different_seeds_differ() -> None:
    for distribution in ("uniform", "normal", "boundary"):
        assert not np.array_equal(draw(Recipe(distribution, 1), (32,)), draw(Recipe(distribution, 2), (32,)))


def test_scale_offset_unit_and_base() -> None:
    plain = draw(Recipe("normal", 1), (50,))
    assert np.allclose(draw(Recipe("normal", 1, 3.0, 0.5), (50,), 2.0, 1.0), plain * 6 + 1.5)
    assert np.array_equal(draw(Recipe("constant", 9, -2.0, 1.0), (4,)), np.full(4, -1.0))


def test_distributions_keep_their_range() -> None:
    uniform = draw(Recipe("uniform", 1), (5000,))
    assert -1 <= uniform.min() < -0.9 and 0.9 < uniform.max() < 1
    normal = draw(Recipe("normal", 1), (5000,))
    assert abs(normal.mean()) < 0.1 and abs(normal.std() - 1) < 0.1
    assert set(draw(Recipe("boundary", 1), (2000,)).tolist()) == set(BOUNDARY)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.95, 1.0])
def test_sparsity(share: float) -> None:
    zeros = float(np.mean(draw(Recipe("normal", 4, sparsity=share), (4000,)) == 0))
    assert abs(zeros - share) < 0.05


@pytest.mark.parametrize("clusters", [1, 2, 4, 16])
@pytest.mark.parametrize("distribution", ["uniform", "normal", "boundary", "constant"])
def test_clusters(clusters: int, distribution: str) -> None:
    values = draw(Recipe(distribution, 4, clusters=clusters), (500,))
    assert 1 <= len(np.unique(values)) <= clusters
    assert np.isfinite(values).all()


def test_sparsity_survives_clustering() -> None:
    values = draw(Recipe("normal", 4, offset=5.0, sparsity=0.5, clusters=4), (1000,))
    assert 0.4 < float(np.mean(values == 0)) < 0.6 and len(np.unique(values)) <= 5


def test_literals_are_repeated_and_not_scaled() -> None:
    recipe = Recipe("literal", 0, 7.0, 1.0, values=(1.0, -2.5, 3.0))
    assert draw(recipe, (2, 2)).tolist() == [[1.0, -2.5], [3.0, 1.0]]
    assert draw(recipe, ()).tolist() == 1.0


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_floats_never_overflow_to_infinity(dtype: str) -> None:
    made = cast(np.array([1e300, -1e300, 70000.0, 0.5]), dtype)
    assert made.dtype == dtype and np.isfinite(made).all() and made[3] == 0.5


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_are_rounded_scaled_and_bounded(dtype: str) -> None:
    made = cast(np.array([0.5, -1.0, 1e30, -1e30, 0.04]), dtype)
    assert made.dtype == dtype
    assert made.tolist() == [int(0.5 * INTEGER_STEP), int(-INTEGER_STEP), INTEGER_LIMIT, -INTEGER_LIMIT, 0]


def test_positive_slots_are_positive() -> None:
    slot = WeightSlot("variance", TensorType((200,), "float32"), 0.5, 1.0, positive=True)
    for recipe in (Recipe("normal", 1, -4.0), Recipe("boundary", 2), Recipe("constant", 0, -1.0, -3.0)):
        assert (weight(slot, recipe) >= 0).all()
    assert (weight(WeightSlot("beta", slot.type), Recipe("normal", 1)) < 0).any()


@given(cases())
@settings(max_examples=60)
def test_weights_and_samples_have_the_types_of_the_model(case: Case) -> None:
    for typed, made in zip(case.model.typed, weights_of(case), strict=True):
        assert list(made) == [slot.name for slot in typed.slots]
        for slot in typed.slots:
            assert made[slot.name].shape == slot.type.shape and made[slot.name].dtype == slot.type.dtype
            assert np.isfinite(made[slot.name]).all()
    samples = samples_of(case)
    assert len(samples) == len(case.inference.inputs)
    for row in samples:
        assert [(x.shape, x.dtype.name) for x in row] == [(t.shape, t.dtype) for t in case.model.inputs]


def test_inputs_of_one_sample_differ() -> None:
    type_ = TensorType((16,), "float32")
    assert not np.array_equal(sample(type_, Recipe("normal", 1), 0), sample(type_, Recipe("normal", 1), 1))


def test_a_missing_weight_recipe_is_a_plain_normal_one() -> None:
    from dataclasses import replace

    case = next(c for c in map(drawn_case, range(50)) if c.model.nodes[0].weights)
    nodes = (replace(case.model.nodes[0], weights={}), *case.model.nodes[1:])
    bare = replace(case, model=replace(case.model, nodes=nodes))
    for made, slot in zip(weights_of(bare)[0].values(), bare.model.typed[0].slots, strict=True):
        assert made.shape == slot.type.shape and np.isfinite(made).all()


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=30)
def test_every_seed_a_case_may_hold_is_taken(seed: int) -> None:
    for position in range(4):
        assert sample(TensorType((3,), "float32"), Recipe("uniform", seed), position).shape == (3,)
