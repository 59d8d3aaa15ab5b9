"""Replay: a saved case again in fresh executors, held against what was found."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzzer.case import Case, decode
from fuzzer.case.conversion import TFMOT
from fuzzer.convert import optimised
from fuzzer.errors import CaseError, UserError
from fuzzer.examine.examiner import Examiner
from fuzzer.examine.observing import REPEATS, ExecutorBugError
from fuzzer.execute import Limits, Zygote, ZygoteDiedError
from fuzzer.findings.finding import LOOKS_FLAKY
from fuzzer.findings.store import FindingStore
from fuzzer.findings.titles import key_of
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
    """`reproduced`, `changed` (another verdict), `gone`, or `skipped`, which says nothing.

    Reproduced is the same kind and message at the same stage, as far as the title names one. Skipped is what needs a
    package that is not installed, and what a bug of ours is in the way of.
    """

    target: Target
    result: str
    now: str
    """How often it was shown, and what."""


def targets(crashes: Path, what: str) -> list[Target]:
    """What to replay: one id or path. Raises `UserError` naming what is missing."""
    if Path(what).exists():
        path = Path(what)
        return [_folder(path) if path.is_dir() else Target(path.name, "", load_case(path), None)]
    finding = FindingStore(crashes).get(what)
    return [_folder(crashes / finding.path, finding.id, finding.title)]


def all_targets(crashes: Path) -> tuple[list[Target], list[str]]:
    """Every finding, and a sentence for each whose files are damaged: one of them must not hold up all others."""
    found: list[Target] = []
    broken: list[str] = []
    for finding in FindingStore(crashes).findings():
        try:
            found.append(_folder(crashes / finding.path, finding.id, finding.title))
        except UserError as why:
            broken.append(f"{finding.id}: {why}")
    return found, broken


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
                try:
                    yield _one(examiner, target)
                except ExecutorBugError as bug:  # one finding must not hold up all others
                    yield Replayed(target, "skipped", f"internal error: {str(bug).strip().splitlines()[-1]}")
            examiner.close()
    except ZygoteDiedError as dead:
        raise UserError(f"TensorFlow could not be loaded: {dead}") from dead
    finally:
        zygote.stop()


def record(crashes: Path, replayed: Replayed, at: str) -> str:
    """Journals what became of a finding of `crashes`; what is none of it (a case file, say) is left alone.

    Returns a sentence on why it could not, empty where it could: a replay is worth its answer on a full disk too.
    """
    if not replayed.target.title or replayed.result == "skipped":
        return ""
    try:
        store = FindingStore(crashes)
        store.replayed(replayed.target.name, replayed.result, replayed.now, at)
        store.rebuild_index()
    except OSError as refused:
        return f"not stored: {refused.strerror or refused}"
    return ""


def _one(examiner: Examiner, target: Target) -> Replayed:
    if target.case.conversion.scheme in TFMOT and not optimised.installed():
        return Replayed(target, "skipped", optimised.INSTALL)
    goal, changed, why = target.verdict, "", ""
    for run in range(1, REPEATS + 1):
        seen = examiner.observe(target.case, goal, fresh=True, patient=True)
        if seen.verdict is None:
            why = seen.why
        elif goal is None or key_of(seen.verdict, "") == key_of(goal, ""):
            said = ", ".join(filter(None, (_how_bad(seen.verdict), _in_run(run))))
            return Replayed(target, "reproduced", said)
        else:
            changed = _told(seen.verdict, goal)
    if changed:
        return Replayed(target, "changed", changed)
    return Replayed(target, "gone", f"0 of {REPEATS} fresh runs showed it: {why or 'nothing to see'}")


def _told(now: Verdict, goal: Verdict) -> str:
    """What is seen instead; where only the words are the same, also where."""
    if (now.kind, now.message) != (goal.kind, goal.message):
        return f"{now.kind.value}: {now.message}"
    return f"{now.kind.value} in {now.stage.value}: {now.message}"


def _in_run(run: int) -> str:
    if run == 1:
        return "in the first fresh run"
    return f"only in run {run} of {REPEATS}: {LOOKS_FLAKY}"


def _how_bad(verdict: Verdict) -> str:
    if verdict.unit == "error":
        return ""  # there is always one of it
    if verdict.unit != "signal":
        return f"{verdict.severity:g} {verdict.unit}"
    number = int(verdict.severity)
    name = signal.Signals(number).name if number in {s.value for s in signal.Signals} else "unknown"
    return f"signal {number} ({name})"
