"""The supervisor: owns the clock, the workers, the statistics, the findings store and the screen.

It never imports TensorFlow, so nothing native can kill it. Whatever dies below it is started again; what was in
flight goes to the inbox.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fuzzer import native
from fuzzer.campaign import versions
from fuzzer.campaign.config import CampaignConfig, default_examiners
from fuzzer.campaign.corpus import BLOCKS_FILE, Corpus
from fuzzer.campaign.crew import Crew
from fuzzer.campaign.examination import Examination
from fuzzer.campaign.lock import Lock
from fuzzer.campaign.snapshot import Snapshot
from fuzzer.campaign.statistics import Statistics
from fuzzer.campaign.trouble import Trouble
from fuzzer.campaign.worker import Worker
from fuzzer.coverage import tables
from fuzzer.disk import write_json
from fuzzer.errors import UserError
from fuzzer.execute import Zygote, ZygoteDiedError
from fuzzer.execute.client import DEFAULT_TARGET, own_scratch
from fuzzer.findings import FindingStore, inbox
from fuzzer.findings.hiding import Hider
from fuzzer.findings.known import load as load_known

STATUS_FILE = "status.json"
_STATUS_S = 1.0
_TICK_S = 0.2
_DRAW_S = 0.5
_PENDING_S = 2.0
_DRIVER_GRACE_S = 8.0
"""How long a driver may take for its last case before it is killed."""
FINISH_SHARE = 0.08
MAX_FINISH_S = 14.0
"""The end of a timed campaign is kept for examining what was found: 8 % of it, at most 14 s."""
HURRY_S = 12.0
"""What a minimisation that is cut short may still take: repeating its case and running the reproducer."""
INTERRUPTED_FINISH_S = 40.0
DRAIN_CASES_S = 600.0
"""After a campaign of a number of cases the inbox is emptied, for at most ten minutes."""


class Supervisor:
    """One campaign. `run` blocks until it is over; `draw` is called about twice a second with a snapshot."""

    def __init__(self, config: CampaignConfig, draw: Callable[[Snapshot], None] = lambda _: None) -> None:
        """Opens the folders. Raises `UserError` when they cannot be used."""
        self.config = config
        self._hider = Hider(load_known(config.known))
        self.corpus = Corpus(config.corpus)
        said = versions.check() if config.target == DEFAULT_TARGET else []
        self.trouble = Trouble(self.corpus.state / "warnings.log", [*said, *filter(None, [native.problem()])])
        self.store = FindingStore(config.crashes, create=True)
        advice = "choose other folders (--corpus DIR --crashes DIR), or wait for it to end"
        self._locks = [Lock(self.corpus.state / "lock", str(config.corpus), advice)]
        try:
            self._locks.append(Lock(config.crashes / ".lock", str(config.crashes), advice))
        except UserError:
            self._locks[0].release()
            raise
        self.seed = config.seed if config.seed is not None else secrets.randbelow(1 << 31)
        self.statistics = Statistics()
        self.crew = Crew(config, self.corpus.state, self.store, self.trouble, self._take_event)
        self._draw = draw
        self._state = "starting"
        self._started_at = datetime.now(UTC)
        self._began = time.monotonic()
        self._scratch = own_scratch()
        self._interrupts = 0
        self._new: set[str] = set()
        self._newest = self._newest_at = ""
        self._last_status = 0.0
        self._last_tick = -1.0
        self._pending_at = -_PENDING_S
        self._pending_count = 0
        self._alike_count = 0
        self._corpus_size = 0
        self._examination: Examination | None = None
        self._index_stale = True

    # --- the whole --------------------------------------------------------------------------------------

    def run(self) -> Snapshot:
        """Runs the campaign to its end and returns the last snapshot. Raises `UserError` when it cannot start."""
        previous = signal.signal(signal.SIGINT, self._on_interrupt)
        zygote = Zygote(self.config.target, self.corpus.state / "zygote.log", watch=self._watches)
        try:
            self._prepare()
            # Drivers load while TensorFlow does: the zygote's socket is there already and answers when it is ready.
            self.crew.start(zygote.path, self.seed, self._scratch, self._space_file if self._watches else None)
            self._wait_for(zygote)
            self._find_blocks(zygote)
            self._examination = Examination(
                zygote,
                self.config.crashes,
                versions.installed(),
                self.config.limits,
                self._scratch,
                self.config.examiners or default_examiners(),
            )
            if self.config.examine:
                self._examination.start()
            self._state = "running"
            self._loop(zygote)
            self._finish()
        finally:
            self.crew.close()
            zygote.stop()
            shutil.rmtree(self._scratch, ignore_errors=True)
            signal.signal(signal.SIGINT, previous)
        return self._conclude()

    def _prepare(self) -> None:
        """Recovers what an earlier campaign left, archives the corpus for a fresh start, reads features."""
        self.crew.recover_all()
        with contextlib.suppress(OSError):  # litter that stays harms nobody
            self.store.sweep()
        if self.config.fresh:
            self.corpus.archive()
        readable, unreadable = self.corpus.readable()
        self.trouble.warnings += [f"corpus entry left alone: {sentence}" for sentence in unreadable[:5]]
        self.corpus.refresh()
        self.corpus.keep_only(path.stem for path in readable)
        for path in self.corpus.files():
            self._corpus_size += 1
            self.statistics.know(self.corpus.features_of(path.stem) or [])
        findings = self.store.findings()
        if self.store.damaged:
            self.trouble.warnings.append(
                f"{self.store.damaged} damaged lines of {self.store.journal.path} were skipped; the rest is used"
            )
        if not findings:
            self._rebuild_index()

    def _wait_for(self, zygote: Zygote) -> None:
        try:
            zygote.wait_ready()
        except ZygoteDiedError as dead:
            raise UserError(f"TensorFlow could not be loaded: {dead}") from dead

    def _find_blocks(self, zygote: Zygote) -> None:
        """Says which native blocks there are: drivers wait for that. Libraries that nobody has seen take 15 s."""
        if not self._watches:
            return

        def progress(library: str, share: float) -> None:
            self._state = f"reading {library}: {share:.0%}"
            self._tick()

        space, problems = tables.ensure(zygote.libraries, progress)
        self.trouble.warnings += problems
        known = self.corpus.known_blocks(space)
        self.statistics.watch(space, known)
        if space.size and self._corpus_size and not known:
            self.trouble.warn(
                "the corpus was made without native coverage, or with other libraries: blocks are found anew"
            )
        libraries = {"libraries": space.to_json()}
        if space.size and self.config.guidance.feedback != "none":
            # What `coverage` reads later; a campaign that watches nothing leaves the last word to the one before.
            write_json(self.corpus.state / BLOCKS_FILE, libraries)
        write_json(self._space_file, libraries, sync=False)

    @property
    def _watches(self) -> bool:
        # A target of one's own brings no library of TensorFlow's.
        asked = self.config.guidance.feedback == "native" or self.config.guidance.watch
        return asked and self.config.target == DEFAULT_TARGET

    @property
    def _space_file(self) -> Path:
        return self._scratch / BLOCKS_FILE

    def _loop(self, zygote: Zygote) -> None:
        """Reads events until the time is up, the cases are done, or somebody says stop."""
        while not self._over():
            self.crew.read(_TICK_S)
            self._take_outcomes()
            if not zygote.alive:
                self.trouble.warn("the zygote died and was started again")
                zygote.restart()
                try:
                    zygote.wait_ready()
                except ZygoteDiedError as dead:
                    self.trouble.broken = f"TensorFlow could not be loaded again: {dead}"
            self.crew.revive()
            self._tick()

    def _over(self) -> bool:
        if self._interrupts or self.trouble.ends_it:
            return True
        if self.config.seconds is not None and self.elapsed >= self.config.seconds - self._finish_s:
            return True
        return self.crew.done

    @property
    def _finish_s(self) -> float:
        seconds = self.config.seconds or 0.0
        return min(MAX_FINISH_S, seconds * FINISH_SHARE)

    @property
    def elapsed(self) -> float:
        """Seconds since the campaign was asked for."""
        return time.monotonic() - self._began

    # --- what is told -----------------------------------------------------------------------------------

    def _take_event(self, worker: Worker, event: dict[str, Any]) -> None:
        match event["event"]:
            case "case":
                self.statistics.take(worker.config.worker, event, self.elapsed)
                self._corpus_size += bool(event["kept"])
            case "bug":
                self.statistics.take(worker.config.worker, event, self.elapsed)
                last = event["text"].strip().splitlines()[-1]
                self.trouble.warn(f"internal error (case {event['case']}): {last}")
            case "warning" if event["text"] not in self.trouble.warnings:
                self.trouble.warn(event["text"])
            case "disk":
                self.trouble.disk = str(event["error"])

    def _take_outcomes(self) -> None:
        examination = self._examination
        assert examination is not None
        while not examination.warnings.empty():
            self.trouble.warn(examination.warnings.get())
        while not examination.outcomes.empty():
            outcome = examination.outcomes.get()
            self.statistics.dismissed += outcome.what == "dismissed"
            if outcome.unjudged:
                self.statistics.health.take_unjudged(outcome.unjudged)
            if outcome.what == "new" and outcome.finding is not None:
                self._new.add(outcome.finding.id)
                self._newest, self._newest_at = outcome.finding.title, _stamp()
            self._index_stale = self._index_stale or outcome.what in ("new", "better")
        if self._index_stale:
            self._rebuild_index()

    def _rebuild_index(self) -> None:
        try:
            self.store.rebuild_index()
            self._index_stale = False
        except OSError as refused:
            self.trouble.disk = str(refused)

    def _tick(self) -> None:
        now = self.elapsed
        if now - self._last_tick < _DRAW_S:
            return
        self._last_tick = now
        snapshot = self.snapshot()
        if self._examination is not None:  # before, nobody knows yet what the corpus has reached
            self.statistics.remember(now, len(self._new))
        if now - self._last_status >= _STATUS_S:
            self._last_status = now
            self._write_status(snapshot)
        self._draw(snapshot)

    def _write_status(self, snapshot: Snapshot) -> None:
        try:
            write_json(self.config.crashes / STATUS_FILE, snapshot.to_json(), sync=False, indent=None)
        except OSError as refused:
            self.trouble.disk = str(refused)

    def snapshot(self) -> Snapshot:
        """The campaign as it stands."""
        examination = self._examination
        return self.statistics.snapshot(
            self.elapsed,
            self.store.findings(),
            self._new,
            self._hider,
            state=self._state,
            pid=os.getpid(),
            started=self._started_at.isoformat(timespec="seconds"),
            written=_stamp(),
            budget_s=self.config.seconds,
            budget_cases=self.config.cases,
            seed=self.seed,
            workers=len(self.crew.workers),
            corpus_dir=str(self.config.corpus),
            crashes_dir=str(self.config.crashes),
            versions=versions.installed(),
            corpus=self._corpus_size,
            pending=self._pending(),
            alike=self._alike_count,
            set_aside=examination.set_aside if examination else 0,
            examining=examination.activity if examination else "",
            examined=examination.clock.totals() if examination else {},
            newest=self._newest,
            newest_at=self._newest_at,
            warnings=tuple(self.trouble.warnings[-6:]),
        )

    def _pending(self) -> int:
        """Suspicions waiting, counted anew every two seconds."""
        if self.elapsed - self._pending_at >= _PENDING_S or self._state == "finished":
            self._pending_at = self.elapsed
            self._pending_count = inbox.count(self.config.crashes)
            self._alike_count = self._examination.alike if self._examination else 0
        return self._pending_count

    # --- the end ----------------------------------------------------------------------------------------

    def _on_interrupt(self, *_: object) -> None:
        self._interrupts += 1

    def _finish(self) -> None:
        """Stops in steps: drivers are asked, then killed; the examiner drains the inbox, then is hurried."""
        self._state = "stopping"
        self.crew.ask_to_stop()
        grace = time.monotonic() + _DRIVER_GRACE_S
        end = self._began + self.config.seconds if self.config.seconds else time.monotonic() + DRAIN_CASES_S
        if self._interrupts:
            end = min(end, time.monotonic() + INTERRUPTED_FINISH_S)
        examination = self._examination
        assert examination is not None
        examination.drain()
        while time.monotonic() < end and self._interrupts < 2 and not self.trouble.disk:
            alive = self.crew.alive
            self.crew.read(_TICK_S)
            self._take_outcomes()
            self._tick()
            if alive and time.monotonic() > grace:
                self.crew.kill_slow()
            if not alive and not examination.running:
                break
        examination.hurry()
        hurry_end = time.monotonic() + HURRY_S
        while examination.running and time.monotonic() < hurry_end and self._interrupts < 2:
            self._take_outcomes()
            self._tick()
            examination.join(_TICK_S)

    def _conclude(self) -> Snapshot:
        self.crew.recover_all()
        self._index_stale = True  # counts have moved since the last title
        self._take_outcomes()
        self.trouble.say_why_it_ended(self.config.crashes)
        self._state = "finished"
        self.statistics.remember(self.elapsed, len(self._new), last=True)
        snapshot = self.snapshot()
        self._write_status(snapshot)
        for lock in self._locks:
            lock.release()
        return snapshot


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
