"""What waits in the inbox, in memory: which suspicion goes next, and which need no look at all.

The inbox is read by name: each file is opened once, when it is new, and again when it is taken. What brings nothing new
is counted at once and its file leaves the inbox, so that a night's suspicions stay a few thousand files:

- a verdict that names its defect, and enough of its like ended under one title: counted there (`Ledger.recognised`);
- `KEPT` others wait for each of its facets: journalled as `alike`, under the finding that accounts for a facet where
  one does, and set aside (`fuzzer.examine.aside`) until nothing else waits.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from fuzzer.errors import CaseError
from fuzzer.examine.aside import Aside
from fuzzer.examine.facets import facets_of, names_itself
from fuzzer.examine.ledger import Ledger
from fuzzer.findings import inbox
from fuzzer.findings.finding import Finding
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.store import FindingStore
from fuzzer.oracles import Kind
from fuzzer.oracles.death import FRAME

KEPT = 6
"""Suspicions that wait for a facet before others that show nothing else are only counted."""
REFRESH_S = 1.0
"""How often the names of the inbox are looked through."""
MAX_LOOK_S = 0.3
"""Spent on new files at a time: a third of a millisecond each, but one that is only counted waits for the disk, and an
inbox left by an earlier night must not hold up picks and the screen."""
Facets = tuple[str, ...]


@dataclass(frozen=True, order=True)
class _Entry:
    """What is kept in memory of a file; in the order of time."""

    found: str
    name: str
    kind: Kind | None = field(compare=False)
    facets: Facets = field(compare=False)
    ops: frozenset[str] = field(compare=False)
    framed: bool = field(compare=False)
    """The native stack names a function."""
    runtime: str = field(compare=False, default="")

    @property
    def case(self) -> str:
        """The id of its case."""
        return self.name.partition("-")[0]

    @property
    def group(self) -> Facets:
        """Suspicions of one group promise the same; one whose facets are unknown is a group of its own."""
        return self.facets or (self.name,)


@dataclass(frozen=True)
class Known:
    """A suspicion that was counted without running it, and the finding (None: others like it wait)."""

    what: str
    """`seen`: it is one of the finding's; `alike`: it looks like others."""
    finding: Finding | None
    why: str


