"""Element-wise ops on one operand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.ops.broadcasting import RANKS
from fuzzer.ops.domains import Flag, Float
from fuzzer.ops.spec import (
    BOOL,
    COMPLEX,
    FLOATS,
    INTS,
    SMALL_INTS,
    Attrs,
    Op,
    TensorType,
)

# Logarithms, roots and reciprocals of what is drawn are NaN half of the time; half of them get this.
_SAFE = {"safe": Flag(True)}


def abs(tf: Any, x: Any) -> Any:
    """|x|."""
    return tf.abs(x)


def neg(tf: Any, x: Any) -> Any:
    """-x."""
    return tf.negative(x)


def sign(tf: Any, x: Any) -> Any:
    """-1, 0 or 1."""
    return tf.sign(x)


def ceil(tf: Any, x: Any) -> Any:
    """Next integer above."""
    return tf.math.ceil(x)


def floor(tf: Any, x: Any) -> Any:
    """Next integer below."""
    return tf.floor(x)


def round(tf: Any, x: Any) -> Any:
    """Nearest integer, halves to even."""
    return tf.round(x)


def rint(tf: Any, x: Any) -> Any:
    """Nearest integer, halves to even, by another op."""
    return tf.math.rint(x)


def exp(tf: Any, x: Any) -> Any:
    """E to the x."""
    return tf.exp(x)


def expm1(tf: Any, x: Any) -> Any:
    """exp(x) - 1."""
    return tf.math.expm1(x)


def log(tf: Any, x: Any, *, safe: Any) -> Any:
    """Natural logarithm of x, or of |x| + 0.1."""
    return tf.math.log(tf.abs(x) + 0.1 if safe else x)


def log1p(tf: Any, x: Any, *, safe: Any) -> Any:
    """log(1 + x), or log(1 + |x|)."""
    return tf.math.log1p(tf.abs(x) if safe else x)


def sqrt(tf: Any, x: Any, *, safe: Any) -> Any:
    """Square root of x, or of |x| + 0.1."""
    return tf.sqrt(tf.abs(x) + 0.1 if safe else x)


def rsqrt(tf: Any, x: Any, *, safe: Any) -> Any:
    """One over the square root of x, or of |x| + 0.1."""
    return tf.math.rsqrt(tf.abs(x) + 0.1 if safe else x)


def reciprocal(tf: Any, x: Any, *, safe: Any) -> Any:
    """1 / x, or 1 / (|x| + 0.1)."""
    return tf.math.reciprocal(tf.abs(x) + 0.1 if safe else x)


def lgamma(tf: Any, x: Any, *, safe: Any) -> Any:
    """Logarithm of the gamma function at x, or at |x| + 0.1."""
    return tf.math.lgamma(tf.abs(x) + 0.1 if safe else x)


def square(tf: Any, x: Any) -> Any:
    """X * x."""
    return tf.square(x)


def sin(tf: Any, x: Any) -> Any:
    """Sine."""
    return tf.sin(x)


def cos(tf: Any, x: Any) -> Any:
    """Cosine."""
    return tf.cos(x)


def clip(tf: Any, x: Any, *, low: Any, width: Any) -> Any:
    """X held between low and low + width."""
    return tf.clip_by_value(x, tf.cast(low, x.dtype), tf.cast(low + width, x.dtype))


def is_nan(tf: Any, x: Any) -> Any:
    """Where x is no number."""
    return tf.math.is_nan(x)


def is_inf(tf: Any, x: Any) -> Any:
    """Where x is infinite."""
    return tf.math.is_inf(x)


def is_finite(tf: Any, x: Any) -> Any:
    """Where x is a finite number."""
    return tf.math.is_finite(x)


def logical_not(tf: Any, x: Any) -> Any:
    """False where x is true."""
    return tf.logical_not(x)


def zeros_like(tf: Any, x: Any) -> Any:
    """Zeros of x's shape."""
    return tf.zeros_like(x)


