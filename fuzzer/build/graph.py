"""A case becomes TensorFlow computation: eager (the reference), in float64 (the truth), or traced (to convert).

All three walk the graph with the same `Op.build`, so they cannot drift apart. `tf` is passed in: importing
this module does not import TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fuzzer.build.values import Array
from fuzzer.case import Case, Conversion, TypedNode
from fuzzer.ops import REALS

Perturb = Callable[[Any], Any]
Variables = Sequence[dict[str, Any]]
"""Weights of every node as TensorFlow values, by slot name."""


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
    trained = case.conversion.scheme == "qat"
    values: dict[str, Any] = {
        f"x{i}": fake_quantised(tf, case.conversion, x) if trained else x for i, x in enumerate(inputs)
    }
    for typed, node_weights in zip(case.model.typed, weights, strict=True):
        operands = [values[name] for name in typed.node.operands]
        node_weights = with_variables(tf, typed, node_weights)
        spec = typed.node.spec
        if real == "float64" and spec.reference is not None:
            result = _in_numpy(tf, typed, operands, node_weights)
        elif real is not None and not spec.float64:
            result = _narrowed(tf, typed, operands, node_weights, real)
        else:
            result = spec.call(tf, operands, environment(typed, node_weights, real))
            if real is not None and result.dtype != real and typed.type.dtype in REALS:
                result = tf.cast(result, real)  # the real part of a complex64, which has no wider twin here
        if trained:
            result = fake_quantised(tf, case.conversion, result)
        values[typed.name] = after(result) if after else result
    return values


def with_variables(tf: Any, typed: TypedNode, weights: dict[str, Any]) -> dict[str, Any]:
    """The weights of a node, its state as fresh variables where it is not one yet."""
    state = {slot.name for slot in typed.slots if slot.variable and not hasattr(weights[slot.name], "assign")}
    return {name: tf.Variable(value) if name in state else value for name, value in weights.items()}


def _in_numpy(tf: Any, typed: TypedNode, operands: Sequence[Any], weights: dict[str, Any]) -> Any:
    """A node whose kernel does not exist in float64, by its op's own reference."""
    spec, given = typed.node.spec, environment(typed, {k: v.numpy() for k, v in weights.items()}, "float64")
    assert spec.reference is not None
    made = spec.reference(np, *(x.numpy() for x in operands), **{name: given.get(name) for name in spec.parameters})
    return tf.constant(made, "float64")


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


def trace(tf: Any, case: Case, weights: Sequence[dict[str, Array]], given: Variables | None = None) -> Any:
    """A `tf.function` with a fixed signature; call `get_concrete_function()` on it.

    Weights are constants, or the variables `given`, which the caller keeps alive. State is made here, outside the
    trace, and belongs to the function: it lives no longer.
    """
    names = output_names(case)
    # A constant made here would be captured as an argument: only what has state is.
    state = [
        {slot.name: tf.Variable(node[slot.name]) for slot in typed.slots if slot.variable}
        for typed, node in zip(case.model.typed, weights, strict=True)
    ]

    def model(*inputs: Any) -> dict[str, Any]:
        fixed = given if given is not None else constants(tf, weights)
        fixed = [{**node, **own} for node, own in zip(fixed, state, strict=True)]
        values = walk(tf, case, inputs, trained_weights(tf, case, fixed, weights))
        return {name: tf.identity(values[value]) for name, value in zip(names, case.model.outputs, strict=True)}

    return tf.function(model, input_signature=signature(tf, case), autograph=False)


def signature(tf: Any, case: Case) -> list[Any]:
    """The inputs as the converter is told of them: axes it shall not know are None."""
    shapes = [case.conversion.signature_shape(t.shape) for t in case.model.inputs]
    return [
        tf.TensorSpec(shape, t.dtype, name=f"x{i}")
        for i, (shape, t) in enumerate(zip(shapes, case.model.inputs, strict=True))
    ]


def variables(tf: Any, weights: Sequence[dict[str, Array]]) -> Variables:
    """Weights as variables."""
    return [{name: tf.Variable(value) for name, value in node.items()} for node in weights]


# --- quantisation-aware training by hand ------------------------------------------------------------------


_FOLDED = frozenset({"bias", "gamma", "beta", "mean", "variance"})
"""Weights that are not rounded: the converter quantises biases itself and folds batch normalisation into others."""


def activation_range(conversion: Conversion) -> tuple[float, float]:
    """The range of fake-quantised activations; below zero it is half as wide when it is not symmetric."""
    return -conversion.ranges * (1.0 if conversion.qat_symmetric else 0.5), conversion.ranges


def fake_quantised(tf: Any, conversion: Conversion, value: Any) -> Any:
    """An activation rounded as training would round it; other dtypes than float32 stay as they are."""
    if value.dtype != tf.float32:
        return value
    low, high = activation_range(conversion)
    bits = 16 if conversion.qat_bits == 16 else 8
    return tf.quantization.fake_quant_with_min_max_args(value, low, high, num_bits=bits)


def trained_weights(
    tf: Any, case: Case, given: Sequence[dict[str, Any]], numbers: Sequence[dict[str, Array]]
) -> Sequence[dict[str, Any]]:
    """The weights `given` (constants or variables of these numbers), rounded where the case is trained so."""
    conversion = case.conversion
    if conversion.scheme != "qat":
        return given
    state = [{slot.name for slot in typed.slots if slot.variable} for typed in case.model.typed]
    return [
        {
            name: value if name in own else _rounded(tf, conversion, name, value, known[name])
            for name, value in node.items()
        }
        for node, known, own in zip(given, numbers, state, strict=True)
    ]


def _rounded(tf: Any, conversion: Conversion, name: str, value: Any, numbers: Array) -> Any:
    """A weight between its own extremes."""
    if not fake_quantised_weight(name, numbers):
        return value
    quantise = tf.quantization
    bits = 8 if conversion.qat_bits == 16 else conversion.qat_bits
    axes = channel_axes(conversion, numbers.ndim)
    low, high = numbers.min(axes), numbers.max(axes)
    if conversion.qat_symmetric:
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    # A range must hold zero and be more than a point.
    low, high = np.minimum(low, 0.0).astype(np.float32), np.maximum(high, 1e-6).astype(np.float32)
    function = quantise.fake_quant_with_min_max_vars_per_channel if low.ndim else quantise.fake_quant_with_min_max_vars
    return function(value, low, high, num_bits=bits, narrow_range=conversion.qat_symmetric)


def fake_quantised_weight(name: str, numbers: Array) -> bool:
    """Whether training rounds a weight."""
    return name not in _FOLDED and numbers.dtype == np.float32 and numbers.size > 0


def channel_axes(conversion: Conversion, rank: int) -> tuple[int, ...]:
    """The axes over which a weight's extremes are taken: all, or all but the last where channels have their own."""
    channels = conversion.per_channel and rank >= (2 if conversion.qat_dense else 3)
    return tuple(range(rank - 1 if channels else rank))
