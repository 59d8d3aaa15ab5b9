"""What TensorFlow and Keras make of every op. Runs inside an executor: TensorFlow may abort on any of it.

One executor serves all ops: a new one costs as much as the checks of three. It is replaced after it died.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fuzzer.execute import Executor, Limits, Reply, Zygote
from fuzzer.ops import registry

pytestmark = pytest.mark.slow

NODES = 25
LAYER_NODES = 8
LAYERS = [name for name, op in registry().items() if op.keras is not None]


@pytest.fixture(scope="module")
def shared(real_zygote: Zygote) -> Iterator[Executor]:
    executor = Executor(real_zygote.path, Limits(timeout_s=60.0))
    yield executor
    executor.close()


@pytest.mark.parametrize("name", registry())
def test_tensorflow_gives_the_inferred_shape_and_dtype(shared: Executor, name: str) -> None:
    answer = shared.run({"call": "tests.ops.checks:shapes", "op": name, "nodes": NODES})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    assert answer.message["wrong"] == []


@pytest.mark.parametrize("keras", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_keras_layer_computes_what_build_computes(shared: Executor, name: str, keras: str) -> None:
    answer = shared.run({"call": "tests.ops.checks:layers", "op": name, "keras": keras, "nodes": LAYER_NODES})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    assert answer.message["wrong"] == [] and answer.message["compared"] == LAYER_NODES
