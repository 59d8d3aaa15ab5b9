"""Normalisation layers at inference time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Flag, Float
from fuzzer.ops.spec import FLOATS, Attrs, Op, TensorType, WeightSlot


def batch_norm(tf: Any, x: Any, *, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: Any, fused: Any) -> Any:
    """Computes gamma * (x - mean) / sqrt(variance + epsilon) + beta over the last axis.

    The fused kernel exists for float32 images only; everything else takes the plain formula.
    """
    if fused and x.dtype == tf.float32:
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
        ).y
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


def batch_norm_layer(keras: Any, *, epsilon: Any) -> Any:
    """The Keras layer."""
    return keras.layers.BatchNormalization(epsilon=epsilon)


def _batch_norm_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    if attrs["fused"] and x.rank != 4:
        raise UnfitError(f"the fused kernel takes rank 4, not {x.rank}")
    return x


def _batch_norm_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    channel = TensorType(operands[0].shape[-1:], operands[0].dtype)
    return (
        WeightSlot("gamma", channel, 0.25, base=1.0),
        WeightSlot("beta", channel, 0.5),
        WeightSlot("mean", channel, 0.5),
        WeightSlot("variance", channel, 0.5, base=1.0, positive=True),
    )


OPS = (
    Op(
        "batch_norm",
        batch_norm,
        _batch_norm_type,
        attrs={
            "epsilon": Float(1e-6, 0.1, 1e-3, special=(1e-3, 1e-5, 1.001e-5), log=True),
            "fused": Flag(),
        },
        weights=_batch_norm_weights,
        ranks=(2, 3, 4),
        dtypes=FLOATS,
        keras=batch_norm_layer,
        keras_weights=("gamma", "beta", "mean", "variance"),
        weight=2.0,
    ),
)
