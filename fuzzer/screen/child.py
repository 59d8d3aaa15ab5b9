"""A process beside the screen: what it prints goes to the job's page, and it ends when the screen does.

TensorFlow is loaded and run out there only, so that nothing native can freeze or kill the screen or write over it.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fuzzer.screen.jobs import Life
from fuzzer.screen.text import many_lines

POLL_S = 0.2
GRACE_S = 2.0
"""Between asking a process to end and killing it."""
MAX_PART_BYTES = 64 * 1024
"""Of a line without an end this much is kept."""
_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True)
class Ended:
    """How a process ended: `code` as in `subprocess` (negative: a signal); `why` is `stopped`, `late` or empty."""

    code: int
    why: str
    last: str
    """The last line that it printed."""


def run(arguments: Sequence[str], life: Life, limit_s: float, *, ours: bool = True, apart: bool = False) -> Ended:
    """Runs this Python with `arguments` until it ends, is stopped, or `limit_s` are over. Raises `OSError`.

    It gets a process group, no input, and a folder of its own that is removed afterwards. What is not `ours` gets
    that folder to work in, and no way to our package. `apart`: what it says on stderr counts only when it fails.
    """
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="fuzzer-triage-", ignore_cleanup_errors=True)
        scratch = stack.enter_context(folder)
        errors = stack.enter_context(tempfile.TemporaryFile()) if apart else subprocess.STDOUT
        process = subprocess.Popen(
            [sys.executable, "-I", str(_GUARD), str(os.getpid()), scratch, sys.executable, "-u", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(scratch, ours),
            cwd=None if ours else scratch,
            start_new_session=True,
        )
        try:
            why = _watch(process, life, time.monotonic() + limit_s)
        finally:
            _end(process)
        if not isinstance(errors, int) and process.returncode:
            errors.seek(0)
            life.lines.extend(map(_text, errors.read(MAX_PART_BYTES).splitlines()))
    last = next((line for line in reversed(life.lines) if line.strip()), "")
    return Ended(process.returncode, why, last)


def _environment(scratch: str, ours: bool) -> dict[str, str]:
    """What the screen's own process has, but quiet and without colour."""
    given = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if ours:
        path = (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", ""))
        given["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    level = {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")}
    return {**given, **level, "TMPDIR": scratch, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100"}


def _watch(process: subprocess.Popen[bytes], life: Life, until: float) -> str:
    """Reads until the process has ended; why it was left before that, or nothing."""
    assert process.stdout is not None
    stream = process.stdout.fileno()
    os.set_blocking(stream, False)
    part = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            data = os.read(stream, MAX_PART_BYTES) if selector.select(POLL_S) else None
            if data:
                *whole, part = (part + data).split(b"\n")
                part = part[-MAX_PART_BYTES:]
                life.lines.extend(map(_text, whole))
            # A process may leave children that hold the pipe open: its own end counts, not the pipe's.
            over = data == b"" or (data is None and process.poll() is not None)
            why = "stopped" if life.stop.is_set() else "late" if time.monotonic() > until else ""
            if over or why:
                break
    if part:
        life.lines.append(_text(part))
    return "" if over else why


def _text(raw: bytes) -> str:
    return many_lines(raw.decode("utf-8", "replace").rstrip("\r"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and whatever it has started; at once when it has ended by itself."""
    for number, wait_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        try:
            os.killpg(process.pid, number) if process.poll() is None or number == signal.SIGKILL else None
        except ProcessLookupError:
            break
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue
    if process.stdout is not None:
        process.stdout.close()
