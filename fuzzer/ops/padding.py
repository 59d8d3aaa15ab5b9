"""Tensors made larger by what they hold or by a constant: padding, tiling, broadcasting, repetition; and cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_0, FROM_1, axis_of, free, ints, replaced
from fuzzer.ops.domains import Choice, Float, Int, Ints
from fuzzer.ops.spec import INTS, NUMBERS, SMALL_INTS, Attrs, Op, TensorType, integer

_PADDINGS = {"before": Ints(6, 0, 4, 0), "after": Ints(6, 0, 4, 1)}


def pad_zeros(tf: Any, x: Any, *, before: Any, after: Any, width: Any) -> Any:
    """Zeros around any axes; the widths are int32 or int64."""
    widths = [[before[i], after[i]] for i in range(x.shape.rank)]
    return tf.pad(x, tf.constant(widths, width))


def pad_value(tf: Any, x: Any, *, before: Any, after: Any, value: Any) -> Any:
    """A constant around any axes."""
    widths = [[before[i], after[i]] for i in range(x.shape.rank)]
    return tf.pad(x, widths, constant_values=tf.cast(value, x.dtype))


def _pad_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    sizes = zip(x.shape, ints(attrs["before"]), ints(attrs["after"]), strict=False)
    return TensorType(tuple(dim + before + after for dim, before, after in sizes), x.dtype)


def pad_dynamic(tf: Any, x: Any, width: Any, *, room: Any, out_shape: Any) -> Any:
    """Zeros around the first axis, how many before it is known at run time only, the sum is not."""
    before = tf.math.floormod(tf.reshape(width, [-1])[0], room + 1)
    edges = tf.reshape(tf.stack([before, room - before]), [1, 2])
    rest = tf.zeros([x.shape.rank - 1, 2], width.dtype)
    return tf.reshape(tf.pad(x, tf.concat([edges, rest], 0)), out_shape)


def _pad_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return replaced(x, 0, x.shape[0] + integer(attrs["room"]))


def mirror_pad(tf: Any, x: Any, *, before: Any, after: Any, mode: Any) -> Any:
    """The tensor mirrored at its edges, as far as it reaches."""
    edge = 1 if mode == "REFLECT" else 0
    widths = [[min(before[i], x.shape[i] - edge), min(after[i], x.shape[i] - edge)] for i in range(x.shape.rank)]
    return tf.pad(x, widths, mode=mode)


def _mirror_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, edge = operands[0], int(attrs["mode"] == "REFLECT")
    sizes = zip(x.shape, ints(attrs["before"]), ints(attrs["after"]), strict=False)
    return TensorType(
        tuple(dim + min(before, dim - edge) + min(after, dim - edge) for dim, before, after in sizes), x.dtype
    )


def tile(tf: Any, x: Any, *, multiples: Any, counts: Any) -> Any:
    """The whole tensor several times along each axis."""
    return tf.tile(x, tf.constant(multiples[: x.shape.rank], counts, shape=[x.shape.rank]))


def _tile_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType(tuple(a * b for a, b in zip(x.shape, ints(attrs["multiples"]), strict=False)), x.dtype)


def broadcast_to(tf: Any, x: Any, *, lead: Any, grow: Any, target: Any, out_shape: Any) -> Any:
    """Axes of size 1 stretched, new axes in front."""
    return tf.broadcast_to(x, tf.constant(out_shape, target, shape=[len(out_shape)]))


def _broadcast_to_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, lead, grow = operands[0], integer(attrs["lead"]), ints(attrs["grow"])
    stretched = (n if dim == 1 else dim for dim, n in zip(x.shape, grow, strict=False))
    return TensorType((*grow[:lead], *stretched), x.dtype)


def repeat(tf: Any, x: Any, *, axis: Any, times: Any) -> Any:
    """Every slice along an axis several times in a row."""
    return tf.repeat(x, times, axis=-1 - axis % x.shape.rank)


def _repeat_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs)
    return replaced(x, axis, x.shape[axis] * integer(attrs["times"]))


def repeat_each(tf: Any, x: Any, *, axis: Any, times: Any, out_shape: Any) -> Any:
    """Every slice along an axis its own number of times."""
    along = x.shape.rank - 1 - axis % x.shape.rank
    return tf.reshape(tf.repeat(x, [times[i % 4] for i in range(x.shape[along])], axis=along), out_shape)


def _repeat_each_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, times = operands[0], ints(attrs["times"])
    axis = axis_of(x, attrs)
    total = sum(times[i % 4] for i in range(x.shape[axis]))
    if not total:
        raise UnfitError("nothing is left")
    return replaced(x, axis, total)


def repeat_vector(tf: Any, x: Any, *, times: Any) -> Any:
    """A matrix several times along a new middle axis."""
    return tf.tile(tf.expand_dims(x, 1), [1, times, 1])


def repeat_vector_layer(keras: Any, *, times: Any) -> Any:
    """The Keras layer."""
    return keras.layers.RepeatVector(times)


def _repeat_vector_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.shape[0], integer(attrs["times"]), x.shape[1]), x.dtype)


# --- Keras' own paddings and croppings, channels last -----------------------------------------------------


def zero_padding(tf: Any, x: Any, *, before: Any, after: Any) -> Any:
    """Zeros around the axes between batch and channels."""
    inner = [[before[i], after[i]] for i in range(x.shape.rank - 2)]
    return tf.pad(x, [[0, 0], *inner, [0, 0]])


def zero_padding_2d(keras: Any, *, before: Any, after: Any) -> Any:
    """The Keras layer."""
    return keras.layers.ZeroPadding2D(((before[0], after[0]), (before[1], after[1])))


def zero_padding_1d(keras: Any, *, before: Any, after: Any) -> Any:
    """The Keras layer."""
    return keras.layers.ZeroPadding1D((before[0], after[0]))


def zero_padding_3d(keras: Any, *, before: Any, after: Any) -> Any:
    """The Keras layer."""
    return keras.layers.ZeroPadding3D(tuple((before[i], after[i]) for i in range(3)))


def _zero_padding_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, before, after = operands[0], ints(attrs["before"]), ints(attrs["after"])
    inner = (dim + before[i] + after[i] for i, dim in enumerate(x.shape[1:-1]))
    return TensorType((x.shape[0], *inner, x.shape[-1]), x.dtype)


def cropping_1d(tf: Any, x: Any, *, before: Any, after: Any, out_shape: Any) -> Any:
    """The middle of the axis between batch and channels."""
    return x[:, before[0] : before[0] + out_shape[1]]


def cropping_2d(tf: Any, x: Any, *, before: Any, after: Any, out_shape: Any) -> Any:
    """The middle of the axes between batch and channels."""
    return x[:, before[0] : before[0] + out_shape[1], before[1] : before[1] + out_shape[2]]


def cropping_3d(tf: Any, x: Any, *, before: Any, after: Any, out_shape: Any) -> Any:
    """The middle of the axes between batch and channels."""
    high = x[:, before[0] : before[0] + out_shape[1]]
    return high[:, :, before[1] : before[1] + out_shape[2], before[2] : before[2] + out_shape[3]]


def cropping_1d_layer(keras: Any, *, before: Any, after: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Cropping1D((before[0], after[0]))


def cropping_2d_layer(keras: Any, *, before: Any, after: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Cropping2D(((before[0], after[0]), (before[1], after[1])))


def cropping_3d_layer(keras: Any, *, before: Any, after: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Cropping3D(tuple((before[i], after[i]) for i in range(3)))


def _cropping_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, before, after = operands[0], ints(attrs["before"]), ints(attrs["after"])
    inner = [dim - before[i] - after[i] for i, dim in enumerate(x.shape[1:-1])]
    if min(inner) < 1:
        raise UnfitError(f"nothing is left of {x}")
    return TensorType((x.shape[0], *inner, x.shape[-1]), x.dtype)


_CROPS = {"before": Ints(3, 0, 4, 0), "after": Ints(3, 0, 4, 0)}
_BORDERS = {"before": Ints(3, 0, 4, 1), "after": Ints(3, 0, 4, 1)}

OPS = (
    Op(
        "pad_zeros",
        pad_zeros,
        _pad_type,
        attrs={**_PADDINGS, "width": Choice(INTS)},
        cost=free,
        ranks=FROM_1,
        dtypes=("float32", *INTS, "bool", "float16"),
        empty=True,
    ),
    Op(
        "pad_value",
        pad_value,
        _pad_type,
        attrs={**_PADDINGS, "value": Float(-8.0, 8.0, 1.0, special=(0.0, -1.0, 6.0))},
        cost=free,
        ranks=FROM_1,
        dtypes=("float32", *INTS, "uint8", "bool", "complex64", "float16"),
        empty=True,
        weight=0.7,
    ),
    Op(
        "pad_dynamic",
        pad_dynamic,
        _pad_dynamic_type,
        attrs={"room": Int(0, 6, 1)},
        cost=free,
        arity=(2, 2),
        ranks=FROM_1,
        dtypes=("float32", *INTS, "bool", "float16"),
        operand_dtypes=(INTS,),
        weight=0.4,
        static=True,
    ),
    Op(
        "mirror_pad",
        mirror_pad,
        _mirror_type,
        attrs={**_PADDINGS, "mode": Choice(("REFLECT", "SYMMETRIC"))},
        cost=free,
        ranks=FROM_1[:5],
        dtypes=("float32", *INTS, "int8", "uint8", "float16"),
        weight=0.7,
        static=True,
    ),
    Op(
        "tile",
        tile,
        _tile_type,
        attrs={"multiples": Ints(6, 1, 4, 2), "counts": Choice(INTS)},
        cost=free,
        ranks=FROM_1,
        dtypes=("float32", *INTS, "uint8", "bool", "string", "float16"),
        empty=True,
        weight=0.8,
    ),
    Op(
        "broadcast_to",
        broadcast_to,
        _broadcast_to_type,
        attrs={"lead": Int(0, 2, 0), "grow": Ints(6, 1, 5, 2), "target": Choice(INTS)},
        cost=free,
        ranks=FROM_0,
        dtypes=("float32", *INTS, "int8", "uint8", "int16", "uint32", "bool", "complex64", "float16"),
        empty=True,
        weight=0.8,
        static=True,
    ),
    Op(
        "repeat",
        repeat,
        _repeat_type,
        attrs={"axis": Int(0, 5, 0), "times": Int(1, 4, 2)},
        cost=free,
        ranks=FROM_1,
        dtypes=("float32", *INTS, "uint8", "bool", "string", "float16"),
        weight=0.4,
        static=True,
    ),
    Op(
        "repeat_each",
        repeat_each,
        _repeat_each_type,
        attrs={"axis": Int(0, 5, 0), "times": Ints(4, 0, 3, 1)},
        cost=free,
        ranks=FROM_1,
        dtypes=("float32", *INTS, "int8", "uint8", "int16", "bool", "float16"),
        weight=0.3,
        static=True,
    ),
    Op(
        "repeat_vector",
        repeat_vector,
        _repeat_vector_type,
        attrs={"times": Int(1, 5, 2)},
        cost=free,
        ranks=(2,),
        dtypes=NUMBERS,
        keras=repeat_vector_layer,
        weight=0.3,
    ),
    *(
        Op(
            f"zero_padding_{rank - 2}d",
            zero_padding,
            _zero_padding_type,
            attrs=_BORDERS,
            cost=free,
            ranks=(rank,),
            dtypes=NUMBERS,
            keras=layer,
            weight=0.3,
        )
        for rank, layer in ((3, zero_padding_1d), (4, zero_padding_2d), (5, zero_padding_3d))
    ),
    *(
        Op(
            build.__name__,
            build,
            _cropping_type,
            attrs=_CROPS,
            cost=free,
            ranks=(rank,),
            dtypes=NUMBERS + SMALL_INTS,
            keras=layer,
            weight=0.4,
        )
        for rank, build, layer in (
            (3, cropping_1d, cropping_1d_layer),
            (4, cropping_2d, cropping_2d_layer),
            (5, cropping_3d, cropping_3d_layer),
        )
    ),
)
