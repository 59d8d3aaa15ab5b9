"""Losses and similarities of a prediction and a target, element by element or over the last axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Domain, Flag, Float
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, one_per_operand_element

_DTYPES = ("float32",)


def softmax_cross_entropy(tf: Any, x: Any, y: Any = None, *, target: Any) -> Any:
    """Cross-entropy of softmax(x) against the softmax of a target, from the logits."""
    labels = tf.nn.softmax(y if y is not None else target)
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=x)


def sparse_softmax_cross_entropy(tf: Any, x: Any, *, classes: Any) -> Any:
    """Cross-entropy of softmax(x) against the numbers of the classes, from the logits."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=x)


def weighted_cross_entropy(tf: Any, x: Any, y: Any = None, *, target: Any, positive: Any) -> Any:
    """Cross-entropy of sigmoid(x) against a target, positive answers weighing more or less."""
    labels = tf.sigmoid(y if y is not None else target)
    return tf.nn.weighted_cross_entropy_with_logits(labels=labels, logits=x, pos_weight=positive)


def log_poisson_loss(tf: Any, x: Any, y: Any = None, *, target: Any, full: Any) -> Any:
    """Log-likelihood of Poisson counts under the rate exp(x), optionally with Stirling's term."""
    counts = tf.abs(y if y is not None else target)
    return tf.nn.log_poisson_loss(counts, tf.minimum(x, 8.0), compute_full_loss=full)


def huber(tf: Any, x: Any, y: Any = None, *, target: Any, delta: Any) -> Any:
    """Half the square of small errors, linear in large ones."""
    error = tf.abs(x - (y if y is not None else target))
    small = tf.minimum(error, delta)
    return 0.5 * small * small + delta * (error - small)


def huber_where(tf: Any, x: Any, y: Any = None, *, target: Any, delta: Any) -> Any:
    """The mean over the last axis of half the square of small errors and a line for large ones."""
    error = tf.abs(x - (y if y is not None else target))
    each = tf.where(error <= delta, 0.5 * tf.square(error), delta * error - 0.5 * delta * delta)
    return tf.reduce_mean(each, axis=-1)


def mean_squared_error(tf: Any, x: Any, y: Any = None, *, target: Any) -> Any:
    """Mean over the last axis of the squared difference."""
    return tf.reduce_mean(tf.math.squared_difference(x, y if y is not None else target), axis=-1)


def mean_absolute_error(tf: Any, x: Any, y: Any = None, *, target: Any) -> Any:
    """Mean over the last axis of the absolute difference."""
    return tf.reduce_mean(tf.abs(x - (y if y is not None else target)), axis=-1)


def cosine_similarity(tf: Any, x: Any, y: Any = None, *, target: Any) -> Any:
    """Sum over the last axis of the products of two unit vectors."""
    unit = tf.math.l2_normalize(y if y is not None else target, axis=-1, epsilon=1e-6)
    return tf.reduce_sum(tf.math.l2_normalize(x, axis=-1, epsilon=1e-6) * unit, axis=-1)


def hinge(tf: Any, x: Any, y: Any = None, *, target: Any) -> Any:
    """Mean over the last axis of what is missing to a margin of 1."""
    return tf.reduce_mean(tf.maximum(1.0 - x * (y if y is not None else target), 0.0), axis=-1)


def kl_divergence(tf: Any, x: Any, y: Any = None, *, target: Any) -> Any:
    """Divergence of softmax(x) from the softmax of a target."""
    goal = y if y is not None else target
    return tf.reduce_sum(tf.nn.softmax(goal) * (tf.nn.log_softmax(goal) - tf.nn.log_softmax(x)), axis=-1)


def log_cosh(tf: Any, x: Any, y: Any = None, *, target: Any) -> Any:
    """Log of the hyperbolic cosine of the error, in the form that does not overflow."""
    error = x - (y if y is not None else target)
    return error + tf.math.softplus(-2.0 * error) - 0.6931472


def _same(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if len(operands) == 2 and operands[0].shape != operands[1].shape:
        raise UnfitError(f"prediction {operands[0]} and target {operands[1]} differ in shape")
    return operands[0]


def _reduced(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = _same(operands, attrs)
    return TensorType(x.shape[:-1], x.dtype)


def _target(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return () if len(operands) == 2 else (WeightSlot("target", operands[0]),)


def _classes(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    return (WeightSlot("classes", TensorType(x.shape[:-1], "int32"), span=(0, x.shape[-1])),)


def _loss(
    build: Callable[..., Any],
    infer: Callable[[Sequence[TensorType], Attrs], TensorType],
    weight: float,
    attrs: Mapping[str, Domain] | None = None,
) -> Op:
    return Op(
        build.__name__,
        build,
        infer,
        attrs=attrs or {},
        weights=_target,
        cost=one_per_operand_element,
        arity=(1, 2),
        ranks=(2, 3, 4, 1),
        dtypes=_DTYPES,
        weight=weight,
    )


_DELTA = {"delta": Float(0.01, 10.0, 1.0, special=(1.0, 0.5), log=True)}

OPS = (
    _loss(softmax_cross_entropy, _reduced, 0.5),
    Op(
        "sparse_softmax_cross_entropy",
        sparse_softmax_cross_entropy,
        _reduced,
        weights=_classes,
        cost=one_per_operand_element,
        ranks=(2, 3, 4),
        dtypes=_DTYPES,
        weight=0.4,
    ),
    _loss(
        weighted_cross_entropy,
        _same,
        0.3,
        {"positive": Float(0.1, 10.0, 1.0, special=(1.0, 2.0), log=True)},
    ),
    _loss(log_poisson_loss, _same, 0.2, {"full": Flag()}),
    _loss(huber, _same, 0.3, _DELTA),
    _loss(huber_where, _reduced, 0.3, _DELTA),
    _loss(mean_squared_error, _reduced, 0.4),
    _loss(mean_absolute_error, _reduced, 0.3),
    _loss(cosine_similarity, _reduced, 0.5),
    _loss(hinge, _reduced, 0.3),
    _loss(kl_divergence, _reduced, 0.3),
    _loss(log_cosh, _same, 0.3),
)
