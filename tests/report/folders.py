"""Findings on disk for the tests of reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fuzzer.case import Case, Inference, Model, Node, decode
from fuzzer.findings import Finding, FindingStore
from fuzzer.oracles import Kind, Stage, Verdict
from tests.findings.samples import finding

HOSTILE = "</pre><script>alert(1)</script>`|@team [x](http://e) <img src=x onerror=alert(1)>"
TITLE = "value in compare: reference RELU (float32): wrong values"
CASE = {
    "schema": 1,
    "model": {
        "inputs": [{"shape": [2, 3], "dtype": "float32"}],
        "nodes": [{"op": "relu", "operands": ["x0"]}, {"op": "relu6", "operands": ["n0"]}],
        "outputs": ["n1"],
    },
    "conversion": {"entry": "concrete_function", "scheme": "float32"},
    "inference": {"inputs": [{"distribution": "uniform", "seed": 1}]},
}
SCRIPT = 'import tensorflow as tf\n\nprint("expected", 1)\n'
LOG = "Ignored output_format.\nan important last line\n"
EVIDENCE: dict[str, Any] = {
    "actual": 0.5,
    "expected": 0.25,
    "index": [0, 1],
    "output": 0,
    "sample": 0,
    "base": "tensorflow",
    "operators": ["RELU", "RELU6"],
    "ratios": {"tf-xnnpack": 0.5, "tf-builtin": 8.0, "tf-reference": 8.5, "litert": 0.0},
    "runtimes": ["tf-reference"],
}


def verdict(**evidence: Any) -> Verdict:
    return Verdict(
        Stage.COMPARE, Kind.VALUE, "wrong values", "tf-reference", 8.5, "x bound", "RELU", {**EVIDENCE, **evidence}
    )


def case() -> Case:
    return decode(json.dumps(CASE))


def expected() -> Any:
    return np.array([[0.0, 0.25, 0.5], [0.75, 1.0, 1.25]], np.float32)


def crashes(folder: Path, told: Verdict | None = None, **changes: Any) -> tuple[FindingStore, Finding]:
    """A folder of findings with one that has everything but a flatbuffer."""
    store = FindingStore(folder, create=True)
    made = finding(**{"title": TITLE, "blame": "RELU", "unit": "x bound", **changes})

    def fill(target: Path) -> None:
        (target / "case.json").write_text(json.dumps(CASE))
        (target / "minimal.json").write_text(json.dumps(CASE))
        (target / "verdict.json").write_text(json.dumps((told or verdict()).to_json()))
        (target / "repro.py").write_text(SCRIPT)
        (target / "log.txt").write_text(LOG)
        wrong = expected()
        wrong[0, 1] = 0.5
        arrays = {"sample0_x0": expected(), "sample0_tensorflow_y0": expected(), "sample0_tf-reference_y0": wrong}
        np.savez_compressed(target / "tensors.npz", **arrays)

    store.add(made, fill)
    return store, made


__all__ = ["CASE", "EVIDENCE", "HOSTILE", "LOG", "SCRIPT", "TITLE", "Inference", "Model", "Node", "case", "crashes"]
