"""Recipes become numbers. The same recipe always gives the same numbers, in every release of NumPy.

`numpy.random.RandomState` is frozen by NumPy's own policy (NEP 19), which is why it is used and not `Generator`.
The formulas here are the ones `fuzzer.findings.script` writes into reproducers; a test holds the two together.
"""

from __future__ import annotations

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


def draw(recipe: Recipe, shape: tuple[int, ...], unit: float = 1.0, base: float = 0.0) -> NDArray[np.float64]:
    """The numbers of a recipe as float64 of `shape`: `distribution * scale * unit + offset + base`."""
    random = np.random.RandomState(recipe.seed)
    if recipe.distribution == "uniform":
        raw = random.uniform(-1.0, 1.0, shape)
    elif recipe.distribution == "normal":
        raw = random.standard_normal(shape)
    elif recipe.distribution == "boundary":
        raw = random.choice(BOUNDARY, shape)
    elif recipe.distribution == "constant":
        raw = np.ones(shape)
    else:
        return np.resize(np.array(recipe.values, np.float64), shape)
    # A shape of () makes RandomState return a bare float.
    values = np.asarray(raw, np.float64) * (recipe.scale * unit)
    if recipe.offset or base:
        values = values + (recipe.offset + base)
    if recipe.clusters:
        values = _cluster(values, recipe.clusters)
    if recipe.sparsity:
        values = np.where(random.uniform(0.0, 1.0, shape) < recipe.sparsity, 0.0, values)
    return values


def _cluster(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Snaps values to `count` evenly spaced ones, as weight clustering leaves them."""
    low, high = float(values.min()), float(values.max())
    if count < 2 or low == high:
        return np.full_like(values, low)
    step = (high - low) / (count - 1)
    return low + np.round((values - low) / step) * step


def numpy_dtype(dtype: str) -> np.dtype[np.generic]:
    """The NumPy dtype of a dtype's name; strings are bytes objects."""
    if dtype == "bfloat16":
        import ml_dtypes  # a dependency of TensorFlow; the driver never makes numbers

        brain: np.dtype[np.generic] = np.dtype(ml_dtypes.bfloat16)
        return brain
    return np.dtype(object if dtype == "string" else dtype)


def cast(values: NDArray[np.float64], dtype: str) -> Array:
    """Float64 numbers as a tensor of `dtype`: see the tables of this module for integers and strings."""
    if dtype == "bool":
        return np.asarray(values > 0)
    if dtype == "string":
        words = np.array(WORDS, object)
        return np.asarray(words[np.nan_to_num(np.rint(values * INTEGER_STEP)).astype(np.int64) % len(WORDS)])
    if dtype == "complex64":
        return (values * (1 + 0.5j)).astype(dtype)
    if dtype.startswith(("int", "uint")):
        info = np.iinfo(dtype)
        raw = np.nan_to_num(np.rint(values * INTEGER_STEP))
        raw = np.abs(raw) if info.min == 0 else raw
        return np.asarray(np.clip(raw, max(info.min, -INTEGER_LIMIT), min(info.max, INTEGER_LIMIT)).astype(dtype))
    limit = LARGEST[dtype]
    held = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
    return np.asarray(held.astype(numpy_dtype(dtype)))


def weight(slot: WeightSlot, recipe: Recipe) -> Array:
    """The tensor of a weight slot."""
    values = draw(recipe, slot.type.shape, slot.unit, slot.base)
    if slot.span is not None:
        low, high = slot.span
        spread = np.nan_to_num(np.rint(values * INTEGER_STEP)) % max(1, high - low) + low
        return np.asarray(spread.astype(slot.type.dtype))
    return cast(np.abs(values) if slot.positive else values, slot.type.dtype)


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
    moved = Recipe(
        recipe.distribution,
        (recipe.seed + 7919 * position) % 2**31,
        recipe.scale,
        recipe.offset,
        recipe.sparsity,
        recipe.clusters,
        recipe.values,
    )
    return cast(draw(moved, type_.shape), type_.dtype)


def samples_of(case: Case) -> list[list[Array]]:
    """For every input recipe, the tensors of all model inputs in order."""
    return [[sample(type_, recipe, i) for i, type_ in enumerate(case.model.inputs)] for recipe in case.inference.inputs]
