"""Other memory: planned again, planned for another shape in between, or kept for every tensor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.metamorphic.relation import Relation, Samples, Work, repeatable

GROWN = 3
"""How many times as long, and one more, an unknown axis is in between."""
_ASKED = "tf-builtin"


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
    """The first unknown axes longer, run on zeros, then as they were.

    Nothing where the model does not take the longer ones (two inputs no longer fit each other, for instance). The
    optimised kernels are asked first: what XNNPACK does of a shape that it refuses is another matter.
    """
    try:
        _grow(replace(work, runtime=_ASKED).interpreter())
    except (RuntimeError, ValueError):
        return None
    interpreter = work.interpreter()
    work.invoke(interpreter, work.feeds[0])
    try:
        _grow(interpreter)
    except (RuntimeError, ValueError):
        return None
    work.shape(interpreter)
    interpreter.allocate_tensors()
    return work.all(interpreter)


def _grow(interpreter: Any) -> None:
    """Runs a model with the first unknown axis of every input longer, on whatever the inputs hold then."""
    for detail in interpreter.get_input_details():
        shape = [int(size) for size in detail["shape"]]
        unknown = [axis for axis, size in enumerate(detail["shape_signature"]) if size < 0]
        for axis in unknown[:1]:
            shape[axis] = GROWN * shape[axis] + 1
        interpreter.resize_tensor_input(detail["index"], shape)
    interpreter.allocate_tensors()
    interpreter.invoke()


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
