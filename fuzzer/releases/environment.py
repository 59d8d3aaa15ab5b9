"""A virtual environment per release, made once and kept in the user's cache folder.

An environment is ready when its marker says what was installed; the marker is written last, so one whose making was
interrupted is thrown away by the next use. uv makes and fills environments where it is found, else venv and pip do.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fuzzer.disk import write_json
from fuzzer.errors import UserError
from fuzzer.native.build import NoLibrary
from fuzzer.native.library import cache_folder

MARKER = ".installed.json"
SCHEMA = 1
"""Of the marker."""
INSTALL_TIMEOUT_S = 1800.0
"""250 MB at 150 kB/s."""
RELEASE_MB = 1500
"""What one release takes on disk, unpacked, with NumPy and Keras: 1,318 MB for tensorflow-cpu 2.18.1,
1,411 MB for 2.19.1."""
_NAME = re.compile(r"(?P<distribution>[a-z-]+)-(?P<version>\d[\w.]*?)-py(?P<python>\d\.\d+)")


class CannotInstall(Exception):
    """A release cannot be had here. The message is a few words."""


@dataclass(frozen=True)
class Wanted:
    """What one release needs: the package in question, and what else the script imports."""

    distribution: str
    version: str
    pythons: tuple[str, ...]
    """Minor versions it has wheels for."""
    others: tuple[str, ...] = ()
    """Requirements of pip beside it."""
    alone: tuple[str, ...] = ()
    """Requirements that are installed without theirs: tf-keras asks for `tensorflow` where `tensorflow-cpu` is."""

    @property
    def requirement(self) -> str:
        """The package in question, as pip is asked for it."""
        return f"{self.distribution}=={self.version}"


def folder() -> Path:
    """Where the environments are. Raises `UserError` for a user without a home."""
    try:
        return cache_folder() / "releases"
    except NoLibrary as homeless:
        raise UserError(str(homeless)) from homeless


def cached(where: Path, distribution: str) -> dict[str, list[str]]:
    """Versions of a distribution that are installed in cached environments, and their Pythons."""
    found: dict[str, list[str]] = {}
    for marker in where.glob(f"{distribution}-*/{MARKER}"):
        name = _NAME.fullmatch(marker.parent.name)
        if name is not None and name["distribution"] == distribution:
            found.setdefault(name["version"], []).append(name["python"])
    return found


def ready(where: Path, wanted: Wanted) -> bool:
    """Whether nothing has to be downloaded."""
    chosen = _python(wanted.pythons, where)
    return chosen is not None and set(_all(wanted)) <= set(_marked(_path(where, wanted, chosen[0])))


def python_of(where: Path, wanted: Wanted) -> str:
    """The minor version of the Python that `environment` would take; empty where none that fits is here."""
    chosen = _python(wanted.pythons, where)
    return chosen[0] if chosen else ""


def environment(where: Path, wanted: Wanted) -> Path:
    """The Python of an environment that holds what is wanted, made now if need be. Raises `CannotInstall`.

    A second process that wants the same waits for the first.
    """
    chosen = _python(wanted.pythons, where)
    if chosen is None:
        raise CannotInstall(needs_python(wanted.pythons))
    path = _path(where, wanted, chosen[0])
    python = path / "bin" / "python"
    try:
        where.mkdir(parents=True, exist_ok=True)
        with _locked(where / f"{path.name}.lock"):
            done = _marked(path)
            if not done or not python.exists():
                shutil.rmtree(path, ignore_errors=True)
                done = []
            missing = [r for r in _all(wanted) if r not in done]
            if missing:
                _room(where)
                _fill(path, python, chosen[1], wanted, done)
    except OSError as refused:
        raise CannotInstall(f"{where} cannot be written ({refused.strerror})") from refused
    return python


def needs_python(pythons: Sequence[str]) -> str:
    """`needs Python <= 3.12`: what a release without a fitting Python here asks for."""
    if not pythons:
        return "no wheel for this machine"
    here = _minor(f"{sys.version_info[0]}.{sys.version_info[1]}")
    lowest, highest = pythons[0], pythons[-1]
    if here > _minor(highest):
        return f"needs Python <= {highest}"
    return f"needs Python >= {lowest}" if here < _minor(lowest) else f"needs Python {lowest} to {highest}"


def free_mb(where: Path) -> int:
    """Free disk space where the environments go, in MB."""
    while not where.exists():
        where = where.parent
    return shutil.disk_usage(where).free // 10**6


# --- making one -------------------------------------------------------------------------------------------


def _all(wanted: Wanted) -> list[str]:
    return [wanted.requirement, *wanted.others, *wanted.alone]


def _path(where: Path, wanted: Wanted, python: str) -> Path:
    return where / f"{wanted.distribution}-{wanted.version}-py{python}"


def _marked(path: Path) -> list[str]:
    """What the marker says was installed; nothing without one."""
    try:
        tree = json.loads((path / MARKER).read_bytes())
        return [str(r) for r in tree["installed"]] if int(tree["schema"]) <= SCHEMA else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _room(where: Path) -> None:
    if free_mb(where) < RELEASE_MB:
        raise CannotInstall(f"no room: {free_mb(where)} MB free, about {RELEASE_MB} needed")


def _fill(path: Path, python: Path, base: str, wanted: Wanted, done: Sequence[str]) -> None:
    """Makes the environment unless it is there, and installs what is not `done`."""
    try:
        if not done:
            _create(path, base)
            _install(python, [wanted.requirement, *wanted.others], False)
        elif more := [r for r in wanted.others if r not in done]:
            _install(python, [wanted.requirement, *more], False)
        if alone := [r for r in wanted.alone if r not in done]:
            _install(python, alone, True)
        write_json(path / MARKER, {"schema": SCHEMA, "installed": sorted({*done, *_all(wanted)})})
    except BaseException:
        if not done:  # a half-made environment of a gigabyte is of no use to anybody
            shutil.rmtree(path, ignore_errors=True)
        raise


def _create(path: Path, base: str) -> None:
    uv = shutil.which("uv")
    if uv and not _run([uv, "venv", "--quiet", "--no-project", "--python", base, str(path)]):
        return
    shutil.rmtree(path, ignore_errors=True)
    # Without pip: the one that is here installs into it, and Debian's venv cannot bring one.
    if said := _run([base, "-m", "venv", "--without-pip", str(path)]):
        raise CannotInstall(f"no environment ({said})")


def _install(python: Path, requirements: Sequence[str], alone: bool) -> None:
    """Wheels only: nothing is compiled here. What uv cannot do (an index that only pip knows), pip does."""
    options = ["--only-binary", ":all:", *(["--no-deps"] if alone else []), *requirements]
    uv = shutil.which("uv")
    if uv and not _run([uv, "pip", "install", "--quiet", "--python", str(python), *options]):
        return
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    if said := _run([*pip, "--python", str(python), "install", *options]):
        raise CannotInstall(said)


def _run(command: Sequence[str]) -> str:
    """Runs a tool to its end. Empty when it succeeded, else a few words."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_S,
            env=clean,
        )
    except subprocess.TimeoutExpired:
        return f"no end in {INSTALL_TIMEOUT_S / 60:.0f} minutes"
    if done.returncode == 0:
        return ""
    if "No space left" in done.stderr:
        return "the disk is full"
    if re.search(r"new connection|name resolution|Name or service|timed out|dns error|ConnectionError", done.stderr):
        return "no network"
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    return " ".join(lines[-1].removeprefix("ERROR: ").split())[:90] if lines else f"exit {done.returncode}"


# --- which Python -----------------------------------------------------------------------------------------


def _minor(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _python(pythons: Sequence[str], where: Path) -> tuple[str, str] | None:
    """Minor version and path of a Python here among `pythons`: this one where it fits, else the newest."""
    here = interpreters()
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for minor in (own, *sorted(pythons, key=_minor, reverse=True)):
        if minor in pythons and minor in here:
            return minor, here[minor]
    return None


@cache
def interpreters() -> Mapping[str, str]:
    """The Pythons on this machine by minor version: this one, and what runs under the name of `python3.N`."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for number in range(9, 21):
        minor, path = f"3.{number}", shutil.which(f"python3.{number}")
        if minor not in found and path and _is_python(path, minor):
            found[minor] = path
    return found


def _is_python(path: str, minor: str) -> bool:
    """Whether a program is that Python and can make environments: a version manager's shim may be neither."""
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == minor


def installed_here(requirements: Sequence[str]) -> bool:
    """Whether this very environment holds all of `NAME==VERSION` and `NAME`; then no other is needed."""
    for requirement in requirements:
        name, _, wanted = requirement.partition("==")
        try:
            if wanted and version(name) != wanted:
                return False
            version(name)
        except PackageNotFoundError:
            return False
    return True
