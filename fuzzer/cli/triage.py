"""`triage`: the interactive screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.cli import options

if TYPE_CHECKING:
    from fuzzer.campaign.snapshot import Snapshot
    from fuzzer.findings import Finding, State


@click.command(name="triage", help="Go through the findings on an interactive screen.")
@options.crashes
@options.known
def command(crashes: Path, known: Path | None) -> int:
    """Runs the screen until it is left."""
    import sys

    from fuzzer.errors import UserError
    from fuzzer.findings.hiding import Hider
    from fuzzer.findings.known import load
    from fuzzer.screen.triage import TriageApp

    hider = Hider(load(known))
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise UserError("triage needs a terminal; `python -m fuzzer status` prints the findings")
    TriageApp(FolderSource(crashes), hider=hider).run()
    return 0


class FolderSource:
    """What the triage screen reads and writes: a crashes folder. Raises `UserError` when there is none."""

    def __init__(self, crashes: Path) -> None:
        from fuzzer.findings import FindingStore

        self._crashes = crashes
        self._store = FindingStore(crashes)

    def findings(self) -> Sequence[Finding]:
        """All findings, re-read."""
        return self._store.findings()

    def snapshot(self) -> Snapshot | None:
        """The running or last campaign."""
        from fuzzer.cli.status import read_status
        from fuzzer.errors import UserError

        try:
            return read_status(self._crashes)
        except UserError:
            return None

    def mark(self, id: str, state: State, note: str, duplicate_of: str = "") -> None:
        """Journals what a person says, and brings the index up to date."""
        self._store.mark(id, state, note, duplicate_of)
        self._store.rebuild_index()

    def files(self, id: str) -> Path:
        """The finding's folder."""
        return self._store.files(id).resolve()

    def replay(self, id: str) -> str:
        """Replays a finding; blocking."""
        from fuzzer.findings.replay import replay, targets

        (result,) = replay(targets(self._crashes, id))
        return f"{result.result}: {result.now}"

    def minimize(self, id: str) -> str:
        """Minimises a finding; blocking."""
        from fuzzer.findings.minimize import minimize

        return minimize(self._crashes, id, 120.0)
