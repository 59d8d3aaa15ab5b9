"""Pooling over sequences and volumes, over everything, and in forms that no pooling op has."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fuzzer.ops.domains import Choice, Domain, Flag, Int, Ints
from fuzzer.ops.float64 import avg_pooled3d, max_pooled3d
from fuzzer.ops.spec import Attrs, Op, TensorType, integer
from fuzzer.ops.window import window_size, windows

_DTYPES = ("float32",)
_PADDING = Choice(("VALID", "SAME"))
_LINE: dict[str, Domain] = {"size": Int(1, 9, 2), "stride": Int(1, 6, 1), "padding": _PADDING}
_IMAGE: dict[str, Domain] = {"size": Ints(2, 1, 6, 2), "strides": Ints(2, 1, 5, 1), "padding": _PADDING}
_VOLUME: dict[str, Domain] = {"size": Ints(3, 1, 4, 2), "strides": Ints(3, 1, 3, 1), "padding": _PADDING}


# --- sequences --------------------------------------------------------------------------------------------


def max_pool1d(tf: Any, x: Any, *, size: Any, stride: Any, padding: Any) -> Any:
    """Largest element of each window of a sequence."""
    return tf.nn.max_pool1d(x, ksize=size, strides=stride, padding=padding)


def max_pool1d_layer(keras: Any, *, size: Any, stride: Any, padding: Any) -> Any:
    """The Keras layer."""
    return keras.layers.MaxPooling1D(size, strides=stride, padding=padding.lower())


def avg_pool1d(tf: Any, x: Any, *, size: Any, stride: Any, padding: Any) -> Any:
    """Mean of each window of a sequence; padding is not counted."""
    return tf.nn.avg_pool1d(x, ksize=size, strides=stride, padding=padding)


def avg_pool1d_layer(keras: Any, *, size: Any, stride: Any, padding: Any) -> Any:
    """The Keras layer."""
    return keras.layers.AveragePooling1D(size, strides=stride, padding=padding.lower())


def _line_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, size, stride = operands[0], integer(attrs["size"]), integer(attrs["stride"])
    length = window_size(x.shape[1], size, stride, 1, str(attrs["padding"]))
    return TensorType((x.shape[0], length, x.shape[2]), x.dtype)


# --- volumes ----------------------------------------------------------------------------------------------


def max_pool3d(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Largest element of each window of a volume."""
    return tf.nn.max_pool3d(x, ksize=size, strides=strides, padding=padding)


