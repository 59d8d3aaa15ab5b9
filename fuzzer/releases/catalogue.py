"""Which releases of a package there are, and which Pythons each supports: asked of the package index, through pip.

`pip index versions PACKAGE --python-version X` lists what could be installed on Python X here, by the wheels' tags
(https://pip.pypa.io/en/stable/cli/pip_index/), from whatever index pip is set up to use. The last answer is kept in the
cache folder and stands in, with its date, when the index cannot be reached; without one, the releases of cached
environments do. Nothing is known by heart.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

from fuzzer.disk import write_json
from fuzzer.errors import UserError

PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""Minor versions asked about. 3.9 is the oldest that TensorFlow 2.16, the first with Keras 3, has wheels for."""
SCHEMA = 1
"""Of the kept answer."""
ASK_TIMEOUT_S = 60.0
"""One call takes under a second; with a slow proxy some."""
_ASKED_AT_ONCE = 3


@dataclass(frozen=True)
class Catalogue:
    """Releases of one distribution by version, each with the Python minor versions it has wheels for."""

    distribution: str
    releases: Mapping[str, tuple[str, ...]]
    note: str = ""
    """Why this is not the index' own answer of now; empty when it is."""

    def chosen(self, bounds: str) -> list[str]:
        """The releases within `2.16..2.21`, oldest first; either end may be missing, `2.18` alone is one end twice.

        A bound means all releases that begin with it. Pre-releases are left out. Raises `UserError` when none is left.
        """
        low, high = parse_bounds(bounds)
        kept = []
        for text in self.releases:
            version = Version(text)
            numbers = version.release
            below = low and numbers[: len(low)] < low
            above = high and numbers[: len(high)] > high
            if not (below or above or version.is_prerelease):
                kept.append(text)
        if not kept:
            known = sorted(self.releases, key=Version)
            there = f"{known[0]} to {known[-1]}" if known else "none"
            raise UserError(f"no release of {self.distribution} lies in {bounds}; there are {there}")
        return sorted(kept, key=Version)


def parse_bounds(bounds: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`2.16..2.21` as two tuples of numbers, empty for an open end. Raises `UserError` for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)*)?(\.\.)?(\d+(?:\.\d+)*)?", bounds.strip())
    if found is None or not (found[1] or found[3]) or (found[3] and not found[2]):
        raise UserError(f"--versions {bounds!r}: write 2.16..2.21, 2.16.. or ..2.19")
    low, high = (tuple(map(int, (text or "").split("."))) if text else () for text in (found[1], found[3]))
    if not found[2]:
        high = low
    if low and high and high[: len(low)] < low[: len(high)]:
        raise UserError(f"--versions {bounds!r}: the first release comes after the last")
    return low, high


def ask(distribution: str, folder: Path, installed: Mapping[str, Sequence[str]]) -> Catalogue:
    """What the index says; else its kept answer in `folder`; else the `installed` releases.

    Raises `UserError` when there is none of these.
    """
    kept = folder / f"index-{distribution}.json"
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        answers = list(pool.map(lambda python: _ask_pip(distribution, python), PYTHONS))
    releases: dict[str, list[str]] = {}
    for python, (versions, _) in zip(PYTHONS, answers, strict=True):
        for version in versions:
            releases.setdefault(version, []).append(python)
    if releases:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        folder.mkdir(parents=True, exist_ok=True)
        write_json(kept, {"schema": SCHEMA, "asked": now, "releases": releases})
        return Catalogue(distribution, _frozen(releases))
    why = next((problem for _, problem in answers if problem), "it knows no such package")
    return _without_index(distribution, kept, installed, why)


def _without_index(distribution: str, kept: Path, installed: Mapping[str, Sequence[str]], why: str) -> Catalogue:
    reason = f"the package index cannot be asked for {distribution} ({why})"
    try:
        tree = json.loads(kept.read_bytes())
        if int(tree["schema"]) > SCHEMA:
            raise ValueError("a newer release's answer")
        releases = {str(v): [str(p) for p in pythons] for v, pythons in tree["releases"].items() if Version(v)}
        return Catalogue(distribution, _frozen(releases), f"{reason}: its answer of {str(tree['asked'])[:10]} is used")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidVersion):
        pass  # none kept, or damaged: it was only a copy
    if installed:
        return Catalogue(distribution, _frozen(installed), f"{reason}: only the cached environments are used")
    raise UserError(f"{reason} and no release is cached; check the network, or pip's index-url and proxy")


def _frozen(releases: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {version: tuple(pythons) for version, pythons in releases.items()}


def _ask_pip(distribution: str, python: str) -> tuple[list[str], str]:
    """Releases that have a wheel for a Python, and what went wrong."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "1"]
    command += ["--timeout", "10", "index", "versions", distribution, "--python-version", python]
    command += ["--only-binary", ":all:"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=ASK_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        return [], " ".join(str(failed).split())[-100:]
    listed = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE)
    if done.returncode or listed is None:
        return [], _reason(done.stderr)
    return [text for text in re.split(r",\s*", listed[1].strip()) if _is_version(text)], ""


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _reason(said: str) -> str:
    """The cause among pip's lines: a connection's before the "no matching distribution" that follows from it."""
    if "No module named pip" in said:
        return "pip is not installed here; python -m ensurepip"
    for pattern in (r"(Failed to establish a new connection[^'\")]*)", r"(Name or service not known)", r"(timed out)"):
        if found := re.search(pattern, said):
            return found[1][:80]
    lines = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines()
    return lines[-1].removeprefix("ERROR: ")[:100] if lines else ""
