"""The reference kernels of LiteRT are the same arithmetic: a part of the other tests, run against that package."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tests.reference import builder, test_activations, test_comparison, test_lookup, test_reduction, test_softmax
from tests.reference.builder import Array

CHECKS: dict[str, Callable[[], None]] = {
    "LOGISTIC int8": lambda: test_lookup.test_logistic_of_every_byte("int8"),
    "LOGISTIC int16": lambda: test_lookup.test_every_16_bit_code_of_the_sigmoid_table("LOGISTIC", 3e-4),
    "TANH int16": lambda: test_lookup.test_every_16_bit_code_of_the_sigmoid_table("TANH", 1 / 2048),
    "GELU int16": lambda: test_lookup.test_every_code("GELU", "int16", "GeluOptions", {"approximate": True}),
    "SOFTMAX int8": lambda: test_softmax.test_softmax("int8", "int8"),
    "SOFTMAX int16": lambda: test_softmax.test_softmax("int16", "int16"),
    "LOG_SOFTMAX uint8": lambda: test_softmax.test_log_softmax("uint8"),
    "LEAKY_RELU int16": lambda: test_activations.test_every_code("LEAKY_RELU", "int16"),
    "HARD_SWISH int8": lambda: test_activations.test_every_code("HARD_SWISH", "int8"),
    "MEAN int8": lambda: test_reduction.test_reductions("MEAN", "int8"),
    "SUM uint8": lambda: test_reduction.test_reductions("SUM", "uint8"),
    "LESS int8": lambda: test_comparison.test_every_pair_of_bytes("LESS", "int8"),
    "L2_NORMALIZATION int8": lambda: test_comparison.test_l2_normalization("int8"),
}


def litert(content: bytes, feeds: Mapping[int, Array], preserve: bool = False) -> dict[int, Array]:
    """What LiteRT's reference kernels compute, by tensor index."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    assert not preserve
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for index, value in feeds.items():
        interpreter.set_tensor(index, value)
    interpreter.invoke()
    return {d["index"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()}


@pytest.mark.parametrize("check", CHECKS)
def test_litert_agrees(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counting(content: bytes, feeds: Mapping[int, Array], preserve: bool = False) -> dict[int, Array]:
        asked.append(len(content))
        return litert(content, feeds, preserve)

    monkeypatch.setattr(builder, "runtime", counting)
    with np.errstate(over="ignore"):
        CHECKS[check]()
    assert asked, "the other runtime was not asked"
