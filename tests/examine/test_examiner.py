"""Which suspicion is looked at first."""

from __future__ import annotations

from fuzzer.examine.facets import facets_of
from fuzzer.findings.inbox import Suspicion
from fuzzer.oracles import Kind, Stage, Verdict
from tests.strategies import drawn_case

CASE = drawn_case(1, 0)


def suspicion(kind: Kind, **evidence: object) -> Suspicion:
    return Suspicion(CASE, Verdict(Stage.COMPARE, kind, "values differ", "tf-builtin", evidence=dict(evidence)), "now")


def test_values_are_told_apart_by_the_operators_of_the_flatbuffer() -> None:
    facets = facets_of(suspicion(Kind.VALUE, operators=["ADD", "CONV_2D"], runtimes=["litert", "tf-xnnpack"]))
    assert len(facets) == 2 and all("litert,tf-xnnpack" in facet for facet in facets)
    assert facets[0].endswith("|ADD") and facets[1].endswith("|CONV_2D")


def test_other_verdicts_name_their_defect_themselves() -> None:
    one, other = suspicion(Kind.ALLOCATE_ERROR, operators=["ADD"]), suspicion(Kind.ALLOCATE_ERROR, operators=["SUB"])
    assert facets_of(one) == facets_of(other) and len(facets_of(one)) == 1
    assert facets_of(Suspicion(CASE, None, "now")) == ()


def test_old_suspicions_without_operators_still_have_a_facet() -> None:
    assert len(facets_of(suspicion(Kind.VALUE))) == 1
