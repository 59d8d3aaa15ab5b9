"""MLIR text becomes a tree. The texts are what TensorFlow 2.21 writes, shortened."""

from __future__ import annotations

import pytest

from fuzzer.ir import Dense, SyntaxRefused, function
from fuzzer.ir.text import Raw, Symbol

LOOP = """func.func @main(%arg0: tensor<2x3xi32>, %arg1: tensor<?xf32> {tf_saved_model.index_path = ["x1"]}) \
-> (tensor<i32>) attributes {tf.entry_function = {control_outputs = "", inputs = "x0,x1", outputs = "Identity"}} {
  %cst = arith.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi32>
  %0:3 = "tfl.while"(%arg0, %cst, %cst) <{is_stateless = true}> ({
  ^bb0(%arg2: tensor<i32>, %arg3: tensor<i32>, %arg4: tensor<2x3xi32>):
    %6 = tfl.less(%arg3, %arg2) : (tensor<i32>, tensor<i32>) -> tensor<i1>
    "tfl.yield"(%6) : (tensor<i1>) -> ()
  }, {
  ^bb0(%arg2: tensor<i32>, %arg3: tensor<i32>, %arg4: tensor<2x3xi32>):
    %6 = tfl.add %arg3, %arg2 {fused_activation_function = "NONE"} : tensor<i32>
    "tfl.yield"(%arg2, %6, %arg4) : (tensor<i32>, tensor<i32>, tensor<2x3xi32>) -> ()
  }) : (tensor<2x3xi32>, tensor<2x3xi32>, tensor<2x3xi32>) -> (tensor<i32>, tensor<i32>, tensor<2x3xi32>)
  %1 = func.call @other(%0#1) {device = ""} : (tensor<i32>) -> tensor<i32>
  return %1 : tensor<i32>
}"""


def test_a_loop_with_regions_and_several_results() -> None:
    made = function(LOOP)
    assert (made.name, made.arguments, made.result_types) == ("main", ("%arg0", "%arg1"), ("tensor<i32>",))
    assert made.argument_attributes[1] == {"tf_saved_model.index_path": ["x1"]}
    assert made.attributes["tf.entry_function"]["inputs"] == "x0,x1"
    constant, loop, call, end = made.body.operations
    assert constant.attributes["value"] == Dense("[[1, 2, 3], [4, 5, 6]]", "tensor<2x3xi32>")
    assert loop.results == ("%0#0", "%0#1", "%0#2") and loop.attributes == {"is_stateless": True}
    condition, body = loop.regions
    assert condition.arguments == ("%arg2", "%arg3", "%arg4")
    assert [op.name for op in condition.operations] == ["tfl.less", "tfl.yield"]
    assert body.operations[0].operands == ("%arg3", "%arg2")
    assert body.operations[0].operand_types == ("tensor<i32>", "tensor<i32>")
    assert call.attributes["callee"] == Symbol("other") and call.operands == ("%0#1",)
    assert end.operands == ("%1",)


def one(line: str) -> object:
    text = f"func.func @f(%arg0: tensor<f32>) {{\n  {line}\n  return\n}}"
    return function(text).body.operations[0]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("8 : i64", 8),
        ("-8 : i32", -8),
        ("1.0e-03 : f32", 1e-3),
        ("0x7F800000 : f32", float("inf")),
        ("true", True),
        ('"a, b\\22}"', "a, b\\22}"),
        ("[1, -2]", [1, -2]),
        ("array<i32: 1, 0, 2>", [1, 0, 2]),
        ("f32", Raw("f32")),
        ("#tf_type.shape<?x2>", Raw("tf_type.shape<?x2>")),
        ("#tfl<mirror_pad_attr REFLECT>", Raw("tfl<mirror_pad_attr REFLECT>")),
        ("@while_body", Symbol("while_body")),
        ('dense<"0x00000080"> : tensor<1xf32>', Dense('"0x00000080"', "tensor<1xf32>")),
        (
            "tensor<4x!quant.uniform<i8:f32:0, {0.1:2,0.2:-3}>>",
            Raw("tensor<4x!quant.uniform<i8:f32:0, {0.1:2,0.2:-3}>>"),
        ),
    ],
)
def test_attributes(attribute: str, value: object) -> None:
    made = one(f'%0 = "tf.X"(%arg0) <{{a = {attribute}}}> {{device = ""}} : (tensor<f32>) -> tensor<f32>')
    assert made.attributes == {"a": value, "device": ""}  # type: ignore[attr-defined]


def test_an_island_wraps_an_operation_and_its_control_result_has_no_value() -> None:
    made = one('%outputs, %control = tf_executor.island wraps "tf.Neg"(%arg0) {} : (tensor<f32>) -> tensor<f32>')
    assert (made.name, made.results) == ("tf.Neg", ("%outputs",))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "line",
    [
        "%0 = arith.constant dense_resource<large> : tensor<9xf32>",
        '"cf.br"(%arg0)[^bb1] : (tensor<f32>) -> ()',
        "%0 = other.syntax of its own",
        '%0 = "tf.X"(%arg0) <{a = tensor<f32',
    ],
)
def test_what_is_not_known_is_refused(line: str) -> None:
    with pytest.raises(SyntaxRefused):
        one(line)
