"""The inbox: suspicions saved as they are found, before anybody judges them.

A driver writes one file a suspicion, durably, before it goes on; the examiner takes the file away only after the
journal says what became of it. So neither a crash nor a power cut loses a suspicion.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzer.case import Case
from fuzzer.case.codec import from_json, to_json
from fuzzer.disk import write_json
from fuzzer.errors import CaseError
from fuzzer.oracles.verdict import Verdict

FOLDER = "inbox"
ASIDE = "aside"
"""The folder in the inbox of what others stand for that wait (`fuzzer.examine.aside`)."""


@dataclass(frozen=True)
class Suspicion:
    """A case and what was said of it. `verdict` is None for a case that was in flight when a driver died."""

    case: Case
    verdict: Verdict | None
    found: str
    """ISO 8601, UTC."""
    log: str = ""

    @property
    def name(self) -> str:
        """The file's name: the same suspicion of the same case is one file.

        One case may show several of a kind: each runtime has its own words for why it fails.
        """
        if self.verdict is None:
            return f"{self.case.id}-in-flight.json"
        words = hashlib.sha256(f"{self.verdict.stage.value}|{self.verdict.message}".encode()).hexdigest()
        return f"{self.case.id}-{self.verdict.kind.value}-{words[:8]}.json"


def save(crashes: Path, suspicion: Suspicion) -> Path:
    """Writes a suspicion to the inbox. Raises `OSError` when the disk refuses."""
    path = crashes / FOLDER / suspicion.name
    tree: dict[str, Any] = {
        "case": to_json(suspicion.case),
        "verdict": suspicion.verdict.to_json() if suspicion.verdict else None,
        "found": suspicion.found,
        "log": suspicion.log[-8000:],
    }
    write_json(path, tree)
    return path


def load(path: Path) -> Suspicion:
    """Reads a suspicion. Raises `CaseError` when the file is no suspicion."""
    try:
        tree = json.loads(path.read_bytes())
        verdict = Verdict.from_json(tree["verdict"]) if tree["verdict"] else None
        return Suspicion(from_json(tree["case"]), verdict, str(tree["found"]), str(tree.get("log", "")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as broken:
        raise CaseError("suspicion", f"a readable file {path.name}", str(broken)) from broken


def count(crashes: Path) -> int:
    """How many suspicions wait; cheap enough for a screen, however many there are."""
    try:
        with os.scandir(crashes / FOLDER) as entries:
            return sum(entry.name.endswith(".json") and entry.name[0] != "." for entry in entries)
    except FileNotFoundError:
        return 0


def waiting(crashes: Path) -> list[Path]:
    """The suspicions in the inbox, oldest first."""
    folder = crashes / FOLDER
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue  # taken by the examiner meanwhile
    return [path for _, path in sorted(found)]
