"""Look-up tables from numbers to words and back.

A table is a resource that outlives a run in the process, so its name says all of its contents: two tables of one
name are equal, and filling one again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.ops.domains import Int
from fuzzer.ops.spec import Attrs, Op, TensorType

_ATTRS = {"size": Int(1, 40, 5), "step": Int(1, 7, 1), "first": Int(-20, 20, 0)}


def table_word(tf: Any, x: Any, *, size: Any, step: Any, first: Any, out_shape: Any) -> Any:
    """The word of each number, and a stand-in for those the table does not hold."""
    name = "words_" + str(size) + "_" + str(step) + "_" + str(first)
    table = tf.raw_ops.HashTableV2(key_dtype=tf.int64, value_dtype=tf.string, shared_name=name)
    keys = tf.constant([first + i * step for i in range(size)], tf.int64)
    values = tf.constant(["word" * (i % 3) + str(i) for i in range(size)])
    filled = tf.raw_ops.LookupTableImportV2(table_handle=table, keys=keys, values=values)
    with tf.control_dependencies([filled] if filled is not None else []):
        found = tf.raw_ops.LookupTableFindV2(table_handle=table, keys=x, default_value=tf.constant("?"))
    return tf.reshape(found, out_shape)


def table_number(tf: Any, x: Any, *, size: Any, step: Any, first: Any, out_shape: Any) -> Any:
    """The number of each word, and a stand-in for those the table does not hold."""
    name = "numbers_" + str(size) + "_" + str(step) + "_" + str(first)
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name=name)
    known = ["", "a", "ab", "word"]
    keys = tf.constant([known[i] if i < 4 else "word" + str(i) for i in range(size)])
    values = tf.constant([first + i * step for i in range(size)], tf.int64)
    filled = tf.raw_ops.LookupTableImportV2(table_handle=table, keys=keys, values=values)
    with tf.control_dependencies([filled] if filled is not None else []):
        found = tf.raw_ops.LookupTableFindV2(table_handle=table, keys=x, default_value=tf.constant(-1, tf.int64))
    return tf.reshape(found, out_shape)


def _to_word(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, "string")


def _to_number(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, "int64")


OPS = (
    Op(
        "table_word",
        table_word,
        _to_word,
        _ATTRS,
        dtypes=("int64",),
        weight=0.2,
        static=True,
        entries=("concrete_function",),
    ),
    Op(
        "table_number",
        table_number,
        _to_number,
        _ATTRS,
        dtypes=("string",),
        weight=0.2,
        static=True,
        entries=("concrete_function",),
    ),
)
