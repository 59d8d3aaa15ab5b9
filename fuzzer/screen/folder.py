"""A crashes folder as a source of the triage screen: reads the store, journals marks, does jobs in processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.errors import UserError
from fuzzer.findings.finding import Finding, State
from fuzzer.findings.store import FindingStore
from fuzzer.screen import child
from fuzzer.screen.child import Ended
from fuzzer.screen.jobs import Life

REPLAY_LIMIT_S = 900.0
"""Three fresh runs, each bounded by the limits of an executor; beyond that something else hangs."""
MINIMISE_LIMIT_S = 600.0
"""Two minutes of minimising, TensorFlow's start, and the runs that store the result."""
REPRO_LIMIT_S = 180.0
"""A script against a hang ends itself after 120 s at most."""
REPORT_LIMIT_S = 120.0
REPORT_VERB = "report"
_SCRIPT_SAYS = {0: "the defect is gone", 1: "the defect is there", 2: "it can't tell"}
"""What the exit code of a reproducer says (README, "What a finding looks like")."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class FolderSource:
    """What the triage screen reads and writes: a crashes folder. Raises `UserError` when there is none."""

    def __init__(self, crashes: Path, now: Callable[[], datetime] = _utc_now) -> None:
        self._crashes = crashes
        self._store = FindingStore(crashes, lenient=True)
        self._now = now

    # --- reading ------------------------------------------------------------------------------------------

    def findings(self) -> Sequence[Finding]:
        """All findings, re-read. Raises `UserError` when the folder has gone, `OSError` when it can't be read."""
        self._check_there()
        return self._store.findings()

    def _check_there(self) -> None:
        if not self._crashes.is_dir():
            raise UserError(f"{self._crashes} is gone; what was read before is still shown, q quits")

    def unread(self) -> str:
        """How many lines of the journal are left out, and why."""
        store, said = self._store, []
        if store.newer:
            said.append(f"{_lines(store.newer)} written by a newer release: update the fuzzer to see what they say")
        if damaged := store.damaged - store.newer:
            said.append(f"{_lines(damaged)} damaged (cut off or edited): the rest is shown, nothing was removed")
        return f"{store.journal.path.name}: {'; '.join(said)}" if said else ""

    def snapshot(self) -> Snapshot | None:
        """The running or last campaign. Raises `UserError` when `status.json` is damaged."""
        from fuzzer.cli.status import read_status

        return read_status(self._crashes)

    def files(self, id: str) -> Path:
        """The finding's folder."""
        return self._store.files(id).resolve()

    # --- writing ------------------------------------------------------------------------------------------

    def mark(self, id: str, state: State, note: str, duplicate_of: str = "") -> None:
        """Journals what a person says, and brings the index up to date. Raises `UserError` where it can't."""
        self._check_there()
        try:
            self._store.mark(id, state, note, duplicate_of, self._now().isoformat(timespec="seconds"))
        except OSError as refused:
            reason = f"{self._store.journal.path} can't be written ({refused.strerror or refused})"
            raise UserError(f"{reason}; all is as it was") from refused
        try:
            self._store.rebuild_index()
        except OSError as refused:
            reason = refused.strerror or str(refused)
            raise UserError(f"{reason}. The mark itself is safe in the journal, only the index is old") from refused

    # --- doing --------------------------------------------------------------------------------------------

    def replay(self, id: str, life: Life) -> str:
        """Replays a finding; blocking."""
        return self._work("replay", id, life, REPLAY_LIMIT_S)

    def minimize(self, id: str, life: Life) -> str:
        """Minimises a finding; blocking."""
        return self._work("minimise", id, life, MINIMISE_LIMIT_S)

    def reproduce(self, id: str, life: Life) -> str:
        """Runs `repro.py` as it lies in the folder; blocking."""
        script = self.files(id) / "repro.py"
        if not script.is_file():
            raise UserError(f"{script.name} is missing: {script}")
        # What it says on stderr comes after what it prints: TensorFlow's warnings would bury the answer.
        ended = child.run([str(script)], life, REPRO_LIMIT_S, ours=False, apart=True)
        if ended.why == "late":
            raise UserError(f"repro.py did not end within {REPRO_LIMIT_S:.0f} s and was killed: it hangs")
        _check_stopped(ended)
        if ended.code in _SCRIPT_SAYS:
            return f"{_SCRIPT_SAYS[ended.code]} (exit code {ended.code})"
        if ended.code < 0:
            return f"the script died of {_signal(-ended.code)}, as a script that shows a death does"
        raise UserError(f"the script ended with exit code {ended.code}: {ended.last}")

    def report(self, id: str, life: Life) -> str:
        """Writes the issue text by the verb `report`; where this release has none, `report.md` has to do."""
        from fuzzer.cli import VERBS

        if REPORT_VERB not in VERBS:
            return "report.md as the campaign wrote it"
        arguments = ["-m", "fuzzer", REPORT_VERB, self._store.get(id).id, "--crashes", str(self._crashes.resolve())]
        _sentence(child.run(arguments, life, REPORT_LIMIT_S, apart=True), "the report", REPORT_LIMIT_S)
        where = "" if self._crashes == Path("crashes") else f" --crashes {self._crashes}"
        return f"to file it: python -m fuzzer {REPORT_VERB} {id} --github{where}"

    def _work(self, verb: str, id: str, life: Life, limit_s: float) -> str:
        arguments = ["-m", "fuzzer.screen.work", verb, str(self._crashes.resolve()), id]
        return _sentence(child.run(arguments, life, limit_s), f"the {verb}", limit_s)


def _sentence(ended: Ended, what: str, limit_s: float) -> str:
    """What a job of ours says at its end. Raises `UserError` when it failed, hung or was stopped."""
    if ended.why == "late":
        raise UserError(f"{what} did not end within {limit_s:.0f} s and was killed; the finding is as it was")
    _check_stopped(ended)
    if ended.code < 0:
        raise UserError(f"{what} was killed by {_signal(-ended.code)}; the finding is as it was")
    if ended.code:
        raise UserError(ended.last or f"{what} ended with exit code {ended.code}")
    return ended.last


def _check_stopped(ended: Ended) -> None:
    if ended.why == "stopped":
        raise UserError("stopped; the finding is as it was")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _lines(count: int) -> str:
    return "1 line is" if count == 1 else f"{count} lines are"
