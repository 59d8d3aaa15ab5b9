"""NaN, infinity and negative zero: what TensorFlow defines of them, per TFLite operator.

`table.json` holds, for each operator and each combination of operands with a special value among them, whether the
result is NaN, an infinity or a finite number (`true` or `false` for comparisons). It was measured on TensorFlow
itself (`measure`), with rows of several lengths and the special value at every place of them, eagerly and inside a
`tf.function`: a vectorised main loop and its scalar tail may disagree. Where any of these do, or the result depends on
the number beside it, the entry is `varies`: TensorFlow defines nothing there and no kernel can be wrong.

`python -m fuzzer.oracles.special_values.measure` measures anew and writes the table; a test holds the one against the
other. What has no row is not judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array

TABLE_FILE = Path(__file__).with_name("table.json")
TINY = float(np.finfo(np.float32).tiny)
"""Smaller magnitudes are denormal: they may be flushed to zero, so what comes of them beside infinity is open."""

CLASSES = ("nan", "+inf", "-inf", "-0", "+0", "+x", "-x", "true", "false")
"""What an operand's element may be; `+x` and `-x` are ordinary finite numbers."""
SPECIALS = ("nan", "+inf", "-inf", "-0")
"""The classes that make a combination worth an entry."""
RESULTS = ("varies", "nan", "+inf", "-inf", "finite", "true", "false")
"""What a result's element may be. `varies`: not defined."""
UNKNOWN = -1
"""An element that belongs to no class: a denormal number, an integer."""


@dataclass(frozen=True)
class Row:
    """One operator. `rule` says how its results come about:

    `elementwise`: by the classes of the operands at one place, joined by commas. `reduce`: by the set of special
    classes among the elements that are reduced (`+inf -inf`). `window`: the same for the elements under a pooling
    window. `products`: a sum of products, by the class of the first operand's element and that of its factor.
    """

    operator: str
    rule: str
    operands: int
    cells: dict[str, str]

    def result(self, key: str) -> str:
        """The result for a combination; `varies` where there is no entry."""
        return self.cells.get(key, "varies")


def encoded(value: Array) -> NDArray[np.int8]:
    """The class of every element, as an index into `CLASSES`; `UNKNOWN` for what has none."""
    codes = np.full(value.shape, UNKNOWN, np.int8)
    if value.dtype == np.bool_:
        return np.where(value, CLASSES.index("true"), CLASSES.index("false")).astype(np.int8)
    if value.dtype.kind != "f":
        return codes
    negative, size = np.signbit(value), np.abs(value)
    finite = np.isfinite(value)
    for name, mask in (
        ("nan", np.isnan(value)),
        ("+inf", np.isinf(value) & ~negative),
        ("-inf", np.isinf(value) & negative),
        ("-0", (size == 0) & negative),
        ("+0", (size == 0) & ~negative),
        ("+x", finite & (size >= TINY) & ~negative),
        ("-x", finite & (size >= TINY) & negative),
    ):
        codes[mask] = CLASSES.index(name)
    return codes


def outcome(value: Array) -> NDArray[np.int8]:
    """What every element of a result is, as an index into `RESULTS`; 0 for dtypes that have no such thing."""
    if value.dtype == np.bool_:
        return np.where(value, RESULTS.index("true"), RESULTS.index("false")).astype(np.int8)
    if value.dtype.kind != "f":
        return np.zeros(value.shape, np.int8)
    made = np.full(value.shape, RESULTS.index("finite"), np.int8)
    for name, mask in zip(("nan", "+inf", "-inf"), special_masks(value), strict=True):
        made[mask] = RESULTS.index(name)
    return made


def special_masks(value: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Where a tensor of floats is NaN, plus infinity, minus infinity."""
    infinite, negative = np.isinf(value), np.signbit(value)
    return np.isnan(value), infinite & ~negative, infinite & negative


@cache
def table() -> dict[str, Row]:
    """The table by operator. Raises `OSError` or `ValueError` when the installed package is damaged."""
    tree = json.loads(TABLE_FILE.read_text())
    return {name: Row(name, row["rule"], int(row["operands"]), row["cells"]) for name, row in tree["rows"].items()}


@cache
def lookup(operator: str) -> NDArray[np.int8]:
    """The cells of an elementwise operator as an array: one axis an operand, indexed by classes, holding results."""
    row = table()[operator]
    made = np.zeros((len(CLASSES),) * row.operands, np.int8)
    for key, result in row.cells.items():
        made[tuple(CLASSES.index(name) for name in key.split(","))] = RESULTS.index(result)
    return made
