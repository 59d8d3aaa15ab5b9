"""The ledger: what is known of keys, facets and findings, so that one defect does not fill the night.

One ledger serves all examiners of a campaign. *Facets* say what may be new about a suspicion before it is run
(`fuzzer.examine.facets`), a *key* what was confirmed of it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from fuzzer.case import Case
from fuzzer.examine.facets import names_itself
from fuzzer.examine.propagated import Propagated
from fuzzer.findings import merging
from fuzzer.findings.finding import Finding
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.titles import LOOP, finding_id
from fuzzer.oracles import DEATHS, Kind, Verdict
from fuzzer.oracles.death import FRAME

EXAMINED_PER_KEY = 3
"""Suspicions minimised for one key; later ones are only counted, so that one defect does not fill the night."""
SURE = 2
"""Suspicions of one facet that must end under a title before the next is counted there without running it. Of 147 keys
of a campaign's 155 titles only 5 led to more than one title, and of those that name their defect one, by its second."""
SMALL_NODES = 2
"""A sample of so few nodes is not worth looking for a smaller one."""
_OF_DEATHS = frozenset(kind.value for kind in DEATHS)
_NAMING = frozenset(kind.value for kind in Kind if names_itself(kind))
"""A record may be of a kind that this release does not know."""


class Ledger:
    """What was examined, looked at, explained and found, in this and in earlier campaigns.

    Safe for use by several threads at once.
    """

    def __init__(self, findings: Iterable[Finding], accounts: Mapping[str, Collection[str]] | None = None) -> None:
        """`accounts` are the facets that earlier campaigns have found to end under a title: facet -> ids."""
        self._lock = threading.Condition(threading.RLock())
        self._examined: Counter[str] = Counter()
        """By key: what was minimised."""
        self._looked: Counter[str] = Counter()
        """By facet: what was run."""
        self._ended: Counter[str] = Counter()
        """By facet: what ended under a title."""
        self._explained: set[str] = set()
        """Facets that a finding accounts for: what shows them again is most likely the same defect."""
        self._accounts: dict[str, dict[str, None]] = {
            facet: dict.fromkeys(ids) for facet, ids in (accounts or {}).items()
        }
        """Facet -> ids of the findings that it ended under, in order."""
        self._claimed: set[str] = set()
        self._findings: dict[str, Finding] = {}
        self._aliases: dict[str, str] = {}
        """Ids of other titles -> id."""
        self._by_key: dict[str, dict[str, None]] = {}
        self._propagated = Propagated(())
        for finding in findings:
            self.remember(finding)
            self._examined[finding.key] += finding.count
            if finding.kind in _NAMING:  # what is confirmed of these is mostly what was suspected
                self._ended[finding.key] += finding.count
                self._explained.add(finding.key)
        for facet, ids in self._accounts.items():
            known = [self._findings[id_] for id_ in ids if id_ in self._findings]
            self._ended[facet] = max(self._ended[facet], sum(finding.count for finding in known))
            self._explained.update([facet] if known else [])

    # --- what goes first --------------------------------------------------------------------------------

    def interest(self, facets: Sequence[str]) -> tuple[bool, int]:
        """What goes first is least: what no finding accounts for, then what was examined least often. Never falls.

        Of a suspicion with several facets one that is explained explains it all: its other operators may be innocent.
        """
        with self._lock:
            looked = min((self._looked[facet] for facet in facets), default=0)
            return any(facet in self._explained for facet in facets), looked

    def explained(self, counted: Iterable[tuple[Sequence[str], int]]) -> int:
        """The sum of the numbers whose facets (one of them) a finding accounts for."""
        with self._lock:
            return sum(number for facets, number in counted if not self._explained.isdisjoint(facets))

    def looked(self, facets: Iterable[str]) -> None:
        """Counts that a suspicion with these facets is run."""
        with self._lock:
            self._looked.update(facets)

    def exhausted(self, suspicion: Suspicion) -> bool:
        """Whether nothing new can come of a suspicion of NaN or infinity; counts the look where something can."""
        with self._lock:
            return self._propagated.exhausted(suspicion)

    # --- what is known ----------------------------------------------------------------------------------

    def finding(self, id_: str) -> Finding | None:
        """The finding of that id, or of the id of another title of it, as it was last remembered."""
        with self._lock:
            return self._findings.get(self._aliases.get(id_, id_))

    def twin(self, finding: Finding) -> Finding | None:
        """The finding that a new title is merged into; None where it is a defect of its own."""
        with self._lock:
            return merging.twin_of(finding, self._findings.values())

    def explainer(self, facets: Sequence[str]) -> Finding | None:
        """A finding that accounts for one of these facets."""
        with self._lock:
            ids = (id_ for facet in facets for id_ in self._accounts.get(facet, ()))
            return next((self._findings[id_] for id_ in ids if id_ in self._findings), None)

    def recognised(
        self, kind: Kind | None, facets: Sequence[str], ops: Collection[str], framed: bool, runtime: str = ""
    ) -> Finding | None:
        """The finding that a suspicion is counted under without running it; None where something may be new.

        Its verdict names its defect (`names_itself`); enough of its like ended under a title, of a death one; and the
        ops that the title needs are all among its `ops`, unless the title does not go by ops. `framed`: the native
        stack names the function. `runtime`: who died. A title that its own reproducer does not show takes nothing in
        before its like were minimised often enough: one of them may confirm it.
        """
        if kind is None or not names_itself(kind) or len(facets) != 1:
            return None
        (facet,) = facets
        with self._lock:
            if kind not in DEATHS and self._ended[facet] < SURE:
                return None
            ids = dict.fromkeys([*self._accounts.get(facet, ()), *self._by_key.get(facet, ())])
            known = [self._findings[id_] for id_ in ids if id_ in self._findings]
            if self._examined[facet] < EXAMINED_PER_KEY:
                known = [f for f in known if f.shown]
            told = (f for f in known if _named_by(f, facet) and _died_of(f, kind, framed, runtime))
            fits = [f for f in told if set(f.ops) <= set(ops) or not _goes_by_ops(f, framed)]
            # Words that led to several titles tell too little, but a death is dear to run again.
            return fits[0] if len(fits) == 1 or (fits and kind in DEATHS) else None

    def known(self, key: str, title: str, verdict: Verdict, case: Case) -> Finding | None:
        """The finding that a confirmed verdict is counted under without minimising it; None where it may be new.

        `title` is what the verdict would be called with the case as it is.
        """
        with self._lock:
            small = self._small(key, title, verdict, case)
            return small or self._saturated(key, verdict, case) or self._propagated.known(verdict)

    def _small(self, key: str, title: str, verdict: Verdict, case: Case) -> Finding | None:
        """A finding whose sample cannot get much smaller, and that minimising would lead to again.

        Either the title is the same as it is, or the verdict names its defect, is known, and the ops of the title are
        here. Wrong values of the converter get their title from a pass that is looked for in the minimal case.
        """
        same = self.finding(finding_id(title))
        told = same is not None and title in (same.title, *same.alternatives)
        sought = verdict.blame == "converter" and not names_itself(verdict.kind)
        if same is not None and told and not sought and _is_small(same):
            return same
        if not names_itself(verdict.kind) or verdict.kind in DEATHS:
            return None
        ops = {node.op for node in case.model.nodes}
        known = (self._findings[id_] for id_ in self._by_key.get(key, ()) if _blames(self._findings[id_], verdict))
        return next((f for f in known if _is_small(f) and set(f.ops) <= ops), None)

    def _saturated(self, key: str, verdict: Verdict, case: Case) -> Finding | None:
        if self._examined[key] < EXAMINED_PER_KEY:
            return None
        ops, framed = {node.op for node in case.model.nodes}, bool(verdict.evidence.get(FRAME))
        # Where the title names ops, another chain of ops may be another defect: it is minimised too.
        known = (self._findings[id_] for id_ in self._by_key.get(key, ()))
        told = (f for f in known if _blames(f, verdict) and _died_of(f, verdict.kind, framed, verdict.runtime))
        return next((f for f in told if set(f.ops) <= ops or not _names_ops(f)), None)

    # --- taking down ------------------------------------------------------------------------------------

    def explain(self, facets: Iterable[str]) -> None:
        """Takes down that a confirmed defect accounts for these facets."""
        with self._lock:
            self._explained.update(facets)

    def account(self, facets: Iterable[str], id_: str) -> list[str]:
        """Takes down that a suspicion with these facets ended under a finding; returns those new to it."""
        with self._lock:
            facets = list(facets)
            self._explained.update(facets)
            self._ended.update(facets)
            fresh = [facet for facet in facets if id_ not in self._accounts.get(facet, ())]
            for facet in fresh:
                self._accounts.setdefault(facet, {})[id_] = None
            return fresh

    def remember(self, finding: Finding) -> None:
        """Takes a finding into account."""
        with self._lock:
            self._findings[finding.id] = finding
            self._aliases.update({finding_id(title): finding.id for title in finding.alternatives})
            for key in (finding.key, *finding.other_keys):
                self._by_key.setdefault(key, {})[finding.id] = None
            self._propagated.remember(finding)

    def learn(self, findings: Iterable[Finding]) -> None:
        """Takes findings into account that another process filed meanwhile: `minimize` from a screen, say."""
        with self._lock:
            for finding in findings:
                if self.finding(finding.id) is None:
                    self.remember(finding)

    def filed(self, finding: Finding, counted: bool = True) -> Finding:
        """Takes a finding or a better sample of one into account, and returns it with what was counted meanwhile.

        `counted`: its suspicion is one more.
        """
        with self._lock:
            old = self._findings.get(finding.id)
            self.remember(finding if old is None else finding.told_as(old, counted))
            return self._findings[finding.id]

    def merged(self, finding: Finding, other: Finding) -> Finding:
        """Takes another title of a finding into account, and returns it with what was counted meanwhile."""
        with self._lock:
            self.remember(self._findings.get(finding.id, finding).merged(other))
            return self._findings[finding.id]

    def count(self, finding: Finding, at: str, seconds: float) -> Finding:
        """Counts another suspicion under a finding, in memory, and returns it as it is then."""
        with self._lock:
            old = self._findings.get(finding.id, finding)
            more = replace(old, count=old.count + 1, last_seen=at, examined_s=old.examined_s + seconds)
            self.remember(more)
            return more

    def examined(self, key: str) -> None:
        """Counts that a suspicion of this key is minimised."""
        with self._lock:
            self._examined[key] += 1

    def is_claimed(self, name: str) -> bool:
        """Whether somebody works at `name` now."""
        with self._lock:
            return name in self._claimed

    @contextmanager
    def claim(self, name: str, wait: bool = False) -> Iterator[bool]:
        """Whether `name` (a key, a title) is ours alone for the time of the block: nobody else works at it.

        With `wait` it is ours as soon as whoever has it is through.
        """
        with self._lock:
            while wait and name in self._claimed:
                self._lock.wait()
            ours = name not in self._claimed
            self._claimed.add(name)
        try:
            yield ours
        finally:
            if ours:
                with self._lock:
                    self._claimed.discard(name)
                    self._lock.notify_all()


