"""Statistics of a campaign: drivers' events go in, snapshots come out. No clock of its own, no disk."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from fuzzer.campaign.discovery import Point
from fuzzer.campaign.health import Health
from fuzzer.campaign.snapshot import Cell, Snapshot, TitleLine, Worst
from fuzzer.coverage.space import BlockSpace
from fuzzer.findings.finding import Finding
from fuzzer.findings.hiding import Hider

RATE_WINDOW_S = 30.0
MAX_HISTORY = 240
MAX_WORST = 8
COMPARED_KINDS = frozenset({"value", "nan-propagation", "shape", "dtype", "output-count"})
"""Suspicions about outputs that were compared; deaths and errors are counted by kind only."""
BUCKETS = 10
"""Decades of relative divergence: 0, <1e-7, <1e-6, ... <1e0, >=1e0."""


class _Tally:
    """A mutable `Cell`."""

    def __init__(self) -> None:
        self.cases = self.compared = self.suspicious = 0
        self.worst = 0.0
        self.histogram = [0] * BUCKETS

    def cell(self) -> Cell:
        return Cell(self.cases, self.compared, self.suspicious, self.worst, "relative", tuple(self.histogram))

    def add(self, relative: float) -> None:
        self.compared += 1
        self.worst = max(self.worst, relative)
        self.histogram[bucket(relative)] += 1


def bucket(relative: float) -> int:
    """The histogram bucket of a relative divergence."""
    if relative <= 0:
        return 0
    if not math.isfinite(relative) or relative >= 1:
        return BUCKETS - 1
    return min(BUCKETS - 2, max(1, 9 + math.floor(math.log10(relative))))


def title_line(finding: Finding, this_run: bool, hider: Hider) -> TitleLine:
    """A finding as a line of the lists."""
    hidden = hider(finding)
    f = finding
    return TitleLine(
        f.id, f.title, f.kind, f.severity, f.unit, f.count, f.first_seen, this_run, hidden.why if hidden else "", f.ulp
    )


class Statistics:
    """Everything counted since the campaign started."""

    def __init__(self) -> None:
        self.cases = self.built = self.converted = self.refused = self.compared = 0
        self.suspicions = self.dismissed = 0
        self.deaths: Counter[str] = Counter()
        self.by_kind: Counter[str] = Counter()
        self.families: Counter[str] = Counter()
        self.mutators: dict[str, list[int]] = {}
        self.grid: dict[str, dict[str, _Tally]] = {}
        self.by_runtime: dict[str, _Tally] = {}
        self.worst: list[Worst] = []
        self.restarts: dict[int, int] = {}
        self.recycled: dict[int, int] = {}
        self.bugs: list[str] = []
        self.health = Health()
        self.by_scope: dict[str, int] = {}
        """Native blocks reached by scope."""
        self._features: set[str] = set()
        self.space = BlockSpace()
        self._blocks = bytearray()
        self._under_test_s = self._wall_s = 0.0
        self._recent: deque[tuple[float, int]] = deque()
        self._history: list[Point] = []
        self._stride_s = 1.0

    # --- in ---------------------------------------------------------------------------------------------

    def take(self, worker: int, event: dict[str, Any], elapsed_s: float) -> None:
        """Takes a `case` or `bug` event of a driver."""
        if event["event"] == "bug":
            self.bugs.append(str(event["text"]))
            return
        self.cases += 1
        self._recent.append((elapsed_s, self.cases))
        self.restarts[worker] = int(event["restarts"])
        self.recycled[worker] = int(event["recycled"])
        dead = event.get("death")
        built = bool(event.get("built", dead is not None))
        self.built += built
        self.converted += bool(event.get("converted"))
        self.refused += bool(event.get("refusal"))
        if dead:
            self.deaths[str(dead)] += 1
        elif "under_test_s" in event:
            self._under_test_s += float(event["under_test_s"])
            self._wall_s += float(event["wall_s"])
        tried = self.mutators.setdefault(str(event["mutator"]), [0, 0])
        tried[0] += 1
        tried[1] += built
        for feature in event["new"]:
            if feature not in self._features:
                self._features.add(feature)
                self.families[feature.split(":", 1)[0]] += 1
        self._hit(event.get("blocks", ()))
        self.health.take(event, built)
        self._take_divergence(event)

    def _take_divergence(self, event: dict[str, Any]) -> None:
        stats: dict[str, dict[str, Any]] = event.get("statistics", {})
        suspicions = event["suspicions"]
        self.suspicions += len(suspicions)
        self.by_kind.update(s["kind"] for s in suspicions)
        compared = [s for s in suspicions if s["kind"] in COMPARED_KINDS]
        guilty = {runtime for s in compared for runtime in s["runtimes"]}
        scheme = str(event["scheme"])
        self.compared += bool(stats)
        worst = max((float(d["relative"]) for d in stats.values()), default=0.0)
        for pattern in event["patterns"] or ["(none)"]:
            tally = self.grid.setdefault(pattern, {}).setdefault(scheme, _Tally())
            tally.cases += 1
            if stats:
                tally.suspicious += bool(compared)
                tally.add(worst)
        for runtime, divergence in stats.items():
            tally = self.by_runtime.setdefault(runtime, _Tally())
            tally.cases += 1
            tally.suspicious += runtime in guilty
            tally.add(float(divergence["relative"]))
        if stats and worst > 0 and (len(self.worst) < MAX_WORST or worst > self.worst[-1].severity):
            runtime = max(stats, key=lambda r: float(stats[r]["relative"]))
            pattern = next(iter(event["patterns"]), "")
            self.worst.append(Worst(str(event["case"]), runtime, scheme, pattern, worst, "relative"))
            self.worst = sorted(self.worst, key=lambda w: -w.severity)[:MAX_WORST]

    # --- out --------------------------------------------------------------------------------------------

    def rate(self, elapsed_s: float) -> float:
        """Cases a second over the last half minute."""
        while self._recent and self._recent[0][0] < elapsed_s - RATE_WINDOW_S:
            self._recent.popleft()
        window = min(RATE_WINDOW_S, elapsed_s)
        return len(self._recent) / window if window > 0 else 0.0

    @property
    def overhead(self) -> float:
        """Share of the wall time of cases that came through which was spent outside the stack under test."""
        return 1 - self._under_test_s / self._wall_s if self._wall_s else 0.0

    @property
    def features(self) -> int:
        """Distinct features seen."""
        return len(self._features)

    def know(self, features: Sequence[str]) -> None:
        """Counts features that a resumed corpus brings along."""
        for feature in features:
            if feature not in self._features:
                self._features.add(feature)
                self.families[feature.split(":", 1)[0]] += 1

    def watch(self, space: BlockSpace, known: Sequence[int]) -> None:
        """From now on native blocks are counted; `known` are those that the corpus brings along."""
        self.space, self._blocks = space, bytearray(space.size)
        self.by_scope = space.by_scope(())
        self._hit(known)

    def _hit(self, numbers: Sequence[int]) -> None:
        """Counts blocks once each: two workers may find the same one."""
        if not self.space.size:
            return
        fresh = [number for number in numbers if not self._blocks[number]]
        for number in fresh:
            self._blocks[number] = 1
        for scope, n in self.space.by_scope(fresh).items():
            self.by_scope[scope] += n

    @property
    def blocks(self) -> int:
        """Native blocks reached, of all scopes."""
        return sum(self.by_scope.values())

    def remember(self, elapsed_s: float, titles: int, last: bool = False) -> None:
        """Adds a point to the history; when it is full, every second point goes and the stride doubles.

        The `last` one of a campaign is kept however close to the one before it is.
        """
        if self._history and elapsed_s - self._history[-1][0] < self._stride_s and not last:
            return
        self._history.append((round(elapsed_s, 1), self.cases, self.features, titles, self.blocks))
        if len(self._history) >= MAX_HISTORY:
            self._history = self._history[::2]
            self._stride_s *= 2

    def snapshot(
        self, elapsed_s: float, findings: Sequence[Finding], new: set[str], hider: Hider | None = None, **rest: Any
    ) -> Snapshot:
        """The whole as a snapshot; `rest` gives the fields that are not statistics.

        `new`: ids found in this run. `hider` says what is off the main list (by default what this release ships with).
        """
        hider = hider or Hider()
        ordered = sorted(findings, key=lambda f: (f.id not in new, f.kind, f.title))
        return Snapshot(
            elapsed_s=round(elapsed_s, 2),
            cases=self.cases,
            cases_per_s=round(self.rate(elapsed_s), 2),
            mean_cases_per_s=round(self.cases / elapsed_s, 2) if elapsed_s > 0 else 0.0,
            built=self.built,
            converted=self.converted,
            refused=self.refused,
            compared=self.compared,
            restarts=sum(self.restarts.values()),
            recycled=sum(self.recycled.values()),
            deaths=dict(self.deaths),
            features=self.features,
            families=dict(self.families),
            blocks=dict(self.by_scope),
            all_blocks=self.space.totals,
            overhead=round(self.overhead, 4),
            suspicions=self.suspicions,
            dismissed=self.dismissed,
            titles=tuple(title_line(f, f.id in new, hider) for f in ordered),
            worst=tuple(self.worst),
            grid={p: {s: t.cell() for s, t in row.items()} for p, row in self.grid.items()},
            by_runtime={r: t.cell() for r, t in self.by_runtime.items()},
            by_kind=dict(self.by_kind),
            mutators={m: (a, b) for m, (a, b) in self.mutators.items()},
            history=tuple(self._history),
            health=self.health.rates(),
            reached={name: dict(row) for name, row in self.health.reached.items()},
            errors=dict(self.health.errors),
            asked_wrongly=dict(self.health.asked_wrongly),
            unjudged=dict(self.health.unjudged),
            **rest,
        )
