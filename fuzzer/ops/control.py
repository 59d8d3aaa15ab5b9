"""Control flow: branches and loops whose bodies capture the operand and constants.

Bodies keep the operand's type, so that any of them can stand in any branch or loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Flag, Float, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer

_BODY = Choice(("add", "mul", "tanh", "same", "sub", "dense", "relu"))
_THRESHOLD = Float(-4.0, 4.0, 0.0, special=(0.0,))
_TRIPS = Int(0, 4, 2)
_DTYPES = ("float32", "int32", "int64")
_MAX_KERNEL = 64  # channels; a square kernel of more is a dense layer, and those are tested elsewhere


def cond(tf: Any, x: Any, *, const: Any, kernel: Any, then: Any, other: Any, threshold: Any) -> Any:
    """One of two bodies, chosen by the sum of the data."""

    def body(kind: Any) -> Any:
        if kind == "dense":
            return tf.tensordot(x, kernel, 1)
        if kind == "tanh":
            return tf.tanh(x) if x.dtype.is_floating else -x
        if kind == "relu":
            return tf.nn.relu(x)
        return {"add": x + const, "mul": x * const, "sub": const - x, "same": x}[kind]

    return tf.cond(tf.reduce_sum(x) > tf.cast(threshold, x.dtype), lambda: body(then), lambda: body(other))


def cond_pair(tf: Any, x: Any, *, const: Any, threshold: Any, swap: Any, pick: Any) -> Any:
    """A branch with two results, one of them passed through; `pick` says which is returned."""
    chosen = tf.cond(
        tf.reduce_max(x) > tf.cast(threshold, x.dtype),
        lambda: (x, x * const),
        lambda: (x + const, x) if swap else (x - const, x + x),
    )
    return chosen[0] + chosen[1] if pick == 2 else chosen[pick]


def nested_cond(tf: Any, x: Any, *, const: Any, then: Any, other: Any, threshold: Any) -> Any:
    """A branch inside a branch, on another predicate."""

    def body(kind: Any) -> Any:
        return {"add": x + const, "mul": x * const, "sub": const - x, "same": x}[kind]

    small = tf.reduce_min(x) < tf.cast(threshold, x.dtype)
    return tf.cond(
        tf.reduce_sum(x) > tf.cast(threshold, x.dtype),
        lambda: tf.cond(small, lambda: body(then), lambda: x + x),
        lambda: tf.cond(small, lambda: -x, lambda: body(other)),
    )


def case_of(tf: Any, x: Any, *, const: Any, then: Any, other: Any, threshold: Any) -> Any:
    """`tf.case`: the first predicate that holds decides."""

    def body(kind: Any) -> Any:
        return {"add": x + const, "mul": x * const, "sub": const - x, "same": x}[kind]

    level = tf.cast(threshold, x.dtype)
    return tf.case(
        [(tf.reduce_max(x) < level, lambda: body(then)), (tf.reduce_sum(x) > level, lambda: body(other))],
        default=lambda: x * x,
    )


def switch_case(tf: Any, x: Any, *, const: Any, then: Any, other: Any) -> Any:
    """One of three bodies by number; numbers out of range take the last."""

    def body(kind: Any) -> Any:
        return {"add": x + const, "mul": x * const, "sub": const - x, "same": x}[kind]

    number = tf.cast(tf.clip_by_value(tf.reduce_max(x), tf.cast(-1, x.dtype), tf.cast(3, x.dtype)), tf.int32)
    return tf.switch_case(number, [lambda: body(then), lambda: body(other), lambda: x * x])


def functional_if(
    tf: Any, x: Any, *, const: Any, threshold: Any, stateless: Any, predicate: Any, then: Any, other: Any
) -> Any:
    """The raw functional `If`: branches are functions, and the predicate may be a number."""

    def branch(kind: Any) -> Any:
        def body(a: Any, b: Any) -> Any:
            return {"add": a + b, "mul": a * b, "sub": b - a, "same": a}[kind]

        made = tf.function(body, autograph=False)
        return made.get_concrete_function(tf.TensorSpec(x.shape, x.dtype), tf.TensorSpec(const.shape, x.dtype))

    if predicate == "bool":
        chosen = tf.reduce_sum(x) > tf.cast(threshold, x.dtype)
    else:
        chosen = tf.cast(tf.reduce_sum(x) > tf.cast(threshold, x.dtype), predicate)
    kind = tf.raw_ops.StatelessIf if stateless else tf.raw_ops.If
    return kind(
        cond=chosen,
        input=[x, const],
        Tout=[x.dtype],
        then_branch=branch(then),
        else_branch=branch(other),
        output_shapes=[x.shape],
    )[0]


def while_loop(tf: Any, x: Any, *, const: Any, kernel: Any, trips: Any, data: Any, kind: Any, most: Any) -> Any:
    """A counted loop over a tensor; with `data` the number of trips is computed from the operand."""

    def body(i: Any, a: Any) -> Any:
        if kind == "dense":
            return i + 1, tf.tensordot(a, kernel, 1)
        if kind == "tanh":
            return i + 1, tf.tanh(a) + x if x.dtype.is_floating else x - a
        if kind == "relu":
            return i + 1, tf.nn.relu(a - const)
        return i + 1, {"add": a + const, "mul": a * const, "sub": const - a, "same": a}[kind]

    limit = tf.reduce_max(tf.clip_by_value(x, tf.cast(0, x.dtype), tf.cast(4, x.dtype)))
    count = tf.minimum(tf.cast(limit, tf.int32), 4) if data else trips
    return tf.while_loop(lambda i, a: i < count, body, (0, x), maximum_iterations=most or None)[1]


def while_state(tf: Any, x: Any, *, const: Any, trips: Any, kind: Any, pick: Any) -> Any:
    """A loop that carries two tensors: swapped, one unchanged, or each made from both."""

    def body(i: Any, a: Any, b: Any) -> Any:
        if kind == "swap":
            return i + 1, b, a
        if kind == "invariant":
            return i + 1, a + b, b
        return i + 1, a + b, b - const

    return tf.while_loop(lambda i, a, b: i < trips, body, (0, x, x * const))[1 + pick]


def nested_while(tf: Any, x: Any, *, const: Any, trips: Any, inner: Any) -> Any:
    """A loop inside a loop; the inner one runs to its own limit or to the outer counter."""

    def body(i: Any, a: Any) -> Any:
        limit = i if inner == 0 else inner
        return i + 1, tf.while_loop(lambda j, b: j < limit, lambda j, b: (j + 1, b + const), (0, a))[1] - x

    return tf.while_loop(lambda i, a: i < trips, body, (0, x))[1]


def cond_in_while(tf: Any, x: Any, *, const: Any, trips: Any, threshold: Any) -> Any:
    """A branch inside a loop, on the loop's own tensor."""
    level = tf.cast(threshold, x.dtype)
    return tf.while_loop(
        lambda i, a: i < trips,
        lambda i, a: (i + 1, tf.cond(tf.reduce_sum(a) > level, lambda: a - const, lambda: a + x)),
        (0, x),
    )[1]


