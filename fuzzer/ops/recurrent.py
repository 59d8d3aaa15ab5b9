"""Recurrent layers over (batch, time, features).

`build` spells the cells out in elementary TensorFlow, either unrolled or as a `while` loop; entering through
legacy Keras gives the layer itself, which the converter fuses (LSTM) or lowers to a WHILE op.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Domain, Flag, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer

_ATTRS: dict[str, Domain] = {"units": Int(1, 16, 1), "sequences": Flag(), "unroll": Flag(True)}
_MAX_STEPS = 12  # unrolled steps; beyond this the trace alone takes a second


def lstm(tf: Any, x: Any, *, kernel: Any, recurrent: Any, bias: Any, units: Any, sequences: Any, unroll: Any) -> Any:
    """Computes an LSTM with Keras' gate order i, f, c, o (Hochreiter 1997; forget gate as in Keras)."""
    steps = tf.unstack(x, axis=1) if unroll else tf.transpose(x, [1, 0, 2])
    zero = tf.zeros([x.shape[0], units], x.dtype)

    def cell(h: Any, c: Any, step: Any) -> Any:
        i, f, g, o = tf.split(step @ kernel + h @ recurrent + bias, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    if unroll:
        h, c, outputs = zero, zero, []
        for step in steps:
            h, c = cell(h, c, step)
            outputs.append(h)
        return tf.stack(outputs, axis=1) if sequences else h
    outputs = tf.scan(lambda state, step: cell(state[0], state[1], step), steps, initializer=(zero, zero))[0]
    return tf.transpose(outputs, [1, 0, 2]) if sequences else outputs[-1]


def gru(tf: Any, x: Any, *, kernel: Any, recurrent: Any, bias: Any, units: Any, sequences: Any, unroll: Any) -> Any:
    """Computes a GRU with Keras' gate order z, r, h and reset after the product (Cho et al. 2014)."""
    steps = tf.unstack(x, axis=1) if unroll else tf.transpose(x, [1, 0, 2])
    zero = tf.zeros([x.shape[0], units], x.dtype)

    def cell(h: Any, step: Any) -> Any:
        xz, xr, xh = tf.split(step @ kernel + bias[0], 3, axis=1)
        hz, hr, hh = tf.split(h @ recurrent + bias[1], 3, axis=1)
        z, r = tf.sigmoid(xz + hz), tf.sigmoid(xr + hr)
        return z * h + (1 - z) * tf.tanh(xh + r * hh)

    if unroll:
        h, outputs = zero, []
        for step in steps:
            h = cell(h, step)
            outputs.append(h)
        return tf.stack(outputs, axis=1) if sequences else h
    outputs = tf.scan(cell, steps, initializer=zero)
    return tf.transpose(outputs, [1, 0, 2]) if sequences else outputs[-1]


def simple_rnn(
    tf: Any, x: Any, *, kernel: Any, recurrent: Any, bias: Any, units: Any, sequences: Any, unroll: Any
) -> Any:
    """Computes tanh(x @ kernel + h @ recurrent + bias) step by step."""
    steps = tf.unstack(x, axis=1) if unroll else tf.transpose(x, [1, 0, 2])
    zero = tf.zeros([x.shape[0], units], x.dtype)

    def cell(h: Any, step: Any) -> Any:
        return tf.tanh(step @ kernel + h @ recurrent + bias)

    if unroll:
        h, outputs = zero, []
        for step in steps:
            h = cell(h, step)
            outputs.append(h)
        return tf.stack(outputs, axis=1) if sequences else h
    outputs = tf.scan(cell, steps, initializer=zero)
    return tf.transpose(outputs, [1, 0, 2]) if sequences else outputs[-1]


def lstm_layer(keras: Any, *, units: Any, sequences: Any) -> Any:
    """The Keras layer."""
    return keras.layers.LSTM(units, return_sequences=sequences)


def gru_layer(keras: Any, *, units: Any, sequences: Any) -> Any:
    """The Keras layer."""
    return keras.layers.GRU(units, return_sequences=sequences)


def simple_rnn_layer(keras: Any, *, units: Any, sequences: Any) -> Any:
    """The Keras layer."""
    return keras.layers.SimpleRNN(units, return_sequences=sequences)


def _rnn_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, units = operands[0], integer(attrs["units"])
    if x.shape[1] > _MAX_STEPS:
        raise UnfitError(f"{x.shape[1]} steps are more than {_MAX_STEPS}")
    return TensorType((x.shape[0], x.shape[1], units) if attrs["sequences"] else (x.shape[0], units), x.dtype)


def _rnn_weights(gates: int, bias_rows: int) -> Any:
    def rule(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
        x, units = operands[0], integer(attrs["units"])
        width = gates * units
        bias_shape = (bias_rows, width) if bias_rows > 1 else (width,)
        return (
            WeightSlot("kernel", TensorType((x.shape[2], width), x.dtype), float(f"{x.shape[2] ** -0.5:.4g}")),
            WeightSlot("recurrent", TensorType((units, width), x.dtype), float(f"{units**-0.5:.4g}")),
            WeightSlot("bias", TensorType(bias_shape, x.dtype), 0.5),
        )

    return rule


def _rnn_cost(gates: int) -> Any:
    def rule(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
        x, units = operands[0], integer(attrs["units"])
        return x.shape[0] * x.shape[1] * gates * units * (x.shape[2] + units)

    return rule


OPS = tuple(
    Op(
        build.__name__,
        build,
        _rnn_type,
        attrs=_ATTRS,
        weights=_rnn_weights(gates, rows),
        cost=_rnn_cost(gates),
        ranks=(3,),
        dtypes=("float32",),
        keras=layer,
        keras_weights=("kernel", "recurrent", "bias"),
        weight=0.15,
        recurrent=True,
    )
    for build, layer, gates, rows in (
        (lstm, lstm_layer, 4, 1),
        (gru, gru_layer, 3, 2),
        (simple_rnn, simple_rnn_layer, 1, 1),
    )
)
