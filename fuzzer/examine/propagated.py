"""Bounds the time that goes into how NaN and infinity propagate: low in severity, and easily the commonest suspicion.

A suspicion whose case feeds (or makes) NaN or infinity is looked at while some operator of its flatbuffer was looked
at less than `MAX_LOOKS` times under one of its runtimes; a look costs a second or two. What it comes down to is
minimised once for each operator and runtime, which costs up to a minute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from fuzzer.findings.finding import Finding
from fuzzer.findings.inbox import Suspicion
from fuzzer.oracles.verdict import GIVEN, SPECIAL_OPERANDS, Kind, Verdict

MAX_LOOKS = 3
"""Looks at one operator under one runtime: the first special operator of a graph hides those behind it."""
Pair = tuple[str, str]
"""An operator and a runtime."""


class Propagated:
    """What was looked at and what was minimised, of one examiner."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._looks: Counter[Pair] = Counter()
        self._settled: dict[Pair, Finding] = {}
        for finding in findings:
            self.remember(finding)

    def exhausted(self, suspicion: Suspicion) -> bool:
        """Whether nothing new can come of a suspicion; counts the look where something can."""
        verdict = suspicion.verdict
        if verdict is None or verdict.kind is not Kind.NAN_PROPAGATION or not verdict.evidence.get(GIVEN):
            return False
        operators = verdict.evidence.get("operators")
        pairs = [(str(o), r) for o in operators for r in verdict.runtimes] if isinstance(operators, list) else []
        fresh = [pair for pair in pairs if self._looks[pair] < MAX_LOOKS and pair not in self._settled]
        self._looks.update(fresh)
        return bool(pairs) and not fresh

    def known(self, verdict: Verdict) -> Finding | None:
        """The finding that a confirmed verdict belongs to, where every runtime of it was minimised already."""
        if not verdict.evidence.get(SPECIAL_OPERANDS):
            return None
        found = [self._settled.get((verdict.blame, runtime)) for runtime in verdict.runtimes]
        return found[0] if found and all(f is not None for f in found) else None

    def remember(self, finding: Finding) -> None:
        """Takes a finding into account."""
        if finding.special_operands:
            for runtime in finding.runtimes:
                self._settled.setdefault((finding.blame, runtime), finding)
