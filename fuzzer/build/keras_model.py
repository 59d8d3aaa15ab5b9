"""A case becomes a Keras model, of Keras 3 or of legacy Keras: real layers where an op has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from fuzzer.build.graph import environment
from fuzzer.build.values import Array
from fuzzer.case import Case, TypedNode


def keras_model(tf: Any, keras: Any, case: Case, weights: Sequence[dict[str, Array]]) -> Any:
    """The functional model. `keras` is `keras` (3) or `tf_keras`; weights are set from `weights`."""
    inputs = [
        keras.Input(batch_shape=case.conversion.signature_shape(t.shape), dtype=t.dtype, name=f"x{i}")
        for i, t in enumerate(case.model.inputs)
    ]
    values: dict[str, Any] = {f"x{i}": x for i, x in enumerate(inputs)}
    for typed, node_weights in zip(case.model.typed, weights, strict=True):
        operands = [values[name] for name in typed.node.operands]
        values[typed.name] = _apply(tf, keras, typed, operands, node_weights)
    return keras.Model(inputs, [values[name] for name in case.model.outputs])


def _apply(tf: Any, keras: Any, typed: TypedNode, operands: list[Any], weights: dict[str, Array]) -> Any:
    """One node as its layer, or as a layer that calls the op's own TensorFlow code."""
    spec = typed.node.spec
    if spec.keras is None or not layer_fits(typed):
        env = environment(typed, weights)
        wrapped = op_layer(keras)(lambda *xs: spec.call(tf, xs, env), name=f"{typed.name}_{spec.name}")
        return wrapped(operands if len(operands) > 1 else operands[0])
    arguments = {name: typed.node.attrs[name] for name in spec.keras_parameters}
    layer = spec.keras(keras, **arguments)
    result = layer(operands if len(operands) > 1 else operands[0])
    values = [weights[name] for name in spec.keras_weights if name in weights]
    if values:
        layer.set_weights(values)
    return result


def layer_fits(typed: TypedNode) -> bool:
    """Whether the Keras layer computes what the op computes here."""
    return typed.type.dtype == "float32"


@cache
def op_layer(keras: Any) -> Any:
    """A layer class of this Keras that calls a function of its operands."""

    class OpLayer(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, function: Callable[..., Any], **options: Any) -> None:
            super().__init__(**options)
            self._function = function

        def call(self, inputs: Any) -> Any:
            return self._function(*inputs) if isinstance(inputs, list | tuple) else self._function(inputs)

        def get_config(self) -> dict[str, Any]:
            """The function itself is part of it: it is copied within the process, never written."""
            return {**super().get_config(), "function": self._function}

    return OpLayer
