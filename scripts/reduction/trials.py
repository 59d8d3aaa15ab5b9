"""Trials: a larger case with a planted defect each, and what the examiner makes of it."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from threading import Lock, Thread, local
from typing import Any
from unittest.mock import patch

from rich.console import Console

from fuzzer.case import Case, Conversion, to_json
from fuzzer.examine import saving
from fuzzer.examine.examiner import Examiner
from fuzzer.examine.facets import facets_of
from fuzzer.examine.ledger import Ledger
from fuzzer.examine.observing import ExecutorBugError, Observer
from fuzzer.examine.saving import Sample
from fuzzer.execute import Death, Executor, Limits, Zygote
from fuzzer.findings import Finding, FindingStore
from fuzzer.findings.finding import NOT_RUN
from fuzzer.findings.inbox import Suspicion
from fuzzer.oracles import Verdict
from fuzzer.oracles.death import FRAME, judge_death
from fuzzer.reduce import size
from scripts.defects import Party
from scripts.defects.planted import PLANTED, Planted
from scripts.defects.target import IN_HAND
from scripts.reduction.larger import larger

TARGET = "scripts.defects.target"
TIMEOUT_S = 20.0
BUSY_S = 0.5
"""Between two tries where another station reduces a case of the same key."""
_FOUND = "2026-01-01T00:00:00+00:00"


@dataclass
class Trial:
    """One case with a planted defect, and what became of it."""

    defect: str
    case: str = ""
    begun_with: int = 0
    """Nodes of the case."""
    outcome: str = ""
    id: str = ""
    """Of the finding that it ended under."""
    title: str = ""
    """Its own, which is another than the finding's where the two were merged."""
    missed: list[str] = field(default_factory=list)
    """What is more than in the smallest case (nodes, scheme, settings, runtimes, threads, samples), or of another."""
    ops: list[str] = field(default_factory=list)
    nodes: int = 0
    weights: int = 0
    values: int = 0
    seconds: float = 0.0
    executions: int = 0
    complete: bool = False
    recognised: str = ""
    """Id of the finding that it would have been counted under without being reduced; empty for none."""
    why: str = ""
    """Of a case that made no finding: why not."""

    @property
    def found(self) -> bool:
        """Whether it made a finding."""
        return bool(self.id)

    @property
    def minimal(self) -> bool:
        """Whether it came down to the smallest case."""
        return self.found and not self.missed


class Forgetful(Ledger):
    """A ledger that knows all findings and counts nothing under them: every case is reduced.

    It says what it would have said, to the thread that asked.
    """

    def __init__(self, store: FindingStore) -> None:
        super().__init__(store.findings(), store.accounts)
        self._said = local()

    def would_say(self, suspicion: Suspicion) -> str:
        """Id of the finding under which a campaign would count a suspicion without running it; empty for none."""
        verdict = suspicion.verdict
        assert verdict is not None
        ops = {node.op for node in suspicion.case.model.nodes}
        framed = bool(verdict.evidence.get(FRAME))
        found = self.recognised(verdict.kind, facets_of(suspicion), ops, framed, verdict.runtime)
        return found.id if found is not None else ""

    @property
    def would_be(self) -> str:
        """Id of the finding under which the last case of this thread would be, had it not been reduced."""
        return str(getattr(self._said, "id", ""))

    def known(self, key: str, title: str, verdict: Verdict, case: Case) -> Finding | None:
        """None; `would_be` tells."""
        found = super().known(key, title, verdict, case)
        self._said.id = found.id if found is not None else ""
        return None

    def exhausted(self, suspicion: Suspicion) -> bool:
        """Never."""
        return False


class Watched(Examiner):
    """The product's examiner, which keeps the last sample that it stored."""

    sample: Sample | None = None

    def _store(self, sample: Sample) -> Any:
        self.sample = sample
        return super()._store(sample)


