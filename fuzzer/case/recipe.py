"""A recipe says how the numbers of a weight or an input are made, without holding them.

The same recipe always makes the same numbers (see `fuzzer.build.values`, which owns the formulas).
"""

from __future__ import annotations

from dataclasses import dataclass

DISTRIBUTIONS = (
    "uniform",
    "normal",
    "constant",
    "boundary",
    "literal",
    "onehot",
    "denormal",
    "specials",
    "huge",
    "channels",
    "ties",
    "extremes",
    "zeros",
)
"""`uniform` on [-1, 1); standard `normal`; `constant` one; `boundary` values at which kernels change their
mind; `literal` the numbers in `values`; `onehot` a single one a row of the last axis; `denormal` magnitudes below
the normal numbers of float32 and of float16; `specials` normal numbers with zeros of both signs, infinities and NaN
among them; `huge` magnitudes beyond float16; `channels` of the last axis of very different magnitude, some all zero;
`ties` few multiples of a half; `extremes` the ends of the dtype; `zeros` of both signs. All but `literal` and
`extremes` are then scaled and shifted."""
PRUNINGS = ("random", "block", "two_four")
"""Which elements sparsity takes: each on its own; runs of 16 along the input channels; two of every four along the
input channels (2:4), the smaller ones, whatever the share."""

MAX_LITERALS = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """`values = distribution(seed) * scale + offset`, then pruned and clustered.

    `sparsity` is the share of elements set to zero, in the `pattern` of pruning; `clusters` the number of distinct
    values left (0: all).
    """

    distribution: str = "normal"
    seed: int = 0
    scale: float = 1.0
    offset: float = 0.0
    sparsity: float = 0.0
    clusters: int = 0
    values: tuple[float, ...] = ()
    pattern: str = "random"


DEFAULT_INPUTS = (
    Recipe("uniform", 1),
    Recipe("normal", 2),
    Recipe("boundary", 3),
    Recipe("constant", 0, scale=0.0),
)
"""The four samples every case is judged on: two that are typical, one of boundary values, one of zeros."""
