"""Reductions over any set of axes.

The axes are the bits of `mask`, counted from the end, so that a change of the rank upstream leaves them valid; a
mask without bits in the rank reduces nothing, which TensorFlow and TFLite both define.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Flag, Int
from fuzzer.ops.spec import BOOL, INTS, Attrs, Op, ShapeRule, TensorType, integer, one_per_operand_element

_DTYPES = ("float32",)
_ATTRS: dict[str, Domain] = {"mask": Int(1, 63, 1), "keepdims": Flag()}
_RANKS = (1, 2, 3, 4, 5)


def reduce_sum(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Sum over some axes."""
    return tf.reduce_sum(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_mean(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Mean over some axes."""
    return tf.reduce_mean(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_max(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Largest element over some axes."""
    return tf.reduce_max(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_min(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Smallest element over some axes."""
    return tf.reduce_min(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_prod(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Product over some axes."""
    return tf.reduce_prod(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_any(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Whether any element over some axes is true."""
    return tf.reduce_any(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_all(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Whether all elements over some axes are true."""
    return tf.reduce_all(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_variance(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Variance over some axes."""
    return tf.math.reduce_variance(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_std(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Standard deviation over some axes."""
    return tf.math.reduce_std(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def reduce_logsumexp(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Log of the sum of the exponentials over some axes."""
    return tf.reduce_logsumexp(x, axis=[-1 - i for i in range(x.shape.rank) if mask >> i & 1], keepdims=keepdims)


def count_nonzero(tf: Any, x: Any, *, mask: Any, keepdims: Any, out_dtype: Any) -> Any:
    """How many elements over some axes are not zero."""
    axes = [-1 - i for i in range(x.shape.rank) if mask >> i & 1]
    return tf.math.count_nonzero(x, axis=axes, keepdims=keepdims, dtype=out_dtype)


def sum_then_mean(tf: Any, x: Any, *, mask: Any, keepdims: Any) -> Any:
    """Sum over some axes (all of them kept), then the mean over the others."""
    total = tf.reduce_sum(x, axis=[i for i in range(x.shape.rank) if mask >> i & 1], keepdims=True)
    return tf.reduce_mean(total, axis=[i for i in range(x.shape.rank) if not mask >> i & 1], keepdims=keepdims)


def norm(tf: Any, x: Any, *, order: Any, axis: Any, keepdims: Any) -> Any:
    """A norm along an axis counted from the end; order 0 is the largest absolute value."""
    return tf.norm(x, ord=order if order > 0 else float("inf"), axis=-1 - axis % x.shape.rank, keepdims=keepdims)


def zero_fraction(tf: Any, x: Any, *, out_dtype: Any) -> Any:
    """Share of the elements that are zero."""
    return tf.cast(tf.math.zero_fraction(x), out_dtype)


def l2_loss(tf: Any, x: Any) -> Any:
    """Half the sum of the squares."""
    return tf.nn.l2_loss(x)


def _kept(x: TensorType, mask: int, keepdims: object, dtype: str) -> TensorType:
    """The type after the axes of `mask` are reduced."""
    shape = []
    for axis, dim in enumerate(x.shape):
        if not mask >> (x.rank - 1 - axis) & 1:
            shape.append(dim)
        elif keepdims:
            shape.append(1)
    return TensorType(tuple(shape), dtype)


def _type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return _kept(x, integer(attrs["mask"]), attrs["keepdims"], str(attrs.get("counter", x.dtype)))


def _spread_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if not integer(attrs["mask"]) & (1 << operands[0].rank) - 1:
        raise UnfitError("the spread over no axis is zero")
    return _type(operands, attrs)


def _scalar(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((), operands[0].dtype)


def _both_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, mask = operands[0], integer(attrs["mask"])
    mirrored = sum(1 << (x.rank - 1 - i) for i in range(x.rank) if mask >> i & 1)
    summed = _kept(x, mirrored, True, x.dtype)
    return _kept(summed, ~mirrored & (1 << x.rank) - 1, attrs["keepdims"], x.dtype)


def _norm_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return _kept(x, 1 << integer(attrs["axis"]) % x.rank, attrs["keepdims"], x.dtype)


def _reduction(build: Callable[..., Any], dtypes: tuple[str, ...], weight: float = 0.8, infer: ShapeRule = _type) -> Op:
    return Op(
        build.__name__,
        build,
        infer,
        attrs=_ATTRS,
        cost=one_per_operand_element,
        ranks=_RANKS,
        dtypes=dtypes,
        weight=weight,
    )


OPS = (
    _reduction(reduce_sum, _DTYPES + INTS, 1.0),
    _reduction(reduce_mean, _DTYPES + INTS, 1.5),
    _reduction(reduce_max, _DTYPES + INTS, 1.0),
    _reduction(reduce_min, _DTYPES + INTS),
    _reduction(reduce_prod, _DTYPES + INTS),
    _reduction(reduce_any, BOOL, 0.5),
    _reduction(reduce_all, BOOL, 0.5),
    _reduction(reduce_variance, _DTYPES, 0.5, _spread_type),
    _reduction(reduce_std, _DTYPES, 0.4, _spread_type),
    _reduction(reduce_logsumexp, _DTYPES, 0.6),
    Op(
        "count_nonzero",
        count_nonzero,
        _type,
        attrs={**_ATTRS, "counter": Choice(("int64", "int32"))},
        cost=one_per_operand_element,
        ranks=_RANKS,
        dtypes=(*_DTYPES, *INTS, *BOOL),
        weight=0.4,
        discontinuous=True,
    ),
    Op(
        "sum_then_mean",
        sum_then_mean,
        _both_type,
        attrs=_ATTRS,
        cost=one_per_operand_element,
        ranks=_RANKS,
        dtypes=_DTYPES,
        weight=0.3,
    ),
    Op(
        "norm",
        norm,
        _norm_type,
        attrs={"order": Choice((2, 1, 0, 3)), "axis": Int(0, 5, 0), "keepdims": Flag()},
        cost=one_per_operand_element,
        ranks=_RANKS,
        dtypes=_DTYPES,
        weight=0.5,
    ),
    Op(
        "zero_fraction",
        zero_fraction,
        _scalar,
        cost=one_per_operand_element,
        dtypes=_DTYPES,
        weight=0.2,
        discontinuous=True,
    ),
    Op("l2_loss", l2_loss, _scalar, cost=one_per_operand_element, dtypes=_DTYPES, weight=0.3),
)
