"""Random numbers with fixed seeds: shapes and dtypes are judged, values are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.ops.domains import Choice, Domain, Flag, Float, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, integer

_SEED = Int(0, 1000, 0)


def random_uniform(tf: Any, x: Any, *, seed: Any, low: Any, high: Any, out_shape: Any) -> Any:
    """Uniform noise added to the operand."""
    return x + tf.random.uniform(out_shape, low, low + high, dtype=x.dtype, seed=seed)


def random_normal(tf: Any, x: Any, *, seed: Any, mean: Any, deviation: Any, out_shape: Any) -> Any:
    """Normal noise added to the operand."""
    return x + tf.random.normal(out_shape, mean, deviation, dtype=x.dtype, seed=seed)


def random_of_shape(tf: Any, x: Any, *, seed: Any, normal: Any) -> Any:
    """Noise of a shape that is known when the model runs, scaled by the operand."""
    shape = tf.shape(x)
    noise = tf.random.normal(shape, dtype=x.dtype, seed=seed) if normal else tf.random.uniform(shape, dtype=x.dtype)
    return noise * x


def categorical(tf: Any, x: Any, *, seed: Any, samples: Any, out_dtype: Any) -> Any:
    """Classes drawn by their logits, a row each."""
    return tf.random.categorical(x, samples, dtype=out_dtype, seed=seed)


def dropout(tf: Any, x: Any, *, seed: Any, rate: Any) -> Any:
    """Elements dropped at random, the others scaled up."""
    return tf.nn.dropout(x, rate, seed=seed)


def random_mask(tf: Any, x: Any, *, seed: Any, chance: Any, out_shape: Any) -> Any:
    """Elements kept by comparing noise to a chance."""
    kept = tf.random.uniform(out_shape, dtype=x.dtype, seed=seed) < tf.cast(chance, x.dtype)
    return tf.where(kept, x, tf.zeros_like(x))


def _drawn_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((operands[0].shape[0], integer(attrs["samples"])), str(attrs["dtype"]))


def _op(build: Any, attrs: dict[str, Domain], weight: float, **more: Any) -> Op:
    return Op(build.__name__, build, attrs={"seed": _SEED, **attrs}, weight=weight, random=True, **more)


_FLOAT: dict[str, Any] = {"dtypes": ("float32",)}

OPS = (
    _op(random_uniform, {"low": Float(-2.0, 2.0, 0.0), "high": Float(0.1, 4.0, 1.0)}, 0.2, static=True, **_FLOAT),
    _op(random_normal, {"mean": Float(-2.0, 2.0, 0.0), "deviation": Float(0.0, 4.0, 1.0)}, 0.2, static=True, **_FLOAT),
    _op(random_of_shape, {"normal": Flag()}, 0.2, **_FLOAT),
    _op(
        categorical,
        {"samples": Int(1, 20, 1), "dtype": Choice(("int64", "int32"))},
        0.2,
        infer=_drawn_type,
        ranks=(2,),
        **_FLOAT,
    ),
    _op(dropout, {"rate": Float(0.0, 0.95, 0.5, special=(0.0,))}, 0.2, **_FLOAT),
    _op(random_mask, {"chance": Float(0.0, 1.0, 0.5, special=(0.0, 1.0))}, 0.15, static=True, **_FLOAT),
)
