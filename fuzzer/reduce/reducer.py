"""Runs the shrinking passes to a fixed point.

*Progress* is a candidate with a smaller `size` on which the predicate still holds. The one rule for every pass: it
proposes valid cases, most ambitious first, and never draws anything at random, so that a reduction can be repeated.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from fuzzer.case import Case
from fuzzer.oracles.verdict import Verdict
from fuzzer.reduce.answers import Answer, Memory, Predicate
from fuzzer.reduce.crew import Crew
from fuzzer.reduce.measure import size
from fuzzer.reduce.passes import Literals, Pass, Recorder, fits, passes_of

MAX_OTHERS = 8
"""Second defects that one reduction hands back."""


@dataclass
class Budget:
    """What a reduction may cost: seconds on the clock, and executions."""

    seconds: float = 60.0
    executions: int = 400
    stop: Callable[[], bool] = field(default=lambda: False)
    """Asked before every execution: true ends the reduction with the best case so far."""


@dataclass(frozen=True)
class Second:
    """A candidate that shows another defect than the one that is reduced, and that defect."""

    case: Case
    verdict: Verdict


@dataclass(frozen=True)
class Reduction:
    """The smallest case found, what that took, and whether a fixed point was reached.

    `executions` counts answers that had to be found out and `remembered` those that a memory held. `asked` is what ran
    in truth: with several predicates some answers are never read. `others` are second defects met on the way, the
    smallest case of each.
    """

    case: Case
    executions: int
    complete: bool
    others: tuple[Second, ...] = ()
    remembered: int = 0
    asked: int = 0


class _SpentError(Exception):
    """The budget is used up."""


def reduce(
    case: Case,
    holds: Predicate | Sequence[Predicate],
    budget: Budget,
    record: Recorder | None = None,
    memory: Memory | None = None,
) -> Reduction:
    """Shrinks `case` while `holds` stays true. `holds(case)` is taken as given.

    Several predicates work side by side, each on one candidate at a time; the result is the one that any of them alone
    would lead to. `record` tells what TensorFlow computes for a case, so that values of a run can take the place of
    what made them; it is called from the caller's thread. What `memory` knows is not executed again.
    """
    with Crew(holds if isinstance(holds, Sequence) else (holds,)) as crew:
        run = _Run(case, crew, budget, record, memory if memory is not None else Memory())
        try:
            complete = run.to_fixed_point()
        finally:
            run.keep_unread()
    others = tuple(run.others.values())
    return Reduction(run.best, run.executions, complete, others, run.remembered, crew.asked + run.recorded)


class _Run:
    """One reduction under way."""

    def __init__(self, case: Case, crew: Crew, budget: Budget, record: Recorder | None, memory: Memory) -> None:
        self.best = case
        self.executions = self.remembered = self.recorded = 0
        self.others: dict[tuple[str, str, str], Second] = {}
        self._crew = crew
        self._budget = budget
        self._deadline = time.monotonic() + budget.seconds
        self._record = record
        self._memory = memory
        self._tried = {case.id}
        self._passes = passes_of(self._values if record is not None else None)

    def to_fixed_point(self) -> bool:
        """Runs the passes until none helps; false when the budget was used up before."""
        progress = True
        try:
            while progress:
                progress = False
                for propose in self._passes:
                    progress |= self._exhaust(propose)
        except _SpentError:
            return False
        return True

    def keep_unread(self) -> None:
        """Remembers what was found out and not asked for."""
        for id_, answer in self._crew.unread():
            self._memory.keep(id_, answer)

    def _exhaust(self, propose: Pass) -> bool:
        """Repeats a pass until it helps no more; whether it helped."""
        helped = False
        while (smaller := self._first(propose(self.best))) is not None:
            self.best, helped = smaller, True
        return helped

    def _first(self, candidates: Iterator[Case]) -> Case | None:
        """The first candidate that holds. Those behind it are begun meanwhile, as many as can be."""
        waiting: deque[Case] = deque()
        source = self._worth_asking(candidates)
        try:
            while True:
                for candidate in islice(source, self._ahead() - len(waiting)):
                    waiting.append(candidate)
                    if self._memory.answer(candidate.id) is None and not self._over():
                        self._crew.begin(candidate)
                if not waiting:
                    return None
                candidate = waiting.popleft()
                if self._answer(candidate).holds:
                    return candidate
        finally:
            self._crew.drop(waiting)

    def _worth_asking(self, candidates: Iterator[Case]) -> Iterator[Case]:
        """Those that are valid, smaller than the best, and new."""
        known = size(self.best)
        waiting: set[str] = set()
        for candidate in candidates:
            if candidate == self.best or not fits(candidate) or candidate.id in self._tried or candidate.id in waiting:
                continue
            if size(candidate) < known:
                waiting.add(candidate.id)
                yield candidate

    def _ahead(self) -> int:
        """How many candidates may be at work; never more than there are executions left."""
        return max(1, min(self._crew.size, self._budget.executions - self.executions))

    def _answer(self, candidate: Case) -> Answer:
        answer = self._memory.answer(candidate.id)
        if answer is not None:
            self.remembered += 1
        else:
            self._spend()
            answer = self._crew.answer(candidate)
            self._memory.keep(candidate.id, answer)
        self._tried.add(candidate.id)
        if answer.other is not None:
            self._meet(Second(candidate, answer.other))
        return answer

    def _values(self, case: Case) -> Literals:
        known = self._memory.values(case.id)
        if known is None:
            assert self._record is not None
            self._spend()
            self.recorded += 1
            known = self._record(case)
            self._memory.keep_values(case.id, known)
        return known

    def _spend(self) -> None:
        """Counts one execution. Raises `_SpentError` when there is none left."""
        if self._over():
            raise _SpentError
        self.executions += 1

    def _over(self) -> bool:
        budget = self._budget
        return self.executions >= budget.executions or time.monotonic() > self._deadline or budget.stop()

    def _meet(self, second: Second) -> None:
        """Keeps a second defect: of each the smallest case."""
        key = (second.verdict.kind.value, second.verdict.stage.value, second.verdict.message)
        old = self.others.get(key)
        if old is None and len(self.others) >= MAX_OTHERS:
            return
        if old is None or size(second.case) < size(old.case):
            self.others[key] = second
