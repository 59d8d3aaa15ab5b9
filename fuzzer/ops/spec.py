"""What an op is: everything the engine knows of it, in one entry.

An `Op` declares its attributes, the ranks and dtypes it takes, its shape rule, its weights, and how
TensorFlow (and Keras, where there is a layer) computes it. Generation, repair, decoding, budgets,
building, the float64 truth and the text of a reproducer all derive from that entry.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Domain, Value

Attrs = Mapping[str, Value]

FLOATS = ("float32", "float16")
INTS = ("int32", "int64")
NUMBERS = FLOATS + INTS
WIDE_FLOATS = (*FLOATS, "bfloat16", "float64")
SMALL_INTS = ("int8", "uint8", "int16", "uint16", "uint32")
BOOL = ("bool",)
STRING = ("string",)
COMPLEX = ("complex64",)
ANY = (*WIDE_FLOATS, *INTS, *SMALL_INTS, *BOOL, *STRING, *COMPLEX)
"""What an op that only moves elements may be given."""
DTYPE_BYTES = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float64": 8,
    "int32": 4,
    "int64": 8,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "uint32": 4,
    "bool": 1,
    "string": 16,
    "complex64": 8,
}
"""Every dtype a value of a case may have; a string counts as its TFLite offset and a few letters."""
REALS = frozenset(WIDE_FLOATS)
"""Dtypes that become float64 in the truth."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """The static type of a value: a shape (element counts, outermost first) and a dtype name."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def elements(self) -> int:
        """Number of elements."""
        product = 1
        for dim in self.shape:
            product *= dim
        return product

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.elements * DTYPE_BYTES[self.dtype]

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class WeightSlot:
    """A weight an op wants, before anybody chose its numbers.

    `unit` is the standard deviation that keeps activations near 1 (He et al. 2015, section 2.2: one over
    the square root of the fan-in); a recipe's scale multiplies it. `base` is added to every element
    (1 for a gamma). `positive` slots (variances) take absolute values. `span` makes an integer slot an index:
    its elements are spread over `[low, high)`. A `variable` slot is state: a `tf.Variable` that every sample finds
    as the recipe made it.
    """

    name: str
    type: TensorType
    unit: float = 1.0
    base: float = 0.0
    positive: bool = False
    span: tuple[int, int] | None = None
    variable: bool = False


ShapeRule = Callable[[Sequence[TensorType], Attrs], TensorType]
WeightRule = Callable[[Sequence[TensorType], Attrs], tuple[WeightSlot, ...]]
CostRule = Callable[[Sequence[TensorType], Attrs, TensorType], int]


