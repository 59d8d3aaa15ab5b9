"""The real target, with one more request: `{"call": "tests.ops.checks:shapes", ...}` runs a check inside an executor.

So a check that makes TensorFlow abort fails its test and not the test run.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fuzzer.execute import target
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import load, prepare

__all__ = ["load", "prepare", "run"]


def run(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    if "call" not in request:
        return target.run(request, stage)
    module, _, name = request["call"].partition(":")
    assert module.startswith("tests.")
    reply: dict[str, Any] = getattr(import_module(module), name)(request, stage)
    return reply
