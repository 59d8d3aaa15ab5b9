"""Runs a program and leaves nothing of it behind: `python -I guard.py SCREEN_PID SCRATCH PROGRAM [ARGUMENT ...]`.

It stands between the screen and a job. Should the screen be killed, the kernel tells this process, which then ends the
program, everything that the program has started (also what has left its process group), and its scratch folder; a
program that the kernel kills itself could do none of that. It ends as the program did: the exit code, or the signal.
Only the standard library, and by its path: it starts in 30 ms and imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""linux/prctl.h: a signal when the parent dies; orphans below this process become its children."""
GRACE_S = 1.5
"""Between asking the program to end and killing it; less than the screen waits before it kills this process."""
POLL_S = 0.02


def descendants(root: int) -> list[int]:
    """Every process below `root` (proc_pid_stat(5): the fourth field, after the name in brackets, is the parent)."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_bytes().rsplit(b")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            continue  # ended meanwhile
        children.setdefault(parent, []).append(int(process.name))
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def kill_all() -> None:
    """Kills what is below, until nothing new has come up meanwhile."""
    while below := descendants(os.getpid()):
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0]:
                pass


def _exit_as(status: int) -> None:
    """Ends like a program with that status: negative is a signal."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def main(screen: int, scratch: str, program: list[str]) -> None:
    """Runs `program` to its end, or until the screen asks or dies."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    child = subprocess.Popen(program)
    # Asked for each time: the screen may have died before the kernel was told to say so.
    while child.poll() is None and not asked and os.getppid() == screen:
        time.sleep(POLL_S)
    if child.poll() is None:
        os.killpg(0, signal.SIGTERM)
        until = time.monotonic() + GRACE_S
        while child.poll() is None and time.monotonic() < until:
            time.sleep(POLL_S)
    status = child.poll()
    kill_all()
    if os.getppid() != screen:
        shutil.rmtree(scratch, ignore_errors=True)
    _exit_as(-signal.SIGKILL if status is None else status)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
