"""Where the extreme lies along an axis, and running sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.ops.domains import Choice, Flag, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, integer, one_per_operand_element

_AXIS = Int(0, 5, 0)
_EXTREMES = ("float32", "int32", "int8", "uint8", "bool")
_RANKS = (1, 2, 3, 4, 5)


def arg_max(tf: Any, x: Any, *, axis: Any, index: Any, negative: Any) -> Any:
    """Position of the first largest element along an axis counted from the end."""
    back = axis % x.shape.rank + 1
    return tf.argmax(x, axis=-back if negative else x.shape.rank - back, output_type=index)


def arg_min(tf: Any, x: Any, *, axis: Any, index: Any, negative: Any) -> Any:
    """Position of the first smallest element along an axis counted from the end."""
    back = axis % x.shape.rank + 1
    return tf.argmin(x, axis=-back if negative else x.shape.rank - back, output_type=index)


def cumsum(tf: Any, x: Any, *, axis: Any, exclusive: Any, reverse: Any, negative: Any) -> Any:
    """Running sum along an axis counted from the end."""
    back = axis % x.shape.rank + 1
    return tf.cumsum(x, axis=-back if negative else x.shape.rank - back, exclusive=exclusive, reverse=reverse)


def running_mean(tf: Any, x: Any, *, axis: Any, reverse: Any) -> Any:
    """Running sum along an axis counted from the end, divided by how many elements were summed."""
    back = axis % x.shape.rank + 1
    count = tf.cumsum(tf.ones_like(x), axis=-back, reverse=reverse)
    return tf.cumsum(x, axis=-back, reverse=reverse) / count


def _arg_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    at = x.rank - 1 - integer(attrs["axis"]) % x.rank
    return TensorType(x.shape[:at] + x.shape[at + 1 :], str(attrs["index"]))


OPS = (
    *(
        Op(
            build.__name__,
            build,
            _arg_type,
            attrs={"axis": _AXIS, "index": Choice(("int64", "int32")), "negative": Flag()},
            cost=one_per_operand_element,
            ranks=_RANKS,
            dtypes=_EXTREMES,
            discontinuous=True,
        )
        for build in (arg_max, arg_min)
    ),
    Op(
        "cumsum",
        cumsum,
        attrs={"axis": _AXIS, "exclusive": Flag(), "reverse": Flag(), "negative": Flag()},
        ranks=_RANKS,
        dtypes=("float32", "int32", "int64"),
    ),
    Op(
        "running_mean",
        running_mean,
        attrs={"axis": _AXIS, "reverse": Flag()},
        dtypes=("float32",),
        weight=0.3,
    ),
)
