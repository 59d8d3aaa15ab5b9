"""Which operations a pass turned into which: two states of a program held against each other value by value.

A pass rewrites all of a program at once, and most of what it does is right. The wrong rewrite is found by transplant:
a value of the state before is put in the place of one of the state after. The first value of the latter whose
replacement makes the outputs right is where the model left the truth; what lies between it and the values that both
states share is the rewrite. (Interventions on program states: Zeller, "Isolating cause-effect chains", 2002.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fuzzer.build import Array
from fuzzer.ir import Operation, Step
from fuzzer.ir.run import CONSTANTS

TOLERANCE = 2.0**-16
"""Values are the same when they are no further apart than this share of the largest."""
MAX_TRANSPLANTS = 200
SILENT = (*CONSTANTS, "tfl.no_value", "tf.Identity", "tf.NoOp", "tf.StopGradient")
"""Operations that compute nothing."""


@dataclass(frozen=True)
class Outcome:
    """A state that has run: names of its arguments, its steps, and whether its outputs are wrong."""

    arguments: frozenset[str]
    steps: Sequence[Step]
    wrong: bool


@dataclass(frozen=True)
class Difference:
    """A rewrite: the operations before and after in order (none after: a constant), and the wrong value itself."""

    before: tuple[Operation, ...]
    after: tuple[Operation, ...]
    value: Array


def close(left: Any, right: Any) -> bool:
    """Whether two arrays hold the same numbers but for rounding; NaN is the same as NaN."""
    if not isinstance(left, np.ndarray) or not isinstance(right, np.ndarray):
        return False
    if left.shape != right.shape or left.dtype.kind != right.dtype.kind:
        return False
    if left.dtype.kind not in "fc":
        return bool(np.array_equal(left, right))
    with np.errstate(all="ignore"):
        finite = np.abs(right[np.isfinite(right)])
        scale = float(finite.max(initial=0.0))
        return bool(np.allclose(left, right, rtol=0.0, atol=TOLERANCE * scale, equal_nan=True))


def difference(right: Outcome, bad: Outcome, still_wrong: Callable[[dict[str, Any]], bool]) -> Difference | None:
    """The rewrite that made `right` into `bad`; None where no transplant of one value helps.

    `still_wrong` runs the state after the pass with some values replaced.
    """
    lost = [(name, value) for name, value in _values(right) if not _shared(value, bad)]
    # A value may be lost and still be there by chance: a softplus of large numbers is what goes into it.
    computed = {n for step in right.steps if step.operation.name not in SILENT for n in step.operation.results}
    gone = {name for name, _ in lost}
    lost += [pair for pair in reversed(list(_values(right))) if pair[0] in computed - gone]
    strange = [(name, value) for name, value in _values(bad, True) if not _shared(value, right)]
    raw, their_raw = _quantised(bad), _quantised(right)
    # Real numbers first: where integers stand between them depends on the model around.
    for integers in (False, True):
        tried = 0
        for name, value in strange:
            for origin, true in lost:
                if (name in raw or origin in their_raw) is not integers or not _alike(true, value):
                    continue
                tried += 1
                if tried > MAX_TRANSPLANTS:
                    return None
                if not still_wrong({name: true}):
                    return Difference(_slice(right, bad, origin), _slice(bad, right, name), value)
    return None


def _alike(left: Array, right: Array) -> bool:
    return left.shape == right.shape and left.dtype == right.dtype


def _quantised(outcome: Outcome) -> set[str]:
    """Names of values that are integers standing for real numbers."""
    typed = (
        pair for step in outcome.steps for pair in zip(step.operation.results, step.operation.result_types, strict=True)
    )
    return {name for name, type_ in typed if "!quant." in type_}


def _values(outcome: Outcome, constants: bool = False) -> Iterator[tuple[str, Array]]:
    for step in outcome.steps:
        if constants or step.operation.name not in CONSTANTS:
            for name, value in zip(step.operation.results, step.values, strict=True):
                if isinstance(value, np.ndarray):
                    yield name, value


def _shared(value: Array, other: Outcome) -> bool:
    return any(close(value, theirs) for _, theirs in _values(other, True))


def _slice(outcome: Outcome, other: Outcome, name: str) -> tuple[Operation, ...]:
    """What computes a value from values that the other state has too."""
    steps = {result: step for step in outcome.steps for result in step.operation.results}
    found: set[int] = set()
    waiting, first = [name], True
    while waiting:
        step = steps.get(waiting.pop())
        if step is None or id(step) in found or (not first and all(_shared(v, other) for v in _arrays(step))):
            continue
        first = False
        found.add(id(step))
        waiting += step.operation.operands
    made = (step.operation for step in outcome.steps if id(step) in found)
    return tuple(op for op in made if op.name not in SILENT)


def _arrays(step: Step) -> list[Array]:
    return [value for value in step.values if isinstance(value, np.ndarray)]
