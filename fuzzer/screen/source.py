"""What the triage screen needs from the rest of the fuzzer, and nothing more.

The screen is the only caller, so a test or a demo can stand in with a few lists. What blocks runs in a thread of
its own, prints to its `Life` and ends soon after `life.stop` is set. All but the `UNREADABLE` errors are our bugs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.errors import UserError
from fuzzer.findings.finding import Finding, State
from fuzzer.screen.jobs import Life

UNREADABLE = (UserError, OSError, ValueError, KeyError, TypeError)
"""What a source may raise for data it can't read or write; the screen shows the message and goes on."""


class TriageSource(Protocol):
    """Where findings and statistics come from and where decisions go."""

    def findings(self) -> Sequence[Finding]:
        """Every finding as it is now. Cheap: called every two seconds."""
        ...

    def unread(self) -> str:
        """One sentence on what `findings` could not read and left out; empty when it read everything."""
        ...

    def snapshot(self) -> Snapshot | None:
        """The running or last campaign; `None` when there was none. Cheap: called every two seconds."""
        ...

    def mark(self, id: str, state: State, note: str, duplicate_of: str = "") -> None:
        """Journals a decision. `note` replaces the finding's note."""
        ...

    def files(self, id: str) -> Path:
        """The finding's folder, absolute. Any file in it, and the folder itself, may be missing."""
        ...

    def replay(self, id: str, life: Life) -> str:
        """Runs the finding in fresh processes; one sentence on what happened. Blocks for many seconds."""
        ...

    def minimize(self, id: str, life: Life) -> str:
        """Shrinks the finding's case; one sentence on what happened. Blocks for many seconds."""
        ...

    def reproduce(self, id: str, life: Life) -> str:
        """Runs the finding's `repro.py`; one sentence on what its exit code says. Blocks for many seconds."""
        ...

    def report(self, id: str, life: Life) -> str:
        """Writes the report that is ready to send; one sentence on what happened. May block for seconds."""
        ...
