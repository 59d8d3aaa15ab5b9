"""What a metamorphic relation is: a change that must not change the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fuzzer.build import Array
from fuzzer.case import Case
from fuzzer.execute.record import CaseRun, RuntimeRun, Slot
from fuzzer.execute.runtimes import MAKERS, feed, output

Samples = list[list[Array]]
"""Outputs per run of a flatbuffer."""


@dataclass(frozen=True)
class Work:
    """A flatbuffer, a runtime, and what it is fed: per sample, the input tensors by index.

    The whole model, or one operator of it alone (`fuzzer.oracles.confirm.metamorphic`): relations can't tell.
    """

    runtime: str
    content: bytes
    feeds: tuple[Mapping[int, Array], ...]
    outputs: tuple[Slot, ...]
    threads: int = 1

    def interpreter(self, content: bytes = b"", threads: int = 0, **options: Any) -> Any:
        """A fresh interpreter with its tensors allocated, inputs of unknown shape as long as the first sample's."""
        made = MAKERS[self.runtime](content or self.content, threads or self.threads, **options)
        self.shape(made)
        made.allocate_tensors()
        return made

    def shape(self, interpreter: Any) -> None:
        """Gives inputs the shapes of the first sample, where they have others."""
        for detail in interpreter.get_input_details():
            value = self.feeds[0][int(detail["index"])]
            if tuple(detail["shape"]) != value.shape:
                interpreter.resize_tensor_input(detail["index"], value.shape)

    def invoke(self, interpreter: Any, fed: Mapping[int, Array] | None) -> list[Array]:
        """The outputs for one sample; `None` feeds nothing. State of fused recurrent operators starts from zero."""
        interpreter.reset_all_variables()
        for index, value in (fed or {}).items():
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [output(interpreter, slot) for slot in self.outputs]

    def all(self, interpreter: Any) -> Samples:
        """The outputs for every sample."""
        return [self.invoke(interpreter, fed) for fed in self.feeds]


@dataclass(frozen=True)
class Relation:
    """A change and what it must leave as it was.

    `promise` says it in a sentence (of reports), `broken` is the message of a finding, `fails` the message where the
    runtime raises after the change. `applies` gives the reason why the relation does not hold for a model, or an
    empty string. A relation is either `again`, the same flatbuffer run otherwise (`None`: nothing to compare), or
    `other`, another case whose first outputs must be the same.

    `exact`: bit for bit, NaN equal to NaN; `exact_integers`: so where nothing is computed in floats. Otherwise within
    what rounding explains (`fuzzer.oracles.confirm.metamorphic`). `alone`: one operator by itself keeps the promise
    too, so that it can be blamed.
    """

    name: str
    promise: str
    broken: str
    fails: str
    applies: Callable[[CaseRun], str]
    again: Callable[[Work], Samples | None] | None = None
    other: Callable[[Case], Case] | None = None
    exact: bool = True
    exact_integers: bool = True
    alone: bool = True


def work_of(record: CaseRun, run: RuntimeRun) -> Work:
    """The whole flatbuffer under one runtime, on the samples of the case."""
    feeds = tuple(dict(feed(run.inputs, sample)) for sample in record.samples)
    return Work(run.runtime, record.content, feeds, tuple(run.outputs), record.case.inference.threads)


def same(left: Array, right: Array) -> bool:
    """Whether two tensors have the same shape, dtype and elements; NaN of any payload equals NaN."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.kind in "OSU":
        return bool(np.all(left == right))
    return bool(np.all((left == right) | ((left != left) & (right != right))))


def all_same(left: Sequence[Sequence[Array]], right: Sequence[Sequence[Array]]) -> bool:
    """Whether all outputs of all runs are the same."""
    return len(left) == len(right) and all(
        len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(left, right, strict=True)
    )


_STATE = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE"})
"""Operators of resources: what they hold outlives an invocation, and `reset_all_variables` leaves it alone
(`Subgraph::ResetVariableTensors` resets variable tensors only)."""
_CHANCE = frozenset({"RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL", "STABLEHLO_RNG_BIT_GENERATOR"})


def repeatable(record: CaseRun) -> str:
    """Why a model need not give the same twice: chance, or state that outlives an invocation; else nothing."""
    held = set(record.flat.operators if record.flat else ())
    if record.case.model.random or held & _CHANCE:
        return "random operators"
    if held & _STATE:
        return "state that outlives an invocation"
    return ""
