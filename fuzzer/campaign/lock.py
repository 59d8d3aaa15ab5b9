"""One campaign a folder: a lock that the kernel releases when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from fuzzer.errors import UserError


class Lock:
    """Holds a folder. Raises `UserError` when another campaign does."""

    def __init__(self, path: Path, what: str, advice: str) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._handle, 32, 0).decode(errors="replace").strip()
            os.close(self._handle)
            raise UserError(f"{what} is in use by another campaign (process {holder or 'unknown'}); {advice}") from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Lets go."""
        os.close(self._handle)
