"""Outputs whose number, shape or dtype is not what the model says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fuzzer.execute.record import CaseRun, RuntimeRun
from fuzzer.oracles.divergence import Divergence, dtype_name
from fuzzer.oracles.verdict import Kind, Stage, Verdict


def judge(record: CaseRun, divergences: Mapping[str, Divergence]) -> Iterator[Verdict]:
    """The first mismatch of each runtime, one verdict a mismatch: declared and returned shapes are both looked at."""
    seen: set[tuple[Kind, str]] = set()
    for runtime, run in record.runs.items():
        if not run.complete:
            continue
        found = _first(record, run)
        if found is not None and found not in seen:
            seen.add(found)
            kind, message = found
            yield Verdict(Stage.COMPARE, kind, message, runtime, 1.0, "outputs", evidence={"message": message})


def _first(record: CaseRun, run: RuntimeRun) -> tuple[Kind, str] | None:
    expected = record.case.model.output_types
    outputs = run.samples[0]
    if len(outputs) != len(expected):
        return Kind.OUTPUT_COUNT, f"{len(outputs)} outputs instead of {len(expected)}"
    quantised = record.case.conversion.io != "float32"
    for value, slot, want in zip(outputs, run.outputs, expected, strict=True):
        # TFLite declares scalars with shape () and returns the same; other ranks must agree exactly.
        if tuple(value.shape) != want.shape:
            return Kind.SHAPE, "an output has another shape than TensorFlow gives"
        if tuple(value.shape) != slot.shape:
            return Kind.SHAPE, "an output has another shape than the interpreter declares"
        dtype = record.case.conversion.io if quantised and want.dtype == "float32" else want.dtype
        # An op without an integer kernel may stay in float where the case allows it, and its output with it.
        spared = record.case.conversion.fallback and value.dtype == "float32" and quantised
        found = dtype_name(value)
        if found != dtype and not spared:
            return Kind.DTYPE, f"an output is {found} instead of {dtype}"
    return None
