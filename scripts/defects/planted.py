"""Defects with a known smallest case: what `scripts/bench reduce` measures reduction and titles with.

Of every kind that a finding can have, and of every need that a defect can have: an operator alone, one beside another,
an attribute, weights of some kind, a dtype, a scheme, a flag of the conversion, one runtime. To plant another, add a
row to `_ROWS`: what is wrong, how a case that has it is grown, and the smallest case there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fuzzer.case import Case
from fuzzer.case.conversion import Switch
from fuzzer.oracles import Kind
from scripts.defects import options, results, weights
from scripts.defects.defect import (
    ONE_RELEASE,
    OPTIMISED,
    REFERENCE,
    SHARED,
    XNNPACK,
    Condition,
    Defect,
    Party,
)
from scripts.defects.endings import Ending
from scripts.defects.flat import Edited
from scripts.defects.table import by_name

_FLOATS = ("float32", "float32", "float16", "dynamic")


@dataclass(frozen=True)
class Minimum:
    """The smallest case that shows a defect: so many nodes, under this scheme, on one of the guilty runtimes.

    `settings` are the fields of the conversion that cannot be plain beside the scheme. Every runtime is asked where the
    converter is at fault: then any one of them is the smallest.
    """

    nodes: int
    scheme: str = "float32"
    settings: dict[str, Switch] = field(default_factory=dict)


@dataclass(frozen=True)
class Planted:
    """A defect, the kind of finding it makes, how cases are grown that have it, and the smallest of them.

    `seeds` are ops of which one begins a case, and `then` follow one another behind it. `schemes` are what larger cases
    are converted under; `settings` what they need beside.
    """

    name: str
    defect: Defect
    kinds: tuple[Kind, ...]
    seeds: tuple[str, ...]
    minimum: Minimum
    then: tuple[str, ...] = ()
    schemes: tuple[str, ...] = _FLOATS
    pinned: dict[str, Any] = field(default_factory=dict)
    """Attributes that the seed is given, where a drawn one seldom has the defect."""


# --- conditions -------------------------------------------------------------------------------------------


def after(name: str) -> Condition:
    """The operator reads what one called `name` writes."""

    def when(model: Edited, op: Any, case: Case) -> bool:
        makers = (model.producer(int(i)) for i in op.inputs if i >= 0)
        return any(maker is not None and model.name(maker) == name for maker in makers)

    return when


def option_above(name: str, least: int) -> Condition:
    """An option of the operator is `least` or more."""

    def when(model: Edited, op: Any, case: Case) -> bool:
        return int(getattr(op.builtinOptions, name, 0)) >= least

    return when


def negative_weight(model: Edited, op: Any, case: Case) -> bool:
    """A constant operand holds a negative number."""
    values = [model.constant(int(i)) for i in op.inputs]
    return any(value is not None and value.dtype.kind == "f" and bool((value < 0).any()) for value in values)


def converted_with(name: str, value: object) -> Condition:
    """A field of the conversion has a value."""
    return lambda model, op, case: getattr(case.conversion, name) == value


# --- the rows ---------------------------------------------------------------------------------------------

_kernel = partial(Defect, party=Party.KERNEL, draw=())
_converter = partial(Defect, party=Party.CONVERTER, draw=())


def _row(
    name: str, defect: Callable[..., Defect], operator: str, kinds: Kind | tuple[Kind, ...], seeds: tuple[str, ...],
    minimum: Minimum, then: tuple[str, ...] = (), schemes: tuple[str, ...] = _FLOATS,
    pinned: dict[str, Any] | None = None, kernels: tuple[str, ...] = (), **how: Any,
) -> Planted:  # fmt: skip
    made = defect(kind=name, scheme=minimum.scheme, operator=operator, kinds=kernels, **how)
    return Planted(
        name, made, kinds if isinstance(kinds, tuple) else (kinds,), seeds, minimum, then, schemes, pinned or {}
    )


_FLOAT, _HYBRID, _INT8 = ("float32",), ("hybrid",), ("int8",)
_NUMBERS = (Kind.VALUE, Kind.NAN_PROPAGATION)


def _values() -> list[Planted]:
    r = results
    return [
        _row("XNNPACK swaps rows of a pool", _kernel, "MAX_POOL_2D", Kind.VALUE, ("max_pool",), Minimum(1),
             runtimes=XNNPACK, kernels=_FLOAT, tamper=r.rows_swapped),
        _row("hybrid matrix without its last channel", _kernel, "FULLY_CONNECTED", Kind.VALUE, ("dense",), Minimum(1, "dynamic"),
             schemes=("dynamic",), runtimes=OPTIMISED, kernels=_HYBRID, tamper=r.last_channel_zero),
        _row("int8 convolution with its zero point off", _kernel, "CONV_2D", Kind.VALUE, ("conv2d",), Minimum(1, "int8"),
             schemes=("int8",), runtimes=REFERENCE, kernels=_INT8, tamper=r.all_one_step),
        _row("convolution with a stride", _kernel, "CONV_2D", Kind.VALUE, ("conv2d",), Minimum(1),
             pinned={"strides": (2, 2), "dilations": (1, 1)}, runtimes=ONE_RELEASE, kernels=_FLOAT,
             tamper=r.last_channel_zero, when=option_above("strideW", 2)),
        _row("matrix of negative weights", _kernel, "FULLY_CONNECTED", Kind.VALUE, ("dense", "matmul"), Minimum(1),
             runtimes=OPTIMISED, kernels=_FLOAT, tamper=r.one_element, when=negative_weight),
        _row("addition behind a sigmoid", _kernel, "ADD", Kind.VALUE, ("sigmoid",), Minimum(2), then=("add",),
             schemes=("float32",), runtimes=SHARED, kernels=_FLOAT, tamper=r.tail_zero, when=after("LOGISTIC")),
        _row("product with what was in memory", _kernel, "BATCH_MATMUL", (*_NUMBERS, Kind.METAMORPHIC), ("batch_matmul",),
             Minimum(1), runtimes=SHARED, kernels=_FLOAT, tamper=r.tail_garbage),
        _row("ReLU6 became ReLU", _converter, "CONV_2D", Kind.VALUE, ("conv2d",), Minimum(2), then=("relu6",),
             edit=options.activation("RELU6", "RELU")),
        _row("paddings swapped behind an exponential", _converter, "PAD", Kind.VALUE, ("exp",), Minimum(2), then=("pad_zeros",),
             edit=weights.constant(1, weights.swapped_pads), when=after("EXP")),
        _row("infinity for the largest", _kernel, "SOFTMAX", _NUMBERS, ("softmax",), Minimum(1),
             runtimes=ONE_RELEASE, kernels=_FLOAT, tamper=r.infinity_for_large),
        _row("NaN for large numbers", _kernel, "TANH", _NUMBERS, ("tanh",), Minimum(1),
             runtimes=REFERENCE, kernels=_FLOAT, tamper=r.nan_for_large),
    ]  # fmt: skip


def _deaths() -> list[Planted]:
    return [
        _row("abort of a strided convolution", _kernel, "DEPTHWISE_CONV_2D", Kind.CRASH, ("depthwise_conv2d",), Minimum(1),
             pinned={"strides": (2, 2), "dilations": (1, 1)}, runtimes=OPTIMISED, when=option_above("strideW", 2),
             ending=Ending("invoke", "abort", "input_row < input_height (7 vs. 7)")),
        _row("segfault of a joined sigmoid", _kernel, "CONCATENATION", Kind.CRASH, ("sigmoid",), Minimum(2), then=("concat",),
             runtimes=("tf-xnnpack",), when=after("LOGISTIC"), ending=Ending("allocate", "segfault")),
        _row("abort while converting a sum", _converter, "CUMSUM", Kind.CRASH, ("cumsum",), Minimum(1),
             ending=Ending("convert", "abort", "index < dims.size()")),
        _row("segfault of a square root", _kernel, "SQRT", Kind.CRASH, ("sqrt",), Minimum(1),
             runtimes=REFERENCE, ending=Ending("invoke", "segfault")),
        _row("segfault of a floor", _kernel, "FLOOR", Kind.CRASH, ("floor",), Minimum(1),
             runtimes=REFERENCE, ending=Ending("invoke", "segfault")),
    ]  # fmt: skip


def _errors() -> list[Planted]:
    return [
        _row("transposed padding is not prepared", _kernel, "TRANSPOSE", Kind.ALLOCATE_ERROR, ("pad_zeros",), Minimum(2),
             then=("transpose",), runtimes=REFERENCE, when=after("PAD"),
             ending=Ending("allocate", "error", "transpose.cc op_context->input->bytes > 0")),
        _row("first axis is not joined", _kernel, "CONCATENATION", Kind.ALLOCATE_ERROR, ("concat",), Minimum(1),
             runtimes=OPTIMISED, ending=Ending("allocate", "error", "concatenation.cc t->dims->data[axis] >= 0")),
        _row("one check of two activations", _kernel, "RELU|RELU6", Kind.ALLOCATE_ERROR, ("relu", "relu6"), Minimum(1),
             runtimes=REFERENCE, ending=Ending("allocate", "error", "activations.cc input->bytes == output->bytes")),
        _row("gathering fails", _kernel, "GATHER", Kind.INVOKE_ERROR, ("gather",), Minimum(1),
             runtimes=ONE_RELEASE, ending=Ending("invoke", "error", "gather.cc positions->bytes >= 0")),
        _row("int8 sigmoid fails", _kernel, "LOGISTIC", Kind.INVOKE_ERROR, ("sigmoid",), Minimum(1, "int8"),
             schemes=("int8",), runtimes=SHARED, kernels=_INT8,
             ending=Ending("invoke", "error", "activations.cc data->input_left_shift >= 0")),
        _row("exponential of a negative is not converted", _converter, "EXP", Kind.CONVERTER_ERROR, ("neg",), Minimum(2),
             then=("exp",), when=after("NEG"),
             ending=Ending("convert", "error", "'tfl.exp' op failed to verify that its operand dominates its use")),
        _row("a product beside selected ops", _converter, "MUL", Kind.CONVERTER_ERROR, ("mul",),
             Minimum(1, settings={"op_set": "select_tf"}), when=converted_with("op_set", "select_tf"),
             ending=Ending("convert", "error", "'tfl.mul' op was left without a block by the partition of the graph")),
        _row("rounding is lost", _converter, "ROUND", Kind.CONVERTER_ERROR, ("round",), Minimum(1),
             ending=Ending("convert", "error", "empty function")),
        _row("cosine is lost", _converter, "COS", Kind.CONVERTER_ERROR, ("cos",), Minimum(1),
             ending=Ending("convert", "error", "empty function")),
        _row("absolute value of another type", _kernel, "ABS", Kind.DTYPE, ("abs",), Minimum(1),
             runtimes=ONE_RELEASE, ending=Ending("invoke", "dtype")),
        _row("square of another shape", _kernel, "SQUARE", Kind.SHAPE, ("square",), Minimum(1),
             runtimes=("tf-xnnpack",), ending=Ending("invoke", "shape")),
    ]  # fmt: skip


_ROWS = (*_values(), *_deaths(), *_errors())
by_name([row.defect for row in _ROWS])  # each does one thing, and no two are called the same
PLANTED = {row.name: row for row in _ROWS}
"""Every planted defect by name."""
