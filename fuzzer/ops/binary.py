"""Binary element-wise ops with broadcasting from both sides; the constant may stand on the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.broadcasting import RANKS, SECOND, binary_type, constant_shape, second_operand
from fuzzer.ops.domains import Domain, Flag
from fuzzer.ops.spec import COMPLEX, DTYPE_BYTES, FLOATS, INTS, Attrs, Op, TensorType, WeightSlot

# --- everywhere defined -----------------------------------------------------------------------------------


def broadcast_add(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X + y, or y + x."""
    other = y if y is not None else const
    return tf.add(other, x) if swap else tf.add(x, other)


def broadcast_sub(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X - y, or y - x."""
    other = y if y is not None else const
    return tf.subtract(other, x) if swap else tf.subtract(x, other)


def broadcast_mul(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X * y, or y * x."""
    other = y if y is not None else const
    return tf.multiply(other, x) if swap else tf.multiply(x, other)


def broadcast_maximum(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """Larger of x and y."""
    other = y if y is not None else const
    return tf.maximum(other, x) if swap else tf.maximum(x, other)


def broadcast_minimum(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """Smaller of x and y."""
    other = y if y is not None else const
    return tf.minimum(other, x) if swap else tf.minimum(x, other)


def squared_difference(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """(x - y) * (x - y)."""
    other = y if y is not None else const
    return tf.math.squared_difference(other, x) if swap else tf.math.squared_difference(x, other)


def atan2(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """Angle of the point (y, x), or of (x, y)."""
    other = y if y is not None else const
    return tf.atan2(other, x) if swap else tf.atan2(x, other)


def div_no_nan(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X / y or y / x, 0 where the divisor is 0."""
    other = y if y is not None else const
    return tf.math.divide_no_nan(other, x) if swap else tf.math.divide_no_nan(x, other)


def mul_no_nan(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X * y, 0 where the second factor is 0."""
    other = y if y is not None else const
    return tf.math.multiply_no_nan(other, x) if swap else tf.math.multiply_no_nan(x, other)


# --- divisions --------------------------------------------------------------------------------------------


def div(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any, safe: Any) -> Any:
    """X / y, or y / x; a safe divisor is |y| + 0.5."""
    other = y if y is not None else const
    if swap:
        return tf.divide(other, tf.abs(x) + 0.5 if safe else x)
    return tf.divide(x, tf.abs(other) + 0.5 if safe else other)


def xdivy(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any, safe: Any) -> Any:
    """X / y or y / x, 0 where the dividend is 0; a safe divisor is |y| + 0.5."""
    other = y if y is not None else const
    if swap:
        return tf.math.xdivy(other, tf.abs(x) + 0.5 if safe else x)
    return tf.math.xdivy(x, tf.abs(other) + 0.5 if safe else other)


def xlogy(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any, safe: Any) -> Any:
    """X * log(y) or y * log(x), 0 where the factor is 0; safe takes the logarithm of |y| + 0.5."""
    other = y if y is not None else const
    if swap:
        return tf.math.xlogy(other, tf.abs(x) + 0.5 if safe else x)
    return tf.math.xlogy(x, tf.abs(other) + 0.5 if safe else other)


def xlog1py(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any, safe: Any) -> Any:
    """X * log(1 + y) or y * log(1 + x), 0 where the factor is 0; safe takes |y|."""
    other = y if y is not None else const
    if swap:
        return tf.math.xlog1py(other, tf.abs(x) if safe else x)
    return tf.math.xlog1py(x, tf.abs(other) if safe else other)


def real_pow(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any, safe: Any) -> Any:
    """X to the y, or y to the x; a safe base is |x| + 0.1."""
    other = y if y is not None else const
    if swap:
        return tf.pow(tf.abs(other) + 0.1 if safe else other, x)
    return tf.pow(tf.abs(x) + 0.1 if safe else x, other)


def floor_div(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X / y or y / x, rounded down; integers are divided by one at least."""
    other = y if y is not None else const
    if x.dtype.is_integer and swap:
        return tf.math.floordiv(other, tf.maximum(x, 1))
    if x.dtype.is_integer and y is not None:
        return tf.math.floordiv(x, tf.maximum(other, 1))
    return tf.math.floordiv(other, x) if swap else tf.math.floordiv(x, other)


def floor_mod(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """What is left of x / y or y / x, of the divisor's sign; integers are divided by one at least."""
    other = y if y is not None else const
    if x.dtype.is_integer and swap:
        return tf.math.floormod(other, tf.maximum(x, 1))
    if x.dtype.is_integer and y is not None:
        return tf.math.floormod(x, tf.maximum(other, 1))
    return tf.math.floormod(other, x) if swap else tf.math.floormod(x, other)


def truncate_div(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X / y or y / x, cut towards zero; integers are divided by one at least."""
    other = y if y is not None else const
    if x.dtype.is_integer and swap:
        return tf.raw_ops.TruncateDiv(x=other, y=tf.maximum(x, 1))
    if x.dtype.is_integer and y is not None:
        return tf.raw_ops.TruncateDiv(x=x, y=tf.maximum(other, 1))
    return tf.raw_ops.TruncateDiv(x=other, y=x) if swap else tf.raw_ops.TruncateDiv(x=x, y=other)


def int_div(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """The division of integers under its old name; they are divided by one at least."""
    other = y if y is not None else const
    if swap:
        return tf.raw_ops.Div(x=other, y=tf.maximum(x, 1))
    return tf.raw_ops.Div(x=x, y=other if y is None else tf.maximum(other, 1))


def _division_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if operands[0].dtype in ("int8", "int16") and (len(operands) > 1 or attrs["swap"]):
        raise UnfitError("the converter has no maximum of small integers that would keep a divisor from zero")
    return binary_type(operands, attrs)


def _divisor(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    """A constant divisor; no integer is 0, nor -1, by which the smallest integer can't be divided."""
    if len(operands) > 1:
        return ()
    x = operands[0]
    span = None if x.dtype in FLOATS else (-9, -1) if attrs["negative"] else (1, 10)
    return (WeightSlot("const", TensorType(constant_shape(operands, attrs), x.dtype), span=span),)


# --- powers and bits of integers --------------------------------------------------------------------------


def int_pow(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """X to the y, or y to the x; exponents are brought into 0..3."""
    other = y if y is not None else const
    if swap:
        return tf.pow(other, tf.math.floormod(x, 4))
    return tf.pow(x, other if y is None else tf.math.floormod(other, 4))


def _exponent(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return _spread(operands, attrs, 4)


def right_shift(tf: Any, x: Any, y: Any = None, *, const: Any) -> Any:
    """X moved right by y bits, fewer than it has; the sign is kept."""
    return tf.bitwise.right_shift(x, const if y is None else tf.math.floormod(y, x.dtype.size * 8))


def _shift_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if len(operands) > 1 and operands[0].dtype.startswith("u"):
        raise UnfitError("the converter has no remainder that would hold an unsigned shift below the width")
    return binary_type(operands, attrs)


def _shift(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return _spread(operands, attrs, 8 * DTYPE_BYTES[operands[0].dtype])


def _spread(operands: Sequence[TensorType], attrs: Attrs, high: int) -> tuple[WeightSlot, ...]:
    if len(operands) > 1:
        return ()
    return (WeightSlot("const", TensorType(constant_shape(operands, attrs), operands[0].dtype), span=(0, high)),)


def bitwise_xor(tf: Any, x: Any, y: Any = None, *, const: Any, swap: Any) -> Any:
    """Bits in which x and y differ."""
    other = y if y is not None else const
    return tf.bitwise.bitwise_xor(other, x) if swap else tf.bitwise.bitwise_xor(x, other)


# --- sums of many -----------------------------------------------------------------------------------------


def add_n(tf: Any, *xs: Any) -> Any:
    """Sum of two to four operands of one shape."""
    return tf.add_n(xs)


def add_n_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Add()


def _add_n_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    for other in operands[1:]:
        if other.shape != operands[0].shape:
            raise UnfitError(f"{operands[0]} and {other} differ")
    return operands[0]


def _op(build: Any, dtypes: tuple[str, ...], weight: float, **options: Any) -> Op:
    attrs: Mapping[str, Domain] = {**SECOND, **options.pop("more", {})}
    given = {"infer": binary_type, "attrs": attrs, "weights": second_operand, **options}
    return Op(build.__name__, build, arity=(1, 2), ranks=RANKS, dtypes=dtypes, empty=True, weight=weight, **given)


_SAFE = {"safe": Flag(True)}
_NEGATIVE = {"negative": Flag()}
_SHIFT = {name: domain for name, domain in SECOND.items() if name != "swap"}

OPS = (
    # The dtypes are those the converter takes, and float16.
    _op(broadcast_add, ("float32", *INTS, "int16", "uint32", "float16"), 1.0),
    _op(broadcast_sub, ("float32", *INTS, "float16"), 1.0),
    _op(broadcast_mul, ("float32", *INTS, "int16", "uint32", *COMPLEX, "float16"), 1.0),
    _op(broadcast_maximum, ("float32", *INTS, "float16"), 0.7),
    _op(broadcast_minimum, ("float32", *INTS, "float16"), 0.7),
    _op(squared_difference, ("float32", *INTS, "float16"), 0.7),
    _op(atan2, ("float32", "float64"), 0.4, discontinuous=True),
    _op(div_no_nan, FLOATS, 0.5),
    _op(mul_no_nan, FLOATS, 0.3),
    _op(div, FLOATS, 1.0, more=_SAFE),
    _op(xdivy, FLOATS, 0.2, more=_SAFE),
    _op(xlogy, FLOATS, 0.2, more=_SAFE),
    _op(xlog1py, FLOATS, 0.2, more=_SAFE),
    _op(real_pow, FLOATS, 0.7, more=_SAFE),
    _op(
        floor_div,
        ("float32", "int32", "int8", "int16", "float16"),
        0.7,
        more=_NEGATIVE,
        infer=_division_type,
        weights=_divisor,
        discontinuous=True,
    ),
    _op(
        floor_mod,
        ("float32", *INTS, "int8", "int16", "float16"),
        0.7,
        more=_NEGATIVE,
        infer=_division_type,
        weights=_divisor,
        discontinuous=True,
    ),
    _op(truncate_div, ("float32", "int32"), 0.3, more=_NEGATIVE, weights=_divisor, discontinuous=True),
    _op(int_div, ("int32",), 0.3, more=_NEGATIVE, weights=_divisor, discontinuous=True),
    _op(int_pow, ("int32",), 0.3, weights=_exponent),
    Op(
        "right_shift",
        right_shift,
        _shift_type,
        attrs=_SHIFT,
        weights=_shift,
        arity=(1, 2),
        ranks=RANKS,
        dtypes=("int32", "int8", "uint8", "int16", "uint16", "uint32"),
        empty=True,
        discontinuous=True,
        weight=0.4,
    ),
    _op(bitwise_xor, ("int32", "int8", "uint8", "int16", "uint16", "uint32"), 0.4),
    Op(
        "add_n",
        add_n,
        _add_n_type,
        cost=lambda operands, attrs, out: out.elements * len(operands),
        arity=(2, 4),
        ranks=RANKS[1:],
        dtypes=("float32", *INTS, "int16", "float16"),
        empty=True,
        keras=add_n_layer,
    ),
)
