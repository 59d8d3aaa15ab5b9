"""The examiner at work beside the drivers: a thread of the supervisor that empties the inbox."""

from __future__ import annotations

import queue
import threading
import traceback
from pathlib import Path

from fuzzer.errors import CaseError
from fuzzer.execute import Limits, Zygote, ZygoteDiedError
from fuzzer.findings import inbox
from fuzzer.findings.examiner import Examiner, Outcome
from fuzzer.findings.facets import facets_of
from fuzzer.findings.store import FindingStore

_IDLE_S = 0.3


class Examination:
    """Examines suspicions until told to finish. Results arrive in `outcomes`."""

    def __init__(self, zygote: Zygote, crashes: Path, versions: str, limits: Limits, scratch: Path) -> None:
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.warnings: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._zygote = zygote
        self._crashes = crashes
        self._versions = versions
        self._limits = limits
        self._scratch = scratch
        self._draining = threading.Event()
        self._now = threading.Event()
        self._examiner: Examiner | None = None
        self._broken: set[str] = set()
        self._facets: dict[str, tuple[str, ...]] = {}
        """Of the suspicions that wait, by file name: each is read once to be compared."""
        self._thread = threading.Thread(target=self._run, name="examiner", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def drain(self) -> None:
        """Asks it to end once the inbox is empty."""
        self._draining.set()

    def hurry(self) -> None:
        """Asks it to end now: minimising is cut short and stored as far as it came; the rest stays in the inbox."""
        self._draining.set()
        self._now.set()

    @property
    def running(self) -> bool:
        """Whether the thread is at work."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Waits for its end; whether it came."""
        self._thread.join(timeout_s)
        return not self.running

    # --- the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._now.is_set():
            try:
                if self._examiner is None:
                    store = FindingStore(self._crashes)
                    self._examiner = Examiner(
                        self._zygote.path, store, self._versions, self._limits, scratch=self._scratch
                    )
                if not self._one(self._examiner) and self._draining.wait(_IDLE_S) and not self._waiting():
                    break
            except ZygoteDiedError:
                self._reset()
                self._now.wait(1.0)
            except OSError as refused:
                self.warnings.put(f"examining stopped: {refused}; suspicions stay in {self._crashes / inbox.FOLDER}")
                break
            except Exception:
                # A bug of ours must not end the night: it is shown, and the suspicion is left where it is.
                self.warnings.put("internal error while examining: " + traceback.format_exc(limit=8))
                self._reset()
        self._reset()

    def _reset(self) -> None:
        if self._examiner is not None:
            self._examiner.close()
            self._examiner = None

    def _waiting(self) -> list[Path]:
        return [p for p in inbox.waiting(self._crashes) if p.name not in self._broken]

    def _one(self, examiner: Examiner) -> bool:
        """Examines the most interesting suspicion; false when there is none."""
        chosen = self._choose(examiner)
        if chosen is None:
            return False
        path, suspicion = chosen
        self._broken.add(path.name)  # until it is through: an internal error must not bring it up again
        outcome = examiner.examine(suspicion, self._now.is_set)
        self._broken.discard(path.name)
        examiner.doing = ""
        if outcome.what != "left":
            path.unlink(missing_ok=True)
            self.outcomes.put(outcome)
        return True

    def _choose(self, examiner: Examiner) -> tuple[Path, inbox.Suspicion] | None:
        """The suspicion with the least examined facet, the oldest of several."""
        waiting = self._waiting()
        self._facets = {path.name: self._facets_of(path) for path in waiting}
        ranked = sorted(waiting, key=lambda path: examiner.interest(self._facets[path.name]))
        for path in ranked:
            suspicion = self._read(path)
            if suspicion is not None:
                return path, suspicion
        return None

    def _facets_of(self, path: Path) -> tuple[str, ...]:
        known = self._facets.get(path.name)
        if known is not None:
            return known
        suspicion = self._read(path)
        return () if suspicion is None else facets_of(suspicion)

    def _read(self, path: Path) -> inbox.Suspicion | None:
        if path.name in self._broken:
            return None
        try:
            return inbox.load(path)
        except CaseError as broken:
            self._broken.add(path.name)
            self.warnings.put(f"{path} is left alone: {broken}")
            return None

    @property
    def activity(self) -> str:
        """What the examiner does now, in a few words."""
        return self._examiner.doing if self._examiner is not None else ""
