"""Plain instances of patterns, and what the converter makes of them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from fuzzer.cli.fusions import DEFAULT_SCHEMES, command
from fuzzer.patterns import Pattern, Step, patterns
from fuzzer.patterns.instance import instance, variants
from fuzzer.screen.fusions import Row, markdown


def test_variants_take_every_choice_once_and_leave_out_what_is_optional() -> None:
    pattern = Pattern("p", 4, (Step(("conv2d", "depthwise_conv2d")), Step(("relu", "relu6"), chance=0.5)))
    ops = [tuple(step.ops[0] for step in steps) for steps in variants(pattern)]
    assert ops == [("conv2d", "relu"), ("depthwise_conv2d", "relu"), ("conv2d", "relu6"), ("conv2d",)]


@pytest.mark.parametrize("pattern", patterns().values(), ids=lambda p: p.name)
def test_every_variant_is_a_valid_case_that_holds_its_ops_under_every_scheme(pattern: Pattern) -> None:
    for steps in variants(pattern):
        for scheme in DEFAULT_SCHEMES:
            case = instance(pattern, steps, scheme)
            assert {step.ops[0] for step in steps} <= {node.op for node in case.model.nodes}
            assert case.conversion.scheme == scheme
            assert case == instance(pattern, steps, scheme)


def test_the_markdown_map_says_where_a_scheme_changes_nothing() -> None:
    rows = [
        Row("p", ("conv2d",), "float32", ("Conv2D",), ("CONV_2D",), True, (), 1e-7),
        Row("p", ("conv2d",), "int8", ("Conv2D",), ("QUANTIZE", "CONV_2D", "DEQUANTIZE"), True, (), 0.02),
        Row("p", ("conv2d",), "dynamic", ("Conv2D",), outcome="crash in convert: SIGSEGV"),
    ]
    line = markdown(rows, ("float32", "int8", "dynamic")).splitlines()[-1]
    assert line == "| p: conv2d | Conv2D | CONV_2D, 1e-07 | same, 2e-02 | **crash in convert: SIGSEGV** |"


@pytest.mark.slow
def test_the_fusion_map_of_real_conversions() -> None:
    arguments = ["--json", "--pattern", "relu6_after_linear", "--pattern", "conv_batch_norm", "--scheme", "float32"]
    answer = CliRunner().invoke(command, [*arguments, "--scheme", "int8"], standalone_mode=False)
    assert answer.exception is None
    rows = {(row["pattern"], row["ops"][0], row["scheme"]): row for row in json.loads(answer.stdout)}
    conv = rows["relu6_after_linear", "conv2d", "float32"]
    assert conv["before"] == ["Conv2D", "BiasAdd", "Relu6"] and conv["after"] == ["CONV_2D+RELU6"]
    assert conv["folded"] == ["RELU6 into CONV_2D", "bias into CONV_2D"] and conv["fused"] and conv["error"] < 1e-5
    whole = rows["relu6_after_linear", "conv2d", "int8"]
    assert whole["after"] == ["QUANTIZE", "CONV_2D+RELU6", "DEQUANTIZE"] and 1e-4 < whole["error"] < 0.2
    assert "batch norm into weights" in rows["conv_batch_norm", "conv2d", "float32"]["folded"]
