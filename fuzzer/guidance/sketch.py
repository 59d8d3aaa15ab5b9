"""A case in a few dozen words, before it is run: what a discovery may be put down to.

Each word is `family:detail`. Details are names and buckets, so that two cases of a kind share most of their words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from fuzzer.case import Case
from fuzzer.case.model import TypedNode
from fuzzer.ops import Value

EXACT = 8
"""Whole numbers up to here are words of their own."""
FAMILIES = {
    "op": "op x dtype x scheme",
    "attr": "attribute of an op and its value, in floats or integers",
    "rank": "op x rank x odd sizes",
    "edge": "an op that reads another, in floats or integers",
    "road": "entry x scheme x I/O dtype",
    "flags": "scheme x optimisations x flags x op set",
    "data": "scheme x representative data",
    "switch": "switch of the converter, its value and the scheme",
    "dynamic": "op x unknown axes",
    "entry": "op x entry",
    "weight": "op x distribution of weights x scheme",
    "input": "unusual samples x scheme",
    "relation": "metamorphic relation",
    "made": "mutator, or fresh",
}


def sketch(case: Case, origin: str) -> list[str]:
    """All words of a case that `origin` (a mutator's name, `generate`, `crossover`) made; each once."""
    words = {f"made:{origin}", f"relation:{case.inference.relation}"}
    words.update(_conversion_words(case))
    scheme = case.conversion.scheme
    kind = "q" if case.conversion.integer else "f"
    entry, dynamic = case.conversion.entry, case.conversion.dynamic
    maker: dict[str, str] = {}
    for typed in case.model.typed:
        node = typed.node
        words.add(f"op:{node.op}/{typed.type.dtype}/{scheme}")
        words.add(f"rank:{node.op}/{_sizes(typed)}")
        words.update(f"attr:{node.op}/{key}={_bucket(value)}/{kind}" for key, value in node.attrs.items())
        for recipe in node.weights.values():
            words.add(f"weight:{node.op}/{recipe.distribution}/{recipe.pattern if recipe.sparsity else ''}/{scheme}")
        words.update(f"edge:{maker[name]}>{node.op}/{kind}" for name in node.operands if name in maker)
        if entry != "concrete_function":
            words.add(f"entry:{node.op}/{entry}")
        if dynamic != "none":
            words.add(f"dynamic:{node.op}/{dynamic}")
        maker[typed.name] = node.op
    return sorted(words)


def _conversion_words(case: Case) -> Iterator[str]:
    conversion = case.conversion
    scheme = conversion.scheme
    yield f"road:{conversion.entry}/{scheme}/{conversion.io}"
    flags = f"{int(conversion.per_channel)}{int(conversion.fallback)}{int(conversion.unfold_batch_matmul)}"
    yield f"flags:{scheme}/{conversion.optimizations}/{flags}/{conversion.op_set}"
    if conversion.calibrated:
        yield f"data:{scheme}/{conversion.representative}"
    for name, value in conversion.switches.items():
        yield f"switch:{name}={value}/{scheme}"
    for recipe in case.inference.inputs:
        if recipe.distribution not in ("uniform", "normal", "boundary", "constant"):
            yield f"input:{recipe.distribution}/{scheme}"


def _sizes(typed: TypedNode) -> str:
    """The rank, whether something is empty, and whether the channels fill the lanes of a vector."""
    shape = typed.type.shape
    if not shape:
        return "0"
    return f"{len(shape)}{'e' if 0 in shape else ''}{'1' if shape[-1] == 1 else 'v' if shape[-1] % 8 == 0 else ''}"


def _bucket(value: Value) -> str:
    """A value: floats by sign and decade, numbers above 8 by power of two, lists by length and their largest number."""
    if isinstance(value, float):
        if not math.isfinite(value) or value == 0:
            return str(value)
        return f"{'-' if value < 0 else ''}1e{math.floor(math.log10(abs(value)))}"
    if isinstance(value, bool) or not isinstance(value, int | tuple | list):
        return str(value)[:40]
    if isinstance(value, int):
        return str(value) if abs(value) <= EXACT else f"{'-' if value < 0 else ''}2^{abs(value).bit_length() - 1}"
    return f"{len(value)}x{max((_bucket(v) for v in value), default='')}"
