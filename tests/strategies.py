"""Hypothesis strategies for the project's own classes, and the generator as a plain function of a seed."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from fuzzer.case import Case, to_json
from fuzzer.errors import GenerateAnother
from fuzzer.mutate import generate, mutate

MAX_SEED = 1 << 20


def drawn_case(seed: int, mutations: int = 0) -> Case:
    """A generated case, mutated a few times. The same arguments give the same case."""
    rng = Random(seed)
    case = generate(rng)
    for _ in range(mutations):
        try:
            case, _ = mutate(case, rng)
        except GenerateAnother:
            continue
    return case


def fed_otherwise(case: Case, seed: int) -> Case:
    """The same model on other numbers: it takes the same way through the converter and the kernels."""
    inputs = tuple(replace(recipe, seed=recipe.seed + seed) for recipe in case.inference.inputs)
    return replace(case, inference=replace(case.inference, inputs=inputs))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    return drawn_case(draw(st.integers(0, MAX_SEED)), draw(st.integers(0, 5)))


def _deep(depth: int) -> Any:
    tree: Any = 1
    for _ in range(depth):
        tree = [tree]
    return tree


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**63), 10**400, 1 << 12000]),
    st.floats(),
    st.sampled_from(
        ["", "x0", "n0", "n99", "x" * 5000, "float32", "../../etc/passwd", "\ud800", "é", "__import__('os')"]
    ),
    st.text(max_size=8),
    st.integers(1, 400).map(_deep),
    st.builds(lambda: [8192] * 4),
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: {"distribution": "normal", "seed": 1}),
)

json_trees = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


def places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a JSON tree but its root."""
    found: list[tuple[Any, ...]] = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found += [(*at, key), *places(value, (*at, key))]
    return found


def edited(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of `tree` with the value at `path` replaced."""
    tree = copy.deepcopy(tree)
    holder = tree
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return tree


@st.composite
def damaged_trees(draw: st.DrawFn) -> Any:
    """A valid case as JSON, with one to three fields deleted, replaced, added, duplicated or swapped."""
    tree = to_json(draw(cases()))
    for _ in range(draw(st.integers(1, 3))):
        paths = places(tree)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        holder = tree
        for key in path[:-1]:
            holder = holder[key]
        match draw(st.sampled_from(["delete", "replace", "add", "duplicate", "swap"])):
            case "delete":
                del holder[path[-1]]
            case "replace":
                # A copy: a later step may edit it in place, and `st.just` gives the same object every time.
                holder[path[-1]] = copy.deepcopy(draw(ODD))
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=6))] = copy.deepcopy(draw(ODD))
            case "add" | "duplicate" if isinstance(holder, list):
                holder += [copy.deepcopy(holder[path[-1]]) for _ in range(draw(st.integers(1, 40)))]
            case "swap":
                other = draw(st.sampled_from(paths))
                value = tree
                for key in other:
                    value = (
                        value[key]
                        if (isinstance(value, dict) and key in value)
                        or (isinstance(value, list) and isinstance(key, int) and key < len(value))
                        else None
                    )
                holder[path[-1]] = copy.deepcopy(value)
    return tree


@st.composite
def damaged_bytes(draw: st.DrawFn) -> bytes:
    """The canonical JSON of a case with a few bytes overwritten, cut out or repeated."""
    data = bytearray(draw(cases()).canonical)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        count = draw(st.integers(0, 30))
        match draw(st.sampled_from(["write", "cut", "repeat", "end"])):
            case "write":
                data[at : at + count] = draw(st.binary(max_size=30))
            case "cut":
                del data[at : at + count]
            case "repeat":
                data[at:at] = data[at : at + count]
            case "end":
                del data[at:]
    return bytes(data)


def dumped(tree: Any) -> bytes:
    """JSON as an attacker may write it: NaN and lone surrogates included."""
    return json.dumps(tree).encode()
