"""The runtimes under test: how each makes an interpreter, and how a flatbuffer is run on one.

To add a runtime, add its maker to `MAKERS` and its name to `fuzzer.case.RUNTIMES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from fuzzer.build import Array
from fuzzer.execute.record import CaseRun, Failure, RuntimeRun, Slot, slot_of
from fuzzer.execute.stage import StageCell

_INPUT = re.compile(r"x(\d+)(?!.*x\d)")


@cache
def _lite() -> Any:
    import tensorflow as tf

    return tf.lite


@cache
def _litert() -> Any:
    from ai_edge_litert import interpreter

    return interpreter


def _tf_xnnpack(content: bytes, threads: int, **options: Any) -> Any:
    return _lite().Interpreter(model_content=content, num_threads=threads, **options)


def _tf_builtin(content: bytes, threads: int, **options: Any) -> Any:
    kind = _lite().experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return _lite().Interpreter(
        model_content=content, num_threads=threads, experimental_op_resolver_type=kind, **options
    )


def _tf_reference(content: bytes, threads: int, **options: Any) -> Any:
    kind = _lite().experimental.OpResolverType.BUILTIN_REF
    return _lite().Interpreter(
        model_content=content, num_threads=threads, experimental_op_resolver_type=kind, **options
    )


def _litert_default(content: bytes, threads: int, **options: Any) -> Any:
    return _litert().Interpreter(model_content=content, num_threads=threads, **options)


def float_kernels(content: bytes) -> Any:
    """An interpreter with the built-in kernels, for computing in floats what an integer kernel should have given."""
    return _tf_builtin(content, 1)


MAKERS: dict[str, Callable[..., Any]] = {
    "tf-xnnpack": _tf_xnnpack,
    "tf-builtin": _tf_builtin,
    "tf-reference": _tf_reference,
    "litert": _litert_default,
}


def run(record: CaseRun, runtime: str, stage: StageCell) -> RuntimeRun:
    """Runs all samples of the record's flatbuffer on one runtime."""
    result = RuntimeRun(runtime)
    stage.set("allocate", runtime)
    try:
        with record.under_test("allocate"):
            interpreter = MAKERS[runtime](record.content, record.case.inference.threads)
            if record.case.conversion.resized:
                resize(interpreter, record.samples[0])
            interpreter.allocate_tensors()
            inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    except (RuntimeError, ValueError, NotImplementedError) as error:
        result.allocate_failure = Failure(type(error).__name__, str(error))
        return result
    result.inputs = [slot_of(d) for d in inputs]
    result.outputs = _in_order(interpreter, [slot_of(d) for d in outputs])
    result.plan = tuple(op["op_name"] for op in interpreter._get_ops_details())
    stage.set("invoke", runtime)
    try:
        for sample in record.samples:
            feeds = feed(result.inputs, sample)
            with record.under_test("invoke"):
                # Fused recurrent ops keep their state between invocations by design; a case does not.
                interpreter.reset_all_variables()
                for index, value in feeds:
                    interpreter.set_tensor(index, value)
                interpreter.invoke()
                result.samples.append([output(interpreter, slot) for slot in result.outputs])
        if record.case.conversion.resized:
            # Shapes that depend on the inputs' are known once a kernel has run.
            result.outputs = _in_order(interpreter, [slot_of(d) for d in interpreter.get_output_details()])
    except (RuntimeError, ValueError) as error:
        result.invoke_failure = Failure(type(error).__name__, str(error))
    return result


def output(interpreter: Any, slot: Slot) -> Array:
    """One output. The Python layer refuses to read a tensor without elements: its type says all there is to read."""
    try:
        value: Array = interpreter.get_tensor(slot.index)
    except ValueError:
        found = next((d for d in interpreter.get_output_details() if int(d["index"]) == slot.index), None)
        if found is None or 0 not in (shape := tuple(int(n) for n in found["shape"])):
            raise
        return np.zeros(shape, object if found["dtype"] is np.bytes_ else found["dtype"])
    return value


def resize(interpreter: Any, sample: Sequence[Array]) -> None:
    """Tells an interpreter the shapes of a sample, where the flatbuffer does not know them."""
    for position, detail in enumerate(interpreter.get_input_details()):
        value = sample[_number(str(detail["name"]), position)]
        if tuple(detail["shape"]) != value.shape:
            interpreter.resize_tensor_input(detail["index"], value.shape)


def _number(name: str, position: int) -> int:
    """Which input of the model a slot is, by its name."""
    found = _INPUT.search(name)
    return int(found.group(1)) if found else position


def feed(slots: Sequence[Slot], sample: Sequence[Array]) -> list[tuple[int, Array]]:
    """The tensors to set, by tensor index: inputs are matched by name, and quantised where the slot is."""
    feeds = []
    for position, slot in enumerate(slots):
        feeds.append((slot.index, quantised(sample[_number(slot.name, position)], slot)))
    return feeds


def quantised(value: Array, slot: Slot) -> Array:
    """A float tensor in a slot's integer type: round(value / scale) + zero point, clamped (quantisation spec)."""
    if not slot.scale or not slot.dtype.startswith(("int", "uint")) or value.dtype.kind != "f":
        return value
    info = np.iinfo(slot.dtype)
    raw = np.rint(value.astype(np.float64) / slot.scale) + slot.zero_point
    clamped: Array = np.clip(raw, info.min, info.max).astype(slot.dtype)
    return clamped


def _in_order(interpreter: Any, outputs: list[Slot]) -> list[Slot]:
    """The outputs in the model's order.

    Signatures list outputs by name, and ours sort by position (`y00`, `y01`; Keras: `output_0`, ...). A flatbuffer
    without signature (from a concrete function) keeps the order of the function's outputs.
    """
    signatures = interpreter._get_full_signature_list()
    if not signatures:
        return outputs
    named = next(iter(signatures.values()))["outputs"]  # of several signatures one is converted
    by_index = {slot.index: slot for slot in outputs}
    ordered = [by_index[named[name]] for name in sorted(named) if named[name] in by_index]
    return ordered if len(ordered) == len(outputs) else outputs
