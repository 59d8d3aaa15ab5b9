"""Activations: one operand, same shape."""

from __future__ import annotations

from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.broadcasting import RANKS
from fuzzer.ops.domains import Float, Int
from fuzzer.ops.spec import FLOATS, INTS, Attrs, Op, TensorType


def relu(tf: Any, x: Any) -> Any:
    """max(x, 0)."""
    return tf.nn.relu(x)


def relu6(tf: Any, x: Any) -> Any:
    """min(max(x, 0), 6)."""
    return tf.nn.relu6(x)


def leaky_relu(tf: Any, x: Any, *, alpha: Any) -> Any:
    """X where positive, alpha * x elsewhere."""
    return tf.nn.leaky_relu(x, alpha=alpha)


def elu(tf: Any, x: Any) -> Any:
    """X where positive, exp(x) - 1 elsewhere."""
    return tf.nn.elu(x)


def sigmoid(tf: Any, x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return tf.nn.sigmoid(x)


def tanh(tf: Any, x: Any) -> Any:
    """Hyperbolic tangent."""
    return tf.nn.tanh(x)


def softmax(tf: Any, x: Any, *, axis: Any) -> Any:
    """Softmax over one axis, counted from the end."""
    return tf.nn.softmax(x, axis=-axis)


def relu_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.ReLU()


def relu6_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.ReLU(max_value=6.0)


def elu_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("elu")


def sigmoid_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("sigmoid")


def tanh_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("tanh")


def softmax_layer(keras: Any, *, axis: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Softmax(axis=-axis)


def _softmax_type(operands: Any, attrs: Attrs) -> TensorType:
    x: TensorType = operands[0]
    axis = attrs["axis"]
    if not isinstance(axis, int) or axis > x.rank:
        raise UnfitError(f"axis -{axis} is outside rank {x.rank}")
    return x


OPS = (
    Op("relu", relu, ranks=RANKS, dtypes=FLOATS + INTS, empty=True, keras=relu_layer, weight=2.0),
    Op("relu6", relu6, ranks=RANKS, dtypes=FLOATS + INTS, empty=True, keras=relu6_layer, weight=2.0),
    Op(
        "leaky_relu",
        leaky_relu,
        attrs={"alpha": Float(-2.0, 4.0, 0.2, special=(0.0, 0.01, 0.2, 0.5, 1.0, 1.5, -0.5))},
        ranks=RANKS,
        empty=True,
        weight=2.0,
    ),
    Op("elu", elu, ranks=RANKS, empty=True, keras=elu_layer),
    Op("sigmoid", sigmoid, ranks=RANKS, empty=True, keras=sigmoid_layer, weight=1.5),
    Op("tanh", tanh, ranks=RANKS, empty=True, keras=tanh_layer),
    Op("softmax", softmax, _softmax_type, attrs={"axis": Int(1, 5, 1)}, ranks=(2, 3, 4, 5), keras=softmax_layer),
)
