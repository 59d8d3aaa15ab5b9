"""What the triage screen needs from the rest of the fuzzer, and nothing more.

The screen is the only caller, so a test or a demo can stand in with a few lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.errors import UserError
from fuzzer.findings.finding import Finding, State

UNREADABLE = (UserError, OSError, ValueError, KeyError, TypeError)
"""What a source may raise for data it can't read or write; the screen shows the message and goes on."""


class TriageSource(Protocol):
    """Where findings and statistics come from and where decisions go."""

    def findings(self) -> Sequence[Finding]:
        """Every finding as it is now. Cheap: called every two seconds."""
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

    def replay(self, id: str) -> str:
        """Runs the finding in fresh processes; one sentence on what happened. Blocks for many seconds."""
        ...

    def minimize(self, id: str) -> str:
        """Shrinks the finding's case; one sentence on what happened. Blocks for many seconds."""
        ...
