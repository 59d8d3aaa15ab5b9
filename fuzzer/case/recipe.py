"""A recipe says how the numbers of a weight or an input are made, without holding them.

The same recipe always makes the same numbers (see `fuzzer.build.values`, which owns the formulas).
"""

from __future__ import annotations

from dataclasses import dataclass

DISTRIBUTIONS = ("uniform", "normal", "constant", "boundary", "literal")
"""`uniform` on [-1, 1); standard `normal`; `constant` one; `boundary` values at which kernels change their
mind; `literal` the numbers in `values`. All are then scaled and shifted."""

MAX_LITERALS = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """`values = distribution(seed) * scale + offset`, then pruned and clustered.

    `sparsity` is the share of elements set to zero, `clusters` the number of distinct values left (0: all).
    """

    distribution: str = "normal"
    seed: int = 0
    scale: float = 1.0
    offset: float = 0.0
    sparsity: float = 0.0
    clusters: int = 0
    values: tuple[float, ...] = ()


DEFAULT_INPUTS = (
    Recipe("uniform", 1),
    Recipe("normal", 2),
    Recipe("boundary", 3),
    Recipe("constant", 0, scale=0.0),
)
"""The four samples every case is judged on: two that are typical, one of boundary values, one of zeros."""
