"""What TensorFlow and Keras make of every op. Runs inside executors: TensorFlow may abort on any of it."""

from __future__ import annotations

import pytest

from fuzzer.execute import Executor, Reply
from fuzzer.ops import registry

pytestmark = pytest.mark.slow

NODES = 25
LAYER_NODES = 8
LAYERS = [name for name, op in registry().items() if op.keras is not None]


@pytest.mark.parametrize("name", registry())
def test_tensorflow_gives_the_inferred_shape_and_dtype(real: Executor, name: str) -> None:
    answer = real.run({"call": "tests.ops.checks:shapes", "op": name, "nodes": NODES})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    assert answer.message["wrong"] == []


@pytest.mark.parametrize("keras", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_keras_layer_computes_what_build_computes(real: Executor, name: str, keras: str) -> None:
    answer = real.run({"call": "tests.ops.checks:layers", "op": name, "keras": keras, "nodes": LAYER_NODES})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    assert answer.message["wrong"] == [] and answer.message["compared"] == LAYER_NODES
