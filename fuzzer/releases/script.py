"""Runs a reproducer under another Python and says what its exit status means."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import resource
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fuzzer.releases.search import Answer

RUN_TIMEOUT_S = 600.0
"""Wall clock. A script's own limits, 120 s for a deadlock, end sooner; a first import may take a minute."""
_KEPT_BYTES = 20_000
"""How much of the end of each stream is looked at."""


@dataclass(frozen=True)
class Outcome:
    """The answer of a release, why in a word or a few, and how long it took."""

    answer: Answer
    why: str = ""
    lasting: bool = True
    """Whether asking again would say the same; not so for a time-out or a missing network."""


def imports(script: str) -> set[str]:
    """The packages that a script imports. Raises `SyntaxError` or `ValueError` for what is no Python."""
    found = set()
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def run(python: Path, script: str, timeout_s: float = RUN_TIMEOUT_S) -> Outcome:
    """Runs the text in a folder of its own, isolated from this environment, and ends all it started."""
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        folder = Path(name)
        (folder / "repro.py").write_text(script)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            try:
                process = subprocess.Popen(
                    [str(python), "-I", "-B", "repro.py"],
                    cwd=folder,
                    env=_environment(folder),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                    preexec_fn=_no_core,
                )
            except OSError as refused:
                return Outcome(Answer.CANNOT, str(refused.strerror), False)
            try:
                status: int | None = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                status = None
            finally:  # whatever happens here, Ctrl-C too: nothing is left running
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return judge(status, _end(folder / "out"), _end(folder / "err"), timeout_s)


def judge(status: int | None, out: str, err: str, timeout_s: float = RUN_TIMEOUT_S) -> Outcome:
    """What an exit status says. 1 counts only from a script that came to speak: Python's own failures are 1 too."""
    if status is None:
        return Outcome(Answer.CANNOT, f"no end in {timeout_s:.0f} s", False)
    if status == 0:
        return Outcome(Answer.GOOD)
    error = _last_error(err)
    told = re.search(r"defect is there|^actual:", out, re.MULTILINE)
    if status == 1 and (told or (out.strip() and not error)):
        return Outcome(Answer.BAD)
    if status < 0:
        return Outcome(Answer.CANNOT, _signal_name(-status))
    if status == 2 and "Another error" in out:
        return Outcome(Answer.CANNOT, "another error")
    return Outcome(Answer.CANNOT, error or f"exit {status}")


def _last_error(err: str) -> str:
    """The exception that ended a script, in a word or a few; empty when none did."""
    if "Traceback (most recent call last)" not in err and "SyntaxError" not in err:
        return ""
    lines = [line for line in err.splitlines() if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt)\b", line)]
    if not lines:
        return "an exception"
    kind, _, text = lines[-1].partition(":")
    if missing := re.search(r"No module named '([\w.]+)'", text):
        return f"no module {missing[1]}"
    if missing := re.search(r"has no attribute '(\w+)'", text):
        return f"no attribute {missing[1]}"
    if re.search(r"unexpected keyword argument '(\w+)'", text):
        return f"{kind}: {text.strip()[-40:]}"
    return f"{kind.split('.')[-1]}: {' '.join(text.split())[:50]}".rstrip(": ")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _environment(folder: Path) -> dict[str, str]:
    """What a script may see of this environment: how to find programs, and where to write."""
    kept = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH") if k in os.environ}
    return {**kept, "HOME": str(folder), "TMPDIR": str(folder), "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def _no_core() -> None:
    """Deaths are what is looked for; their memory images are not."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end(path: Path) -> str:
    data = path.read_bytes()[-_KEPT_BYTES:]
    return data.decode(errors="replace")
