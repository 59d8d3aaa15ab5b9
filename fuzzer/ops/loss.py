"""Losses that people export with their model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.spec import FLOATS, Attrs, Op, TensorType, WeightSlot


def sigmoid_cross_entropy(tf: Any, x: Any, y: Any = None, *, labels: Any) -> Any:
    """Cross-entropy of sigmoid(x) against labels, from the logits."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=y if y is not None else labels, logits=x)


def _loss_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if len(operands) == 2 and operands[0].shape != operands[1].shape:
        raise UnfitError(f"logits {operands[0]} and labels {operands[1]} differ in shape")
    return operands[0]


def _labels(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return () if len(operands) == 2 else (WeightSlot("labels", operands[0], 0.3, base=0.5),)


OPS = (
    Op(
        "sigmoid_cross_entropy",
        sigmoid_cross_entropy,
        _loss_type,
        weights=_labels,
        arity=(1, 2),
        ranks=(1, 2, 3, 4),
        dtypes=FLOATS,
    ),
)