class Station:
    """A stack with a defect in hand: a zygote, an executor to find cases with, and an examiner."""

    def __init__(self, store: FindingStore, ledger: Forgetful, seconds: float, folder: Path) -> None:
        """`ledger` is what all stations know together."""
        self._hand = folder / "defect"
        self._hand.write_text("")
        self._count = folder / "defect.count"
        with patch.dict(os.environ, {IN_HAND: str(self._hand)}):
            self._zygote = Zygote(TARGET)
        self._zygote.wait_ready()
        limits = Limits(timeout_s=TIMEOUT_S)
        self._executor = Executor(self._zygote.path, limits)
        self.examiner = Watched(self._zygote.path, store, "planted", limits, reduce_seconds=seconds, ledger=ledger)
        self._ledger = ledger

    def close(self) -> None:
        """Ends the processes."""
        self.examiner.close()
        self._executor.close()
        self._zygote.stop()

    def trial(self, planted: Planted, rng: Random) -> Trial:
        """The first larger case that is silent without the defect and suspicious with it, examined."""
        trial = Trial(planted.name)
        for case in larger(planted, rng):
            verdict, log = self._shown(case, planted)
            if verdict is None:
                continue
            trial.case, trial.begun_with = case.id, len(case.model.nodes)
            return self._examined(trial, planted, Suspicion(case, verdict, _FOUND, log))
        trial.why = "no case shows it"
        return trial

    def _shown(self, case: Case, planted: Planted) -> tuple[Verdict | None, str]:
        """What the oracles say of a case because of the defect, and the log of a death."""
        self._hand.write_text("")
        clean = self._executor.run({"command": "run", "case": to_json(case)})
        if isinstance(clean, Death) or clean.message.get("verdicts", [True]) or not clean.message["converted"]:
            return None, ""
        self._hand.write_text(planted.name)
        sick = self._executor.run({"command": "run", "case": to_json(case)})
        if isinstance(sick, Death):
            verdict = judge_death(sick)
            return (verdict if verdict.kind in planted.kinds else None), sick.log
        if "bug" in sick.message:
            raise ExecutorBugError(f"{planted.name}: {sick.message['bug']}")
        told = [Verdict.from_json(v) for v in sick.message["verdicts"]]
        return next((v for v in told if v.kind in planted.kinds), None), ""

    def _examined(self, trial: Trial, planted: Planted, suspicion: Suspicion) -> Trial:
        self._hand.write_text(planted.name)
        self._count.write_bytes(b"")
        self.examiner.sample = None
        recognised = self._ledger.would_say(suspicion)
        begun = time.monotonic()
        try:
            while (outcome := self.examiner.examine(suspicion)).what == "busy":
                time.sleep(BUSY_S)
                begun = time.monotonic()
                self._count.write_bytes(b"")
        except ExecutorBugError as mistake:
            return replace(trial, why=f"a mistake of ours: {str(mistake).strip().splitlines()[-1]}")
        trial.seconds = time.monotonic() - begun
        trial.executions = self._count.stat().st_size
        trial.outcome, trial.recognised = outcome.what, recognised or self._ledger.would_be
        sample = self.examiner.sample
        if outcome.finding is None or sample is None:
            return replace(trial, why=outcome.why)
        trial.id, trial.complete = outcome.finding.id, sample.complete
        trial.title = saving.finding_of(sample, "").title
        trial.ops = [node.op for node in sample.case.model.nodes]
        trial.nodes, trial.weights, trial.values, *_ = size(sample.case)
        trial.missed = [
            *beyond(planted, sample.case),
            *(["another defect"] if self._is_another(sample, planted) else []),
        ]
        return trial

    def _is_another(self, sample: Sample, planted: Planted) -> bool:
        """Whether a smallest case shows its kind of finding on the stock stack too: then it is not of what was planted.

        So few nodes as are wanted say nothing of which they are; that the stack alone is silent does.
        """
        self._hand.write_text("")
        try:
            seen = Observer(self._executor).observe(sample.case, sample.verdict, fresh=True)
        finally:
            self._hand.write_text(planted.name)
        verdict = seen.verdict or seen.death
        return verdict is not None and verdict.kind in planted.kinds


def beyond(planted: Planted, case: Case) -> list[str]:
    """What a case has more than the smallest one with a defect."""
    wanted, missed = planted.minimum, []
    if len(case.model.nodes) > wanted.nodes:
        missed.append("nodes")
    if case.conversion.scheme != wanted.scheme:
        missed.append("scheme")
    plain = replace(Conversion(), scheme=wanted.scheme, **wanted.settings).repaired()  # type: ignore[arg-type]
    odd = [n for n in Conversion.__dataclass_fields__ if getattr(case.conversion, n) != getattr(plain, n)]
    missed += [n for n in odd if n != "scheme"]
    runtimes = case.inference.runtimes
    guilty = planted.defect.runtimes if planted.defect.party is not Party.CONVERTER else runtimes
    if len(runtimes) != 1 or not set(runtimes) <= set(guilty):
        missed.append("runtimes")
    if case.inference.threads > 1:
        missed.append("threads")
    if len(case.inference.inputs) > 1:
        missed.append("samples")
    return missed


def trials(
    per_defect: int, seconds: float, seed: int, parallel: int, only: str, folder: Path, console: Console
) -> list[Trial]:
    """`per_defect` cases of every planted defect, in a drawn order, over `parallel` stations that share one store."""
    work = [(p, n) for p in PLANTED.values() if only in p.name for n in range(per_defect)]
    Random(seed).shuffle(work)  # or nothing of another defect would be known while the first of one is examined
    done: list[Trial] = []
    lock = Lock()

    def serve(station: Station) -> None:
        while True:
            with lock:
                if not work:
                    return
                planted, number = work.pop()
            try:
                trial = station.trial(planted, Random(f"{seed}/{planted.name}/{number}"))
            except ExecutorBugError as mistake:
                trial = Trial(planted.name, why=f"a mistake of ours: {mistake}")
            with lock:
                done.append(trial)
                console.log(f"{trial.defect}: {trial.title or trial.why}"[:140], markup=False)

    with ExitStack() as stack:
        # What is planted is in no stack that a script can meet.
        stack.enter_context(patch.object(saving, "run_script", lambda script: NOT_RUN))
        store = FindingStore(folder / "crashes", create=True)
        ledger, stations = Forgetful(store), []
        for number in range(parallel):
            own = folder / f"station-{number}"
            own.mkdir(parents=True)
            stations.append(Station(store, ledger, seconds, own))
            stack.callback(stations[-1].close)
        threads = [Thread(target=serve, args=(station,)) for station in stations]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return done


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for stations and the findings of a measurement."""
    return tempfile.TemporaryDirectory(prefix="bench-reduce-")
