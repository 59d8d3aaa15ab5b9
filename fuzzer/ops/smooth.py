"""Smooth activations, those of Keras among them: one operand, same shape (but for the gated one)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.broadcasting import RANKS
from fuzzer.ops.domains import Flag, Float, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, integer


def softplus(tf: Any, x: Any) -> Any:
    """log(1 + exp(x))."""
    return tf.math.softplus(x)


def softplus_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("softplus")


def softsign(tf: Any, x: Any) -> Any:
    """X / (1 + |x|)."""
    return tf.nn.softsign(x)


def softsign_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("softsign")


def silu(tf: Any, x: Any) -> Any:
    """X * sigmoid(x), also called swish."""
    return tf.nn.silu(x)


def silu_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("swish")


def swish_beta(tf: Any, x: Any, *, beta: Any) -> Any:
    """X * sigmoid(beta * x)."""
    return tf.nn.silu(x, beta=beta)


def gelu(tf: Any, x: Any) -> Any:
    """X times the normal distribution at x, by the error function."""
    return tf.nn.gelu(x, approximate=False)


def gelu_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("gelu")


def gelu_tanh(tf: Any, x: Any) -> Any:
    """X times the normal distribution at x, by its approximation with tanh."""
    return tf.nn.gelu(x, approximate=True)


def gelu_sigmoid(tf: Any, x: Any) -> Any:
    """X times the normal distribution at x, by its approximation with a sigmoid."""
    return x * tf.nn.sigmoid(1.702 * x)


def mish(tf: Any, x: Any) -> Any:
    """X * tanh(softplus(x))."""
    return x * tf.tanh(tf.math.softplus(x))


def mish_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("mish")


def selu(tf: Any, x: Any) -> Any:
    """Scaled exponential linear unit."""
    return tf.nn.selu(x)


def selu_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("selu")


def elu_alpha(tf: Any, x: Any, *, alpha: Any) -> Any:
    """X where positive, alpha * (exp(x) - 1) elsewhere."""
    return tf.where(x > 0, tf.nn.elu(x), alpha * tf.nn.elu(x))


def elu_alpha_layer(keras: Any, *, alpha: Any) -> Any:
    """The Keras layer."""
    return keras.layers.ELU(alpha)


def celu(tf: Any, x: Any, *, alpha: Any) -> Any:
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)."""
    return tf.maximum(x, 0.0) + alpha * tf.math.expm1(tf.minimum(x, 0.0) / alpha)


def log_sigmoid(tf: Any, x: Any) -> Any:
    """Logarithm of the sigmoid."""
    return tf.math.log_sigmoid(x)


def sigmoid_by_hand(tf: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)), spelled out."""
    return 1.0 / (1.0 + tf.exp(-x))


def tanh_shrink(tf: Any, x: Any) -> Any:
    """X - tanh(x)."""
    return x - tf.tanh(x)


def squareplus(tf: Any, x: Any, *, b: Any) -> Any:
    """(x + sqrt(x * x + b)) / 2."""
    return (x + tf.sqrt(tf.square(x) + b)) / 2.0


def glu(tf: Any, x: Any, *, axis: Any) -> Any:
    """The first half along an axis (counted from the end), gated by the sigmoid of the second half."""
    halves = tf.split(x, 2, axis=-axis)
    return halves[0] * tf.nn.sigmoid(halves[1])


def _glu_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = _place(x, attrs)
    if x.shape[axis] % 2:
        raise UnfitError(f"axis {axis} of {x} has no halves")
    return TensorType((*x.shape[:axis], x.shape[axis] // 2, *x.shape[axis + 1 :]), x.dtype)


def log_softmax(tf: Any, x: Any, *, axis: Any) -> Any:
    """Logarithm of the softmax over one axis, counted from the end."""
    return tf.nn.log_softmax(x, axis=-axis)


def softmax_by_hand(tf: Any, x: Any, *, axis: Any, shift: Any) -> Any:
    """exp(x) over its sum along one axis, counted from the end; with the maximum taken off first or not."""
    powers = tf.exp(x - tf.reduce_max(x, axis=-axis, keepdims=True) if shift else x)
    return powers / tf.reduce_sum(powers, axis=-axis, keepdims=True)


def _same_with_axis(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    _place(operands[0], attrs)
    return operands[0]


def _place(x: TensorType, attrs: Attrs) -> int:
    axis = integer(attrs["axis"])
    if axis > x.rank:
        raise UnfitError(f"axis -{axis} is outside rank {x.rank}")
    return x.rank - axis


_AXIS = Int(1, 6, 1)

OPS = (
    Op("softplus", softplus, ranks=RANKS, empty=True, keras=softplus_layer),
    Op("softsign", softsign, ranks=RANKS, empty=True, keras=softsign_layer, weight=0.5),
    Op("silu", silu, ranks=RANKS, empty=True, keras=silu_layer),
    Op(
        "swish_beta",
        swish_beta,
        attrs={"beta": Float(-4.0, 4.0, 1.0, special=(1.0, 0.0, 1.702))},
        ranks=RANKS,
        dtypes=("float32",),
        empty=True,
        weight=0.4,
    ),
    Op("gelu", gelu, ranks=RANKS, empty=True, keras=gelu_layer),
    Op("gelu_tanh", gelu_tanh, ranks=RANKS, empty=True),
    Op("gelu_sigmoid", gelu_sigmoid, ranks=RANKS, empty=True, weight=0.3),
    Op("mish", mish, ranks=RANKS, empty=True, keras=mish_layer, weight=0.7),
    Op("selu", selu, ranks=RANKS, empty=True, keras=selu_layer, weight=0.7),
    Op(
        "elu_alpha",
        elu_alpha,
        attrs={"alpha": Float(0.0, 4.0, 1.0, special=(0.0, 0.5, 1.0))},
        ranks=RANKS,
        empty=True,
        keras=elu_alpha_layer,
        weight=0.4,
    ),
    Op("celu", celu, attrs={"alpha": Float(0.1, 4.0, 1.0)}, ranks=RANKS, empty=True, weight=0.4),
    Op("log_sigmoid", log_sigmoid, ranks=RANKS, empty=True, weight=0.5),
    Op("sigmoid_by_hand", sigmoid_by_hand, ranks=RANKS, empty=True, weight=0.2),
    Op("tanh_shrink", tanh_shrink, ranks=RANKS, empty=True, weight=0.3),
    Op("squareplus", squareplus, attrs={"b": Float(0.0, 8.0, 4.0)}, ranks=RANKS, empty=True, weight=0.3),
    Op("glu", glu, _glu_type, attrs={"axis": _AXIS}, ranks=RANKS[1:], empty=True, weight=0.5),
    Op("log_softmax", log_softmax, _same_with_axis, attrs={"axis": _AXIS}, ranks=RANKS[1:]),
    Op(
        "softmax_by_hand",
        softmax_by_hand,
        _same_with_axis,
        attrs={"axis": _AXIS, "shift": Flag(True)},
        ranks=RANKS[1:],
        weight=0.5,
    ),
)
