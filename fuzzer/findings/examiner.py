"""The examiner: takes a suspicion from the inbox and makes a finding of it, or says why it is none.

Repeat in fresh processes, confirm, minimise, give it a title, write the reproducer and run it. Everything happens
in executors that may die; nothing here imports TensorFlow.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from fuzzer.case import RELATIONS, RUNTIMES, Case, pretty, to_json
from fuzzer.execute import Death, Executor, Limits, Reply
from fuzzer.findings.finding import Finding
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.propagated import Propagated
from fuzzer.findings.script import reproducer
from fuzzer.findings.store import FindingStore
from fuzzer.findings.titles import CALIBRATED_ON, finding_id, folder_name, key_of, title_of
from fuzzer.oracles import DEATHS, Kind, Stage, Verdict
from fuzzer.oracles.death import FRAME, KERNEL, STACK, judge_death
from fuzzer.oracles.verdict import CONFIRMED_AS, RELATION, SPECIAL_OPERANDS, ULP
from fuzzer.reduce import Budget, reduce, size
from fuzzer.report.markdown import markdown
from fuzzer.report.material import read_folder
from fuzzer.report.sections import report

REPEATS = 3
"""Fresh processes a suspicion is repeated in: a defect that shows half of the time is missed by one in eight."""
EXAMINED_PER_KEY = 3
"""Suspicions minimised for one key; later ones are only counted, so that one defect does not fill the night."""
HANG_FACTOR = 2.5
"""A hang must still be one at this multiple of the campaign's time-out."""
SCRIPT_TIMEOUT_S = 180.0
SAVE_S = 30.0
"""For running the minimal case once more on every runtime, to keep the numbers."""
MAX_PROBED = 24
"""Operators of a minimal flatbuffer that are run alone to find the one that kills."""

Stop = Callable[[], bool]


class ExecutorBugError(Exception):
    """The target raised: a bug of ours, never a reason to dismiss a suspicion. Carries the traceback."""


@dataclass(frozen=True)
class Observation:
    """What one execution of a case said: the verdict, or None and why, and the native log."""

    verdict: Verdict | None
    why: str
    log: str = ""
    unjudged: str = ""
    """What was in the way where nobody could judge it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a suspicion: `new`, `better` (a smaller sample), `seen`, `dismissed`, or `left` (no time)."""

    what: str
    finding: Finding | None
    why: str = ""
    unjudged: str = ""
    """Of a dismissal: what was in the way where nobody could judge it."""


