"""The target of a campaign: runs a case on real TensorFlow and TFLite, and judges it.

Requests are `{"command": ..., "case": {...}, ...}`; the commands are the names in `run`. A target is any module with
`load()` (in the zygote), `prepare(scratch)` (once an executor) and `run(request, stage)`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from fuzzer.build import constants, run_eager, samples_of, trained_weights, walk, weights_of
from fuzzer.build.graph import array
from fuzzer.build.literals import literal_of
from fuzzer.case import RUNTIMES, Case, Conversion
from fuzzer.case.codec import from_json
from fuzzer.convert import converter_of, optimised, read, set_options, switches
from fuzzer.execute import runtimes
from fuzzer.execute.record import CaseRun, Failure
from fuzzer.execute.stage import JUDGING, StageCell

_scratch = ""
_LOG_READ_BYTES = 32 << 10
LITERAL_ELEMENTS = 64
"""Elements up to which a result is told by `values`: what reduction may write into a case."""


def load() -> None:
    """Imports everything a case may need. Called in the zygote, which never runs TensorFlow."""
    import logging
    import warnings

    import absl.logging
    import ai_edge_litert.interpreter
    import tensorflow as tf
    import tf_keras
    from tensorflow.lite.python import schema_py_generated
    from tensorflow.lite.tools import flatbuffer_utils

    del ai_edge_litert, schema_py_generated, flatbuffer_utils, tf_keras
    import fuzzer.coverage.features
    import fuzzer.oracles
    import fuzzer.oracles.confirm
    import fuzzer.oracles.metamorphic  # noqa: F401
    from fuzzer.ops import registry

    registry()
    tf.get_logger().setLevel(logging.ERROR)
    absl.logging.set_verbosity(absl.logging.ERROR)
    warnings.simplefilter("ignore")
    # Attribute access loads the lazily imported parts of TensorFlow; a first touch costs up to a second.
    for name in ("lite", "saved_model", "keras", "nn", "raw_ops", "signal", "linalg", "random", "data"):
        getattr(tf, name)
    tf.keras.layers.Dense  # noqa: B018
    tf.lite.TFLiteConverter  # noqa: B018
    tf.lite.Interpreter  # noqa: B018
    tf.compat.v1.lite.TFLiteConverter  # noqa: B018
    if optimised.installed():
        optimised.load(tf)


def prepare(scratch: str) -> None:
    """Readies a fresh executor: temporary files go to `scratch`, TensorFlow uses one thread."""
    global _scratch
    import tempfile

    import tensorflow as tf

    _scratch = scratch
    os.environ["TMPDIR"] = scratch
    tempfile.tempdir = scratch
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    np.seterr(all="ignore")


def run(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """Dispatches a request."""
    command = request["command"]
    if command == "switches":
        return offer()
    case = from_json(request["case"])
    if command == "run":
        return judge(case, stage, bool(request.get("audited", True)))
    if command == "confirm":
        from fuzzer.oracles import Verdict
        from fuzzer.oracles.confirm import confirm

        return confirm(execute(case, stage), Verdict.from_json(request["verdict"]), stage)
    if command == "rewrite":
        return rewrite(case, stage)
    if command == "probe":
        return probe(case, int(request["position"]), str(request["runtime"]), stage)
    if command == "ratios":
        return ratios(case, stage)
    if command == "values":
        return {"values": values(case, stage)}
    if command == "finite":
        return {"finite": finite(case, stage)}
    if command == "fusion":
        return fusion(case, stage)
    if command == "save":
        return save(case, Path(request["folder"]), stage)
    raise ValueError(f"unknown command {command!r}")


def offer() -> dict[str, Any]:
    """What the installed packages offer beside what every release has: switches of the converter, and schemes."""
    import tensorflow as tf

    from fuzzer.case.conversion import TFMOT

    return {"switches": switches.catalogue(tf), "schemes": list(TFMOT) if optimised.installed() else []}


def judge(case: Case, stage: StageCell, audited: bool = True) -> dict[str, Any]:
    """Runs a case and returns verdicts, features and statistics as JSON values.

    Without the audit nothing of ours runs native code, and whoever dies has died of the case.
    """
    from fuzzer.coverage.features import features
    from fuzzer.oracles import judge_all, statistics
    from fuzzer.oracles.errors import asked_wrongly, classes

    begun = perf_counter()
    record = execute(case, stage)
    stage.set(JUDGING)
    judging = perf_counter()
    verdicts = judge_all(record, audited)
    stats = statistics(record)
    judge_s = perf_counter() - judging
    failed = [run.allocate_failure for run in record.runs.values() if run.allocate_failure is not None]
    found = features(record, verdicts, stats)
    return {
        "built": record.build_failure is None,
        "converted": bool(record.content),
        "accepted": any(run.complete for run in record.runs.values()),
        "builtins": [] if record.flat is None else list(record.flat.operators),
        "refusal": _refusal(record, verdicts),
        "failure": _failure(record)[:80],
        "errors": sorted({error.value for error in classes(record).values()}),
        "asked_wrongly": asked_wrongly(record),
        "verdicts": [v.to_json() for v in verdicts],
        "features": found,
        "statistics": stats,
        # XNNPACK's way out of a failed allocation frees twice: what runs after it here cannot be trusted.
        "tainted": any("XNNPA" in failure.message.upper() for failure in failed),
        "under_test_s": sum(record.timings.values()),
        "timings": record.timings,
        "judge_s": judge_s,
        "total_s": perf_counter() - begun,
    }


def _failure(record: CaseRun) -> str:
    """Why there is no flatbuffer, as it came; empty where there is one."""
    failure = record.build_failure or record.convert_failure
    return "" if failure is None else failure.message or failure.error


def _refusal(record: CaseRun, verdicts: Sequence[Any]) -> str:
    """The converter's words where it refuses in so many words: no oracle took offence."""
    if record.convert_failure is None or any(verdict.stage == "convert" for verdict in verdicts):
        return ""
    return _failure(record)[:80] or "no word"


