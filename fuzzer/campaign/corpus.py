"""The corpus: cases worth keeping, each with the features it showed, so that a resume executes none of them.

corpus/
<case id>.json     a case, readable
features.jsonl     one line a case: its features
.state/            what a running campaign needs: lock, slots, logs
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from fuzzer.case import Case, decode
from fuzzer.disk import write_atomic
from fuzzer.errors import CaseError, UserError

STATE = ".state"
FEATURES = "features.jsonl"


class Corpus:
    """One corpus folder."""

    def __init__(self, folder: Path) -> None:
        """Opens or makes the folder. Raises `UserError` when it cannot be written."""
        self.folder = folder
        try:
            (folder / STATE).mkdir(parents=True, exist_ok=True)
        except OSError as refused:
            reason = f"{folder} cannot be written ({refused.strerror}); choose another: --corpus DIR"
            raise UserError(reason) from refused
        if not os.access(folder, os.W_OK):
            raise UserError(f"{folder} cannot be written; choose another: --corpus DIR")
        self._features: dict[str, list[str]] = {}
        self._end = 0

    @property
    def state(self) -> Path:
        """Where a running campaign keeps what is not for people."""
        return self.folder / STATE

    def files(self) -> list[Path]:
        """The case files, by name."""
        return sorted(p for p in self.folder.glob("*.json") if not p.name.startswith("."))

    def features_of(self, case_id: str) -> list[str] | None:
        """What a case of the corpus showed when it was executed; None when nobody knows."""
        return self._features.get(case_id)

    def refresh(self) -> None:
        """Reads the features that were appended since the last call, by us or by a sibling."""
        try:
            with (self.folder / FEATURES).open("rb") as file:
                file.seek(self._end)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._end += len(whole)
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
                self._features[str(entry["case"])] = [str(f) for f in entry["features"]]
            except (ValueError, KeyError, TypeError):
                continue  # cut off by a kill: that case is executed again, nothing else

    def add(self, case: Case, features: list[str]) -> None:
        """Keeps a case. Raises `OSError` when the disk refuses."""
        self._features[case.id] = features
        write_atomic(self.folder / f"{case.id}.json", case.canonical + b"\n", sync=False)
        line = json.dumps({"case": case.id, "features": features}, separators=(",", ":")).encode() + b"\n"
        handle = os.open(self.folder / FEATURES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line)  # one write: lines of siblings do not mix
        finally:
            os.close(handle)

    def readable(self) -> tuple[list[Path], list[str]]:
        """Case files that decode, and a sentence for each that does not."""
        good, bad = [], []
        for path in self.files():
            try:
                decode(path.read_bytes())
            except (CaseError, OSError) as broken:
                bad.append(f"{path.name}: {broken}")
            else:
                good.append(path)
        return good, bad

    def archive(self) -> Path | None:
        """Moves all entries into a dated sub-folder, for a fresh start. Returns it, or None when there was nothing."""
        entries = [*self.files(), *self.folder.glob(FEATURES)]
        if not entries:
            return None
        base = self.folder / f"old-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        target, n = base, 1
        while target.exists():
            n += 1
            target = base.with_name(f"{base.name}-{n}")
        target.mkdir()
        for entry in entries:
            entry.replace(target / entry.name)
        self._features, self._end = {}, 0
        return target
