"""Native stacks of an executor that runs and runs: where it is, several times over, so that the loop shows.

A stack that is looked at once shows what the loop happened to call; what all of them share is the loop.
"""

from __future__ import annotations

import ctypes
import signal
import time
from pathlib import Path

from fuzzer.execute.stage import StageCell
from fuzzer.native import Trace

SAMPLE_SIGNAL = signal.SIGUSR2
"""`stack.c` has the same; SIGUSR1 is faulthandler's."""
SAMPLES = 5
_APART_S = 0.04
"""Between two samples: long against what a loop calls, short against any time-out."""
_PATIENCE_S = 0.3
"""How long a thread may take to answer. One that sleeps in the kernel without interruption never does."""
_SYS_TGKILL = 234  # arch/x86/entry/syscalls/syscall_64.tbl
_IDLE_NS = 1_000_000
"""Below this much processor time between two looks a thread counts as waiting."""


def sample(pid: int, stage: StageCell, count: int = SAMPLES) -> tuple[Trace, ...]:
    """Takes up to `count` stacks of the busiest thread of a living executor, or of its main thread where all wait.

    Empty where the process has no handler or does not answer. Takes about a quarter of a second.
    """
    if not _catches(pid):
        return ()  # the signal's default would end it
    thread = _busiest(pid)
    system = ctypes.CDLL(None, use_errno=True)
    begun = stage.samples
    for wanted in range(begun + 1, begun + count + 1):
        if system.syscall(_SYS_TGKILL, pid, thread, SAMPLE_SIGNAL) != 0:
            break
        deadline = time.monotonic() + _PATIENCE_S
        while stage.samples < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        if stage.samples < wanted:
            break
        time.sleep(_APART_S)
    return stage.read_samples(_read(Path(f"/proc/{pid}/maps")))


def _catches(pid: int) -> bool:
    """Whether a process has a handler for the signal: the mask `SigCgt` of proc_pid_status(5)."""
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (SAMPLE_SIGNAL - 1) & 1)
    return False


def _busiest(pid: int) -> int:
    """The thread that used most processor time over a few milliseconds; the main thread where none used any."""
    before = _used_ns(pid)
    time.sleep(_APART_S / 2)
    used = {thread: now - before.get(thread, 0) for thread, now in _used_ns(pid).items()}
    return max(used, key=lambda thread: used[thread], default=pid) if max(used.values(), default=0) > _IDLE_NS else pid


def _used_ns(pid: int) -> dict[int, int]:
    """Nanoseconds on a processor by thread: the first number of `schedstat` (Documentation/scheduler/sched-stats)."""
    used = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        fields = _read(task / "schedstat").split()
        if fields:
            used[int(task.name)] = int(fields[0])
    return used


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # the process or thread has just ended
