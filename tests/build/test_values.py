from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.build.values import (
    BLOCK,
    BOUNDARY,
    INTEGER_LIMIT,
    INTEGER_STEP,
    LARGEST,
    WORDS,
    bounds,
    cast,
    draw,
    numpy_dtype,
    sample,
    samples_of,
    tensor,
    weight,
    weights_of,
)
from fuzzer.case import DISTRIBUTIONS, PRUNINGS, Case, Recipe
from fuzzer.ops import DTYPE_BYTES, TensorType, WeightSlot
from tests.strategies import cases, drawn_case

MADE = [d for d in DISTRIBUTIONS if d != "literal"]


@pytest.mark.parametrize("distribution", MADE)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 3, 4, 5)])
def test_the_same_recipe_gives_the_same_numbers(distribution: str, shape: tuple[int, ...]) -> None:
    recipe = Recipe(distribution, 5, 2.0, 0.5, 0.25, 4)
    first, again = draw(recipe, shape), draw(recipe, shape)
    assert first.shape == shape and first.dtype == np.float64
    assert np.isfinite(first).all() or distribution == "specials"
    assert first.tobytes() == again.tobytes()


def test_the_numbers_never_change() -> None:
    """Golden values: a stored case must build the same model in every release."""
    assert draw(Recipe("normal", 2), (3,)).tolist() == pytest.approx(
        [-0.4167578474054706, -0.056266827226329474, -2.136196095668454], abs=0
    )
    assert draw(Recipe("uniform", 1), (2,)).tolist() == pytest.approx([-0.165955990594852, 0.4406489868843162], abs=0)
    assert draw(Recipe("boundary", 3), (4,)).tolist() == [6.5, -1.0, 6.0, 0.0]


def test_the_newer_numbers_never_change() -> None:
    assert draw(Recipe("onehot", 4), (2, 3)).tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    assert draw(Recipe("ties", 4), (4,)).tolist() == [1.5, 0.5, -1.5, 2.0]
    assert draw(Recipe("extremes", 4), (4,)).tolist() == [0.0, -1.0, -2.0, -2.0]
    assert draw(Recipe("huge", 4), (2,)).tolist() == [-4.788451878320503e26, -1.45558414105927e20]
    assert draw(Recipe("channels", 4), (1, 3)).tolist() == [[505.61707142939554, 4.99951333237829e-05, -0.0]]
    assert draw(Recipe("denormal", 4), (2,)).tolist() == [5.70104783952242e-05, 1.1104248416538449e-39]


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
            assert made[slot.name].shape == slot.type.shape and made[slot.name].dtype == numpy_dtype(slot.type.dtype)
            if typed.node.weights[slot.name].distribution != "specials" and slot.type.dtype != "string":
                assert np.isfinite(made[slot.name]).all()
    samples = samples_of(case)
    assert len(samples) == len(case.inference.inputs)
    for row in samples:
        assert [(x.shape, x.dtype) for x in row] == [(t.shape, numpy_dtype(t.dtype)) for t in case.model.inputs]


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


# --- unusual numbers --------------------------------------------------------------------------------------


def test_onehot_has_a_single_one_a_row() -> None:
    values = draw(Recipe("onehot", 3), (50, 7))
    assert set(values.ravel().tolist()) == {0.0, 1.0} and (values.sum(axis=1) == 1).all()
    assert (values.sum(axis=0) > 0).all()


def test_subnormal_numbers_are_subnormal() -> None:
    values = draw(Recipe("denormal", 3), (4000,))
    single = np.abs(values.astype("float32"))
    assert (single < np.finfo("float16").smallest_normal).all()
    assert 0.4 < float(np.mean(single < np.finfo("float32").smallest_normal)) < 0.6
    half = np.abs(cast(values, "float16"))
    assert (half < np.finfo("float16").smallest_normal).all() and (half > 0).any()


def test_specials_are_mostly_normal_numbers() -> None:
    values = draw(Recipe("specials", 3), (4000,))
    assert 0.02 < float(np.isnan(values).mean()) < 0.03 and 0.04 < float(np.isinf(values).mean()) < 0.06
    zeros = values[values == 0]
    assert np.signbit(zeros).any() and not np.signbit(zeros).all()
    assert np.isneginf(values).any() and np.isposinf(values).any()
    assert np.isnan(draw(Recipe("specials", 3, clusters=4), (4000,))).mean() == np.isnan(values).mean()


def test_huge_numbers_are_beyond_half_precision() -> None:
    values = np.abs(draw(Recipe("huge", 3), (4000,)))
    assert values.min() > 65504 and values.max() < 1e30 and np.log10(values).std() > 5


def test_channels_differ_by_orders_of_magnitude() -> None:
    largest = np.abs(draw(Recipe("channels", 3), (40, 60))).max(axis=0)
    assert (largest == 0).any() and largest.max() / largest[largest > 0].min() > 1e6


