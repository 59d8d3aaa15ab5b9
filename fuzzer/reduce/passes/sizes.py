"""Smaller tensors, fewer dimensions, plainer dtypes and attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from fuzzer.case import Case
from fuzzer.ops import TensorType, Value
from fuzzer.reduce.passes.edit import edited, fits, lower, with_inputs, with_model

Place = tuple[str, int, str, int]
"""Where a number of a case stands: ("input", number, "", axis) or ("attr", node, name, position)."""
MAX_PLACES = 16
"""Numbers of a case of which pairs are tried."""


def small_inputs(case: Case) -> Iterator[Case]:
    """All dimensions of all inputs at once: 1, at most 2, at most 4, half."""
    inputs = case.model.inputs
    for bound in (1, 2, 4):
        yield _resized(case, [tuple(min(d, bound) for d in t.shape) for t in inputs])
    yield _resized(case, [tuple((d + 1) // 2 for d in t.shape) for t in inputs])


def shrink_inputs(case: Case) -> Iterator[Case]:
    """Every dimension of every input: to 1, to its half, by ever less; inputs of one type together, then alone."""
    inputs = case.model.inputs
    for i, type_ in enumerate(inputs):
        for d, dim in enumerate(type_.shape):
            for smaller in lower(dim):  # never to 0: a tensor without elements is another matter
                shape = (*type_.shape[:d], smaller, *type_.shape[d + 1 :])
                # Inputs of one type usually must stay of one type.
                yield _resized(case, [shape if k == i or t == type_ else t.shape for k, t in enumerate(inputs)])
                yield _resized(case, [shape if k == i else t.shape for k, t in enumerate(inputs)])


def shrink_number(case: Case) -> Iterator[Case]:
    """One number everywhere it stands, in shapes and in attributes: dimensions that are bound to each other."""
    known: dict[int, list[Place]] = {}
    for place, number in _numbers(case):
        known.setdefault(number, []).append(place)
    for number, places in known.items():
        dims = [place for place in places if place[0] == "input"]
        for group in dict.fromkeys((tuple(places), tuple(dims))):
            if len(group) > 1:
                for smaller in lower(number):
                    yield _put(case, dict.fromkeys(group, smaller))


def shrink_pair(case: Case) -> Iterator[Case]:
    """Two numbers at once, to 1, by half or by one, where one of them cannot change alone."""
    numbers = [(place, number) for place, number in _numbers(case) if number > 1][:MAX_PLACES]
    for (one, a), (two, b) in combinations(numbers, 2):
        for small, less in ((1, 1), (a // 2, b // 2), (a - 1, b - 1), (1, b // a), (a // b, 1)):
            if not (1 <= small <= a and 1 <= less <= b):
                continue
            if fits(_put(case, {one: small})) and fits(_put(case, {two: less})):
                continue
            yield _put(case, {one: small, two: less})


def drop_axis(case: Case) -> Iterator[Case]:
    """One dimension less, of all inputs of a rank or of one; attributes that name a later axis name the one before."""
    inputs = case.model.inputs
    for rank in sorted({t.rank for t in inputs if t.rank > 1}, reverse=True):
        whole = tuple(i for i, t in enumerate(inputs) if t.rank == rank)
        for group in dict.fromkeys((whole, *((i,) for i in whole))):
            for axis in range(rank):
                shapes = [t.shape[:axis] + t.shape[axis + 1 :] if i in group else t.shape for i, t in enumerate(inputs)]
                small = _resized(case, shapes)
                yield small
                yield _axes_before(small)


def plain_dtypes(case: Case) -> Iterator[Case]:
    """Every dtype of all inputs to float32, then of each; else to int32."""
    inputs = case.model.inputs
    for dtype in ("float32", "int32"):
        for old in dict.fromkeys(t.dtype for t in inputs):
            if old in ("float32", dtype):
                continue
            for each in (None, *(i for i, t in enumerate(inputs) if t.dtype == old)):
                yield with_inputs(
                    case,
                    tuple(
                        TensorType(t.shape, dtype) if t.dtype == old and each in (None, i) else t
                        for i, t in enumerate(inputs)
                    ),
                )


def plain_attributes(case: Case) -> Iterator[Case]:
    """All attributes to their defaults, those of one node, each; numbers also to 1, their half and less off."""
    nodes = [replace(n, attrs={k: d.default for k, d in n.spec.attrs.items()}) for n in case.model.nodes]
    yield with_model(case, replace(case.model, nodes=tuple(nodes)))
    for i, node in enumerate(nodes):
        yield edited(case, i, node)
    for i, node in enumerate(case.model.nodes):
        for key, domain in node.spec.attrs.items():
            for value in _smaller(node.attrs[key], domain.default):
                if domain.check(value) is None:
                    yield edited(case, i, replace(node, attrs={**node.attrs, key: value}))


def _smaller(value: Value, default: Value) -> Iterator[Value]:
    if value == default:
        return
    yield default
    if isinstance(value, bool | str | float):
        return
    if isinstance(value, tuple):
        for i, number in enumerate(value):
            for smaller in (*lower(number), number - 1):
                yield (*value[:i], smaller, *value[i + 1 :])
        return
    yield from lower(value)
    yield value - 1


def _resized(case: Case, shapes: list[tuple[int, ...]]) -> Case:
    return with_inputs(
        case, tuple(TensorType(shape, t.dtype) for shape, t in zip(shapes, case.model.inputs, strict=True))
    )


def _axes_before(case: Case) -> Case:
    """Every attribute that is called an axis, one less."""
    nodes = []
    for node in case.model.nodes:
        attrs = dict(node.attrs)
        for key, domain in node.spec.attrs.items():
            value = attrs[key]
            if "axis" in key and isinstance(value, int) and domain.check(value - 1) is None:
                attrs[key] = value - 1
        nodes.append(replace(node, attrs=attrs))
    return with_model(case, replace(case.model, nodes=tuple(nodes)))


def _numbers(case: Case) -> Iterator[tuple[Place, int]]:
    """The dimensions and the whole numbers among the attributes that are more than 1."""
    for i, type_ in enumerate(case.model.inputs):
        yield from ((("input", i, "", d), dim) for d, dim in enumerate(type_.shape) if dim > 1)
    for i, node in enumerate(case.model.nodes):
        for key, value in node.attrs.items():
            each = value if isinstance(value, tuple) else (value,)
            for k, number in enumerate(each):
                if isinstance(number, int) and not isinstance(number, bool) and number > 1:
                    yield ("attr", i, key, k), number


def _put(case: Case, numbers: dict[Place, int]) -> Case:
    """The case with other numbers in some places; the case itself where an attribute does not take its number."""
    shapes = [list(t.shape) for t in case.model.inputs]
    nodes = list(case.model.nodes)
    for (what, i, key, k), number in numbers.items():
        if what == "input":
            shapes[i][k] = number
            continue
        old = nodes[i].attrs[key]
        new: Value = (*old[:k], number, *old[k + 1 :]) if isinstance(old, tuple) else number
        if nodes[i].spec.attrs[key].check(new) is not None:
            return case
        nodes[i] = replace(nodes[i], attrs={**nodes[i].attrs, key: new})
    edited_case = replace(case, model=replace(case.model, nodes=tuple(nodes)))
    return _resized(edited_case, [tuple(shape) for shape in shapes])
