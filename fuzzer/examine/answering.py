"""What a candidate of a reduction shows: the defect that is reduced, another one, or none."""

from __future__ import annotations

from dataclasses import dataclass

from fuzzer.case import Case, to_json
from fuzzer.examine.observing import ExecutorBugError, Observer, is_as_plain, is_same
from fuzzer.execute import Death, Executor
from fuzzer.oracles import Verdict
from fuzzer.reduce import Answer, Literals


@dataclass(frozen=True)
class Answering:
    """Runs the candidates of one reduction in one executor. Not safe for use by several threads at once.

    Both methods raise `ZygoteDiedError`.
    """

    executor: Executor
    goal: Verdict

    def __call__(self, case: Case) -> Answer:
        """Whether a candidate shows the goal; else what was confirmed of it, or how the process died of it."""
        observer = Observer(self.executor)
        try:
            seen = observer.observe(case, self.goal)
        except ExecutorBugError:
            return Answer(False)  # this candidate trips over a bug of ours; the suspicion itself did not
        if seen.verdict is None:
            return Answer(False, seen.death)
        if is_same(seen.verdict, self.goal):
            return Answer(is_as_plain(seen.verdict, self.goal))
        return Answer(False, seen.verdict)

    def record(self, case: Case) -> Literals:
        """What TensorFlow computes for the small values of a case; nothing where it dies or refuses.

        Nothing either where a bug of ours is in the way: reduction has other passes, and the finding is not lost.
        """
        answer = self.executor.run({"command": "values", "case": to_json(case)}, self.executor.limits.timeout_for(case))
        if isinstance(answer, Death) or "bug" in answer.message:
            return {}
        return {
            name: tuple(None if values is None else tuple(values) for values in samples)
            for name, samples in answer.message["values"].items()
        }
