"""Saving: the record of a finding, the files of its folder, and the run of its reproducer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fuzzer.case import Case, decode, pretty
from fuzzer.errors import CaseError
from fuzzer.examine.observing import REPEATS, Observer
from fuzzer.findings.finding import Finding
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.merging import cause_of
from fuzzer.findings.titles import finding_id, folder_name, title_of
from fuzzer.oracles import DEATHS, Verdict
from fuzzer.oracles.death import STACK
from fuzzer.oracles.verdict import SPECIAL_OPERANDS, ULP
from fuzzer.reduce import size
from fuzzer.report.markdown import markdown
from fuzzer.report.material import read_folder
from fuzzer.report.sections import report

SCRIPT_TIMEOUT_S = 180.0
ENDLESS = -2
"""Stands for the exit code of a reproducer that took longer than `SCRIPT_TIMEOUT_S`."""


@dataclass(frozen=True)
class Sample:
    """What a suspicion came down to: what a finding is made of."""

    suspicion: Suspicion
    case: Case
    """The minimal one."""
    verdict: Verdict
    key: str
    """`key_of` what was found, before minimising."""
    times: int
    """How many of `REPEATS` fresh processes showed it."""
    complete: bool
    """Whether minimising ended by itself."""
    log: str = ""
    again: bool = False
    """It is another sample of a suspicion that was counted before."""


def finding_of(sample: Sample, versions: str) -> Finding:
    """The record of a sample, without the exit code of its script and the seconds it took."""
    suspicion, case, verdict = sample.suspicion, sample.case, sample.verdict
    title = title_of(verdict, case)
    id_ = finding_id(title)
    return Finding(
        id=id_,
        title=title,
        kind=verdict.kind.value,
        stage=verdict.stage.value,
        message=verdict.message,
        ops=tuple(dict.fromkeys(node.op for node in case.model.nodes)),
        patterns=suspicion.case.model.patterns,
        dtypes=tuple(sorted({t.dtype for t in case.model.types.values()})),
        quantisation=case.conversion.scheme,
        entry=case.conversion.entry,
        runtimes=verdict.runtimes,
        blame=verdict.blame,
        severity=verdict.severity,
        unit=verdict.unit,
        versions=versions,
        first_seen=suspicion.found,
        last_seen=suspicion.found,
        count=1,
        reproduced=sample.times,
        repeats=REPEATS,
        minimised=sample.complete,
        nodes=len(case.model.nodes),
        case=case.id,
        found_as=suspicion.case.id,
        path=folder_name(title, id_),
        key=sample.key,
        special_operands=bool(verdict.evidence.get(SPECIAL_OPERANDS)),
        ulp=float(verdict.evidence.get(ULP, 0.0)),
        cause=cause_of(verdict, case),
    )


def fill_folder(folder: Path, finding: Finding, sample: Sample, script: str, observer: Observer) -> None:
    """Fills the empty folder of a finding: texts, numbers (of a death those of runtimes that live), report.

    Raises `OSError` and `ZygoteDiedError`.
    """
    verdict = sample.verdict
    (folder / "case.json").write_text(pretty(sample.suspicion.case))
    (folder / "minimal.json").write_text(pretty(sample.case))
    (folder / "repro.py").write_text(script)
    (folder / "log.txt").write_text(sample.log or sample.suspicion.log)
    if verdict.evidence.get(STACK):
        (folder / "stack.txt").write_text("\n".join([*verdict.evidence[STACK], ""]))
    (folder / "verdict.json").write_text(json.dumps(verdict.to_json(), indent=1, sort_keys=True) + "\n")
    if verdict.kind in DEATHS:
        observer.save_survivors(sample.case, verdict, folder)
    else:
        observer.save_tensors(sample.case, folder)
    (folder / "report.md").write_text(markdown(report(read_folder(folder, finding))))


def sample_size(folder: Path) -> tuple[int, int, int, int, int]:
    """The size of the minimal case in a finding's folder; huge where it is gone or damaged: any new one is better."""
    try:
        return size(decode((folder / "minimal.json").read_bytes()))
    except (OSError, CaseError):
        return (1 << 30, 0, 0, 0, 0)


def run_script(script: str) -> int:
    """Runs a reproducer as its receiver would: own process, own folder, our package out of reach. Its exit code.

    A negative one is the signal that killed it, but for `ENDLESS`: no signal 2 is sent to it.
    """
    with tempfile.TemporaryDirectory(prefix="fuzzer-script-") as folder:
        path = Path(folder) / "repro.py"
        path.write_text(script)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        try:
            done = subprocess.run(
                [sys.executable, str(path)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SCRIPT_TIMEOUT_S,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return ENDLESS
    return done.returncode
