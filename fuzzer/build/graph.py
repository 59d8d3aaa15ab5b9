"""A case becomes TensorFlow computation: eager (the reference), in float64 (the truth), or traced (to convert).

All three walk the graph with the same `Op.build`, so they cannot drift apart. `tf` is passed in: importing
this module does not import TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fuzzer.build.values import Array
from fuzzer.case import Case, TypedNode
from fuzzer.ops import REALS

Perturb = Callable[[Any], Any]


def environment(typed: TypedNode, weights: dict[str, Any], real: str | None = None) -> dict[str, Any]:
    """What an op's `build` may ask for: attributes, weights, the result's shape and its dtype.

    `real` stands in for every float dtype (`float64` in the truth).
    """
    dtype = real if real is not None and typed.type.dtype in REALS else typed.type.dtype
    return {**typed.node.attrs, **weights, "out_shape": list(typed.type.shape), "out_dtype": dtype}


def walk(
    tf: Any,
    case: Case,
    inputs: Sequence[Any],
    weights: Sequence[dict[str, Any]],
    after: Perturb | None = None,
    real: str | None = None,
) -> dict[str, Any]:
    """Computes every value by name. `after` may replace each node's result (used to measure conditioning).

    With `real` the floats of the graph are of that dtype; inputs and weights must be given in it.
    """
    values: dict[str, Any] = {f"x{i}": x for i, x in enumerate(inputs)}
    for typed, node_weights in zip(case.model.typed, weights, strict=True):
        operands = [values[name] for name in typed.node.operands]
        node_weights = with_variables(tf, typed, node_weights)
        spec = typed.node.spec
        if real is not None and not spec.float64:
            result = _narrowed(tf, typed, operands, node_weights, real)
        else:
            result = spec.call(tf, operands, environment(typed, node_weights, real))
        values[typed.name] = after(result) if after else result
    return values


def with_variables(tf: Any, typed: TypedNode, weights: dict[str, Any]) -> dict[str, Any]:
    """The weights of a node, its state as fresh variables where it is not one yet."""
    state = {slot.name for slot in typed.slots if slot.variable and not hasattr(weights[slot.name], "assign")}
    return {name: tf.Variable(value) if name in state else value for name, value in weights.items()}


def _narrowed(tf: Any, typed: TypedNode, operands: Sequence[Any], weights: dict[str, Any], real: str) -> Any:
    """A node whose kernel exists in float32 only, inside a graph of another float dtype."""

    def narrow(value: Any) -> Any:
        return tf.cast(value, "float32") if value.dtype == real else value

    given = with_variables(tf, typed, {name: narrow(value) for name, value in weights.items()})
    result = typed.node.spec.call(tf, [narrow(x) for x in operands], environment(typed, given, "float32"))
    return tf.cast(result, real) if result.dtype.is_floating else result


def run_eager(tf: Any, case: Case, inputs: Sequence[Array], weights: Sequence[dict[str, Any]]) -> list[Array]:
    """TensorFlow op by op in the case's own dtypes: the outputs in the model's order."""
    values = walk(tf, case, [tf.constant(x) for x in inputs], weights)
    return [array(values[name]) for name in case.model.outputs]


def array(value: Any) -> Array:
    """An eager tensor as an array; a lone string is bytes to TensorFlow."""
    raw = value.numpy()
    if not isinstance(raw, bytes):
        return np.asarray(raw)
    lone = np.empty((), object)
    lone[()] = raw
    return lone


def constants(tf: Any, weights: Sequence[dict[str, Array]], dtype: str | None = None) -> list[dict[str, Any]]:
    """Weights as constants, floats optionally in another dtype."""
    return [{name: tf.constant(_as(value, dtype)) for name, value in node.items()} for node in weights]


def _as(value: Array, dtype: str | None) -> Array:
    if dtype is None or value.dtype.name not in REALS:
        return value
    return value.astype(dtype)


def output_names(case: Case) -> list[str]:
    """Signature names of the outputs: two digits, so that the order by name is the order by position."""
    return [f"y{i:02d}" for i in range(len(case.model.outputs))]


def trace(tf: Any, case: Case, weights: Sequence[dict[str, Array]]) -> Any:
    """A `tf.function` with a fixed signature and constant weights; call `get_concrete_function()` on it.

    State is made here, outside the trace, and belongs to the function: it lives no longer.
    """
    signature = [tf.TensorSpec(t.shape, t.dtype, name=f"x{i}") for i, t in enumerate(case.model.inputs)]
    names = output_names(case)
    # A constant made here would be captured as an argument: only what has state is.
    state = [
        {slot.name: tf.Variable(node[slot.name]) for slot in typed.slots if slot.variable}
        for typed, node in zip(case.model.typed, weights, strict=True)
    ]

    def model(*inputs: Any) -> dict[str, Any]:
        given = [{**fixed, **own} for fixed, own in zip(constants(tf, weights), state, strict=True)]
        values = walk(tf, case, inputs, given)
        return {name: tf.identity(values[value]) for name, value in zip(names, case.model.outputs, strict=True)}

    return tf.function(model, input_signature=signature, autograph=False)