class Examiner:
    """Examines suspicions one at a time. Not safe for use by several threads at once."""

    def __init__(
        self,
        zygote_path: str,
        store: FindingStore,
        versions: str,
        limits: Limits | None = None,
        reduce_seconds: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        scratch: Path | None = None,
    ) -> None:
        self.store = store
        self.versions = versions
        self.doing = ""
        """What it is doing now, for the screen."""
        self._executor = Executor(zygote_path, limits, scratch)
        self._reduce_seconds = reduce_seconds
        self._now = now
        self._examined: dict[str, int] = {}
        """By key: what was minimised. By facet, apart from it: what was looked at."""
        self._looked: dict[str, int] = {}
        self._explained: set[str] = set()
        """Facets that a finding accounts for: what shows them again is most likely the same defect."""
        self._begun = 0.0
        self._findings: dict[str, Finding] = {}
        self._propagated = Propagated(())
        for finding in store.findings():
            self._remember(finding)
            self._examined[finding.key] = self._examined.get(finding.key, 0) + finding.count

    def close(self) -> None:
        """Ends its executor."""
        self._executor.close()

    def interest(self, facets: Sequence[str]) -> tuple[bool, int]:
        """What goes first is least: what no finding accounts for, then what was examined least often.

        Of a suspicion with several facets one that is explained explains it all: its other operators may be innocent.
        """
        looked = min((self._looked.get(facet, 0) for facet in facets), default=0)
        return any(facet in self._explained for facet in facets), looked

    def examine(self, suspicion: Suspicion, stop: Stop = lambda: False) -> Outcome:
        """Turns a suspicion into a finding or dismisses it; the journal knows the outcome when this returns.

        `stop` cuts minimising short. Raises `ZygoteDiedError` and `OSError`; the suspicion is then untouched.
        """
        self._begun = monotonic()
        case, scheme = suspicion.case, suspicion.case.conversion.scheme
        if suspicion.verdict is not None and suspicion.verdict.kind in DEATHS:
            known = self._recognised(suspicion.verdict, case)
            if known is not None:
                return self._count(known, case, "recognised without running it")
        if self._propagated.exhausted(suspicion):
            why = "how NaN and infinity propagate was looked at for each operator and runtime of it"
            self.store.dismiss(suspicion, why)
            return Outcome("dismissed", None, why)
        self.doing = f"repeating a {suspicion.verdict.kind.value if suspicion.verdict else 'case in flight'}"
        for facet in facets_of(suspicion):
            self._looked[facet] = self._looked.get(facet, 0) + 1
        first = self.observe(case, suspicion.verdict, patient=True)
        if first.verdict is None:
            self.store.dismiss(suspicion, first.why, self._spent())
            return Outcome("dismissed", None, first.why, first.unjudged)
        self._explained.update(explained_by(suspicion, first.verdict))
        suspicion = related(suspicion, first.verdict)
        case = suspicion.case
        key = key_of(first.verdict, scheme)
        known = self._saturated(key, case) or self._propagated.known(first.verdict)
        if known is not None:
            return self._count(known, case, "known title")
        if stop():
            return Outcome("left", None, "no time left")
        self._examined[key] = self._examined.get(key, 0) + 1
        return self._settle(suspicion, first.verdict, key, stop)

    def adopt(self, suspicion: Suspicion) -> Outcome:
        """Stores a case that was minimised elsewhere, whatever is known of its like."""
        self._begun = monotonic()
        first = self.observe(suspicion.case, suspicion.verdict, fresh=True, patient=True)
        if first.verdict is None:
            return Outcome("dismissed", None, first.why)
        key = key_of(first.verdict, suspicion.case.conversion.scheme)
        return self._settle(suspicion, first.verdict, key, lambda: True)

    # --- observing --------------------------------------------------------------------------------------

    def observe(self, case: Case, goal: Verdict | None, fresh: bool = False, patient: bool = False) -> Observation:
        """Runs a case once and confirms what it shows.

        `goal` says which kind is looked for (None: any). `fresh` uses a new process, `patient` waits longer before it
        calls something a hang.
        """
        if fresh:
            self._executor.stop()
        patient = patient and (goal is None or goal.kind is Kind.HANG)
        timeout = self._executor.limits.timeout_for(case) * (HANG_FACTOR if patient else 1.0)
        if goal is None or goal.kind in DEATHS:
            request: dict[str, Any] = {"command": "run", "case": to_json(case)}
        else:
            request = {"command": "confirm", "case": to_json(case), "verdict": goal.to_json()}
            timeout *= 3  # the truth runs the case eight times over
        answer = self._executor.run(request, timeout)
        if isinstance(answer, Death):
            verdict = judge_death(answer)
            if goal is not None and goal.kind not in DEATHS:
                # Confirming runs more than the case did; a death here is not what was suspected.
                return Observation(None, f"{verdict.kind.value} while confirming: {verdict.message}", answer.log)
            return Observation(verdict, "", answer.log)
        message = answer.message
        if "bug" in message:
            raise ExecutorBugError(message["bug"])
        if request["command"] == "confirm":
            tree = message["verdict"]
            unjudged = str(message.get("unjudged", ""))
            return Observation(Verdict.from_json(tree) if tree else None, message["why"], unjudged=unjudged)
        if goal is None and message["verdicts"]:
            return self.observe(case, Verdict.from_json(message["verdicts"][0]))
        return Observation(None, "the process came through this time")

    def same(self, case: Case, goal: Verdict) -> bool:
        """Whether a case shows the very same defect."""
        try:
            seen = self.observe(case, goal).verdict
        except ExecutorBugError:
            return False  # this candidate trips over a bug of ours; the suspicion itself did not
        return (
            seen is not None
            and (seen.kind, seen.stage, seen.message) == (goal.kind, goal.stage, goal.message)
            and (goal.kind not in DEATHS or seen.runtime == goal.runtime)
        )

    def repeatability(self, case: Case, goal: Verdict) -> tuple[int, Verdict, str]:
        """How many of `REPEATS` fresh processes show the defect, the last verdict that did, and its log."""
        times, verdict, log = 0, goal, ""
        for _ in range(REPEATS):
            seen = self.observe(case, goal, fresh=True)
            if seen.verdict is not None and seen.verdict.kind is goal.kind and seen.verdict.stage is goal.stage:
                times, verdict, log = times + 1, seen.verdict, seen.log or log
        return times, verdict, log

    # --- known ones -------------------------------------------------------------------------------------

    def _recognised(self, verdict: Verdict, case: Case) -> Finding | None:
        """A known death: same key, and the ops that it needs are all here, unless the native stack names it without."""
        ops = {node.op for node in case.model.nodes}
        for finding in self._findings.values():
            named = bool(verdict.evidence.get(FRAME)) and not finding.blame
            if finding.key == key_of(verdict, case.conversion.scheme) and (named or set(finding.ops) <= ops):
                return finding
        return None

    def _saturated(self, key: str, case: Case) -> Finding | None:
        if self._examined.get(key, 0) < EXAMINED_PER_KEY:
            return None
        ops = {node.op for node in case.model.nodes}
        # Where the title names ops, another chain of ops may be another defect: it is minimised too.
        known = [f for f in self._findings.values() if f.key == key]
        told = (f.blame == "converter" or any(op in f.title for op in f.ops) for f in known)
        return next((f for f, by_ops in zip(known, told, strict=True) if set(f.ops) <= ops or not by_ops), None)

    def _count(self, finding: Finding, case: Case, why: str) -> Outcome:
        seconds = self._spent()
        self.store.seen(finding.id, case.id, self._stamp(), seconds)
        spent = finding.examined_s + seconds
        self._remember(replace(finding, count=finding.count + 1, last_seen=self._stamp(), examined_s=spent))
        return Outcome("seen", finding, why)

    def _remember(self, finding: Finding) -> None:
        self._findings[finding.id] = finding
        self._propagated.remember(finding)

    def _deadly_node(self, case: Case, verdict: Verdict) -> str:
        """The operator that alone kills the runtime, for a death in `allocate` or `invoke`; empty when none does.

        Nothing is run where the native stack names the kernel.
        """
        if verdict.evidence.get(FRAME) and verdict.evidence.get(KERNEL):
            return ""
        if verdict.stage not in (Stage.ALLOCATE, Stage.INVOKE) or verdict.kind is not Kind.CRASH:
            return ""
        for position in range(MAX_PROBED):
            request = {"command": "probe", "case": to_json(case), "position": position, "runtime": verdict.runtime}
            self._executor.stop()
            answer = self._executor.run(request, self._executor.limits.timeout_for(case))
            if isinstance(answer, Death):
                return answer.detail.partition(" ")[2] if answer.stage == "probe" else ""
            if not answer.message.get("op"):
                return ""
        return ""

    def _overflowing(self, case: Case, verdict: Verdict) -> dict[str, Any]:
        """Evidence that a conversion died of calibrating on NaN or infinity: one defect, whatever op made them."""
        if verdict.stage is not Stage.CONVERT or not case.conversion.calibrated:
            return {}
        self._executor.stop()
        answer = self._executor.run({"command": "finite", "case": to_json(case)})
        if isinstance(answer, Death) or answer.message.get("finite", True):
            return {}
        return {CALIBRATED_ON: "NaN or infinity"}

    def _rewritten(self, case: Case, verdict: Verdict) -> Verdict:
        """The verdict with the converter pass that made the model wrong, where it is found."""
        self.doing = "looking for the converter's pass"
        request = {"command": "rewrite", "case": to_json(case), "verdict": verdict.to_json()}
        answer = self._executor.run(request, self._executor.limits.timeout_for(case) * 3)
        if isinstance(answer, Death):
            return replace(verdict, evidence={**verdict.evidence, "no pass": "the process died while looking"})
        if "bug" in answer.message:
            raise ExecutorBugError(answer.message["bug"])
        evidence = {**verdict.evidence, **answer.message["rewrite"], CONFIRMED_AS: verdict.message}
        return replace(verdict, message=answer.message["message"] or verdict.message, evidence=evidence)

    # --- making a finding -------------------------------------------------------------------------------

    def _settle(self, suspicion: Suspicion, verdict: Verdict, key: str, stop: Stop) -> Outcome:
        self.doing = f"minimising: {verdict.message[:60]}"
        budget = Budget(self._reduce_seconds, stop=stop)
        reduction = reduce(suspicion.case, lambda candidate: self.same(candidate, verdict), budget)
        self.doing = f"repeating the minimal case: {verdict.message[:50]}"
        times, final, log = self.repeatability(reduction.case, verdict)
        case = reduction.case
        if times == 0:
            case = suspicion.case
            times, final, log = self.repeatability(case, verdict)
        if times == 0:
            self.store.dismiss(suspicion, "shown once, never again in fresh processes", self._spent())
            return Outcome("dismissed", None, "not repeatable")
        if final.kind in DEATHS:
            evidence = {**final.evidence, **self._overflowing(case, final)}
            final = replace(final, blame=self._deadly_node(case, final), evidence=evidence)
        if final.blame == "converter" and final.kind in (Kind.VALUE, Kind.NAN_PROPAGATION):
            final = self._rewritten(case, final)
        finding = self._finding(suspicion, case, final, key, times, reduction.complete)
        return self._store(finding, suspicion, case, final, log)

    def _finding(
        self, suspicion: Suspicion, case: Case, verdict: Verdict, key: str, times: int, complete: bool
    ) -> Finding:
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
            versions=self.versions,
            first_seen=suspicion.found,
            last_seen=suspicion.found,
            count=1,
            reproduced=times,
            repeats=REPEATS,
            minimised=complete,
            nodes=len(case.model.nodes),
            case=case.id,
            found_as=suspicion.case.id,
            path=folder_name(title, id_),
            key=key,
            special_operands=bool(verdict.evidence.get(SPECIAL_OPERANDS)),
            ulp=float(verdict.evidence.get(ULP, 0.0)),
        )

    def _store(self, finding: Finding, suspicion: Suspicion, case: Case, verdict: Verdict, log: str) -> Outcome:
        old = self._findings.get(finding.id)
        if old is not None:
            finding = replace(finding, first_seen=min(old.first_seen, finding.first_seen), count=old.count + 1)
            if self._old_size(old) <= size(case):
                return self._count(old, case, "a smaller sample is known")
        self.doing = f"running the reproducer: {finding.title[:60]}"
        script = reproducer(case, verdict, finding.title, self.versions)
        before = old.examined_s if old is not None else 0.0
        finding = replace(finding, script_exit=run_script(script), examined_s=round(before + self._spent(), 3))

        def fill(folder: Path) -> None:
            (folder / "case.json").write_text(pretty(suspicion.case))
            (folder / "minimal.json").write_text(pretty(case))
            (folder / "repro.py").write_text(script)
            (folder / "log.txt").write_text(log or suspicion.log)
            if verdict.evidence.get(STACK):
                (folder / "stack.txt").write_text("\n".join([*verdict.evidence[STACK], ""]))
            (folder / "verdict.json").write_text(_json(verdict.to_json()))
            if verdict.kind not in DEATHS:
                self._save_tensors(case, folder)
            (folder / "report.md").write_text(markdown(report(read_folder(folder, finding))))

        self.store.add(finding, fill)
        self._remember(finding)
        return Outcome("new" if old is None else "better", finding)

    def _save_tensors(self, case: Case, folder: Path) -> None:
        """The flatbuffer and the numbers of every runtime, or of the guilty ones where another dies of the case."""
        every = replace(case, inference=replace(case.inference, runtimes=RUNTIMES))
        for asked in (every, case):
            answer = self._executor.run({"command": "save", "case": to_json(asked), "folder": str(folder)}, SAVE_S)
            if isinstance(answer, Reply):
                return

    def _old_size(self, old: Finding) -> tuple[int, int, int, int, int]:
        from fuzzer.case import decode
        from fuzzer.errors import CaseError

        try:
            return size(decode((self.store.folder / old.path / "minimal.json").read_bytes()))
        except (OSError, CaseError):
            return (1 << 30, 0, 0, 0, 0)  # the sample is gone or damaged: any new one is better

    def _spent(self) -> float:
        """Seconds since the suspicion in hand was taken up."""
        return monotonic() - self._begun

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="seconds")


