"""Parts of a flatbuffer at work: one operator alone, or the whole with its inner tensors, on one runtime."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from fuzzer.build import Array
from fuzzer.execute.record import CaseRun, slot_of
from fuzzer.execute.runtimes import MAKERS, feed, output, resize
from fuzzer.execute.stage import StageCell
from fuzzer.oracles.divergence import REFERENCE_RUNTIME

BASES = (REFERENCE_RUNTIME, "tf-builtin")
"""What kernels are compared with: reference ones, or the optimised ones of ops that have no other (ELU in 2.21)."""
FLOAT_UNIT = 2.0**-23


def intermediates(record: CaseRun, sample: int, avoid: str = "") -> dict[int, Array]:
    """Every tensor of the main graph under the first base that can run it; empty when none can.

    A runtime to `avoid`, which dies of the model, is no base.
    """
    for base in (name for name in BASES if name != avoid):
        found = _recorded(record, sample, base)
        if found:
            return found
    return {}


def _recorded(record: CaseRun, sample: int, base: str) -> dict[int, Array]:
    assert record.flat is not None
    try:
        interpreter = MAKERS[base](record.content, 1, experimental_preserve_all_tensors=True)
        if record.case.conversion.resized:
            resize(interpreter, record.samples[sample])
        interpreter.allocate_tensors()
        slots = [slot_of(d) for d in interpreter.get_input_details()]
        for index, value in feed(slots, record.samples[sample]):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        used = {i for op in record.flat.ops for i in (*op.inputs, *op.outputs) if i >= 0}
        return {i: interpreter.get_tensor(i) for i in used if not _missing(interpreter, i)}
    except (RuntimeError, ValueError):
        return {}


def _missing(interpreter: Any, index: int) -> bool:
    try:
        interpreter.get_tensor(index)
    except ValueError:
        return True
    return False


def in_floats(record: CaseRun, only: tuple[str, ...] | None = None) -> CaseRun:
    """The same model by the same road without quantisation, converted and run (on all runtimes, or `only` these)."""
    from fuzzer.execute.target import execute

    conversion = replace(record.case.conversion, scheme="float32", optimizations="none", io="float32").repaired()
    stage = StageCell()
    try:
        return execute(replace(record.case, conversion=conversion), stage, only)
    finally:
        stage.close()


def isolate(content: bytes, position: int) -> bytes:
    """A flatbuffer with one operator of the main graph: its non-constant operands in, its results out.

    Tensors keep their numbers; those that the operator does not touch are left without shape, name and contents.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    whole = _unpacked(content)
    model, graph = copy(whole), copy(whole.subgraphs[0])
    op = graph.operators[position]
    graph.operators = [op]
    feeds = [i for i in op.inputs if i >= 0 and not _has_data(whole, graph.tensors[i])]
    graph.inputs = list(dict.fromkeys(int(i) for i in feeds))
    graph.outputs = [int(i) for i in op.outputs]
    model.subgraphs = [graph, *whole.subgraphs[1:]]
    model.signatureDefs = None
    used = {int(i) for indices in (op.inputs, op.outputs, op.intermediates) for i in _listed(indices) if i >= 0}
    blank = schema.TensorT()
    graph.tensors = [tensor if i in used else blank for i, tensor in enumerate(graph.tensors)]
    if len(model.subgraphs) == 1:  # the body of a loop has constants of its own
        kept = {graph.tensors[i].buffer for i in used} | {entry.buffer for entry in _listed(whole.metadata)}
        empty = schema.BufferT()
        model.buffers = [buffer if i in kept else empty for i, buffer in enumerate(whole.buffers)]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@lru_cache(maxsize=1)
