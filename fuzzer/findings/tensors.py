"""Weights and inputs of a case as lines of Python that give the same numbers, bit for bit.

The formulas are those of `fuzzer.build.values`; every step that changes nothing here is left out. Small
tensors are written as literals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fuzzer.build.values import BOUNDARY, INTEGER_LIMIT, INTEGER_STEP, Array, draw, samples_of, weights_of
from fuzzer.case import Case, Recipe
from fuzzer.findings.layout import assign, wrap
from fuzzer.findings.source import literal
from fuzzer.ops import TensorType

MAX_LITERAL = 24
"""Elements up to which a tensor is written out."""

_CLUSTER = '''
def cluster(values, count):
    """Snaps values to `count` evenly spaced ones, as weight clustering does."""
    low, high = values.min(), values.max()
    if count < 2 or low == high:
        return np.full_like(values, low)
    step = (high - low) / (count - 1)
    return low + np.round((values - low) / step) * step
'''


@dataclass
class Tensors:
    """Lines that define tensors, and the helpers they need."""

    lines: list[str] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)

    def add(self, variable: str, value: Array, type_: TensorType, recipe: Recipe, slot: Slot | None = None) -> None:
        """Defines `variable` as `value`, the numbers that the recipe makes."""
        self.lines.extend(_small(variable, value) or self._seeded(variable, value, type_, recipe, slot or Slot()))

    def _help(self, text: list[str]) -> None:
        if text[0] not in self.helpers:
            self.helpers.extend(text)

    def _seeded(self, variable: str, value: Array, type_: TensorType, recipe: Recipe, slot: Slot) -> list[str]:
        shape = repr(type_.shape if len(type_.shape) != 1 else type_.shape[0])
        dtype = type_.dtype
        if recipe.distribution == "literal":
            start, values = f"np.resize({list(recipe.values)!r}, {shape})", draw(recipe, type_.shape)
            made = f"np.abs({start})" if slot.positive else start
            return assign(variable, f"{_cast(made, values, dtype)}.astype(np.{dtype})")
        if recipe.distribution == "boundary":
            self._help(wrap("BOUNDARY = ", literal(list(BOUNDARY)), "", 0))
        if recipe.clusters:
            self._help(_CLUSTER.splitlines())
        lines, random = [], f"np.random.RandomState({recipe.seed})"
        if recipe.sparsity:
            lines, random = [f"random = {random}"], "random"
        made = {
            "uniform": f"{random}.uniform(-1, 1, {shape})",
            "normal": f"{random}.standard_normal({shape})",
            "boundary": f"{random}.choice(BOUNDARY, {shape})",
            "constant": f"np.ones({shape})",
        }[recipe.distribution]
        scale, offset = recipe.scale * slot.unit, recipe.offset + slot.base
        if scale != 1.0:
            made += f" * {scale!r}"
        if recipe.offset or slot.base:
            made += f" + {offset!r}" if offset >= 0 else f" - {-offset!r}"
        if recipe.clusters:
            made = f"cluster({made}, {recipe.clusters})"
        if recipe.sparsity:
            lines += assign(variable, made)
            made = f"np.where(random.uniform(0, 1, {shape}) < {recipe.sparsity!r}, 0, {variable})"
        if slot.positive:
            made = f"np.abs({made})"
        made = _cast(made, draw(recipe, type_.shape, slot.unit, slot.base), dtype)
        return [*lines, *assign(variable, f"{_closed(made)}.astype(np.{dtype})")]


@dataclass(frozen=True)
class Slot:
    """What a weight slot adds to a recipe (see `fuzzer.ops.WeightSlot`)."""

    unit: float = 1.0
    base: float = 0.0
    positive: bool = False


def weights(case: Case, into: Tensors) -> list[str]:
    """Defines every weight as `<node>_<slot>`; returns the names in the campaign's order."""
    names = []
    for typed, values in zip(case.model.typed, weights_of(case), strict=True):
        for i, slot in enumerate(typed.slots):
            variable = f"{typed.name}_{slot.name}"
            recipe = typed.node.weights.get(slot.name, Recipe("normal", i))
            into.add(variable, values[slot.name], slot.type, recipe, Slot(slot.unit, slot.base, slot.positive))
            names.append(variable)
    return names


def samples(case: Case, into: Tensors) -> list[list[str]]:
    """Defines every input of every sample; returns their names. A single sample's are `x0`, `x1`, ..."""
    names = []
    single = len(case.inference.inputs) == 1
    for s, (recipe, values) in enumerate(zip(case.inference.inputs, samples_of(case), strict=True)):
        row = []
        for i, (type_, value) in enumerate(zip(case.model.inputs, values, strict=True)):
            variable = f"x{i}" if single else f"sample{s}_x{i}"
            # Each input draws from its own stream: see `fuzzer.build.values.sample`.
            moved = Recipe(
                recipe.distribution,
                (recipe.seed + 7919 * i) % 2**31,
                recipe.scale,
                recipe.offset,
                recipe.sparsity,
                recipe.clusters,
                recipe.values,
            )
            into.add(variable, value, type_, moved)
            row.append(variable)
        names.append(row)
    return names


def _small(variable: str, value: Array) -> list[str]:
    """The tensor written out, when it has few elements or is all one number; else nothing."""
    flat = value.reshape(-1)
    dtype = value.dtype
    shape = value.shape
    if flat.size > 1 and len({flat[i : i + 1].tobytes() for i in range(flat.size)}) == 1:
        size = repr(shape if len(shape) != 1 else shape[0])
        if flat[:1].tobytes() == np.zeros(1, dtype).tobytes():
            return assign(variable, f"np.zeros({size}, np.{dtype})")
        return assign(variable, f"np.full({size}, {_number(flat[0])}, np.{dtype})")
    if flat.size > MAX_LITERAL:
        return []
    if not shape:
        return assign(variable, f"np.array({_number(flat[0])}, np.{dtype})")
    text = f"np.array([{', '.join(map(_number, flat))}], np.{dtype})"
    return assign(variable, text if len(shape) == 1 else f"{text}.reshape({', '.join(map(str, shape))})")


def _number(value: np.generic) -> str:
    """The shortest text that gives this number back in its own dtype."""
    if value.dtype.kind in "iu":
        return str(int(value))
    text = str(value)
    back = np.array(float(text), value.dtype)
    return text if back.tobytes() == value.tobytes() else repr(float(value))


def _cast(made: str, values: NDArray[np.float64], dtype: str) -> str:
    """The steps before `astype`: rounding of integers, and clipping where something is clipped."""
    if dtype.startswith("int"):
        rounded = f"np.rint({_factor(made)} * {INTEGER_STEP:g})"
        over = np.abs(np.rint(values * INTEGER_STEP)).max(initial=0.0) > INTEGER_LIMIT
        return f"np.clip({rounded}, -{INTEGER_LIMIT}, {INTEGER_LIMIT})" if over else rounded
    limit = float(np.finfo(dtype).max)
    return f"np.clip({made}, {-limit!r}, {limit!r})" if np.abs(values).max(initial=0.0) > limit else made


def _factor(made: str) -> str:
    """A sum in brackets, so that it can be multiplied."""
    return f"({made})" if " + " in made or " - " in made else made


def _closed(made: str) -> str:
    """In brackets unless it is a single call, so that a method can be called on it."""
    depth = 0
    for c in made:
        depth += {"(": 1, ")": -1}.get(c, 0)
        if depth == 0 and c in " ":
            return f"({made})"
    return made