class Waiting:
    """The inbox of one crashes folder. Safe for use by several threads; one such object a folder."""

    def __init__(
        self, store: FindingStore, ledger: Ledger, clock: Callable[[], float] = time.monotonic, kept: int = KEPT
    ) -> None:
        self._broken: list[str] = []
        self._counted: list[Known] = []
        self._store = store
        self._folder = store.folder / inbox.FOLDER
        self._aside = Aside(self._folder)
        self._ledger = ledger
        self._clock = clock
        self._kept = kept
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] = {}
        """By file name; those in hand too."""
        self._ignored: set[str] = set()
        """Names of files that are broken, or that an internal error left."""
        self._in_hand: set[Facets] = set()
        self._put_off: list[tuple[_Entry, str]] = []
        """What comes up again when nobody claims that name any more."""
        self._groups: dict[Facets, list[_Entry]] = {}
        """Heaps, the oldest on top."""
        self._heaps: dict[bool, list[tuple[tuple[bool, int], str, Facets]]] = {True: [], False: []}
        """By whether the verdict names its defect: (interest, found, group), stale ones too."""
        self._facets: Counter[str] = Counter()
        """How many wait with each facet."""
        self._spent: dict[bool, float] = {True: 0.0, False: 0.0}
        self._next_look = 0.0
        self._unread = False
        """Whether there are new files that nobody has read yet."""
        self._alike = 0

    # --- taking and giving back -------------------------------------------------------------------------

    def take(self, stop: Callable[[], bool] = lambda: False) -> tuple[str, Suspicion] | None:
        """The most interesting suspicion, by file name; nobody else gets one of its group before `done` or `leave`.

        Verdicts that name their defect and others have equal shares of the examiners' time while both have something
        new. `stop` ends the reading of a full inbox. Raises `OSError` when the journal cannot be written.
        """
        while True:
            with self._lock:
                taken = self._take()
                if taken is not None or not self._unread or stop():
                    return taken

    def _take(self) -> tuple[str, Suspicion] | None:
        self._refresh()
        self._bring_back()
        while True:
            entry = self._pop()
            if entry is None and not self._unread and self._fetch():
                entry = self._pop()
            if entry is None:
                return None
            try:
                suspicion = self._open(entry)
            except OSError:
                self._add(entry)
                raise
            if suspicion is not None:
                self._in_hand.add(entry.group)
                return entry.name, suspicion
            self._push(entry.group)

    def done(self, name: str, seconds: float = 0.0) -> None:
        """The journal knows what became of it: its file goes. `seconds` are what that took."""
        with self._lock:
            entry = self._let_go(name)
            self._forget(entry)
            self._spent[_named(entry)] += seconds
            (self._folder / name).unlink(missing_ok=True)
            # What was just learnt may account for those that promise the same.
            kept = [other for other in self._groups.get(entry.group, ()) if not self._recognise(other)]
            if entry.group in self._groups:
                self._groups[entry.group] = sorted(kept)

    def leave(self, name: str, again: bool) -> None:
        """It stays in the inbox; with `again` it is taken again in this campaign."""
        with self._lock:
            entry = self._let_go(name)
            if again:
                self._add(entry)
            else:
                self._forget(entry)
                self._ignored.add(name)

    def put_off(self, name: str, claimed: str) -> None:
        """It is taken again once nobody claims `claimed` any more: somebody else is at its like.

        Before that it would be run for nothing, again and again, while others get through what is easy.
        """
        with self._lock:
            self._put_off.append((self._let_go(name), claimed))

    def _fetch(self) -> bool:
        """Takes up again what was set aside; false where nothing came."""

        def wanted(name: str, suspicion: Suspicion) -> bool:
            facets = facets_of(suspicion)
            return name not in self._entries and (not facets or min(self._facets[f] for f in facets) < self._kept)

        came = False
        for name, suspicion in self._aside.bring_back(wanted, self._give_up):
            entry = self._enter(name, suspicion)
            came = True
            try:
                recognised = self._recognise(entry)
            except OSError:
                self._add(entry)
                raise
            if not recognised:
                self._add(entry)
        return came

    def _bring_back(self) -> None:
        put_off, self._put_off = self._put_off, []
        for entry, claimed in put_off:
            if self._ledger.is_claimed(claimed):
                self._put_off.append((entry, claimed))
            else:
                self._add(entry)

    def _add(self, entry: _Entry) -> None:
        group = self._groups.setdefault(entry.group, [])
        heapq.heappush(group, entry)
        if group[0] is entry:
            self._push(entry.group)

    def _open(self, entry: _Entry) -> Suspicion | None:
        """Reads a suspicion again; None where it is gone, broken, or counted by now."""
        path = self._folder / entry.name
        if entry.name not in self._entries or self._recognise(entry):
            return None
        try:
            return inbox.load(path)
        except CaseError as broken:
            self._forget(entry)
            if path.exists():
                self._give_up(entry.name, broken)
            return None

    def _let_go(self, name: str) -> _Entry:
        entry = self._entries[name]
        self._in_hand.discard(entry.group)
        self._push(entry.group)
        return entry

    def take_broken(self) -> list[str]:
        """Sentences about files that are no suspicions and are left alone, since the last call."""
        with self._lock:
            told, self._broken = self._broken, []
            return told

    def take_counted(self) -> list[Known]:
        """What was counted without running it, since the last call."""
        with self._lock:
            told, self._counted = self._counted, []
            return told

    # --- numbers ----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many wait, those in hand included, as of the last look at the folder."""
        return len(self._entries)

    @property
    def alike(self) -> int:
        """How many of those look like known findings; as of the last time where examiners are at the inbox just now."""
        if self._lock.acquire(blocking=False):  # whoever asks draws a screen
            try:
                counted = ((facets, len(group)) for facets, group in self._groups.items())
                self._alike = self._ledger.explained(counted)
            finally:
                self._lock.release()
        return self._alike

    @property
    def set_aside(self) -> int:
        """How many were set aside, in earlier campaigns too, and have not come back."""
        return len(self._aside)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, in hand, aside or not; looks at the folder."""
        with self._lock:
            self._next_look = 0.0
            self._refresh()
            return not self._entries and not self._unread and not self._aside

    # --- the order --------------------------------------------------------------------------------------

    def _pop(self) -> _Entry | None:
        """The next entry; its group's lots are drawn again when it is given back."""
        heads = [(named, head) for named in (True, False) if (head := self._head(named)) is not None]
        if not heads:
            return None
        # What is new goes before what is explained, whichever the share.
        named, group = min(heads, key=lambda head: (self._ledger.interest(head[1])[0], self._spent[head[0]]))
        heapq.heappop(self._heaps[named])
        return heapq.heappop(self._groups[group])

    def _head(self, named: bool) -> Facets | None:
        """The group on top of a heap, whose interest is as it says. Interest never falls, so stale ones sink."""
        heap = self._heaps[named]
        while heap:
            interest, found, group = heap[0]
            waiting = self._groups.get(group)
            if not waiting or group in self._in_hand:
                self._groups.pop(group, None) if not waiting else None
                heapq.heappop(heap)
                continue
            now = self._ledger.interest(group)
            if now == interest:
                return group
            heapq.heapreplace(heap, (now, found, group))
        return None

    def _push(self, group: Facets) -> None:
        waiting = self._groups.get(group)
        if waiting and group not in self._in_hand:
            entry = (self._ledger.interest(group), waiting[0].found, group)
            heapq.heappush(self._heaps[_named(waiting[0])], entry)

    # --- what is new in the folder ----------------------------------------------------------------------

    def _refresh(self) -> None:
        now = self._clock()
        if now < self._next_look:
            return
        begun = perf_counter()
        try:
            with os.scandir(self._folder) as found:
                names = {e.name for e in found if e.name.endswith(".json") and e.name[0] != "."}
        except FileNotFoundError:
            names = set()
        for name in [name for name in self._entries if name not in names]:
            entry = self._entries[name]  # somebody else took it away
            if entry.group not in self._in_hand:
                self._forget(entry)
        new = [name for name in names if name not in self._entries and name not in self._ignored]
        self._unread, reading = bool(new), perf_counter()
        for name in new:
            self._read(name)
            if perf_counter() - reading > MAX_LOOK_S:
                break
        else:
            self._unread = False
        # Names by the ten thousand take a while: at most a tenth of the time. What is left to read is read next time.
        self._next_look = now + (0.0 if self._unread else max(REFRESH_S, 9 * (perf_counter() - begun)))

    def _read(self, name: str) -> None:
        try:
            suspicion = inbox.load(self._folder / name)
        except CaseError as broken:
            self._give_up(name, broken)
            return
        entry = self._enter(name, suspicion)
        try:
            counted = self._recognise(entry) or self._surplus(entry)
        except OSError:
            self._forget(entry)  # it is as new as it was
            raise
        if not counted:
            self._add(entry)

    def _enter(self, name: str, suspicion: Suspicion) -> _Entry:
        """Takes down what is kept of a suspicion; it is in no group yet."""
        verdict = suspicion.verdict
        kind = verdict.kind if verdict is not None else None
        framed = verdict is not None and bool(verdict.evidence.get(FRAME))
        ops = frozenset(node.op for node in suspicion.case.model.nodes)
        runtime = verdict.runtime if verdict is not None else ""
        entry = _Entry(suspicion.found, name, kind, facets_of(suspicion), ops, framed, runtime)
        self._entries[name] = entry
        self._facets.update(entry.facets)
        return entry

    def _recognise(self, entry: _Entry) -> bool:
        """Counts a suspicion whose verdict names a known defect; false where it may be new."""
        known = self._ledger.recognised(entry.kind, entry.facets, entry.ops, entry.framed, entry.runtime)
        if known is None:
            return False
        stamp = _stamp()
        self._store.seen(known.id, entry.case, stamp)
        counted = self._ledger.count(known, stamp, 0.0)
        self._counted.append(Known("seen", counted, "recognised without running it"))
        self._forget(entry)
        (self._folder / entry.name).unlink(missing_ok=True)
        return True

    def _surplus(self, entry: _Entry) -> bool:
        """Sets a suspicion aside when enough others wait for each of its facets."""
        if not entry.facets or any(self._facets[facet] <= self._kept for facet in entry.facets):
            return False
        known = self._ledger.explainer(entry.facets)
        self._store.alike(known.id if known is not None else "", entry.case, entry.facets, _stamp())
        self._counted.append(Known("alike", known, "others like it wait"))
        self._forget(entry)
        self._aside.put(entry.name)
        return True

    def _forget(self, entry: _Entry) -> None:
        if self._entries.pop(entry.name, None) is not None:
            self._facets.subtract(entry.facets)

    def _give_up(self, name: str, broken: CaseError) -> None:
        self._ignored.add(name)
        self._broken.append(f"{self._folder / name} is left alone: {broken}")


def _named(entry: _Entry) -> bool:
    return entry.kind is None or names_itself(entry.kind)


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
