"""The owner's side of an executor: start it, give it a case, and tell how it died.

Used by drivers, the examiner, `replay` and `minimize`. No TensorFlow here.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzer.case import Case
from fuzzer.case.conversion import DEAR_ENTRIES, TFMOT
from fuzzer.coverage.tripwire import Hits
from fuzzer.execute.executor import STACK_SIGNAL, rss_mb
from fuzzer.execute.protocol import BrokenFrame, ChannelClosed, receive, send
from fuzzer.execute.sampling import sample
from fuzzer.execute.stage import StageCell
from fuzzer.native import Trace

LOG_TAIL_BYTES = 64 << 10
DEFAULT_TARGET = "fuzzer.execute.target"
_POLL_S = 0.1
_GRACE_S = 0.25
"""How long a case may run before anybody looks at its memory: nearly all are done by then."""
_OWN_SCRATCH = "fuzzer-run-"
_WALL_FACTOR = 4
"""A case is hung after `timeout_s` of its own CPU time, or this many times as long on the clock: a busy machine
slows the clock, not the CPU time, and a sleeping deadlock uses none."""


class ZygoteDiedError(Exception):
    """The zygote is gone, so no executor can be started."""


@dataclass(frozen=True)
class Limits:
    """What an executor may use. Seconds of CPU time, MB of resident memory."""

    timeout_s: float = 5.0
    memory_mb: float = 4096.0
    recycle_mb: float = 2048.0
    """Above this it is replaced after the case, which is no finding."""

    def timeout_for(self, case: Case) -> float:
        """CPU seconds a case may use. Roads over a SavedModel or Keras take five to fifteen times as long."""
        conversion = case.conversion
        factor = 6.0 if conversion.scheme in TFMOT else 3.0 if conversion.entry in DEAR_ENTRIES else 1.0
        return self.timeout_s * factor


@dataclass(frozen=True)
class Death:
    """How an executor died: `crash` (with the signal), `hang` or `out-of-memory`."""

    kind: str
    signal: str
    stage: str
    detail: str
    """The runtime, where the stage has one."""
    log: str
    """The end of standard error, Python stack included."""
    elapsed_s: float
    rss_mb: float
    crashed: Trace | None = None
    """The native stack of a crash, where the handler could write one."""
    samples: tuple[Trace, ...] = ()
    """Native stacks of a process that was ended, taken before it was."""


@dataclass(frozen=True)
class Reply:
    """What the target answered, and how long that took on the clock."""

    message: dict[str, Any]
    elapsed_s: float


class Zygote:
    """Starts and owns the zygote process. `path` is where clients connect."""

    def __init__(self, target: str = DEFAULT_TARGET, log: Path | None = None, watch: bool = False) -> None:
        """With `watch` it says which libraries native coverage can watch, which takes it half a second."""
        self.folder = Path(tempfile.mkdtemp(prefix="fuzzer-"))
        self.path = str(self.folder / "zygote")
        self.libraries: list[tuple[str, str]] = []
        """(scope, file) of what native coverage can watch; known when it is ready, where that was asked for."""
        self._watch = watch
        self._target = target
        self._log = log or self.folder / "zygote.log"
        self._start()

    def _start(self) -> None:
        Path(self.path).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.path)
        listener.listen(16)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fuzzer.execute.zygote", str(listener.fileno()), self._target, str(self._watch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[listener.fileno()],
                env=zygote_environment(),
                start_new_session=True,
            )
        listener.close()

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Returns when the target is imported. Raises `ZygoteDiedError` with the end of its log when it is not."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        line = self.process.stdout.readline() if ready else b""
        word, _, rest = line.strip().partition(b" ")
        if word != b"ready":
            tail = self._log.read_bytes()[-2000:].decode(errors="replace").strip()
            raise ZygoteDiedError(f"the zygote could not start: {tail.splitlines()[-1] if tail else 'no word'}")
        self.libraries = [(str(scope), str(module)) for scope, module in json.loads(rest)["libraries"]]

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def restart(self) -> None:
        """Replaces a zygote that died; clients connect again on their own."""
        self._start()

    def stop(self) -> None:
        """Ends the zygote and with it every executor, and removes its folder."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def zygote_environment() -> dict[str, str]:
    """The environment of TensorFlow: quiet, one thread, no accelerator, the package importable."""
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "TF_CPP_MIN_LOG_LEVEL": "1",
        "CUDA_VISIBLE_DEVICES": "-1",
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
    }


