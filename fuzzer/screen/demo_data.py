"""Made-up but realistic campaigns and findings: for the demo, and for the tests of the screens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fuzzer.campaign.snapshot import Cell, Snapshot, TitleLine, Worst
from fuzzer.findings.finding import Finding, State
from fuzzer.oracles.verdict import Kind, Stage, Verdict
from fuzzer.screen.jobs import Life

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
VERSIONS = "tensorflow 2.21.0, ai-edge-litert 2.3.0, python 3.11.7"
HOSTILE = "[bold red]x[/] \x1b[31m[link=file:///etc]\n]] {0} %s [/"
# kind, stage, message, severity, unit, op
_TITLES: tuple[tuple[str, str, str, float, str, str], ...] = (
    ("crash", "convert", "abort in mlir::quant::QuantizePass::matchAndRewrite", 6, "signal", "conv2d"),
    ("crash", "invoke", "segfault in optimized_ops::DepthwiseConv 3x3", 11, "signal", "depthwise_conv2d"),
    ("hang", "invoke", "endless loop in DepthwiseConvAccumRow", 60, "s", "depthwise_conv2d"),
    ("value", "compare", "AVERAGE_POOL_2D int8 litert against reference", 37, "steps", "avg_pool"),
    ("value", "compare", "CONV_2D float32 xnnpack conv2d > batch_norm > relu6", 341.7, "x bound", "conv2d"),
    ("nan-propagation", "compare", "MAXIMUM drops NaN tf-xnnpack relu > max_pool", 12, "elements", "relu"),
    (
        "converter-error",
        "convert",
        "'tfl.leaky_relu' op operand #0 must be tensor of F32",
        1,
        "",
        "leaky_relu",
    ),
    ("shape", "compare", "STRIDED_SLICE declares (1, 4), returns (1, 3)", 1, "elements", "matmul"),
    ("out-of-memory", "convert", "calibration of transpose_conv 7x7", 16384, "MB", "conv2d"),
    ("invoke-error", "invoke", "variable != nullptr was not true READ_VARIABLE", 1, "", "lstm"),
)
_PATTERNS = (
    "conv_bias",
    "conv_batch_norm",
    "relu6_after_linear",
    "depthwise_pointwise",
    "separable_conv",
    "dense_sigmoid_cross_entropy",
    "relu_max_pool",
    "matmul_add",
    "batch_norm_relu",
    "conv_batch_norm_relu",
    "recurrent",
)
_SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8")
_RUNTIMES = ("tf-xnnpack", "tf-builtin", "tf-reference", "litert")

_REPORT = """
Converting a model of two ops and running it gives another result than TensorFlow does.

## To reproduce

    python repro.py

## Expected

The same values within one quantisation step.

## Seen

