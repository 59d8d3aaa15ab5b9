"""What a pattern is: a chain of steps that people build and the converter rewrites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fuzzer.ops import Value


@dataclass(frozen=True)
class Step:
    """One op of a pattern, drawn from `ops`; `pinned` attributes are fixed when the op has them."""

    ops: tuple[str, ...]
    pinned: Mapping[str, Value] = field(default_factory=dict)
    chance: float = 1.0
    """Probability that the step is there at all."""
    with_: int | None = None
    """The value that joins as second operand: 0 is the pattern's source, k the result of its k-th step."""


@dataclass(frozen=True)
class Pattern:
    """A named chain of steps on a value of rank `rank`.

    `entries` are the roads into the converter on which the fusion is known to happen; empty means any.
    """

    name: str
    rank: int
    steps: tuple[Step, ...]
    entries: tuple[str, ...] = ()
    weight: float = 1.0
