"""Observing: what a case shows when it is run, alone, again, and part by part.

Everything happens in an executor that may die; nothing here imports TensorFlow.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fuzzer.case import RUNTIMES, Case, to_json
from fuzzer.examine import kernels
from fuzzer.execute import JUDGING, Death, Executor, Reply
from fuzzer.findings.titles import CALIBRATED_ON
from fuzzer.oracles import DEATHS, Kind, Stage, Verdict
from fuzzer.oracles.death import FRAME, KERNEL, judge_death
from fuzzer.oracles.verdict import CONFIRMED_AS, TOLERANCE

REPEATS = 3
"""Fresh processes a suspicion is repeated in: a defect that shows half of the time is missed by one in eight."""
HANG_FACTOR = 2.5
"""A hang must still be one at this multiple of the campaign's time-out."""
SAVE_S = 30.0
"""For running the minimal case once more on every runtime, to keep the numbers."""
MAX_PROBED = 24
"""Operators of a minimal flatbuffer that are run alone to find the one that kills."""


def is_same(seen: Verdict, goal: Verdict) -> bool:
    """Whether two verdicts name one defect: kind, stage and words, and of a death where it happened."""
    words = (seen.kind, seen.stage, seen.message) == (goal.kind, goal.stage, goal.message)
    return words and (goal.kind not in DEATHS or seen.runtime == goal.runtime)


def is_as_plain(seen: Verdict, goal: Verdict) -> bool:
    """Whether one number tells wrong outputs from right ones still, where it does of the goal.

    An operator may be wrong by ever less, and be followed by ever more that hides it, and still be wrong. What is left
    then are outputs that look right, and a script that shows nothing.
    """
    return TOLERANCE not in goal.evidence or TOLERANCE in seen.evidence


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
    death: Verdict | None = None
    """How the process died while confirming what is no death."""
    unasked: tuple[Verdict, ...] = ()
    """What else was said of a case without a goal, and nobody has tried to confirm."""


