"""Functions that say what they implement, which the converter replaces by fused or custom ops.

Names the converter knows, names it does not (the body is inlined), and signatures that do not suit the name:
those it has to refuse in words. Only a SavedModel keeps the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Float, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer, no_weights


def composite_plain(tf: Any, x: Any, *, const: Any, name: Any) -> Any:
    """A function under a name nobody knows: it is inlined."""
    return tf.function(lambda a, b: a * b + a, autograph=False, experimental_implements=name)(x, const)


def composite_custom(tf: Any, x: Any, *, name: Any, number: Any, level: Any, word: Any, fusable: Any) -> Any:
    """A function that becomes a custom op with options of every kind."""
    options = 'name: "' + name + '" attr { key: "tfl_fusable_op" value { b: ' + fusable + " } }"
    options = options + ' attr { key: "number" value { i: ' + str(number) + " } }"
    options = options + ' attr { key: "level" value { f: ' + str(level) + " } }"
    options = options + ' attr { key: "word" value { s: "' + word + '" } }'
    return tf.function(lambda a: a + a, autograph=False, experimental_implements=options)(x)


def composite_embedding(tf: Any, x: Any, *, table: Any, name: Any, wrong: Any, width: Any) -> Any:
    """Rows of a table by number."""
    rows = tf.math.floormod(x, table.shape[0])
    if wrong == "rank":
        found = tf.function(lambda w, i: tf.gather(w, i), autograph=False, experimental_implements=name)(
            table, tf.expand_dims(rows, 0)
        )
        return tf.squeeze(found, 0)
    if wrong == "one":
        hot = tf.function(lambda i: tf.one_hot(i, width), autograph=False, experimental_implements=name)(rows)
        return tf.cast(hot, table.dtype) + tf.gather(table, rows)
    if wrong == "swapped":
        return tf.function(lambda i, w: tf.gather(w, i), autograph=False, experimental_implements=name)(rows, table)
    return tf.function(lambda w, i: tf.gather(w, i), autograph=False, experimental_implements=name)(table, rows)


def composite_lstm(
    tf: Any, x: Any, *, kernel: Any, bias: Any, projection: Any, norm: Any, name: Any, wrong: Any, units: Any
) -> Any:
    """One step of an LSTM cell from a state of zeros, gates in the order of the fused op."""
    states = projection.shape[1]

    def cell(x: Any, w: Any, *more: Any) -> Any:
        gates = tf.matmul(tf.concat([x, tf.zeros([x.shape[0], states], x.dtype)], 1), w)
        gates = gates + more[0] if more else gates
        made = tf.sigmoid(gates[:, 3 * units :]) * tf.tanh(tf.sigmoid(gates[:, units : 2 * units]) * gates[:, :units])
        return tf.matmul(made, more[1]) if len(more) > 1 else made

    step = tf.function(cell, autograph=False, experimental_implements=name)
    if wrong == "two":
        return tf.matmul(step(x, kernel), projection)
    if wrong == "three":
        return tf.matmul(step(x, kernel, bias), projection)
    return step(x, kernel, bias, projection, norm) if wrong == "five" else step(x, kernel, bias, projection)


def composite_unpool(tf: Any, x: Any, *, pool: Any, padding: Any, wrong: Any, out_shape: Any) -> Any:
    """Every element put into the first cell of its window (max unpooling of TensorFlow Addons)."""
    options = 'name: "addons:MaxUnpooling2D"'
    if wrong != "bare":
        sizes = "i: " + str(pool) if wrong == "scalar" else "i: [" + str(pool) + "," + str(pool) + "]"
        options = options + ' attr { key: "pool_size" value { list { ' + sizes + " } } }"
        options = options + ' attr { key: "strides" value { list { ' + sizes + " } } }"
        options = options + ' attr { key: "padding" value { s: "' + padding + '" } }'
    total = out_shape[0] * out_shape[1] * out_shape[2] * out_shape[3]

    def cells() -> Any:
        return tf.reshape(tf.range(total), out_shape)[:, ::pool, ::pool, :]

    def body(a: Any, *i: Any) -> Any:
        where = tf.reshape(i[0] if i else cells(), [-1, 1])
        return tf.reshape(tf.scatter_nd(where, tf.reshape(a, [-1]), [total]), out_shape)

    unpool = tf.function(body, autograph=False, experimental_implements=options)
    return unpool(x) if wrong == "one" else unpool(x, cells())


def composite_warp(tf: Any, x: Any, *, flow: Any, wrong: Any) -> Any:
    """An image and a flow; this body only shifts values (dense image warp of TensorFlow Addons)."""
    name = "addons:DenseImageWarp"
    if wrong == "one":
        return tf.function(lambda a: a + a, autograph=False, experimental_implements=name)(x) + flow[:, :, :, :1]
    if wrong == "rank":
        flat = tf.function(lambda a, f: a + f[:, :, :1], autograph=False, experimental_implements=name)
        return tf.expand_dims(flat(x[0], flow[0]), 0)
    return tf.function(lambda a, f: a + f[:, :, :, :1], autograph=False, experimental_implements=name)(x, flow)


def composite_nms(tf: Any, x: Any, *, boxes: Any, most: Any, overlap: Any, wrong: Any) -> Any:
    """The indices of the boxes that stay, under the name of the padded suppression."""

    def body(b: Any, s: Any, m: Any, o: Any = overlap, t: Any = -10.0) -> Any:
        kept = tf.raw_ops.NonMaxSuppressionV4(
            boxes=b, scores=s, max_output_size=m, iou_threshold=o, score_threshold=t, pad_to_max_output_size=True
        )
        return kept[0] if wrong == "single" else (kept[0], kept[1])

    name = "non_max_suppression_padded_v2"
    suppress = tf.function(body, autograph=False, experimental_implements=name)
    given = [boxes, x, tf.constant(most)]
    result = suppress(*given) if wrong == "three" else suppress(*given, tf.constant(overlap), tf.constant(-10.0))
    return result if wrong == "single" else result[0]


def composite_detection(tf: Any, x: Any, *, anchors: Any, scores: Any, scale: Any, regular: Any, wrong: Any) -> Any:
    """The box of the highest score, decoded: what the detection op gives for one detection."""
    values = [
        ("max_detections", "i: 1"),
        ("max_classes_per_detection", "i: 1"),
        ("num_classes", "i: 1"),
        ("nms_score_threshold", "f: 0.0"),
        ("nms_iou_threshold", "f: 0.5"),
        *[(side + "_scale", "f: " + str(scale)) for side in ["y", "x", "h", "w"]],
        ("use_regular_nms", "b: " + regular),
        ("detections_per_class", "i: 1"),
    ]
    values = [] if wrong == "bare" else values[:4] if wrong == "few" else values
    options = ['attr { key: "' + key + '" value { ' + value + " } }" for key, value in values]

    def body(b: Any, s: Any, *given: Any) -> Any:
        a = given[0] if given else tf.ones_like(b[0])
        best = tf.argmax(s[0, :, 1])
        box, anchor = tf.gather(b[0], best), tf.gather(a, best)
        center, half = box[:2] / scale * anchor[2:] + anchor[:2], tf.exp(box[2:] / scale) * anchor[2:] / 2
        found = tf.reshape(tf.concat([center - half, center + half], 0), [1, 1, 4])
        return found, tf.zeros([1, 1], b.dtype), tf.reshape(tf.reduce_max(s[0, :, 1]), [1, 1]), tf.ones([1], b.dtype)

    name = 'name: "TFLite_Detection_PostProcess" ' + " ".join(options)
    process = tf.function(body, autograph=False, experimental_implements=name)
    codes = tf.concat([x, x, x, x], 2)[:1, :, :4]
    return process(codes, scores)[0] if wrong == "two" else process(codes, scores, anchors)[0]


# --- rules ------------------------------------------------------------------------------------------------


def _same(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


def _rows(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((*operands[0].shape, integer(attrs["width"])), "float32")


def _table(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("table", TensorType((integer(attrs["rows"]), integer(attrs["width"])), "float32")),)


def _cell(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((operands[0].shape[0], integer(attrs["outputs"])), operands[0].dtype)


def _cell_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x, units, outputs = operands[0], integer(attrs["units"]), integer(attrs["outputs"])
    return (
        WeightSlot("kernel", TensorType((x.shape[1] + outputs, 4 * units), x.dtype), 0.3),
        WeightSlot("bias", TensorType((4 * units,), x.dtype), 0.5),
        WeightSlot("projection", TensorType((units, outputs), x.dtype), 0.5),
        WeightSlot("norm", TensorType((4 * units,), x.dtype), 0.1, 1.0),
    )


def _unpooled(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, pool = operands[0], integer(attrs["pool"])
    return TensorType((x.shape[0], x.shape[1] * pool, x.shape[2] * pool, x.shape[3]), x.dtype)


def _warped(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if attrs["wrong"] == "rank" and operands[0].shape[0] != 1:
        raise UnfitError("a batch of one is needed")
    return operands[0]


def _flow(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    return (WeightSlot("flow", TensorType((*x.shape[:3], 2), x.dtype)),)


def _kept(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((integer(attrs["most"]),), "int32")


def _boxes(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("boxes", TensorType((operands[0].shape[0], 4), operands[0].dtype)),)


def _detected(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((1, 1, 4), operands[0].dtype)


def _anchors(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    x = operands[0]
    return (
        WeightSlot("anchors", TensorType((x.shape[1], 4), x.dtype), 0.2, 0.5, True),
        WeightSlot("scores", TensorType((1, x.shape[1], 2), x.dtype), 0.3, 0.1, True),
    )


def _const(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    return (WeightSlot("const", TensorType(operands[0].shape[-1:], operands[0].dtype)),)


def _op(build: Any, infer: Any, attrs: dict[str, Domain], weight: float, **more: Any) -> Op:
    more = {"dtypes": ("float32",), "weights": no_weights, "static": True, **more}
    return Op(build.__name__, build, infer, attrs, weight=weight, entries=("saved_model",), **more)


_CUSTOM: dict[str, Any] = {"switches": {"allow_custom_ops": True}}

OPS = (
    _op(
        composite_plain,
        _same,
        {"name": Choice(("nobody", "", "embedding", "addons:", "tftext:"))},
        0.05,
        weights=_const,
    ),
    _op(
        composite_custom,
        _same,
        {
            "name": Choice(("my_op", "MaxPoolWithArgmax", "Flex", "relu")),
            "number": Int(-5, 1000, 1),
            "level": Float(-2.0, 2.0, 1.0),
            "word": Choice(("word", "", "a b")),
            "fusable": Choice(("true", "false")),
        },
        0.05,
        dtypes=("float32", "int32"),
        **_CUSTOM,
    ),
    _op(
        composite_embedding,
        _rows,
        {
            "rows": Int(1, 64, 4),
            "width": Int(1, 32, 3),
            "name": Choice(("embedding_matmul", "embedding_lookup")),
            "wrong": Choice(("no", "rank", "one", "swapped")),
        },
        0.1,
        ranks=(1,),
        dtypes=("int32", "int64"),
        weights=_table,
    ),
    _op(
        composite_lstm,
        _cell,
        {
            "units": Int(1, 8, 4),
            "outputs": Int(1, 8, 4),
            "name": Choice(
                ("LSTMCellSimple", "LayerNormalizedLstmCellSimple", "LSTMCellSimple,CoupleInputForgetGates")
            ),
            "wrong": Choice(("no", "two", "three", "five")),
        },
        0.02,
        ranks=(2,),
        weights=_cell_weights,
    ),
    _op(
        composite_unpool,
        _unpooled,
        {
            "pool": Int(1, 3, 2),
            "padding": Choice(("SAME", "VALID")),
            "wrong": Choice(("no", "bare", "scalar", "one")),
        },
        0.05,
        ranks=(4,),
        **_CUSTOM,
    ),
    _op(
        composite_warp,
        _warped,
        {"wrong": Choice(("no", "one", "rank"))},
        0.05,
        ranks=(4,),
        weights=_flow,
        **_CUSTOM,
    ),
    _op(
        composite_nms,
        _kept,
        {"most": Int(1, 8, 3), "overlap": Float(0.0, 1.0, 0.5), "wrong": Choice(("no", "three", "single"))},
        0.05,
        ranks=(1,),
        weights=_boxes,
        discontinuous=True,
        float64=False,
        narrow="gives indices and counts, not numbers: overlaps near the threshold count as a jump",
    ),
    _op(
        composite_detection,
        _detected,
        {
            "scale": Float(0.5, 10.0, 1.0),
            "regular": Choice(("false", "true")),
            "wrong": Choice(("no", "bare", "few", "two")),
        },
        0.05,
        ranks=(3,),
        weights=_anchors,
        discontinuous=True,
        **_CUSTOM,
    ),
)
