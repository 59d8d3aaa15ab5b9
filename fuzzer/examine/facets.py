"""Facets: what may be new about a suspicion before anybody looked at it closely."""

from __future__ import annotations

from dataclasses import replace

from fuzzer.case import RELATIONS
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.titles import key_of
from fuzzer.oracles import Kind, Verdict
from fuzzer.oracles.verdict import RELATION

_SAME_WORDS = frozenset({Kind.VALUE, Kind.NAN_PROPAGATION, Kind.METAMORPHIC, Kind.SHAPE, Kind.DTYPE, Kind.OUTPUT_COUNT})


def facets_of(suspicion: Suspicion) -> tuple[str, ...]:
    """What may be new about a suspicion before anybody looked at it closely.

    All differences of values say the same words; what tells them apart is the operators of the flatbuffer, one of which
    is to blame. Other verdicts name their defect themselves.
    """
    verdict, scheme = suspicion.verdict, suspicion.case.conversion.scheme
    if verdict is None:
        return ()
    operators = verdict.evidence.get("operators")
    if verdict.kind in (Kind.VALUE, Kind.NAN_PROPAGATION) and isinstance(operators, list):
        who = ",".join(sorted(verdict.runtimes))
        return tuple(f"{verdict.kind.value}|{scheme}|{who}|{operator}" for operator in operators)
    return (key_of(verdict, scheme),)


def explained_by(suspicion: Suspicion, found: Verdict) -> tuple[str, ...]:
    """The facets of a suspicion that what was found accounts for: of values, those of the operator to blame."""
    facets = facets_of(suspicion)
    if found.kind not in (Kind.VALUE, Kind.NAN_PROPAGATION) or found.blame in ("", "converter"):
        return facets
    return tuple(facet for facet in facets if facet.endswith(f"|{found.blame}"))


def related(suspicion: Suspicion, found: Verdict) -> Suspicion:
    """The suspicion with its case naming the relation under which the defect was found, where one was tried."""
    name = found.evidence.get(RELATION)
    if name not in RELATIONS:
        return suspicion
    inference = replace(suspicion.case.inference, relation=str(name))
    return replace(suspicion, case=replace(suspicion.case, inference=inference), verdict=found)


def names_itself(kind: Kind) -> bool:
    """Whether verdicts of a kind name their defect: errors and deaths do, in the stack's own words.

    Differences all say the same words, whichever operator is wrong: of numbers, and of shapes, types and outputs.
    """
    return kind not in _SAME_WORDS