def test_ties_are_halves() -> None:
    values = draw(Recipe("ties", 3), (500,))
    assert np.array_equal(values * 2, np.rint(values * 2)) and len(np.unique(values)) == 9


def test_zeros_have_both_signs() -> None:
    values = draw(Recipe("zeros", 3), (100,))
    assert (values == 0).all() and 20 < np.signbit(values).sum() < 80


@pytest.mark.parametrize("dtype", sorted(DTYPE_BYTES))
def test_extremes_are_of_the_dtype_and_survive_a_sum(dtype: str) -> None:
    values = tensor(Recipe("extremes", 3), TensorType((200,), dtype))
    if dtype.startswith(("int", "uint")):
        info = np.iinfo(dtype)
        assert {info.min, info.max, 0, 1} <= set(values.tolist())
        assert (-1 in values.tolist()) == (info.min < 0)
    elif dtype not in ("bool", "string", "complex64"):
        largest = np.abs(values.astype(np.float64)).max()
        assert largest > 1e3 and largest * 32 < LARGEST[dtype]


@pytest.mark.parametrize("shape", [(64,), (64, 6), (3, 3, 64, 5)])
def test_blocks_lie_along_the_input_channels(shape: tuple[int, ...]) -> None:
    values = draw(Recipe("normal", 3, sparsity=0.5, pattern="block"), shape)
    channels = np.moveaxis(values, max(0, values.ndim - 2), -1)
    blocks = channels.reshape(-1, BLOCK) == 0
    assert (blocks.all(axis=1) | ~blocks.any(axis=1)).all()
    assert blocks.any() and not blocks.all()


@pytest.mark.parametrize("shape", [(16,), (16, 6), (3, 3, 16, 5)])
def test_two_of_four_are_the_smaller_ones(shape: tuple[int, ...]) -> None:
    full = draw(Recipe("normal", 3), shape)
    values = draw(Recipe("normal", 3, sparsity=0.5, pattern="two_four"), shape)
    fours = [np.moveaxis(v, max(0, v.ndim - 2), -1).reshape(-1, 4) for v in (values, full)]
    assert ((fours[0] == 0).sum(axis=1) == 2).all()
    gone = np.where(fours[0] == 0, np.abs(fours[1]), 0).max(axis=1)
    kept = np.where(fours[0] == 0, np.inf, np.abs(fours[1])).min(axis=1)
    assert (gone <= kept).all() and np.array_equal(values[values != 0], full[values != 0])


SHAPES = st.lists(st.sampled_from([0, 1, 2, 5, 17]), max_size=5).map(tuple)
RECIPES = st.builds(
    lambda d, values, **more: Recipe(d, values=values if d == "literal" else (), **more),
    st.sampled_from(DISTRIBUTIONS),
    st.lists(st.floats(-1e38, 1e38), min_size=1, max_size=4).map(tuple),
    seed=st.integers(0, 2**31 - 1),
    scale=st.sampled_from([1.0, 0.0, -0.5, 1e30, -1e30, 1e-30]),
    offset=st.sampled_from([0.0, 1.0, -1e30]),
    sparsity=st.sampled_from([0.0, 0.5, 1.0]),
    clusters=st.sampled_from([0, 1, 2, 256]),
    pattern=st.sampled_from(PRUNINGS),
)


@given(RECIPES, SHAPES, st.sampled_from(sorted(DTYPE_BYTES)))
@settings(max_examples=400)
def test_any_recipe_gives_any_dtype_and_shape(recipe: Recipe, shape: tuple[int, ...], dtype: str) -> None:
    """Neither an exception nor a warning that somebody could have turned into one."""
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        made = sample(TensorType(shape, dtype), recipe, 1)
        indices = weight(WeightSlot("indices", TensorType(shape, "int32"), span=(2, 9)), recipe)
    assert made.shape == shape and made.dtype == numpy_dtype(dtype)
    assert indices.shape == shape and ((indices >= 2) & (indices < 9)).all()
    again = sample(TensorType(shape, dtype), recipe, 1)
    assert made.tolist() == again.tolist() if dtype == "string" else made.tobytes() == again.tobytes()
    if recipe.distribution != "specials" and dtype not in ("string", "bool"):
        assert np.isfinite(made.astype("complex128")).all()


@pytest.mark.parametrize("dtype", ["bool", "string", "int8", "uint8", "int32", "uint32", "int64"])
def test_casts_of_special_numbers_are_defined(dtype: str) -> None:
    made = cast(np.array([np.nan, np.inf, -np.inf, 0.0, 1.0]), dtype).tolist()
    if dtype == "bool":
        assert made == [False, True, False, False, True]
    elif dtype == "string":
        assert all(word in WORDS for word in made) and made[0] == made[3] == WORDS[0]
    else:
        low, high = bounds(dtype)
        assert made == [0, high, low or high, 0, 8]
