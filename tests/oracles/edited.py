"""Runs inside an executor: a healthy quantised case whose flatbuffer is edited, or one of whose kernels is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fuzzer.case.codec import from_json
from fuzzer.convert import read
from fuzzer.execute import runtimes
from fuzzer.execute.record import CaseRun
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import execute
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.confirm import prediction, quantised


def _constant(model: Any, operator: str, place: int) -> tuple[Any, Any]:
    from tensorflow.lite.python import schema_py_generated as schema

    graph = model.subgraphs[0]
    code = getattr(schema.BuiltinOperator, operator)
    op = next(o for o in graph.operators if model.operatorCodes[o.opcodeIndex].builtinCode == code)
    tensor = graph.tensors[op.inputs[place]]
    return tensor, model.buffers[tensor.buffer]


def _edit(buffer: Any, kind: Any, change: Callable[[Any], Any]) -> None:
    numbers = change(np.frombuffer(bytes(bytearray(buffer.data)), kind).copy())
    buffer.data = np.frombuffer(numbers.astype(kind).tobytes(), np.uint8)


def nothing(model: Any) -> None:
    """The flatbuffer as it is."""


def dropped_bias(model: Any) -> None:
    _edit(_constant(model, "CONV_2D", 2)[1], np.int32, lambda raw: raw * 0)


def reversed_filter(model: Any) -> None:
    _edit(_constant(model, "CONV_2D", 1)[1], np.int8, lambda raw: raw[::-1])


def neighbours_scale(model: Any) -> None:
    tensor, _ = _constant(model, "CONV_2D", 1)
    tensor.quantization.scale = np.roll(tensor.quantization.scale, 1).astype(np.float32)


def dilated(model: Any) -> None:
    """The convolution skips every other element: its shape stays, padding is SAME."""
    from tensorflow.lite.python import schema_py_generated as schema

    code = schema.BuiltinOperator.CONV_2D
    for op in model.subgraphs[0].operators:
        if model.operatorCodes[op.opcodeIndex].builtinCode == code:
            op.builtinOptions.dilationHFactor = op.builtinOptions.dilationWFactor = 2


def narrow_range(model: Any) -> None:
    """The result of the convolution can hold a quarter of what it did; what reads it is told."""
    from tensorflow.lite.python import schema_py_generated as schema

    graph = model.subgraphs[0]
    code = schema.BuiltinOperator.CONV_2D
    op = next(o for o in graph.operators if model.operatorCodes[o.opcodeIndex].builtinCode == code)
    quantization = graph.tensors[op.outputs[0]].quantization
    quantization.scale = (np.asarray(quantization.scale) / 4).astype(np.float32)


EDITS = {f.__name__: f for f in (nothing, dilated, dropped_bias, reversed_filter, neighbours_scale, narrow_range)}


def confirmed(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """What confirmation says of a case whose flatbuffer was edited, or on which a kernel is one step off."""
    from tensorflow.lite.tools import flatbuffer_utils

    record = execute(from_json(request["case"]), stage)
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(record.content))
    EDITS[request["edit"]](model)
    record.content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    record.flat = read(record.content)
    if request.get("wrong"):
        _break(request["wrong"], request["steps"])
    for runtime in record.runs:
        record.runs[runtime] = runtimes.run(record, runtime, stage)
    outcome = quantised.confirm(record, Verdict(Stage.COMPARE, Kind.VALUE, "planted", "tf-builtin"))
    return {"verdict": outcome.verdict.to_json() if outcome.verdict else None, "why": outcome.why}


class _Wrong:
    """An interpreter that is some steps off in the middle of the result of the convolution."""

    def __init__(self, interpreter: Any, steps: int) -> None:
        self._interpreter, self._steps = interpreter, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._interpreter, name)

    def get_tensor(self, index: int) -> Any:
        value = self._interpreter.get_tensor(index)
        if value.dtype == np.int8 and value.shape == (1, 8, 8, 4):
            flat = value.reshape(-1).copy()
            place = flat.size // 2
            flat[place] += self._steps if flat[place] < 100 else -self._steps
            value = flat.reshape(value.shape)
        return value


def _break(runtime: str, steps: int) -> None:
    make = runtimes.MAKERS[runtime]
    runtimes.MAKERS[runtime] = lambda *given, **options: _Wrong(make(*given, **options), steps)


def twin_error(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """How far the real twin is from TensorFlow, over the scale of the output, and the share beyond its ranges."""
    record: CaseRun = execute(from_json(request["case"]), stage)
    twin = quantised.twin_of(record)
    assert twin is not None
    run = record.runs["tf-reference"]
    made = prediction.predict(run, twin, record.samples[0])
    apart = [
        float(np.abs(v - r).max() / np.abs(r).max()) for v, r in zip(made.values, record.reference[0], strict=True)
    ]
    noise = [float(n.max() / np.abs(r).max()) for n, r in zip(made.noise, record.reference[0], strict=True)]
    return {"apart": apart, "noise": noise, "beyond": max(made.beyond.values(), default=0.0)}
