"""The kernels of the reference, by operator name.

To add one: write `def add(node, operands) -> list[Array]` in a family's module, name it in that module's `KERNELS`,
and the module below. Operands are raw codes as the interpreter holds them (None for an optional operand that is left
out), results are raw codes of the outputs' types. A kernel raises UnsupportedError for what it does not compute. Two
kernels of one operator are refused, naming both modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from types import MappingProxyType

from fuzzer.reference.fixed_point import Array
from fuzzer.reference.graph import Node

Kernel = Callable[[Node, Sequence[Array | None]], list[Array]]

MODULES: tuple[str, ...] = (
    "activations",
    "comparison",
    "conversion",
    "convolution",
    "elementwise",
    "generation",
    "lookup",
    "matrix",
    "moving",
    "normalisation",
    "padding",
    "pooling",
    "reduction",
    "resizing",
    "scattering",
    "slicing",
    "softmax",
)
"""The files of this folder that define `KERNELS`."""


class DuplicateKernelError(Exception):
    """Two modules claim one operator: a mistake of ours."""


@cache
def kernels() -> MappingProxyType[str, Kernel]:
    """All kernels by operator name. Raises DuplicateKernelError."""
    return gather(MODULES)


def gather(modules: Sequence[str]) -> MappingProxyType[str, Kernel]:
    """The kernels of some modules, each relative to this folder."""
    found: dict[str, Kernel] = {}
    owner: dict[str, str] = {}
    for module in modules:
        for op, kernel in import_module(f"fuzzer.reference.{module}").KERNELS.items():
            if op in found:
                raise DuplicateKernelError(f"{op} has a kernel in {owner[op]} and in {module}; remove one")
            found[op], owner[op] = kernel, module
    return MappingProxyType(found)
