"""Measures on the installed TensorFlow what comes of NaN, infinity and negative zero: the making of `table.json`.

Every combination is tried on rows of `LENGTHS` elements with the special value at several places in turn (all others
hold ordinary numbers), eagerly and traced. The lengths are below, at and above the widths of vector registers, so
that main loop and tail of a vectorised kernel both take part (Eigen packets: 4, 8 or 16 floats).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fuzzer.build import Array
from fuzzer.oracles.special_values import CLASSES, RESULTS, SPECIALS, TABLE_FILE, outcome

LENGTHS = (1, 3, 4, 5, 16, 17)
NUMBERS: dict[str, tuple[Any, ...]] = {
    "nan": (np.nan,),
    "+inf": (np.inf,),
    "-inf": (-np.inf,),
    "-0": (-0.0,),
    "+0": (0.0,),
    "+x": (0.25, 1.0, 2.0, 3.0, 40.5),
    "-x": (-0.25, -1.0, -2.0, -3.0, -40.5),
    "true": (True,),
    "false": (False,),
}
"""Numbers that stand for a class: fractions, one, even and odd whole numbers, which powers tell apart."""
_FLOATS = CLASSES[:7]
MAX_ORDERS = 17
"""Arrangements of the special values in a reduced row that are tried, spread over all there are."""
Function = Callable[..., Any]
FILLER = 1.5
"""What the other elements of a row hold."""


def _unary(tf: Any) -> dict[str, tuple[Function, ...]]:
    """Functions of one operand; several where an attribute of the operator changes the function."""
    return {
        "ABS": (tf.abs,),
        "CEIL": (tf.math.ceil,),
        "COS": (tf.cos,),
        "ELU": (tf.nn.elu,),
        "EXP": (tf.exp,),
        "FLOOR": (tf.floor,),
        "GELU": (lambda x: tf.nn.gelu(x, False), lambda x: tf.nn.gelu(x, True)),
        "HARD_SWISH": (lambda x: x * tf.nn.relu6(x + 3.0) / 6.0,),
        "LEAKY_RELU": tuple(lambda x, a=a: tf.nn.leaky_relu(x, a) for a in (0.2, 0.0, -0.5, 1.5)),
        "LOG": (tf.math.log,),
        "LOGISTIC": (tf.sigmoid,),
        "NEG": (tf.negative,),
        "RELU": (tf.nn.relu,),
        "RELU6": (tf.nn.relu6,),
        "RELU_N1_TO_1": (lambda x: tf.clip_by_value(x, -1.0, 1.0),),
        "RELU_0_TO_1": (lambda x: tf.clip_by_value(x, 0.0, 1.0),),
        "ROUND": (tf.round,),
        "RSQRT": (tf.math.rsqrt,),
        "SIGN": (tf.sign,),
        "SIN": (tf.sin,),
        "SQRT": (tf.sqrt,),
        "SQUARE": (tf.square,),
        "TANH": (tf.tanh,),
    }


def _binary(tf: Any) -> dict[str, tuple[Function, ...]]:
    return {
        "ADD": (tf.add,),
        "ATAN2": (tf.atan2,),
        "DIV": (tf.divide,),
        "EQUAL": (tf.equal,),
        "FLOOR_DIV": (tf.math.floordiv,),
        "FLOOR_MOD": (tf.math.floormod,),
        "GREATER": (tf.greater,),
        "GREATER_EQUAL": (tf.greater_equal,),
        "LESS": (tf.less,),
        "LESS_EQUAL": (tf.less_equal,),
        "MAXIMUM": (tf.maximum,),
        "MINIMUM": (tf.minimum,),
        "MUL": (tf.multiply,),
        "NOT_EQUAL": (tf.not_equal,),
        "POW": (tf.pow,),
        "PRELU": (lambda x, a: tf.nn.relu(x) + a * -tf.nn.relu(-x),),
        "SQUARED_DIFFERENCE": (tf.math.squared_difference,),
        "SUB": (tf.subtract,),
    }


def _reduced(tf: Any) -> dict[str, Function]:
    """Functions whose every result depends on a whole row."""
    return {
        "L2_NORMALIZATION": lambda x: tf.math.l2_normalize(x, -1),
        "LOG_SOFTMAX": tf.nn.log_softmax,
        "MEAN": lambda x: tf.reduce_mean(x, -1),
        "REDUCE_MAX": lambda x: tf.reduce_max(x, -1),
        "REDUCE_MIN": lambda x: tf.reduce_min(x, -1),
        "REDUCE_PROD": lambda x: tf.reduce_prod(x, -1),
        "SOFTMAX": tf.nn.softmax,
        "SUM": lambda x: tf.reduce_sum(x, -1),
    }


def _pooled(tf: Any) -> dict[str, Function]:
    def shaped(pool: Function) -> Function:
        # One image of one row, pooled whole: a window of the row's length.
        return lambda x: pool(tf.reshape(x, [1, 1, -1, 1]), [1, x.shape[0]], 1, "VALID")

    return {"AVERAGE_POOL_2D": shaped(tf.nn.avg_pool2d), "MAX_POOL_2D": shaped(tf.nn.max_pool2d)}


def _products(tf: Any) -> dict[str, Function]:
    """Sums of products of two rows, as each operator computes them."""

    def image(x: Any) -> Any:
        return tf.reshape(x, [1, 1, -1, 1])

    def filters(w: Any) -> Any:
        return tf.reshape(w, [1, -1, 1, 1])

    return {
        "BATCH_MATMUL": lambda x, w: tf.matmul(tf.reshape(x, [1, 1, -1]), tf.reshape(w, [1, -1, 1])),
        "CONV_2D": lambda x, w: tf.nn.conv2d(image(x), filters(w), 1, "VALID"),
        "DEPTHWISE_CONV_2D": lambda x, w: tf.nn.depthwise_conv2d(image(x), filters(w), [1, 1, 1, 1], "VALID"),
        "FULLY_CONNECTED": lambda x, w: tf.matmul(tf.reshape(x, [1, -1]), tf.reshape(w, [-1, 1])),
    }


def measure() -> dict[str, Any]:
    """The whole table as JSON values. Takes about half a minute."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it warns of functions that are traced for many shapes, which is the point

    rows: dict[str, Any] = {}
    for operands, functions in ((1, _unary(tf)), (2, _binary(tf))):
        for name, several in functions.items():
            rows[name] = _row("elementwise", operands, _elementwise(tf, several, [_FLOATS] * operands))
    select = (tf.where,)
    kinds = [("true", "false"), _FLOATS, _FLOATS]
    rows["SELECT"] = rows["SELECT_V2"] = _row("elementwise", 3, _elementwise(tf, select, kinds))
    for rule, reductions in (("reduce", _reduced(tf)), ("window", _pooled(tf))):
        for name, function in reductions.items():
            rows[name] = _row(rule, 1, _reduction(tf, function))
    for name, function in _products(tf).items():
        rows[name] = _row("products", 2, _sums(tf, function))
    return {"tensorflow": tf.__version__, "rows": dict(sorted(rows.items()))}


