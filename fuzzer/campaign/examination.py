"""Examiners at work beside the drivers: threads of the supervisor that empty the inbox.

Each has an executor of its own; what they know (`Ledger`), what waits (`Waiting`) and the store are shared.
"""

from __future__ import annotations

import errno
import queue
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from fuzzer.campaign.config import cores
from fuzzer.examine.clock import StageClock
from fuzzer.examine.examiner import Examiner, Outcome
from fuzzer.examine.ledger import Ledger
from fuzzer.examine.waiting import Waiting
from fuzzer.execute import Limits, Zygote, ZygoteDiedError
from fuzzer.findings import inbox
from fuzzer.findings.store import FindingStore

_IDLE_S = 0.3
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What a disk says that will say so again."""
MAX_REFUSALS = 5
"""Other refusals in a row (no memory for a process, a folder moved away) after which an examiner gives up."""
_REFUSED_S = 1.0


@dataclass(eq=False)
class _Desk:
    """Where one examiner works."""

    thread: threading.Thread = field(init=False)
    examiner: Examiner | None = None


class Examination:
    """Examines suspicions until told to finish. Results arrive in `outcomes`."""

    def __init__(
        self, zygote: Zygote, crashes: Path, versions: str, limits: Limits, scratch: Path, examiners: int = 1
    ) -> None:
        """`examiners` are at work beside the drivers; when those are done, as many as there are cores.

        Raises `UserError` and `OSError` when the folder or its journal cannot be read.
        """
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.warnings: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.clock = StageClock()
        self._zygote = zygote
        self._versions = versions
        self._limits = limits
        self._scratch = scratch
        self._examiners = examiners
        self._store = FindingStore(crashes)
        self._ledger = Ledger(self._store.findings(), self._store.accounts)
        self._waiting = Waiting(self._store, self._ledger)
        self._draining = threading.Event()
        self._now = threading.Event()
        self._refused = threading.Event()
        """Set once the disk has refused: one warning is enough."""
        self._desks: list[_Desk] = []

    def start(self) -> None:
        """Starts the threads."""
        self._employ(self._examiners)

    def drain(self) -> None:
        """Asks them to end once the inbox is empty; the drivers' cores are free for more of them now."""
        self._draining.set()
        if self._desks and not self._now.is_set():
            self._employ(max(self._examiners, cores()))

    def hurry(self) -> None:
        """Asks them to end now: minimising is cut short and stored as far as it came; the rest stays in the inbox."""
        self._draining.set()
        self._now.set()

    @property
    def running(self) -> bool:
        """Whether any thread is at work."""
        return any(desk.thread.is_alive() for desk in self._desks)

    def join(self, timeout_s: float) -> bool:
        """Waits for their end; whether it came."""
        end = time.monotonic() + timeout_s
        for desk in self._desks:
            desk.thread.join(max(0.0, end - time.monotonic()))
        return not self.running

    @property
    def activity(self) -> str:
        """What the examiners do now, in a few words."""
        doing = [desk.examiner.doing for desk in self._desks if desk.examiner is not None and desk.examiner.doing]
        return " · ".join(doing) if len(doing) < 2 else f"{len(doing)} at work: {' · '.join(doing)}"

    @property
    def alike(self) -> int:
        """How many of the suspicions that wait look like known findings."""
        return self._waiting.alike

    @property
    def set_aside(self) -> int:
        """How many suspicions wait for those before them, which promise the same, to be examined."""
        return self._waiting.set_aside

    # --- the threads ------------------------------------------------------------------------------------

    def _employ(self, count: int) -> None:
        while len(self._desks) < count:
            desk, name = _Desk(), f"examiner-{len(self._desks)}"
            desk.thread = threading.Thread(target=self._run, args=(desk,), name=name, daemon=True)
            self._desks.append(desk)
            desk.thread.start()

    def _run(self, desk: _Desk) -> None:
        refusals = 0
        while not self._now.is_set() and not self._refused.is_set():
            try:
                worked = self._one(desk)
                refusals = 0
                if not worked and self._draining.wait(_IDLE_S):
                    if self._waiting.idle:
                        break
                    self._now.wait(_IDLE_S)  # others are at what waits
            except ZygoteDiedError:
                self._reset(desk)
                self._now.wait(1.0)
            except OSError as refused:
                refusals += 1
                if refusals < MAX_REFUSALS and refused.errno not in _FULL:
                    self._reset(desk)
                    self._now.wait(_REFUSED_S)
                elif not self._refused.is_set():
                    self._refused.set()
                    kept = self._store.folder / inbox.FOLDER
                    self.warnings.put(f"examining stopped: {refused}; suspicions stay in {kept}")
            except Exception:
                # A bug of ours must not end the night: it is shown, and the suspicion is left where it is.
                self.warnings.put("internal error while examining: " + traceback.format_exc(limit=8))
                self._reset(desk)
        self._reset(desk)

    @staticmethod
    def _reset(desk: _Desk) -> None:
        if desk.examiner is not None:
            desk.examiner.close()
            desk.examiner = None

    def _one(self, desk: _Desk) -> bool:
        """Examines the most interesting suspicion; false when there is none to be had."""
        try:
            taken = self._waiting.take(self._now.is_set)
        finally:
            self._tell()
        if taken is None:
            return False
        name, suspicion = taken
        begun = time.monotonic()
        outcome: Outcome | None = None
        again = False
        try:
            if desk.examiner is None:
                desk.examiner = self._examiner()
            outcome = desk.examiner.examine(suspicion, self._now.is_set)
            desk.examiner.doing = ""
        except (ZygoteDiedError, OSError):
            again = True  # of an internal error the suspicion is not brought up again
            raise
        finally:
            if outcome is None or outcome.what == "left":
                self._waiting.leave(name, again or outcome is not None)
            elif outcome.what == "busy":
                self._waiting.put_off(name, outcome.claimed)
            else:
                self._waiting.done(name, time.monotonic() - begun)
        if outcome.what not in ("left", "busy"):
            self.outcomes.put(outcome)
        return True

    def _examiner(self) -> Examiner:
        return Examiner(
            self._zygote.path,
            self._store,
            self._versions,
            self._limits,
            scratch=self._scratch,
            ledger=self._ledger,
            clock=self.clock,
        )

    def _tell(self) -> None:
        """Passes on what was counted without running it, and which files are no suspicions."""
        for sentence in self._waiting.take_broken():
            self.warnings.put(sentence)
        for known in self._waiting.take_counted():
            self.outcomes.put(Outcome(known.what, known.finding, known.why))
