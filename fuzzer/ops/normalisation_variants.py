"""Normalisation that looks at the values it is given: layer, group, instance and root mean square; unit length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Flag, Float, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer

_DTYPES = ("float32",)
_EPSILON = Float(1e-7, 0.1, 1e-3, special=(1e-3, 1e-5, 1e-6), log=True)


def _scale_and_shift(shape: tuple[int, ...], dtype: str) -> tuple[WeightSlot, ...]:
    channel = TensorType(shape, dtype)
    return WeightSlot("gamma", channel, 0.25, base=1.0), WeightSlot("beta", channel, 0.5)


def _per_channel(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return _scale_and_shift(operands[0].shape[-1:], operands[0].dtype)


def _few_passes(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return 4 * out.elements


# --- layer_norm -------------------------------------------------------------------------------------------


def layer_norm(tf: Any, x: Any, *, gamma: Any, beta: Any, epsilon: Any, last: Any) -> Any:
    """Brings the last axes of every entry to mean 0 and variance 1, then scales and shifts."""
    axes = [-1 - i for i in range(last)]
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


def layer_norm_layer(keras: Any, *, epsilon: Any, last: Any) -> Any:
    """The Keras layer."""
    return keras.layers.LayerNormalization(axis=[i - last for i in range(last)], epsilon=epsilon)


def _layer_norm_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if integer(attrs["last"]) >= operands[0].rank:
        raise UnfitError(f"{attrs['last']} axes leave no batch of rank {operands[0].rank}")
    return operands[0]


def _layer_norm_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    return _scale_and_shift(x.shape[x.rank - integer(attrs["last"]) :], x.dtype)


# --- group_norm, instance_norm, rms_norm ------------------------------------------------------------------


def group_norm(tf: Any, x: Any, *, gamma: Any, beta: Any, epsilon: Any, groups: Any, out_shape: Any) -> Any:
    """Brings every group of channels of every entry to mean 0 and variance 1, then scales and shifts."""
    grouped = tf.reshape(x, [*out_shape[:-1], groups, out_shape[-1] // groups])
    axes = [*range(1, x.shape.rank - 1), x.shape.rank]
    mean, variance = tf.nn.moments(grouped, axes, keepdims=True)
    normal = tf.reshape((grouped - mean) * tf.math.rsqrt(variance + epsilon), out_shape)
    return normal * gamma + beta


def group_norm_layer(keras: Any, *, epsilon: Any, groups: Any) -> Any:
    """The Keras layer."""
    return keras.layers.GroupNormalization(groups, epsilon=epsilon)


def _group_norm_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if operands[0].shape[-1] % integer(attrs["groups"]):
        raise UnfitError(f"{attrs['groups']} groups do not divide {operands[0].shape[-1]} channels")
    return operands[0]


def instance_norm(tf: Any, x: Any, *, gamma: Any, beta: Any, epsilon: Any) -> Any:
    """Brings every channel of every entry to mean 0 and variance 1, then scales and shifts."""
    mean, variance = tf.nn.moments(x, list(range(1, x.shape.rank - 1)), keepdims=True)
    return (x - mean) / tf.sqrt(variance + epsilon) * gamma + beta


def rms_norm(tf: Any, x: Any, *, gamma: Any, epsilon: Any) -> Any:
    """Divides by the root mean square over the last axis, then scales."""
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + epsilon) * gamma


def _gamma(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return _per_channel(operands, attrs)[:1]


# --- batch_norm on other roads ----------------------------------------------------------------------------


def batch_norm_axis(
    tf: Any, x: Any, *, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: Any, axis: Any
) -> Any:
    """Computes gamma * (x - mean) / sqrt(variance + epsilon) + beta over an axis counted from the end."""
    shape = [-1 if i == x.shape.rank - axis else 1 for i in range(x.shape.rank)]
    scale = tf.reshape(gamma * tf.math.rsqrt(variance + epsilon), shape)
    return x * scale + (tf.reshape(beta, shape) - tf.reshape(mean, shape) * scale)


def batch_norm_axis_layer(keras: Any, *, epsilon: Any, axis: Any) -> Any:
    """The Keras layer."""
    return keras.layers.BatchNormalization(axis=-axis, epsilon=epsilon)


def _axis_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if integer(attrs["axis"]) >= operands[0].rank:
        raise UnfitError(f"axis -{attrs['axis']} is no channel axis of rank {operands[0].rank}")
    return operands[0]


def _axis_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    channel = TensorType((x.shape[x.rank - integer(attrs["axis"])],), x.dtype)
    return (
        *_scale_and_shift(channel.shape, x.dtype),
        WeightSlot("mean", channel, 0.5),
        WeightSlot("variance", channel, 0.5, base=1.0, positive=True),
    )


def batch_norm_training(tf: Any, x: Any, *, gamma: Any, beta: Any, epsilon: Any) -> Any:
    """Normalises every channel by the mean and variance of the batch it is in.

    The fused kernel exists for float32 only; everything else takes the plain formula.
    """
    if x.dtype == tf.float32:
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
        ).y
    mean, variance = tf.nn.moments(x, [0, 1, 2])
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


# --- unit length ------------------------------------------------------------------------------------------


def l2_normalize(tf: Any, x: Any, *, axis: Any, epsilon: Any) -> Any:
    """Divides by the length along an axis counted from the end."""
    return tf.math.l2_normalize(x, axis=-axis, epsilon=epsilon)


def l2_divide(tf: Any, x: Any, *, axis: Any, epsilon: Any, form: Any) -> Any:
    """Divides by the length along an axis, in one of the spellings the converter may recognise."""
    square_sum = tf.reduce_sum(tf.square(x), axis=-axis, keepdims=True)
    if form == "rsqrt":
        return x * tf.math.rsqrt(square_sum + epsilon)
    if form == "maximum":
        return x / tf.sqrt(tf.maximum(square_sum, epsilon))
    return x / tf.sqrt(square_sum + epsilon)


def unit_normalization(tf: Any, x: Any, *, axis: Any) -> Any:
    """Divides by the length along an axis, as Keras does."""
    return tf.math.l2_normalize(x, axis=-axis)


def unit_normalization_layer(keras: Any, *, axis: Any) -> Any:
    """The Keras layer."""
    return keras.layers.UnitNormalization(axis=-axis)


def _reached(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if integer(attrs["axis"]) > operands[0].rank:
        raise UnfitError(f"axis -{attrs['axis']} is outside rank {operands[0].rank}")
    return operands[0]


def clip_by_norm(tf: Any, x: Any, *, axis: Any, limit: Any) -> Any:
    """Shortens what is longer than a limit along an axis counted from the end."""
    return tf.clip_by_norm(x, limit, axes=[-axis])


def local_response_normalization(tf: Any, x: Any, *, depth_radius: Any, bias: Any, alpha: Any, beta: Any) -> Any:
    """Divides every element by a power of the sum of the squares of its neighbours in depth.

    The kernel exists for float32 only; everything else takes the plain formula.
    """
    if x.dtype == tf.float32:
        return tf.nn.local_response_normalization(x, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta)
    near = tf.linalg.band_part(tf.ones([x.shape[3], x.shape[3]], x.dtype), depth_radius, depth_radius)
    return x / (bias + alpha * tf.tensordot(tf.square(x), near, axes=1)) ** beta


def moments(tf: Any, x: Any, *, last: Any, keepdims: Any, pick: Any) -> Any:
    """Mean or variance over the last axes."""
    return tf.nn.moments(x, [-1 - i for i in range(last)], keepdims=keepdims)[pick]


def _moments_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, last = operands[0], integer(attrs["last"])
    if last > x.rank:
        raise UnfitError(f"there are no {last} axes in rank {x.rank}")
    return TensorType((*x.shape[: x.rank - last], *((1,) * last if attrs["keepdims"] else ())), x.dtype)


OPS = (
    Op(
        "layer_norm",
        layer_norm,
        _layer_norm_type,
        attrs={"epsilon": _EPSILON, "last": Int(1, 3, 1)},
        weights=_layer_norm_weights,
        cost=_few_passes,
        ranks=(2, 3, 4, 5),
        dtypes=_DTYPES,
        keras=layer_norm_layer,
        keras_weights=("gamma", "beta"),
        weight=1.5,
    ),
    Op(
        "group_norm",
        group_norm,
        _group_norm_type,
        attrs={"epsilon": _EPSILON, "groups": Choice((1, 2, 3, 4, 8))},
        weights=_per_channel,
        cost=_few_passes,
        ranks=(3, 4, 5),
        dtypes=_DTYPES,
        keras=group_norm_layer,
        keras_weights=("gamma", "beta"),
        static=True,
    ),
    Op(
        "instance_norm",
        instance_norm,
        attrs={"epsilon": _EPSILON},
        weights=_per_channel,
        cost=_few_passes,
        ranks=(3, 4, 5),
        dtypes=_DTYPES,
        weight=0.7,
    ),
    Op("rms_norm", rms_norm, attrs={"epsilon": _EPSILON}, weights=_gamma, cost=_few_passes, dtypes=_DTYPES),
    Op(
        "batch_norm_axis",
        batch_norm_axis,
        _axis_type,
        attrs={"epsilon": _EPSILON, "axis": Int(1, 4, 2)},
        weights=_axis_weights,
        ranks=(2, 3, 4, 5),
        dtypes=_DTYPES,
        keras=batch_norm_axis_layer,
        keras_weights=("gamma", "beta", "mean", "variance"),
        weight=0.7,
    ),
    Op(
        "batch_norm_training",
        batch_norm_training,
        attrs={"epsilon": _EPSILON},
        weights=_per_channel,
        cost=_few_passes,
        ranks=(4,),
        dtypes=_DTYPES,
        weight=0.5,
    ),
    Op(
        "l2_normalize",
        l2_normalize,
        _reached,
        attrs={"axis": Int(1, 5, 1), "epsilon": Float(1e-12, 1.0, 1e-12, special=(1e-12, 1e-6, 0.1), log=True)},
        dtypes=_DTYPES,
    ),
    Op(
        "l2_divide",
        l2_divide,
        _reached,
        attrs={
            "axis": Int(1, 5, 1),
            "epsilon": Float(0.0, 1.0, 1e-6, special=(0.0, 1e-6, 1e-12, 0.1)),
            "form": Choice(("rsqrt", "maximum", "sqrt")),
        },
        dtypes=_DTYPES,
        weight=0.5,
    ),
    Op(
        "unit_normalization",
        unit_normalization,
        _axis_type,
        attrs={"axis": Int(1, 3, 1)},
        ranks=(2, 3, 4, 5),
        dtypes=_DTYPES,
        keras=unit_normalization_layer,
        weight=0.4,
    ),
    Op(
        "clip_by_norm",
        clip_by_norm,
        _reached,
        attrs={"axis": Int(1, 5, 1), "limit": Float(0.01, 10.0, 1.0, log=True)},
        dtypes=_DTYPES,
        weight=0.5,
    ),
    Op(
        "local_response_normalization",
        local_response_normalization,
        attrs={
            "depth_radius": Int(0, 8, 5),
            "bias": Float(0.001, 4.0, 1.0, special=(1.0, 2.0), log=True),
            "alpha": Float(1e-5, 4.0, 1.0, special=(1.0, 1e-4), log=True),
            "beta": Float(0.05, 2.0, 0.5, special=(0.5, 0.75, 1.0, 2.0)),
        },
        cost=lambda operands, attrs, out: out.elements * (2 * integer(attrs["depth_radius"]) + 1),
        ranks=(4,),
        dtypes=_DTYPES,
    ),
    Op(
        "moments",
        moments,
        _moments_type,
        attrs={"last": Int(1, 5, 1), "keepdims": Flag(), "pick": Choice((0, 1))},
        cost=_few_passes,
        dtypes=_DTYPES,
        weight=0.7,
    ),
)
