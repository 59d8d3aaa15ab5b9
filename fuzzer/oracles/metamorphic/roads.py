"""A second conversion of the same model: by another road, or with nothing left to fuse."""

from __future__ import annotations

from dataclasses import replace

from fuzzer.case import Case
from fuzzer.execute.record import CaseRun
from fuzzer.oracles.metamorphic.relation import Relation, repeatable

PLAIN_ROAD = "concrete_function"
OTHER_ROAD = "saved_model"
"""What cases on the plain road are held against: the road of nearly all users."""


def other_entry(case: Case) -> Case:
    """The case by the plain road into the converter, or by a SavedModel where it takes that already."""
    entry = OTHER_ROAD if case.conversion.entry == PLAIN_ROAD else PLAIN_ROAD
    return _plain(case, replace(case, conversion=case.conversion.over(entry)))


def unfused(case: Case) -> Case:
    """The case with every value an output, after its own: what has another reader can't be fused away."""
    model = case.model
    inner = [f"n{i}" for i in range(len(model.nodes)) if f"n{i}" not in model.outputs]
    return _plain(case, replace(case, model=replace(model, outputs=(*model.outputs, *inner))))


def _plain(case: Case, other: Case) -> Case:
    return replace(other, inference=replace(case.inference, relation="none"))


def _same_scheme(record: CaseRun) -> str:
    """Why another road is another model: the scheme can't take it."""
    case = record.case
    if other_entry(case).conversion.scheme != case.conversion.scheme:
        return f"{case.conversion.scheme} takes one road only"
    return repeatable(record)


def _fusible(record: CaseRun) -> str:
    """Why fusions can't be blocked, or not be compared: one node, or scales that depend on what is an output."""
    case = record.case
    if len(case.model.nodes) < 2 or set(unfused(case).model.outputs) == set(case.model.outputs):
        return "nothing to fuse"
    if case.conversion.judged != "float32":
        return "what is fused is quantised otherwise"
    return repeatable(record)


RELATIONS = (
    Relation(
        "entry",
        "The roads into the converter give equivalent models.",
        "another road into the converter gives other values",
        "what another road into the converter gives fails",
        _same_scheme,
        other=other_entry,
        exact=False,
        alone=False,
    ),
    Relation(
        "unfused",
        "A model whose fusions are blocked, because every value is an output, gives what the fused one gives.",
        "the model with its fusions blocked gives other values",
        "the model with its fusions blocked fails",
        _fusible,
        other=unfused,
        exact=False,
        alone=False,
    ),
)
