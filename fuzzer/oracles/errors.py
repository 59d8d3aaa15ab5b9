"""Errors that the converter or a runtime raises on a valid model, and that are no refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.divergence import Divergence
from fuzzer.oracles.messages import converter_message, is_refusal, runtime_message
from fuzzer.oracles.verdict import Kind, Stage, Verdict


def judge(record: CaseRun, divergences: Mapping[str, Divergence]) -> Iterator[Verdict]:
    """An internal converter error, or an allocate or invoke error of some runtime."""
    failure = record.convert_failure
    if failure is not None:
        if not is_refusal(failure.message) and not is_refusal(record.log):
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
        if failure is None or is_refusal(failure.message):
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
