"""The executor: a fork of the zygote that runs one case after another and may die at any instruction.

So nothing here is trusted to run afterwards: what matters is in the stage cell, the log and the owner's
write-ahead slot before the target is called.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import socket
import traceback
from typing import Any

from fuzzer.coverage import python_lines, tripwire
from fuzzer.execute.protocol import ChannelClosed, receive, send
from fuzzer.execute.stage import StageCell

MAX_FILE_BYTES = 256 << 20
"""Largest file an executor may write; a flood of log lines must not fill the disk."""
STACK_SIGNAL = signal.SIGUSR1
"""Sent to a hung executor before it is killed: the Python stack goes to the log."""


def main(target: Any, channel_handle: int, log_handle: int, stage_handle: int, hits_handle: int | None = None) -> None:
    """Serves requests until the channel closes; `target` has `prepare(scratch)` and `run(request, stage)`.

    With `hits_handle` native blocks are reported there.
    """
    os.dup2(log_handle, 1)
    os.dup2(log_handle, 2)
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    for inherited in (log_handle, devnull):
        os.close(inherited)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails with EFBIG instead
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(2, all_threads=False)
    faulthandler.register(STACK_SIGNAL, file=2, all_threads=False)
    # Not among the signals that `enable` takes: a trap that XNNPACK or a compiler planted ends the process as well.
    faulthandler.register(signal.SIGTRAP, file=2, all_threads=False, chain=True)
    stage = StageCell(stage_handle)
    stage.catch_signals()  # after faulthandler, whom it passes every signal on to
    # Last of all: it passes what is no breakpoint of ours on to whoever had SIGTRAP before.
    unwatched = tripwire.arm(hits_handle) if hits_handle is not None else ""
    with socket.socket(fileno=channel_handle) as channel:
        _serve(target, channel, stage, unwatched)


def _serve(target: Any, channel: socket.socket, stage: StageCell, unwatched: str) -> None:
    """Answers requests; `unwatched` says why native blocks are not reported, where they should be."""
    prepared = False
    while True:
        try:
            request = receive(channel)
        except ChannelClosed:
            return
        _clear_log()
        stage.set("start")
        try:
            if not prepared:
                target.prepare(request["scratch"])
                prepared = True
            if "known_lines" in request:
                python_lines.start(request["known_lines"])
            reply = target.run(request, stage)
        except Exception:
            # Not a finding: targets turn what TensorFlow raises into data. What arrives here is our bug.
            reply = {"bug": traceback.format_exc(limit=20)}
        stage.set("done")
        reply["rss_mb"] = rss_mb()
        lines = python_lines.take()
        if lines:
            reply["lines"] = lines
        if unwatched:
            reply["unwatched"] = unwatched
        try:
            send(channel, reply)
        except ChannelClosed:
            return


def _clear_log() -> None:
    """Empties the log, so that it holds the words of one case only."""
    try:
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
    except OSError:
        return  # standard error is no file here (a test runs us on a pipe)


def rss_mb(pid: int | str = "self") -> float:
    """Resident memory of a process in MB; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123  (hot path)
            pages = int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * 4096 / 1e6
