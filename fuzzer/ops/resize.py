"""Images and sequences at another resolution: resizing, up-sampling, blocks moved between space, depth and batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import divisor, free, ints
from fuzzer.ops.domains import Choice, Domain, Int, Ints
from fuzzer.ops.float64 import bilinear, upsampled
from fuzzer.ops.spec import FLOATS, INTS, Attrs, Op, TensorType, integer, pair

_SIZES: dict[str, Domain] = {"size": Ints(2, 0, 24, 2), "corners": Choice(("none", "align", "half"))}


def resize_bilinear(tf: Any, x: Any, *, corners: Any, out_shape: Any) -> Any:
    """Linear interpolation between the four neighbours; every convention of where pixels lie."""
    return tf.raw_ops.ResizeBilinear(
        images=x, size=out_shape[1:3], align_corners=corners == "align", half_pixel_centers=corners == "half"
    )


def resize_nearest(tf: Any, x: Any, *, corners: Any, out_shape: Any) -> Any:
    """The nearest pixel; every convention of where pixels lie."""
    return tf.raw_ops.ResizeNearestNeighbor(
        images=x, size=out_shape[1:3], align_corners=corners == "align", half_pixel_centers=corners == "half"
    )


def _sized(x: TensorType, attrs: Attrs) -> tuple[int, ...]:
    """A size of 0 stands for the operand's own."""
    height, width = (size or x.shape[1 + i] for i, size in enumerate(pair(attrs["size"])))
    return (x.shape[0], height, width, x.shape[3])


def _bilinear_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(_sized(operands[0], attrs), "float32")


def _nearest_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(_sized(operands[0], attrs), operands[0].dtype)


def _bilinear_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return out.elements * 4


def upsampling_1d(tf: Any, x: Any, *, times: Any) -> Any:
    """Every step several times in a row."""
    return tf.repeat(x, times, axis=1)


def upsampling_1d_layer(keras: Any, *, times: Any) -> Any:
    """The Keras layer."""
    return keras.layers.UpSampling1D(times)


def _upsampling_1d_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.shape[0], x.shape[1] * integer(attrs["times"]), x.shape[2]), x.dtype)


def upsampling_2d(tf: Any, x: Any, *, times: Any, method: Any, out_shape: Any, out_dtype: Any) -> Any:
    """An image enlarged by whole factors."""
    return tf.cast(tf.image.resize(x, out_shape[1:3], method=method), out_dtype)


def upsampling_2d_layer(keras: Any, *, times: Any, method: Any) -> Any:
    """The Keras layer."""
    return keras.layers.UpSampling2D(times, interpolation=method)


def upsampling_3d(tf: Any, x: Any, *, times: Any) -> Any:
    """A volume enlarged by whole factors."""
    deep = tf.repeat(x, times[0], axis=1)
    high = tf.repeat(deep, times[1], axis=2)
    return tf.repeat(high, times[2], axis=3)


def upsampling_3d_layer(keras: Any, *, times: Any) -> Any:
    """The Keras layer."""
    return keras.layers.UpSampling3D(times)


def _upsampling_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, times = operands[0], ints(attrs["times"])
    inner = (dim * times[i] for i, dim in enumerate(x.shape[1:-1]))
    return TensorType((x.shape[0], *inner, x.shape[-1]), x.dtype)


# --- blocks -----------------------------------------------------------------------------------------------


