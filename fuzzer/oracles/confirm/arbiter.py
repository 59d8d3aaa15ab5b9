"""The arbiter between integer kernels: one operator of a flatbuffer computed in real numbers.

The operator's quantised tensors become float ones (constants dequantised, operands too) and a float kernel computes
it: what every integer kernel approximates, whatever its roundings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.execute.runtimes import MAKERS
from fuzzer.oracles.confirm.parts import isolate

_RUNTIME = "tf-builtin"


def right_integers(content: bytes, position: int, tensors: dict[int, Array]) -> NDArray[np.float64] | None:
    """What the first result of an operator should be, in its integers; None where no float kernel computes it."""
    try:
        flat, inputs, made = _in_floats(isolate(content, position), tensors)
        interpreter = MAKERS[_RUNTIME](flat, 1)
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(int(detail["index"]), inputs[int(detail["index"])])
        interpreter.invoke()
        result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    except (RuntimeError, ValueError, KeyError, TypeError):
        return None
    if made is None or not made.scale or not np.all(np.isfinite(result)):
        return None
    right: NDArray[np.float64] = np.clip(
        np.rint(result.astype(np.float64) / made.scale) + made.zero_point, made.lowest, made.highest
    )
    return right


@dataclass(frozen=True)
class _Made:
    """How a result is quantised."""

    scale: float
    zero_point: float
    lowest: float
    highest: float


def _in_floats(content: bytes, tensors: dict[int, Array]) -> tuple[bytes, dict[int, Array], _Made | None]:
    """The flatbuffer of one operator in floats, its operands, and how its first result was quantised."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    graph = model.subgraphs[0]
    kinds: dict[int, Any] = {
        schema.TensorType.INT8: np.int8,
        schema.TensorType.UINT8: np.uint8,
        schema.TensorType.INT16: np.int16,
        schema.TensorType.INT32: np.int32,
        schema.TensorType.INT64: np.int64,
    }
    operator = graph.operators[0]
    used = {int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0}
    feeds: dict[int, Array] = {}
    made: _Made | None = None
    for index, tensor in enumerate(graph.tensors):
        quantised = tensor.quantization is not None and tensor.quantization.scale is not None
        if not quantised or tensor.type not in kinds or index not in used:
            if index in tensors:
                feeds[index] = tensors[index]
            continue
        if index == int(operator.outputs[0]):
            limits, quantization = np.iinfo(kinds[tensor.type]), tensor.quantization
            zero = float(quantization.zeroPoint[0]) if quantization.zeroPoint is not None else 0.0
            made = _Made(float(quantization.scale[0]), zero, float(limits.min), float(limits.max))
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            raw = np.frombuffer(bytes(bytearray(data)), kinds[tensor.type]).reshape(tensor.shape)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(_real(raw, tensor.quantization).tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        elif index in tensors:
            feeds[index] = _real(tensors[index], tensor.quantization)
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)), feeds, made


def _real(raw: Array, quantization: Any) -> Array:
    """Integers of a quantised tensor as float32: scale * (q - zero point), by channel where there are channels."""
    scale = np.asarray(quantization.scale, np.float64)
    zero = np.asarray(quantization.zeroPoint if quantization.zeroPoint is not None else [0], np.float64)
    if scale.size > 1:
        shape = [1] * raw.ndim
        shape[int(quantization.quantizedDimension)] = scale.size
        scale, zero = scale.reshape(shape), np.broadcast_to(zero, scale.shape).reshape(shape)
    made: Array = ((raw.astype(np.float64) - zero) * scale).astype(np.float32)
    return made
