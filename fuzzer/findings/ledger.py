"""The ledger: what is known of keys, facets and findings, so that one defect does not fill the night."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fuzzer.case import Case
from fuzzer.findings import merging
from fuzzer.findings.finding import Finding
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.propagated import Propagated
from fuzzer.findings.titles import finding_id, key_of
from fuzzer.oracles import Verdict
from fuzzer.oracles.death import FRAME

EXAMINED_PER_KEY = 3
"""Suspicions minimised for one key; later ones are only counted, so that one defect does not fill the night."""


class Ledger:
    """What was examined, looked at, explained and found, in this and in earlier campaigns."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._examined: dict[str, int] = {}
        """By key: what was minimised. By facet, apart from it: what was looked at."""
        self._looked: dict[str, int] = {}
        self._explained: set[str] = set()
        """Facets that a finding accounts for: what shows them again is most likely the same defect."""
        self._findings: dict[str, Finding] = {}
        self._aliases: dict[str, str] = {}
        """Ids of other titles -> id."""
        self._propagated = Propagated(())
        for finding in findings:
            self.remember(finding)
            self._examined[finding.key] = self._examined.get(finding.key, 0) + finding.count

    def interest(self, facets: Sequence[str]) -> tuple[bool, int]:
        """What goes first is least: what no finding accounts for, then what was examined least often.

        Of a suspicion with several facets one that is explained explains it all: its other operators may be innocent.
        """
        looked = min((self._looked.get(facet, 0) for facet in facets), default=0)
        return any(facet in self._explained for facet in facets), looked

    def finding(self, id_: str) -> Finding | None:
        """The finding of that id, or of the id of another title of it, as it was last remembered."""
        return self._findings.get(self._aliases.get(id_, id_))

    def twin(self, finding: Finding) -> Finding | None:
        """The finding that a new title is merged into; None where it is a defect of its own."""
        return merging.twin_of(finding, self._findings.values())

    def exhausted(self, suspicion: Suspicion) -> bool:
        """Whether nothing new can come of a suspicion of NaN or infinity; counts the look where something can."""
        return self._propagated.exhausted(suspicion)

    def recognised(self, verdict: Verdict, case: Case) -> Finding | None:
        """A known death: same key, and the ops that it needs are all here, unless the native stack names it without."""
        ops = {node.op for node in case.model.nodes}
        for finding in self._findings.values():
            named = bool(verdict.evidence.get(FRAME)) and not finding.blame
            keys = (finding.key, *finding.other_keys)
            if key_of(verdict, case.conversion.scheme) in keys and (named or set(finding.ops) <= ops):
                return finding
        return None

    def known(self, key: str, verdict: Verdict, case: Case) -> Finding | None:
        """The finding that a confirmed verdict is counted under without minimising it; None where it may be new."""
        return self._saturated(key, case) or self._propagated.known(verdict)

    def _saturated(self, key: str, case: Case) -> Finding | None:
        if self._examined.get(key, 0) < EXAMINED_PER_KEY:
            return None
        ops = {node.op for node in case.model.nodes}
        # Where the title names ops, another chain of ops may be another defect: it is minimised too.
        known = [f for f in self._findings.values() if key in (f.key, *f.other_keys)]
        told = (f.blame == "converter" or any(op in f.title for op in f.ops) for f in known)
        return next((f for f, by_ops in zip(known, told, strict=True) if set(f.ops) <= ops or not by_ops), None)

    def looked(self, facets: Iterable[str]) -> None:
        """Counts that a suspicion with these facets is looked at."""
        for facet in facets:
            self._looked[facet] = self._looked.get(facet, 0) + 1

    def explain(self, facets: Iterable[str]) -> None:
        """Takes down that a finding accounts for these facets."""
        self._explained.update(facets)

    def examined(self, key: str) -> None:
        """Counts that a suspicion of this key is minimised."""
        self._examined[key] = self._examined.get(key, 0) + 1

    def remember(self, finding: Finding) -> None:
        """Takes a finding into account."""
        self._findings[finding.id] = finding
        self._aliases.update({finding_id(title): finding.id for title in finding.alternatives})
        self._propagated.remember(finding)
