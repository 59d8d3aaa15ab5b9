"""MLIR types and constants as NumPy's.

Sources: mlir.llvm.org, "Builtin Dialect" (dense elements: a nested list, one number for all, or the raw bytes in hex)
and "Quantization Dialect" (`!quant.uniform<storage<low:high>:expressed[:axis], {scale:zero point, ...}>`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fuzzer.ir.text import Dense, SyntaxRefused

DTYPES = {
    "f16": "float16",
    "f32": "float32",
    "f64": "float64",
    "i1": "bool",
    **{f"i{n}": f"int{n}" for n in (8, 16, 32, 64)},
    **{f"ui{n}": f"uint{n}" for n in (8, 16, 32, 64)},
    "complex<f32>": "complex64",
    "complex<f64>": "complex128",
}
"""NumPy's names of element types; bfloat16, strings and four-bit integers are not among them."""
_TENSOR = re.compile(r"tensor<(\*x|(?:(?:\d+|\?)x)*)(.*)>$", re.DOTALL)
_QUANTISED = re.compile(r"!quant\.uniform<([iu])(\d+)(?:<(-?\d+):(-?\d+)>)?:f\d+(?::(\d+))?,\s*(.*)>$", re.DOTALL)
_PAIR = re.compile(r"(0x[0-9A-Fa-f]+|-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?::(-?\d+))?")


@dataclass(frozen=True)
class TensorType:
    """A tensor's type. `shape` is None where the rank is not known, -1 in it where a size is not.

    `scales` are empty where it is not quantised; `axis` is that of several scales. `limits` are the smallest and the
    largest integer that a quantised one may hold, which may be fewer than its `dtype` has (four bits, narrow ranges).
    """

    dtype: str
    shape: tuple[int, ...] | None
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    limits: tuple[int, int] = (0, 0)


@cache
def tensor_type(text: str) -> TensorType:
    """Reads a type. Raises `SyntaxRefused` on one that NumPy has no array for."""
    found = _TENSOR.match(text)
    if found is None:
        raise SyntaxRefused(f"no tensor: {text[:60]}")
    dims, element = found[1], found[2]
    shape = None if dims == "*x" else tuple(-1 if d == "?" else int(d) for d in dims.split("x") if d)
    if element in DTYPES:
        return TensorType(DTYPES[element], shape)
    quantised = _QUANTISED.match(element)
    if quantised is None or int(quantised[2]) > 32:
        raise SyntaxRefused(f"element type {element[:60]}")
    signed, bits = quantised[1] == "i", int(quantised[2])
    width = next(w for w in (8, 16, 32) if bits <= w)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    pairs = _PAIR.findall(quantised[6].strip("{}"))
    return TensorType(
        f"{'int' if signed else 'uint'}{width}",
        shape,
        tuple(of_bits(scale, "f64") if scale.startswith("0x") else float(scale) for scale, _ in pairs),
        tuple(int(point or 0) for _, point in pairs),
        int(quantised[5] or 0),
        (int(quantised[3]), int(quantised[4])) if quantised[3] else (low, high),
    )


def quantised(value: np.ndarray[Any, Any], kind: TensorType) -> np.ndarray[Any, Any]:
    """Real numbers as integers of a quantised type: round(x / scale) + zero point, within the type's limits.

    Halves are rounded away from zero, as TFLite's kernels do (`TfLiteRound` in internal/cppmath.h), in float32.
    """
    scale, zero = _spread(kind, value.ndim)
    with np.errstate(all="ignore"):
        ratio = value.astype(np.float32) / scale
        whole = np.trunc(ratio + np.copysign(np.float32(0.5), ratio)) + zero
    made: np.ndarray[Any, Any] = np.clip(np.nan_to_num(whole), *kind.limits).astype(kind.dtype)
    return made


def dequantised(value: np.ndarray[Any, Any], kind: TensorType) -> np.ndarray[Any, Any]:
    """Integers of a quantised type as real numbers: (q - zero point) * scale, in float32."""
    scale, zero = _spread(kind, value.ndim)
    made: np.ndarray[Any, Any] = ((value.astype(np.float64) - zero) * scale).astype(np.float32)
    return made


def _spread(kind: TensorType, rank: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Scales and zero points in the shape in which they meet a tensor of this rank."""
    shape = [1] * rank
    if len(kind.scales) > 1:
        shape[kind.axis] = len(kind.scales)
    scale, zero = np.array(kind.scales, np.float32), np.array(kind.zero_points, np.float64)
    return (scale.reshape(shape), zero.reshape(shape)) if rank else (scale[0], zero[0])


def of_bits(word: str, type_: str) -> float:
    """A float that is written as its bits: infinity, NaN, or a number without a short decimal form."""
    width = {"f16": 2, "f32": 4, "f64": 8}.get(type_)
    if width is None:
        raise SyntaxRefused(f"bits of a {type_}")
    return float(np.frombuffer(int(word, 16).to_bytes(width, "little"), DTYPES[type_])[0])


def array_of(dense: Dense, type_: str = "") -> np.ndarray[Any, Any]:
    """The numbers of a constant. `type_` replaces its own (the storage of a quantised one)."""
    kind = tensor_type(type_ or dense.type)
    if kind.shape is None or -1 in kind.shape:
        raise SyntaxRefused("a constant without a shape")
    count = int(np.prod(kind.shape, dtype=np.int64))
    flat = _raw(dense.text[3:-1], kind.dtype, count) if dense.text.startswith('"0x') else _listed(dense.text, kind)
    if flat.size not in (1, count):
        raise SyntaxRefused(f"{flat.size} numbers for {dense.type}")
    return np.array(np.broadcast_to(flat.reshape(-1), (count,))).reshape(kind.shape)


def _raw(text: str, dtype: str, count: int) -> np.ndarray[Any, Any]:
    raw = bytes.fromhex(text)
    if dtype == "bool" and len(raw) != count:  # bit-packed, or one byte for all
        return np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[:count].astype(bool)
    return np.frombuffer(raw, dtype)


def _listed(text: str, kind: TensorType) -> np.ndarray[Any, Any]:
    if '"' in text:
        raise SyntaxRefused("a constant of strings")
    if kind.dtype.startswith("complex"):
        pairs = re.findall(r"\(([^,()]+),\s*([^,()]+)\)", text)
        return np.array([complex(float(a), float(b)) for a, b in pairs], kind.dtype)
    words = re.findall(r"[^\[\],\s]+", text)
    if kind.dtype == "bool":
        return np.array([w == "true" for w in words])
    if not kind.dtype.startswith("float"):
        return np.array([int(w) for w in words], np.int64 if kind.dtype != "uint64" else np.uint64).astype(kind.dtype)
    short = next(k for k, v in DTYPES.items() if v == kind.dtype)
    return np.array([of_bits(w, short) if w.startswith("0x") else float(w) for w in words], kind.dtype)