def execute(case: Case, stage: StageCell, only: tuple[str, ...] | None = None) -> CaseRun:
    """Reference, conversion and the runtimes (all of the case, or `only` these).

    What the stack raises becomes data in the record.
    """
    import tensorflow as tf

    record = CaseRun(case)
    stage.set("build")
    weights = weights_of(case)
    record.samples = samples_of(case)
    stage.set("reference")
    try:
        with record.under_test("reference"):
            fixed = trained_weights(tf, case, constants(tf, weights), weights)
            record.reference = [run_eager(tf, case, sample, fixed) for sample in record.samples]
        stage.set("build")
        with record.under_test("build"):
            converter = converter_of(tf, case, weights, _scratch)
    except Exception as error:
        # TensorFlow raises of every kind; a mistake of ours in an op shows in `health`: never built, and why.
        record.build_failure = Failure(type(error).__name__, str(error))
        return record
    stage.set("convert")
    try:
        with record.under_test("convert"):
            record.notes = set_options(tf, converter, case.conversion, record.samples)
            record.content = bytes(converter.convert())
    except Exception as error:
        # The converter raises whatever its layers raise; oracles sort refusals from internal errors.
        record.convert_failure = Failure(type(error).__name__, str(error))
        record.log = "\n".join([*record.notes, _log()])
        return record
    record.log = "\n".join(record.notes)
    record.flat = read(record.content)
    for runtime in case.inference.runtimes if only is None else only:
        record.runs[runtime] = runtimes.run(record, runtime, stage)
    if only is None and case.inference.relation != "none":
        from fuzzer.oracles import metamorphic

        metamorphic.relate(record, stage)
    return record


def probe(case: Case, position: int, runtime: str, stage: StageCell) -> dict[str, Any]:
    """Converts a case and runs one operator of it alone; `{"op": ""}` when there is none at `position`."""
    from fuzzer.oracles.confirm.nodewise import probe_for

    record = execute(case, stage, only=())
    stage.set("probe", f"{position}")
    if record.flat is not None and position < len(record.flat.ops):
        stage.set("probe", f"{position} {record.flat.ops[position].name}")
    return probe_for(record, position, runtime)


def rewrite(case: Case, stage: StageCell) -> dict[str, Any]:
    """The converter pass after which a case is wrong, as evidence, and the defect in words (empty: not known)."""
    from fuzzer.oracles.confirm import rewrite as rewrites

    record = execute(replace(case, inference=replace(case.inference, runtimes=RUNTIMES)), stage)
    stage.set("rewrite")
    found = rewrites.blame(record) if record.content else {"no pass": "it does not convert"}
    return {"rewrite": found, "message": rewrites.message_of(found)}