def _is_small(finding: Finding) -> bool:
    return finding.minimised and finding.nodes <= SMALL_NODES and finding.shown


def _goes_by_ops(finding: Finding, framed: bool) -> bool:
    """Whether the title of a finding depends on which ops lead there."""
    if finding.kind in _OF_DEATHS:
        return not framed or bool(finding.blame)
    return _names_ops(finding)


def _names_ops(finding: Finding) -> bool:
    """Whether the title names ops of ours, as far as one can tell: recurrent ones go by another name."""
    cut_off = finding.title.endswith("…")
    return finding.blame == "converter" or cut_off or any(op in finding.title for op in (*finding.ops, LOOP))


def _named_by(finding: Finding, facet: str) -> bool:
    """Whether the words of a suspicion name the operator that a finding blames; a death is known by its ops.

    A delegate says its own name, whichever operator it fails at.
    """
    return finding.kind in _OF_DEATHS or _unblamed(finding.blame) or finding.blame.partition(" ")[0] in facet


def _blames(finding: Finding, verdict: Verdict) -> bool:
    """Whether a confirmed verdict may be a finding's: under none of its titles another operator is to blame."""
    if _unblamed(verdict.blame) or _unblamed(finding.blame) or verdict.blame == finding.blame:
        return True
    return any(verdict.blame in title for title in finding.alternatives)


def _unblamed(blame: str) -> bool:
    return blame in ("", "converter")


def _died_of(finding: Finding, kind: Kind, framed: bool, runtime: str) -> bool:
    """Whether who died is who died of a finding; asked where neither the native stack nor an operator is named."""
    if kind not in DEATHS or framed or finding.blame or not runtime:
        return True
    return runtime in finding.runtimes
