"""Runs inside an executor: a healthy case is executed, its record tampered with, and judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fuzzer.case.codec import from_json
from fuzzer.execute.record import CaseRun, Failure
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import execute
from fuzzer.oracles import judge_all


def _first(record: CaseRun) -> Any:
    return record.runs["tf-xnnpack"].samples[0]


def nothing(record: CaseRun) -> None:
    """Healthy cases must stay so."""


def value(record: CaseRun) -> None:
    output = _first(record)[0]
    flat = output.reshape(-1).copy()
    if flat.dtype.kind == "f":
        flat[-1] += np.asarray(0.5 * max(1.0, float(np.abs(flat).max())), flat.dtype)
    else:
        flat[-1] = flat[-1] - 9 if flat[-1] > 0 else flat[-1] + 9
    _first(record)[0] = flat.reshape(output.shape)


def nan(record: CaseRun) -> None:
    _first(record)[0] = np.where(
        np.arange(_first(record)[0].size).reshape(_first(record)[0].shape) == 0, np.nan, _first(record)[0]
    ).astype(_first(record)[0].dtype)


def infinity(record: CaseRun) -> None:
    _first(record)[0] = np.full_like(_first(record)[0], np.inf)


def shape(record: CaseRun) -> None:
    for sample in record.runs["tf-xnnpack"].samples:
        sample[0] = sample[0][None]


def declared_shape(record: CaseRun) -> None:
    run = record.runs["litert"]
    run.outputs[0] = replace(run.outputs[0], shape=(*run.outputs[0].shape, 1))


def dtype(record: CaseRun) -> None:
    for sample in record.runs["tf-builtin"].samples:
        sample[0] = sample[0].astype(np.float64)


def dropped(record: CaseRun) -> None:
    for sample in record.runs["tf-builtin"].samples:
        sample.pop()


def internal_error(record: CaseRun) -> None:
    record.convert_failure = Failure("RuntimeError", "Quantized dimension for tensor property do not match.")
    record.runs, record.content, record.flat = {}, b"", None


def refusal(record: CaseRun) -> None:
    record.convert_failure = Failure("ConverterError", "error: 'tf.Foo' op is neither a custom op nor a flex op\n")
    record.runs, record.content, record.flat = {}, b"", None


def allocate(record: CaseRun) -> None:
    for name in ("tf-xnnpack", "litert"):
        record.runs[name].samples = []
        record.runs[name].allocate_failure = Failure(
            "RuntimeError", f"tensorflow/lite/kernels/pad.cc:{len(name)} a != b"
        )


def allocate_refusal(record: CaseRun) -> None:
    record.runs["tf-reference"].samples = []
    record.runs["tf-reference"].allocate_failure = Failure("ValueError", "Didn't find op for builtin opcode 'ELU'")


def invoke(record: CaseRun) -> None:
    record.runs["litert"].samples.pop()
    record.runs["litert"].invoke_failure = Failure(
        "RuntimeError", "tensorflow/lite/kernels/x.cc:3 variable != nullptr was not true."
    )


TAMPERS: dict[str, Callable[[CaseRun], None]] = {
    f.__name__: f
    for f in (
        nothing, value, nan, infinity, shape, declared_shape, dtype, dropped,
        internal_error, refusal, allocate, allocate_refusal, invoke,
    )
}  # fmt: skip


def judged(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    record = execute(from_json(request["case"]), stage)
    assert record.build_failure is None and record.convert_failure is None
    assert all(run.complete for run in record.runs.values())
    TAMPERS[request["tamper"]](record)
    return {"verdicts": [v.to_json() for v in judge_all(record)]}


def converted(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """What the flatbuffer of a case is made of."""
    record = execute(from_json(request["case"]), stage)
    if record.flat is None:
        failure = record.convert_failure or record.build_failure
        return {"failure": f"{failure.error}: {failure.message}" if failure else "?"}
    flat = record.flat
    return {
        "ops": [op.name for op in flat.ops],
        "activations": [op.activation for op in flat.ops],
        "inputs": [[flat.tensors[i].dtype, list(flat.tensors[i].shape)] for i in flat.inputs],
        "outputs": [[flat.tensors[i].dtype, list(flat.tensors[i].shape)] for i in flat.outputs],
        "constants": sorted({t.dtype for t in flat.tensors if t.constant}),
        "per_channel": any(t.per_channel for t in flat.tensors),
        "scaled": [t.scale for t in flat.tensors if t.scales],
        "complete": [name for name, run in record.runs.items() if run.complete],
        "relative": {name: d.relative for name, d in record.divergences.items()},
        "timings": record.timings,
    }
