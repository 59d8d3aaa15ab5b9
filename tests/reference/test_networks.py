"""Converted networks: every tensor of the reference equals that of the runtime's reference kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import runtime

SHAPE = (2, 9, 9, 3)
OPERATORS = {
    *("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "SUB", "MUL"),
    *("MAX_POOL_2D", "AVERAGE_POOL_2D", "SOFTMAX", "QUANTIZE", "DEQUANTIZE"),
}


def _network(random: np.random.Generator) -> Callable[[Any], Any]:
    """Convolution and ReLU6, depthwise, residual sum, poolings, product, transposed convolution, dense, softmax."""
    import tensorflow as tf

    def weights(*shape: int) -> Any:
        return tf.constant(random.normal(0, 0.3, shape).astype(np.float32))

    first, deep, one, up = weights(3, 3, 3, 8), weights(3, 3, 8, 1), weights(1, 1, 8, 8), weights(2, 2, 4, 8)
    shift, dense, tail = weights(8), weights(36, 5), weights(5)

    def call(x: Any) -> Any:
        y = tf.nn.relu6(tf.nn.conv2d(x, first, 2, "SAME") + shift)
        z = tf.nn.depthwise_conv2d(y, deep, [1, 1, 1, 1], "SAME") + shift
        z = tf.nn.relu(y + tf.nn.conv2d(z, one, 1, "VALID"))
        z = tf.nn.max_pool2d(z, 2, 1, "SAME") * tf.nn.avg_pool2d(y, 3, 1, "SAME") - z
        z = tf.nn.conv2d_transpose(z, up, [2, 10, 10, 4], 2, "SAME")
        z = tf.nn.avg_pool2d(z, 2, 3, "VALID")
        return tf.nn.softmax(tf.matmul(tf.reshape(z, [2, 36]), dense) + tail)

    return call


def _converted(sixteen_bits: bool) -> bytes:
    import tensorflow as tf

    random = np.random.default_rng(15)
    function = tf.function(_network(random), input_signature=[tf.TensorSpec(SHAPE, tf.float32)])
    concrete = function.get_concrete_function()

    def samples() -> Iterator[list[Any]]:
        for _ in range(8):
            yield [random.normal(0, 1, SHAPE).astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    sets = tf.lite.OpsSet
    wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [wide if sixteen_bits else sets.TFLITE_BUILTINS_INT8]
    return bytes(converter.convert())


@pytest.mark.slow
@pytest.mark.parametrize("sixteen_bits", [False, True], ids=["int8", "int16x8"])
def test_every_intermediate_tensor(sixteen_bits: bool) -> None:
    content = _converted(sixteen_bits)
    graph = reference.read(content)
    (index,) = graph.inputs
    feeds = {index: np.random.default_rng(16).normal(0, 1.2, SHAPE).astype(np.float32)}
    expected = runtime(content, feeds, preserve=True)
    named = reference.run(content, {graph.tensors[index].name: feeds[index]})
    results = [tensor for node in graph.nodes for tensor in node.outputs]
    assert {n.op for n in graph.nodes} >= OPERATORS
    for tensor in results:
        assert named[tensor.name].dtype == expected[tensor.index].dtype
        different = int((named[tensor.name] != expected[tensor.index]).sum())
        assert different == 0, f"{tensor.name}: {different} of {named[tensor.name].size} elements differ"
