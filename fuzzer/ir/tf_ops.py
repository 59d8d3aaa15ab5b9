"""Operators of the `tf` dialect: each is the `tf.raw_ops` function of its name, called eagerly.

What the dialect derives from types (`DstT`, `Tout`) is filled in from the result types, by the op's own `OpDef`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from inspect import signature
from typing import Any

import numpy as np

from fuzzer.ir.errors import NotEvaluableError
from fuzzer.ir.text import Dense, Operation, Raw, Symbol, SyntaxRefused
from fuzzer.ir.values import DTYPES, array_of, tensor_type

Array = np.ndarray[Any, Any]
_SEGMENTS = "operandSegmentSizes"
_RANDOM = ("Random", "Multinomial", "Stateless")


def call(tf: Any, op: Operation, args: Sequence[Any]) -> list[Array]:
    """The results of one operator on NumPy arrays. Raises `NotEvaluableError`."""
    from tensorflow.python.framework import op_def_registry

    name = op.name.removeprefix("tf.")
    definition = op_def_registry.get(name)
    function = getattr(tf.raw_ops, name, None)
    if definition is None or function is None or name.startswith(_RANDOM):
        raise NotEvaluableError(f"{op.name}: no raw op that gives the same twice")
    try:
        named = dict(_operands(tf, op, definition, args))
        for attr in definition.attr:
            value = _attribute(tf, op, definition, attr)
            if value is not None:
                named[attr.name] = value
        found = function(**_renamed(function, definition, named))
    except (tf.errors.OpError, SyntaxRefused, TypeError, ValueError) as error:
        # What TensorFlow's argument checks and kernels raise; an op without a kernel is `NotFoundError`.
        raise NotEvaluableError(f"{op.name}: {type(error).__name__}: {str(error)[:120]}") from error
    return [np.asarray(value) for value in _flat(tf, found)]


@cache
def _keywords(function: Any) -> tuple[str, ...]:
    return tuple(name for name in signature(function).parameters if name != "name")


def _renamed(function: Any, definition: Any, named: dict[str, Any]) -> dict[str, Any]:
    """The arguments under Python's names: the API definitions rename some (`reduction_indices` is `axis`)."""
    keywords = _keywords(function)
    known = [arg.name for arg in definition.input_arg] + [attr.name for attr in definition.attr]
    unknown = [name for name in known if name in named and name not in keywords]
    spare = [name for name in keywords if name not in known]
    table = dict(zip(unknown, spare, strict=False))
    return {table.get(name, name): value for name, value in named.items()}


def _flat(tf: Any, found: Any) -> list[Any]:
    if found is None or isinstance(found, tf.Operation):
        return []
    if isinstance(found, list | tuple):
        return [leaf for part in found for leaf in _flat(tf, part)]
    return [found]


def _operands(tf: Any, op: Operation, definition: Any, args: Sequence[Any]) -> list[tuple[str, Any]]:
    """Operands by the name of the `OpDef`; several may stand for one of its lists."""
    specs = list(definition.input_arg)
    lists = [bool(s.number_attr or s.type_list_attr) for s in specs]
    sizes = op.attributes.get(_SEGMENTS)
    if sizes is None:
        if sum(lists) > 1:
            raise NotEvaluableError(f"{op.name}: several lists of operands")
        sizes = [len(args) - len(specs) + 1 if many else 1 for many in lists]
    named, at = [], 0
    for spec, many, size in zip(specs, lists, sizes, strict=True):
        group = [_given(tf, spec, value) for value in args[at : at + size]]
        at += size
        named.append((spec.name, group if many else group[0]))
    if at != len(args):
        raise NotEvaluableError(f"{op.name}: {len(args)} operands")
    return named


def _given(tf: Any, spec: Any, value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise NotEvaluableError(f"operand {spec.name} is no tensor")
    return tf.constant(value)


def _attribute(tf: Any, op: Operation, definition: Any, attr: Any) -> Any:
    """An attribute of the `OpDef` as Python's value; None where its default, or the operands, settle it."""
    if attr.name in op.attributes:
        return _value(tf, op.attributes[attr.name], attr.type)
    if any(attr.name in (s.type_attr, s.number_attr, s.type_list_attr) for s in definition.input_arg):
        return None
    for at, spec in enumerate(definition.output_arg):  # a list of results is the only one, or the last
        if spec.type_attr == attr.name:
            return tf.as_dtype(tensor_type(op.result_types[at]).dtype)
        if spec.type_list_attr == attr.name:
            return [tf.as_dtype(tensor_type(t).dtype) for t in op.result_types[at:]]
    return len(op.result_types) if any(s.number_attr == attr.name for s in definition.output_arg) else None


def _value(tf: Any, value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [_value(tf, item, kind.removeprefix("list(").removesuffix(")")) for item in value]
    if isinstance(value, Symbol):
        raise NotEvaluableError("a function as an attribute")
    if isinstance(value, Dense):
        return tf.make_tensor_proto(array_of(value))
    if isinstance(value, Raw):
        if kind == "type" and value.text in DTYPES:
            return tf.as_dtype(DTYPES[value.text])
        if kind == "shape" and value.text.startswith("tf_type.shape<"):
            return _shape(tf, value.text)
        raise NotEvaluableError(f"attribute {value.text[:40]}")
    return value


def _shape(tf: Any, text: str) -> Any:
    inner = text[len("tf_type.shape<") : -1]
    if "*" in inner:
        return tf.TensorShape(None)
    return tf.TensorShape([None if d in ("?", "-1") else int(d) for d in inner.split("x") if d])
