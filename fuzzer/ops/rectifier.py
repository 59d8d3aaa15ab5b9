"""Activations made of clamps and slopes: what converters fuse into RELU_N1_TO_1, RELU_0_TO_1, HARD_SWISH, PRELU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.broadcasting import CONSTANT, RANKS, broadcast, constant_shape
from fuzzer.ops.domains import Choice, Domain, Flag, Float, Ints
from fuzzer.ops.spec import FLOATS, INTS, Attrs, Op, TensorType, WeightSlot


def relu_n1_to_1(tf: Any, x: Any, *, last: Any, swap: Any) -> Any:
    """X clamped to [-1, 1]; which bound comes last and on which side the constants stand is free."""
    low = tf.constant(-1, x.dtype)
    high = tf.constant(1, x.dtype)
    if last == "minimum":
        raised = tf.maximum(low, x) if swap else tf.maximum(x, low)
        return tf.minimum(high, raised) if swap else tf.minimum(raised, high)
    lowered = tf.minimum(high, x) if swap else tf.minimum(x, high)
    return tf.maximum(low, lowered) if swap else tf.maximum(lowered, low)


def relu_0_to_1(tf: Any, x: Any, *, last: Any, swap: Any) -> Any:
    """X clamped to [0, 1]; only with the constants on the left is it one TFLite op."""
    low = tf.constant(0, x.dtype)
    high = tf.constant(1, x.dtype)
    if last == "minimum":
        raised = tf.maximum(low, x) if swap else tf.maximum(x, low)
        return tf.minimum(high, raised) if swap else tf.minimum(raised, high)
    lowered = tf.minimum(high, x) if swap else tf.minimum(x, high)
    return tf.maximum(low, lowered) if swap else tf.maximum(lowered, low)


def relu_up_to(tf: Any, x: Any, *, limit: Any) -> Any:
    """min(relu(x), limit)."""
    return tf.minimum(tf.nn.relu(x), tf.cast(limit, x.dtype))


def general_relu(tf: Any, x: Any, *, capped: Any, max_value: Any, negative_slope: Any, threshold: Any) -> Any:
    """X above the threshold (and up to a cap), a slope below it."""
    above = tf.where(x > threshold, x, tf.zeros_like(x))
    held = tf.minimum(above, max_value) if capped else above
    return held - negative_slope * tf.nn.relu(threshold - x)


def general_relu_layer(keras: Any, *, capped: Any, max_value: Any, negative_slope: Any, threshold: Any) -> Any:
    """The Keras layer."""
    return keras.layers.ReLU(
        max_value=max_value if capped else None, negative_slope=negative_slope, threshold=threshold
    )


def leaky_relu_max(tf: Any, x: Any, *, alpha: Any) -> Any:
    """max(alpha * x, x)."""
    return tf.maximum(x * alpha, x)


# --- PReLU ------------------------------------------------------------------------------------------------


def prelu(tf: Any, x: Any, *, alpha: Any) -> Any:
    """X where positive, elsewhere times a constant for each element of a batch entry, some axes shared."""
    return tf.nn.relu(x) + -alpha * tf.nn.relu(-x)


def prelu_layer(keras: Any, *, shared: Any) -> Any:
    """The Keras layer."""
    return keras.layers.PReLU(shared_axes=[axis for axis in (1, 2, 3, 4, 5) if shared[axis - 1]])


def _prelu_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, shared = operands[0], attrs["shared"]
    assert isinstance(shared, tuple)
    shape = tuple(1 if one else size for size, one in zip(x.shape[1:], shared, strict=False))
    return (WeightSlot("alpha", TensorType(shape, x.dtype), 0.3),)


def _prelu_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, shared = operands[0], attrs["shared"]
    assert isinstance(shared, tuple)
    if any(shared[x.rank - 1 :]):
        raise UnfitError(f"shared axes {shared} are more than {x} has")
    return x


def prelu_broadcast(tf: Any, x: Any, *, slope: Any, form: Any) -> Any:
    """X where positive, elsewhere times a constant of any shape that broadcasts."""
    if form == "where":
        return tf.where(x > 0, x, x * slope)
    if form == "subtract":
        return tf.nn.relu(x) - slope * tf.nn.relu(-x)
    return tf.nn.relu(x) + -slope * tf.nn.relu(-x)


def _slope(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("slope", TensorType(constant_shape(operands, attrs), operands[0].dtype), 0.3),)


def _broadcast_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType(broadcast(x.shape, constant_shape(operands, attrs)), x.dtype)


# --- hard and shrinking -----------------------------------------------------------------------------------


def hard_sigmoid(tf: Any, x: Any) -> Any:
    """relu6(x + 3) / 6."""
    return tf.nn.relu6(x + 3.0) / 6.0


def hard_sigmoid_clip(tf: Any, x: Any) -> Any:
    """0.2 * x + 0.5 held between 0 and 1."""
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


def hard_swish(tf: Any, x: Any, *, form: Any) -> Any:
    """X * relu6(x + 3) / 6, the factors in one order or another."""
    gate = tf.nn.relu6(x + 3.0)
    if form == "divide last":
        return x * gate / 6.0
    if form == "divide gate":
        return x * (gate / 6.0)
    if form == "multiply gate":
        return x * (gate * 0.16666667)
    return gate * x * 0.16666667


def hard_tanh(tf: Any, x: Any) -> Any:
    """X held between -1 and 1."""
    return tf.clip_by_value(x, -1.0, 1.0)


def hard_shrink(tf: Any, x: Any, *, threshold: Any) -> Any:
    """X where it is farther from zero than the threshold, 0 elsewhere."""
    return tf.where(tf.abs(x) > threshold, x, tf.zeros_like(x))


def soft_shrink(tf: Any, x: Any, *, threshold: Any) -> Any:
    """X moved towards zero by the threshold."""
    return tf.where(x > threshold, x - threshold, tf.where(x < -threshold, x + threshold, tf.zeros_like(x)))


def threshold(tf: Any, x: Any, *, limit: Any, other: Any) -> Any:
    """X above the limit, a constant elsewhere."""
    return tf.where(x > limit, x, other * tf.ones_like(x))


def sparse_plus(tf: Any, x: Any) -> Any:
    """0 up to -1, x from 1 on, a parabola between."""
    return tf.where(x <= -1.0, tf.zeros_like(x), tf.where(x < 1.0, 0.25 * (x + 1.0) ** 2, x))


def sparse_sigmoid(tf: Any, x: Any) -> Any:
    """0 up to -1, 1 from 1 on, a line between."""
    return tf.where(x <= -1.0, tf.zeros_like(x), tf.where(x >= 1.0, tf.ones_like(x), 0.5 * (x + 1.0)))


_CLAMP: dict[str, Domain] = {"last": Choice(("minimum", "maximum")), "swap": Flag()}
_THRESHOLD = {"threshold": Float(0.0, 3.0, 0.5, special=(0.0, 0.5, 1.0))}

OPS = (
    Op("relu_n1_to_1", relu_n1_to_1, attrs=_CLAMP, ranks=RANKS, dtypes=(*FLOATS, *INTS), empty=True),
    Op("relu_0_to_1", relu_0_to_1, attrs=_CLAMP, ranks=RANKS, dtypes=(*FLOATS, *INTS), empty=True),
    Op(
        "relu_up_to",
        relu_up_to,
        attrs={"limit": Float(0.0, 20.0, 6.0, special=(6.0, 1.0, 0.0, 20.0))},
        ranks=RANKS,
        empty=True,
        weight=0.5,
    ),
    Op(
        "general_relu",
        general_relu,
        attrs={
            "capped": Flag(),
            "max_value": Float(0.0, 20.0, 6.0, special=(6.0, 1.0, 0.0)),
            "negative_slope": Float(0.0, 2.0, 0.0, special=(0.0, 0.1, 1.0)),
            "threshold": Float(0.0, 4.0, 0.0, special=(0.0, 1.0)),
        },
        ranks=RANKS,
        empty=True,
        keras=general_relu_layer,
        discontinuous=True,
        weight=0.7,
    ),
    Op(
        "leaky_relu_max",
        leaky_relu_max,
        attrs={"alpha": Float(-2.0, 2.0, 0.2, special=(0.0, 0.1, 0.999, 1.0))},
        ranks=RANKS,
        empty=True,
        weight=0.5,
    ),
    Op(
        "prelu",
        prelu,
        _prelu_type,
        attrs={"shared": Ints(5, 0, 1, 0)},
        weights=_prelu_weights,
        ranks=RANKS[2:],
        dtypes=("float32",),
        keras=prelu_layer,
        keras_weights=("alpha",),
    ),
    Op(
        "prelu_broadcast",
        prelu_broadcast,
        _broadcast_type,
        attrs={**CONSTANT, "form": Choice(("add", "subtract", "where"))},
        weights=_slope,
        ranks=RANKS,
        dtypes=("float32",),
        empty=True,
        weight=0.7,
    ),
    Op("hard_sigmoid", hard_sigmoid, ranks=RANKS, empty=True, weight=0.7),
    Op("hard_sigmoid_clip", hard_sigmoid_clip, ranks=RANKS, empty=True, weight=0.4),
    Op(
        "hard_swish",
        hard_swish,
        attrs={"form": Choice(("divide last", "divide gate", "multiply gate", "gate first"))},
        ranks=RANKS,
        empty=True,
        weight=1.5,
    ),
    Op("hard_tanh", hard_tanh, ranks=RANKS, empty=True, weight=0.4),
    Op("hard_shrink", hard_shrink, attrs=_THRESHOLD, ranks=RANKS, empty=True, discontinuous=True, weight=0.3),
    Op("soft_shrink", soft_shrink, attrs=_THRESHOLD, ranks=RANKS, empty=True, weight=0.3),
    Op(
        "threshold",
        threshold,
        attrs={"limit": Float(-3.0, 3.0, 0.0, special=(0.0, 1.0)), "other": Float(-3.0, 3.0, 0.0, special=(0.0, 1.0))},
        ranks=RANKS,
        empty=True,
        discontinuous=True,
        weight=0.3,
    ),
    Op("sparse_plus", sparse_plus, ranks=RANKS, empty=True, weight=0.2),
    Op("sparse_sigmoid", sparse_sigmoid, ranks=RANKS, empty=True, weight=0.2),
)
