"""The real twin of a converted graph: the same operators on real numbers, with the flatbuffer's own constants.

Every quantised tensor becomes a float one, constants are dequantised (`scale * (q - zero point)`, TFLite 8-bit
quantisation specification), QUANTIZE and DEQUANTIZE pass their operand on. So what the converter did to the graph and
to the weights is in the twin, and what integer arithmetic does to activations is not: the two can be judged apart.

Each operator is an interpreter of its own with float kernels, so that values can be rounded or moved between any two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat
from fuzzer.execute.record import slot_of
from fuzzer.execute.runtimes import float_kernels, output
from fuzzer.oracles.confirm.node import UNJUDGED
from fuzzer.oracles.confirm.parts import inside

PASSING = frozenset({"QUANTIZE", "DEQUANTIZE"})
"""Operators that change the format of a number and not the number."""
_UNKNOWN = frozenset({"DENSIFY"})
"""Operators whose constants are stored in a form that `Twin` does not read."""
After = Callable[[int, Array], Array]
"""Called with a tensor's index and its real value; gives the value that goes on."""


class NoTwinError(Exception):
    """The graph has no real twin: it says which operator stands in the way."""


@dataclass(frozen=True)
class Grid:
    """The numbers a quantised tensor can hold: `step * (q - zero)` for `lowest <= q <= highest`.

    `step` and `zero` are arrays that broadcast against the tensor: one element, or one a channel.
    """

    step: NDArray[np.float64]
    zero: NDArray[np.float64]
    lowest: float
    highest: float

    def real(self, raw: Array) -> NDArray[np.float64]:
        """Integers as the real numbers they stand for."""
        return (raw.astype(np.float64) - self.zero) * self.step

    def position(self, value: Array) -> NDArray[np.float64]:
        """Where real numbers lie on the grid: codes, neither rounded nor clamped."""
        with np.errstate(all="ignore"):
            raw: NDArray[np.float64] = value.astype(np.float64) / self.step + self.zero
        return raw

    def beyond(self, value: Array) -> NDArray[np.float64]:
        """How many steps real numbers lie outside of what the tensor can hold."""
        raw = self.position(value)
        with np.errstate(all="ignore"):
            over: NDArray[np.float64] = np.maximum(raw - self.highest, self.lowest - raw)
        return np.nan_to_num(np.maximum(over, 0.0))


