"""State: variables that are assigned and read while the model runs.

Runtimes keep variables from one invocation to the next, and `reset_all_variables` leaves those of these ops as
they are. So an op either assigns before it reads, or puts back what it found: every sample finds the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Flag, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer, no_weights

_DTYPES = ("float32", "int32", "int64")
_ANY = (*_DTYPES, "bool", "int8", "uint8", "int16")


def accumulate(tf: Any, x: Any, *, state: Any, subtract: Any, when: Any) -> Any:
    """Adds the operand to a variable, reads it, and puts back what was there."""
    before = tf.identity(state.read_value())
    with tf.control_dependencies([before]):
        added = state.assign_sub(x) if subtract else state.assign_add(x)
    with tf.control_dependencies([added]):
        after = tf.identity(state.read_value())
    with tf.control_dependencies([after]):
        restored = state.assign(before)
    with tf.control_dependencies([restored]):
        return {"after": tf.identity(after), "before": before + after, "restored": state.read_value() * after}[when]


def assign_read(tf: Any, x: Any, *, state: Any, const: Any) -> Any:
    """Assigns to a variable before it is read."""
    assigned = state.assign(x)
    with tf.control_dependencies([assigned]):
        return tf.concat([state.read_value(), tf.expand_dims(const, 0)], 0)


def counter(tf: Any, x: Any, *, count: Any, steps: Any) -> Any:
    """Counts up a number of times, scales by the count, and counts down again."""
    done = tf.identity(count.read_value())
    for _ in range(steps):
        with tf.control_dependencies([done]):
            done = tf.identity(count.assign_add(1).read_value())
    with tf.control_dependencies([done]):
        back = count.assign_sub(steps)
    with tf.control_dependencies([back]):
        return x * tf.cast(done, x.dtype)


def loop_state(tf: Any, x: Any, *, state: Any, trips: Any) -> Any:
    """A variable that a loop assigns to, read behind the loop."""
    first = state.assign(x)

    def body(i: Any, a: Any) -> Any:
        added = state.assign_add(a)
        with tf.control_dependencies([added]):
            return i + 1, state.read_value()

    with tf.control_dependencies([first]):
        last = tf.while_loop(lambda i, a: i < trips, body, (0, x))[1]
    with tf.control_dependencies([last]):
        return state.read_value() - last + x


def cond_state(tf: Any, x: Any, *, state: Any, then: Any) -> Any:
    """A variable that one branch assigns to and the other does not."""
    first = state.assign(x)

    def changed() -> Any:
        made = state.assign_add(x) if then == "add" else state.assign(x * x)
        with tf.control_dependencies([made]):
            return state.read_value()

    with tf.control_dependencies([first]):
        chosen = tf.cond(tf.reduce_sum(x) > tf.cast(0, x.dtype), changed, lambda: -x)
    with tf.control_dependencies([chosen]):
        return chosen + state.read_value()


def raw_variable(tf: Any, x: Any, *, twice: Any, out_shape: Any) -> Any:
    """A resource without an owner, assigned before it is read."""
    name = tf.compat.v1.get_default_graph().unique_name("state")  # two of a model must not share one
    handle = tf.raw_ops.VarHandleOp(dtype=x.dtype, shape=out_shape, shared_name=name)
    assigned = tf.raw_ops.AssignVariableOp(resource=handle, value=x)
    with tf.control_dependencies([assigned] if assigned is not None else []):
        value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=x.dtype)
    if not twice:
        return tf.identity(value)
    assigned = tf.raw_ops.AssignVariableOp(resource=handle, value=value + x)
    with tf.control_dependencies([assigned] if assigned is not None else []):
        return tf.raw_ops.ReadVariableOp(resource=handle, dtype=x.dtype) * value


# --- rules ------------------------------------------------------------------------------------------------


def _longer_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return TensorType((x.shape[0] + 1, *x.shape[1:]), x.dtype)


def _small(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if operands[0].elements > 4096:
        raise UnfitError(f"{operands[0].elements} elements are more state than needed")
    return operands[0]


def _state(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("state", operands[0], variable=True),)


def _state_and_const(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    return (*_state(operands, attrs), WeightSlot("const", TensorType(x.shape[1:], x.dtype)))


def _count(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("count", TensorType((), "int32"), variable=True),)


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return out.elements * 2 * (1 + integer(attrs.get("trips", 0)))


def _op(build: Any, attrs: dict[str, Domain], weight: float, **more: Any) -> Op:
    more = {"entries": ("saved_model",), "infer": _small, "weights": _state, "dtypes": _DTYPES, "static": True, **more}
    return Op(build.__name__, build, attrs=attrs, cost=_cost, weight=weight, **more)


_SUMS = Choice(("after", "before", "restored"))

OPS = (
    _op(accumulate, {"subtract": Flag(), "when": _SUMS}, 0.1),
    _op(assign_read, {}, 0.05, infer=_longer_type, weights=_state_and_const, dtypes=_ANY),
    _op(counter, {"steps": Int(0, 3, 1)}, 0.05, weights=_count),
    _op(loop_state, {"trips": Int(0, 3, 1)}, 0.05),
    _op(cond_state, {"then": Choice(("add", "square"))}, 0.05, discontinuous=True),
    _op(raw_variable, {"twice": Flag()}, 0.15, weights=no_weights, entries=("concrete_function",)),
)
