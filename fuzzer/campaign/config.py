"""What a campaign, and each of its drivers, is told."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fuzzer.execute import Limits
from fuzzer.execute.client import DEFAULT_TARGET
from fuzzer.guidance.options import Guidance


@dataclass(frozen=True)
class CampaignConfig:
    """What the command line asks for. Exactly one of `seconds` and `cases` is set, or neither (until Ctrl-C)."""

    corpus: Path = Path("corpus")
    crashes: Path = Path("crashes")
    seconds: float | None = None
    cases: int | None = None
    workers: int | None = None
    examiners: int | None = None
    """Threads that examine what the drivers raise; None: `default_examiners`."""
    seed: int | None = None
    fresh: bool = False
    known: Path | None = None
    """A list of known behaviour beside the one that ships."""
    guidance: Guidance = field(default_factory=Guidance)
    examine: bool = True
    """Whether suspicions are examined; without, they stay in the inbox (benchmarks)."""
    limits: Limits = field(default_factory=Limits)
    target: str = DEFAULT_TARGET


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def default_examiners() -> int:
    """One on up to four cores, above that about a quarter of the cores: what a driver raises takes longer to examine
    than to find, most of all in the first hour.
    """
    return max(1, cores() // 4)


def default_workers(examiners: int | None = None) -> int:
    """All cores but those that examine findings (and draw the screen)."""
    return max(1, cores() - (examiners or default_examiners()))


@dataclass(frozen=True)
class DriverConfig:
    """What a driver is told."""

    worker: int
    seed: int
    corpus: str
    crashes: str
    zygote: str
    scratch: str
    """A folder of its own; libFuzzer reads `scratch/corpus`, into which the supervisor links siblings' finds."""
    events: int
    """File descriptor of the event pipe."""
    max_cases: int | None = None
    limits: dict[str, float] = field(default_factory=dict)
    guidance: dict[str, Any] = field(default_factory=dict)
    """The fields of `Guidance`."""
    space: str = ""
    """A file that will hold the numbers of the native blocks, as soon as they are known; empty: none are watched."""

    def to_argument(self) -> str:
        """One command-line argument."""
        return json.dumps(asdict(self))