def max_pool3d_layer(keras: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """The Keras layer."""
    return keras.layers.MaxPooling3D(size, strides=strides, padding=padding.lower())


def avg_pool3d(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Mean of each window of a volume; padding is not counted."""
    return tf.nn.avg_pool3d(x, ksize=size, strides=strides, padding=padding)


def avg_pool3d_layer(keras: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """The Keras layer."""
    return keras.layers.AveragePooling3D(size, strides=strides, padding=padding.lower())


# --- images, other forms ----------------------------------------------------------------------------------


def l2_pool(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Root of the mean square of each window."""
    return tf.sqrt(tf.nn.avg_pool2d(tf.square(x), ksize=size, strides=strides, padding=padding))


def min_pool(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Smallest element of each window."""
    return -tf.nn.max_pool2d(-x, ksize=size, strides=strides, padding=padding)


def sum_pool(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Mean of each window times the size of a whole one."""
    return size[0] * size[1] * tf.nn.avg_pool2d(x, ksize=size, strides=strides, padding=padding)


def max_pool_of_padded(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any, pads: Any) -> Any:
    """Largest element of each window of an image that is padded with zeros, which take part."""
    padded = tf.pad(x, [[0, 0], [pads[0], pads[1]], [pads[2], pads[3]], [0, 0]])
    return tf.nn.max_pool2d(padded, ksize=size, strides=strides, padding=padding)


def avg_pool_of_padded(tf: Any, x: Any, *, size: Any, strides: Any, padding: Any, pads: Any) -> Any:
    """Mean of each window of an image that is padded with zeros, which are counted."""
    padded = tf.pad(x, [[0, 0], [pads[0], pads[1]], [pads[2], pads[3]], [0, 0]])
    return tf.nn.avg_pool2d(padded, ksize=size, strides=strides, padding=padding)


def dilated_pool(tf: Any, x: Any, *, size: Any, dilations: Any, mode: Any) -> Any:
    """Largest element or mean of every window whose elements lie apart."""
    return tf.nn.pool(x, size, mode, padding="VALID", dilations=dilations)


def _windows_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    pads = attrs.get("pads", (0, 0, 0, 0))
    assert isinstance(pads, tuple)
    sizes = list(x.shape[1:-1])
    if "pads" in attrs:
        sizes = [sizes[0] + pads[0] + pads[1], sizes[1] + pads[2] + pads[3]]
    return TensorType(
        (x.shape[0], *windows(sizes, attrs["size"], attrs["strides"], str(attrs["padding"])), x.shape[-1]), x.dtype
    )


def _dilated_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, size, dilations = operands[0], attrs["size"], attrs["dilations"]
    assert isinstance(size, tuple) and isinstance(dilations, tuple)
    spatial = (window_size(n, k, 1, d, "VALID") for n, k, d in zip(x.shape[1:3], size, dilations, strict=True))
    return TensorType((x.shape[0], *spatial, x.shape[3]), x.dtype)


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    size = attrs["size"]
    return out.elements * (math.prod(size) if isinstance(size, tuple) else integer(size))


# --- over everything --------------------------------------------------------------------------------------


def global_max_pool(tf: Any, x: Any, *, keepdims: Any) -> Any:
    """Largest element over height and width."""
    return tf.reduce_max(x, axis=(1, 2), keepdims=keepdims)


def global_max_pool_layer(keras: Any, *, keepdims: Any) -> Any:
    """The Keras layer."""
    return keras.layers.GlobalMaxPooling2D(keepdims=keepdims)


def global_max_pool1d(tf: Any, x: Any, *, keepdims: Any) -> Any:
    """Largest element over a sequence."""
    return tf.reduce_max(x, axis=1, keepdims=keepdims)


def global_max_pool1d_layer(keras: Any, *, keepdims: Any) -> Any:
    """The Keras layer."""
    return keras.layers.GlobalMaxPooling1D(keepdims=keepdims)


def global_avg_pool1d(tf: Any, x: Any, *, keepdims: Any) -> Any:
    """Mean over a sequence."""
    return tf.reduce_mean(x, axis=1, keepdims=keepdims)


def global_avg_pool1d_layer(keras: Any, *, keepdims: Any) -> Any:
    """The Keras layer."""
    return keras.layers.GlobalAveragePooling1D(keepdims=keepdims)


def global_max_pool3d(tf: Any, x: Any, *, keepdims: Any) -> Any:
    """Largest element over a volume."""
    return tf.reduce_max(x, axis=(1, 2, 3), keepdims=keepdims)


def global_max_pool3d_layer(keras: Any, *, keepdims: Any) -> Any:
    """The Keras layer."""
    return keras.layers.GlobalMaxPooling3D(keepdims=keepdims)


def global_avg_pool3d(tf: Any, x: Any, *, keepdims: Any) -> Any:
    """Mean over a volume."""
    return tf.reduce_mean(x, axis=(1, 2, 3), keepdims=keepdims)


def global_avg_pool3d_layer(keras: Any, *, keepdims: Any) -> Any:
    """The Keras layer."""
    return keras.layers.GlobalAveragePooling3D(keepdims=keepdims)


def _global_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    middle = (1,) * (x.rank - 2) if attrs["keepdims"] else ()
    return TensorType((x.shape[0], *middle, x.shape[-1]), x.dtype)


def _global(build: Callable[..., Any], layer: Callable[..., Any], rank: int) -> Op:
    return Op(
        build.__name__,
        build,
        _global_type,
        attrs={"keepdims": Flag()},
        cost=lambda operands, attrs, out: operands[0].elements,
        ranks=(rank,),
        dtypes=_DTYPES,
        keras=layer,
        weight=0.4,
    )


def _line(build: Callable[..., Any], layer: Callable[..., Any]) -> Op:
    return Op(
        build.__name__, build, _line_type, attrs=_LINE, cost=_cost, ranks=(3,), dtypes=_DTYPES, keras=layer, weight=0.7
    )


def _volume(build: Callable[..., Any], layer: Callable[..., Any]) -> Op:
    # No builtin op: such cases live with TensorFlow's kernels only.
    return Op(
        build.__name__,
        build,
        _windows_type,
        attrs=_VOLUME,
        cost=_cost,
        ranks=(5,),
        dtypes=_DTYPES,
        keras=layer,
        weight=0.1,
    )


def _image(build: Callable[..., Any], weight: float, pads: bool = False) -> Op:
    attrs = {**_IMAGE, "pads": Ints(4, 0, 4, 0)} if pads else _IMAGE
    return Op(build.__name__, build, _windows_type, attrs=attrs, cost=_cost, ranks=(4,), dtypes=_DTYPES, weight=weight)


OPS = (
    _line(max_pool1d, max_pool1d_layer),
    _line(avg_pool1d, avg_pool1d_layer),
    replace(_volume(max_pool3d, max_pool3d_layer), float64=False, reference=max_pooled3d),
    replace(_volume(avg_pool3d, avg_pool3d_layer), float64=False, reference=avg_pooled3d),
    _image(l2_pool, 0.7),
    _image(min_pool, 0.4),
    _image(sum_pool, 0.4),
    _image(max_pool_of_padded, 0.6, pads=True),
    _image(avg_pool_of_padded, 0.6, pads=True),
    Op(
        "dilated_pool",
        dilated_pool,
        _dilated_type,
        attrs={"size": Ints(2, 1, 5, 2), "dilations": Ints(2, 1, 3, 1), "mode": Choice(("MAX", "AVG"))},
        cost=_cost,
        ranks=(4,),
        dtypes=_DTYPES,
        weight=0.4,
    ),
    _global(global_max_pool, global_max_pool_layer, 4),
    _global(global_max_pool1d, global_max_pool1d_layer, 3),
    _global(global_avg_pool1d, global_avg_pool1d_layer, 3),
    _global(global_max_pool3d, global_max_pool3d_layer, 5),
    _global(global_avg_pool3d, global_avg_pool3d_layer, 5),
)