class Executor:
    """One executor, started when first needed and again after every death.

    `zygote_path` is `Zygote.path`; scratch files go below `root`, or to memory-backed storage. Not safe for use by
    several threads at once.
    """

    def __init__(
        self, zygote_path: str, limits: Limits | None = None, root: Path | None = None, hits: Hits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.started = 0
        self.recycled = 0
        self.pid = 0
        self.hits = hits
        """Where native blocks are reported; executors that are started from now on do."""
        self.known_lines: Callable[[], list[str]] | None = None
        """What a fresh executor need not report of the converter's Python side; None: it reports no lines at all."""
        self._zygote_path = zygote_path
        self._control: socket.socket | None = None
        self._channel: socket.socket | None = None
        self._scratch = Path(tempfile.mkdtemp(prefix="fuzzer-executor-", dir=root or scratch_root()))
        self._log = os.open(self._scratch / "log", os.O_RDWR | os.O_CREAT, 0o600)
        self._stage = StageCell()
        self._samples: tuple[Trace, ...] = ()

    # --- running ----------------------------------------------------------------------------------------

    def run(
        self, request: dict[str, Any], timeout_s: float | None = None, meanwhile: Callable[[], None] | None = None
    ) -> Reply | Death:
        """Gives the executor one request and waits for the reply or the death; `meanwhile` is called once it works.

        Raises `ZygoteDiedError` when no executor can be had.
        """
        if self._channel is None:
            self.start()
            if self.known_lines is not None:
                request = {**request, "known_lines": self.known_lines()}
        channel = self._channel
        assert channel is not None
        begun = time.monotonic()
        cpu_begun = _cpu_s(self.pid)
        limit = timeout_s or self.limits.timeout_s
        try:
            send(channel, {**request, "scratch": str(self._scratch)})
            if meanwhile is not None:
                meanwhile()
            killed, peak = self._watch(channel, begun, cpu_begun, limit)
            if not killed:
                message = receive(channel)
                elapsed = time.monotonic() - begun
                if float(message.get("rss_mb", 0)) > self.limits.recycle_mb or message.get("tainted"):
                    self.recycled += 1
                    self.stop()
                return Reply(message, elapsed)
        except BrokenFrame:
            self._kill()
            killed, peak = "crash", rss_mb(self.pid)
        except ChannelClosed:
            killed, peak = "", rss_mb(self.pid)
        return self._bury(killed, time.monotonic() - begun, peak)

    def _watch(self, channel: socket.socket, begun: float, cpu_begun: float, limit: float) -> tuple[str, float]:
        """Waits until the channel can be read; kills what takes too long or too much. Returns why, and peak MB."""
        peak = 0.0
        wait = _GRACE_S
        while True:
            ready, _, _ = select.select([channel], [], [], wait)
            if ready:
                return "", peak
            wait = _POLL_S
            peak = max(peak, rss_mb(self.pid))
            if peak > self.limits.memory_mb:
                self._samples = sample(self.pid, self._stage, 1)
                self._kill()
                return "out-of-memory", peak
            elapsed = time.monotonic() - begun
            if _cpu_s(self.pid) - cpu_begun > limit or elapsed > limit * _WALL_FACTOR:
                self._samples = sample(self.pid, self._stage)
                self._signal(STACK_SIGNAL)
                time.sleep(0.05)
                self._kill()
                return "hang", peak

    def _bury(self, killed: str, elapsed_s: float, peak: float) -> Death:
        status = self._exit_status()
        name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        stage, detail = self._stage.get()
        log = self._read_log()
        kind = killed or "crash"
        crashed = self._stage.read_crash()
        if crashed is not None and name == "SIGKILL":
            # It crashed and then never came to its end: a broken heap may lock up whoever prints the Python stack.
            kind, name = "crash", signal.Signals(crashed.signal).name
        elif not killed and name == "SIGKILL":
            kind = "out-of-memory"  # nobody but the kernel's memory killer sends it
        samples = self._samples if kind != "crash" else ()
        self._close()
        return Death(kind, name, stage, detail, log, elapsed_s, peak, crashed if kind == "crash" else None, samples)

    # --- life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Forks a fresh executor. Raises `ZygoteDiedError`."""
        mine, theirs = socket.socketpair()
        self._stage.forget_stacks()
        self._samples = ()
        try:
            if self._control is None:
                self._control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self._control.settimeout(30.0)
                self._control.connect(self._zygote_path)
            handles = [theirs.fileno(), self._log, self._stage.handle]
            if self.hits is not None:
                handles.append(self.hits.handle)
            socket.send_fds(self._control, [b'{"spawn":{}}'], handles)
            self.pid = int(self._hear("pid")["pid"])
        except (OSError, ZygoteDiedError) as gone:
            mine.close()
            if self._control is not None:
                self._control.close()
                self._control = None
            raise ZygoteDiedError("the zygote does not answer") from gone
        finally:
            theirs.close()
        self._channel = mine
        self.started += 1

    def stop(self) -> None:
        """Ends the executor; the next `run` starts a fresh one."""
        if self._channel is None:
            return
        self._kill()
        with contextlib.suppress(ZygoteDiedError):  # dead all the same: executors die with their zygote
            self._exit_status()
        self._close()

    def forget(self) -> None:
        """Lets go of an executor whose zygote died: it died too."""
        self._close()
        if self._control is not None:
            self._control.close()
            self._control = None

    def close(self) -> None:
        """Ends everything and removes the scratch folder."""
        self.stop()
        if self._control is not None:
            self._control.close()
        self._stage.close()
        os.close(self._log)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        for leftover in self._scratch.iterdir():
            # SavedModels of a killed conversion; the log stays open and is emptied by the next executor.
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)

    def _exit_status(self) -> int:
        while True:
            message = self._hear("exit")
            if message["exit"] == self.pid:
                return int(message["status"])

    def _hear(self, key: str) -> dict[str, Any]:
        """The next packet from the zygote that has `key`; others belong to executors already buried."""
        assert self._control is not None
        while True:
            try:
                data = self._control.recv(4096)
            except OSError as gone:
                raise ZygoteDiedError("the zygote does not answer") from gone
            if not data:
                raise ZygoteDiedError("the zygote is gone")
            message: dict[str, Any] = json.loads(data)
            if key in message:
                return message

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def _read_log(self) -> str:
        size = os.fstat(self._log).st_size
        return os.pread(self._log, LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES)).decode(errors="replace")


def scratch_root() -> Path:
    """Memory-backed storage where there is some: SavedModels are written and read once."""
    shm = Path("/dev/shm")
    return shm if shm.is_dir() and os.access(shm, os.W_OK) else Path(tempfile.gettempdir())


def own_scratch() -> Path:
    """A scratch folder of this process; those of processes that are gone (a `kill -9` leaves one) are removed."""
    for stale in scratch_root().glob(f"{_OWN_SCRATCH}*"):
        pid = stale.name.removeprefix(_OWN_SCRATCH).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(stale, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_OWN_SCRATCH}{os.getpid()}-", dir=scratch_root()))


def _cpu_s(pid: int) -> float:
    """User and system time a process has used, in seconds."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  (hot path)
            fields = file.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
