"""Tensors of any dtype as real numbers, so that one comparison serves all."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_real(value: Any) -> NDArray[np.float64]:
    """A tensor as float64, element by element: strings as a number of their own, complex numbers as pairs."""
    array = np.asarray(value)
    if array.dtype.kind == "O":
        return np.array([zlib.crc32(bytes(v)) for v in array.reshape(-1)], np.float64).reshape(array.shape)
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], -1).astype(np.float64)
    return array.astype(np.float64)
