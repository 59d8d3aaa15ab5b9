"""Runs the shrinking passes to a fixed point.

*Progress* is a candidate with a smaller `size` on which the predicate still holds. The one rule for every pass: it
proposes valid cases, most ambitious first, and never draws anything at random, so that a reduction can be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fuzzer.case import Case, Recipe
from fuzzer.errors import CaseError
from fuzzer.reduce.passes import PASSES

Predicate = Callable[[Case], bool]


@dataclass
class Budget:
    """What a reduction may cost: seconds on the clock, and executions."""

    seconds: float = 60.0
    executions: int = 400
    stop: Callable[[], bool] = field(default=lambda: False)
    """Asked before every execution: true ends the reduction with the best case so far."""


@dataclass(frozen=True)
class Reduction:
    """The smallest case found, how many executions that took, and whether a fixed point was reached."""

    case: Case
    executions: int
    complete: bool


def size(case: Case) -> tuple[int, int, int, int, int]:
    """What "smaller" means: nodes, weight elements, value elements, settings that are not plain, length of the JSON."""
    typed = case.model.typed
    weights = sum(_distinct(t.node.weights.get(s.name), s.type.elements) for t in typed for s in t.slots)
    values = sum(t.type.elements for t in typed) + sum(t.elements for t in case.model.inputs)
    return len(typed), weights, values, _settings(case), len(case.canonical)


def _settings(case: Case) -> int:
    """How much a reader must be told beside the graph: attributes off their default, by how far, and threads."""
    told = case.inference.threads + len(case.inference.runtimes) + len(case.inference.inputs)
    told += len(case.model.inputs) + len(case.model.outputs)
    # A dtype that is not float32 has to be told; names of dtypes differ in length, which says nothing.
    told += sum(1 + (t.dtype != "int32") for t in case.model.inputs if t.dtype != "float32")
    recipes = [r for node in case.model.nodes for r in node.weights.values()]
    told += sum(_PLAINNESS.get(r.distribution, 3) + bool(r.sparsity) for r in (*recipes, *case.inference.inputs))
    for node in case.model.nodes:
        for key, domain in node.spec.attrs.items():
            value = node.attrs[key]
            if value != domain.default:
                numbers = value if isinstance(value, tuple) else (value,)
                told += 1 + sum(abs(n) for n in numbers if isinstance(n, int))
    return told


_PLAINNESS = {"constant": 0, "normal": 1, "uniform": 1, "literal": 2, "boundary": 2}
"""How much a reader must be told of a distribution; of all others, more."""


def _distinct(recipe: Recipe | None, elements: int) -> int:
    """Numbers a reader must know: one for a constant tensor."""
    return 1 if recipe is not None and recipe.distribution == "constant" else elements


def reduce(case: Case, holds: Predicate, budget: Budget) -> Reduction:
    """Shrinks `case` while `holds` stays true. `holds(case)` is taken as given."""
    deadline = time.monotonic() + budget.seconds
    tried = {case.id}
    best = case
    executions = 0
    progress = True
    while progress:
        progress = False
        for propose in PASSES:
            again = True
            while again:
                again = False
                for candidate in propose(best):
                    if not _fit(candidate) or candidate.id in tried or size(candidate) >= size(best):
                        continue
                    if executions >= budget.executions or time.monotonic() > deadline or budget.stop():
                        return Reduction(best, executions, False)
                    tried.add(candidate.id)
                    executions += 1
                    if holds(candidate):
                        best, progress, again = candidate, True, True
                        break
    return Reduction(best, executions, True)


def _fit(case: Case) -> bool:
    try:
        case.model.typed  # noqa: B018  (inference validates)
    except CaseError:
        return False
    return bool(case.model.nodes) and bool(case.model.outputs)
