"""Long jobs of the triage screen (replay, minimise), one at a time beside the screen."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fuzzer.errors import UserError


@dataclass
class Job:
    """One long job. `outcome` is written by its thread last, so reading it needs no lock."""

    verb: str
    id: str
    title: str
    work: Callable[[str], str]
    started: float = 0.0
    outcome: str | None = None
    failed: bool = False

    def run(self) -> None:
        """Does the work. Whatever goes wrong there is said on the screen, which must stay alive."""
        try:
            outcome = self.work(self.id)
        except UserError as refused:
            self.failed = True
            outcome = str(refused)
        except Exception as broken:  # the boundary to engine code in a thread of its own
            self.failed = True
            outcome = f"{type(broken).__name__}: {broken}"
        self.outcome = outcome


class Jobs:
    """A queue of jobs, one running at a time: two TensorFlows at once would slow each other and a campaign.

    Threads are daemons, because a person who quits must not wait a minute for a replay to end; the source's
    own clean-up at exit ends the processes a job has started.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: deque[Job] = deque()
        self.current: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return self.current is not None or bool(self._waiting)

    @property
    def waiting(self) -> int:
        """Jobs that have not started."""
        return len(self._waiting)

    def add(self, job: Job) -> bool:
        """Queues a job unless the same is running or queued already; says whether it did."""
        same = [j for j in (self.current, *self._waiting) if j and (j.verb, j.id) == (job.verb, job.id)]
        if same:
            return False
        self._waiting.append(job)
        self._start_next()
        return True

    def poll(self) -> Job | None:
        """The job that has just ended, if one has; starts the next."""
        ended = self.current if self.current and self.current.outcome is not None else None
        if ended:
            self.current = None
        self._start_next()
        return ended

    def elapsed_s(self) -> float:
        """How long the running job has run."""
        return self._clock() - self.current.started if self.current else 0.0

    def _start_next(self) -> None:
        if self.current is None and self._waiting:
            self.current = self._waiting.popleft()
            self.current.started = self._clock()
            threading.Thread(target=self.current.run, name=f"triage-{self.current.verb}", daemon=True).start()
