"""Findings, verdicts and suspicions for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fuzzer.findings import Finding, FindingStore
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.titles import finding_id, folder_name
from fuzzer.oracles import Kind, Stage, Verdict
from tests.strategies import drawn_case

VERDICT = Verdict(
    Stage.COMPARE,
    Kind.VALUE,
    "XNNPACK CONV_2D (float32): wrong values",
    "tf-xnnpack",
    12.5,
    "x bound",
    "CONV_2D",
    {"runtimes": ["tf-xnnpack", "litert"], "index": [0, 1]},
)
FOUND = "2026-01-02T03:04:05+00:00"


def finding(title: str = "value in compare: something", **changes: Any) -> Finding:
    id_ = finding_id(title)
    plain = Finding(
        id=id_,
        title=title,
        kind="value",
        stage="compare",
        message="something",
        ops=("conv2d", "relu"),
        patterns=("conv_bias",),
        dtypes=("float32",),
        quantisation="int8",
        entry="concrete_function",
        runtimes=("tf-xnnpack",),
        blame="CONV_2D",
        severity=2.5,
        unit="steps",
        versions="tensorflow 2.21.0",
        first_seen=FOUND,
        last_seen=FOUND,
        count=1,
        reproduced=3,
        repeats=3,
        minimised=True,
        nodes=2,
        case="0123456789abcdef",
        found_as="fedcba9876543210",
        path=folder_name(title, id_),
        key="value|compare|something|",
        script_exit=1,
    )
    return replace(plain, **changes)


def fill(text: str = "one") -> Any:
    def write(folder: Path) -> None:
        (folder / "case.json").write_text(text)
        (folder / "repro.py").write_text("raise SystemExit(1)")

    return write


def store(folder: Path, *titles: str) -> FindingStore:
    made = FindingStore(folder, create=True)
    for title in titles:
        made.add(finding(title), fill())
    return made


def suspicion(seed: int = 1, verdict: Verdict | None = VERDICT) -> Suspicion:
    return Suspicion(drawn_case(seed), verdict, FOUND, "a log\n")
