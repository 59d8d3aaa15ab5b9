"""A flatbuffer that can be edited, operator by operator. Indices of tensors stay as they are; new ones come last."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from fuzzer.build import Array


@cache
def schema() -> Any:
    """TensorFlow's own schema module."""
    from tensorflow.lite.python import schema_py_generated

    return schema_py_generated


@cache
def _dtypes() -> dict[int, Any]:
    kinds = schema().TensorType
    return {
        kinds.FLOAT32: np.float32,
        kinds.FLOAT16: np.float16,
        kinds.INT8: np.int8,
        kinds.UINT8: np.uint8,
        kinds.INT16: np.int16,
        kinds.INT32: np.int32,
        kinds.INT64: np.int64,
        kinds.BOOL: np.bool_,
    }


@cache
def _type_names() -> dict[int, str]:
    return {v: k for k, v in vars(schema().TensorType).items() if isinstance(v, int)}


@cache
def _builtins() -> dict[int, str]:
    return {v: k for k, v in vars(schema().BuiltinOperator).items() if isinstance(v, int)}


class Edited:
    """A flatbuffer as objects."""

    def __init__(self, content: bytes) -> None:
        self.model = schema().ModelT.InitFromPackedBuf(bytearray(content), 0)
        self.graph = self.model.subgraphs[0]

    def content(self) -> bytes:
        """The flatbuffer."""
        from tensorflow.lite.tools import flatbuffer_utils

        return bytes(flatbuffer_utils.convert_object_to_bytearray(self.model))

    def name(self, op: Any) -> str:
        """The builtin operator's name, `CUSTOM` for custom ones."""
        code = self.model.operatorCodes[op.opcodeIndex]
        return _builtins().get(max(code.builtinCode, code.deprecatedBuiltinCode), "?")

    def tensor(self, index: int) -> Any:
        """A tensor of the main graph."""
        return self.graph.tensors[index]

    def shape(self, index: int) -> tuple[int, ...]:
        """A tensor's shape."""
        shape = self.tensor(index).shape
        return () if shape is None else tuple(int(n) for n in shape)

    def constant(self, index: int) -> Array | None:
        """A tensor's data, or None where it is none of the file's, or of a type that is not edited."""
        if index < 0:
            return None
        tensor = self.tensor(index)
        data = self.model.buffers[tensor.buffer].data
        if data is None or not len(data) or tensor.type not in _dtypes():
            return None
        raw = np.frombuffer(bytes(bytearray(data)), _dtypes()[tensor.type])
        return raw.reshape(self.shape(index)).copy() if raw.size == int(np.prod(self.shape(index))) else None

    def kind(self, op: Any) -> str:
        """Which kernel an operator uses, as the oracles call it."""
        given = [int(i) for i in op.inputs if i >= 0]
        data = next((i for i in given if self.constant(i) is None), given[0] if given else -1)
        if data < 0:
            return "?"
        named = _type_names()[self.tensor(data).type]
        narrow = any(_type_names()[self.tensor(i).type] in ("INT8", "UINT8", "INT4") for i in given if i != data)
        return "hybrid" if named == "FLOAT32" and narrow else named.lower()

    def scale(self, index: int) -> float:
        """A tensor's first scale; 0.0 where it has none."""
        quantization = self.tensor(index).quantization
        known = quantization is not None and quantization.scale is not None and len(quantization.scale)
        return float(quantization.scale[0]) if known else 0.0

    def scales(self, index: int) -> Array:
        """All scales of a tensor."""
        quantization = self.tensor(index).quantization
        known = quantization is not None and quantization.scale is not None
        return np.asarray(quantization.scale if known else [], np.float64)

    def zero(self, index: int) -> int:
        """A tensor's zero point."""
        quantization = self.tensor(index).quantization
        known = quantization is not None and quantization.zeroPoint is not None and len(quantization.zeroPoint)
        return int(quantization.zeroPoint[0]) if known else 0

    # --- editing ----------------------------------------------------------------------------------------

    def producer(self, index: int) -> Any | None:
        """The operator that makes a tensor."""
        return next((op for op in self.graph.operators if index in list(op.outputs)), None)

    def twin(self, index: int) -> int:
        """A new tensor like another, for one reader of it."""
        made = copy.copy(self.tensor(index))
        made.quantization = copy.copy(made.quantization)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def give(self, op: Any, operand: int, value: Array) -> None:
        """Gives one operator a constant of its own in the place of one it shares."""
        index = self.twin(int(op.inputs[operand]))
        buffer = schema().BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor = self.tensor(index)
        tensor.buffer, tensor.shape = len(self.model.buffers) - 1, list(value.shape)
        op.inputs = [*op.inputs[:operand], index, *op.inputs[operand + 1 :]]

    def change(self, op: Any, operand: int, made: Callable[[Array], Array]) -> bool:
        """Replaces a constant operand by a function of it; of a float16 weight, what its DEQUANTIZE reads."""
        if operand >= len(op.inputs) or op.inputs[operand] < 0:
            return False
        value = self.constant(int(op.inputs[operand]))
        if value is None:
            maker = self.producer(int(op.inputs[operand]))
            narrow = maker is not None and self.name(maker) == "DEQUANTIZE"
            return self.change(maker, 0, made) if narrow and maker is not None else False
        after = made(value)
        if after.shape != value.shape or np.array_equal(after, value):
            return False
        self.give(op, operand, after.astype(value.dtype))
        return True

    def code(self, name: str) -> int:
        """The index of an operator code, added where the model has none."""
        number = getattr(schema().BuiltinOperator, name)
        for index, known in enumerate(self.model.operatorCodes):
            if max(known.builtinCode, known.deprecatedBuiltinCode) == number:
                return index
        made = schema().OperatorCodeT()
        made.builtinCode, made.deprecatedBuiltinCode, made.version = number, min(number, 127), 2
        self.model.operatorCodes.append(made)
        return len(self.model.operatorCodes) - 1
