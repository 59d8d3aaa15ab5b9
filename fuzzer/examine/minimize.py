"""Minimising on request: a finding's sample, or a case from a file, with every core.

What each candidate showed is kept below `.reduced`, beside the findings or the file: a run that was interrupted goes on
where it was, and one that was complete runs nothing again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fuzzer import __version__
from fuzzer.campaign import versions
from fuzzer.case import Case, decode, pretty
from fuzzer.disk import write_atomic, write_json
from fuzzer.errors import CaseError, UserError
from fuzzer.examine.answering import Answering
from fuzzer.examine.examiner import Examiner
from fuzzer.examine.observing import Observer, is_same
from fuzzer.examine.replay import Target, targets
from fuzzer.execute import Executor, Zygote, ZygoteDiedError
from fuzzer.findings import inbox
from fuzzer.findings.finding import Finding
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.store import FindingStore
from fuzzer.findings.titles import key_of
from fuzzer.oracles import DEATHS, Verdict
from fuzzer.oracles.verdict import TOLERANCE
from fuzzer.reduce import Answer, Budget, DiskMemory, Literals, Reduction, Size, reduce, size

FOLDER = ".reduced"
"""Below the crashes folder, or beside the file: `<what>.goal` says what is kept, `<what>.jsonl` what candidates did."""
MAX_EXECUTIONS = 5000


def minimize(crashes: Path, what: str, seconds: float, workers: int | None = None) -> str:
    """Minimises and stores the result; returns one sentence. Raises `UserError` when there is nothing to minimise.

    A finding gets a new sample when a smaller one is found; a case file gets a `.minimal.json` beside it. `workers`
    executors work side by side: one a core when it is not given.
    """
    (target,) = targets(crashes, what)
    is_file = Path(what).is_file()
    if not is_file:
        FindingStore(crashes).at(target.name)  # an older sample is none: told now, not after minutes of work
    folder = (Path(what).resolve().parent if Path(what).exists() else crashes) / FOLDER
    processes = _Processes(workers or len(os.sched_getaffinity(0)))
    try:
        goal = _goal(processes, target, folder)
        reduction = _reduced(processes, target.case, goal, folder, seconds)
        sentence = _told(processes, crashes, replace(target, verdict=goal), reduction, Path(what) if is_file else None)
    except ZygoteDiedError as dead:
        raise UserError(f"TensorFlow could not be loaded: {dead}") from dead
    except OSError as refused:
        raise UserError(f"{folder} cannot be written: {refused.strerror or refused}; nothing was changed") from refused
    except KeyboardInterrupt as stop:
        again = "what was found out is kept, and the same command goes on from there"
        raise UserError(f"stopped: {target.name} is as it was; {again}") from stop
    finally:
        processes.close()
    return sentence


# --- reducing ---------------------------------------------------------------------------------------------


class _Processes:
    """A zygote and its executors, started when first needed: a memory may know every answer."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None
        self._executors: list[Executor] = []

    @property
    def zygote(self) -> str:
        """Where executors are forked. Raises `ZygoteDiedError`."""
        with self._lock:  # several threads may find out at once that they need it
            if self._zygote is None:
                self._zygote = Zygote()
                self._zygote.wait_ready()
            return self._zygote.path

    def executor(self) -> Executor:
        """One more executor."""
        made = Executor(self.zygote)
        self._executors.append(made)
        return made

    def close(self) -> None:
        """Ends all of them."""
        for executor in self._executors:
            executor.close()
        if self._zygote is not None:
            self._zygote.stop()


class _Lazy:
    """An `Answering` whose executor starts with its first candidate."""

    def __init__(self, make: Callable[[], Answering]) -> None:
        self._make = make
        self._answering: Answering | None = None

    def __call__(self, case: Case) -> Answer:
        return self._ready()(case)

    def record(self, case: Case) -> Literals:
        """What TensorFlow computes for a case."""
        return self._ready().record(case)

    def _ready(self) -> Answering:
        if self._answering is None:
            self._answering = self._make()
        return self._answering


def _goal(processes: _Processes, target: Target, folder: Path) -> Verdict:
    """What is to be kept while minimising, observed afresh where nobody did so before.

    Raises `UserError` where the case shows nothing, or not what its title says.
    """
    path = folder / f"{_name(target.case.id, *_words(target.verdict))}.goal"
    try:
        return Verdict.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not known yet, or damaged: it is observed again
    observer = Observer(processes.executor())
    seen = observer.observe(target.case, target.verdict, fresh=True, patient=True)
    if seen.verdict is None:
        raise UserError(f"{target.name} shows nothing to keep while minimising: {seen.why}")
    if target.verdict is not None and not is_same(seen.verdict, target.verdict):
        now = f"{seen.verdict.kind.value}: {seen.verdict.message}"
        raise UserError(f"{target.name} shows another defect here ({now}); to minimise that one give its minimal.json")
    _keep_goal(path, seen.verdict)
    return seen.verdict


