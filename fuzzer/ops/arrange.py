"""The same elements under another shape or in another order: squeeze, permutations, reversals, rolls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_0, FROM_1, FROM_2, MOVED, axis_of, free, ints
from fuzzer.ops.domains import Choice, Int, Ints
from fuzzer.ops.spec import INTS, Attrs, Op, TensorType, WeightSlot, integer

_MASK = Int(1, 63, 1)


def reshape_infer(tf: Any, x: Any, *, keep: Any, axis: Any) -> Any:
    """One axis of -1 in the target: some leading or trailing axes are kept, the others merged into one."""
    kept = keep % x.shape.rank
    front = [x.shape[i] for i in range(kept)] if axis else []
    back = [] if axis else [x.shape[i] for i in range(x.shape.rank - kept, x.shape.rank)]
    return tf.reshape(x, [*front, -1, *back])


def _reshape_infer_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    kept = integer(attrs["keep"]) % x.rank
    shape = x.shape[:kept] if attrs["axis"] else x.shape[x.rank - kept :]
    rest = x.elements
    for dim in shape:
        rest //= dim
    return TensorType((*shape, rest) if attrs["axis"] else (rest, *shape), x.dtype)


def flatten(tf: Any, x: Any, *, out_shape: Any) -> Any:
    """All axes but the first merged into one."""
    return tf.reshape(x, [-1, out_shape[1]])


def flatten_layer(keras: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Flatten()


def _flatten_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.shape[0], x.elements // x.shape[0]), x.dtype)


def squeeze(tf: Any, x: Any, *, which: Any) -> Any:
    """Removes axes of size 1: all of them, or one."""
    ones = [i for i in range(x.shape.rank) if x.shape[i] == 1]
    return tf.squeeze(x, ones if which == 0 else [ones[which % len(ones)]])


def _squeeze_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, which = operands[0], integer(attrs["which"])
    ones = [i for i, dim in enumerate(x.shape) if dim == 1]
    if not ones:
        raise UnfitError(f"{x} has no axis of size 1")
    gone = ones if which == 0 else [ones[which % len(ones)]]
    return TensorType(tuple(dim for i, dim in enumerate(x.shape) if i not in gone), x.dtype)


def expand_dims(tf: Any, x: Any, *, axis: Any) -> Any:
    """A new axis of size 1, its place counted from the end."""
    return tf.expand_dims(x, -1 - axis % (x.shape.rank + 1))


def _expand_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs, 1)
    return TensorType((*x.shape[:axis], 1, *x.shape[axis:]), x.dtype)


def transpose_any(tf: Any, x: Any, *, keys: Any) -> Any:
    """The axes in the order of their keys: any permutation."""
    return tf.transpose(x, sorted(range(x.shape.rank), key=lambda axis: keys[axis]))


def _transpose_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, keys = operands[0], ints(attrs["keys"])
    return TensorType(tuple(x.shape[i] for i in sorted(range(x.rank), key=lambda axis: keys[axis])), x.dtype)


def reverse(tf: Any, x: Any, *, mask: Any) -> Any:
    """Elements backwards along the axes of a bit mask."""
    return tf.reverse(x, [i for i in range(x.shape.rank) if mask // 2**i % 2])


def roll(tf: Any, x: Any, *, axes: Any, shift: Any) -> Any:
    """Elements moved round along several axes, the same one twice included."""
    return tf.roll(x, shift=shift, axis=[axis % x.shape.rank for axis in axes])


def reverse_sequence(tf: Any, x: Any, *, lengths: Any, batch: Any, along: Any) -> Any:
    """The first few elements of every batch entry backwards, how many is a constant."""
    first = batch % x.shape.rank
    other = (first + 1 + along % (x.shape.rank - 1)) % x.shape.rank
    return tf.reverse_sequence(x, lengths, seq_axis=other, batch_axis=first)


def reverse_sequence_dynamic(tf: Any, x: Any, lengths: Any, *, batch: Any, along: Any) -> Any:
    """The first few elements of every batch entry backwards, how many is known at run time."""
    first = batch % x.shape.rank
    other = (first + 1 + along % (x.shape.rank - 1)) % x.shape.rank
    flat = tf.math.floormod(tf.reshape(lengths, [-1])[: x.shape[first]], x.shape[other] + 1)
    return tf.reverse_sequence(x, flat, seq_axis=other, batch_axis=first)


def _sequence_axes(x: TensorType, attrs: Attrs) -> tuple[int, int]:
    first = integer(attrs["batch"]) % x.rank
    return first, (first + 1 + integer(attrs["along"]) % (x.rank - 1)) % x.rank


def _lengths(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    first, other = _sequence_axes(x, attrs)
    span = (0, x.shape[other] + 1)
    return (WeightSlot("lengths", TensorType((x.shape[first],), str(attrs["lengths_dtype"])), span=span),)


def _reverse_sequence_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    if len(operands) == 2 and operands[1].elements < x.shape[_sequence_axes(x, attrs)[0]]:
        raise UnfitError(f"{operands[1]} is too small to hold the lengths of {x}")
    return x


_SEQUENCE = {"batch": Int(0, 5, 0), "along": Int(0, 4, 0)}

OPS = (
    Op(
        "reshape_infer",
        reshape_infer,
        _reshape_infer_type,
        attrs={"keep": Int(0, 5, 0), "axis": Choice((0, 1))},
        cost=free,
        ranks=FROM_1,
        dtypes=MOVED,
        weight=0.7,
        static=True,
    ),
    Op(
        "flatten",
        flatten,
        _flatten_type,
        cost=free,
        ranks=FROM_1,
        dtypes=MOVED,
        keras=flatten_layer,
        weight=0.6,
    ),
    Op(
        "squeeze",
        squeeze,
        _squeeze_type,
        attrs={"which": Int(0, 6, 0)},
        cost=free,
        ranks=FROM_0,
        dtypes=MOVED,
        empty=True,
        weight=0.7,
        static=True,
    ),
    Op(
        "expand_dims",
        expand_dims,
        _expand_type,
        attrs={"axis": Int(0, 6, 0)},
        cost=free,
        ranks=FROM_0[:6],
        dtypes=MOVED,
        empty=True,
        weight=0.7,
    ),
    Op(
        "transpose_any",
        transpose_any,
        _transpose_type,
        attrs={"keys": Ints(6, 0, 5, 0)},
        cost=free,
        ranks=FROM_0,
        dtypes=("float32", *INTS, "int8", "uint8", "bool", "float16"),
        empty=True,
    ),
    Op(
        "reverse",
        reverse,
        attrs={"mask": _MASK},
        cost=free,
        ranks=FROM_1,
        dtypes=("float32", *INTS, "uint8", "int16", "bool", "float16"),
        empty=True,
        weight=0.7,
    ),
    Op(
        "roll",
        roll,
        attrs={"axes": Ints(2, 0, 5, 0), "shift": Ints(2, -5, 5, 0)},
        cost=free,
        ranks=FROM_1[:5],
        dtypes=MOVED,
        empty=True,
        weight=0.4,
        static=True,
    ),
    Op(
        "reverse_sequence",
        reverse_sequence,
        _reverse_sequence_type,
        attrs={**_SEQUENCE, "lengths_dtype": Choice(INTS)},
        weights=_lengths,
        cost=free,
        ranks=FROM_2[:4],
        dtypes=("float32", *INTS, "float16"),
        weight=0.4,
        static=True,
    ),
    Op(
        "reverse_sequence_dynamic",
        reverse_sequence_dynamic,
        _reverse_sequence_type,
        attrs=_SEQUENCE,
        cost=free,
        arity=(2, 2),
        ranks=FROM_2[:4],
        dtypes=("float32", *INTS, "float16"),
        operand_dtypes=(INTS,),
        weight=0.3,
        static=True,
    ),
)