def _unpacked(content: bytes) -> Any:
    """The flatbuffer as objects, which nobody may change: its operators are looked at one after the other."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    inside(model, content)
    return model


def _listed(values: Any) -> Any:
    """What a vector of a flatbuffer holds, which is None where there is none."""
    return () if values is None else values


def allocate(interpreter: Any, tensors: dict[int, Array]) -> None:
    """Allocates; inputs whose shape the flatbuffer does not know get that of the tensor they will hold."""
    for detail in interpreter.get_input_details():
        value = tensors.get(int(detail["index"]))
        if value is not None and -1 in detail["shape_signature"] and tuple(detail["shape"]) != value.shape:
            interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()


def nudged_constants(content: bytes, seed: int) -> bytes:
    """The flatbuffer with every float32 constant moved by up to one rounding."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    inside(model, content)
    random = np.random.RandomState(seed)
    floats = {t.buffer for g in model.subgraphs for t in g.tensors if t.type == schema.TensorType.FLOAT32}
    for index in sorted(floats):
        data = model.buffers[index].data
        if data is not None and len(data) and len(data) % 4 == 0:
            moved = nudged(np.frombuffer(bytes(bytearray(data)), np.float32), random)
            model.buffers[index].data = np.frombuffer(moved.tobytes(), np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def outputs_of(record: CaseRun, runtime: str, sample: list[Array], content: bytes) -> list[Array]:
    """What a runtime makes of a flatbuffer whose inputs and outputs are the record's; empty when it does not run."""
    run = record.runs[runtime]
    try:
        interpreter = MAKERS[runtime](content, 1)
        if record.case.conversion.resized:
            resize(interpreter, sample)
        interpreter.allocate_tensors()
        for index, value in feed(run.inputs, sample):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [output(interpreter, slot) for slot in run.outputs]
    except (RuntimeError, ValueError):
        return []


def inside(model: Any, content: bytes) -> None:
    """Moves buffers that lie behind the flatbuffer (`use_buffer_offset`) into it."""
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def _has_data(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def invoke(maker: str, content: bytes, tensors: dict[int, Array], moved: Any = None) -> list[Array] | None:
    """Results of a flatbuffer whose inputs are taken from `tensors` by index; None when it fails."""
    try:
        interpreter = MAKERS[maker](content, 1)
        allocate(interpreter, tensors)
        for detail in interpreter.get_input_details():
            value = tensors[int(detail["index"])]
            interpreter.set_tensor(int(detail["index"]), moved(value) if moved else value)
        interpreter.invoke()
        return [output(interpreter, slot_of(d)) for d in interpreter.get_output_details()]
    except (RuntimeError, ValueError, KeyError):
        return None


def nudged(value: Array, random: np.random.RandomState) -> Array:
    """A float tensor with every element moved by up to four roundings; others as they are."""
    if value.dtype.kind != "f":
        return value
    factor = 1.0 + 4 * FLOAT_UNIT * random.uniform(-1.0, 1.0, value.shape)
    moved: Array = (value.astype(np.float64) * factor).astype(value.dtype)
    return moved


CONTROLS = 4
_LITTER_BYTES = (*range(16, 1024, 16), *(1 << n for n in range(10, 19)))
_LITTER_PIECES = 24
"""What the heap is littered with: pieces of every size that malloc keeps apart, up to 256 KiB, so that memory which
nobody writes does not hold the same by luck."""


def litter(seed: int) -> None:
    """Fills memory with other bytes and frees it."""
    pieces = [np.full(size, (37 * seed + 90) % 256, np.uint8) for size in _LITTER_BYTES * _LITTER_PIECES]
    del pieces


def unsteady(content: bytes, runtime: str, tensors: dict[int, Array]) -> bool:
    """Whether fresh interpreters give different values for the same operands: memory that nobody wrote is read."""
    first = invoke(runtime, content, tensors)
    for seed in range(CONTROLS if first else 0):
        litter(seed)
        again = invoke(runtime, content, tensors)
        if again and any(a.tobytes() != b.tobytes() for a, b in zip(first or [], again, strict=True)):
            return True
    return False
