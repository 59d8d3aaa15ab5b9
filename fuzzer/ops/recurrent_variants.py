"""Recurrent layers beyond the plain ones: both directions, stacked cells, other cells, other layouts.

Over (batch, time, features) unless a name says otherwise; gate orders are those of Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Flag, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer

_MAX_STEPS = 12  # unrolled steps; beyond this the trace alone takes a second
_MAX_LOCAL = 400  # elements of an image under a recurrent convolution, for the same reason


def bilstm(
    tf: Any,
    x: Any,
    *,
    kernel: Any,
    recurrent: Any,
    bias: Any,
    kernel_back: Any,
    recurrent_back: Any,
    bias_back: Any,
    units: Any,
    sequences: Any,
    merge: Any,
) -> Any:
    """Two LSTMs, one from either end, whose results are merged."""

    def run(steps: Any, w: Any, u: Any, b: Any) -> Any:
        h = c = tf.zeros([x.shape[0], units], x.dtype)
        done = []
        for step in steps:
            i, f, g, o = tf.split(step @ w + h @ u + b, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            done.append(h)
        return done

    steps = tf.unstack(x, axis=1)
    ahead = run(steps, kernel, recurrent, bias)
    back = run(steps[::-1], kernel_back, recurrent_back, bias_back)
    left = tf.stack(ahead, axis=1) if sequences else ahead[-1]
    right = tf.stack(back[::-1], axis=1) if sequences else back[-1]
    if merge == "concat":
        return tf.concat([left, right], -1)
    return left * right if merge == "mul" else left + right


def bigru(
    tf: Any,
    x: Any,
    *,
    kernel: Any,
    recurrent: Any,
    bias: Any,
    kernel_back: Any,
    recurrent_back: Any,
    bias_back: Any,
    units: Any,
    sequences: Any,
    merge: Any,
) -> Any:
    """Two GRUs, one from either end, whose results are merged."""

    def run(steps: Any, w: Any, u: Any, b: Any) -> Any:
        h = tf.zeros([x.shape[0], units], x.dtype)
        done = []
        for step in steps:
            xz, xr, xh = tf.split(step @ w + b[0], 3, axis=1)
            hz, hr, hh = tf.split(h @ u + b[1], 3, axis=1)
            z = tf.sigmoid(xz + hz)
            h = z * h + (1 - z) * tf.tanh(xh + tf.sigmoid(xr + hr) * hh)
            done.append(h)
        return done

    steps = tf.unstack(x, axis=1)
    ahead = run(steps, kernel, recurrent, bias)
    back = run(steps[::-1], kernel_back, recurrent_back, bias_back)
    left = tf.stack(ahead, axis=1) if sequences else ahead[-1]
    right = tf.stack(back[::-1], axis=1) if sequences else back[-1]
    if merge == "concat":
        return tf.concat([left, right], -1)
    return left * right if merge == "mul" else left + right


def stacked_lstm(
    tf: Any,
    x: Any,
    *,
    kernel: Any,
    recurrent: Any,
    bias: Any,
    kernel_top: Any,
    recurrent_top: Any,
    bias_top: Any,
    units: Any,
    top: Any,
    sequences: Any,
) -> Any:
    """Two LSTM cells on top of each other in one loop."""

    def cell(step: Any, h: Any, c: Any, w: Any, u: Any, b: Any) -> Any:
        i, f, g, o = tf.split(step @ w + h @ u + b, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    def both(state: Any, step: Any) -> Any:
        h, c = cell(step, state[0], state[1], kernel, recurrent, bias)
        return h, c, *cell(h, state[2], state[3], kernel_top, recurrent_top, bias_top)

    low, high = tf.zeros([x.shape[0], units], x.dtype), tf.zeros([x.shape[0], top], x.dtype)
    done = tf.scan(both, tf.transpose(x, [1, 0, 2]), initializer=(low, low, high, high))[2]
    return tf.transpose(done, [1, 0, 2]) if sequences else done[-1]


def lstm_options(
    tf: Any,
    x: Any,
    *,
    kernel: Any,
    recurrent: Any,
    bias: Any,
    units: Any,
    sequences: Any,
    activation: Any,
    backwards: Any,
    use_bias: Any,
) -> Any:
    """An LSTM with another activation, from the end, or without bias: the converter must not fuse it."""
    act = {"tanh": tf.tanh, "relu": tf.nn.relu, "sigmoid": tf.sigmoid, "linear": tf.identity}[activation]
    steps = tf.unstack(x, axis=1)
    h = c = tf.zeros([x.shape[0], units], x.dtype)
    outputs = []
    for step in steps[::-1] if backwards else steps:
        gates = step @ kernel + h @ recurrent
        i, f, g, o = tf.split(gates + bias if use_bias else gates, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * act(g)
        h = tf.sigmoid(o) * act(c)
        outputs.append(h)
    return tf.stack(outputs, axis=1) if sequences else h


def lstm_time_major(tf: Any, x: Any, *, kernel: Any, recurrent: Any, bias: Any, units: Any, sequences: Any) -> Any:
    """An LSTM over (time, batch, features)."""
    zero = tf.zeros([x.shape[1], units], x.dtype)

    def cell(state: Any, step: Any) -> Any:
        i, f, g, o = tf.split(step @ kernel + state[0] @ recurrent + bias, 4, axis=1)
        c = tf.sigmoid(f) * state[1] + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    outputs = tf.scan(cell, x, initializer=(zero, zero))[0]
    return outputs if sequences else outputs[-1]


def lstm_peephole(
    tf: Any, x: Any, *, kernel: Any, recurrent: Any, bias: Any, peephole: Any, norm: Any, units: Any, layer_norm: Any
) -> Any:
    """An LSTM whose gates see the cell state, or are normalised."""

    def normal(gate: Any, row: Any) -> Any:
        if not layer_norm:
            return gate
        mean = tf.reduce_mean(gate, -1, keepdims=True)
        spread = tf.reduce_mean(tf.math.squared_difference(gate, mean), -1, keepdims=True)
        return (gate - mean) * tf.math.rsqrt(spread + 1e-3) * norm[row]

    h = c = tf.zeros([x.shape[0], units], x.dtype)
    for step in tf.unstack(x, axis=1):
        i, f, g, o = tf.split(step @ kernel + h @ recurrent + bias, 4, axis=1)
        kept = tf.sigmoid(normal(f, 1) + peephole[1] * c) * c
        c = kept + tf.sigmoid(normal(i, 0) + peephole[0] * c) * tf.tanh(normal(g, 2))
        h = tf.sigmoid(normal(o, 3) + peephole[2] * c) * tf.tanh(c)
    return h


def conv_lstm(tf: Any, x: Any, *, kernel: Any, recurrent: Any, bias: Any, units: Any, sequences: Any) -> Any:
    """An LSTM whose products are convolutions, over (batch, time, height, width, channels)."""
    h = c = tf.zeros([x.shape[0], x.shape[2], x.shape[3], units], x.dtype)
    outputs = []
    for step in tf.unstack(x, axis=1):
        seen = tf.nn.conv2d(step, kernel, 1, "SAME") + bias
        i, f, g, o = tf.split(seen + tf.nn.conv2d(h, recurrent, 1, "SAME"), 4, axis=3)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        outputs.append(h)
    return tf.stack(outputs, axis=1) if sequences else h


# --- layers -----------------------------------------------------------------------------------------------


def bilstm_layer(keras: Any, *, units: Any, sequences: Any, merge: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Bidirectional(keras.layers.LSTM(units, return_sequences=sequences), merge_mode=merge)


def bigru_layer(keras: Any, *, units: Any, sequences: Any, merge: Any) -> Any:
    """The Keras layer."""
    return keras.layers.Bidirectional(keras.layers.GRU(units, return_sequences=sequences), merge_mode=merge)


def stacked_lstm_layer(keras: Any, *, units: Any, top: Any, sequences: Any) -> Any:
    """The Keras layer."""
    return keras.layers.RNN([keras.layers.LSTMCell(units), keras.layers.LSTMCell(top)], return_sequences=sequences)


def lstm_options_layer(
    keras: Any, *, units: Any, sequences: Any, activation: Any, backwards: Any, use_bias: Any
) -> Any:
    """The Keras layer."""
    return keras.layers.LSTM(
        units, activation=activation, return_sequences=sequences, go_backwards=backwards, use_bias=use_bias
    )


def conv_lstm_layer(keras: Any, *, units: Any, size: Any, sequences: Any) -> Any:
    """The Keras layer."""
    return keras.layers.ConvLSTM2D(
        units, size, padding="same", recurrent_activation="sigmoid", return_sequences=sequences
    )


# --- rules ------------------------------------------------------------------------------------------------


def _steps(count: int) -> None:
    if count > _MAX_STEPS:
        raise UnfitError(f"{count} steps are more than {_MAX_STEPS}")


def _units(attrs: Attrs) -> int:
    return integer(attrs["top"]) if "top" in attrs else integer(attrs["units"])


def _type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    _steps(x.shape[1])
    width = _units(attrs) * (2 if attrs.get("merge") == "concat" else 1)
    return TensorType((*x.shape[:2], width) if attrs.get("sequences") else (x.shape[0], width), x.dtype)


def _time_major_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, units = operands[0], _units(attrs)
    _steps(x.shape[0])
    return TensorType((*x.shape[:2], units) if attrs["sequences"] else (x.shape[1], units), x.dtype)


def _conv_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, units = operands[0], _units(attrs)
    _steps(x.shape[1])
    if x.elements > _MAX_LOCAL * _MAX_STEPS:
        raise UnfitError(f"{x.elements} elements are too many under a loop")
    return TensorType((*(x.shape[:2] if attrs["sequences"] else x.shape[:1]), *x.shape[2:4], units), x.dtype)


def _cell(dtype: str, inputs: int, units: int, gates: int, rows: int, suffix: str = "") -> tuple[WeightSlot, ...]:
    width = gates * units
    return (
        WeightSlot("kernel" + suffix, TensorType((inputs, width), dtype), float(f"{inputs**-0.5:.4g}")),
        WeightSlot("recurrent" + suffix, TensorType((units, width), dtype), float(f"{units**-0.5:.4g}")),
        WeightSlot("bias" + suffix, TensorType((rows, width) if rows > 1 else (width,), dtype), 0.5),
    )


WeightRule = Callable[[Sequence[TensorType], Attrs], tuple[WeightSlot, ...]]


def _both(gates: int, rows: int) -> WeightRule:
    def rule(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
        x, units = operands[0], integer(attrs["units"])
        ahead = _cell(x.dtype, x.shape[2], units, gates, rows)
        return (*ahead, *_cell(x.dtype, x.shape[2], units, gates, rows, "_back"))

    return rule


def _stacked(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, units, top = operands[0], integer(attrs["units"]), integer(attrs["top"])
    return (*_cell(x.dtype, x.shape[2], units, 4, 1), *_cell(x.dtype, units, top, 4, 1, "_top"))


def _single(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    slots = _cell(x.dtype, x.shape[2], integer(attrs["units"]), 4, 1)
    return slots if attrs.get("use_bias", True) else slots[:2]


def _peephole(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, units = operands[0], integer(attrs["units"])
    return (
        *_single(operands, attrs),
        WeightSlot("peephole", TensorType((3, units), x.dtype), 0.5),
        WeightSlot("norm", TensorType((4, units), x.dtype), 0.2, 1.0),
    )


def _conv(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, units, size = operands[0], integer(attrs["units"]), integer(attrs["size"])
    each = float(f"{(x.shape[4] * size * size) ** -0.5:.4g}")
    return (
        WeightSlot("kernel", TensorType((size, size, x.shape[4], 4 * units), x.dtype), each),
        WeightSlot("recurrent", TensorType((size, size, units, 4 * units), x.dtype), 0.3),
        WeightSlot("bias", TensorType((4 * units,), x.dtype), 0.5),
    )


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    x, units = operands[0], integer(attrs["units"]) + _units(attrs)
    area = integer(attrs.get("size", 1)) ** 2
    return x.elements // x.shape[-1] * 4 * units * (x.shape[-1] + units) * area


_SIZES: dict[str, Domain] = {"units": Int(1, 16, 1), "sequences": Flag()}
_PLAIN = ("kernel", "recurrent", "bias")


def _op(build: Any, infer: Any, weights: Any, attrs: dict[str, Domain], weight: float, **more: Any) -> Op:
    more = {"ranks": (3,), "dtypes": ("float32",), "static": True, **more}
    return Op(build.__name__, build, infer, attrs, weights, _cost, weight=weight, **more)


def _layer(keras: Any, *suffixes: str) -> dict[str, Any]:
    return {"keras": keras, "keras_weights": tuple(w + s for s in suffixes for w in _PLAIN), "recurrent": True}


_MERGED: dict[str, Domain] = {**_SIZES, "merge": Choice(("concat", "sum", "mul"))}

OPS = (
    _op(bilstm, _type, _both(4, 1), _MERGED, 0.08, **_layer(bilstm_layer, "", "_back")),
    _op(bigru, _type, _both(3, 2), _MERGED, 0.05, **_layer(bigru_layer, "", "_back")),
    _op(
        stacked_lstm,
        _type,
        _stacked,
        {**_SIZES, "top": Int(1, 16, 1)},
        0.05,
        **_layer(stacked_lstm_layer, "", "_top"),
    ),
    _op(
        lstm_options,
        _type,
        _single,
        {
            **_SIZES,
            "activation": Choice(("tanh", "relu", "sigmoid", "linear")),
            "backwards": Flag(),
            "use_bias": Flag(True),
        },
        0.08,
        **_layer(lstm_options_layer, ""),
    ),
    _op(lstm_time_major, _time_major_type, _single, _SIZES, 0.08),
    _op(lstm_peephole, _type, _peephole, {"units": Int(1, 16, 4), "layer_norm": Flag()}, 0.08),
    _op(
        conv_lstm,
        _conv_type,
        _conv,
        {"units": Int(1, 6, 2), "size": Int(1, 3, 3), "sequences": Flag()},
        0.05,
        **{**_layer(conv_lstm_layer, ""), "ranks": (5,)},
    ),
)
