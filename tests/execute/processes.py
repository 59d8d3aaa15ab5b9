"""Looking at processes through /proc, and waiting with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def wait_for(get: Callable[[], T], timeout_s: float = 20.0, what: str = "") -> T:
    """Polls until `get` gives something true; fails the test at the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = get()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what or get}")
        time.sleep(0.02)


def state(pid: int) -> str:
    """`R`, `S`, `Z`, ...; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return ""


def gone(pid: int) -> bool:
    """Whether a process is gone for good: a zombie is not gone."""
    return state(pid) == ""


def dead(pid: int) -> bool:
    """Whether a process runs no more. Its parent may be an init that never reaps, so a zombie counts as dead."""
    return state(pid) in ("", "Z", "X")


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return 0


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def children(pid: int, having: str = "") -> list[int]:
    """Child processes whose command line contains `having`."""
    pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    return [p for p in pids if parent(p) == pid and having in command(p)]


def descendants(pid: int) -> list[int]:
    found = children(pid)
    return found + [grandchild for child in found for grandchild in descendants(child)]
