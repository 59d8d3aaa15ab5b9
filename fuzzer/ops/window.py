"""Sizes of sliding windows, shared by convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Value


def window_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Output size of one spatial dimension.

    `SAME`: ceil(size / stride); `VALID`: ceil((size - (kernel - 1) * dilation) / stride). Source:
    the TensorFlow API page of `tf.nn.convolution`. Raises `UnfitError` when nothing would be left.
    """
    reach = (kernel - 1) * dilation + 1
    size_out = -(-size // stride) if padding == "SAME" else -(-(size - reach + 1) // stride)
    if size_out < 1:
        raise UnfitError(f"a window of {reach} does not fit {size} with {padding} padding")
    return size_out


def windows(sizes: Sequence[int], kernel: Value, strides: Value, padding: str) -> tuple[int, ...]:
    """Output sizes of several spatial dimensions, without dilation."""
    assert isinstance(kernel, tuple) and isinstance(strides, tuple)
    return tuple(window_size(n, k, s, 1, padding) for n, k, s in zip(sizes, kernel, strides, strict=True))
