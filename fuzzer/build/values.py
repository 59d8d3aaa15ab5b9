"""Recipes become numbers. The same recipe always gives the same numbers, in every release of NumPy.

`numpy.random.RandomState` is frozen by NumPy's own policy (NEP 19), which is why it is used and not `Generator`.
The formulas here are the ones `fuzzer.reproducer.script` writes into reproducers; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.case import Case, Recipe
from fuzzer.ops import TensorType, WeightSlot

Array = NDArray[np.generic]

BOUNDARY = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 3.0, -3.0, 6.0, -6.0, 6.5, 127.0, -128.0, 255.0, 1e-6, -1e-6, 1e4, -1e4)
"""Where kernels change their mind: zeros of both signs, the clamps of ReLU6 and hard-swish, the ends of the
8-bit ranges, very small and fairly large."""
INTEGER_STEP = 8.0
"""Integer tensors are the rounded float recipe times this, so that unit-scale recipes are not all zero."""
INTEGER_LIMIT = 1000
WORDS = (b"", b"a", b"b", b"ab", b"word", b"\xc3\xa9", b"a longer string of words")
"""What string tensors are made of: a rounded number picks one."""
LARGEST = {"float64": 1e300, "float32": float(np.finfo("float32").max), "float16": 65504.0, "bfloat16": 3.3895314e38}
"""Finite numbers are held below the largest of their dtype (IEEE 754; bfloat16: 255 * 2^120)."""
SUBNORMAL = (2.0**-126, 2.0**-14)
"""The smallest normal numbers of float32 and float16 (IEEE 754, binary32 and binary16): below are the subnormal."""
SPECIAL = (0.0, -0.0, float("inf"), float("-inf"), float("nan"))
SPECIAL_SHARE = 0.125
HUGE_EXPONENTS = (16, 99)
"""2^16 is the first power of two beyond float16's largest number, 65504; 2^99 = 6.3e29."""
CHANNEL_SCALES = (0.0, 1e-4, 1e-2, 1.0, 1e2, 1e4)
TIE_STEP = 0.5
"""Halves are where rounding to even, away from zero and upwards part."""
TIES = 4
"""Ties go from minus to plus this many steps: nine values, so that every row has equal ones."""
LARGE = {"float64": 2.0**986, "float32": 2.0**117, "float16": 1024.0, "bfloat16": 2.0**117, "complex64": 2.0**117}
"""The extremes of a float: sums of 2^6 (float16) or 2^10 (others) of them stay finite."""
BLOCK = 16
"""Elements of a pruned run along the input channels. The converter (dense_to_sparse_pass.cc, tfl_ops.td) encodes
fully connected weights in blocks of 1x4 (float) or 1x16 (int8) of its own layout, (outputs, inputs): 16 suits both.
In TensorFlow's layouts, (inputs, outputs) and HWIO, the input channels are the last axis but one."""


@np.errstate(all="ignore")
def draw(recipe: Recipe, shape: tuple[int, ...], unit: float = 1.0, base: float = 0.0) -> NDArray[np.float64]:
    """The numbers of a recipe as float64 of `shape`: `distribution * scale * unit + offset + base`."""
    random = np.random.RandomState(recipe.seed)
    if recipe.distribution == "literal":
        return np.resize(np.array(recipe.values, np.float64), shape)
    # A shape of () makes RandomState return a bare float.
    values = np.asarray(_raw(random, recipe.distribution, shape), np.float64)
    if recipe.distribution == "extremes":
        return values
    values = values * (recipe.scale * unit)
    if recipe.offset or base:
        values = values + (recipe.offset + base)
    if recipe.clusters:
        values = _cluster(values, recipe.clusters)
    if recipe.sparsity:
        values = _pruned(random, np.asarray(values, np.float64), recipe)
    return np.asarray(values, np.float64)


