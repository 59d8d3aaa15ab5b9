"""The drivers of a campaign: started, read, started again when they die, and asked to stop.

Whatever a driver was at when it died goes to the inbox: the examiner finds out what that does.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fuzzer.campaign.config import CampaignConfig, DriverConfig, default_workers
from fuzzer.campaign.slot import clear, in_flight
from fuzzer.campaign.trouble import Trouble
from fuzzer.campaign.worker import Worker
from fuzzer.case import decode
from fuzzer.disk import link
from fuzzer.errors import CaseError
from fuzzer.findings import FindingStore, inbox

MAX_BARREN_STARTS = 4
"""Starts in a row without a single case after which a driver is given up, and the campaign with it."""
_SEEDS_APART = 1_000_003
"""Between the seeds of two workers; each restart of one adds its own (`Worker.start`)."""


class Crew:
    """The workers of one campaign. `take` is called with every event that one of them sends."""

    def __init__(
        self,
        config: CampaignConfig,
        state: Path,
        store: FindingStore,
        trouble: Trouble,
        take: Callable[[Worker, dict[str, Any]], None],
    ) -> None:
        """Starts nobody. `state` is the folder of slots and logs."""
        self.workers: list[Worker] = []
        self._config = config
        self._state = state
        self._store = store
        self._trouble = trouble
        self._take = take

    def start(self, zygote: str, seed: int, scratch: Path, space: Path | None) -> None:
        """Starts all drivers, on the socket `zygote`.

        `scratch` is for their own folders; in the file `space` they will find the native blocks, if there are any.
        """
        config = self._config
        count = config.workers or default_workers(config.examiners)
        for i in range(count):
            share = None
            if config.cases is not None:
                share = config.cases // count + (i < config.cases % count)
                if share == 0:
                    continue
            driver = DriverConfig(
                worker=i,
                seed=seed + i * _SEEDS_APART,
                corpus=str(config.corpus.resolve()),
                crashes=str(config.crashes.resolve()),
                zygote=zygote,
                scratch=str(scratch / f"worker-{i}"),
                events=-1,
                max_cases=share,
                limits=dict(config.limits.__dict__),
                guidance=asdict(config.guidance),
                space=str(space) if space is not None else "",
            )
            self.workers.append(Worker(driver, self._log(i)))

    @property
    def done(self) -> bool:
        """Whether all have said goodbye."""
        return bool(self.workers) and all(worker.done for worker in self.workers)

    @property
    def alive(self) -> list[Worker]:
        """Those whose process runs."""
        return [w for w in self.workers if w.process.poll() is None]

    # --- events -----------------------------------------------------------------------------------------

    def read(self, wait_s: float) -> None:
        """Takes what the drivers have sent, or sends within that many seconds."""
        with selectors.DefaultSelector() as selector:
            open_workers = [w for w in self.workers if w.events >= 0]
            for worker in open_workers:
                selector.register(worker.events, selectors.EVENT_READ, worker)
            if not open_workers:
                time.sleep(wait_s)
                return
            for key, _ in selector.select(wait_s):
                events = key.data.read()
                if events is None and key.data.done:
                    key.data.hang_up()
                for event in events or ():
                    self._told(key.data, event)
                if events is None:
                    time.sleep(0.01)  # the driver is gone; `revive` sees its exit in a moment

    def _told(self, worker: Worker, event: dict[str, Any]) -> None:
        if event["event"] == "case" and event["kept"]:
            self._share(worker, f"{event['case']}.json")
        self._take(worker, event)

    def _share(self, worker: Worker, name: str) -> None:
        """Gives what one driver added to the corpus to its siblings."""
        for sibling in self.workers:
            if sibling is worker:
                continue
            try:
                link(self._config.corpus / name, Path(sibling.config.scratch) / "corpus" / name)
            except OSError:
                continue  # the sibling is being restarted and will read the whole corpus

    # --- deaths -----------------------------------------------------------------------------------------

    def revive(self) -> None:
        """Starts drivers again that died; the cases they were at go to the inbox."""
        for worker in self.workers:
            if worker.process.poll() is not None and not worker.done:
                self._revive(worker)

    def _revive(self, worker: Worker) -> None:
        for event in worker.read() or ():
            self._told(worker, event)
        if worker.done:
            return
        number = worker.config.worker
        self._recover(self._slot(worker))
        if worker.barren >= MAX_BARREN_STARTS:
            self._trouble.broken = (
                f"driver {number} ended {worker.barren} times without running a case; "
                f"its words are in {self._log(number)}"
            )
            return
        self._trouble.warn(f"driver {number} died (exit {worker.process.returncode}) and was started again")
        worker.start()

    def recover_all(self) -> None:
        """Puts whatever drivers, these or an earlier campaign's, were at when they died into the inbox."""
        for slot in sorted(self._state.glob("worker-*.slot")):
            self._recover(slot)

    def _recover(self, slot: Path) -> None:
        data = in_flight(slot)
        if data is not None:
            try:
                case = decode(data)
                now = datetime.now(UTC).isoformat(timespec="seconds")
                suspicion = inbox.Suspicion(case, None, now, "in flight when its driver died")
                inbox.save(self._config.crashes, suspicion)
                self._store.journal.append("in-flight", case=case.id, at=now)
            except CaseError as broken:
                self._trouble.warn(f"{slot} holds no case: {broken}")
            except OSError as refused:
                self._trouble.disk = str(refused)
                return  # the slot stays as it is: the next campaign looks at it
        clear(slot)

    # --- the end ----------------------------------------------------------------------------------------

    def ask_to_stop(self) -> None:
        """Asks all to end after the cases they are at."""
        for worker in self.workers:
            worker.ask_to_stop()

    def kill_slow(self) -> None:
        """Kills those that still run, and keeps what they were at."""
        for worker in self.alive:
            worker.kill()
            self._recover(self._slot(worker))

    def close(self) -> None:
        """Kills whoever is left and releases everything."""
        for worker in self.workers:
            worker.kill()
            worker.close()

    def _slot(self, worker: Worker) -> Path:
        return self._state / f"worker-{worker.config.worker}.slot"

    def _log(self, number: int) -> Path:
        return self._state / f"worker-{number}.log"
