"""Einstein sums of a value, or of a value and another or a constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Int
from fuzzer.ops.fan import fan_unit
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer

_DTYPES = ("float32",)
_PRODUCTS = (
    "ij,jk->ik",
    "ij,kj->ik",
    "ij,jk->ki",
    "ij,j->i",
    "i,j->ij",
    "ij,ij->i",
    "ij,ij->ij",
    "ij,k->ijk",
    "bi,bj->bij",
    "bij,bjk->bik",
    "bij,bkj->bik",
    "bij,jk->bik",
    "bij,bjk->kbi",
    "bij,ji->b",
    "bij,jkh->bikh",
    "bijk,jkh->bih",
    "bijk,bk->bij",
    "bthd,bshd->bhts",
    "bhts,bshd->bthd",
    "abcd,cd->ba",
    "abcde,ae->bcd",
    "...ij,...jk->...ik",
    "...ij,jk->...ik",
    "i...,i->...",
)
_UNARY = (
    "ij->ji",
    "ij->i",
    "bij->jbi",
    "bij->bj",
    "bhij->bjhi",
    "abcd->da",
    "abcde->edcba",
    "...ij->...ji",
    "...i->...",
)


def einsum(tf: Any, x: Any, y: Any = None, *, kernel: Any, equation: Any) -> Any:
    """Sums products over the letters that the result lacks."""
    return tf.einsum(equation, x, y if y is not None else kernel)


def einsum_unary(tf: Any, x: Any, *, equation: Any) -> Any:
    """Sums over the letters that the result lacks, and orders the others."""
    return tf.einsum(equation, x)


def letters(term: str, shape: Sequence[int], sizes: dict[str, int]) -> tuple[int, ...]:
    """Notes the size of each letter of a term; returns the sizes the ellipsis stands for."""
    before, dots, after = term.partition("...")
    hidden = len(shape) - len(before) - len(after)
    if hidden < 0 or (hidden and not dots):
        raise UnfitError(f"{term} does not describe rank {len(shape)}")
    end = len(shape) - len(after)
    named = [*zip(before, shape[: len(before)], strict=True), *zip(after, shape[end:], strict=True)]
    for letter, size in named:
        if sizes.setdefault(letter, size) != size:
            raise UnfitError(f"{letter} is both {sizes[letter]} and {size}")
    return tuple(shape[len(before) : end])


def _result(term: str, sizes: dict[str, int], hidden: tuple[int, ...]) -> tuple[int, ...]:
    before, dots, after = term.partition("...")
    return (*(sizes[c] for c in before), *(hidden if dots else ()), *(sizes[c] for c in after))


def _terms(attrs: Attrs) -> tuple[list[str], str]:
    inputs, _, output = str(attrs["equation"]).partition("->")
    return inputs.split(","), output


def _kernel_shape(operands: Sequence[TensorType], attrs: Attrs) -> tuple[int, ...]:
    """The shape of the second factor; a constant has `units` along every letter that x lacks."""
    (first, second), _ = _terms(attrs)
    sizes: dict[str, int] = {}
    hidden = letters(first, operands[0].shape, sizes)
    if len(operands) == 2:
        return operands[1].shape
    unknown = {c: integer(attrs["units"]) for c in second if c.isalpha() and c not in sizes}
    return _result(second, {**sizes, **unknown}, hidden)


def _einsum_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (first, second), output = _terms(attrs)
    sizes: dict[str, int] = {}
    hidden = letters(first, operands[0].shape, sizes)
    other = letters(second, _kernel_shape(operands, attrs), sizes)
    if "..." in second and other != hidden:
        raise UnfitError(f"the ellipsis is both {hidden} and {other}")
    return TensorType(_result(output, sizes, hidden), operands[0].dtype)


def _unary_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (first,), output = _terms(attrs)
    sizes: dict[str, int] = {}
    hidden = letters(first, operands[0].shape, sizes)
    return TensorType(_result(output, sizes, hidden), operands[0].dtype)


def _kernel(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    if len(operands) == 2:
        return ()
    return (
        WeightSlot("kernel", TensorType(_kernel_shape(operands, attrs), operands[0].dtype), _unit(operands, attrs)),
    )


def _summed(operands: Sequence[TensorType], attrs: Attrs) -> int:
    """How many products one element of the result sums."""
    (first, _), output = _terms(attrs)
    sizes: dict[str, int] = {}
    letters(first, operands[0].shape, sizes)
    return math.prod(size for letter, size in sizes.items() if letter not in output)


def _unit(operands: Sequence[TensorType], attrs: Attrs) -> float:
    return fan_unit(_summed(operands, attrs))


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return out.elements * _summed(operands, attrs)


OPS = (
    Op(
        "einsum",
        einsum,
        _einsum_type,
        attrs={"equation": Choice(_PRODUCTS), "units": Int(1, 48, 3)},
        weights=_kernel,
        cost=_cost,
        arity=(1, 2),
        ranks=(1, 2, 3, 4, 5),
        dtypes=_DTYPES,
        weight=1.5,
    ),
    Op(
        "einsum_unary",
        einsum_unary,
        _unary_type,
        attrs={"equation": Choice(_UNARY)},
        cost=lambda operands, attrs, out: operands[0].elements,
        dtypes=_DTYPES,
        weight=0.3,
    ),
)
