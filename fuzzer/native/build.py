"""Compiles the C sources of this folder into one shared library. Standard library only: `setup.py` runs it too.

The library's name holds a digest of the sources and flags, so one that is out of date is never loaded, whoever left it
there. It is searched beside the sources (an installation compiled it) and then in the user's cache folder (the first
use compiled it); both come from `compile_library`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCES = ("stack.c", "tripwire.c", "guard.c")
"""Files of this folder that make up the library. One more C file is one more entry."""
FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra")
"""No -Werror: a compiler of tomorrow may warn of something new."""
LIBRARIES = ("-ldl", "-lpthread")
"""Parts of libc itself from glibc 2.34 on."""
COMPILE_TIMEOUT_S = 120.0
"""A system compiler takes 0.1 s; `zig cc` half a minute the first time, when it builds its own run-time."""


class NoLibrary(Exception):
    """There is no compiler, it failed, or something else is missing. The message is one line and says what to do."""


def file_name(sources: tuple[str, ...] = SOURCES, folder: Path = FOLDER) -> str:
    """The library's file name: `native-<digest of sources, flags and machine>.so`. Raises `OSError` without sources."""
    digest = hashlib.sha256(" ".join([*FLAGS, *LIBRARIES, platform.machine()]).encode())
    for source in sources:
        digest.update((folder / source).read_bytes())
    return f"native-{digest.hexdigest()[:16]}.so"


def compilers() -> list[list[str]]:
    """Command lines of the C compilers that are here, the preferred one first: `$CC`, the system's, the zig wheel's."""
    found = []
    for command in filter(None, [os.environ.get("CC", ""), "cc", "gcc", "clang"]):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            found.append(words)
    if importlib.util.find_spec("ziglang") is not None:
        found.append([sys.executable, "-m", "ziglang", "cc"])
    return found


def compile_library(target: Path, sources: tuple[str, ...] = SOURCES, folder: Path = FOLDER) -> None:
    """Compiles to `target`, written beside it and renamed: another process sees no library or a whole one.

    The first compiler that succeeds wins. Raises `NoLibrary`.
    """
    commands = compilers()
    if not commands:
        raise NoLibrary("there is no C compiler; install one (Debian: apt-get install gcc) or: pip install ziglang")
    said = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".native-", dir=target.parent) as scratch:
            made = Path(scratch) / target.name
            for command in commands:
                said = _compile([*command, *FLAGS, "-o", str(made), *(str(folder / s) for s in sources), *LIBRARIES])
                if not said:
                    _sync(made)
                    made.replace(target)
                    return
    except OSError as refused:
        raise NoLibrary(f"{target.parent} cannot be written ({refused.strerror})") from refused
    raise NoLibrary(f"the C compiler failed: {said}")


def _sync(path: Path) -> None:
    """Has the content on disk before the name is: a power cut must not leave an empty library behind."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _compile(command: list[str]) -> str:
    """Runs a compiler. Empty when it succeeded, else the line that says why not."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMPILE_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        return " ".join(str(failed).split())
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[-1] if lines else f"exit {done.returncode}")
