"""The converter's program runs at every stage: the first is TensorFlow's model, the last is the flatbuffer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.execute import Executor, Reply
from fuzzer.ir import NotEvaluableError, Program
from fuzzer.ops import TensorType
from tests.oracles.test_oracles import small_net

PLAIN = """func.func @main(%arg0: tensor<2xf32>) -> tensor<2xf32> {
  %cst = arith.constant dense<2.0> : tensor<2xf32>
  %0 = func.call @other(%arg0) : (tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}"""
OTHER = "func.func @other(%arg0: tensor<2xf32>) -> tensor<2xf32> {\n  return %arg0 : tensor<2xf32>\n}"
UNKNOWN = OTHER.replace("return", '%0 = "x.y"(%arg0) : (tensor<2xf32>) -> tensor<2xf32>\n  return')


def test_a_function_calls_another_and_leaves_steps() -> None:
    given = np.array([1.0, 2.0], np.float32)
    (made,), steps = Program(None, {"main": PLAIN, "other": OTHER}, {}).run([given])
    np.testing.assert_array_equal(made, given)
    assert [step.operation.name for step in steps] == ["arith.constant", "func.call"]
    (replaced,), _ = Program(None, {"main": PLAIN, "other": OTHER}, {}).run([given], {"%0": given * 3})
    np.testing.assert_array_equal(replaced, given * 3)


@pytest.mark.parametrize(
    ("texts", "inputs"), [({"main": PLAIN, "other": UNKNOWN}, 1), ({"main": PLAIN}, 1), ({"main": PLAIN}, 2), ({}, 1)]
)
def test_what_cannot_be_run_is_refused(texts: dict[str, str], inputs: int) -> None:
    with pytest.raises(NotEvaluableError):
        Program(None, texts, {}).run([np.zeros(2, np.float32)] * inputs)


# --- on real conversions ----------------------------------------------------------------------------------

X = TensorType((1, 6, 6, 4), "float32")
INPUTS = Inference(inputs=(Recipe("normal", 1),))


def chain(*ops: str) -> Case:
    nodes = tuple(Node(op, (f"n{i - 1}" if i else "x0",)) for i, op in enumerate(ops))
    return Case(Model((X,), nodes, (f"n{len(ops) - 1}",)), Conversion(), INPUTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        chain("tanh", "relu6", "neg", "abs", "square", "sin", "floor"),
        chain("elu", "selu", "sigmoid", "softsign", "cos"),
        small_net(),
        small_net(entry="saved_model"),
        small_net(entry="keras"),
        replace(small_net(entry="frozen_graph"), inference=INPUTS),
    ],
    ids=["unary", "activations", "net", "saved_model", "keras", "frozen_graph"],
)
def test_every_stage_gives_what_tensorflow_gives(real: Executor, case: Case) -> None:
    answer = real.run({"call": "tests.ir.inside:stages", "case": to_json(case)})
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    found = answer.message["stages"]
    assert len(found) >= 4
    ran = [row for row in found if row[1] >= 0.0]
    assert len(ran) >= 3 and ran[-1] is found[-1], found
    assert all(apart < 1e-5 for _, apart, _, _ in ran), found
    assert found[-1][2] < 1e-6, "the last stage is the flatbuffer"


@pytest.mark.slow
def test_a_release_without_dumps_is_told_so(real: Executor) -> None:
    answer = real.run({"call": "tests.ir.inside:without_dumps", "case": to_json(chain("abs"))})
    assert isinstance(answer, Reply) and answer.message["said"].startswith("this release has no IR dumps"), answer