def _raw(random: np.random.RandomState, distribution: str, shape: tuple[int, ...]) -> Any:
    """The distribution itself, unscaled. Where several draws are made, their order is part of the formula."""
    if distribution == "uniform":
        return random.uniform(-1.0, 1.0, shape)
    if distribution == "normal":
        return random.standard_normal(shape)
    if distribution == "boundary":
        return random.choice(BOUNDARY, shape)
    if distribution == "onehot" and shape:
        return np.arange(shape[-1]) == random.randint(0, max(1, shape[-1]), (*shape[:-1], 1))
    if distribution == "denormal":
        return random.uniform(-1.0, 1.0, shape) * random.choice(SUBNORMAL, shape)
    if distribution == "specials":
        chosen = random.uniform(0.0, 1.0, shape) < SPECIAL_SHARE
        return np.where(chosen, random.choice(SPECIAL, shape), random.standard_normal(shape))
    if distribution == "huge":
        return random.choice((-1.0, 1.0), shape) * np.ldexp(
            random.uniform(1.0, 2.0, shape), random.randint(*HUGE_EXPONENTS, shape)
        )
    if distribution == "channels":
        return random.standard_normal(shape) * random.choice(CHANNEL_SCALES, shape[-1:])
    if distribution == "ties":
        return np.asarray(random.randint(-TIES, TIES + 1, shape)) * TIE_STEP
    if distribution == "extremes":
        return random.choice((-2.0, -1.0, 0.0, 1.0, 2.0), shape)
    if distribution == "zeros":
        return random.choice((0.0, -0.0), shape)
    return np.ones(shape)