def ratios(case: Case, stage: StageCell) -> dict[str, Any]:
    """How far each runtime is from the float64 truth, in error bounds; what `scripts/bench bounds` collects."""
    from fuzzer.oracles.confirm import nodewise, truth

    record = execute(case, stage)
    if not record.content:
        return {"ratios": {}}
    dispute = nodewise.first_dispute(record)
    return {"ratios": truth.ratios(record, truth.Truth(record)), "disputed": dispute is not None}


def finite(case: Case, stage: StageCell) -> bool:
    """Whether every tensor of the case is finite for all samples, in TensorFlow and as the converter writes it.

    The second may overflow where the first does not: a softplus becomes log(1 + exp(x)).
    """
    from fuzzer.oracles import ranges
    from fuzzer.oracles.confirm import parts

    plain = replace(case, conversion=Conversion(entry=case.conversion.entry).repaired())
    record = execute(plain, stage, only=())
    given = [value for sample in (*record.samples, *record.reference) for value in sample]
    recorded = [parts.intermediates(record, s) for s in range(len(record.samples))] if record.flat else []
    return all(ranges.finite(value) for value in (*given, *(v for r in recorded for v in r.values())))


def values(case: Case, stage: StageCell) -> dict[str, list[tuple[float, ...] | None]]:
    """What TensorFlow computes for every small result of a case, by name and sample, as a literal recipe says it.

    None where no literal does: infinity and NaN, strings, large integers. Empty where TensorFlow refuses the case.
    """
    import tensorflow as tf

    stage.set("build")
    weights = weights_of(case)
    small = [t.name for t in case.model.typed if 0 < t.type.elements <= LITERAL_ELEMENTS]
    stage.set("reference")
    made: list[dict[str, Any]] = []
    try:
        fixed = trained_weights(tf, case, constants(tf, weights), weights)
        for given in samples_of(case):
            every = walk(tf, case, [tf.constant(x) for x in given], fixed)
            made.append({name: array(every[name]) for name in small})
    except Exception:
        # As in `execute`: TensorFlow raises of every kind, and then there is nothing to replace a node by.
        return {}
    return {name: [literal_of(numbers[name]) for numbers in made] for name in small}


def fusion(case: Case, stage: StageCell) -> dict[str, Any]:
    """What the converter made of a case, and how far the runtimes are from TensorFlow: a row of the fusion map."""
    import tensorflow as tf

    from fuzzer.convert import fusion as fusions
    from fuzzer.oracles import judge_all, statistics

    record = execute(case, stage)
    given = fusions.before(tf, case, weights_of(case)) if record.build_failure is None else []
    failure = record.build_failure or record.convert_failure
    row: dict[str, Any] = {"before": given, "failure": "" if failure is None else failure.message}
    if record.flat is not None:
        row["after"] = fusions.after(record.flat)
        row["folded"] = fusions.folded(case, given, record.flat)
        row["fused"] = fusions.fused(given, record.flat)
        row["statistics"] = statistics(record)
    row["suspicions"] = [{"kind": v.kind.value, "runtimes": list(v.runtimes)} for v in judge_all(record)]
    return row


def save(case: Case, folder: Path, stage: StageCell) -> dict[str, Any]:
    """Writes `model.tflite`, `tensors.npz` (inputs, reference, every runtime's outputs) and `kernels.json`."""
    from fuzzer.examine import kernels

    record = execute(case, stage)
    if record.content:
        (folder / "model.tflite").write_bytes(record.content)
    arrays: dict[str, Any] = {}
    for s, sample in enumerate(record.samples):
        arrays.update({f"sample{s}_x{i}": value for i, value in enumerate(sample)})
    for s, outputs in enumerate(record.reference):
        arrays.update({f"sample{s}_tensorflow_y{i}": value for i, value in enumerate(outputs)})
    for runtime, result in record.runs.items():
        for s, outputs in enumerate(result.samples):
            arrays.update({f"sample{s}_{runtime}_y{i}": value for i, value in enumerate(outputs)})
    np.savez_compressed(folder / "tensors.npz", **arrays)
    if record.runs:
        kernels.write(folder, record)
    return {"saved": sorted(arrays), "log": _log()}


def _log() -> str:
    """What this case has printed so far, from the start."""
    try:
        return os.pread(2, _LOG_READ_BYTES, 0).decode(errors="replace")
    except OSError:
        return ""