4 of 192 elements differ by up to 37 steps.
"""
_REPRO = '''"""Exits 1 while the defect is there, 0 when it is gone."""

import numpy as np
import tensorflow as tf


@tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 3], tf.float32)])
def model(x0):
    n0 = tf.nn.relu(x0)
    return tf.add(n0, x0)


x0 = np.random.default_rng(1).uniform(-1, 1, [1, 8, 8, 3])
'''
_LOG = (
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
    "\x1b[31mF0000 check failed: dims == 4\x1b[0m\n"
    "*** SIGABRT (@0x0) ***\n    @ 0x7f2c in tflite::ops::builtin::pooling::Prepare()\n"
)


def demo_findings(count: int = 12, now: datetime = NOW) -> list[Finding]:
    """`count` findings; beyond the ten titles above they repeat with a number."""
    return [_finding(i, now) for i in range(count)]


def _finding(i: int, now: datetime) -> Finding:
    kind, stage, message, severity, unit, op = _TITLES[i % len(_TITLES)]
    again = f" ({i // len(_TITLES) + 1})" if i >= len(_TITLES) else ""
    seen = (now - timedelta(minutes=7 * i * i + 3)).isoformat(timespec="seconds")
    return Finding(
        id=f"{(i * 2654435761 + 0xABC123) * 48271 % 16**12:012x}",
        title=f"{stage} {kind}: {message}{again}",
        kind=kind,
        stage=stage,
        message=message,
        ops=(op,),
        patterns=(_PATTERNS[i % len(_PATTERNS)],),
        dtypes=("float32",),
        quantisation=_SCHEMES[i % len(_SCHEMES)],
        entry="concrete_function",
        runtimes=(_RUNTIMES[i % 4],),
        blame=op.upper(),
        severity=severity,
        unit=unit,
        versions=VERSIONS,
        first_seen=seen,
        last_seen=seen,
        count=(i * 37) % 400 + 1,
        reproduced=5 if i % 4 else 3,
        repeats=5,
        minimised=i % 5 != 4,
        nodes=2,
        case="93b885adfe0da089",
        found_as="28c6a1b0f0e9d2aa",
        path=f"{kind}-{i:03}",
        state=("new", "new", "known", "reported", "new", "fixed")[i % 6],
        note="https://github.com/tensorflow/tensorflow/issues/1" if i % 6 == 3 else "",
    )


def demo_snapshot(now: datetime = NOW, elapsed_s: float = 3723.0) -> Snapshot:
    """A campaign of eight hours, `elapsed_s` into it."""
    cases = int(elapsed_s * 12.1)
    titles = tuple(
        TitleLine(f.id, f.title, f.kind, f.severity, f.unit, f.count, f.first_seen, i < 5)
        for i, f in enumerate(demo_findings(12, now))
    )
    steps = [elapsed_s * k / 59 for k in range(60)]
    return Snapshot(
        state="running",
        pid=4242,
        started=(now - timedelta(seconds=elapsed_s)).isoformat(),
        written=now.isoformat(),
        elapsed_s=elapsed_s,
        budget_s=8 * 3600.0,
        seed=42,
        workers=2,
        corpus_dir="corpus",
        crashes_dir="crashes",
        versions=VERSIONS,
        cases=cases,
        cases_per_s=12.7,
        mean_cases_per_s=12.1,
        built=int(cases * 0.982),
        converted=int(cases * 0.81),
        refused=int(cases * 0.171),
        compared=int(cases * 0.8),
        restarts=123,
        recycled=87,
        deaths={"crash": 24, "hang": 9, "out-of-memory": 3},
        features=12345,
        families={
            "op-pairs": 5120,
            "op-dtype-scheme": 3411,
            "divergence": 2203,
            "tensors": 1000,
            "messages": 611,
        },
        corpus=1234,
        overhead=0.091,
        suspicions=344,
        pending=12,
        dismissed=211,
        examining="confirming 28c6a1b0 against float64, 3 of 5 fresh runs",
        titles=titles,
        newest=titles[0].title,
        worst=tuple(_worst(i) for i in range(6)),
        grid={p: {s: _cell(i, j, cases) for j, s in enumerate(_SCHEMES)} for i, p in enumerate(_PATTERNS)},
        by_runtime={r: _runtime(i, cases) for i, r in enumerate(_RUNTIMES)},
        by_kind={
            "crash": 24,
            "hang": 9,
            "value": 203,
            "nan-propagation": 61,
            "out-of-memory": 3,
            "shape": 40,
        },
        mutators={"insert": (8000, 7900), "rewire": (5000, 4700)},
        history=tuple(
            (t, int(t * 12.1), int(1426 * (t / 30) ** 0.45), int((t / 300) ** 0.99), int(61_000 * (t / 30) ** 0.09))
            for t in steps
        ),
    )


def _worst(i: int) -> Worst:
    case, unit = f"{i * 7919 * 10**12 + 1:016x}", "x bound" if i % 2 else "steps"
    return Worst(case, _RUNTIMES[i % 4], _SCHEMES[i % 5], _PATTERNS[i], 10.0 ** (7 - i), unit)


def _runtime(i: int, cases: int) -> Cell:
    spread = (cases, 5000, 2000, 900, 100, 31, 12, 4 * i, i, 2 * i)
    return Cell(cases, cases, i * 53, 10.0**i, "x bound", spread)


def _cell(i: int, j: int, cases: int) -> Cell:
    if i == 10 and j:
        return Cell(cases=40 if j < 3 else 0)
    asked = cases // 60
    bad = asked * (i * j * 7 % 13) // 90 if j in (0, 3, 4) else 0
    return Cell(asked, asked * 4 // 5, bad, 3.7**i if bad else 2e-7, "steps" if j > 2 else "x bound")


class DemoSource:
    """A source of findings that lives in memory, with the files of a finding in `folder`."""

    def __init__(self, folder: Path, count: int = 12, job_s: float = 0.0, now: datetime = NOW) -> None:
        self.list = demo_findings(count, now)
        self.current: Snapshot | None = demo_snapshot(now)
        self.folder = folder
        self.job_s = job_s
        self.marks: list[tuple[str, State, str, str]] = []
        self.jobs: list[tuple[str, str]] = []

    def findings(self) -> Sequence[Finding]:
        """The list as it is."""
        return tuple(self.list)

    def unread(self) -> str:
        """Everything here can be read."""
        return ""

    def snapshot(self) -> Snapshot | None:
        """The snapshot as it is."""
        return self.current

    def mark(self, id: str, state: State, note: str, duplicate_of: str = "") -> None:
        """Remembers the decision."""
        self.marks.append((id, state, note, duplicate_of))
        self.list = [f.marked(state, note, duplicate_of) if f.id == id else f for f in self.list]

    def files(self, id: str) -> Path:
        """The finding's folder, written on first use; the files of every seventh finding are lost."""
        folder = self.folder / id
        place = next((i for i, f in enumerate(self.list) if f.id == id), 6)
        if place % 7 != 6 and not folder.exists():
            write_files(folder, self.list[place])
        return folder

    def replay(self, id: str, life: Life) -> str:
        """Waits as long as a replay might."""
        self.jobs.append(("replay", id))
        life.stop.wait(self.job_s)
        return "reproduced, 5 of 5 fresh runs"

    def reproduce(self, id: str, life: Life) -> str:
        """Prints as a reproducer might."""
        self.jobs.append(("reproduce", id))
        life.lines.extend(["expected 0.7071", "actual   0.7266"])
        life.stop.wait(self.job_s)
        return "the defect is there (exit code 1)"

    def report(self, id: str, life: Life) -> str:
        """Prints an issue's text."""
        self.jobs.append(("report", id))
        life.lines.extend(["### Issue type", "", "Bug"])
        return "written"

    def minimize(self, id: str, life: Life) -> str:
        """Waits as long as a minimisation might."""
        self.jobs.append(("minimize", id))
        life.stop.wait(self.job_s)
        self.list = [replace(f, minimised=True, nodes=1) if f.id == id else f for f in self.list]
        return "smaller: 7 nodes became 1"


