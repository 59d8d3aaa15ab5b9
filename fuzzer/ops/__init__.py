"""Every op the generator knows, one file a family.

To add an op: write its `Op` entry in the family's file (or a new file in this folder) and put it in
that file's `OPS`. Nothing else needs an edit: generation, repair, decoding, building and reproducers read the
entry. Two ops of one name are refused, naming both files. See CONTRIBUTING.md for a worked example.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from fuzzer import plugins
from fuzzer.errors import UnfitError, UserError
from fuzzer.ops.domains import Choice, Domain, Flag, Float, Int, Ints, Value
from fuzzer.ops.spec import DTYPE_BYTES, FLOATS, INTS, NUMBERS, REALS, Attrs, Op, TensorType, WeightSlot

FAMILIES = tuple(f"{__name__}.{module.name}" for module in sorted(iter_modules(__path__), key=lambda m: m.name))
"""The files of this folder; those that define `OPS` are families."""


class DuplicateOpError(UserError):
    """Two files claim one op name."""


@cache
def registry() -> MappingProxyType[str, Op]:
    """All ops by name, in a stable order (the order decides what a seed generates)."""
    found: dict[str, Op] = {}
    owner: dict[str, str] = {}
    families = [(family, import_module(family)) for family in FAMILIES]
    for family, module in (*families, *plugins.modules()):
        for op in getattr(module, "OPS", ()):
            if op.name in found:
                raise DuplicateOpError(f"op {op.name!r} is defined in {owner[op.name]} and in {family}; rename one")
            found[op.name] = op
            owner[op.name] = family
    return MappingProxyType(found)


__all__ = [
    "DTYPE_BYTES",
    "FAMILIES",
    "FLOATS",
    "INTS",
    "NUMBERS",
    "REALS",
    "Attrs",
    "Choice",
    "Domain",
    "DuplicateOpError",
    "Flag",
    "Float",
    "Int",
    "Ints",
    "Op",
    "TensorType",
    "UnfitError",
    "Value",
    "WeightSlot",
    "registry",
]
