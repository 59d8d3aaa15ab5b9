"""The write-ahead slot: which case a driver is about to execute, on disk before the executor sees it.

After a `kill -9` of anything, or a power cut, a busy slot names the case that was in flight.
"""

from __future__ import annotations

import os
from pathlib import Path

from fuzzer.case import MAX_BYTES

_BUSY = b"BUSY"
_IDLE = b"IDLE"
_HEADER = 16


class Slot:
    """One driver's slot, rewritten in place: four bytes of state, eleven digits of length, the case."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def busy(self, data: bytes) -> None:
        """Says that `data` is about to be executed. Raises `OSError` when the disk refuses."""
        os.pwrite(self._handle, _BUSY + b"%11d\n" % len(data) + data, 0)
        os.fdatasync(self._handle)

    def idle(self) -> None:
        """Says that the case was accounted for. Not synced: at worst a finished case is looked at again."""
        os.pwrite(self._handle, _IDLE, 0)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)


def in_flight(path: Path) -> bytes | None:
    """The case a dead driver was executing, or None. Damaged slots are None too."""
    try:
        data = path.read_bytes()
        size = int(data[4:_HEADER])
    except (OSError, ValueError):
        return None
    if data[:4] != _BUSY or not 0 < size <= MAX_BYTES or len(data) < _HEADER + size:
        return None
    return data[_HEADER : _HEADER + size]


def clear(path: Path) -> None:
    """Marks a slot idle once its case is in the inbox."""
    path.unlink(missing_ok=True)
