"""One operator of a flatbuffer alone, on real TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer.oracles.confirm import parts

pytestmark = pytest.mark.slow


def converted(tf: Any, model: Any, *specs: Any) -> bytes:
    function = tf.function(model, input_signature=specs)
    made = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert()
    assert isinstance(made, bytes)
    return made


def graph_of(content: bytes) -> Any:
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


def test_each_operator_alone_gives_what_it_gives_in_the_whole() -> None:
    import tensorflow as tf

    weights = np.random.RandomState(1).standard_normal((3, 3, 2, 4)).astype(np.float32)
    spec = tf.TensorSpec((1, 6, 6, 2), tf.float32)
    content = converted(tf, lambda x: tf.sin(tf.nn.conv2d(x, weights, 1, "SAME")) * 2.0, spec)
    whole = tf.lite.Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    whole.allocate_tensors()
    x = np.random.RandomState(2).standard_normal((1, 6, 6, 2)).astype(np.float32)
    whole.set_tensor(whole.get_input_details()[0]["index"], x)
    whole.invoke()
    operators = graph_of(content).subgraphs[0].operators
    assert len(operators) >= 3
    recorded = {t["index"]: whole.get_tensor(t["index"]) for t in whole.get_tensor_details() if t["index"] >= 0}
    sizes = []
    for position, op in enumerate(operators):
        alone = parts.isolate(content, position)
        assert alone == parts.isolate(content, position), "what was unpacked is as it was"
        made = parts.invoke("tf-reference", alone, recorded)
        assert made is not None and made[0].shape == recorded[int(op.outputs[0])].shape
        np.testing.assert_allclose(made[0], recorded[int(op.outputs[0])], rtol=1e-5, atol=1e-6)
        sizes.append(len(alone))
    assert min(sizes) < len(content) - weights.nbytes, "constants of others are left out"


def test_a_loop_alone_keeps_its_body() -> None:
    import tensorflow as tf

    def model(x: Any) -> Any:
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2.0 + 1.0), (tf.constant(0), x))[1]

    content = converted(tf, model, tf.TensorSpec((2,), tf.float32))
    graph = graph_of(content)
    codes = [graph.operatorCodes[op.opcodeIndex].builtinCode for op in graph.subgraphs[0].operators]
    position = codes.index(119)  # WHILE: BuiltinOperator in tensorflow/compiler/mlir/lite/schema/schema.fbs
    op = graph.subgraphs[0].operators[position]
    fed = {int(i): np.array([1.0, 2.0], np.float32) for i in op.inputs}
    counters = [int(i) for i in op.inputs if graph.subgraphs[0].tensors[int(i)].type == 2]  # INT32
    fed |= {i: np.zeros((), np.int32) for i in counters}
    made = parts.invoke("tf-reference", parts.isolate(content, position), fed)
    assert made is not None and any(y.dtype == np.float32 and np.array_equal(y, [15.0, 23.0]) for y in made)