def while_in_cond(tf: Any, x: Any, *, const: Any, trips: Any, threshold: Any) -> Any:
    """A loop inside a branch."""
    return tf.cond(
        tf.reduce_sum(x) > tf.cast(threshold, x.dtype),
        lambda: tf.while_loop(lambda i, a: i < trips, lambda i, a: (i + 1, a + const), (0, x))[1],
        lambda: x,
    )


def functional_while(tf: Any, x: Any, *, const: Any, trips: Any, stateless: Any, kind: Any) -> Any:
    """The raw functional `While`: condition and body are functions of all that is carried."""

    def body(i: Any, a: Any, b: Any) -> Any:
        return i + 1, {"add": a + b, "mul": a * b, "sub": b - a, "same": a}[kind], b

    types = [tf.TensorSpec([], tf.int32), tf.TensorSpec(x.shape, x.dtype), tf.TensorSpec(const.shape, x.dtype)]
    going = tf.function(lambda i, a, b: i < trips, autograph=False).get_concrete_function(*types)
    turn = tf.function(body, autograph=False).get_concrete_function(*types)
    loop = tf.raw_ops.StatelessWhile if stateless else tf.raw_ops.While
    return loop(input=[tf.constant(0), x, const], cond=going, body=turn)[1]


def scan(tf: Any, x: Any, *, const: Any, kind: Any, reverse: Any) -> Any:
    """Running results along the first axis."""

    def step(a: Any, row: Any) -> Any:
        if kind == "tanh":
            return tf.tanh(a + row) if x.dtype.is_floating else a - row
        return a * const + row if kind == "mul" else a + row

    return tf.scan(step, x, initializer=tf.zeros_like(x[0]), reverse=reverse)


