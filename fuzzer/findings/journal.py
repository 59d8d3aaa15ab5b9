"""The journal: an append-only file of JSON lines, the truth about findings.

Several processes may append (a campaign, a triage screen, `replay`), each line in one locked, synced write. A line
that cannot be read is skipped and counted, never fatal: the rest is still true. Lines of an older schema are upgraded
as they are read (`fuzzer.findings.schema`); lines of a newer one are told apart from damage.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzer.findings import schema

SCHEMA = schema.VERSION


@dataclass(frozen=True)
class JournalRead:
    """What could be read: the events in order, how many lines could not, and how many bytes were looked at."""

    events: list[dict[str, Any]]
    damaged: int
    end: int
    newer: int = 0
    """Of those, the lines that a newer release wrote."""
    newest: int = 0
    """The highest schema of those lines; 0 without such."""


class Journal:
    """One journal file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: str, **fields: Any) -> None:
        """Adds one event durably. Raises `OSError` when the disk refuses (nothing is half-written then)."""
        line = json.dumps({"schema": SCHEMA, "event": event, **fields}, sort_keys=True).encode() + b"\n"
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            end = os.fstat(handle).st_size
            if end and os.pread(handle, 1, end - 1) != b"\n":
                line = b"\n" + line  # the last writer was cut off: its part stays a damaged line of its own
            try:
                written = os.write(handle, line)
                if written != len(line):
                    raise OSError(28, "No space left on device")
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)

    def size(self) -> int:
        """Bytes in the journal; 0 when there is none."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, start: int = 0) -> JournalRead:
        """All events from byte `start` on. A missing file is an empty journal; an unfinished last line waits."""
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return JournalRead([], 0, 0)
        whole = data[: data.rfind(b"\n") + 1]
        events, damaged, newer, newest = [], 0, 0, 0
        for line in whole.splitlines():
            if not line:
                continue
            try:
                event = json.loads(line)
                if not isinstance(event, dict) or "event" not in event:
                    raise ValueError("no event")
                version = int(event["schema"])
                if version > SCHEMA:
                    newer += 1
                    newest = max(newest, version)
                    raise ValueError("an event of a newer release")
                if isinstance(event.get("finding"), dict):
                    event["finding"] = schema.upgraded(event["finding"], version)
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                damaged += 1
                continue
            events.append(event)
        return JournalRead(events, damaged, start + len(whole), newer, newest)
