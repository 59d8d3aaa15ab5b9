"""What goes wrong in a campaign: sentences for whoever watches, and what ends it before its time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path


class Trouble:
    """One campaign's troubles. Nothing is raised: a campaign goes on, or ends in its own words."""

    def __init__(self, log: Path, said: Iterable[str] = ()) -> None:
        self.warnings = [*said]
        """Everything that was said, the latest last."""
        self.disk = ""
        """What the disk said when it refused; empty while it does not."""
        self.broken = ""
        """Why the campaign cannot go on; empty while it can."""
        self._log = log

    @property
    def ends_it(self) -> bool:
        """Whether the campaign has to end."""
        return bool(self.disk or self.broken)

    def warn(self, sentence: str) -> None:
        """Says something to whoever watches, and to the log."""
        self.warnings.append(sentence)
        # The screen and the summary have it; a full disk must not turn a warning into an error.
        with contextlib.suppress(OSError), self._log.open("a") as log:
            log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {sentence}\n")

    def say_why_it_ended(self, crashes: Path) -> None:
        """Warns of what ended the campaign early, what was kept (in `crashes`) and what to do."""
        if self.disk:
            self.warn(
                f"stopped early: the disk refused ({self.disk}); findings so far are kept in {crashes}; "
                "free some space and start again, the campaign goes on from here"
            )
        if self.broken:
            self.warn(f"stopped early: {self.broken}")
