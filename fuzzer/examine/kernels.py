"""`kernels.json` of a finding: what every runtime made of the minimal case, the sound ones too.

A maintainer's first question is which kernels agree. `tensors.npz` holds their numbers; this file says which gave none
and why, which shapes were declared, and how the codes of an integer output are to be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fuzzer.disk import write_json

if TYPE_CHECKING:
    from fuzzer.execute.record import CaseRun, RuntimeRun

FILE = "kernels.json"
SCHEMA = 1


def write(folder: Path, record: CaseRun) -> None:
    """Writes the file. Raises `OSError` when the disk refuses."""
    kernels = {
        runtime: {
            "failure": _failure(run),
            "outputs": [
                {"shape": list(slot.shape), "scale": slot.scale, "zero_point": slot.zero_point} for slot in run.outputs
            ],
        }
        for runtime, run in record.runs.items()
    }
    write_json(folder / FILE, {"schema": SCHEMA, "kernels": kernels})


def _failure(run: RuntimeRun) -> str:
    """The stage and the error's own words; empty where there was none."""
    for stage, failure in (("allocate", run.allocate_failure), ("invoke", run.invoke_failure)):
        if failure is not None:
            return f"{stage}: {failure.error}: {failure.message}"
    return ""


def add_deaths(folder: Path, dead: Mapping[str, str]) -> None:
    """Adds runtimes that died, and of what, to the file in a folder; makes it where no runtime lived.

    Raises `OSError` when the disk refuses.
    """
    try:
        tree = json.loads((folder / FILE).read_bytes())
    except FileNotFoundError:
        tree = {"schema": SCHEMA, "kernels": {}}
    tree["kernels"].update({runtime: {"failure": words, "outputs": []} for runtime, words in dead.items()})
    write_json(folder / FILE, tree)
