"""Elements picked by index: gather, gather_nd, embedding lookups, one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.axes import FROM_0, FROM_1, axis_of, free, ints
from fuzzer.ops.domains import Choice, Domain, Flag, Float, Int, Ints
from fuzzer.ops.spec import FLOATS, INTS, Attrs, Op, TensorType, WeightSlot, integer

_GATHERED = ("float32", *INTS, "int8", "uint8", "int16", "bool", "float16")
_GATHERED_ND = ("float32", *INTS, "int8", "uint8", "int16", "bool", "string", "float16")
_INDEX: dict[str, Domain] = {"dims": Ints(2, 1, 6, 2), "index_rank": Int(0, 2, 1), "index": Choice(INTS)}


def gather(tf: Any, x: Any, *, indices: Any, axis: Any, batch: Any) -> Any:
    """Slices along an axis, picked by constant indices; leading axes may be shared with the indices."""
    along = x.shape.rank - 1 - axis % x.shape.rank
    return tf.gather(x, indices, axis=along, batch_dims=batch % (along + 1))


def _index_dims(attrs: Attrs) -> tuple[int, ...]:
    return ints(attrs["dims"])[: integer(attrs["index_rank"])]


def _gather_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    axis = axis_of(x, attrs)
    batch = integer(attrs["batch"]) % (axis + 1)
    shape = (*x.shape[:batch], *_index_dims(attrs))
    return (WeightSlot("indices", TensorType(shape, str(attrs["index"])), span=(0, x.shape[axis])),)


def _gather_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    axis = axis_of(x, attrs)
    return TensorType((*x.shape[:axis], *_index_dims(attrs), *x.shape[axis + 1 :]), x.dtype)


def gather_dynamic(tf: Any, x: Any, indices: Any, *, axis: Any, batch: Any, out_shape: Any) -> Any:
    """Slices along an axis, picked by run-time indices brought into range."""
    along = x.shape.rank - 1 - axis % x.shape.rank
    wrapped = tf.math.floormod(indices, x.shape[along])
    return tf.gather(x, wrapped, axis=along, batch_dims=x.shape.rank - 1 + indices.shape.rank - len(out_shape))


def _gather_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """As many leading axes are shared as `batch` allows and the shapes agree on."""
    x, indices = operands
    axis = axis_of(x, attrs)
    batch = 0
    while batch < min(integer(attrs["batch"]), axis, indices.rank) and x.shape[batch] == indices.shape[batch]:
        batch += 1
    return TensorType((*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :]), x.dtype)


def gather_nd(tf: Any, x: Any, *, indices: Any, depth: Any) -> Any:
    """Slices picked by constant tuples of indices."""
    return tf.gather_nd(x, indices)


def _gather_nd_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    depth = 1 + integer(attrs["depth"]) % x.rank
    slot = TensorType((*_index_dims(attrs), depth), str(attrs["index"]))
    return (WeightSlot("indices", slot, span=(0, min(x.shape[:depth]))),)


def _gather_nd_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((*_index_dims(attrs), *x.shape[1 + integer(attrs["depth"]) % x.rank :]), x.dtype)


def gather_nd_dynamic(tf: Any, x: Any, indices: Any) -> Any:
    """Slices picked by run-time tuples of indices brought into range."""
    sizes = [x.shape[i] for i in range(indices.shape[-1])]
    return tf.gather_nd(x, tf.math.floormod(indices, tf.constant(sizes, indices.dtype)))


def _gather_nd_dynamic_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, indices = operands
    if not indices.rank or indices.shape[-1] > x.rank:
        raise UnfitError(f"{indices} holds no tuples of indices into {x}")
    return TensorType((*indices.shape[:-1], *x.shape[indices.shape[-1] :]), x.dtype)


def gather_batch(tf: Any, x: Any, *, indices: Any) -> Any:
    """One index a batch entry, as a look-up of the last step of a sequence does."""
    return tf.gather_nd(x, tf.reshape(indices, [-1, 1]), batch_dims=1)


def _gather_batch_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    return (WeightSlot("indices", TensorType(x.shape[:1], str(attrs["index"])), span=(0, x.shape[1])),)


def _gather_batch_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.shape[0], *x.shape[2:]), x.dtype)


# --- tables -----------------------------------------------------------------------------------------------


def embedding_lookup(tf: Any, ids: Any, *, table: Any, rows: Any, columns: Any) -> Any:
    """Rows of a table by id."""
    return tf.nn.embedding_lookup(table, tf.math.floormod(ids, rows))


def embedding_composite(tf: Any, ids: Any, *, table: Any, rows: Any, columns: Any) -> Any:
    """Rows of a table by id, marked for the fused operator."""

    def lookup(weights: Any, places: Any) -> Any:
        return tf.gather(weights, places)

    marked = tf.function(lookup, autograph=False, experimental_implements="embedding_matmul")
    return marked(table, tf.math.floormod(ids, rows))


def embedding_matmul(tf: Any, ids: Any, *, table: Any, rows: Any, columns: Any) -> Any:
    """Rows of a table by id, as one-hot vectors times the table."""
    return tf.linalg.matmul(tf.one_hot(tf.math.floormod(ids, rows), rows, dtype=table.dtype), table)


def _table(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("table", TensorType((integer(attrs["rows"]), integer(attrs["columns"])), str(attrs["dtype"]))),)


def _embedding_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((*operands[0].shape, integer(attrs["columns"])), str(attrs["dtype"]))


def _lookup_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return out.elements * integer(attrs["rows"])


def embedding_bag(
    tf: Any, ids: Any, weights: Any = None, *, table: Any, shares: Any, rows: Any, columns: Any, combiner: Any
) -> Any:
    """Weighted sums of rows of a table, optionally divided by the sum of the weights."""
    factors = weights if weights is not None else shares
    picked = tf.gather(table, tf.math.floormod(ids, rows)) * tf.expand_dims(factors, -1)
    total = tf.math.reduce_sum(picked, 1)
    return total if combiner == "sum" else tf.math.divide_no_nan(total, tf.math.reduce_sum(factors, 1, keepdims=True))


def _bag_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if len(operands) == 2 and operands[1].shape != operands[0].shape:
        raise UnfitError("as many weights as ids")
    return TensorType(
        (operands[0].shape[0], integer(attrs["columns"])), operands[-1].dtype if operands[1:] else "float32"
    )


def _bag_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    dtype = _bag_type(operands, attrs).dtype
    table = WeightSlot("table", TensorType((integer(attrs["rows"]), integer(attrs["columns"])), dtype))
    return (table,) if operands[1:] else (table, WeightSlot("shares", TensorType(operands[0].shape, dtype), 0.5, 1.0))


def _bag_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return out.elements * operands[0].shape[1]


def one_hot(tf: Any, x: Any, *, depth: Any, axis: Any, on: Any, off: Any, wrap: Any, out_dtype: Any) -> Any:
    """A vector for each index, off but in one place; indices out of range give vectors that are all off."""
    index = tf.math.floormod(x, depth + 1) - 1 if wrap else x
    on_value, off_value = tf.cast(on, out_dtype), tf.cast(off, out_dtype)
    place = x.shape.rank - axis % (x.shape.rank + 1)
    return tf.one_hot(index, depth, on_value=on_value, off_value=off_value, axis=place, dtype=out_dtype)


def _one_hot_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    place = axis_of(x, attrs, 1)
    return TensorType((*x.shape[:place], integer(attrs["depth"]), *x.shape[place:]), str(attrs["dtype"]))


_TABLE = {"rows": Int(1, 40, 8), "columns": Int(1, 32, 4)}

OPS = (
    Op(
        "gather",
        gather,
        _gather_type,
        attrs={**_INDEX, "axis": Int(0, 5, 0), "batch": Int(0, 3, 0)},
        weights=_gather_weights,
        cost=free,
        ranks=FROM_1,
        dtypes=_GATHERED,
        static=True,
    ),
    Op(
        "gather_dynamic",
        gather_dynamic,
        _gather_dynamic_type,
        attrs={"axis": Int(0, 5, 0), "batch": Int(0, 3, 0)},
        cost=free,
        arity=(2, 2),
        ranks=FROM_1,
        dtypes=_GATHERED,
        operand_dtypes=(INTS,),
        weight=0.8,
        static=True,
    ),
    Op(
        "gather_nd",
        gather_nd,
        _gather_nd_type,
        attrs={**_INDEX, "depth": Int(0, 5, 0)},
        weights=_gather_nd_weights,
        cost=free,
        ranks=FROM_1,
        dtypes=_GATHERED_ND,
        weight=0.7,
        static=True,
    ),
    Op(
        "gather_nd_dynamic",
        gather_nd_dynamic,
        _gather_nd_dynamic_type,
        cost=free,
        arity=(2, 2),
        ranks=FROM_1,
        dtypes=_GATHERED_ND,
        operand_dtypes=(INTS,),
        weight=0.5,
        static=True,
    ),
    Op(
        "gather_batch",
        gather_batch,
        _gather_batch_type,
        attrs={"index": Choice(INTS)},
        weights=_gather_batch_weights,
        cost=free,
        ranks=(2, 3, 4, 5),
        dtypes=_GATHERED_ND,
        weight=0.3,
        static=True,
    ),
    *(
        Op(
            build.__name__,
            build,
            _embedding_type,
            attrs={**_TABLE, "dtype": Choice(dtypes)},
            weights=_table,
            cost=_lookup_cost,
            ranks=(1, 2, 3, 4),
            dtypes=INTS,
            weight=0.4,
        )
        for build, dtypes in (
            (embedding_lookup, ("float32", "int8", "uint8", "int32", "float16")),
            (embedding_matmul, FLOATS),
        )
    ),
    Op(
        "embedding_composite",
        embedding_composite,
        _embedding_type,
        attrs={**_TABLE, "dtype": Choice(("float32", "int8", "uint8"))},
        weights=_table,
        cost=free,
        ranks=(1,),
        dtypes=("int32",),
        weight=0.2,
        # A concrete function is inlined before the mark is read.
        entries=("saved_model", "keras"),
    ),
    Op(
        "embedding_bag",
        embedding_bag,
        _bag_type,
        attrs={**_TABLE, "combiner": Choice(("sum", "mean"))},
        weights=_bag_weights,
        cost=_bag_cost,
        arity=(1, 2),
        ranks=(2,),
        dtypes=INTS,
        operand_dtypes=(FLOATS,),
        weight=0.3,
    ),
    Op(
        "one_hot",
        one_hot,
        _one_hot_type,
        attrs={
            "depth": Int(1, 20, 4),
            "axis": Int(0, 6, 0),
            "on": Float(-4.0, 4.0, 1.0, special=(1.0, 0.0)),
            "off": Float(-4.0, 4.0, 0.0, special=(0.0, 1.0)),
            "wrap": Flag(True),
            "dtype": Choice(("float32", "int32", "int64", "bool", "uint8", "int8")),
        },
        cost=free,
        ranks=FROM_0[:6],
        dtypes=INTS,
        weight=0.7,
    ),
)
