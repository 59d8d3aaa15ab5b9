"""What the triage screen runs beside itself for a finding: replay, minimise, its script, its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text

from fuzzer.screen.job_page import REPORT
from fuzzer.screen.jobs import Job, Jobs, Work
from fuzzer.screen.lines import line
from fuzzer.screen.source import UNREADABLE
from fuzzer.screen.text import span

if TYPE_CHECKING:
    from fuzzer.screen.triage import TriageApp

SPINNER = "|/-\\"
TURN_S = 0.25


class Doing:
    """The jobs of the triage screen."""

    def __init__(self, app: TriageApp, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock
        self.jobs = Jobs(clock)

    def start(self, verb: str) -> bool:
        """Queues a job for the selected finding; says so where it can't."""
        work: dict[str, Work] = {
            "replay": self._app.source.replay,
            "minimise": self._app.source.minimize,
            "repro.py": self._app.source.reproduce,
            REPORT: self._app.source.report,
        }
        finding = self._app.selected
        if finding is None:
            self._app.say(f"there is no finding to {'run' if verb == 'repro.py' else verb}")
            return False
        if self.jobs.add(Job(verb, finding.id, finding.title, work[verb])):
            return True
        self._app.say(f"{verb} of this finding is already under way")
        return False

    def stop(self) -> None:
        """Stops the running job and drops those that wait."""
        dropped = self.jobs.waiting
        stopped = self.jobs.stop()
        if stopped is None:
            self._app.say("nothing is running that could be stopped")
        else:
            more = f" and dropping {dropped} more" if dropped else ""
            self._app.say(f"stopping {stopped.verb}{more}: {stopped.title}")

    def show_path(self) -> None:
        """Shows the folder of the selected finding and copies its path where the terminal can."""
        finding = self._app.selected
        if finding is None:
            self._app.say("there is no finding to show the folder of")
            return
        try:
            path = str(self._app.source.files(finding.id))
        except UNREADABLE as broken:
            self._app.say(f"no folder: {broken}")
            return
        self._app.copy_to_clipboard(path)
        self._app.say(f"copied, if the terminal allows it: {path}")

    def poll(self) -> bool:
        """Says what has just ended, if anything has."""
        ended = self.jobs.poll()
        if ended is None:
            return False
        self._app.say(f"{ended.verb} {'failed: ' if ended.failed else 'done: '}{ended.outcome} ({ended.title})")
        return True

    def headline(self) -> Text | None:
        """What is running, in a line."""
        job = self.jobs.current
        if job is None:
            return None
        turn = SPINNER[int(self._clock() / TURN_S) % len(SPINNER)]
        more = f", {self.jobs.waiting} more waiting" if self.jobs.waiting else ""
        return line((f" {turn} {job.verb} {span(self.jobs.elapsed_s())}{more} (c stops it): ", "bold"), job.title)
