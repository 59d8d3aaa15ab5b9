"""Reduction: the smallest case that still shows the same defect."""

from fuzzer.reduce.answers import Answer, DiskMemory, Memory, Predicate
from fuzzer.reduce.measure import Size, size
from fuzzer.reduce.passes import Literals, Recorder
from fuzzer.reduce.reducer import Budget, Reduction, Second, reduce

__all__ = [
    "Answer",
    "Budget",
    "DiskMemory",
    "Literals",
    "Memory",
    "Predicate",
    "Recorder",
    "Reduction",
    "Second",
    "Size",
    "reduce",
    "size",
]
