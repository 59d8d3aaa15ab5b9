"""QUANTIZE and DEQUANTIZE against the runtime's reference kernels, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Operand, build, codes, compare, tensor

PAIRS = [
    *(("float32", t) for t in ("int8", "uint8", "int16")),
    *(("int8", "int8"), ("int8", "uint8"), ("uint8", "int8"), ("uint8", "uint8")),
    *(("int16", "int8"), ("int16", "int16"), ("int16", "int32"), ("int32", "int8"), ("int32", "int16")),
]


def _operand(random: np.random.Generator, dtype: str, size: int) -> Operand:
    if dtype == "float32":
        return tensor(dtype, (size,))
    point = int(random.integers(0, 30)) if dtype in ("int8", "uint8") else 0
    return tensor(dtype, (size,), float(np.exp(random.uniform(-4, 1))), point)


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_quantize(pair: tuple[str, str]) -> None:
    random = np.random.default_rng(12)
    for _ in range(6):
        source, target = (_operand(random, dtype, 4000) for dtype in pair)
        values = codes(random, source)
        if pair[0] == "float32":  # ties of the quotient, and both zeros
            assert isinstance(target.scale, float)
            values[:64] = (np.arange(64) - 32.5).astype(np.float32) * np.float32(target.scale)
            values[64:66] = 0.0, -0.0
        compare(build("QUANTIZE", [source], [target], "QuantizeOptions", 3), {0: values})


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int4", "float16"])
def test_dequantize(dtype: str) -> None:
    random = np.random.default_rng(13)
    for several in (False, True) if dtype in ("int8", "uint8", "int4") else (False,):
        scale = random.uniform(0.01, 1, 4).tolist() if several else float(random.uniform(0.01, 1))
        point = {"int8": 5, "uint8": 130}.get(dtype, 0)
        source = Operand(dtype, (3, 4, 5), None if dtype == "float16" else scale, point, 1)
        values = codes(random, source)
        constant = dtype in ("int4", "float16")
        operand = source.constant(values) if constant else source
        content = build("DEQUANTIZE", [operand], [tensor("float32", (3, 4, 5))], "DequantizeOptions", 3)
        compare(content, {} if constant else {0: values})


@pytest.mark.slow
def test_a_scale_a_channel() -> None:
    random = np.random.default_rng(14)
    target = Operand("int8", (8, 4), random.uniform(0.01, 0.1, 4).tolist(), (1, 2, 3, 4), 1)
    content = build("QUANTIZE", [tensor("float32", (8, 4))], [target], "QuantizeOptions", 2)
    compare(content, {0: random.normal(0, 1, (8, 4)).astype(np.float32)})


def test_large_values_saturate_on_their_own_side() -> None:
    """The reference kernel of TensorFlow 2.21 gives the smallest code for 1e30 and +Inf (its int32 overflows)."""
    content = build("QUANTIZE", [tensor("float32", (6,))], [tensor("int8", (6,), 0.5, 3)], "QuantizeOptions", 2)
    values = np.array([1e9, -1e9, 1e30, -1e30, np.inf, -np.inf], np.float32)
    assert reference.evaluate(content, {0: values})[1].tolist() == [127, -128, 127, -128, 127, -128]


def test_nan_has_no_code() -> None:
    content = build("QUANTIZE", [tensor("float32", (1,))], [tensor("int8", (1,), 0.5, 3)], "QuantizeOptions", 2)
    with pytest.raises(reference.UnsupportedError, match="NaN"):
        reference.evaluate(content, {0: np.array([np.nan], np.float32)})
