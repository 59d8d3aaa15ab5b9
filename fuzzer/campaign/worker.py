"""The supervisor's side of a driver: start it, read its events, end it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from fuzzer.campaign.config import DriverConfig
from fuzzer.execute.client import zygote_environment


class Worker:
    """One driver process. It is started again when it dies, with the cases it still owes."""

    def __init__(self, config: DriverConfig, log: Path) -> None:
        self.config = config
        self.executed = 0
        self.started = 0
        self.barren = 0
        """Starts in a row that ended without a single case."""
        self.done = False
        """Whether it said goodbye: it will not be started again."""
        self._log = log
        self._rest = b""
        self.events = -1
        self.start()

    def start(self) -> None:
        """Starts the process; a restarted one uses another seed, or it would walk into the same case again."""
        self.hang_up()
        read, write = os.pipe()
        os.set_blocking(read, False)
        owed = None if self.config.max_cases is None else max(0, self.config.max_cases - self.executed)
        seed = self.config.seed + 7_368_787 * self.started
        settings = {**self.config.__dict__, "events": write, "max_cases": owed, "seed": seed}
        config = DriverConfig(**settings)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fuzzer.campaign.driver", config.to_argument()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[write],
                env=zygote_environment(),
                start_new_session=True,
            )
        os.close(write)
        self.events = read
        self.started += 1
        self.barren += 1
        self._rest = b""

    def read(self) -> list[dict[str, Any]] | None:
        """The events that have arrived; None at the end of the stream (the driver is gone)."""
        events: list[dict[str, Any]] = []
        while True:
            try:
                data = os.read(self.events, 1 << 18)
            except BlockingIOError:
                return events
            if not data:
                return events or None
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                event = json.loads(line)
                self.done = self.done or event["event"] == "bye"
                if event["event"] == "case":
                    self.executed += 1
                    self.barren = 0
                events.append(event)

    def ask_to_stop(self) -> None:
        """Asks the driver to end after its case."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it now."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Releases everything of a process that is gone."""
        self.hang_up()
        shutil.rmtree(self.config.scratch, ignore_errors=True)

    def hang_up(self) -> None:
        """Closes the event pipe."""
        if self.events >= 0:
            os.close(self.events)
            self.events = -1

    def _signal(self, number: int) -> None:
        try:
            self.process.send_signal(number)
        except ProcessLookupError:
            return