def no_weights(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    """The weight rule of an op that has none."""
    return ()


def one_per_element(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    """The cost rule of an element-wise op: one multiply-accumulate an output element."""
    return out.elements


def one_per_operand_element(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    """The cost rule of an op that reads its operand once: one multiply-accumulate an element of it."""
    return operands[0].elements


def same_as_first(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """The shape rule of an element-wise op on one operand."""
    return operands[0]


@dataclass(frozen=True)
class Op:
    """One operator.

    `build(tf, x, ..., *, attr..., weight..., out_shape)` computes it with TensorFlow on eager or symbolic
    tensors of any float dtype; it is an ordinary function whose *source* also becomes the text of the
    reproducer, so it must read well and use nothing but its parameters. A weight that is absent is None.
    Beside attributes and weights it may ask for `out_shape` and `out_dtype`: the result's shape (a list of ints)
    and its dtype's name, which is `float64` for every float in the truth. So a build that has to name a float
    dtype (a cast) names `out_dtype`, never a literal.
    `keras(keras, *, attr...)` returns the layer, and `keras_weights` names the weights in the layer's order.

    An op of several results (split, top-k) returns the one its attribute `pick` names; the converter merges equal
    ops that differ in nothing else.
    """

    name: str
    build: Callable[..., Any]
    infer: ShapeRule = same_as_first
    attrs: Mapping[str, Domain] = field(default_factory=dict)
    weights: WeightRule = no_weights
    cost: CostRule = one_per_element
    arity: tuple[int, int] = (1, 1)
    ranks: tuple[int, ...] = (1, 2, 3, 4, 5)
    dtypes: tuple[str, ...] = FLOATS
    # Dtypes of the operands after the first: a tuple of names, or the position of the operand whose dtype is
    # wanted. The last entry serves all further operands; without any, all are as the first.
    operand_dtypes: tuple[tuple[str, ...] | int, ...] = ()
    # Takes tensors without elements.
    empty: bool = False
    keras: Callable[..., Any] | None = None
    keras_weights: tuple[str, ...] = ()
    # How often the generator draws it, relative to 1. An op that costs a second a case is drawn rarely.
    weight: float = 1.0
    # A few ops exist in legacy Keras as one fused op; such a case may enter through `legacy_keras`.
    recurrent: bool = False
    # The roads into the converter that can carry it; any when empty (state needs a SavedModel).
    entries: tuple[str, ...] = ()
    # Converter switches without which it never converts; most cases with the op get them.
    switches: Mapping[str, bool] = field(default_factory=dict)
    # The result jumps where an operand moves by a rounding (floor, comparison, arg-max).
    discontinuous: bool = False
    # Two sound runs may give different numbers (random ops): shapes and dtypes are judged, values are not.
    random: bool = False
    # Needs every dimension while the graph is traced: no dynamic dimensions.
    static: bool = False
    # TensorFlow has a float64 kernel on CPU. Where it has none, one of the next two says what the truth does; without
    # either no value of a case with the op can be judged, and `health` says so.
    float64: bool = True
    # Computes the op in NumPy and float64: `reference(np, x, ..., *, attr..., weight...)`, as `build` does.
    reference: Callable[..., Any] | None = None
    # Why the op's float32 kernel is as good as float64: it rounds nothing, or float32 is part of what it means.
    narrow: str = ""

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The keyword-only names `build` asks for."""
        return _keyword_only(self.build)

    @cached_property
    def keras_parameters(self) -> tuple[str, ...]:
        """The keyword-only names `keras` asks for."""
        return _keyword_only(self.keras) if self.keras else ()

    def type_of(self, operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
        """The type of the result.

        Raises `UnfitError` when the operands' number, rank, dtype or shape do not suit the op.
        """
        low, high = self.arity
        if not low <= len(operands) <= high:
            raise UnfitError(f"{self.name} takes {low} to {high} operands, not {len(operands)}")
        first = operands[0]
        if first.rank not in self.ranks:
            raise UnfitError(f"{self.name} takes rank {self.ranks}, not {first.rank}")
        for i, operand in enumerate(operands):
            wanted = self.dtypes_of(i, operands)
            if operand.dtype not in wanted:
                raise UnfitError(f"{self.name} takes {', '.join(wanted)} as operand {i}, not {operand.dtype}")
            if not self.empty and 0 in operand.shape:
                raise UnfitError(f"{self.name} takes no tensors without elements")
        return self.infer(operands, attrs)

    def dtypes_of(self, position: int, operands: Sequence[TensorType]) -> tuple[str, ...]:
        """The dtypes operand `position` may have, given those before it."""
        if position == 0:
            return self.dtypes
        rule = self.operand_dtypes[min(position, len(self.operand_dtypes)) - 1] if self.operand_dtypes else 0
        return (operands[rule].dtype,) if isinstance(rule, int) else rule

    @property
    def judgeable(self) -> bool:
        """Whether there is a truth to hold its values against."""
        return self.float64 or self.reference is not None or bool(self.narrow)

    def call(self, tf: Any, operands: Sequence[Any], environment: Mapping[str, Any]) -> Any:
        """Computes the op on TensorFlow values; `environment` holds attributes, weights and `out_shape`."""
        return self.build(tf, *operands, **{name: environment.get(name) for name in self.parameters})


def _keyword_only(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(
        p.name for p in inspect.signature(function).parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY
    )


def pair(value: Value) -> tuple[int, int]:
    """An attribute known to be two ints, for the type checker."""
    assert isinstance(value, tuple) and len(value) == 2
    return value[0], value[1]


def integer(value: Value) -> int:
    """An attribute known to be an int, for the type checker."""
    assert isinstance(value, int)
    return value
