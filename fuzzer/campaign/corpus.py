"""The corpus: cases worth keeping, each with the features and blocks it showed, so that a resume executes none of them.

corpus/
<case id>.json     a case, readable
features.jsonl     one line a case: what it showed (`Line`)
.state/            what a running campaign needs: lock, slots, logs
"""

from __future__ import annotations

import errno
import json
import os
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from sys import intern
from typing import Any

from fuzzer.case import Case, case_id, decode
from fuzzer.coverage.python_lines import PREFIX
from fuzzer.coverage.space import BlockSpace, pack, unpack
from fuzzer.disk import write_atomic
from fuzzer.errors import CaseError, UserError
from fuzzer.ops import registry

STATE = ".state"
FEATURES = "features.jsonl"
BLOCKS_FILE = "blocks.json"
"""In `.state`: `{"libraries": BlockSpace.to_json()}`, the libraries that campaigns over this corpus watched last."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a case that was executed: one line of `features.jsonl`."""

    case: str
    """Its id."""
    features: list[str]
    blocks: Mapping[str, str] = field(default_factory=dict)
    """The blocks that nobody had reached before it, packed (`BlockSpace.pack`)."""
    at: float | None = None
    """When, in seconds since the epoch; None in lines of a release that did not say."""
    died: bool = False
    """Whether it killed its executor: there is no case file then."""

    def to_bytes(self) -> bytes:
        """The line, with its end."""
        tree: dict[str, Any] = {"case": self.case, "features": self.features}
        if self.blocks:
            tree["blocks"] = dict(self.blocks)
        if self.at is not None:
            tree["at"] = round(self.at, 1)
        if self.died:
            tree["died"] = True
        return json.dumps(tree, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Line | None:
        """What `to_bytes` gave, or a release before blocks. None for anything else: cut off by a kill, say."""
        try:
            tree = json.loads(data)
            blocks, at = tree.get("blocks", {}), tree.get("at")
            if not isinstance(tree["case"], str) or not isinstance(tree["features"], list):
                return None
            if not all(_is_packed(digest, text) for digest, text in blocks.items()):
                return None
            # Interned: tens of thousands of entries share some ten thousand features.
            features = [intern(str(feature)) for feature in tree["features"]]
            return cls(tree["case"], features, blocks, None if at is None else float(at), tree.get("died") is True)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


def _is_packed(digest: object, text: object) -> bool:
    """Whether this may be packed blocks: base64 of whole LEB128 numbers. Unpacking would take twenty times as long."""
    if not isinstance(digest, str) or not isinstance(text, str):
        return False
    data = b64decode(text, validate=True)  # `binascii.Error` is a `ValueError`
    return not data or data[-1] < 128


def lines(folder: Path) -> Iterator[Line]:
    """Every whole line of a corpus, in the order of writing; nothing where there is no corpus."""
    try:
        data = (folder / FEATURES).read_bytes()
    except FileNotFoundError:
        return
    for raw in data[: data.rfind(b"\n") + 1].splitlines():
        line = Line.from_bytes(raw)
        if line is not None:
            yield line


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
        self._forget()

    def _forget(self) -> None:
        self._features: dict[str, list[str]] = {}
        self._packed: dict[str, Mapping[str, str]] = {}
        self._lines: set[str] = set()
        self._dead: set[str] = set()
        self._end = 0

    @property
    def state(self) -> Path:
        """Where a running campaign keeps what is not for people."""
        return self.folder / STATE

    def files(self) -> list[Path]:
        """The case files, by name."""
        return sorted(p for p in self.folder.glob("*.json") if not p.name.startswith("."))

    # --- what is known ----------------------------------------------------------------------------------

    def features_of(self, case_id: str) -> list[str] | None:
        """What a case showed when it was executed, nothing when it died; None when nobody knows."""
        return self._features.get(case_id)

    def died(self, case_id: str) -> bool:
        """Whether a case is known for killing its executor, so that there is no file of it."""
        return case_id in self._dead

    def packed_of(self, case_id: str) -> Mapping[str, str]:
        """The blocks that a case was the first to reach, for `BlockSpace.unpack`; empty when nobody knows."""
        return self._packed.get(case_id, {})

    def lines(self) -> list[str]:
        """Every feature that is a line of the converter's Python side."""
        return list(self._lines)

    def known_blocks(self, space: BlockSpace) -> list[int]:
        """Every block of the corpus, ascending. A case whose blocks cannot be is forgotten: it is executed again."""
        known: set[int] = set()
        for name, packed in list(self._packed.items()):
            try:
                known.update(space.unpack(packed))
            except ValueError:
                del self._packed[name]
                self._features.pop(name, None)
        return sorted(known)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forgets what is known of cases whose files are gone or damaged: nobody could show their blocks again.

        `names`: the ids of good files. Cases that killed their executor have none and are kept.
        """
        good = {*names, *self._dead}
        for name in [name for name in self._features if name not in good]:
            del self._features[name]
            self._packed.pop(name, None)

    def refresh(self) -> list[str]:
        """Reads the lines that were appended since the last call, by us or by a sibling; returns their cases."""
        try:
            with (self.folder / FEATURES).open("rb") as file:
                file.seek(self._end)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._end += len(whole)
        read = []
        for raw in whole.splitlines():
            line = Line.from_bytes(raw)
            if line is not None:  # else that case is executed again, nothing more
                self._take(line)
                read.append(line.case)
        return read

    def _take(self, line: Line) -> None:
        if line.died and line.case in self._features and line.case not in self._dead:
            # Another run of it lived, and its file is there: that is what it shows.
            line = replace(line, features=self._features[line.case], died=False)
        self._features[line.case] = line.features
        self._lines.update(feature for feature in line.features if feature.startswith(PREFIX))
        if line.died:
            self._dead.add(line.case)
        else:
            self._dead.discard(line.case)  # a sibling's run of it lived: there is a file
        if line.blocks:
            self._packed[line.case] = _union(self._packed.get(line.case, {}), line.blocks)

    # --- writing ----------------------------------------------------------------------------------------

    def add(
        self, case: Case, features: list[str], blocks: Mapping[str, str] | None = None, at: float | None = None
    ) -> None:
        """Keeps a case. `blocks`: those it was the first to reach, packed; `at`: seconds since the epoch, or now.

        Raises `OSError` when the disk refuses.
        """
        write_atomic(self.folder / f"{case.id}.json", case.canonical + b"\n", sync=False)
        self._append(Line(case.id, features, blocks or {}, time.time() if at is None else at))

    def note(
        self, case_id: str, blocks: Mapping[str, str], features: Sequence[str] = (), at: float | None = None
    ) -> None:
        """Keeps what a case reached that killed its executor, but not the case. Raises `OSError`."""
        self._append(Line(case_id, list(features), blocks, time.time() if at is None else at, died=True))

    def _append(self, line: Line) -> None:
        self._take(line)
        data = line.to_bytes()
        handle = os.open(self.folder / FEATURES, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                data = b"\n" + data  # a full disk cut off the line before: it must not take this one with it
            # One write: lines of siblings do not mix.
            if os.write(handle, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder / FEATURES))
        finally:
            os.close(handle)

    def readable(self) -> tuple[list[Path], list[str]]:
        """Case files that decode, and a sentence for each that does not.

        A file that holds the case it is named after, of ops that are there, is taken without decoding it whole.
        """
        good, bad = [], []
        for path in self.files():
            try:
                data = path.read_bytes()
                if not (case_id(data.removesuffix(b"\n")) == path.stem and _ops_known(data)):
                    decode(data)
            except (CaseError, OSError) as broken:
                bad.append(f"{path.name}: {broken}")
            else:
                good.append(path)
        return good, bad

    def archive(self) -> Path | None:
        """Moves all entries into a dated sub-folder, for a fresh start. Returns it, or None when there was nothing."""
        # What is known goes first: entries that are left without are executed again.
        entries = [*self.folder.glob(FEATURES), *self.files()]
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
        self._forget()
        return target


def _union(old: Mapping[str, str], new: Mapping[str, str]) -> Mapping[str, str]:
    """Packed blocks of either. Two lines of one case are rare: it was executed by two siblings, or again."""
    if not old or old == new:
        return new
    merged = {**old, **new}
    for digest in old.keys() & new.keys():
        merged[digest] = pack(sorted({*unpack(old[digest]), *unpack(new[digest])}))
    return merged


def _ops_known(data: bytes) -> bool:
    """Whether every op of a case of ours is there: those of a plugin that is not given now are not."""
    try:
        return all(node["op"] in registry() for node in json.loads(data)["model"]["nodes"])
    except (ValueError, KeyError, TypeError):
        return False
