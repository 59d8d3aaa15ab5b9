"""The verb in a real pseudo-terminal: kinds of terminals, sizes, and what is left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fuzzer.findings.store import FindingStore
from fuzzer.screen.demo_data import demo_findings, write_files

LEAVES_ALTERNATE_SCREEN = "\x1b[?1049l"
"""xterm control sequences (ctlseqs.txt): back to the normal screen buffer."""
WAIT_S = 30.0
SHOWN = 3000
ROOT = Path(__file__).parents[2]


class Terminal:
    """A pseudo-terminal with `python -m fuzzer triage` in it."""

    def __init__(self, crashes: Path, size: tuple[int, int], environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        self.text = ""
        self.resize(*size)
        command = [sys.executable, "-m", "fuzzer", "triage", "--crashes", str(crashes)]
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**env, **environment},
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(slave)

    def resize(self, width: int, height: int) -> None:
        """As dragging a window does; the kernel sends SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self, until: str, since: int = 0) -> str:
        """What the program has written from `since` on, once `until` is in it."""
        end = time.monotonic() + WAIT_S
        while until not in self.text[since:]:
            assert time.monotonic() < end, f"{until!r} never came: {self.text[since:][-SHOWN:]!r}"
            if select.select([self.master], [], [], 0.1)[0] and not self._more():
                break
        assert until in self.text[since:], self.text[since:][-SHOWN:]
        return self.text[since:]

    def _more(self) -> bool:
        try:
            data = os.read(self.master, 65536)
        except OSError:  # Linux says EIO when the last process has closed its side
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def keys(self, text: str) -> None:
        """Types."""
        os.write(self.master, text.encode())

    def code(self) -> int:
        """The exit code; what is still written is read, or the program would wait for us."""
        end = time.monotonic() + WAIT_S
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                self._more()
        while select.select([self.master], [], [], 0.1)[0] and self._more():
            pass
        return self.process.wait(1)


@contextmanager
def terminal(crashes: Path, **environment: str) -> Iterator[Terminal]:
    opened = Terminal(crashes, (80, 24), environment)
    try:
        yield opened
    finally:
        if opened.process.poll() is None:
            opened.process.kill()
        opened.process.wait()
        os.close(opened.master)


@pytest.fixture
def crashes(tmp_path: Path) -> Path:
    store = FindingStore(tmp_path / "crashes", create=True)
    for finding in demo_findings(3):
        store.add(finding, lambda folder, finding=finding: write_files(folder, finding))  # type: ignore[misc]
    return tmp_path / "crashes"


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {}], ids=["dumb", "unset"])
def test_a_terminal_that_can_not_do_it_is_told_what_to_do(crashes: Path, environment: dict[str, str]) -> None:
    with terminal(crashes, **environment) as opened:
        assert opened.code() == 2
        said = " ".join(opened.text.split())
        assert "triage needs a terminal that can move its cursor" in said and "python -m fuzzer status" in said
        assert "\x1b[?1049h" not in opened.text


def test_an_encoding_without_the_characters_is_told_what_to_do(crashes: Path) -> None:
    with terminal(crashes, TERM="xterm", PYTHONIOENCODING="latin-1") as opened:
        assert opened.code() == 2
        assert "LANG=C.UTF-8" in opened.text and "Traceback" not in opened.text


@pytest.mark.parametrize(
    "environment",
    [{"TERM": "vt100"}, {"TERM": "xterm-256color", "NO_COLOR": "1"}, {"TERM": "screen", "COLORTERM": "truecolor"}],
    ids=["vt100", "no colour", "screen"],
)
def test_it_starts_resizes_and_leaves_the_terminal_as_it_was(crashes: Path, environment: dict[str, str]) -> None:
    with terminal(crashes, **environment) as opened:
        opened.read("3 findings")
        seen = len(opened.text)
        opened.resize(140, 40)
        opened.read("severity", seen)
        seen = len(opened.text)
        opened.resize(60, 16)
        opened.read("findings", seen)
        opened.keys("x")
        opened.read("saved as fixed")
        opened.keys("q")
        assert opened.code() == 0
        assert LEAVES_ALTERNATE_SCREEN in opened.text[-400:] and "Traceback" not in opened.text
    assert [f.state for f in FindingStore(crashes).findings()].count("fixed") == 1


def test_a_connection_that_drops_leaves_nothing_running(crashes: Path) -> None:
    finding = demo_findings(1)[0]
    note = crashes / "pid"
    script = f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(1)"
    (crashes / finding.path / "repro.py").write_text(script)
    with terminal(crashes, TERM="xterm") as opened:
        opened.read("3 findings")
        opened.keys(f"/{finding.id}\rp")
        opened.read("c stops it")
        end = time.monotonic() + WAIT_S
        while not (note.exists() and note.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(opened.process.pid, signal.SIGHUP)  # what the kernel sends when a terminal goes away
        opened.process.wait(WAIT_S)
        pid = int(note.read_text())
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "Z":
                break
            time.sleep(0.05)
        else:
            assert not Path(f"/proc/{pid}").exists()