class Observer:
    """Runs cases in one executor. Not safe for use by several threads at once.

    Every method raises `ZygoteDiedError` and `OSError`.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def observe(self, case: Case, goal: Verdict | None, fresh: bool = False, patient: bool = False) -> Observation:
        """Runs a case once and confirms what it shows.

        `goal` says which kind is looked for (None: any). `fresh` uses a new process, `patient` waits longer before it
        calls something a hang. Raises `ExecutorBugError`.
        """
        if fresh:
            self._executor.stop()
        patient = patient and (goal is None or goal.kind is Kind.HANG)
        timeout = self._executor.limits.timeout_for(case) * (HANG_FACTOR if patient else 1.0)
        if goal is None or goal.kind in DEATHS:
            # The audit runs operators on operands of its own: what dies there is no defect of the case.
            request: dict[str, Any] = {"command": "run", "case": to_json(case), "audited": goal is None}
        else:
            request = {"command": "confirm", "case": to_json(case), "verdict": goal.to_json()}
            timeout *= 3  # the truth runs the case eight times over
        answer = self._executor.run(request, timeout)
        if isinstance(answer, Death):
            verdict = judge_death(answer)
            if goal is not None and goal.kind not in DEATHS:
                # Confirming runs more than the case did; a death here is not what was suspected.
                why = f"{verdict.kind.value} while confirming: {verdict.message}"
                return Observation(None, why, answer.log, death=verdict)
            if goal is None and answer.stage == JUDGING:
                return self.observe(case, verdict, fresh=True)
            return Observation(verdict, "", answer.log)
        message = answer.message
        if "bug" in message:
            raise ExecutorBugError(message["bug"])
        if request["command"] == "confirm":
            tree = message["verdict"]
            unjudged = str(message.get("unjudged", ""))
            return Observation(Verdict.from_json(tree) if tree else None, message["why"], unjudged=unjudged)
        seen = Observation(None, "the process came through this time")
        said = [Verdict.from_json(tree) for tree in message["verdicts"]] if goal is None else []
        for i, verdict in enumerate(said, 1):
            # What is said first may be a false alarm beside what is none.
            seen = self.observe(case, verdict)
            if seen.verdict is not None:
                return replace(seen, unasked=tuple(said[i:]))
        return seen

    def repeatability(self, case: Case, goal: Verdict) -> tuple[int, Verdict, str]:
        """How many of `REPEATS` fresh processes show the defect, the last verdict that did, and its log.

        Where none says what the goal says, those count that are of its kind and stage: the verdict, which gives the
        title, is then another than the goal (`is_same`).
        """
        alike: list[Observation] = []
        for _ in range(REPEATS):
            # Candidates of a reduction are not waited for: some that are only slow pass for a hang until here.
            seen = self.observe(case, goal, fresh=True, patient=True)
            if seen.verdict is not None and seen.verdict.kind is goal.kind and seen.verdict.stage is goal.stage:
                alike.append(seen)
        shown = [seen for seen in alike if seen.verdict is not None and is_same(seen.verdict, goal)] or alike
        verdict = shown[-1].verdict if shown else None
        return len(shown), verdict or goal, next((seen.log for seen in reversed(shown) if seen.log), "")

    def deadly_node(self, case: Case, verdict: Verdict) -> str:
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

    def overflowing(self, case: Case, verdict: Verdict) -> dict[str, Any]:
        """Evidence that a conversion died of calibrating on NaN or infinity: one defect, whatever op made them."""
        if verdict.stage is not Stage.CONVERT or not case.conversion.calibrated:
            return {}
        self._executor.stop()
        answer = self._executor.run({"command": "finite", "case": to_json(case)})
        if isinstance(answer, Death) or answer.message.get("finite", True):
            return {}
        return {CALIBRATED_ON: "NaN or infinity"}

    def rewritten(self, case: Case, verdict: Verdict) -> Verdict:
        """The verdict with the converter pass that made the model wrong, where it is found.

        Raises `ExecutorBugError`.
        """
        request = {"command": "rewrite", "case": to_json(case), "verdict": verdict.to_json()}
        answer = self._executor.run(request, self._executor.limits.timeout_for(case) * 3)
        if isinstance(answer, Death):
            return replace(verdict, evidence={**verdict.evidence, "no pass": "the process died while looking"})
        if "bug" in answer.message:
            raise ExecutorBugError(answer.message["bug"])
        evidence = {**verdict.evidence, **answer.message["rewrite"], CONFIRMED_AS: verdict.message}
        return replace(verdict, message=answer.message["message"] or verdict.message, evidence=evidence)

    def save_tensors(self, case: Case, folder: Path) -> None:
        """The flatbuffer and the numbers of every runtime, or of the guilty ones where another dies of the case."""
        every = replace(case, inference=replace(case.inference, runtimes=RUNTIMES))
        for asked in (every, case):
            answer = self._executor.run({"command": "save", "case": to_json(asked), "folder": str(folder)}, SAVE_S)
            if isinstance(answer, Reply):
                return

    def save_survivors(self, case: Case, verdict: Verdict, folder: Path) -> None:
        """Of a death under one runtime: the flatbuffer and the numbers of the runtimes that live, and how others die.

        Each is run in a process of its own first. Nothing is written where the conversion itself dies.
        """
        if verdict.stage not in (Stage.ALLOCATE, Stage.INVOKE) or verdict.runtime not in RUNTIMES:
            return
        alive: list[str] = []
        dead: dict[str, str] = {}
        for runtime in (r for r in RUNTIMES if r != verdict.runtime):
            with tempfile.TemporaryDirectory(prefix="fuzzer-survivor-") as aside:
                answer = self._save(case, (runtime,), Path(aside))
            if isinstance(answer, Death):
                told = judge_death(answer)
                dead[runtime] = f"dies of {told.evidence.get('signal') or told.kind.value} in {told.stage.value}"
            else:
                alive.append(runtime)
        if alive and isinstance(self._save(case, tuple(alive), folder), Death):
            return
        if alive or dead:
            kernels.add_deaths(folder, dead)

    def _save(self, case: Case, runtimes: tuple[str, ...], folder: Path) -> Reply | Death:
        """Keeps what a case gives under some runtimes, without its relation: what dies of that is known."""
        asked = replace(case, inference=replace(case.inference, runtimes=runtimes, relation="none"))
        self._executor.stop()
        return self._executor.run({"command": "save", "case": to_json(asked), "folder": str(folder)}, SAVE_S)
