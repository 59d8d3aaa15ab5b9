"""Several predicates at work on the next candidates: guesses that change nothing but the time it takes.

Candidates are begun in the order in which they are proposed, as many as there are predicates, and their answers are
read in that order. So the first candidate that holds is the same whoever was asked first; what was begun behind it is
kept for when it comes up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType

from fuzzer.case import Case
from fuzzer.reduce.answers import Answer, Predicate


class Crew:
    """One or more predicates; each is called by one thread at a time. One alone is called by whoever asks."""

    def __init__(self, predicates: Sequence[Predicate]) -> None:
        self.size = len(predicates)
        self.asked = 0
        """Executions, those included whose answers nobody read."""
        self._idle: SimpleQueue[Predicate] = SimpleQueue()
        for predicate in predicates:
            self._idle.put(predicate)
        self._pool = ThreadPoolExecutor(self.size, "reduce") if self.size > 1 else None
        self._begun: dict[str, Future[Answer]] = {}

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for what is at work: an executor must not be ended under the thread that uses it."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, case: Case) -> None:
        """Starts on a candidate whose answer will most likely be wanted."""
        if self._pool is not None and case.id not in self._begun:
            self._begun[case.id] = self._pool.submit(self._ask, case)

    def answer(self, case: Case) -> Answer:
        """The answer for a candidate, begun before or not. Raises what the predicate raises."""
        future = self._begun.pop(case.id, None)
        return self._ask(case) if future is None else future.result()

    def drop(self, cases: Iterable[Case]) -> None:
        """Takes back what was not started yet."""
        for case in cases:
            if (future := self._begun.get(case.id)) is not None and future.cancel():
                del self._begun[case.id]

    def unread(self) -> Iterator[tuple[str, Answer]]:
        """What was found out and not asked for."""
        for id_, future in self._begun.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                yield id_, future.result()

    def _ask(self, case: Case) -> Answer:
        predicate = self._idle.get()
        self.asked += 1
        try:
            answer = predicate(case)
        finally:
            self._idle.put(predicate)
        return answer if isinstance(answer, Answer) else Answer(answer)
