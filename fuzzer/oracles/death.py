"""Deaths of the executor: what the owner saw becomes a verdict. Needs neither TensorFlow nor NumPy."""

from __future__ import annotations

import re
import signal

from fuzzer.execute import Death
from fuzzer.oracles.messages import fatal_message
from fuzzer.oracles.verdict import Kind, Stage, Verdict

_STAGES = {stage.value: stage for stage in Stage}
_FRAME = re.compile(r'File "[^"]*/((?:tensorflow|ai_edge_litert|tf_keras|keras)/[^"]+)", line \d+ in (\w+)')


def judge_death(death: Death) -> Verdict:
    """The verdict on a death. Its message joins the signal, the stage's runtime and what the log says.

    The Python frame nearest to the native code stands in where the process died without a word.
    """
    kind = Kind(death.kind)
    said = fatal_message(death.log)
    frame = _python_frame(death.log)
    what = {Kind.CRASH: death.signal, Kind.HANG: "no answer", Kind.OUT_OF_MEMORY: "memory limit"}[kind]
    message = ": ".join(part for part in (what, said or frame) if part)
    severity = {Kind.CRASH: _number(death.signal), Kind.HANG: death.elapsed_s, Kind.OUT_OF_MEMORY: death.rss_mb}[kind]
    unit = {Kind.CRASH: "signal", Kind.HANG: "s", Kind.OUT_OF_MEMORY: "MB"}[kind]
    return Verdict(
        _STAGES.get(death.stage, Stage.BUILD),
        kind,
        message,
        death.detail or {"convert": "converter"}.get(death.stage, "tensorflow"),
        round(severity, 1),
        unit,
        evidence={"log": death.log[-4000:], "signal": death.signal},
    )


def _number(name: str) -> float:
    """The signal's number; 0 for an exit without one."""
    return float(signal.Signals[name]) if name in signal.Signals.__members__ else 0.0


def _python_frame(log: str) -> str:
    found = _FRAME.search(log)
    if found is None:
        return ""
    return f"in {found.group(1).rsplit('/', 1)[-1]} {found.group(2)}"
