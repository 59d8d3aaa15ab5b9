"""What a finding keeps of every runtime, from the real stack, as a report shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer.case import RUNTIMES, decode, to_json
from fuzzer.execute import Executor, Reply
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.report import graphs, kernels
from fuzzer.report.markdown import markdown
from fuzzer.report.material import read
from fuzzer.report.page import page
from fuzzer.report.sections import report
from tests.report import folders
from tests.report.test_page import check

pytestmark = pytest.mark.slow


def test_every_runtime_is_kept_and_drawn(real: Executor, tmp_path: Path) -> None:
    store, finding = folders.crashes(tmp_path / "crashes", folders.verdict(ratios=None))
    folder = store.folder / finding.path
    tree = {
        **folders.CASE,
        "conversion": {"entry": "concrete_function", "scheme": "int8", "io": "int8", "optimizations": "default"},
    }
    case = decode(json.dumps(tree))
    (folder / "minimal.json").write_text(json.dumps(to_json(case)))
    answer = real.run({"command": "save", "case": to_json(case), "folder": str(folder)}, 60.0)
    assert isinstance(answer, Reply), answer
    given = read(store.folder, finding)
    assert given.problems == () and set(given.kernels) == set(RUNTIMES)
    output = given.kernels["litert"].outputs[0]
    assert output.shape == (2, 3) and output.scale > 0
    both = kernels.pair(given, "litert", 0, 0)
    assert both is not None and abs(both[0] - both[1]).max() <= 2 * output.scale, "codes are read as numbers"
    (boxes, edges), why = graphs.after(given)
    assert why == "" and any(box.role == "blamed" and "RELU" in box.name for box in boxes) and edges
    assert "int8[2,3] scale" in check(page(given)).text
    assert "litert" in markdown(report(given)).partition("## Which kernels agree")[2]


REFUSED = {
    "schema": 1,
    "model": {
        "inputs": [{"dtype": "float32", "shape": [1, 1, 1]}],
        "nodes": [
            {"op": "reshape", "operands": ["x0"], "attrs": {"rank": 2, "split": 0}},
            {"op": "fake_quant", "operands": ["n0"], "attrs": {"bits": 8, "low": -1.0, "narrow": False, "width": 8.0}},
        ],
        "outputs": ["n1"],
    },
    "conversion": {"optimizations": "default", "scheme": "int16x8"},
    "inference": {"inputs": [{"distribution": "constant"}], "runtimes": ["tf-xnnpack", "litert"]},
}
"""16x8 quantisation makes a QUANTIZE from 16 to unsigned 8 bits of it, which no kernel of TensorFlow 2.21 takes."""


def test_a_runtime_that_refuses_says_why(real: Executor, tmp_path: Path) -> None:
    message = "quantize.cc:183 output->type was not true.Node number 2 (QUANTIZE) failed to prepare."
    evidence = {"message": message, "runtimes": ["tf-xnnpack"]}
    told = Verdict(Stage.ALLOCATE, Kind.ALLOCATE_ERROR, "m", "tf-xnnpack", 1.0, "error", "", evidence)
    store, finding = folders.crashes(tmp_path / "crashes", told, kind="allocate-error")
    folder = store.folder / finding.path
    answer = real.run({"command": "save", "case": REFUSED, "folder": str(folder)}, 60.0)
    assert isinstance(answer, Reply)
    given = read(store.folder, finding)
    assert set(given.kernels) == {"tf-xnnpack", "litert"}
    assert all("allocate: RuntimeError" in kernel.failure for kernel in given.kernels.values()), given.kernels
    rows, untried = kernels.rows(replace(given, tensors={}))
    assert [row[2] for row in rows] == ["refuses it", "refuses it, with the same error"]
    assert untried == ["tf-builtin", "tf-reference"]
