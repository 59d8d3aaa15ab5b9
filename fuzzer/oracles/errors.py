"""Errors that the converter or a runtime raises on a valid model, and that are no refusals.

"This type is not supported" is a refusal where the type is the model's own, and where another runtime takes it. Where
the quantiser made the type, and no runtime has a kernel for it, the converter wrote a model that nobody can run; where
a delegate says it of an operator that it claimed itself, the delegate should have left the operator alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fuzzer.convert.flatbuffer import FlatTensor
from fuzzer.execute.record import CaseRun, Failure
from fuzzer.oracles.divergence import REFERENCE_RUNTIME, Divergence
from fuzzer.oracles.error_table import ErrorClass, classify
from fuzzer.oracles.messages import (
    converter_message,
    empty_range,
    is_refusal,
    operator_of,
    runtime_message,
    speaks_of_types,
)
from fuzzer.oracles.ranges import spoilt_calibration
from fuzzer.oracles.verdict import Kind, Stage, Verdict

_DELEGATE = "TfLiteXNNPackDelegate"
_DELEGATING = frozenset({"tf-xnnpack", "litert"})
_SMALL = frozenset({"int4", "int8", "int16", "uint8", "uint16", "uint32", "int64", "bool", "float16", "bfloat16"})
"""Dtypes of a model's own for which kernels are few; float32 and int32 are what every kernel has."""


def classes(record: CaseRun) -> dict[str, ErrorClass]:
    """Whose matter each error of an execution is: by stage, and for runtimes `stage/runtime`.

    An error that the oracle below reports is internal, whatever its words say: where others run the model, or the
    converter made the type itself, "not supported" is a defect.
    """
    found: dict[str, ErrorClass] = {}
    reported = {(v.stage, runtime) for v in judge(record, {}) for runtime in v.runtimes}
    if record.convert_failure is not None:
        # What no row excuses, and yet is not reported, is of data that we gave: NaN or infinity to calibrate on.
        found["convert"] = _class(_said(record), (Stage.CONVERT, "converter") in reported, ErrorClass.USER)
    for runtime, run in record.runs.items():
        for stage, failure in ((Stage.ALLOCATE, run.allocate_failure), (Stage.INVOKE, run.invoke_failure)):
            if failure is not None:
                # Words that speak of types without refusing them are refusals where the type is the model's own.
                excused = ErrorClass.UNSUPPORTED
                found[f"{stage.value}/{runtime}"] = _class(failure.message, (stage, runtime) in reported, excused)
    return found


def _class(message: str, reported: bool, excused: ErrorClass) -> ErrorClass:
    if reported:
        return ErrorClass.INTERNAL
    said = classify(message)
    return excused if said is ErrorClass.INTERNAL else said


def asked_wrongly(record: CaseRun) -> str:
    """What the stack says of a mistake of ours, normalised; empty where there is none."""
    found = classes(record)
    if record.convert_failure is not None and found["convert"] is ErrorClass.USER:
        return converter_message(record.convert_failure.message)
    for where, error in found.items():
        if error is ErrorClass.USER:
            stage, _, runtime = where.partition("/")
            run = record.runs[runtime]
            failure = run.allocate_failure if stage == Stage.ALLOCATE else run.invoke_failure
            return runtime_message(failure.message) if failure is not None else ""
    return ""


def _said(record: CaseRun) -> str:
    """What a failed conversion said: its error, then what the log calls errors (it holds warnings too)."""
    assert record.convert_failure is not None
    lines = [line for line in record.log.splitlines() if "error:" in line.lower()]
    return "\n".join([record.convert_failure.message, *lines])


def judge(record: CaseRun, divergences: Mapping[str, Divergence]) -> Iterator[Verdict]:
    """An internal converter error, or an allocate or invoke error of some runtime."""
    failure = record.convert_failure
    if failure is not None:
        refused = is_refusal(_said(record))
        if not refused and not (empty_range(failure.message) and spoilt_calibration(record)):
            yield Verdict(
                Stage.CONVERT,
                Kind.CONVERTER_ERROR,
                f"{failure.error}: {converter_message(failure.message)}",
                "converter",
                1.0,
                "error",
                evidence={"message": failure.message[:2000]},
            )
        return
    yield from _runtime_errors(record, Stage.ALLOCATE, Kind.ALLOCATE_ERROR)
    yield from _runtime_errors(record, Stage.INVOKE, Kind.INVOKE_ERROR)


def _runtime_errors(record: CaseRun, stage: Stage, kind: Kind) -> Iterator[Verdict]:
    """One verdict a message: runtimes that say the same share it."""
    said: dict[str, list[str]] = {}
    full: dict[str, str] = {}
    for runtime, run in record.runs.items():
        failure = run.allocate_failure if stage is Stage.ALLOCATE else run.invoke_failure
        if failure is None or _refused(record, runtime, failure):
            continue
        message = runtime_message(failure.message)
        said.setdefault(message, []).append(runtime)
        full[message] = failure.message[:2000]
    for message, runtimes in said.items():
        yield Verdict(
            stage,
            kind,
            message,
            runtimes[0],
            1.0,
            "error",
            evidence={"message": full[message], "runtimes": runtimes},
        )


def _refused(record: CaseRun, runtime: str, failure: Failure) -> bool:
    """Whether a runtime turned the model down for what the model itself is."""
    message, operator = failure.message, operator_of(failure.message)
    in_words, of_types = is_refusal(message), speaks_of_types(message)
    ran = {name for name, run in record.runs.items() if run.complete}
    if operator == _DELEGATE:
        return in_words and not ran - _DELEGATING  # others ran what the delegate claimed and could not do
    if runtime == REFERENCE_RUNTIME and ran:
        return in_words or of_types  # the reference kernels are few and old by design (register_ref.cc)
    if of_types and _quantised(record, operator):
        return in_words and bool(ran)
    return in_words or (of_types and _own_type(record, operator))


def _quantised(record: CaseRun, operator: str) -> bool:
    """Whether an operator of this name works on activations that the quantiser made integers."""
    return any(t.scales and not t.constant for t in _touched(record, operator))


def _own_type(record: CaseRun, operator: str) -> bool:
    """Whether an operator of this name works on a small type that the model itself is written in."""
    own = {t.dtype for t in record.case.model.types.values()} & _SMALL
    return any(t.dtype.lower() in own and not t.scales for t in _touched(record, operator))


def _touched(record: CaseRun, operator: str) -> Iterator[FlatTensor]:
    flat = record.flat
    for op in flat.ops if flat is not None and operator else ():
        if op.name == operator:
            yield from (flat.tensors[i] for i in (*op.inputs, *op.outputs) if flat is not None and i >= 0)
