"""Reduction: the smallest case that still shows the same defect."""

from fuzzer.reduce.reducer import Budget, Reduction, reduce, size

__all__ = ["Budget", "Reduction", "reduce", "size"]
