"""Types and constants of MLIR as NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.ir.text import Dense, SyntaxRefused
from fuzzer.ir.values import TensorType, array_of, dequantised, quantised, tensor_type


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("tensor<f32>", TensorType("float32", ())),
        ("tensor<2x?xi1>", TensorType("bool", (2, -1))),
        ("tensor<*xcomplex<f32>>", TensorType("complex64", None)),
        ("tensor<3x!quant.uniform<u8<1:255>:f32, 0.5:7>>", TensorType("uint8", (3,), (0.5,), (7,), 0, (1, 255))),
        (
            "tensor<2x2x!quant.uniform<i8:f32:1, {0.5,2.5E-1:-3}>>",
            TensorType("int8", (2, 2), (0.5, 0.25), (0, -3), 1, (-128, 127)),
        ),
        (
            "tensor<1x!quant.uniform<i8:f32, 0x3FE0000000000000:1>>",
            TensorType("int8", (1,), (0.5,), (1,), 0, (-128, 127)),
        ),
    ],
)
def test_types(text: str, type_: TensorType) -> None:
    assert tensor_type(text) == type_


@pytest.mark.parametrize(
    "text", ["tensor<!tf_type.string>", "tensor<2xbf16>", "none", "tensor<4x!quant.uniform<i64:f32, 0.5>>"]
)
def test_types_that_numpy_has_not(text: str) -> None:
    with pytest.raises(SyntaxRefused):
        tensor_type(text)


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("[[1, -2], [3, 4]]", "tensor<2x2xi32>", np.array([[1, -2], [3, 4]], np.int32)),
        ("7", "tensor<2x2xui8>", np.full((2, 2), 7, np.uint8)),
        ("", "tensor<0x3xf32>", np.zeros((0, 3), np.float32)),
        ("[true, false]", "tensor<2xi1>", np.array([True, False])),
        ('"0x05"', "tensor<3xi1>", np.array([True, False, True])),
        ("0xFF800000", "tensor<f32>", np.array(-np.inf, np.float32)),
        ("[1.5, 0x7FC00000]", "tensor<2xf32>", np.array([1.5, np.nan], np.float32)),
        ("(1.0, -2.5)", "tensor<1xcomplex<f32>>", np.array([1 - 2.5j], np.complex64)),
    ],
)
def test_constants(text: str, type_: str, expected: np.ndarray[Any, Any]) -> None:
    made = array_of(Dense(text, type_))
    assert made.dtype == expected.dtype
    np.testing.assert_array_equal(made, expected)


@given(st.lists(st.floats(width=32), min_size=2, max_size=9))
def test_raw_bytes_come_back(numbers: list[float]) -> None:
    array = np.array(numbers, np.float32)
    made = array_of(Dense(f'"0x{array.tobytes().hex().upper()}"', f"tensor<{len(numbers)}xf32>"))
    assert made.tobytes() == array.tobytes()


def test_quantising_keeps_to_the_limits_of_the_type() -> None:
    narrow = tensor_type("tensor<5x!quant.uniform<u8<1:255>:f32, 0.5:128>>")
    four = tensor_type("tensor<5x!quant.uniform<u4:f32, 0.5:4>>")
    real = np.array([-1e9, -0.75, 0.0, 0.25, 1e9], np.float32)
    np.testing.assert_array_equal(quantised(real, narrow), np.array([1, 126, 128, 129, 255], np.uint8))
    np.testing.assert_array_equal(quantised(real, four), np.array([0, 2, 4, 5, 15], np.uint8))
    np.testing.assert_array_equal(dequantised(quantised(real, four), four), np.float32([-2.0, -1.0, 0.0, 0.5, 5.5]))


def test_channels_have_scales_of_their_own() -> None:
    kind = tensor_type("tensor<1x2x!quant.uniform<i8:f32:1, {0.5,2.0:-3}>>")
    real = np.array([[3.0, 3.0], [-4.0, -4.0]], np.float32)
    integers = quantised(real, kind)
    np.testing.assert_array_equal(integers, np.array([[6, -1], [-8, -5]], np.int8))
    np.testing.assert_array_equal(dequantised(integers, kind), np.float32([[3.0, 4.0], [-4.0, -4.0]]))


def test_a_wrong_count_is_refused() -> None:
    with pytest.raises(SyntaxRefused):
        array_of(Dense("[1, 2, 3]", "tensor<2x2xi32>"))