def write_files(folder: Path, finding: Finding) -> None:
    """What a finding's folder holds."""
    folder.mkdir(parents=True, exist_ok=True)
    case: dict[str, Any] = {
        "schema": 1,
        "model": {
            "inputs": [{"shape": [1, 8, 8, 3], "dtype": "float32"}],
            "nodes": [
                {"op": "relu", "operands": ["x0"]},
                {"op": "add", "operands": ["n0", "x0"], "attrs": {"const_rank": 1}},
            ],
            "outputs": ["n1"],
            "patterns": list(finding.patterns),
        },
        "conversion": {"entry": "keras", "scheme": "int8", "optimizations": "default"},
        "inference": {
            "runtimes": list(_RUNTIMES),
            "inputs": [{"distribution": "uniform", "seed": 1}],
            "threads": 1,
        },
    }
    runs = [
        {"runtime": r, "input": "uniform:1", "value": 0.7 + i / 50, "steps": i * 12} for i, r in enumerate(_RUNTIMES)
    ]
    evidence = {
        "first diverging tensor": "model/relu/Relu;model/add",
        "index": [0, 3, 5, 1],
        "expected": 0.70710678,
        "found": 0.7265625,
        "scale": 0.0078125,
        "elements": 4,
        "of": 192,
        "runs": runs,
    }
    verdict = Verdict(
        Stage(finding.stage),
        Kind(finding.kind),
        finding.message,
        "litert",
        finding.severity,
        finding.unit,
        finding.blame,
        evidence,
    )
    (folder / "case.json").write_text(json.dumps(case, indent=2))
    (folder / "minimal.json").write_text(json.dumps(case, indent=2))
    (folder / "verdict.json").write_text(json.dumps(verdict.to_json()))
    (folder / "report.md").write_text(f"# {finding.title}\n\n**Versions**: {VERSIONS}\n{_REPORT}")
    (folder / "repro.py").write_text(_REPRO)
    (folder / "log.txt").write_text(_LOG)
    (folder / "model.tflite").write_bytes(b"TFL3")