def _cluster(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Snaps finite values to `count` evenly spaced ones, as weight clustering leaves them."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return values
    low, high = float(finite.min()), float(finite.max())
    if count < 2 or low == high:
        return np.where(np.isfinite(values), low, values)
    step = (high - low) / (count - 1)
    return np.where(np.isfinite(values), low + np.round((values - low) / step) * step, values)


def _pruned(random: np.random.RandomState, values: NDArray[np.float64], recipe: Recipe) -> NDArray[np.float64]:
    """Zeros in the recipe's pattern. Scalars have no axis to lie along: their pattern is always `random`."""
    if recipe.pattern == "two_four" and values.ndim:
        return np.where(_two_smaller_of_four(values), 0.0, values)
    if recipe.pattern == "block" and values.ndim:
        axis = max(0, values.ndim - 2)
        blocks = [-(-size // BLOCK) if i == axis else size for i, size in enumerate(values.shape)]
        gone = np.repeat(random.uniform(0.0, 1.0, blocks) < recipe.sparsity, BLOCK, axis)
        return np.where(gone.take(np.arange(values.shape[axis]), axis), 0.0, values)
    return np.where(random.uniform(0.0, 1.0, values.shape) < recipe.sparsity, 0.0, values)


def _two_smaller_of_four(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where, of every four neighbours along the input channels, the two of smaller magnitude are."""
    axis = max(0, values.ndim - 2)
    size = np.moveaxis(np.abs(values), axis, -1)
    *rest, count = size.shape
    fours = -(-count // 4)
    groups = np.pad(size, [(0, 0)] * len(rest) + [(0, 4 * fours - count)]).reshape(*rest, fours, 4)
    place = np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1, kind="stable")
    smaller = (place >= 2).reshape(*rest, 4 * fours)[..., :count]
    return np.asarray(np.moveaxis(smaller, -1, axis))


def numpy_dtype(dtype: str) -> np.dtype[np.generic]:
    """The NumPy dtype of a dtype's name; strings are bytes objects."""
    if dtype == "bfloat16":
        import ml_dtypes  # a dependency of TensorFlow; the driver never makes numbers

        brain: np.dtype[np.generic] = np.dtype(ml_dtypes.bfloat16)
        return brain
    return np.dtype(object if dtype == "string" else dtype)


@np.errstate(all="ignore")
def cast(values: NDArray[np.float64], dtype: str) -> Array:
    """Float64 numbers as a tensor of `dtype`: see the tables of this module for integers and strings.

    NaN becomes 0 in an integer and false in a bool; infinities become the largest integers.
    """
    if dtype == "bool":
        return np.asarray(values > 0)
    if dtype == "string":
        words = np.empty(values.shape, object)
        words[...] = np.array(WORDS, object)[_whole(values).astype(np.int64) % len(WORDS)]
        return words
    if dtype == "complex64":
        return np.asarray((_held(values, "float32") * (1 + 0.5j)).astype(dtype))
    if dtype.startswith(("int", "uint")):
        low, high = bounds(dtype)
        raw = np.nan_to_num(np.rint(values * INTEGER_STEP))
        raw = np.abs(raw) if low == 0 else raw
        return np.asarray(np.clip(raw, low, high).astype(dtype))
    return np.asarray(_held(values, dtype).astype(numpy_dtype(dtype)))


def _whole(values: NDArray[np.float64]) -> NDArray[np.float64]:
    whole: NDArray[np.float64] = np.clip(np.nan_to_num(np.rint(values * INTEGER_STEP)), -INTEGER_LIMIT, INTEGER_LIMIT)
    return whole


def _held(values: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    limit = LARGEST[dtype]
    return np.where(np.isfinite(values), np.clip(values, -limit, limit), values)


def bounds(dtype: str) -> tuple[int, int]:
    """The integers that an ordinary recipe may give."""
    info = np.iinfo(dtype)
    return max(int(info.min), -INTEGER_LIMIT), min(int(info.max), INTEGER_LIMIT)


def extremes(dtype: str) -> list[int] | list[float] | list[complex] | None:
    """The values of which `extremes` chooses, in the order of its draws; None: the dtype has no extremes of its own."""
    if dtype in LARGE:
        made = [-LARGE[dtype], -1.0, 0.0, 1.0, LARGE[dtype]]
        return [v * (1 + 0.5j) for v in made] if dtype == "complex64" else made
    if not dtype.startswith(("int", "uint")):
        return None
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return [low, -1 if low else high - 1, 0, 1, high]


def tensor(recipe: Recipe, type_: TensorType, unit: float = 1.0, base: float = 0.0, positive: bool = False) -> Array:
    """The tensor of a recipe."""
    table = extremes(type_.dtype) if recipe.distribution == "extremes" else None
    if table is not None:
        ends = np.array(table, numpy_dtype(type_.dtype))
        chosen = np.random.RandomState(recipe.seed).choice(np.abs(ends) if positive else ends, type_.shape)
        return np.asarray(chosen)
    values = draw(recipe, type_.shape, unit, base)
    return cast(np.abs(values) if positive else values, type_.dtype)


@np.errstate(all="ignore")
def weight(slot: WeightSlot, recipe: Recipe) -> Array:
    """The tensor of a weight slot."""
    if slot.span is not None:
        low, high = slot.span
        values = draw(recipe, slot.type.shape, slot.unit, slot.base)
        spread = np.nan_to_num(np.rint(values * INTEGER_STEP)) % max(1, high - low) + low
        return np.asarray(spread.astype(slot.type.dtype))
    return tensor(recipe, slot.type, slot.unit, slot.base, slot.positive)


def weights_of(case: Case) -> list[dict[str, Array]]:
    """The weights of every node, by slot name. A slot without a recipe gets a plain normal one."""
    return [
        {
            slot.name: weight(slot, typed.node.weights.get(slot.name, Recipe("normal", i)))
            for i, slot in enumerate(typed.slots)
        }
        for typed in case.model.typed
    ]


def sample(type_: TensorType, recipe: Recipe, position: int) -> Array:
    """Input number `position` of a sample; each input of one sample draws from its own stream."""
    return tensor(stream(recipe, position), type_)


def stream(recipe: Recipe, position: int) -> Recipe:
    """The recipe of input number `position` of a sample."""
    return replace(recipe, seed=(recipe.seed + 7919 * position) % 2**31)


def samples_of(case: Case) -> list[list[Array]]:
    """For every input recipe, the tensors of all model inputs in order."""
    return [[sample(type_, recipe, i) for i, type_ in enumerate(case.model.inputs)] for recipe in case.inference.inputs]