def _reduced(processes: _Processes, case: Case, goal: Verdict, folder: Path, seconds: float) -> Reduction:
    asked = [*_words(goal), "plainly" if TOLERANCE in goal.evidence else ""]
    memory = DiskMemory(folder / f"{_name(*asked)}.jsonl", {"goal": asked, "of": _releases()})
    made = [_Lazy(lambda: Answering(processes.executor(), goal)) for _ in range(processes.workers)]
    recorder = _Lazy(lambda: Answering(processes.executor(), goal))
    try:
        budget = Budget(seconds, MAX_EXECUTIONS)
        reduction = reduce(case, made, budget, recorder.record, memory)
    finally:
        memory.close()
    if reduction.complete:
        # The smaller case will be asked about by its own id.
        _keep_goal(folder / f"{_name(reduction.case.id, *_words(goal))}.goal", goal)
    return reduction


def _keep_goal(path: Path, goal: Verdict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, goal.to_json())


def _words(verdict: Verdict | None) -> list[str]:
    """What tells one defect from another; of a case without a verdict nothing is known."""
    if verdict is None:
        return []
    where = verdict.runtime if verdict.kind in DEATHS else ""
    return [verdict.kind.value, verdict.stage.value, verdict.message, where]


def _releases() -> str:
    """Whose answers they are: another release of ours may judge otherwise."""
    return f"fuzzer {__version__}, {versions.installed()}"


def _name(*words: str) -> str:
    """A file's name: what was asked of which releases."""
    return hashlib.sha256("\n".join([_releases(), *words]).encode()).hexdigest()[:16]


# --- telling ----------------------------------------------------------------------------------------------


def _told(processes: _Processes, crashes: Path, target: Target, reduction: Reduction, given: Path | None) -> str:
    """Stores what came of it; one sentence."""
    before, after = size(target.case), size(reduction.case)
    others = _others(crashes, reduction) if given is None else ""
    if after >= before:
        if reduction.complete and given is None:
            _mark_minimised(crashes, target)
        least = "as small as it gets" if reduction.complete else "no smaller in this time; the same command goes on"
        return f"{target.name} is {least}: {_measure(before)}{others}"
    if given is not None:
        path = given.with_suffix(".minimal.json")
        write_atomic(path, pretty(reduction.case))
        written = f"written to {path}"
    else:
        written = _stored(processes, crashes, target, reduction)
    more = "" if reduction.complete else "; more may go: the same command goes on"
    change = f"from {_measure(before)} to {_measure(after)}"
    if _measure(before) == _measure(after):
        change = f"the same {_measure(after)}, in plainer words"  # numbers, attributes or settings of the road
    return f"{target.name}: {change}; {written}{more}{others}"


def _others(crashes: Path, reduction: Reduction) -> str:
    """Puts second defects into the inbox, where no finding has their key; what was remembered is there already."""
    if not reduction.others or not reduction.executions:
        return ""
    known = {key for finding in FindingStore(crashes).findings() for key in (finding.key, *finding.other_keys)}
    found = datetime.now(UTC).isoformat(timespec="seconds")
    new = [s for s in reduction.others if key_of(s.verdict, s.case.conversion.scheme) not in known]
    for second in new:
        inbox.save(crashes, Suspicion(second.case, second.verdict, found))
    noun = "suspicion of another defect lies" if len(new) == 1 else "suspicions of other defects lie"
    return f"; {len(new)} {noun} in the inbox, which a campaign examines" if new else ""


def _stored(processes: _Processes, crashes: Path, target: Target, reduction: Reduction) -> str:
    store = FindingStore(crashes, create=True)
    examiner = Examiner(processes.zygote, store, versions.installed())
    try:
        finding = store.at(target.name)
        found = Suspicion(_as_found(store, finding, target), target.verdict, finding.first_seen)
        outcome = examiner.adopt(found, reduction.case, reduction.complete)
    finally:
        examiner.close()
    store.rebuild_index()
    if outcome.finding is None or outcome.what == "seen":
        return f"not stored: {outcome.why}"
    return f"stored as {outcome.finding.path}"


def _mark_minimised(crashes: Path, target: Target) -> None:
    """Takes down that the sample of a finding is the smallest, where a campaign was short of time."""
    store = FindingStore(crashes)
    finding = store.at(target.name)
    if not finding.minimised:
        store.minimised(finding.id)
        store.rebuild_index()


def _as_found(store: FindingStore, finding: Finding, target: Target) -> Case:
    """The case that a finding was found as; the one that was minimised where that is gone or damaged."""
    try:
        return decode((store.folder / finding.path / "case.json").read_bytes())
    except (OSError, CaseError):
        return target.case


def _measure(measure: Size) -> str:
    nodes, weights, values, *_ = measure
    return f"{nodes} {'node' if nodes == 1 else 'nodes'}, {weights} weight and {values} value elements"
