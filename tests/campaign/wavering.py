"""The tiny target with a feature that only the first run of a case shows: `TINY_WAVERS` is a folder of its memory."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from fuzzer.execute.stage import StageCell
from tests.execute import targets
from tests.execute.targets import load, prepare

__all__ = ["load", "prepare", "run"]


def run(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """As the tiny target; one feature is shown by the first run of each case and by no other."""
    reply = targets.run(request, stage)
    digest = hashlib.sha256(json.dumps(request["case"], sort_keys=True).encode()).hexdigest()
    seen = Path(os.environ["TINY_WAVERS"], digest)
    if not seen.exists():
        seen.touch()
        reply["features"].append(f"late:{digest[0]}")
    return reply
