"""The findings of a crashes folder: journal, one folder a title, inbox, index.

crashes/
  journal.jsonl          append-only, the truth
  index.parquet          one row a finding, rebuilt from the journal
  inbox/                 suspicions not yet examined
    aside/               those that others stand for, until nothing else waits
  <slug>-<id>/           one folder a title: the sample that is shown
    case.json            as found
    minimal.json         minimised
    verdict.json         what the oracle said of the minimal case
    repro.py             TensorFlow and NumPy only
    report.md            one page
    model.tflite, tensors.npz, log.txt
    kernels.json         what every runtime made of the minimal case
    stack.txt            the native stack of a death
  .alternatives/<slug>-<id>/
                         the same files of a title that was merged into another
  .older/<slug>-<id>/    samples that a smaller one replaced
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fuzzer.disk import sync_folder
from fuzzer.errors import UserError
from fuzzer.findings import inbox
from fuzzer.findings.finding import Finding, State
from fuzzer.findings.index import FILE, write_index
from fuzzer.findings.journal import SCHEMA, Journal
from fuzzer.findings.merging import answers_to
from fuzzer.findings.titles import finding_id

if TYPE_CHECKING:
    from fuzzer.releases import Boundaries

_BISECTED = ("last_good", "first_bad", "last_bad", "first_good")
"""What `bisect` finds: releases as `tensorflow 2.18.0`."""
MAX_OLD_SAMPLES = 3
"""Samples kept of one title when smaller ones replace them."""
ALTERNATIVES = ".alternatives"
"""Folder of the samples of titles that were merged into another."""
MAX_ALTERNATIVES = 8
"""Samples of other titles kept of one finding; the journal has every title."""
_PART = ".new-"
"""A folder that is being filled."""
ABANDONED_S = 3600.0
"""What was begun that long ago nobody fills any more: it takes seconds."""


class FindingStore:
    """Reads and writes one crashes folder. Cheap to make; safe beside other processes and threads."""

    def __init__(self, folder: Path, create: bool = False, lenient: bool = False) -> None:
        """Opens a folder. Raises `UserError` when it does not exist (and `create` is false) or cannot be written.

        A journal of a newer release is refused when it is first read, unless `lenient`: then its lines are counted.
        """
        self.folder = folder
        self._lenient = lenient
        if create:
            try:
                (folder / inbox.FOLDER).mkdir(parents=True, exist_ok=True)
            except OSError as refused:
                reason = f"{folder} cannot be written ({refused.strerror}); choose another: --crashes DIR"
                raise UserError(reason) from refused
        elif not folder.is_dir():
            raise UserError(f"{folder} does not exist; run a campaign first, or name the folder: --crashes DIR")
        if create and not os.access(folder, os.W_OK):
            raise UserError(f"{folder} cannot be written; choose another: --crashes DIR")
        self.journal = Journal(folder / "journal.jsonl")
        self.damaged = 0
        """Lines of the journal that could not be read."""
        self.newer = 0
        """Of those, the lines that a newer release wrote."""
        self.accounts: dict[str, dict[str, None]] = {}
        """Facet of suspicions -> ids of the findings that some with it ended under."""
        self._findings: dict[str, Finding] = {}
        self._end = 0
        self._reading = threading.Lock()
        """A screen and its jobs share a store: what is appended is read by one of them."""

    # --- reading ----------------------------------------------------------------------------------------

    def findings(self) -> list[Finding]:
        """All findings, first seen first. Reads only what was appended since the last call."""
        with self._reading:
            self._catch_up()
            return sorted(self._findings.values(), key=lambda f: (f.first_seen, f.id))

    def _catch_up(self) -> None:
        if self.journal.size() < self._end:
            # The journal was replaced by an older or shorter one: start over.
            self._findings, self._end, self.damaged, self.newer = {}, 0, 0, 0
            self.accounts = {}
        read = self.journal.read(self._end)
        if read.newer and not self._end and not self._lenient:
            # Only at first: a campaign that runs goes on beside a newer release, and leaves its lines alone.
            raise UserError(
                f"{self.journal.path} was written by a newer release (schema {read.newest}, this one reads up to "
                f"{SCHEMA}); update the fuzzer, or name another folder: --crashes DIR. Nothing was changed"
            )
        self._end = read.end
        self.damaged += read.damaged
        self.newer += read.newer
        for event in read.events:
            try:
                self._apply(event)
            except (KeyError, TypeError, ValueError):
                self.damaged += 1

    def _apply(self, event: dict[str, object]) -> None:
        """One event of the journal. Raises `KeyError`, `TypeError` or `ValueError` for one that is damaged."""
        apply = _EVENTS.get(str(event["event"]))
        if apply is not None:
            apply(self, event)

    def _apply_finding(self, event: dict[str, object]) -> None:
        finding = _finding_of(event)
        old = self._findings.get(finding.id)
        counted = event.get("counted") is not False
        self._findings[finding.id] = finding if old is None else finding.told_as(old, counted)

    def _apply_accounts(self, event: dict[str, object]) -> None:
        facets = event["facets"]
        if not isinstance(facets, list):
            raise TypeError("facets are a list")
        for facet in facets:
            self.accounts.setdefault(str(facet), {})[str(event["id"])] = None

    def _change(self, event: dict[str, object], changed: Callable[[Finding], Finding]) -> None:
        """Changes the finding that an event is about; an event about one that is not known changes nothing."""
        old = self._findings.get(str(event["id"]))
        if old is not None:
            self._findings[old.id] = changed(old)

    def _apply_alternative(self, event: dict[str, object]) -> None:
        other = _finding_of(event)
        self._change(event, lambda old: old.merged(other))

    def _apply_seen(self, event: dict[str, object]) -> None:
        seconds, at = float(str(event.get("seconds", 0.0))), str(event["at"])
        self._change(
            event, lambda old: replace(old, count=old.count + 1, last_seen=at, examined_s=old.examined_s + seconds)
        )

    def _apply_mark(self, event: dict[str, object]) -> None:
        state, said = State(str(event["state"])), [str(event.get(name, "")) for name in ("note", "duplicate_of", "at")]
        self._change(event, lambda old: old.marked(state, *said))

    def _apply_replayed(self, event: dict[str, object]) -> None:
        result, said, at = (str(event[name]) for name in ("result", "said", "at"))
        self._change(event, lambda old: replace(old, replayed=result, replay_said=said, replayed_at=at))

    def _apply_minimised(self, event: dict[str, object]) -> None:
        self._change(event, lambda old: replace(old, minimised=True))

    def _apply_bisected(self, event: dict[str, object]) -> None:
        found = [str(event[name]) for name in _BISECTED]
        self._change(event, lambda old: old.bisected(*found))

    def get(self, id_: str) -> Finding:
        """The finding whose id, or the id of another title of it, starts with `id_`.

        Raises `UserError` when none or several do.
        """
        found = [f for f in self.findings() if answers_to(f, id_)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{id_!r} is the beginning of {len(found)} ids: {', '.join(f.id for f in found[:5])}")
        raise UserError(f"no finding {id_!r} in {self.folder}; `python -m fuzzer status` lists them")

    def at(self, name: str) -> Finding:
        """The finding with that id, or that of another title of it, or in the folder of that name.

        Raises `UserError` when there is none.
        """
        for finding in self.findings():
            ids = [finding_id(title) for title in finding.alternatives]
            if name in (finding.id, finding.path, *ids):
                return finding
        raise UserError(f"no finding {name!r} in {self.folder}; name its folder of findings: --crashes DIR")

    def files(self, id_: str) -> Path:
        """The folder of a finding."""
        return self.folder / self.get(id_).path

    def pending(self) -> list[Path]:
        """Suspicions waiting to be examined."""
        return inbox.waiting(self.folder)

    # --- writing ----------------------------------------------------------------------------------------

    @contextmanager
    def filing(self) -> Iterator[None]:
        """Keeps other processes from filing meanwhile: whether a sample is better holds until it is in its place.

        Raises `OSError`. The kernel lets go when its holder dies.
        """
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def add(self, finding: Finding, fill: Callable[[Path], None], counted: bool = True) -> None:
        """Adds a finding, or a better sample of one. `fill` writes the files into an empty folder.

        The folder appears whole or not at all, and the journal is told after it is there. A sample of a suspicion that
        was counted before is not `counted` again.
        """
        self._place(self.folder / finding.path, fill)
        self.journal.append("finding", finding=finding.to_json(), **({} if counted else {"counted": False}))

    def add_alternative(self, finding: Finding, other: Finding, fill: Callable[[Path], None]) -> None:
        """Adds another title of a finding with its sample, of which `MAX_ALTERNATIVES` are kept; see `add`."""
        if len(finding.alternatives) < MAX_ALTERNATIVES:
            (self.folder / ALTERNATIVES).mkdir(exist_ok=True)
            self._place(self.folder / ALTERNATIVES / other.path, fill)
        self.journal.append("alternative", id=finding.id, finding=other.to_json())

    def _place(self, target: Path, fill: Callable[[Path], None]) -> None:
        temporary = Path(tempfile.mkdtemp(prefix=_PART, dir=self.folder))
        try:
            fill(temporary)
            for file in temporary.iterdir():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
            if target.exists():
                self._set_aside(target)
            temporary.chmod(0o755)
            temporary.replace(target)
            sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def sweep(self) -> None:
        """Removes what a killed process left half-written: its suspicion is in the inbox still. Raises `OSError`."""
        old = time.time() - ABANDONED_S
        for pattern in (f"{_PART}*", f"{inbox.FOLDER}/.*.tmp"):
            for part in self.folder.glob(pattern):
                if part.lstat().st_mtime < old:
                    shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()

    def _set_aside(self, target: Path) -> None:
        """Keeps a bounded number of older samples, as `older/1` and so on, inside `.older`."""
        shelf = self.folder / ".older" / target.name
        shelf.mkdir(parents=True, exist_ok=True)
        kept = sorted(int(p.name) for p in shelf.iterdir() if p.name.isdigit())
        target.replace(shelf / str((kept[-1] if kept else 0) + 1))
        for old in kept[: max(0, len(kept) + 1 - MAX_OLD_SAMPLES)]:
            shutil.rmtree(shelf / str(old), ignore_errors=True)

    def seen(self, id_: str, case_id: str, at: str, seconds: float = 0.0) -> None:
        """Counts another suspicion under a known title; `seconds` are what examining it took."""
        self.journal.append("seen", id=id_, case=case_id, at=at, seconds=round(seconds, 3))

    def alike(self, id_: str, case_id: str, facets: Sequence[str], at: str) -> None:
        """Journals that a suspicion was not examined: enough others wait for each of its facets.

        `id_` is the finding that accounts for one of them; empty where none does yet.
        """
        self.journal.append("alike", id=id_, case=case_id, facets=list(facets), at=at)

    def unconfirmed(self, id_: str, case_id: str, exits: Sequence[int], shown: bool) -> None:
        """Journals that a reproducer did not exit 1: its exit codes, and whether one more fresh process showed it."""
        self.journal.append("unconfirmed", id=id_, case=case_id, exits=list(exits), shown=shown)

    def account(self, id_: str, facets: Sequence[str]) -> None:
        """Journals that suspicions with these facets ended under a finding."""
        self.journal.append("accounts", id=id_, facets=list(facets))

    def dismiss(self, suspicion: inbox.Suspicion, why: str, seconds: float = 0.0) -> None:
        """Journals that a suspicion is no finding, with its case: nothing found is lost."""
        case = suspicion.case.canonical.decode()
        self.journal.append("dismissed", case=case, why=why, found=suspicion.found, seconds=round(seconds, 3))

    def mark(self, id_: str, state: State, note: str = "", duplicate_of: str = "", at: str = "") -> None:
        """Journals what a person says of a finding, and when (ISO 8601). Raises `UserError` for an unknown id."""
        finding = self.get(id_)
        self.journal.append("mark", id=finding.id, state=state.value, note=note, duplicate_of=duplicate_of, at=at)

    def replayed(self, id_: str, result: str, said: str, at: str) -> None:
        """Journals what a replay came to, and when (ISO 8601). Raises `UserError` for an unknown id, `OSError`."""
        self.journal.append("replayed", id=self.get(id_).id, result=result, said=said, at=at)

    def minimised(self, id_: str) -> None:
        """Journals that minimising a finding's sample came to its end, and to nothing smaller. Raises as `replayed`."""
        self.journal.append("minimised", id=self.get(id_).id)

    def bisected(self, id_: str, package: str, answers: Mapping[str, object], found: Boundaries) -> None:
        """Journals what each release said (`answers`, by version) and the releases around the defect.

        Raises `UserError` for an unknown id, `OSError` when the disk refuses.
        """
        finding = self.get(id_)
        versions = {name: getattr(found, name) for name in _BISECTED}
        around = {name: f"{package} {version}" if version else "" for name, version in versions.items()}
        self.journal.append("bisected", id=finding.id, package=package, answers=dict(answers), **around)

    def rebuild_index(self) -> list[Finding]:
        """Writes `index.parquet` from the journal and returns its findings."""
        findings = self.findings()
        write_index(self.folder, findings)
        return findings

    @property
    def index_path(self) -> Path:
        """Where the index is."""
        return self.folder / FILE


def _finding_of(event: dict[str, object]) -> Finding:
    tree = event["finding"]
    if not isinstance(tree, dict):
        raise TypeError("a finding is an object")
    return Finding.from_json(tree)


_EVENTS: Mapping[str, Callable[[FindingStore, dict[str, object]], None]] = {
    "finding": FindingStore._apply_finding,
    "alternative": FindingStore._apply_alternative,
    "seen": FindingStore._apply_seen,
    "mark": FindingStore._apply_mark,
    "replayed": FindingStore._apply_replayed,
    "accounts": FindingStore._apply_accounts,
    "minimised": FindingStore._apply_minimised,
    "bisected": FindingStore._apply_bisected,
}
"""What each event of the journal does; events that are not listed are for others (the inbox, the bounds of a night)."""
