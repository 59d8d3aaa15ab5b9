"""How fast a campaign still discovers, and what going on would bring. Pure functions of its history.

What fuzzing discovers grows with the logarithm of the effort, or slower: Böhme and Falk, "Fuzzing: On the Exponential
Cost of Vulnerability Discovery", ESEC/FSE 2020. So the second half of a run says what as much time again will bring at
most, and that is the estimate. It holds for what this campaign can reach: a new op, flag or scheme opens more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WINDOW_S = 300.0
"""The rate is that of the last five minutes: single finds come too rarely for less."""
MIN_RUN_S = 300.0
"""Before, everything is still new and nothing can be said."""
QUIET_SHARE = 0.003
"""Below this growth of blocks and features over half of the run, without a new title, a campaign has gone quiet."""

Point = tuple[float, int, int, int, int]
"""(elapsed_s, cases, features, titles, blocks)."""


@dataclass(frozen=True)
class Outlook:
    """What the recent past says of the future."""

    blocks_per_min: float
    features_per_min: float
    window_s: float
    blocks_share: float | None = None
    """What the second half of the run added to the native blocks, as a share; None before anything can be said."""
    features_share: float | None = None
    titles: int = 0
    """Titles first seen in the second half."""
    half_s: float = 0.0
    """How long the second half was."""

    @property
    def quiet(self) -> bool:
        """Whether as much time again will bring next to nothing."""
        if self.features_share is None:
            return False
        return self.titles == 0 and max(self.blocks_share or 0.0, self.features_share) < QUIET_SHARE


def outlook(history: Sequence[Point]) -> Outlook | None:
    """The outlook at the last point of a history; None where there are fewer than two points."""
    if len(history) < 2:
        return None
    now = history[-1]
    recent = _at(history, now[0] - WINDOW_S)
    minutes = max(now[0] - recent[0], 1e-9) / 60
    rates = (now[4] - recent[4]) / minutes, (now[2] - recent[2]) / minutes, now[0] - recent[0]
    if now[0] < MIN_RUN_S:
        return Outlook(*rates)
    half = _at(history, now[0] / 2)
    grown = _growth(half[4], now[4]), _growth(half[2], now[2])
    return Outlook(*rates, *grown, titles=now[3] - half[3], half_s=now[0] - half[0])


def _at(history: Sequence[Point], elapsed_s: float) -> Point:
    """The last point that is not later."""
    return next((point for point in reversed(history) if point[0] <= elapsed_s), history[0])


def _growth(before: int, after: int) -> float:
    return (after - before) / before if before else float(after > 0)