class Twin:
    """The operators of a flatbuffer's main graph on real numbers. Raises `NoTwinError` when one cannot be had."""

    def __init__(self, content: bytes, flat: Flat) -> None:
        from tensorflow.lite.python import schema_py_generated as schema

        for op in flat.ops:
            if op.name in UNJUDGED | _UNKNOWN or op.name.startswith("custom:"):
                raise NoTwinError(op.name)
        self._flat = flat
        self._schema = schema
        self._model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
        inside(self._model, content)
        self._graph = self._model.subgraphs[0]
        self._numpy = _numpy_types(schema)
        self.grids = {i: grid for i in range(len(flat.tensors)) if (grid := self._grid(i)) is not None}
        self.constants = {i: self._constant(i) for i in sorted(self._used()) if flat.tensors[i].constant}
        """The constants, those of quantised and float tensors as float32 numbers."""
        self.halves = frozenset(i for i in self.constants if flat.tensors[i].dtype == "FLOAT16")
        self._kernels: dict[int, Any] = {}

    def _used(self) -> set[int]:
        return {i for op in self._flat.ops for i in op.inputs if i >= 0} | set(self._flat.outputs)

    def _grid(self, index: int) -> Grid | None:
        tensor = self._graph.tensors[index]
        quantization = tensor.quantization
        if quantization is None or quantization.scale is None or not len(quantization.scale):
            return None
        if tensor.type not in self._numpy or np.dtype(self._numpy[tensor.type]).kind not in "iu":
            return None
        step = np.asarray(quantization.scale, np.float64)
        given = quantization.zeroPoint
        zero = np.asarray(given if given is not None and len(given) else [0], np.float64)
        rank = len(tensor.shape) if tensor.shape is not None else 0
        if step.size > 1:
            shape = [1] * rank
            shape[int(quantization.quantizedDimension)] = step.size
            step, zero = step.reshape(shape), np.broadcast_to(zero, (step.size,)).reshape(shape)
        if tensor.type == self._schema.TensorType.INT4:
            return Grid(step, zero, -8.0, 7.0)
        bounds = np.iinfo(self._numpy[tensor.type])
        return Grid(step, zero, float(bounds.min), float(bounds.max))

    def _constant(self, index: int) -> Array:
        tensor = self._graph.tensors[index]
        if tensor.sparsity is not None:
            raise NoTwinError("a sparse constant")
        raw = bytes(bytearray(self._model.buffers[tensor.buffer].data))
        shape = tuple(tensor.shape) if tensor.shape is not None else ()
        if tensor.type == self._schema.TensorType.INT4:
            value = _unpacked(raw, int(np.prod(shape, dtype=np.int64))).reshape(shape)
        elif tensor.type in self._numpy:
            value = np.frombuffer(raw, self._numpy[tensor.type])
            if value.size != np.prod(shape, dtype=np.int64):
                # The converter of 2.21 folds a frozen graph into tensors of one number whose buffers hold two.
                raise NoTwinError("a constant whose buffer is not of its shape")
            value = value.reshape(shape)
        else:
            raise NoTwinError(f"a constant of type {tensor.type}")
        if index in self.grids:
            value = self.grids[index].real(value)
        return value.astype(np.float32) if value.dtype.kind == "f" else value

    # --- running ----------------------------------------------------------------------------------------

    def run(
        self, feeds: dict[int, Array], after: After | None = None, constants: dict[int, Array] | None = None
    ) -> dict[int, Array]:
        """Every tensor of the graph in real numbers. Raises `NoTwinError` when an operator does not run.

        `feeds` are the graph's inputs as real numbers, by tensor index; `constants` stand in for those of the file.
        """
        known: dict[int, Array] = dict(self.constants if constants is None else constants)
        for index, value in feeds.items():
            known[index] = after(index, value) if after else value
        for position, op in enumerate(self._flat.ops):
            results = self.node(position, known)
            for index, value in zip(op.outputs, results, strict=True):
                known[index] = after(index, value) if after else value
        missing = [i for i in self._flat.outputs if i not in known]
        if missing:
            raise NoTwinError("an output that no operator makes")
        return known

    def node(self, position: int, known: dict[int, Array]) -> list[Array]:
        """The results of one operator for real operands. Raises `NoTwinError` when it does not run."""
        op = self._flat.ops[position]
        if op.name in PASSING:
            return [known[op.inputs[0]]]
        try:
            interpreter = self._kernels.get(position)
            if interpreter is None:
                interpreter = float_kernels(self._alone(position))
                self._kernels[position] = interpreter
            details = interpreter.get_input_details()
            values = [np.asarray(known[index]) for index in self._order(position)]
            for detail, value in zip(details, values, strict=True):
                if tuple(detail["shape"]) != value.shape:
                    interpreter.resize_tensor_input(detail["index"], value.shape)
            interpreter.allocate_tensors()  # free where nothing was resized
            for detail, value in zip(details, values, strict=True):
                interpreter.set_tensor(detail["index"], value.astype(detail["dtype"], copy=False))
            interpreter.invoke()
            return [output(interpreter, slot_of(d)) for d in interpreter.get_output_details()]
        except (RuntimeError, ValueError, KeyError) as error:
            raise NoTwinError(f"{op.name}: {str(error)[:120]}") from error

    def _order(self, position: int) -> list[int]:
        """Tensors that an operator is fed: its operands but those that stay in the file (integers without a scale)."""
        return [i for i in dict.fromkeys(self._flat.ops[position].inputs) if i >= 0 and not self._stays(i)]

    def _stays(self, index: int) -> bool:
        return self._flat.tensors[index].constant and self.constants[index].dtype.kind != "f"

    def _alone(self, position: int) -> bytes:
        """A flatbuffer of one operator in floats."""
        from tensorflow.lite.tools import flatbuffer_utils

        schema, operator = self._schema, self._graph.operators[position]
        model, graph = schema.ModelT(), schema.SubGraphT()
        empty = schema.BufferT()
        model.version, model.buffers, model.subgraphs = 3, [empty], [graph]
        model.operatorCodes = [self._model.operatorCodes[operator.opcodeIndex]]
        place: dict[int, int] = {}
        graph.tensors = []
        for index in dict.fromkeys(int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0):
            old, tensor = self._graph.tensors[index], schema.TensorT()
            place[index] = len(graph.tensors)
            tensor.name, tensor.shape, tensor.shapeSignature = f"t{index}", old.shape, old.shapeSignature
            real = index in self.grids or old.type == schema.TensorType.FLOAT16
            tensor.type = schema.TensorType.FLOAT32 if real else old.type
            tensor.buffer = 0
            if self._flat.tensors[index].constant and self._stays(index):
                buffer = schema.BufferT()
                buffer.data = self._model.buffers[old.buffer].data
                tensor.buffer = len(model.buffers)
                model.buffers.append(buffer)
            graph.tensors.append(tensor)
        alone = schema.OperatorT()
        for name in ("builtinOptions", "builtinOptionsType", "builtinOptions2", "builtinOptions2Type", "customOptions"):
            if hasattr(operator, name):
                setattr(alone, name, getattr(operator, name))
        alone.opcodeIndex = 0
        alone.inputs = [place.get(int(i), -1) for i in operator.inputs]
        alone.outputs = [place[int(i)] for i in operator.outputs]
        graph.operators = [alone]
        graph.inputs = [place[i] for i in self._order(position)]
        graph.outputs = alone.outputs
        return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _numpy_types(schema: Any) -> dict[int, Any]:
    """NumPy's types of the tensor types whose constants can be read."""
    names = ("float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool")
    return {getattr(schema.TensorType, name.upper()): np.dtype(name).type for name in names} | {
        schema.TensorType.INT4: np.int8
    }


def _unpacked(raw: bytes, count: int) -> NDArray[np.int8]:
    """Four-bit integers, two a byte, the low half first (schema.fbs, INT4)."""
    pairs = np.frombuffer(raw, np.uint8)
    halves = np.stack([pairs & 0x0F, pairs >> 4], axis=-1).reshape(-1)[:count].astype(np.int8)
    return np.where(halves > 7, halves - 16, halves).astype(np.int8)
