"""Reads a flatbuffer into plain frozen data: what the integer reference needs of tensors, constants and operators.

Buffers may lie inside the flatbuffer or behind it (`use_buffer_offset`: `Buffer.offset` above 1, schema.fbs), and
4-bit constants are stored two to a byte. A constant that cannot be read (sparse, strings, a type that NumPy has not)
is kept with the reason, so that only an operator that needs it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.errors import UserError

_NUMPY_NAMES = {
    **{"FLOAT32": "float32", "FLOAT16": "float16", "FLOAT64": "float64", "BOOL": "bool"},
    **{"INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "INT4": "int8"},
    **{"UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64"},
    **{"COMPLEX64": "complex64", "COMPLEX128": "complex128"},
}
"""NumPy's name of each TensorType of schema.fbs; INT4 codes are held one a byte. Others have none ("object")."""


class UnsupportedError(UserError):
    """The reference does not compute this operator: its name and why. Nothing is ever skipped in silence."""

    def __init__(self, operator: str, reason: str) -> None:
        super().__init__(f"{operator}: {reason}")
        self.operator = operator
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor: `real = scales[c] * (raw - zero_points[c])`, c counted along `axis` when there are several.

    `dtype` is NumPy's name of the raw codes, `stored` the schema's (`INT4` codes are int8). `data` is the constant's
    value or None; `unreadable` says why a constant that exists has no value.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: NDArray[Any] | None = None
    stored: str = ""
    unreadable: str = ""


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the main graph. `options` is the schema's object (`Conv2DOptionsT` …) or None for none."""

    position: int
    op: str
    options: Any
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """The main sub-graph, operators in order of execution; `inputs` and `outputs` are tensor indices."""

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@cache
def _schema() -> Any:
    # LiteRT's copy of the schema: it imports in 0.1 s, TensorFlow's takes seconds because it imports TensorFlow.
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


@cache
def _names(enum: str) -> dict[int, str]:
    return {value: name for name, value in vars(getattr(_schema(), enum)).items() if isinstance(value, int)}


def read(content: bytes) -> Graph:
    """Reads the main sub-graph. Raises UserError for bytes that are no TensorFlow Lite flatbuffer."""
    if content[4:8] != b"TFL3":  # schema.fbs, file_identifier
        raise UserError("these bytes are no TensorFlow Lite flatbuffer (TFL3 expected at byte 4)")
    model = _schema().ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    tensors = tuple(_tensor(index, made, model, content) for index, made in enumerate(graph.tensors or ()))
    codes = [_operator_name(code) for code in model.operatorCodes or ()]
    nodes = tuple(
        Node(
            position,
            codes[op.opcodeIndex],
            op.builtinOptions if op.builtinOptions is not None else op.builtinOptions2,
            tuple(tensors[i] if i >= 0 else None for i in _ints(op.inputs)),
            tuple(tensors[i] for i in _ints(op.outputs)),
        )
        for position, op in enumerate(graph.operators or ())
    )
    return Graph(tensors, nodes, _ints(graph.inputs), _ints(graph.outputs))


def _ints(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(v) for v in values)


def _operator_name(code: Any) -> str:
    if code.customCode:
        return f"custom:{code.customCode.decode(errors='replace')}"
    # Old readers only know the deprecated byte; the larger of the two is the code (schema.fbs, OperatorCode).
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return _names("BuiltinOperator").get(number, str(number))


def _tensor(index: int, made: Any, model: Any, content: bytes) -> Tensor:
    stored = _names("TensorType").get(made.type, str(made.type))
    shape = _ints(made.shape)
    dtype = _NUMPY_NAMES.get(stored, "object")
    data, unreadable = _constant(made, stored, dtype, shape, _bytes_of(model.buffers[made.buffer], content))
    quantization = made.quantization
    present = quantization is not None
    return Tensor(
        index,
        made.name.decode(errors="replace") if made.name else "",
        dtype,
        shape,
        tuple(float(s) for s in quantization.scale) if present and quantization.scale is not None else (),
        _ints(quantization.zeroPoint) if present else (),
        int(quantization.quantizedDimension) if present else 0,
        data,
        stored,
        unreadable,
    )


def _bytes_of(buffer: Any, content: bytes) -> bytes:
    if buffer.offset > 1:  # 1 marks a buffer that has none yet (schema.fbs, Buffer)
        return content[buffer.offset : buffer.offset + buffer.size]
    return b"" if buffer.data is None else bytes(bytearray(buffer.data))


def _constant(
    made: Any, stored: str, dtype: str, shape: tuple[int, ...], raw: bytes
) -> tuple[NDArray[Any] | None, str]:
    """A constant's value, or why it has none; neither for a tensor that is computed."""
    if made.externalBuffer:
        return None, "its constant is in another file (external buffer)"
    if not raw:
        return None, ""
    if made.sparsity is not None:
        return None, "its constant is stored sparse"
    if dtype == "object":
        return None, f"its constant is {stored}"
    if stored == "INT4":
        codes = unpack_int4(np.frombuffer(raw, np.uint8), int(np.prod(shape)))
    else:
        codes = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    if codes.size != int(np.prod(shape)):
        return None, f"its constant has {codes.size} elements, its shape {shape} needs {int(np.prod(shape))}"
    codes = codes.reshape(shape)
    codes.flags.writeable = False
    return codes, ""


def unpack_int4(packed: NDArray[np.uint8], count: int) -> NDArray[Any]:
    """4-bit two's complement codes, the lower half of a byte first (`UnpackPackedIntToInt8`, portable_tensor_utils)."""
    halves = np.stack([packed & 0xF, packed >> 4], axis=-1).reshape(-1)[:count].astype(np.int8)
    return np.where(halves > 7, halves - 16, halves).astype(np.int8)
