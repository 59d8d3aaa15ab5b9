"""Table operators: every code of every type, over scales, against the runtime's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzer import reference
from fuzzer.reference import UnsupportedError
from tests.reference.unary import ZERO_ONE, agree, agree_without_reference_kernel, both, every_code, one, quantisation

EIGHT = ("int8", "uint8")
TABLE_SCALES = (1 / 4096, 1 / 2048, 1 / 1024, 3e-4, 1e-3, 1e-5, 0.1)
"""int16 input scales of LOGISTIC and TANH: powers of two that shift and that do not, and others."""


@pytest.mark.parametrize("dtype", EIGHT)
def test_logistic_of_every_byte(dtype: str) -> None:
    random = np.random.default_rng(1)
    for _ in range(12):
        agree("LOGISTIC", every_code(dtype), quantisation(random, dtype), ZERO_ONE[dtype])


@pytest.mark.parametrize("scale", TABLE_SCALES)
@pytest.mark.parametrize("op", ["LOGISTIC", "TANH"])
def test_every_16_bit_code_of_the_sigmoid_table(op: str, scale: float) -> None:
    result = agree(op, every_code("int16"), (scale, 0), (1 / 32768, 0))
    real = every_code("int16") * np.float64(np.float32(scale))
    truth = np.tanh(real) if op == "TANH" else (1 + np.tanh(real / 2)) / 2
    assert np.abs(result / 32768 - truth).max() < 2e-4  # the table's own precision


@pytest.mark.parametrize(
    ("op", "dtype", "options", "fields"),
    [
        ("TANH", "int8", "", {}),
        ("TANH", "uint8", "", {}),
        *[("GELU", dtype, "GeluOptions", {"approximate": a}) for dtype in (*EIGHT, "int16") for a in (False, True)],
        ("EXP", "int8", "ExpOptions", {}),
        ("EXP", "int16", "ExpOptions", {}),
        ("LOG", "int8", "", {}),
        ("LOG", "int16", "", {}),
        ("ABS", "int8", "AbsOptions", {}),
        ("ABS", "int16", "AbsOptions", {}),
    ],
)
def test_every_code(op: str, dtype: str, options: str, fields: dict[str, bool]) -> None:
    random = np.random.default_rng(2)
    for turn in range(3 if dtype == "int16" else 12):
        source = quantisation(random, dtype)
        if op == "EXP" and dtype == "int16":
            source = min(source[0], 80 / 32768), 0  # above 88.7 float32 overflows: see the test below
        target = source if turn == 1 else quantisation(random, dtype)
        agree(op, every_code(dtype), source, target, options, **fields)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("op", ["SQRT", "RSQRT"])
def test_roots_of_every_code_that_is_not_negative(op: str, dtype: str) -> None:
    random = np.random.default_rng(3)
    for _ in range(3 if dtype == "int16" else 12):
        source, target = quantisation(random, dtype), quantisation(random, dtype)
        codes = every_code(dtype)
        agree(op, codes[codes.astype(int) >= source[1]], source, target)


def test_elu_of_every_code() -> None:
    random = np.random.default_rng(34)
    for _ in range(12):
        content = one("ELU", every_code("int8"), quantisation(random, "int8"), quantisation(random, "int8"))
        agree_without_reference_kernel(content, {0: every_code("int8")}, 1)


def test_a_root_of_a_negative_value_is_refused() -> None:
    codes = every_code("int8")
    for op in ("SQRT", "RSQRT"):
        with pytest.raises(UnsupportedError, match=f"{op}: a negative operand"):
            reference.evaluate(one(op, codes, (0.1, 0), (0.1, 0)), {0: codes})


@pytest.mark.parametrize(("op", "dtype"), [("ABS", "int32"), ("NEG", "int32"), ("NEG", "int64"), ("SIGN", "int32")])
def test_plain_integers_with_their_extremes(op: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    codes = np.array([info.min, info.min + 1, -7, -1, 0, 1, 9, info.max], dtype)
    agree(op, codes, None, None)


def test_the_runtime_negates_quantised_codes_without_their_zero_point() -> None:
    """Upstream: NEG of int8 / int16 negates raw codes, so -(x) with zero points 3 and -7 is far off."""
    codes = every_code("int8")
    ours, theirs = both("NEG", codes, (0.05, 3), (0.05, -7), "NegOptions")
    truth = np.clip(-(codes.astype(int) - 3) - 7, -128, 127)
    np.testing.assert_array_equal(ours, truth)
    np.testing.assert_array_equal(theirs, -codes)
    assert (theirs != truth).mean() > 0.9


def test_the_runtime_loses_the_16_bit_exponential_where_float32_overflows() -> None:
    """Upstream: a table sample that overflows becomes inf - inf and is stored as 0: exp(200) is 0, not the maximum."""
    codes = every_code("int16")
    ours, theirs = both("EXP", codes, (0.01, 0), (0.002, 0), "ExpOptions")
    assert (ours[codes * 0.01 > 90] == 32767).all()
    assert (theirs[(codes * 0.01 > 90) & (codes < 32000)] == 0).mean() > 0.9
    near = codes * 0.01 < 60
    np.testing.assert_array_equal(ours[near], theirs[near])


def test_a_type_without_a_kernel_is_named() -> None:
    codes = every_code("uint8")
    content = one("EXP", codes, (0.1, 0), (0.1, 0), "ExpOptions")
    assert reference.refusal(content, 0) == "uint8 is not a type its kernel takes (int8, int16)"


def test_a_logistic_scale_that_the_kernel_refuses() -> None:
    assert "1/256" in reference.refusal(one("LOGISTIC", every_code("int8"), (0.1, 0), (0.1, 0)), 0)
    assert "2^-15" in reference.refusal(one("LOGISTIC", every_code("int16"), (0.1, 0), (0.1, 0)), 0)