def ones_like(tf: Any, x: Any) -> Any:
    """Ones of x's shape."""
    return tf.ones_like(x)


def identity(tf: Any, x: Any) -> Any:
    """X as it is, through a node that rewrites have to look through."""
    return tf.identity(x)


def stop_gradient(tf: Any, x: Any) -> Any:
    """X as it is, through a node that training leaves behind."""
    return tf.stop_gradient(x)


def snapshot(tf: Any, x: Any) -> Any:
    """X as it is, through a node that forbids sharing its buffer."""
    return tf.raw_ops.Snapshot(input=x)


def exponential_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("exponential")


def linear_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Activation("linear")


def _bool_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, "bool")


def _free(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return 0


# The converter takes no bfloat16 input, and no op on one but casts; a result of strings has no real numbers to judge.
_MOVED = (*FLOATS, "float64", *INTS, *SMALL_INTS, *BOOL, *COMPLEX)
_CLIP = {
    "low": Float(-8.0, 8.0, -1.0, special=(-1.0, 0.0, -6.0, -0.5)),
    "width": Float(0.0, 12.0, 2.0, special=(0.0, 1.0, 2.0, 6.0)),
}

OPS = (
    # The dtypes are those TensorFlow has kernels for and the converter takes.
    Op("abs", abs, ranks=RANKS, dtypes=(*FLOATS, "int32", "int16"), empty=True, weight=0.7),
    Op("neg", neg, ranks=RANKS, dtypes=(*FLOATS, *INTS), empty=True, weight=0.7),
    Op("sign", sign, ranks=RANKS, dtypes=("float32", "float64", "int32"), empty=True, discontinuous=True, weight=0.5),
    *(
        Op(build.__name__, build, ranks=RANKS, empty=True, discontinuous=True, weight=0.5)
        for build in (ceil, floor, round)
    ),
    Op("rint", rint, ranks=RANKS, dtypes=("float32",), empty=True, discontinuous=True, weight=0.2),
    Op("exp", exp, ranks=RANKS, empty=True, keras=exponential_layer, weight=0.7),
    *(Op(build.__name__, build, ranks=RANKS, empty=True, weight=0.5) for build in (expm1, sin, cos)),
    *(
        Op(build.__name__, build, attrs=_SAFE, ranks=RANKS, empty=True, weight=0.6)
        for build in (log, log1p, sqrt, rsqrt, reciprocal)
    ),
    Op("lgamma", lgamma, attrs=_SAFE, ranks=RANKS, empty=True, weight=0.1),
    Op(
        "square",
        square,
        ranks=RANKS,
        dtypes=("float32", *INTS, "int16", "uint32", *COMPLEX, "float16"),
        empty=True,
        weight=0.7,
    ),
    Op("clip", clip, attrs=_CLIP, ranks=RANKS, dtypes=(*FLOATS, *INTS), empty=True, weight=0.7),
    *(
        Op(build.__name__, build, _bool_type, ranks=RANKS, empty=True, discontinuous=True, weight=0.3)
        for build in (is_nan, is_inf, is_finite)
    ),
    Op("logical_not", logical_not, ranks=RANKS, dtypes=BOOL, empty=True, weight=0.5),
    Op(
        "zeros_like",
        zeros_like,
        cost=_free,
        ranks=RANKS,
        dtypes=_MOVED,
        empty=True,
        weight=0.2,
    ),
    Op("ones_like", ones_like, cost=_free, ranks=RANKS, dtypes=_MOVED, empty=True, weight=0.2),
    Op(
        "identity",
        identity,
        cost=_free,
        ranks=RANKS,
        dtypes=_MOVED,
        empty=True,
        keras=linear_layer,
        weight=0.3,
    ),
    Op(
        "stop_gradient",
        stop_gradient,
        cost=_free,
        ranks=RANKS,
        dtypes=_MOVED,
        empty=True,
        weight=0.2,
    ),
    Op("snapshot", snapshot, cost=_free, ranks=RANKS, dtypes=_MOVED, empty=True, weight=0.2),
)
