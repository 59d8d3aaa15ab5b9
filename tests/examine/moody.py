"""A target that says one thing of a small case in a fresh process, and another in one that has run something.

MOODY names what a case of one node says in turn in fresh processes: `a`, `b`, or `-` for nothing. Every other run
says `a`. MOODY_TURN is a file that grows by a byte a turn. MOODY_ALARMS are the verdicts of a run, as JSON; those whose
words begin with "false" are not confirmed. MOODY_BUSY_S are seconds of CPU time that a run takes.
With MOODY_BUG nobody can tell the values of a case.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from fuzzer.case.codec import from_json
from fuzzer.execute.stage import StageCell

_runs = 0


def load() -> None:
    """Nothing to load."""


def prepare(scratch: str) -> None:
    """Nothing to prepare."""


def run(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    global _runs
    if request["command"] == "run":
        begun = time.process_time()
        while time.process_time() - begun < float(os.environ.get("MOODY_BUSY_S", "0")):
            pass
        return {"verdicts": json.loads(os.environ["MOODY_ALARMS"])}
    if request["command"] == "values" and "MOODY_BUG" in os.environ:
        raise KeyError(os.environ["MOODY_BUG"])
    if request["command"] != "confirm":
        return {"values": {}, "saved": [], "log": ""}
    if request["verdict"]["message"].startswith("false"):
        return {"verdict": None, "why": "a false alarm"}
    _runs += 1
    told = "a"
    if _runs == 1 and len(from_json(request["case"]).model.nodes) == 1:
        with Path(os.environ["MOODY_TURN"]).open("ab") as turns:
            moods = os.environ["MOODY"]
            told = moods[turns.tell() % len(moods)]
            turns.write(b".")
    if told == "-":
        return {"verdict": None, "why": "nothing there"}
    words = {"a": "first.cc the input is not ready", "b": "second.cc the output is not there"}[told]
    return {"verdict": {**request["verdict"], "message": words}, "why": "planted"}
