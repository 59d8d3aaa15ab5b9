"""Replay: a saved case again in fresh executors, held against what was found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzzer.case import Case, decode
from fuzzer.case.conversion import TFMOT
from fuzzer.convert import optimised
from fuzzer.errors import CaseError, UserError
from fuzzer.execute import Limits, Zygote, ZygoteDiedError
from fuzzer.findings.examiner import Examiner
from fuzzer.findings.observing import REPEATS
from fuzzer.findings.store import FindingStore
from fuzzer.oracles.verdict import Verdict


@dataclass(frozen=True)
class Target:
    """A case to replay, and the verdict it had (None: any verdict will do)."""

    name: str
    title: str
    case: Case
    verdict: Verdict | None


@dataclass(frozen=True)
class Replayed:
    """`reproduced` (the same kind and message), `changed` (another verdict), `gone`, or `skipped` (not installed)."""

    target: Target
    result: str
    now: str


def targets(crashes: Path, what: str | None) -> list[Target]:
    """What to replay: one id or path, or everything when `what` is None. Raises `UserError` naming what is missing."""
    if what is not None and Path(what).exists():
        path = Path(what)
        return [_folder(path) if path.is_dir() else Target(path.name, "", load_case(path), None)]
    store = FindingStore(crashes)
    findings = store.findings() if what is None else [store.get(what)]
    return [_folder(crashes / f.path, f.id, f.title) for f in findings]


def load_case(path: Path) -> Case:
    """A case from a file. Raises `UserError` with the field that is wrong."""
    try:
        return decode(path.read_bytes())
    except OSError as refused:
        raise UserError(f"{path} cannot be read: {refused.strerror}") from refused
    except CaseError as broken:
        raise UserError(f"{path} is no case: {broken}") from broken


def _folder(folder: Path, name: str | None = None, title: str = "") -> Target:
    sample = folder / "minimal.json"
    if not sample.exists():
        sample = folder / "case.json"
    if not sample.exists():
        raise UserError(f"{folder} holds neither minimal.json nor case.json; the finding's files were removed")
    verdict = None
    try:
        verdict = Verdict.from_json(json.loads((folder / "verdict.json").read_bytes())).confirmed
    except (OSError, ValueError, KeyError, TypeError):
        verdict = None  # damaged or missing: any verdict counts as reproduced
    return Target(name or folder.name, title, load_case(sample), verdict)


def replay(chosen: Sequence[Target], limits: Limits | None = None) -> Iterator[Replayed]:
    """Replays targets one by one, each up to three times in fresh processes until it reproduces.

    Raises `UserError` when TensorFlow cannot be loaded.
    """
    import tempfile

    zygote = Zygote()
    try:
        zygote.wait_ready()
        with tempfile.TemporaryDirectory() as folder:
            examiner = Examiner(zygote.path, FindingStore(Path(folder), create=True), "", limits)
            for target in chosen:
                yield _one(examiner, target)
            examiner.close()
    except ZygoteDiedError as dead:
        raise UserError(f"TensorFlow could not be loaded: {dead}") from dead
    finally:
        zygote.stop()


def _one(examiner: Examiner, target: Target) -> Replayed:
    if target.case.conversion.scheme in TFMOT and not optimised.installed():
        return Replayed(target, "skipped", optimised.INSTALL)
    result = Replayed(target, "gone", "nothing to see")
    for _ in range(REPEATS):
        seen = examiner.observe(target.case, target.verdict, fresh=True, patient=True)
        if seen.verdict is None:
            result = result if result.result == "changed" else Replayed(target, "gone", seen.why)
            continue
        goal = target.verdict
        if goal is None or (seen.verdict.kind, seen.verdict.message) == (goal.kind, goal.message):
            return Replayed(target, "reproduced", f"{seen.verdict.severity:g} {seen.verdict.unit}")
        result = Replayed(target, "changed", f"{seen.verdict.kind.value}: {seen.verdict.message}")
    return result
