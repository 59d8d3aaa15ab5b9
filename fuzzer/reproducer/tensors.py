"""Weights and inputs of a case as lines of Python that give the same numbers, bit for bit.

The formulas are those of `fuzzer.build.values`; every step that changes nothing here is left out. Small
tensors are written as literals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.build.values import (
    BLOCK,
    BOUNDARY,
    CHANNEL_SCALES,
    HUGE_EXPONENTS,
    INTEGER_LIMIT,
    INTEGER_STEP,
    LARGEST,
    SPECIAL_SHARE,
    TIE_STEP,
    TIES,
    WORDS,
    Array,
    bounds,
    draw,
    extremes,
    numpy_dtype,
    samples_of,
    stream,
    weights_of,
)
from fuzzer.case import Case, Recipe
from fuzzer.ops import TensorType
from fuzzer.reproducer.layout import WIDTH, assign

MAX_LITERAL = 24
"""Elements up to which a tensor is written out."""
_DTYPES = {"bool": "bool", "string": "object", "bfloat16": "tf.bfloat16.as_numpy_dtype"}
"""How the script calls the NumPy dtype of a dtype; others are `np.<dtype>`."""

_CLUSTER = '''
def cluster(values, count):
    """Snaps finite values to `count` evenly spaced ones, as weight clustering does."""
    fine = np.isfinite(values)
    low, high = values[fine].min(), values[fine].max()
    if count < 2 or low == high:
        return np.where(fine, low, values)
    step = (high - low) / (count - 1)
    return np.where(fine, low + np.round((values - low) / step) * step, values)
'''
_TWO_FOUR = '''
def two_four(values):
    """Zeros for the two smaller of every four along the input channels: 2:4 pruning."""
    axis = max(0, values.ndim - 2)
    size = np.moveaxis(np.abs(values), axis, -1)
    *rest, count = size.shape
    fours = -(-count // 4)
    padding = [(0, 0)] * len(rest) + [(0, 4 * fours - count)]
    groups = np.pad(size, padding).reshape(*rest, fours, 4)
    place = np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1, kind="stable")
    smaller = (place >= 2).reshape(*rest, 4 * fours)[..., :count]
    return np.where(np.moveaxis(smaller, -1, axis), 0, values)
'''
_SUBNORMAL = "[2.0**-126, 2.0**-14]"
_SPECIAL = "[0.0, -0.0, np.inf, -np.inf, np.nan]"
_LONG = 60
"""Characters from which an expression gets a line of its own."""
_ROW = WIDTH - 12
"""Columns of a row of numbers: four of indentation twice, brackets and a comma."""
_ROUND = {10000.0: "1e4", -10000.0: "-1e4", 1e-6: "1e-6", -1e-6: "-1e-6"}
"""Numbers that are shorter than Python writes them."""
_ONCE = ("uniform", "normal", "boundary", "onehot", "ties", "zeros", "constant")
"""Distributions that draw once, so that the source of numbers needs no name."""


@dataclass
class Tensors:
    """Lines that define tensors, and the helpers they need."""

    lines: list[str] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)

    def add(self, variable: str, value: Array, type_: TensorType, recipe: Recipe, slot: Slot | None = None) -> None:
        """Defines `variable` as `value`, the numbers that the recipe makes."""
        self.lines.extend(_small(variable, value) or self._seeded(variable, value, type_, recipe, slot or Slot()))

    def _help(self, text: list[str]) -> None:
        if next(filter(None, text)) not in self.helpers:
            self.helpers.extend(text)

    def _seeded(self, variable: str, value: Array, type_: TensorType, recipe: Recipe, slot: Slot) -> list[str]:
        shape, dtype = _size(type_.shape), type_.dtype
        table = extremes(dtype) if recipe.distribution == "extremes" and slot.span is None else None
        if table is not None:
            ends = np.array(table, numpy_dtype(dtype))
            numbers = ", ".join(map(_number, np.abs(ends) if slot.positive else ends))
            chosen = f"np.random.RandomState({recipe.seed}).choice({variable}, {shape})"
            return [*assign(variable, f"np.array([{numbers}], {_dtype(dtype)})"), *assign(variable, chosen)]
        with np.errstate(all="ignore"):
            values = draw(recipe, type_.shape, slot.unit, slot.base)
        if recipe.distribution == "literal":
            lines: list[str] = []
            made = f"np.resize({list(recipe.values)!r}, {shape})"
        else:
            lines, made = self._drawn(variable, type_.shape, recipe, slot)
        if slot.positive:
            made = f"np.abs({made})"
        if len(made) > _LONG and made != variable:
            lines, made = [*lines, *assign(variable, made)], variable
        return self._typed(variable, lines, made, values, dtype, slot)

    def _drawn(self, variable: str, shape: tuple[int, ...], recipe: Recipe, slot: Slot) -> tuple[list[str], str]:
        """Lines, and the expression after them, of the numbers before they get a dtype: `draw`, step by step."""
        size = _size(shape)
        if recipe.distribution == "boundary":
            numbers = [_ROUND.get(value, repr(value)) for value in BOUNDARY]
            half = len(numbers) // 2
            rows = [f"    {', '.join(part)}," for part in (numbers[:half], numbers[half:])]
            self._help(["BOUNDARY = [", *rows, "]  # fmt: skip"])
        lines, random = [], f"np.random.RandomState({recipe.seed})"
        extreme = recipe.distribution == "extremes"
        if not extreme and (recipe.sparsity or recipe.distribution not in _ONCE):
            lines, random = [f"random = {random}"], "random"
        *steps, made = _raw(recipe.distribution, random, shape, variable)
        if len(made) > _LONG:
            steps, made = [*steps, made], variable
        lines += [line for step in steps for line in assign(variable, step)]
        if extreme:
            return lines, made
        scale, offset = recipe.scale * slot.unit, recipe.offset + slot.base
        if scale != 1.0:
            made += f" * {scale!r}"
        if recipe.offset or slot.base:
            made += f" + {offset!r}" if offset >= 0 else f" - {-offset!r}"
        if recipe.clusters:
            self._help(_CLUSTER.splitlines())
            made = f"cluster({made}, {recipe.clusters})"
        if not recipe.sparsity:
            return lines, made
        if recipe.pattern == "two_four":
            self._help(_TWO_FOUR.splitlines())
            return lines, f"two_four({made})"
        lines += assign(variable, made)
        if recipe.pattern == "random":
            return lines, f"np.where(random.uniform(0, 1, {size}) < {recipe.sparsity!r}, 0, {variable})"
        axis = max(0, len(shape) - 2)
        blocks = _size(tuple(-(-n // BLOCK) if i == axis else n for i, n in enumerate(shape)))
        gone = f"np.repeat(random.uniform(0, 1, {blocks}) < {recipe.sparsity!r}, {BLOCK}, {axis})"
        if shape[axis] % BLOCK:
            gone += f"[{':, ' * axis}:{shape[axis]}]"
        return lines, f"np.where({gone}, 0, {variable})"

    def _typed(
        self, variable: str, lines: list[str], made: str, values: NDArray[np.float64], dtype: str, slot: Slot
    ) -> list[str]:
        """The definition of `variable`: the numbers in their dtype, by the steps of `cast` that change something."""
        with np.errstate(all="ignore"):
            whole = np.rint((np.abs(values) if slot.positive else values) * INTEGER_STEP)
        rounded = f"np.rint({_factor(made)} * {INTEGER_STEP:g})"
        rounded = rounded if np.isfinite(whole).all() else f"np.nan_to_num({rounded})"
        if slot.span is not None:
            low, high = slot.span
            made = f"{rounded} % {max(1, high - low)}" + (f" + {low}" if low else "")
        elif dtype == "bool":
            return [*lines, *assign(variable, f"{_closed(made)} > 0")]
        elif dtype == "string":
            self._help(assign("WORDS", f"np.array({list(WORDS)!r}, object)"))
            made = _clipped(rounded, whole, -INTEGER_LIMIT, INTEGER_LIMIT)
            lines += assign(variable, made)
            return [*lines, *assign(variable, f"WORDS[{variable}.astype(int) % len(WORDS)]")]
        elif dtype.startswith(("int", "uint")):
            low, high = bounds(dtype)
            if low == 0 and bool((whole < 0).any()):
                rounded, whole = f"np.abs({rounded})", np.abs(whole)
            made = _clipped(rounded, whole, low, high)
        else:
            limit = LARGEST["float32" if dtype == "complex64" else dtype]
            fine = np.isfinite(values)
            if bool((np.abs(values[fine]) > limit).any()):
                lines = lines if made == variable else [*lines, *assign(variable, made)]
                made = f"np.clip({variable}, -{limit!r}, {limit!r})"
                if not fine.all():
                    made = f"np.where(np.isfinite({variable}), {made}, {variable})"
            made = f"{_factor(made)} * (1 + 0.5j)" if dtype == "complex64" else made
        return [*lines, *assign(variable, f"{_closed(made)}.astype({_dtype(dtype)})")]


def _raw(distribution: str, random: str, shape: tuple[int, ...], variable: str) -> list[str]:
    """The distribution itself, unscaled: see `fuzzer.build.values`. All expressions but the last go to `variable`."""
    size, last = _size(shape), shape[-1] if shape else 1
    low, high = HUGE_EXPONENTS
    return {
        "uniform": [f"{random}.uniform(-1, 1, {size})"],
        "normal": [f"{random}.standard_normal({size})"],
        "boundary": [f"{random}.choice(BOUNDARY, {size})"],
        "constant": [f"np.ones({size})"],
        "onehot": [
            f"{random}.randint(0, {max(1, last)}, {(*shape[:-1], 1)!r})",
            f"(np.arange({last}) == {variable}) * 1.0",
        ],
        "denormal": [f"{random}.uniform(-1, 1, {size})", f"{variable} * {random}.choice({_SUBNORMAL}, {size})"],
        "specials": [
            f"{random}.uniform(0, 1, {size}) < {SPECIAL_SHARE!r}",
            f"np.where({variable}, {random}.choice({_SPECIAL}, {size}), {random}.standard_normal({size}))",
        ],
        "huge": [
            f"{random}.choice([-1.0, 1.0], {size})",
            f"{variable} * {random}.uniform(1, 2, {size})",
            f"np.ldexp({variable}, {random}.randint({low}, {high}, {size}))",
        ],
        "channels": [
            f"{random}.standard_normal({size})",
            f"{variable} * {random}.choice({list(CHANNEL_SCALES)!r}, {last})",
        ],
        "ties": [f"{random}.randint({-TIES}, {TIES + 1}, {size}) * {TIE_STEP!r}"],
        "extremes": [f"{random}.choice([-2.0, -1.0, 0.0, 1.0, 2.0], {size})"],
        "zeros": [f"{random}.choice([0.0, -0.0], {size})"],
    }[distribution]


@dataclass(frozen=True)
class Slot:
    """What a weight slot adds to a recipe (see `fuzzer.ops.WeightSlot`)."""

    unit: float = 1.0
    base: float = 0.0
    positive: bool = False
    span: tuple[int, int] | None = None


def weights(case: Case, into: Tensors) -> list[str]:
    """Defines every weight as `<node>_<slot>`; returns the names in the campaign's order."""
    names = []
    for typed, values in zip(case.model.typed, weights_of(case), strict=True):
        for i, slot in enumerate(typed.slots):
            variable = f"{typed.name}_{slot.name}"
            recipe = typed.node.weights.get(slot.name, Recipe("normal", i))
            into.add(
                variable, values[slot.name], slot.type, recipe, Slot(slot.unit, slot.base, slot.positive, slot.span)
            )
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
            into.add(variable, value, type_, stream(recipe, i))
            row.append(variable)
        names.append(row)
    return names


