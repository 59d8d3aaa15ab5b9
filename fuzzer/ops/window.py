"""Sizes of sliding windows, shared by convolution and pooling."""

from __future__ import annotations

from fuzzer.errors import UnfitError


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