def _row(rule: str, operands: int, cells: dict[str, str]) -> dict[str, Any]:
    return {"rule": rule, "operands": operands, "cells": cells}


def _both(tf: Any, function: Function) -> tuple[Function, Function]:
    """A function as it is and traced, each giving an array."""
    traced = tf.function(function, reduce_retracing=False)
    return (
        lambda *rows: np.asarray(function(*map(tf.constant, rows))),
        lambda *rows: np.asarray(traced(*map(tf.constant, rows))),
    )


def _agreed(results: Iterable[Array]) -> str:
    """The one class that all results are of, or `varies`."""
    seen: set[int] = set()
    for result in results:
        seen.update(int(code) for code in np.unique(outcome(result)))
        if len(seen) > 1:
            return "varies"
    return RESULTS[seen.pop()]


def _elementwise(tf: Any, several: Sequence[Function], kinds: Sequence[Sequence[str]]) -> dict[str, str]:
    """One entry for each combination of classes with a special one among them."""
    runners = [runner for function in several for runner in _both(tf, function)]
    cells = {}
    for combination in itertools.product(*kinds):
        if not set(combination) & set(SPECIALS):
            continue

        def results(combination: tuple[str, ...] = combination) -> Iterable[Array]:
            for numbers in itertools.product(*(NUMBERS[name] for name in combination)):
                for length in LENGTHS:
                    for runner in runners:
                        for place in sorted({0, length // 2, length - 1}):
                            rows = [_one(number, length, place) for number in numbers]
                            yield np.atleast_1d(runner(*rows))[place : place + 1]

        cells[",".join(combination)] = _agreed(results())
    return cells


def _one(number: Any, length: int, place: int) -> Array:
    """A row of ordinary numbers with another one at a place; of truths where the number is one."""
    truth = isinstance(number, bool)
    row: Array = np.full(length, True if truth else FILLER, np.bool_ if truth else np.float32)
    row[place] = number
    return row


def _reduction(tf: Any, function: Function) -> dict[str, str]:
    """One entry for each set of special values among what is reduced; everything reduced must agree on it."""
    runners = _both(tf, function)
    cells = {}
    for size in (1, 2, 3):
        for chosen in itertools.combinations(("nan", "+inf", "-inf"), size):

            def results(chosen: tuple[str, ...] = chosen) -> Iterable[Array]:
                for filler, length, runner in itertools.product((1.5, -1.5, 0.0), LENGTHS, runners):
                    if length < len(chosen):
                        continue
                    orders = math.perm(length, len(chosen))
                    step = max(1, orders // MAX_ORDERS)
                    for places in itertools.islice(itertools.permutations(range(length), len(chosen)), 0, None, step):
                        row: Array = np.full(length, filler, np.float32)
                        for place, name in zip(places, chosen, strict=True):
                            row[place] = NUMBERS[name][0]
                        yield np.atleast_1d(runner(row))

            cells[" ".join(chosen)] = _agreed(results())
    return cells


def _sums(tf: Any, function: Function) -> dict[str, str]:
    """One entry for each special value of the data and each class of the weight that it meets."""
    runners = _both(tf, function)
    cells = {}
    for special, factor in itertools.product(("nan", "+inf", "-inf"), ("+0", "-0", "+x", "-x")):

        def results(special: str = special, factor: str = factor) -> Iterable[Array]:
            for weight, length, runner in itertools.product(NUMBERS[factor], LENGTHS, runners):
                for place in range(length):
                    data, weights = np.full(length, FILLER, np.float32), np.full(length, FILLER, np.float32)
                    data[place], weights[place] = NUMBERS[special][0], weight
                    yield np.atleast_1d(runner(data, weights))

        cells[f"{special},{factor}"] = _agreed(results())
    return cells


def main() -> None:
    """Measures and writes the table beside this module."""
    TABLE_FILE.write_text(text(measure()))


def text(tree: dict[str, Any]) -> str:
    """The table as JSON with one operator a line, so that a change of one shows as one."""
    rows = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in tree["rows"].items()]
    return f'{{\n "tensorflow": {json.dumps(tree["tensorflow"])},\n "rows": {{\n' + ",\n".join(rows) + "\n }\n}\n"


if __name__ == "__main__":
    main()
