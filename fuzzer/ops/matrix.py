"""Diagonals and bands of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_1, FROM_2, free
from fuzzer.ops.domains import Choice, Int
from fuzzer.ops.spec import INTS, Attrs, Op, TensorType, WeightSlot, integer

_DTYPES = ("float32", *INTS, "int8", "uint8", "int16", "float16")


def matrix_diag(tf: Any, x: Any, *, version: Any) -> Any:
    """Vectors as diagonals of square matrices."""
    return tf.raw_ops.MatrixDiag(diagonal=x) if version == 1 else tf.linalg.diag(x)


def matrix_diag_wide(tf: Any, x: Any, *, offset: Any, fill: Any) -> Any:
    """Vectors as diagonals beside the main one, something other than zero around them."""
    return tf.linalg.diag(x, k=offset, padding_value=tf.cast(fill, x.dtype))


def _diag_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    size = x.shape[-1] + abs(integer(attrs["offset"]) if "offset" in attrs else 0)
    return TensorType((*x.shape[:-1], size, size), x.dtype)


def matrix_set_diag(tf: Any, x: Any, *, diagonal: Any, version: Any) -> Any:
    """Matrices with another main diagonal."""
    if version == 1:
        return tf.raw_ops.MatrixSetDiag(input=x, diagonal=diagonal)
    return tf.linalg.set_diag(x, diagonal)


def _diagonal(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    return (WeightSlot("diagonal", TensorType((*x.shape[:-2], min(x.shape[-2:])), x.dtype)),)


def matrix_set_diag_dynamic(tf: Any, x: Any, y: Any, *, version: Any) -> Any:
    """Matrices whose main diagonal is the sum of two run-time ones: the first row or column of another tensor."""
    size = min(x.shape[-2], x.shape[-1])
    diagonal = y[..., 0, :size] if x.shape[-1] == size else y[..., :size, 0]
    return tf.raw_ops.MatrixSetDiag(input=x, diagonal=diagonal) if version == 1 else tf.linalg.set_diag(x, diagonal)


def _set_diag_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if operands[1].shape != operands[0].shape:
        raise UnfitError(f"{operands[0]} and {operands[1]} are not of one shape")
    return operands[0]


def matrix_band_part(tf: Any, x: Any, *, lower: Any, upper: Any) -> Any:
    """Matrices without what lies too far from the main diagonal; -1 keeps a whole triangle."""
    return tf.linalg.band_part(x, min(lower, x.shape[-2]), min(upper, x.shape[-1]))


_VERSION = Choice((3, 1))

OPS = (
    Op(
        "matrix_diag",
        matrix_diag,
        _diag_type,
        attrs={"version": _VERSION},
        cost=free,
        ranks=FROM_1[:5],
        dtypes=_DTYPES,
        weight=0.4,
    ),
    Op(
        "matrix_diag_wide",
        matrix_diag_wide,
        _diag_type,
        attrs={"offset": Int(-3, 3, 0), "fill": Int(0, 1, 0)},
        cost=free,
        ranks=FROM_1[:5],
        dtypes=_DTYPES,
        weight=0.3,
    ),
    Op(
        "matrix_set_diag",
        matrix_set_diag,
        attrs={"version": _VERSION},
        weights=_diagonal,
        cost=free,
        ranks=FROM_2,
        dtypes=_DTYPES,
        weight=0.4,
        static=True,
    ),
    Op(
        "matrix_set_diag_dynamic",
        matrix_set_diag_dynamic,
        _set_diag_type,
        attrs={"version": _VERSION},
        cost=free,
        arity=(2, 2),
        ranks=FROM_2[:4],
        dtypes=_DTYPES,
        weight=0.3,
        static=True,
    ),
    Op(
        "matrix_band_part",
        matrix_band_part,
        attrs={"lower": Int(-1, 4, -1), "upper": Int(-1, 4, 0)},
        cost=free,
        ranks=FROM_2,
        dtypes=("float32", *INTS, "int8", "int16", "uint32", "bool", "float16"),
        weight=0.4,
        static=True,
    ),
)