def map_rows(tf: Any, x: Any, *, const: Any, kind: Any) -> Any:
    """A function of each row along the first axis (`tf.map_fn`)."""

    def row_of(row: Any) -> Any:
        if kind == "tanh":
            return tf.tanh(row) if x.dtype.is_floating else -row
        return row * const if kind == "mul" else row + const

    return tf.map_fn(row_of, x)


def fold(tf: Any, x: Any, *, const: Any, kind: Any, right: Any) -> Any:
    """Rows folded into one from either end."""

    def step(a: Any, row: Any) -> Any:
        return a * const + row if kind == "mul" else a - row

    return (tf.foldr if right else tf.foldl)(step, x, initializer=tf.zeros_like(x[0]))


# --- rules ------------------------------------------------------------------------------------------------


def _same(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    if "dense" in attrs.values() and x.shape[-1] > _MAX_KERNEL:
        raise UnfitError(f"{x.shape[-1]} channels are more than {_MAX_KERNEL}")
    return x


def _rows(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


def _folded(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape[1:], operands[0].dtype)


def _weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    const = WeightSlot("const", TensorType(x.shape[-1:], x.dtype))
    if "dense" not in attrs.values():
        return (const,)
    channels = x.shape[-1]
    return (const, WeightSlot("kernel", TensorType((channels, channels), x.dtype), float(f"{channels**-0.5:.4g}")))


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    each = operands[0].shape[-1] if "dense" in attrs.values() else 2
    return operands[0].elements * each * 2 * (1 + integer(attrs.get("trips", 1)) ** 2)


def _op(build: Any, attrs: dict[str, Domain], weight: float, **more: Any) -> Op:
    infer = more.pop("infer", _same)
    return Op(build.__name__, build, infer, attrs, _weights, _cost, weight=weight, **{"dtypes": _DTYPES, **more})


_SMALL = Choice(("add", "mul", "sub", "same"))
_ROWS: dict[str, Any] = {"infer": _rows, "ranks": (2, 3, 4), "static": True}
_JUMP: dict[str, Any] = {"discontinuous": True}

OPS = (
    _op(cond, {"then": _BODY, "other": _BODY, "threshold": _THRESHOLD}, 0.5, **_JUMP),
    _op(cond_pair, {"threshold": _THRESHOLD, "swap": Flag(), "pick": Choice((0, 1, 2))}, 0.3, **_JUMP),
    _op(nested_cond, {"then": _SMALL, "other": _SMALL, "threshold": _THRESHOLD}, 0.3, **_JUMP),
    _op(case_of, {"then": _SMALL, "other": _SMALL, "threshold": _THRESHOLD}, 0.2, **_JUMP),
    _op(switch_case, {"then": _SMALL, "other": _SMALL}, 0.05, **_JUMP),
    _op(
        functional_if,
        {
            "threshold": _THRESHOLD,
            "stateless": Flag(),
            "predicate": Choice(("bool", "int32", "float32")),
            "then": _SMALL,
            "other": _SMALL,
        },
        0.2,
        static=True,
        **_JUMP,
    ),
    _op(while_loop, {"trips": _TRIPS, "data": Flag(), "kind": _BODY, "most": Choice((0, 0, 1, 3))}, 0.4, **_JUMP),
    _op(while_state, {"trips": _TRIPS, "kind": Choice(("both", "swap", "invariant")), "pick": Choice((0, 1))}, 0.3),
    _op(nested_while, {"trips": _TRIPS, "inner": Int(0, 3, 1)}, 0.2),
    _op(cond_in_while, {"trips": _TRIPS, "threshold": _THRESHOLD}, 0.2, **_JUMP),
    _op(while_in_cond, {"trips": _TRIPS, "threshold": _THRESHOLD}, 0.2, **_JUMP),
    _op(functional_while, {"trips": _TRIPS, "stateless": Flag(), "kind": _SMALL}, 0.2, static=True),
    _op(scan, {"kind": Choice(("add", "mul", "tanh")), "reverse": Flag()}, 0.15, **_ROWS),
    _op(map_rows, {"kind": Choice(("add", "mul", "tanh"))}, 0.15, **_ROWS),
    _op(fold, {"kind": Choice(("sub", "mul")), "right": Flag()}, 0.15, **{**_ROWS, "infer": _folded}),
)
