"""Deaths of the executor: what the owner saw becomes a verdict. Needs neither TensorFlow nor NumPy."""

from __future__ import annotations

import re
import signal
from typing import Any

from fuzzer.execute import Death
from fuzzer.native.culprit import Culprit, culprit, culprit_of_samples, stack_lines
from fuzzer.oracles.messages import HEAP_CORRUPTION, fatal_message
from fuzzer.oracles.verdict import Kind, Stage, Verdict

_STAGES = {stage.value: stage for stage in Stage}
_FRAME = re.compile(r'File "[^"]*/((?:tensorflow|ai_edge_litert|tf_keras|keras)/[^"]+)", line \d+ in (\w+)')


FRAME = "frame"
"""Key of the evidence: the native function that names the defect by itself. It is missing where none does."""
KERNEL = "kernel"
"""Key of the evidence: the TFLite kernel that was at work."""
STACK = "stack"
"""Key of the evidence: the native stack, innermost first, a list of `module function`."""

_STEPS = (
    # lite/python/optimize/calibrator.py and compiler/mlir/lite/python/wrap_converter.py: what enters native code.
    ("_feed_tensors", "calibration"),
    ("add_intermediate_tensors", "calibration"),
    ("calibrate_and_quantize", "quantisation (calibrator)"),
    ("wrapped_experimental_mlir_quantize", "quantisation (MLIR)"),
    ("wrapped_experimental_mlir_sparsify", "sparsification"),
    ("wrapped_convert", "conversion of the graph (MLIR)"),
    ("wrapped_flat_buffer_file_to_mlir", "reading the flatbuffer back"),
    # lite/python: what runs in Python or in TensorFlow itself.
    ("modify_model_io_type", "changing the types of inputs and outputs"),
    ("run_graph_optimizations", "optimising the graph (Grappler)"),
    ("convert_variables_to_constants_v2", "freezing variables"),
)
"""Steps of a conversion by the Python function that the process died in."""


def judge_death(death: Death) -> Verdict:
    """The verdict on a death. Its message joins the signal, the native function to blame and what the log says.

    The Python frame nearest to the native code stands in where the native stack is missing and nothing was said.
    """
    kind = Kind(death.kind)
    blamed = _blamed(death)
    severity = {Kind.CRASH: _number(death.signal), Kind.HANG: death.elapsed_s, Kind.OUT_OF_MEMORY: death.rss_mb}[kind]
    unit = {Kind.CRASH: "signal", Kind.HANG: "s", Kind.OUT_OF_MEMORY: "MB"}[kind]
    return Verdict(
        _STAGES.get(death.stage, Stage.BUILD),
        kind,
        _message(death, kind, blamed),
        death.detail or {"convert": "converter"}.get(death.stage, "tensorflow"),
        round(severity, 1),
        unit,
        evidence=_evidence(death, kind, blamed),
    )


def _blamed(death: Death) -> Culprit:
    """Whom the native stacks blame."""
    return culprit(death.crashed) if death.crashed is not None else culprit_of_samples(death.samples)


def _message(death: Death, kind: Kind, blamed: Culprit) -> str:
    said = fatal_message(death.log)
    if kind is Kind.CRASH and (blamed.heap or said == HEAP_CORRUPTION):
        # Whether the heap's own checks see it or the heap crashes is chance too.
        return HEAP_CORRUPTION
    what = {Kind.CRASH: death.signal, Kind.HANG: "no answer", Kind.OUT_OF_MEMORY: "memory limit"}[kind]
    if kind is Kind.OUT_OF_MEMORY or not blamed.text:
        # Which allocation crosses the limit is chance: no function is named for that.
        return ": ".join(filter(None, [what, said or _python_frame(death.log)]))
    where = f"{what} in {blamed.text}"
    return ": ".join(filter(None, [where, said or ("" if blamed.specific else _python_frame(death.log))]))


def _evidence(death: Death, kind: Kind, blamed: Culprit) -> dict[str, Any]:
    trace = death.crashed or next(iter(death.samples), None)
    named = {
        FRAME: blamed.text if blamed.specific and kind is not Kind.OUT_OF_MEMORY else "",
        KERNEL: blamed.kernel,
        "pass": blamed.pass_,
        "step": next((step for name, step in _STEPS if re.search(rf" in {name}$", death.log, re.MULTILINE)), ""),
        "python": _python_frame(death.log).removeprefix("in "),
        STACK: [] if trace is None else stack_lines(trace),
    }
    known = {key: value for key, value in named.items() if value}
    return {**known, "log": death.log[-4000:], "signal": death.signal}


def _number(name: str) -> float:
    """The signal's number; 0 for an exit without one."""
    return float(signal.Signals[name]) if name in signal.Signals.__members__ else 0.0


def _python_frame(log: str) -> str:
    found = _FRAME.search(log)
    if found is None:
        return ""
    return f"in {found.group(1).rsplit('/', 1)[-1]} {found.group(2)}"
