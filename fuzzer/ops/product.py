"""Matrix products beyond `matmul`: broadcasting batches, integers, vectors, tables, attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.broadcasting import broadcast
from fuzzer.ops.domains import Choice, Domain, Flag, Float, Int
from fuzzer.ops.fan import fan_unit
from fuzzer.ops.linear import OPS as LINEAR
from fuzzer.ops.spec import INTS, Attrs, Op, TensorType, WeightSlot, integer

_DTYPES = ("float32",)


def _swap(shape: tuple[int, ...], swap: object) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if swap else shape


# --- batch_matmul -----------------------------------------------------------------------------------------


def batch_matmul(tf: Any, x: Any, y: Any = None, *, other: Any, adj_x: Any, adj_y: Any, reverse: Any) -> Any:
    """Computes products of matrices whose batch axes broadcast."""
    second = y if y is not None else other
    if reverse:
        return tf.raw_ops.BatchMatMulV2(x=second, y=x, adj_x=adj_y, adj_y=adj_x)
    return tf.raw_ops.BatchMatMulV2(x=x, y=second, adj_x=adj_x, adj_y=adj_y)


def integer_matmul(tf: Any, x: Any, y: Any = None, *, other: Any, adj_x: Any, adj_y: Any, reverse: Any) -> Any:
    """Computes products of 8-bit matrices in 32 bits."""
    second = y if y is not None else other
    if reverse:
        return tf.matmul(second, x, adjoint_a=adj_y, adjoint_b=adj_x, output_type="int32")
    return tf.matmul(x, second, adjoint_a=adj_x, adjoint_b=adj_y, output_type="int32")


def _product(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    if left[-1] != right[-2]:
        raise UnfitError(f"{left} @ {right} is no matrix product")
    return (*broadcast(left[:-2], right[:-2]), left[-2], right[-1])


def _other(operands: Sequence[TensorType], attrs: Attrs) -> tuple[int, ...]:
    """The shape of the second matrix, as it is stored; a constant has some of the batch axes of x, or 1 there."""
    x = operands[0]
    if len(operands) == 2:
        if operands[1].rank < 2:
            raise UnfitError(f"{operands[1]} is no matrix")
        return operands[1].shape
    batch, ones = x.shape[:-2], integer(attrs["ones"])
    axes = min(integer(attrs["batch_rank"]), len(batch))
    kept = (1 if ones >> i & 1 else dim for i, dim in enumerate(batch[len(batch) - axes :]))
    inner, units = _swap(x.shape, attrs["adj_x"])[-2 if attrs["reverse"] else -1], integer(attrs["units"])
    matrix = (units, inner) if attrs["reverse"] else (inner, units)
    return (*kept, *_swap(matrix, attrs["adj_y"]))


def _batch_shape(operands: Sequence[TensorType], attrs: Attrs) -> tuple[int, ...]:
    left, right = _swap(operands[0].shape, attrs["adj_x"]), _swap(_other(operands, attrs), attrs["adj_y"])
    return _product(right, left) if attrs["reverse"] else _product(left, right)


def _batch_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(_batch_shape(operands, attrs), operands[0].dtype)


def _integer_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(_batch_shape(operands, attrs), "int32")


def _batch_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    if len(operands) == 2:
        return ()
    return (
        WeightSlot("other", TensorType(_other(operands, attrs), operands[0].dtype), fan_unit(_depth(operands, attrs))),
    )


def _depth(operands: Sequence[TensorType], attrs: Attrs) -> int:
    return _swap(operands[0].shape, attrs["adj_x"])[-2 if attrs["reverse"] else -1]


def _batch_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return out.elements * _depth(operands, attrs)


_BATCH_ATTRS: dict[str, Domain] = {
    "units": Int(1, 96, 1),
    "batch_rank": Int(0, 4, 0),
    "ones": Int(0, 15, 0),
    "adj_x": Flag(),
    "adj_y": Flag(),
    "reverse": Flag(),
}

# --- vectors ----------------------------------------------------------------------------------------------


def matvec(tf: Any, x: Any, *, vector: Any) -> Any:
    """Computes products of matrices and one vector."""
    return tf.linalg.matvec(x, vector)


def _channel(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    return (WeightSlot("vector", TensorType(x.shape[-1:], x.dtype), fan_unit(x.shape[-1])),)


def _without_last(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape[:-1], operands[0].dtype)


def outer_product(tf: Any, x: Any, y: Any = None, *, other: Any) -> Any:
    """Every element of x times every element of y."""
    return tf.tensordot(x, y if y is not None else other, axes=0)


def _outer_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    right = operands[1].shape if len(operands) == 2 else (integer(attrs["units"]),)
    if operands[0].rank + len(right) > 6:
        raise UnfitError("an outer product of so many axes")
    return TensorType(operands[0].shape + right, operands[0].dtype)


def _outer_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    if len(operands) == 2:
        return ()
    return (WeightSlot("other", TensorType((integer(attrs["units"]),), operands[0].dtype)),)


def gram(tf: Any, x: Any, *, columns: Any) -> Any:
    """All products of two rows of a matrix, or of two columns."""
    return tf.matmul(x, x, transpose_a=columns, transpose_b=not columns)


def _gram_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    *batch, rows, columns = operands[0].shape
    size = columns if attrs["columns"] else rows
    return TensorType((*batch, size, size), operands[0].dtype)


def tensordot(tf: Any, x: Any, *, kernel: Any, axes: Any) -> Any:
    """Sums products over the last axes of x and the first of a constant."""
    return tf.tensordot(x, kernel, axes=axes)


def _tensordot_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, axes = operands[0], integer(attrs["axes"])
    if axes > x.rank:
        raise UnfitError(f"there are no {axes} axes in rank {x.rank}")
    return TensorType((*x.shape[: x.rank - axes], integer(attrs["units"])), x.dtype)


def _tensordot_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, axes = operands[0], integer(attrs["axes"])
    inner = TensorType(x.shape[x.rank - axes :], x.dtype)
    return (
        WeightSlot("kernel", TensorType((*inner.shape, integer(attrs["units"])), x.dtype), fan_unit(inner.elements)),
    )


def _tensordot_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return operands[0].elements * integer(attrs["units"])


# --- one_hot_matmul ---------------------------------------------------------------------------------------


def one_hot_matmul(tf: Any, x: Any, *, table: Any, rows: Any) -> Any:
    """Looks rows of a table up by a product with one-hot vectors."""
    ids = tf.math.floormod(x, rows)
    hot = tf.one_hot(ids, rows, dtype=table.dtype)
    return tf.matmul(hot, table) if x.shape.rank == 1 else tf.tensordot(hot, table, axes=1)


def _table_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((*operands[0].shape, integer(attrs["units"])), "float32")


def _table(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("table", TensorType((integer(attrs["rows"]), integer(attrs["units"])), "float32")),)


# --- dot_attention ----------------------------------------------------------------------------------------


def dot_attention(tf: Any, x: Any, y: Any = None, *, keys: Any, scale: Any, causal: Any) -> Any:
    """Weighs the rows of y (or of a constant) by the softmax of their products with the rows of x."""
    memory = y if y is not None else keys
    scores = tf.matmul(x, memory, transpose_b=True) * scale
    if causal:
        scores = scores - 30.0 * (1.0 - tf.linalg.band_part(tf.ones_like(scores), -1, 0))
    return tf.matmul(tf.nn.softmax(scores), memory)


def _memory(operands: Sequence[TensorType], attrs: Attrs) -> tuple[int, ...]:
    return (
        operands[1].shape
        if len(operands) == 2
        else (*operands[0].shape[:-2], integer(attrs["length"]), operands[0].shape[-1])
    )


def _attention_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, memory = operands[0], _memory(operands, attrs)
    if len(memory) != x.rank or memory[:-2] != x.shape[:-2] or memory[-1] != x.shape[-1]:
        raise UnfitError(f"queries {x} and keys {memory} differ")
    return x


def _keys(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return () if len(operands) == 2 else (WeightSlot("keys", TensorType(_memory(operands, attrs), operands[0].dtype)),)


def _attention_cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return 2 * out.elements * _memory(operands, attrs)[-2]


# --- einsum_dense -----------------------------------------------------------------------------------------


def einsum_dense(tf: Any, x: Any, *, kernel: Any, bias: Any) -> Any:
    """Computes x @ kernel over the last axis as an Einstein sum, with an optional bias."""
    y = tf.einsum("...x,xy->...y", x, kernel)
    return y + bias if bias is not None else y


def einsum_dense_layer(keras: Any, *, units: Any, use_bias: Any) -> Any:
    """The Keras layer."""
    return keras.layers.EinsumDense("...x,xy->...y", units, bias_axes="y" if use_bias else None)


# --- bias_add_nchw ----------------------------------------------------------------------------------------


def bias_add_nchw(tf: Any, x: Any, *, bias: Any) -> Any:
    """Adds one number a channel, the channels being the second axis."""
    return tf.nn.bias_add(x, bias, data_format="NCHW")


def _second_axis(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("bias", TensorType(operands[0].shape[1:2], operands[0].dtype), 0.5),)


_DENSE = next(op for op in LINEAR if op.name == "dense")

OPS = (
    # Kernels of their own begin at many columns, and at sizes just off a multiple of the vector width.
    replace(
        _DENSE,
        name="dense_wide",
        dtypes=_DTYPES,
        attrs={**_DENSE.attrs, "units": Choice((128, 127, 129, 255, 256, 257, 384, 512, 1000))},
        weight=0.5,
    ),
    Op(
        "batch_matmul",
        batch_matmul,
        _batch_type,
        attrs=_BATCH_ATTRS,
        weights=_batch_weights,
        cost=_batch_cost,
        arity=(1, 2),
        ranks=(2, 3, 4, 5),
        dtypes=_DTYPES,
        weight=1.5,
    ),
    Op(
        "integer_matmul",
        integer_matmul,
        _integer_type,
        attrs=_BATCH_ATTRS,
        weights=_batch_weights,
        cost=_batch_cost,
        arity=(1, 2),
        ranks=(2, 3, 4, 5),
        dtypes=("int8",),
        weight=0.4,
    ),
    Op("matvec", matvec, _without_last, weights=_channel, ranks=(2, 3, 4, 5), dtypes=_DTYPES, weight=0.4),
    Op(
        "outer_product",
        outer_product,
        _outer_type,
        attrs={"units": Int(1, 32, 1)},
        weights=_outer_weights,
        arity=(1, 2),
        ranks=(1, 2, 3),
        dtypes=_DTYPES,
        weight=0.4,
    ),
    Op(
        "gram",
        gram,
        _gram_type,
        attrs={"columns": Flag()},
        cost=lambda operands, attrs, out: operands[0].elements * out.shape[-1],
        ranks=(2, 3, 4, 5),
        dtypes=_DTYPES,
        weight=0.5,
    ),
    Op(
        "tensordot",
        tensordot,
        _tensordot_type,
        attrs={"axes": Int(1, 4, 1), "units": Int(1, 64, 1)},
        weights=_tensordot_weights,
        cost=_tensordot_cost,
        ranks=(2, 3, 4, 5),
        dtypes=_DTYPES,
        weight=0.6,
    ),
    Op(
        "one_hot_matmul",
        one_hot_matmul,
        _table_type,
        attrs={"rows": Int(1, 64, 8), "units": Int(1, 64, 1)},
        weights=_table,
        cost=lambda operands, attrs, out: out.elements * integer(attrs["rows"]),
        ranks=(1, 2, 3),
        dtypes=INTS,
        weight=0.6,
    ),
    Op(
        "dot_attention",
        dot_attention,
        _attention_type,
        attrs={
            "length": Int(1, 24, 1),
            "scale": Float(0.05, 2.0, 1.0, special=(1.0, 0.125), log=True),
            "causal": Flag(),
        },
        weights=_keys,
        cost=_attention_cost,
        arity=(1, 2),
        ranks=(2, 3, 4),
        dtypes=_DTYPES,
    ),
    replace(
        _DENSE,
        name="einsum_dense",
        build=einsum_dense,
        keras=einsum_dense_layer,
        dtypes=_DTYPES,
        ranks=(2, 3, 4, 5),
        weight=0.5,
    ),
    Op("bias_add_nchw", bias_add_nchw, weights=_second_axis, ranks=(4, 3, 5), dtypes=_DTYPES, weight=0.3),
)
