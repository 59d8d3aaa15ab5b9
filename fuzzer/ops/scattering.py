"""Elements written by index: scatter_nd, tensor_scatter_*, sparse to dense, stitches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_1, free, ints
from fuzzer.ops.domains import Choice, Float, Int, Ints
from fuzzer.ops.spec import INTS, Attrs, Op, TensorType, WeightSlot, integer


def scatter_nd(tf: Any, x: Any, *, indices: Any, out_shape: Any) -> Any:
    """Slices added to zeros at constant places, several to one place included."""
    return tf.scatter_nd(indices, x, tf.constant(out_shape, indices.dtype))


def _scatter_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    sizes = ints(attrs["sizes"])[: integer(attrs["depth"])]
    outer = x.shape[: 1 + integer(attrs["outer"]) % x.rank]
    slot = TensorType((*outer, len(sizes)), str(attrs["index"]))
    return (WeightSlot("indices", slot, span=(0, min(sizes))),)


def _scatter_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    sizes = ints(attrs["sizes"])[: integer(attrs["depth"])]
    return TensorType((*sizes, *x.shape[1 + integer(attrs["outer"]) % x.rank :]), x.dtype)


def scatter_nd_dynamic(tf: Any, x: Any, indices: Any, *, rows: Any, out_shape: Any) -> Any:
    """Rows added to zeros at places known at run time, brought into range."""
    places = tf.math.floormod(tf.reshape(indices, [-1, 1])[: x.shape[0]], rows)
    return tf.scatter_nd(places, x, tf.constant(out_shape, indices.dtype))


def _scatter_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, indices = operands
    if indices.elements < x.shape[0]:
        raise UnfitError(f"{indices} holds no index for each row of {x}")
    return TensorType((integer(attrs["rows"]), *x.shape[1:]), x.dtype)


def tensor_scatter_update(tf: Any, x: Any, y: Any = None, *, start: Any, count: Any, step: Any, const: Any) -> Any:
    """Some rows replaced, no row twice."""
    rows = y[: 1 + count % x.shape[0]] if y is not None else const
    places = [[(start + step * i) % x.shape[0]] for i in range(1 + count % x.shape[0])]
    return tf.tensor_scatter_nd_update(x, places, rows)


def _update_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    if len(operands) == 2 and operands[1].shape != x.shape:
        raise UnfitError(f"{x} and {operands[1]} are not of one shape")
    return x


def _update_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    if len(operands) == 2:
        return ()
    rows = 1 + integer(attrs["count"]) % x.shape[0]
    return (WeightSlot("const", TensorType((rows, *x.shape[1:]), x.dtype)),)


def tensor_scatter_add(tf: Any, x: Any, *, indices: Any, updates: Any) -> Any:
    """Constants added at constant places, several to one place included."""
    return tf.tensor_scatter_nd_add(x, indices, updates)


def _updates(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    depth, count = 1 + integer(attrs["depth"]) % x.rank, integer(attrs["count"])
    indices = TensorType((count, depth), str(attrs["index"]))
    return (
        WeightSlot("indices", indices, span=(0, min(x.shape[:depth]))),
        WeightSlot("updates", TensorType((count, *x.shape[depth:]), x.dtype)),
    )


def sparse_to_dense(
    tf: Any, x: Any, *, gap: Any, start: Any, fill: Any, columns: Any, index: Any, out_shape: Any
) -> Any:
    """A vector's elements, `gap` apart, in a vector or matrix that is filled with a number."""
    flat = [start + gap * i for i in range(x.shape[0])]
    places = [[at // columns, at % columns] for at in flat] if columns else [[at] for at in flat]
    return tf.raw_ops.SparseToDense(
        sparse_indices=tf.constant(places, index),
        output_shape=tf.constant(out_shape, index),
        sparse_values=x,
        default_value=tf.cast(fill, x.dtype),
    )


def _dense_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, columns = operands[0], integer(attrs["columns"])
    last = integer(attrs["start"]) + integer(attrs["gap"]) * (x.shape[0] - 1)
    return TensorType((last // columns + 1, columns) if columns else (last + 2,), x.dtype)


OPS = (
    Op(
        "scatter_nd",
        scatter_nd,
        _scatter_type,
        attrs={"sizes": Ints(2, 1, 8, 4), "depth": Int(1, 2, 1), "outer": Int(0, 1, 0), "index": Choice(INTS)},
        weights=_scatter_weights,
        ranks=FROM_1,
        dtypes=("float32", *INTS, "int8", "uint8", "bool", "float16"),
        weight=0.6,
        static=True,
    ),
    Op(
        "scatter_nd_dynamic",
        scatter_nd_dynamic,
        _scatter_dynamic_type,
        attrs={"rows": Int(1, 8, 4)},
        arity=(2, 2),
        ranks=FROM_1,
        dtypes=("float32", *INTS, "int8", "uint8", "bool", "float16"),
        operand_dtypes=(INTS,),
        weight=0.5,
        static=True,
    ),
    Op(
        "tensor_scatter_update",
        tensor_scatter_update,
        _update_type,
        attrs={"start": Int(0, 7, 0), "count": Int(0, 7, 0), "step": Choice((1, -1))},
        weights=_update_weights,
        cost=free,
        arity=(1, 2),
        ranks=FROM_1[:5],
        dtypes=("float32", *INTS, "bool", "float16"),
        weight=0.5,
        static=True,
    ),
    Op(
        "tensor_scatter_add",
        tensor_scatter_add,
        attrs={"depth": Int(0, 5, 0), "count": Int(1, 8, 1), "index": Choice(INTS)},
        weights=_updates,
        ranks=FROM_1,
        dtypes=("float32", *INTS, "float16"),
        weight=0.4,
        static=True,
    ),
    Op(
        "sparse_to_dense",
        sparse_to_dense,
        _dense_type,
        attrs={
            "gap": Int(1, 4, 1),
            "start": Int(0, 5, 0),
            "fill": Float(-8.0, 8.0, 0.0, special=(0.0, 1.0)),
            "columns": Int(0, 6, 0),
            "index": Choice(INTS),
        },
        cost=free,
        ranks=(1,),
        dtypes=("float32", *INTS, "int8", "uint8", "float16"),
        weight=0.4,
        static=True,
    ),
)
