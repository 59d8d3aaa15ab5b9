"""Puts the report together."""

from __future__ import annotations

from collections.abc import Mapping

from fuzzer.coverage.reached import missing
from fuzzer.coverage.reached.evidence import Evidence
from fuzzer.coverage.reached.report import (
    Group,
    Pattern,
    Report,
    ScopeRow,
    clock_of,
    families,
    groups_of,
    growth,
    named,
    patterns_of,
    scope_row,
)
from fuzzer.coverage.reached.roads import Roads
from fuzzer.ops import Op


def build(evidence: Evidence, ops: Mapping[str, Op]) -> Report:
    """The report on a corpus; `ops` are those that the generator knows."""
    scopes: list[ScopeRow] = []
    groups: list[Group] = []
    patterns: list[Pattern] = []
    for module in evidence.modules:
        of = named(module)
        theirs = patterns_of(of)
        scopes.append(scope_row(of))
        patterns += theirs
        groups += groups_of(of, theirs)
    lines = evidence.lines
    roads = Roads(ops, missing.operators_of(groups))
    seen = missing.seen_operators(feature for line in lines for feature in line.features)
    return Report(
        str(evidence.corpus),
        len({line.case for line in lines if not line.died}),
        sum(line.died for line in lines),
        round(clock_of(lines)[-1], 1),
        sum(line.at is None for line in lines),
        tuple(scopes),
        tuple(sorted(groups, key=lambda group: (-group.tally.missing, group.name))),
        tuple(sorted(patterns, key=lambda pattern: (pattern.owner, pattern.name))),
        tuple(growth(evidence)),
        tuple(families(evidence)),
        missing.unreached(groups, patterns, roads, seen),
        evidence.problems,
    )