def _small(variable: str, value: Array) -> list[str]:
    """The tensor written out, when it has few elements or is all one number; else nothing."""
    flat = value.reshape(-1)
    dtype = _dtype("string" if value.dtype.kind == "O" else value.dtype.name)
    shape = value.shape
    if not flat.size:
        return assign(variable, f"np.zeros({_size(shape)}, {dtype})")
    if (
        flat.size > 1
        and len(set(flat) if dtype == "object" else {flat[i : i + 1].tobytes() for i in range(flat.size)}) == 1
    ):
        if dtype != "object" and flat[:1].tobytes() == np.zeros(1, value.dtype).tobytes():
            return assign(variable, f"np.zeros({_size(shape)}, {dtype})")
        return assign(variable, f"np.full({_size(shape)}, {_number(flat[0])}, {dtype})")
    if flat.size > MAX_LITERAL:
        return []
    if not shape:
        return assign(variable, f"np.array({_number(flat[0])}, {dtype})")
    items = [_number(value) for value in flat]
    one, row = f"np.array([{', '.join(items)}], {dtype})", 0
    tail = "" if len(shape) == 1 else f".reshape({', '.join(map(str, shape))})"
    if len(f"{variable} = {one}{tail}") > WIDTH:
        row = _row(items, shape[-1])
    if not row:
        return assign(variable, one + tail)
    rows = [f"[{', '.join(items[i : i + row])}]" for i in range(0, len(items), row)]
    tail = "" if shape == (len(rows), row) else tail or f".reshape({_size(shape)})"
    return assign(variable, f"np.array([{', '.join(rows)}], {dtype}){tail}")


