"""Changes of dtype: of the values, or of what the bytes mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice
from fuzzer.ops.spec import BOOL, COMPLEX, DTYPE_BYTES, INTS, SMALL_INTS, WIDE_FLOATS, Attrs, Op, TensorType

_NUMBERS = (*WIDE_FLOATS, *INTS, *SMALL_INTS, *BOOL, *COMPLEX)


def cast(tf: Any, x: Any, *, out_dtype: Any) -> Any:
    """Numbers in another dtype; floats are cut towards zero."""
    return tf.cast(x, out_dtype)


def _cast_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, str(attrs["dtype"]))


# The truth keeps no float but float32 through a bitcast, so no other float may enter one.
_BITS = ("float32", *INTS, *SMALL_INTS)


def bitcast(tf: Any, x: Any, *, out_dtype: Any) -> Any:
    """The same bytes as another dtype; a wider one eats the last axis, a narrower one adds an axis."""
    return tf.bitcast(x, out_dtype)


def _bitcast_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, dtype = operands[0], str(attrs["dtype"])
    have, want = DTYPE_BYTES[x.dtype], DTYPE_BYTES[dtype]
    if have == want:
        return TensorType(x.shape, dtype)
    if have > want:
        return TensorType((*x.shape, have // want), dtype)
    if not x.rank or x.shape[-1] != want // have:
        raise UnfitError(f"the last axis of {x} does not hold the bytes of one {dtype}")
    return TensorType(x.shape[:-1], dtype)


OPS = (
    Op(
        "cast",
        cast,
        _cast_type,
        attrs={"dtype": Choice(_NUMBERS)},
        ranks=(0, 1, 2, 3, 4, 5, 6),
        dtypes=_NUMBERS,
        empty=True,
        discontinuous=True,
    ),
    Op(
        "bitcast",
        bitcast,
        _bitcast_type,
        attrs={"dtype": Choice(("int32", "float32", "int64", *SMALL_INTS))},
        ranks=(0, 1, 2, 3, 4, 5, 6),
        dtypes=_BITS,
        empty=True,
        discontinuous=True,
        float64=False,
        narrow="reads the bits of its operand in the operand's own type: it rounds nothing",
        weight=0.4,
    ),
)
