"""The C library's float32 functions, because the runtime fills its tables with them.

`tanhf` and `erfcf` of glibc are not correctly rounded, and their last bit differs between C libraries; a table
sample on a tie then differs by one code. The runtime takes them from this machine's C library, so the reference
does too: float64 rounded to float32 was measured to miss 1 of 513 int16 GELU samples in places.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from fuzzer.reference.fixed_point import Array

_LIBRARY = ctypes.CDLL("libm.so.6")


def single(name: str) -> Callable[[Array], Array]:
    """The named `float f(float)`, elementwise over a float32 array."""
    function = getattr(_LIBRARY, name)
    function.restype = ctypes.c_float
    function.argtypes = [ctypes.c_float]

    def apply(values: Array) -> Array:
        flat = [function(value) for value in np.asarray(values, np.float32).ravel().tolist()]
        return np.array(flat, np.float32).reshape(np.shape(values))

    return apply


expf = single("expf")
expm1f = single("expm1f")
logf = single("logf")
tanhf = single("tanhf")
erfcf = single("erfcf")