def _row(items: Sequence[str], last: int) -> int:
    """How many numbers of a table stand in a row: those of the last axis, or as many as fit; 0 where none do well."""
    fitting = [n for n in range(2, len(items)) if len(items) % n == 0 and _widest(items, n) <= _ROW]
    return last if last in fitting else max(fitting, default=0)


def _widest(items: Sequence[str], row: int) -> int:
    return max(len(", ".join(items[i : i + row])) for i in range(0, len(items), row))


def _size(shape: tuple[int, ...]) -> str:
    """A shape as an argument: a number for a vector."""
    return repr(shape if len(shape) != 1 else shape[0])


def _dtype(dtype: str) -> str:
    """The NumPy dtype of a dtype's name, as an expression."""
    return _DTYPES.get(dtype, f"np.{dtype}")


def _number(value: Any) -> str:
    """The shortest text that gives this number back in its own dtype."""
    if isinstance(value, bytes):
        return repr(value)
    if value.dtype.kind == "b":
        return repr(bool(value))
    if value.dtype.kind in "iu":
        return str(int(value))
    if value.dtype.kind == "c":
        return f"complex({_number(value.real)}, {_number(value.imag)})"
    number = float(value)
    if not np.isfinite(number):
        return ("-" if np.signbit(number) else "") + ("np.nan" if np.isnan(number) else "np.inf")
    text = str(value)
    back = np.array(float(text), value.dtype)
    # bfloat16 writes whole numbers without a point, and minus zero would be an int.
    exact = back.tobytes() == value.tobytes() and not text.lstrip("-").isdigit()
    return text if exact else repr(number)


def _clipped(made: str, values: NDArray[np.float64], low: int, high: int) -> str:
    """Clipping, where something is clipped."""
    over = not bool(((values >= low) & (values <= high)).all())
    return f"np.clip({made}, {low}, {high})" if over else made


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
