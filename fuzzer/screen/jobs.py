"""Long jobs of the triage screen (replay, minimise, run the script, write the report), one at a time beside it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fuzzer.errors import UserError

MAX_OUTPUT_LINES = 2000
"""Of a job that prints without end the last lines are kept."""
MAX_ENDED = 100
"""Jobs of the past that are remembered."""
CLOSE_S = 5.0
"""A process that is told to stop has gone after two seconds; nobody who quits waits longer than this."""


@dataclass
class Life:
    """What a running job and the screen say to each other: `stop` from the screen, `lines` from the job."""

    stop: threading.Event = field(default_factory=threading.Event)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_OUTPUT_LINES))


Work = Callable[[str, Life], str]
"""Does a job for a finding's id; returns one sentence. Blocks, says what it prints to `Life`, heeds its `stop`."""


@dataclass
class Job:
    """One long job. `outcome` is written by its thread last, so reading it needs no lock."""

    verb: str
    id: str
    title: str
    work: Work
    started: float = 0.0
    ended: float = 0.0
    outcome: str | None = None
    failed: bool = False
    life: Life = field(default_factory=Life)

    @property
    def stopped(self) -> bool:
        """Whether a person has stopped it."""
        return self.life.stop.is_set()

    def run(self) -> None:
        """Does the work. Whatever goes wrong there is said on the screen, which must stay alive."""
        try:
            outcome = self.work(self.id, self.life)
        except UserError as refused:
            self.failed = True
            outcome = str(refused)
        except Exception as broken:  # the boundary to engine code in a thread of its own
            self.failed = True
            outcome = f"{type(broken).__name__}: {broken}"
        self.outcome = outcome


class Jobs:
    """A queue of jobs, one running at a time: two TensorFlows at once would slow each other and a campaign."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: deque[Job] = deque()
        self._thread: threading.Thread | None = None
        self.current: Job | None = None
        self.ended: deque[Job] = deque(maxlen=MAX_ENDED)

    @property
    def waiting(self) -> int:
        """Jobs that have not started."""
        return len(self._waiting)

    def all(self) -> list[Job]:
        """Every job of the session, the latest first: waiting, running, ended."""
        return [*reversed(self._waiting), *([self.current] if self.current else []), *reversed(self.ended)]

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
            ended.ended = self._clock()
            self.ended.append(ended)
            self.current = None
        self._start_next()
        return ended

    def stop(self) -> Job | None:
        """Stops the running job and drops the waiting ones; returns the one that was running."""
        self._waiting.clear()
        if self.current:
            self.current.life.stop.set()
        return self.current

    def close(self) -> None:
        """Stops everything and waits a moment for the processes to be gone."""
        self.stop()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def elapsed_s(self) -> float:
        """How long the running job has run."""
        return self._clock() - self.current.started if self.current else 0.0

    def _start_next(self) -> None:
        if self.current is None and self._waiting:
            self.current = self._waiting.popleft()
            self.current.started = self._clock()
            # A daemon: should a process not end even then, the person who quits must not wait for it.
            self._thread = threading.Thread(target=self.current.run, name=f"triage-{self.current.verb}", daemon=True)
            self._thread.start()
