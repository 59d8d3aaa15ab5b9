"""Some forty converted operators: each quantised one, fed what the runtime fed it, gives the runtime's result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import runtime

SHAPE = (1, 8, 8, 4)
WRONG_UPSTREAM = {"SUM"}  # see test_reduction
MOST_OF_INT8 = {
    *("ABS", "ARG_MAX", "CONCATENATION", "EXP", "GATHER", "GELU", "GREATER", "L2_NORMALIZATION", "LEAKY_RELU"),
    *("LOGISTIC", "LOG_SOFTMAX", "MEAN", "MIRROR_PAD", "PAD", "REDUCE_MAX", "RESIZE_BILINEAR", "SELECT", "RSQRT"),
    *("RESIZE_NEAREST_NEIGHBOR", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQRT", "STRIDED_SLICE", "TANH", "UNPACK"),
}
MOST_OF_INT16 = {
    *("ABS", "CONCATENATION", "EXP", "GATHER", "GELU", "LEAKY_RELU", "LOGISTIC", "MEAN", "MIRROR_PAD", "PAD", "RSQRT"),
    *("REDUCE_MAX", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SELECT", "SOFTMAX", "SPLIT", "TANH", "UNPACK"),
}


def network(x: Any) -> dict[str, Any]:
    """One use of each operator; every branch is an output, so that the converter drops none."""
    import tensorflow as tf

    random = np.random.default_rng(36)
    y = tf.nn.conv2d(x, tf.constant(random.normal(0, 0.2, (3, 3, 4, 8)).astype(np.float32)), 1, "SAME")
    c = tf.concat([tf.sigmoid(tf.nn.leaky_relu(y, 0.1)), tf.tanh(y)], -1)
    g = tf.pad(
        tf.image.resize(c, (10, 9), method="bilinear") + tf.image.resize(c, (10, 9), method="nearest"),
        [[0, 0], [1, 2], [0, 1], [0, 0]],
    )
    h = tf.reduce_mean(g, [1, 2])
    results = [
        *(tf.reduce_sum(g, [1]), tf.reduce_max(g, [2]), tf.argmax(h, -1)),
        *(tf.nn.softmax(h), tf.nn.log_softmax(h), tf.math.l2_normalize(h, -1)),
        *(tf.nn.gelu(h), tf.exp(-tf.abs(h)), tf.math.rsqrt(tf.abs(h) + 1.0), tf.sqrt(tf.abs(h) + 0.5)),
        *(tf.transpose(g[:, 1:9, 0:8:2, 2:10:3], [0, 3, 1, 2]), tf.gather(h, [0, 3, 1], axis=1)),
        *(tf.split(h, 4, 1)[2], tf.unstack(h, axis=1)[0], tf.where(h > 0.1, h, tf.nn.relu6(h))),
        *(tf.nn.space_to_depth(x, 2), tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]])),
        tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"),
    ]
    return {f"result{place}": result for place, result in enumerate(results)}


def converted(sixteen_bits: bool) -> bytes:
    """The network with int8 or int16 activations."""
    import tensorflow as tf

    random = np.random.default_rng(37)

    def samples() -> Iterator[list[Any]]:
        for _ in range(20):
            yield [random.normal(size=SHAPE).astype(np.float32)]

    function = tf.function(network, input_signature=[tf.TensorSpec(SHAPE, tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    sets = tf.lite.OpsSet
    wide = [sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, sets.TFLITE_BUILTINS]
    converter.target_spec.supported_ops = wide if sixteen_bits else [sets.TFLITE_BUILTINS_INT8]
    return bytes(converter.convert())


@pytest.mark.slow
@pytest.mark.parametrize("sixteen_bits", [False, True])
def test_every_operator_of_a_converted_network(sixteen_bits: bool) -> None:
    content = converted(sixteen_bits)
    graph = reference.read(content)
    fed = np.random.default_rng(38).normal(size=SHAPE).astype(np.float32)
    values = runtime(content, {graph.inputs[0]: fed}, preserve=True)
    agreed, differed, refused = set(), set(), set()
    for node in graph.nodes:
        operands = [None if t is None else values[t.index] if t.data is None else t.data for t in node.inputs]
        try:
            results = reference.compute(node, operands)
        except reference.UnsupportedError as error:
            refused.add((node.op, error.reason.split()[0]))
            continue
        same = all(np.array_equal(values[t.index], made) for t, made in zip(node.outputs, results, strict=True))
        (agreed if same else differed).add(node.op)
    assert differed == WRONG_UPSTREAM
    assert (MOST_OF_INT16 if sixteen_bits else MOST_OF_INT8) <= agreed
    assert {kind for _, kind in refused} <= {"float32"}  # what the converter left in float
