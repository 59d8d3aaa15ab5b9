"""Real processes: what hangs, floods, dies or leaves children behind must not trouble the screen."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fuzzer.screen import child
from fuzzer.screen.jobs import MAX_OUTPUT_LINES, Life


def run(code: str, limit_s: float = 30.0, life: Life | None = None, ours: bool = True) -> tuple[child.Ended, Life]:
    life = life or Life()
    return child.run(["-c", code], life, limit_s, ours=ours), life


def gone(pid: int, within_s: float = 5.0) -> bool:
    """Whether a process is no more, or only a zombie that init has not collected."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_output_and_exit_code() -> None:
    ended, life = run("import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)")
    assert (ended.code, ended.why, ended.last) == (3, "", "two")
    assert list(life.lines) == ["one", "two"]


def test_errors_may_be_kept_apart_until_it_fails() -> None:
    code = "import sys; print('text'); print('note', file=sys.stderr); sys.exit({})"
    for status, lines in ((0, ["text"]), (2, ["text", "note"])):
        life = Life()
        ended = child.run(["-c", code.format(status)], life, 30, apart=True)
        assert (ended.code, list(life.lines)) == (status, lines)


def test_a_death_by_signal_is_told() -> None:
    for number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM):
        ended, _ = run(f"import os; os.kill(os.getpid(), {int(number)})")
        assert ended.code == -number


def test_output_is_harmless_and_bounded() -> None:
    ended, life = run(f"print('\\x1b[2J\\x1b[31mred' + '\\x07')\nfor i in range({MAX_OUTPUT_LINES} * 3): print(i)")
    assert ended.code == 0
    assert len(life.lines) == MAX_OUTPUT_LINES and life.lines[-1] == str(MAX_OUTPUT_LINES * 3 - 1)
    _, life = run("import sys; sys.stdout.buffer.write(b'\\x1b[2Jred\\x07 \\xff' + b'x' * 10**6)")
    assert life.lines[0].isprintable() and len(life.lines[0]) < 10**5


def test_a_hang_is_killed_with_everything_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(str(p.pid))\n"
        "while True: time.sleep(1)"
    )
    began = time.monotonic()
    ended, _ = run(code, limit_s=1.5)
    assert ended.why == "late" and ended.code == -signal.SIGKILL
    assert time.monotonic() - began < 10
    assert gone(int(note.read_text()))


def test_it_is_stopped_when_asked() -> None:
    life = Life()
    threading.Timer(0.5, life.stop.set).start()
    began = time.monotonic()
    ended, _ = run("import time\nwhile True: time.sleep(1)", life=life)
    assert ended.why == "stopped" and time.monotonic() - began < 5


def test_a_child_that_keeps_the_pipe_open_does_not_keep_us() -> None:
    code = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print('end')"
    )
    began = time.monotonic()
    ended, _ = run(code)
    assert (ended.code, ended.last) == (0, "end") and time.monotonic() - began < 10


@pytest.mark.parametrize("leaving", ["", "os.setsid(); "])
def test_it_dies_with_the_screen_and_nothing_is_left(tmp_path: Path, leaving: str) -> None:
    """As when a connection drops: the screen is killed and can't tidy up; nor do its jobs' children, or their files."""
    note = tmp_path / "pids"
    job = (
        "import os, tempfile, time; here = os.getpid(); open(tempfile.gettempdir() + '/big', 'w').write('data')\n"
        f"if os.fork() == 0: {leaving}open({str(note)!r}, 'w').write("
        "f'{here} {os.getpid()} {tempfile.gettempdir()}')\n"
        "time.sleep(600)"
    )
    screen = (
        f"from fuzzer.screen import child\nfrom fuzzer.screen.jobs import Life\nchild.run(['-c', {job!r}], Life(), 600)"
    )
    process = subprocess.Popen([sys.executable, "-c", screen], cwd=Path(child.__file__).parents[2])
    until = time.monotonic() + 20
    while not (note.exists() and note.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    process.kill()
    process.wait()
    parent, forked, scratch = note.read_text().split()
    assert gone(int(parent)) and gone(int(forked))
    until = time.monotonic() + 5
    while Path(scratch).exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(scratch).exists() and "fuzzer-triage-" in scratch


def test_a_script_of_somebody_elses_finds_neither_us_nor_our_folder() -> None:
    ended, life = run("import os; print(os.environ.get('PYTHONPATH')); print(os.listdir())", ours=False)
    assert ended.code == 0 and list(life.lines) == ["None", "[]"]
    ended, life = run("import fuzzer, os; print(os.environ['TMPDIR'])")
    assert ended.code == 0 and not Path(life.lines[-1]).exists()
