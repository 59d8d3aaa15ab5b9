"""Comparisons, logic, selection and L2_NORMALIZATION against the runtime's reference kernels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import build, codes, compare, runtime, tensor
from tests.reference.unary import every_code, quantisation

ORDERS = {
    "EQUAL": np.equal,
    "NOT_EQUAL": np.not_equal,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", ORDERS)
def test_every_pair_of_bytes(op: str, dtype: str) -> None:
    random = np.random.default_rng(21)
    left, right = every_code(dtype)[:, None], every_code(dtype)[None, :]
    for turn in range(6):
        first = quantisation(random, dtype)
        second = first if turn % 2 else quantisation(random, dtype)
        operands = [tensor(dtype, left.shape, *first), tensor(dtype, right.shape, *second)]
        compare(build(op, operands, [tensor("bool", (256, 256))]), {0: left, 1: right})


PLAIN = [(op, dtype) for op in ORDERS for dtype in ("int16", "int32", "int64") if (op, dtype) != ("NOT_EQUAL", "int16")]


@pytest.mark.parametrize(("op", "dtype"), PLAIN)
def test_plain_codes(op: str, dtype: str) -> None:
    random = np.random.default_rng(22)
    left, right = (random.integers(-3, 4, shape).astype(dtype) for shape in ((4, 5), (5,)))
    operands = [tensor(dtype, left.shape), tensor(dtype, right.shape)]
    compare(build(op, operands, [tensor("bool", (4, 5))]), {0: left, 1: right})


def test_not_equal_of_int16_writes_nothing_upstream() -> None:
    """Upstream: NOT_EQUAL takes int16 and leaves its result as the memory was (here: fresh, all zero)."""
    left = np.zeros(1 << 20, np.int16)
    fed = tensor("int16", left.shape)
    content, feeds = build("NOT_EQUAL", [fed, fed], [tensor("bool", left.shape)]), {0: left, 1: left + np.int16(1)}
    assert reference.evaluate(content, feeds)[2].all()
    assert runtime(content, feeds)[2].mean() < 0.9


def test_bytes_of_small_scales_lose_their_order_upstream() -> None:
    """Upstream: 8-bit values are compared in steps of 1/256, so codes of scale 0.001 mostly compare as equal."""
    left, right = np.arange(-50, 49, dtype=np.int8), np.arange(-49, 50, dtype=np.int8)
    fed = tensor("int8", left.shape, 0.001)
    made = compare(build("LESS", [fed, fed], [tensor("bool", left.shape)]), {0: left, 1: right})[2]
    assert made.mean() < 0.4  # every left value is below its right one


def test_scales_above_one_are_compared_wrongly_upstream() -> None:
    """Upstream: a multiplier above 1 is shifted by a negative count."""
    left, right = np.array([0, 3, -5], np.int8), np.array([1, 5, -5], np.int8)
    fed = tensor("int8", (3,), 2.0)
    content = build("LESS", [fed, fed], [tensor("bool", (3,))])
    np.testing.assert_array_equal(reference.evaluate(content, {0: left, 1: right})[2], [True, True, False])
    assert not runtime(content, {0: left, 1: right})[2].any()


@pytest.mark.slow
def test_a_scale_of_one_aborts_the_runtime_and_not_the_reference(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Upstream: QuantizeMultiplierGreaterThanOne demands more than 1 and is given 1."""
    left, right = np.array([0, 3, -5], np.int8), np.array([1, 2, -5], np.int8)
    fed = tensor("int8", (3,), 1.0)
    content = build("LESS", [fed, fed], [tensor("bool", (3,))])
    np.testing.assert_array_equal(reference.evaluate(content, {0: left, 1: right})[2], [True, False, False])
    model = tmp_path / "model.tflite"
    model.write_bytes(content)
    script = (
        "import sys, numpy as np, tensorflow as tf\n"
        "i = tf.lite.Interpreter(model_path=sys.argv[1],"
        " experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF)\n"
        "i.allocate_tensors(); i.invoke()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(model)], capture_output=True, check=False)
    assert ended.returncode == -6, ended.stderr[-500:]  # SIGABRT


@pytest.mark.parametrize("op", ["LOGICAL_AND", "LOGICAL_OR", "EQUAL", "NOT_EQUAL"])
def test_logic(op: str) -> None:
    left, right = np.array([[False], [True]]), np.array([False, True])
    operands = [tensor("bool", left.shape), tensor("bool", right.shape)]
    compare(build(op, operands, [tensor("bool", (2, 2))]), {0: left, 1: right})


def test_logical_not() -> None:
    compare(build("LOGICAL_NOT", [tensor("bool", (2,))], [tensor("bool", (2,))]), {0: np.array([True, False])})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
@pytest.mark.parametrize(
    ("op", "condition", "left", "right"),
    [
        ("SELECT", (3, 4), (3, 4), (3, 4)),
        ("SELECT", (3,), (3, 4), (3, 4)),
        ("SELECT", (), (3, 4), (3, 4)),
        ("SELECT_V2", (3, 1), (4,), (2, 3, 4)),
    ],
)
def test_selection(
    op: str, condition: tuple[int, ...], left: tuple[int, ...], right: tuple[int, ...], dtype: str
) -> None:
    random = np.random.default_rng(23)
    scale = quantisation(random, dtype) if dtype != "int32" else ()
    operands = [tensor("bool", condition), tensor(dtype, left, *scale), tensor(dtype, right, *scale)]
    feeds = {1: codes(random, operands[1]), 2: codes(random, operands[2]), 0: random.random(condition) < 0.5}
    feeds[0] = np.asarray(feeds[0])
    compare(
        build(
            op,
            operands,
            [tensor(dtype, np.broadcast_shapes(condition, left, right) if op == "SELECT_V2" else left, *scale)],
        ),
        feeds,
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_l2_normalization(dtype: str) -> None:
    random = np.random.default_rng(24)
    centre = 128 if dtype == "uint8" else 0
    for turn in range(40):
        shape = (int(random.integers(1, 5)), (1, 2, 3, 16, 200)[turn % 5])
        source = quantisation(random, dtype)
        values = codes(random, tensor(dtype, shape))
        values[0] = source[1] if turn % 7 == 0 else values[0]  # a norm of zero
        fed, made = tensor(dtype, shape, *source), tensor(dtype, shape, 1 / 128, centre)
        compare(build("L2_NORMALIZATION", [fed], [made], "L2NormOptions"), {0: values})
