"""Every road through the converter and every scheme gives the flatbuffer that its name promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.execute import Executor, Reply
from fuzzer.ops import TensorType
from tests.oracles.test_oracles import small_net

pytestmark = pytest.mark.slow


def converted(real: Executor, case: Case) -> dict[str, Any]:
    answer = real.run({"call": "tests.oracles.planted:converted", "case": to_json(case)})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    assert "failure" not in answer.message, answer.message["failure"]
    return answer.message


@pytest.mark.parametrize("entry", ["concrete_function", "saved_model", "keras", "legacy_keras"])
def test_every_road_gives_the_same_numbers(real: Executor, entry: str) -> None:
    made = converted(real, small_net(entry=entry))
    assert made["inputs"] == [["FLOAT32", [1, 8, 8, 3]]]
    assert [shape for _, shape in made["outputs"]] in ([[1, 5], [1, 4]], [[1, 4], [1, 5]])
    assert made["complete"] == ["tf-xnnpack", "tf-builtin", "tf-reference", "litert"]
    assert max(made["relative"].values()) < 1e-4  # outputs are matched in the model's order, not by position
    assert "CONV_2D" in made["ops"] and "RELU" in made["activations"] and "FULLY_CONNECTED" in made["ops"]
    assert {"reference", "build", "convert", "allocate", "invoke"} <= set(made["timings"])


@pytest.mark.parametrize(
    ("scheme", "io", "inputs", "constants"),
    [
        ("float32", "float32", "FLOAT32", {"FLOAT32"}),
        ("float16", "float32", "FLOAT32", {"FLOAT16"}),
        ("dynamic", "float32", "FLOAT32", set()),
        ("int8", "float32", "FLOAT32", {"INT8", "INT32"}),
        ("int8", "int8", "INT8", {"INT8", "INT32"}),
        ("int8", "uint8", "UINT8", {"INT8", "INT32"}),
        ("int16x8", "float32", "FLOAT32", {"INT8", "INT64"}),
        ("int16x8", "int16", "INT16", {"INT8", "INT64"}),
    ],
)
def test_a_scheme_gives_its_types(real: Executor, scheme: str, io: str, inputs: str, constants: set[str]) -> None:
    made = converted(real, small_net(scheme, io))
    assert [dtype for dtype, _ in made["inputs"]] == [inputs] and {d for d, _ in made["outputs"]} == {inputs}
    assert constants <= set(made["constants"])
    assert made["complete"] == ["tf-xnnpack", "tf-builtin", "tf-reference", "litert"]
    if scheme in ("int8", "int16x8"):
        assert made["per_channel"] and made["scaled"]


def test_per_channel_can_be_switched_off(real: Executor) -> None:
    assert not converted(real, small_net("int8", per_channel=False))["per_channel"]


def test_dynamic_range_quantises_large_weights(real: Executor) -> None:
    case = small_net("dynamic")
    dense = replace(
        case.model.nodes[3],
        operands=("x0",),
        attrs={"units": 64, "use_bias": False},
        weights={"kernel": Recipe("normal", 1)},
    )
    model = Model((TensorType((4, 64), "float32"),), (dense,), ("n0",))
    assert "INT8" in converted(real, replace(case, model=model))["constants"]


def test_inputs_are_fed_by_name_on_every_road(real: Executor) -> None:
    """x0 - x1 is not x1 - x0."""
    type_ = TensorType((1, 6), "float32")
    nodes = (Node("sub", ("x0", "x1"), {"const_rank": 1}), Node("sub", ("n0", "x2"), {"const_rank": 1}))
    model = Model((type_,) * 3, nodes, ("n1", "n0"))
    for entry in ("concrete_function", "saved_model", "keras", "legacy_keras"):
        made = converted(real, Case(model, Conversion(entry=entry), Inference(inputs=(Recipe("normal", 2),))))
        assert max(made["relative"].values()) < 1e-6, entry


def test_many_outputs_keep_their_order_on_every_road(real: Executor) -> None:
    nodes = tuple(
        Node("add", ("x0",), {"const_rank": 0}, {"const": Recipe("constant", 0, 0.0, float(i))}) for i in range(8)
    )
    model = Model((TensorType((1, 3), "float32"),), nodes, tuple(f"n{i}" for i in (5, 0, 7, 2, 1, 6, 3, 4)))
    for entry in ("concrete_function", "saved_model", "keras", "legacy_keras"):
        made = converted(real, Case(model, Conversion(entry=entry), Inference(inputs=(Recipe("normal", 2),))))
        assert max(made["relative"].values()) < 1e-6, entry


def test_the_fused_lstm_appears_through_legacy_keras(real: Executor) -> None:
    attrs = {"units": 4, "sequences": True, "unroll": True}
    node = Node("lstm", ("x0",), attrs, {k: Recipe("normal", i) for i, k in enumerate(("kernel", "recurrent", "bias"))})
    model = Model((TensorType((1, 5, 3), "float32"),), (node,), ("n0",))
    made = converted(real, Case(model, Conversion(entry="legacy_keras")))
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in made["ops"]
    assert max(made["relative"].values()) < 1e-4
