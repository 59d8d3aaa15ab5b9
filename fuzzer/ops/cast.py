"""Changes of dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.ops.domains import Choice
from fuzzer.ops.spec import BOOL, COMPLEX, INTS, SMALL_INTS, WIDE_FLOATS, Attrs, Op, TensorType

_NUMBERS = (*WIDE_FLOATS, *INTS, *SMALL_INTS, *BOOL, *COMPLEX)


def cast(tf: Any, x: Any, *, out_dtype: Any) -> Any:
    """Numbers in another dtype; floats are cut towards zero."""
    return tf.cast(x, out_dtype)


def _cast_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, str(attrs["dtype"]))


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
)
