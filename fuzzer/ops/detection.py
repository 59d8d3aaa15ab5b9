"""Object detection: non-maximum suppression. Rows of the operand are boxes and, behind them, scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Float, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer, no_weights

_OVERLAP = Float(0.0, 1.0, 0.5, special=(0.0, 1.0))
_SCORE = Float(-3.0, 3.0, -1.0, special=(0.0,))
_MAX_BOXES = 64


def nms_v4(tf: Any, x: Any, *, boxes: Any, most: Any, overlap: Any, score: Any, pick: Any) -> Any:
    """The indices of the boxes that stay, or their number; scores are the operand."""
    kept = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes,
        scores=x,
        max_output_size=most,
        iou_threshold=tf.cast(overlap, x.dtype),
        score_threshold=tf.cast(score, x.dtype),
        pad_to_max_output_size=True,
    )
    return kept[1] if pick == "count" else kept[0]


def nms_v5(tf: Any, x: Any, *, boxes: Any, most: Any, overlap: Any, score: Any, sigma: Any, pick: Any) -> Any:
    """The same with scores that fall as boxes overlap (soft suppression)."""
    kept = tf.raw_ops.NonMaxSuppressionV5(
        boxes=boxes,
        scores=x,
        max_output_size=most,
        iou_threshold=tf.cast(overlap, x.dtype),
        score_threshold=tf.cast(score, x.dtype),
        soft_nms_sigma=tf.cast(sigma, x.dtype),
        pad_to_max_output_size=True,
    )
    return {"indices": kept[0], "scores": kept[1], "count": kept[2]}[pick]


def nms_rows(tf: Any, x: Any, *, most: Any, overlap: Any, score: Any, pick: Any) -> Any:
    """Boxes and scores are columns of the operand: corners in any order."""
    kept = tf.raw_ops.NonMaxSuppressionV4(
        boxes=x[:, :4],
        scores=x[:, 4],
        max_output_size=most,
        iou_threshold=tf.cast(overlap, x.dtype),
        score_threshold=tf.cast(score, x.dtype),
        pad_to_max_output_size=True,
    )
    return kept[1] if pick == "count" else kept[0]


def nms_padded(tf: Any, x: Any, *, boxes: Any, most: Any, overlap: Any, score: Any, pick: Any) -> Any:
    """`tf.image.non_max_suppression_padded`: loops of elementary ops."""
    kept = tf.image.non_max_suppression_padded(
        boxes, x, most, iou_threshold=overlap, score_threshold=score, pad_to_max_output_size=True
    )
    return kept[1] if pick == "count" else kept[0]


# --- rules ------------------------------------------------------------------------------------------------


def _kept_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    if x.shape[0] > _MAX_BOXES:
        raise UnfitError(f"{x.shape[0]} boxes are more than {_MAX_BOXES}")
    if x.rank == 2 and x.shape[1] < 5:
        raise UnfitError("a row needs four corners and a score")
    if attrs["pick"] == "count":
        return TensorType((), "int32")
    return TensorType((integer(attrs["most"]),), x.dtype if attrs["pick"] == "scores" else "int32")


def _boxes(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("boxes", TensorType((operands[0].shape[0], 4), operands[0].dtype)),)


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return 10 * operands[0].shape[0] * integer(attrs["most"])


def _op(build: Any, attrs: dict[str, Domain], weight: float, **more: Any) -> Op:
    more = {"ranks": (1,), "weights": _boxes, "static": True, **more}
    base: dict[str, Domain] = {"most": Int(1, 12, 3), "overlap": _OVERLAP, "score": _SCORE}
    return Op(
        build.__name__,
        build,
        _kept_type,
        {**base, "pick": Choice(("indices", "count")), **attrs},
        cost=_cost,
        dtypes=("float32",),
        discontinuous=True,
        float64=False,
        narrow="gives indices and counts, not numbers: overlaps near the threshold count as a jump",
        weight=weight,
        **more,
    )


OPS = (
    _op(nms_v4, {}, 0.25),
    _op(
        nms_v5,
        {"sigma": Float(0.0, 2.0, 0.0, special=(0.0,)), "pick": Choice(("indices", "scores", "count"))},
        0.25,
    ),
    _op(nms_rows, {}, 0.2, ranks=(2,), weights=no_weights),
    _op(nms_padded, {}, 0.05),
)
