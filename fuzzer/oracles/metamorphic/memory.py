"""Other memory: planned again, planned for another shape in between, or kept for every tensor."""

from __future__ import annotations

from typing import Any

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.metamorphic.relation import Relation, Samples, Work, repeatable

GROWN = 3
"""How many times as long an unknown axis is in between."""


def reallocate(work: Work) -> Samples:
    """One sample; the first axes one longer and back, which drops the plan; then tensors are allocated again.

    Asking for the shape that a tensor has does nothing (`Subgraph::ResizeInputTensor`), nor does allocating once more.
    """
    interpreter = work.interpreter()
    work.invoke(interpreter, work.feeds[0])
    for index, value in work.feeds[0].items():
        if value.ndim:
            interpreter.resize_tensor_input(index, (value.shape[0] + 1, *value.shape[1:]))
            interpreter.resize_tensor_input(index, value.shape)
    interpreter.allocate_tensors()
    interpreter.allocate_tensors()
    return work.all(interpreter)


def resize_back(work: Work) -> Samples | None:
    """Unknown axes longer, run on zeros, then as they were. Nothing where the model does not take the longer ones."""
    interpreter = work.interpreter()
    work.invoke(interpreter, work.feeds[0])
    try:
        for detail in interpreter.get_input_details():
            interpreter.resize_tensor_input(detail["index"], _grown(detail))
        interpreter.allocate_tensors()
        interpreter.invoke()
    except (RuntimeError, ValueError):
        return None  # no shape of the model's: two inputs that no longer fit each other, for instance
    work.shape(interpreter)
    interpreter.allocate_tensors()
    return work.all(interpreter)


def _grown(detail: dict[str, Any]) -> tuple[int, ...]:
    """The shape of an input with its unknown axes longer; some are 1 by default, so one more for good measure."""
    known = zip(detail["shape_signature"], detail["shape"], strict=True)
    return tuple(int(size) if sign >= 0 else GROWN * int(size) + 1 for sign, size in known)


def preserve_all(work: Work) -> Samples:
    """Every tensor has memory of its own (`experimental_preserve_all_tensors`)."""
    return work.all(work.interpreter(experimental_preserve_all_tensors=True))


def _resizable(record: CaseRun) -> str:
    """Why shapes can't change: the flatbuffer fixes them."""
    return repeatable(record) or ("" if record.case.conversion.resized else "the flatbuffer fixes its shapes")


RELATIONS = (
    Relation(
        "reallocate",
        "Allocating the tensors again does not change what a model computes.",
        "allocating again gives other values",
        "allocating again fails",
        repeatable,
        reallocate,
    ),
    Relation(
        "resize_back",
        "Inputs that were longer in between, and are as long as before, give the same as before.",
        "resizing there and back gives other values",
        "resizing back fails",
        _resizable,
        resize_back,
        alone=False,  # an operator of a model with unknown axes was written for shapes that depend on each other
    ),
    Relation(
        "preserve_all",
        "`experimental_preserve_all_tensors` changes where tensors lie, not what is in them.",
        "preserving all tensors gives other values",
        "preserving all tensors fails",
        repeatable,
        preserve_all,
        exact=False,  # XNNPACK fuses less when inner tensors are kept, so that floats round otherwise
    ),
)