def space_to_depth(tf: Any, x: Any, *, block: Any, out_shape: Any) -> Any:
    """Blocks of an image become channels; `block` chooses among the sizes that divide it."""
    return tf.nn.space_to_depth(x, x.shape[1] // out_shape[1])


def _space_to_depth_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    batch, height, width, channels = x.shape
    size = divisor(math.gcd(height, width), integer(attrs["block"]), 8)
    if size == 1:
        raise UnfitError(f"no block divides {x}")
    return TensorType((batch, height // size, width // size, channels * size * size), x.dtype)


def depth_to_space(tf: Any, x: Any, *, block: Any, out_shape: Any) -> Any:
    """Channels become blocks of an image; channels that no square divides are repeated first.

    `block` chooses among the sizes whose square divides the channels.
    """
    wide = x if out_shape[3] < x.shape[3] else tf.concat([x, x, x, x], 3)
    return tf.nn.depth_to_space(wide, out_shape[1] // x.shape[1])


def _depth_to_space_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    batch, height, width, channels = x.shape
    fitting = [size for size in range(2, 9) if channels % (size * size) == 0]
    if not fitting:
        return TensorType((batch, height * 2, width * 2, channels), x.dtype)
    size = fitting[integer(attrs["block"]) % len(fitting)]
    return TensorType((batch, height * size, width * size, channels // size // size), x.dtype)


def space_to_batch_nd(tf: Any, x: Any, *, blocks: Any, before: Any, more: Any, index: Any) -> Any:
    """Every n-th element becomes a batch entry of its own; zeros around make the sizes fit."""
    count = x.shape.rank - 2
    after = [-(x.shape[i + 1] + before[i]) % blocks[i] + blocks[i] * more[i] for i in range(count)]
    paddings = [[before[i], after[i]] for i in range(count)]
    return tf.space_to_batch_nd(x, tf.constant(blocks[:count], index), tf.constant(paddings, index))


def _space_to_batch_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, blocks = operands[0], pair(attrs["blocks"])
    before, more = pair(attrs["before"]), pair(attrs["more"])
    shape = list(x.shape)
    for i in range(x.rank - 2):
        shape[0] *= blocks[i]
        shape[i + 1] = -(-(shape[i + 1] + before[i]) // blocks[i]) + more[i]
    return TensorType(tuple(shape), x.dtype)


def batch_to_space_nd(tf: Any, x: Any, *, blocks: Any, before: Any, after: Any, index: Any) -> Any:
    """Batch entries become neighbours in space, the edges cut off."""
    count = x.shape.rank - 2
    factors = [
        blocks[i] if x.shape[0] % (blocks[0] * blocks[1] if count == 2 else blocks[0]) == 0 else 1 for i in range(count)
    ]
    sizes = [x.shape[i + 1] * factors[i] - 1 for i in range(count)]
    crops = [[min(before[i], sizes[i]), min(after[i], sizes[i] - min(before[i], sizes[i]))] for i in range(count)]
    return tf.batch_to_space(x, tf.constant(factors, index), tf.constant(crops, index))


def _batch_to_space_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """Blocks of 1 where the batch is no multiple; at least one element of each axis is left."""
    x, blocks = operands[0], pair(attrs["blocks"])
    count = x.rank - 2
    fits = x.shape[0] % (blocks[0] * blocks[1] if count == 2 else blocks[0]) == 0
    shape = list(x.shape)
    for i in range(count):
        factor = blocks[i] if fits else 1
        shape[0] //= factor
        size = shape[i + 1] * factor - 1
        before = min(pair(attrs["before"])[i], size)
        shape[i + 1] = size + 1 - before - min(pair(attrs["after"])[i], size - before)
    return TensorType(tuple(shape), x.dtype)


def space_batch_space(tf: Any, x: Any, *, blocks: Any, crops: Any, index: Any, out_shape: Any) -> Any:
    """Space to batch and back: what a dilated convolution is wrapped in, with nothing between the two."""
    after = [-x.shape[i + 1] % blocks[i] for i in range(2)]
    there = tf.space_to_batch_nd(x, tf.constant(blocks, index), tf.constant([[0, after[0]], [0, after[1]]], index))
    cuts = [[crops[i], x.shape[i + 1] + after[i] - crops[i] - out_shape[i + 1]] for i in range(2)]
    return tf.batch_to_space(there, tf.constant(blocks, index), tf.constant(cuts, index))


def _space_batch_space_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, crops = operands[0], pair(attrs["crops"])
    if min(x.shape[i + 1] - crops[i] for i in range(2)) < 1:
        raise UnfitError(f"nothing is left of {x}")
    return TensorType((x.shape[0], x.shape[1] - crops[0], x.shape[2] - crops[1], *x.shape[3:]), x.dtype)


_INDEX = Choice(INTS)

OPS = (
    Op(
        "resize_bilinear",
        resize_bilinear,
        _bilinear_type,
        attrs=_SIZES,
        cost=_bilinear_cost,
        ranks=(4,),
        dtypes=FLOATS,
        float64=False,
        reference=bilinear,
    ),
    Op(
        "resize_nearest",
        resize_nearest,
        _nearest_type,
        attrs=_SIZES,
        cost=free,
        ranks=(4,),
        dtypes=FLOATS,
    ),
    Op(
        "upsampling_1d",
        upsampling_1d,
        _upsampling_1d_type,
        attrs={"times": Int(1, 5, 2)},
        cost=free,
        ranks=(3,),
        dtypes=(*FLOATS, *INTS),
        keras=upsampling_1d_layer,
        weight=0.3,
        static=True,
    ),
    Op(
        "upsampling_2d",
        upsampling_2d,
        _upsampling_type,
        attrs={"times": Ints(2, 1, 4, 2), "method": Choice(("nearest", "bilinear"))},
        cost=_bilinear_cost,
        ranks=(4,),
        dtypes=FLOATS,
        keras=upsampling_2d_layer,
        weight=0.7,
        float64=False,
        reference=upsampled,
    ),
    Op(
        "upsampling_3d",
        upsampling_3d,
        _upsampling_type,
        attrs={"times": Ints(3, 1, 3, 2)},
        cost=free,
        ranks=(5,),
        dtypes=FLOATS,
        keras=upsampling_3d_layer,
        weight=0.2,
        static=True,
    ),
    *(
        Op(
            build.__name__,
            build,
            infer,
            attrs={"block": Int(0, 6, 0)},
            cost=free,
            ranks=(4,),
            dtypes=dtypes,
            weight=0.8,
            static=True,
        )
        for build, infer, dtypes in (
            (space_to_depth, _space_to_depth_type, ("float32", *INTS, "float16")),
            (depth_to_space, _depth_to_space_type, ("float32", *INTS, "int8", "uint8", "float16")),
        )
    ),
    Op(
        "space_to_batch_nd",
        space_to_batch_nd,
        _space_to_batch_type,
        attrs={"blocks": Ints(2, 1, 4, 2), "before": Ints(2, 0, 3, 0), "more": Ints(2, 0, 1, 0), "index": _INDEX},
        cost=free,
        ranks=(3, 4),
        dtypes=("float32", *INTS, "float16"),
        weight=0.7,
        static=True,
    ),
    Op(
        "batch_to_space_nd",
        batch_to_space_nd,
        _batch_to_space_type,
        attrs={"blocks": Ints(2, 1, 3, 1), "before": Ints(2, 0, 3, 0), "after": Ints(2, 0, 3, 0), "index": _INDEX},
        cost=free,
        ranks=(3, 4),
        dtypes=("float32", *INTS, "int8", "uint8", "float16"),
        weight=0.7,
        static=True,
    ),
    Op(
        "space_batch_space",
        space_batch_space,
        _space_batch_space_type,
        attrs={"blocks": Ints(2, 1, 4, 2), "crops": Ints(2, 0, 3, 0), "index": _INDEX},
        cost=free,
        ranks=(4,),
        dtypes=("float32", *INTS, "float16"),
        weight=0.4,
        static=True,
    ),
)
