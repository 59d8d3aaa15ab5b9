"""SOFTMAX and LOG_SOFTMAX against the runtime's reference kernels, rows of all lengths, values near and far."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Array
from tests.reference.unary import ZERO_ONE, agree, one, random_scale, random_zero_point

LENGTHS = (1, 2, 3, 7, 64, 300)
ABORTING_LENGTH = 512


def rows(random: np.random.Generator, dtype: str, turn: int) -> Array:
    """A [rows, length] or [2, rows, length] tensor; every third has its values close together."""
    info = np.iinfo(dtype)
    shape = (*([2] if turn % 2 else []), int(random.integers(1, 6)), LENGTHS[turn % len(LENGTHS)])
    codes = random.integers(info.min, info.max, shape, endpoint=True)
    return (codes // 16 if turn % 3 == 0 else codes).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "result"),
    [("int8", "int8"), ("uint8", "uint8"), ("int16", "int16"), ("int8", "int16"), ("uint8", "int16")],
)
def test_softmax(dtype: str, result: str) -> None:
    random = np.random.default_rng(4)
    for turn in range(36):
        codes = rows(random, dtype, turn)
        source = random_scale(random, dtype), random_zero_point(random, dtype)
        beta = float(random.choice([1.0, 0.5, 2.0, 0.1]))
        agree("SOFTMAX", codes, source, ZERO_ONE[result], "SoftmaxOptions", result, beta=beta)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_log_softmax(dtype: str) -> None:
    random = np.random.default_rng(5)
    for turn in range(36):
        source = random_scale(random, dtype), random_zero_point(random, dtype)
        agree("LOG_SOFTMAX", rows(random, dtype, turn), source, (16 / 256, np.iinfo(dtype).max))


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_probabilities_are_those_of_real_arithmetic(dtype: str) -> None:
    random = np.random.default_rng(6)
    codes = random.integers(-100, 100, (4, 10)).astype(dtype)
    scale = 0.05 if dtype == "int8" else 0.02
    result = agree("SOFTMAX", codes, (scale, 0), ZERO_ONE[dtype], "SoftmaxOptions", beta=1.0)
    weights = np.exp(codes * scale)
    truth = weights / weights.sum(-1, keepdims=True)
    made = (result.astype(float) - ZERO_ONE[dtype][1]) * ZERO_ONE[dtype][0]
    assert np.abs(made - truth).max() < 1.01 * (1 / 256 if dtype == "int8" else 2**-10)


@pytest.mark.slow
def test_a_long_flat_row_aborts_the_runtime_and_not_the_reference(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Upstream: the reference int8 kernel checks its exponent against 31, which 512 equal values exceed."""
    codes = np.zeros((1, ABORTING_LENGTH), np.int8)
    content = one("SOFTMAX", codes, (0.05, 0), ZERO_ONE["int8"], "SoftmaxOptions", beta=1.0)
    np.testing.assert_array_equal(reference.evaluate(content, {0: codes})[1], np.full_like(codes, -128))
    model = tmp_path / "model.tflite"
    model.write_bytes(content)
    script = (
        "import sys, numpy as np, tensorflow as tf\n"
        "i = tf.lite.Interpreter(model_path=sys.argv[1],"
        " experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF)\n"
        f"i.allocate_tensors(); i.set_tensor(0, np.zeros((1, {ABORTING_LENGTH}), np.int8)); i.invoke()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(model)], capture_output=True, check=False)
    assert ended.returncode == -6, ended.stderr[-500:]  # SIGABRT
