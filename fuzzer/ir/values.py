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
_STORAGE = {"i8": "int8", "u8": "uint8", "i16": "int16", "i32": "int32", "ui8": "uint8"}
_TENSOR = re.compile(r"tensor<(\*x|(?:(?:\d+|\?)x)*)(.*)>$", re.DOTALL)
_QUANTISED = re.compile(r"!quant\.uniform<([a-z]+\d+)(?:<[^>]*>)?:f\d+(?::(\d+))?,\s*(.*)>$", re.DOTALL)
_PAIR = re.compile(r"(0x[0-9A-Fa-f]+|-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?::(-?\d+))?")


@dataclass(frozen=True)
class TensorType:
    """A tensor's type. `shape` is None where the rank is not known, -1 in it where a size is not.

    `scales` are empty where it is not quantised; `axis` is that of several scales.
    """

    dtype: str
    shape: tuple[int, ...] | None
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0


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
    if quantised is None or quantised[1] not in _STORAGE:
        raise SyntaxRefused(f"element type {element[:60]}")
    pairs = _PAIR.findall(quantised[3].strip("{}"))
    return TensorType(
        _STORAGE[quantised[1]],
        shape,
        tuple(of_bits(scale, "f64") if scale.startswith("0x") else float(scale) for scale, _ in pairs),
        tuple(int(point or 0) for _, point in pairs),
        int(quantised[2] or 0),
    )


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
