"""Helpers of the tests of one-operand operators: every code of a type, scales as calibration would give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzer import reference
from tests.reference.builder import Array, build, compare, runtime, tensor

ZERO_ONE = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)}
"""Scale and zero point that the runtime demands of results in [0, 1]."""


def every_code(dtype: str) -> Array:
    """All codes of an 8- or 16-bit type, in order."""
    info = np.iinfo(dtype)
    return np.arange(info.min, info.max + 1).astype(dtype)


def random_zero_point(random: np.random.Generator, dtype: str) -> int:
    """Any code of an 8-bit type; 0 for int16, which is symmetric."""
    info = np.iinfo(dtype)
    return 0 if dtype == "int16" else int(random.integers(info.min, info.max, endpoint=True))


def random_scale(random: np.random.Generator, dtype: str) -> float:
    """Log-uniform, such that the type's range is 0.25 to 250 (8 bits) or 0.6 to 600 (16 bits) wide."""
    low, high = (-5.0, -2.0) if dtype == "int16" else (-3.0, 0.0)
    return float(10 ** random.uniform(low, high))


def quantisation(random: np.random.Generator, dtype: str) -> tuple[float, int]:
    """A random scale and zero point."""
    return random_scale(random, dtype), random_zero_point(random, dtype)


def one(
    op: str,
    codes: Array,
    source: tuple[float, int] | None,
    target: tuple[float, int] | None,
    options: str = "",
    result: str = "",
    **fields: Any,
) -> bytes:
    """A flatbuffer of one operator with one fed operand and one result of the same shape."""
    dtype = str(codes.dtype)
    fed = tensor(dtype, codes.shape, *(source or ()))
    made = tensor(result or dtype, codes.shape, *(target or ()))
    return build(op, [fed], [made], options, **fields)


def agree(op: str, codes: Array, *arguments: Any, **fields: Any) -> Array:
    """Asserts that reference and runtime give the same codes, and gives them."""
    return compare(one(op, codes, *arguments, **fields), {0: codes})[1]


def both(op: str, codes: Array, *arguments: Any, **fields: Any) -> tuple[Array, Array]:
    """What the reference and what the runtime computes, where they are known to differ."""
    content = one(op, codes, *arguments, **fields)
    return reference.evaluate(content, {0: codes})[1], runtime(content, {0: codes})[1]


def builtin(content: bytes, feeds: dict[int, Array], result: int) -> Array:
    """One result under the optimised built-in kernels, without a delegate."""
    import tensorflow as tf

    kinds = tf.lite.experimental.OpResolverType
    interpreter = tf.lite.Interpreter(
        model_content=content, experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    for index, value in feeds.items():
        interpreter.set_tensor(index, value)
    interpreter.invoke()
    made: Array = interpreter.get_tensor(result)
    return made


def agree_without_reference_kernel(content: bytes, feeds: dict[int, Array], result: int) -> None:
    """Asserts agreement on an operator that BUILTIN_REF does not register, with the built-in kernels."""
    np.testing.assert_array_equal(reference.evaluate(content, feeds)[result], builtin(content, feeds, result))
