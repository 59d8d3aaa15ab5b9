"""How far sound integer kernels are apart, and from real arithmetic: each operator alone, on the same tensors.

`excess` is how far an integer is from the real number that it stands for, beyond the half step that rounding costs; the
real number is what TFLite's float kernel makes of the dequantised operands, in units of the result's scale. What an
exact kernel shows there is the float kernel's own rounding, and ties.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzer.case import RUNTIMES, Case
from fuzzer.execute import target
from fuzzer.execute.runtimes import MAKERS
from fuzzer.execute.stage import StageCell
from fuzzer.oracles.confirm import arbiter, parts
from fuzzer.oracles.confirm.node_bound import kernel_kind, meaningful
from fuzzer.oracles.divergence import REFERENCE_RUNTIME
from scripts.defects.flat import Edited


def steps(case: Case, stage: StageCell) -> dict[str, Any]:
    """Per operator with an integer result and other runtime: elements, and how many are one or more steps apart."""
    record = target.execute(case, stage, only=())
    flat = record.flat
    if flat is None:
        return {"nodes": []}
    stage.set("confirm")
    recorded = [parts.intermediates(record, sample) for sample in range(len(record.samples))]
    found = []
    for position, op in enumerate(flat.ops):
        made = flat.tensors[op.outputs[0]] if op.outputs else None
        if made is None or not made.scales or not made.dtype.startswith(("INT", "UINT")) or not all(recorded):
            continue
        content = parts.isolate(record.content, position)
        real = [_real(content, tensors) if meaningful(flat, op, tensors) else None for tensors in recorded]
        for runtime in RUNTIMES:
            row = {"op": op.name, "kind": kernel_kind(flat, op), "activation": op.activation, "runtime": runtime}
            counted = _counted(flat, op, content, runtime, recorded, real)
            if counted is not None:
                found.append({**row, **counted})
    return {"nodes": found}


def _real(content: bytes, tensors: dict[int, Any]) -> Any:
    """The first result of an isolated operator in units of its scale, not rounded; None where no float kernel is."""
    try:
        flat, inputs, made = arbiter._in_floats(content, tensors)
        model = Edited(content)
        operator = model.graph.operators[0]
        if model.name(operator) == "QUANTIZE":
            return _units(inputs[int(operator.inputs[0])], made)
        interpreter = MAKERS["tf-builtin"](flat, 1)
        parts.allocate(interpreter, inputs)
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(int(detail["index"]), inputs[int(detail["index"])])
        interpreter.invoke()
        result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    except (RuntimeError, ValueError, KeyError, TypeError):
        return None
    return _units(result, made)


def _units(result: Any, made: Any) -> Any:
    if made is None or not made.scale or not np.all(np.isfinite(result)):
        return None
    return np.clip(result.astype(np.float64) / made.scale + made.zero_point, made.lowest, made.highest)


def _counted(
    flat: Any, op: Any, content: bytes, runtime: str, recorded: list[Any], real: list[Any]
) -> dict[str, Any] | None:
    elements = one = more = 0
    worst = 0
    excess: float | None = None
    for tensors, truth in zip(recorded, real, strict=True):
        if not meaningful(flat, op, tensors):
            continue
        expected = parts.invoke(REFERENCE_RUNTIME, content, tensors)
        actual = parts.invoke(runtime, content, tensors)
        if not expected or not actual or expected[0].shape != actual[0].shape:
            return None
        apart = np.abs(expected[0].astype(np.int64) - actual[0].astype(np.int64))
        elements += apart.size
        one += int(np.sum(apart == 1))
        more += int(np.sum(apart > 1))
        worst = max(worst, int(apart.max(initial=0)))
        if truth is not None and truth.shape == actual[0].shape:
            beyond = float(np.max(np.abs(actual[0].astype(np.float64) - truth) - 0.5, initial=-0.5))
            excess = beyond if excess is None else max(excess, beyond)
    if not elements:
        return None
    interpreter = MAKERS[runtime](content, 1)
    parts.allocate(interpreter, recorded[0])
    delegated = any(detail["op_name"] == "DELEGATE" for detail in interpreter._get_ops_details())
    return {"elements": elements, "one": one, "more": more, "worst": worst, "delegated": delegated, "excess": excess}