def facets_of(suspicion: Suspicion) -> tuple[str, ...]:
    """What may be new about a suspicion before anybody looked at it closely.

    All differences of values say the same words; what tells them apart is the operators of the flatbuffer, one of which
    is to blame. Other verdicts name their defect themselves.
    """
    verdict, scheme = suspicion.verdict, suspicion.case.conversion.scheme
    if verdict is None:
        return ()
    operators = verdict.evidence.get("operators")
    if verdict.kind in (Kind.VALUE, Kind.NAN_PROPAGATION) and isinstance(operators, list):
        who = ",".join(sorted(verdict.runtimes))
        return tuple(f"{verdict.kind.value}|{scheme}|{who}|{operator}" for operator in operators)
    return (key_of(verdict, scheme),)


def related(suspicion: Suspicion, found: Verdict) -> Suspicion:
    """The suspicion with its case naming the relation under which the defect was found, where one was tried."""
    name = found.evidence.get(RELATION)
    if name not in RELATIONS:
        return suspicion
    inference = replace(suspicion.case.inference, relation=str(name))
    return replace(suspicion, case=replace(suspicion.case, inference=inference), verdict=found)


def explained_by(suspicion: Suspicion, found: Verdict) -> tuple[str, ...]:
    """The facets of a suspicion that what was found accounts for: of values, those of the operator to blame."""
    facets = facets_of(suspicion)
    if found.kind not in (Kind.VALUE, Kind.NAN_PROPAGATION) or found.blame in ("", "converter"):
        return facets
    return tuple(facet for facet in facets if facet.endswith(f"|{found.blame}"))


def run_script(script: str) -> int:
    """Runs a reproducer as its receiver would: own process, own folder, our package out of reach. Its exit code."""
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
            return -2
    return done.returncode


def _json(tree: Any) -> str:
    import json

    return json.dumps(tree, indent=1, sort_keys=True) + "\n"
