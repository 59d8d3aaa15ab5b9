"""A snapshot of a campaign: what the screens draw and what `status.json` holds.

It is plain data with stable names: other tools read it. Times are seconds, shares are 0 to 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from fuzzer.campaign.discovery import Outlook, Point, outlook

SNAPSHOT_SCHEMA = 1


@dataclass(frozen=True)
class Cell:
    """Divergence statistics of one pattern under one scheme, or of one runtime."""

    cases: int = 0
    """Cases that asked for it."""
    compared: int = 0
    """Cases whose outputs were compared."""
    suspicious: int = 0
    """Compared cases that an oracle suspected."""
    worst: float = 0.0
    """Largest divergence, in `unit`."""
    unit: str = ""
    histogram: tuple[int, ...] = ()
    """Compared cases by decade of relative divergence: 0, <1e-7, <1e-6, ... <1e0, >=1e0 (10 buckets)."""


@dataclass(frozen=True)
class Rate:
    """What became of the cases with one op, pattern or scheme."""

    cases: int = 0
    built: int = 0
    """TensorFlow built and ran the model."""
    converted: int = 0
    accepted: int = 0
    """At least one runtime ran the flatbuffer."""
    refused: int = 0
    """The converter said that something is not supported."""
    died: int = 0
    seconds: float = 0.0
    why: str = ""
    """Why the last case that gave no flatbuffer gave none, as it came."""


@dataclass(frozen=True)
class TitleLine:
    """One line of the findings list."""

    id: str
    title: str
    kind: str
    severity: float
    unit: str
    count: int
    first_seen: str
    this_run: bool
    hidden: str = ""
    """Why it is off the main list, in a word or two; empty where it is on it."""
    ulp: float = 0.0


@dataclass(frozen=True)
class Worst:
    """One of the largest divergences seen, whether a finding or not."""

    case: str
    runtime: str
    scheme: str
    pattern: str
    severity: float
    unit: str


@dataclass(frozen=True)
class Snapshot:
    """Everything a screen may show of a running or finished campaign."""

    schema: int = SNAPSHOT_SCHEMA
    state: str = "starting"
    """starting, running, stopping (no new cases; findings are being finished), finished."""
    pid: int = 0
    started: str = ""
    """ISO 8601, UTC."""
    written: str = ""
    """When this snapshot was taken, ISO 8601, UTC."""
    elapsed_s: float = 0.0
    budget_s: float | None = None
    budget_cases: int | None = None
    seed: int = 0
    workers: int = 1
    corpus_dir: str = ""
    crashes_dir: str = ""
    versions: str = ""
    cases: int = 0
    cases_per_s: float = 0.0
    """Over the last 30 s."""
    mean_cases_per_s: float = 0.0
    built: int = 0
    """Cases whose model TensorFlow built and ran."""
    converted: int = 0
    refused: int = 0
    """Conversions that ended in a clean refusal (a feature, not a finding)."""
    compared: int = 0
    restarts: int = 0
    """Executors replaced, for whatever reason."""
    recycled: int = 0
    """Of those, planned ones (memory)."""
    deaths: dict[str, int] = field(default_factory=dict)
    """By kind: crash, hang, out-of-memory."""
    features: int = 0
    families: dict[str, int] = field(default_factory=dict)
    """Features by family."""
    blocks: dict[str, int] = field(default_factory=dict)
    """Native blocks reached, by scope; empty without native coverage."""
    all_blocks: dict[str, int] = field(default_factory=dict)
    """How many each scope has."""
    corpus: int = 0
    overhead: float = 0.0
    """Share of a case's wall time spent outside TensorFlow and TFLite calls."""
    suspicions: int = 0
    pending: int = 0
    """Suspicions not yet confirmed and minimised."""
    alike: int = 0
    """Of those that are pending, the ones that look like known findings."""
    set_aside: int = 0
    """Suspicions that others like them stand for: examined once nothing else waits."""
    dismissed: int = 0
    """Suspicions that confirmation found to be no defect."""
    examining: str = ""
    """What the examiners are doing now, in a few words."""
    examined: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Stage of examining -> how often, and seconds in all, in this run."""
    titles: tuple[TitleLine, ...] = ()
    newest: str = ""
    """Title of the newest finding of this run."""
    newest_at: str = ""
    """When it was filed: ISO 8601, UTC. It was first seen earlier, when its suspicion was raised."""
    worst: tuple[Worst, ...] = ()
    grid: dict[str, dict[str, Cell]] = field(default_factory=dict)
    """pattern -> scheme -> Cell."""
    by_runtime: dict[str, Cell] = field(default_factory=dict)
    by_kind: dict[str, int] = field(default_factory=dict)
    """Suspicions by kind."""
    mutators: dict[str, tuple[int, int]] = field(default_factory=dict)
    """mutator -> (mutants run, mutants that built)."""
    history: tuple[Point, ...] = ()
    """(elapsed_s, cases, features, titles, native blocks) at most 240 points over the whole run."""
    health: dict[str, dict[str, Rate]] = field(default_factory=dict)
    """`op`, `pattern`, `scheme` -> name -> what became of its cases."""
    reached: dict[str, dict[str, int]] = field(default_factory=dict)
    """TFLite operator (custom ones as `custom:name`) -> scheme -> flatbuffers that hold it."""
    errors: dict[str, int] = field(default_factory=dict)
    """Cases by whose matter their errors are: `user` (asked wrongly), `unsupported`, `internal`."""
    asked_wrongly: dict[str, int] = field(default_factory=dict)
    """What the generator asks wrongly, in the words of the stack -> cases."""
    unjudged: dict[str, int] = field(default_factory=dict)
    """Why suspicions could not be judged -> how many."""
    warnings: tuple[str, ...] = ()

    @property
    def listed(self) -> tuple[TitleLine, ...]:
        """The titles of the main list."""
        return tuple(t for t in self.titles if not t.hidden)

    @property
    def outlook(self) -> Outlook | None:
        """How fast the campaign still discovers."""
        return outlook(self.history)

    @property
    def accepted_share(self) -> float:
        """Share of converted cases that at least one runtime ran."""
        accepted = sum(rate.accepted for rate in self.health.get("scheme", {}).values())
        return accepted / self.converted if self.converted else 0.0

    @property
    def builtins(self) -> int:
        """Distinct TFLite builtin operators in the flatbuffers made."""
        return sum(not name.startswith("custom:") for name in self.reached)

    @property
    def valid_share(self) -> float:
        """Share of cases whose model built."""
        return self.built / self.cases if self.cases else 0.0

    @property
    def conversion_share(self) -> float:
        """Share of built cases that converted."""
        return self.converted / self.built if self.built else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        shares = {
            "valid_share": self.valid_share,
            "conversion_share": self.conversion_share,
            "accepted_share": self.accepted_share,
            "builtins": self.builtins,
            "outlook": asdict(self.outlook) if self.outlook else None,
        }
        return {**asdict(self), **shares}

    @staticmethod
    def from_json(tree: dict[str, Any]) -> Snapshot:
        """Reads what `to_json` wrote; unknown fields are ignored. Raises `TypeError`, `KeyError`, `ValueError`."""
        known = {k: v for k, v in tree.items() if k in Snapshot.__dataclass_fields__}
        known["titles"] = tuple(TitleLine(**t) for t in known.get("titles", ()))
        known["worst"] = tuple(Worst(**w) for w in known.get("worst", ()))
        known["grid"] = {p: {s: _cell(c) for s, c in row.items()} for p, row in known.get("grid", {}).items()}
        known["by_runtime"] = {r: _cell(c) for r, c in known.get("by_runtime", {}).items()}
        known["mutators"] = {m: (int(a), int(b)) for m, (a, b) in known.get("mutators", {}).items()}
        known["history"] = tuple(_point(row) for row in known.get("history", ()))
        known["health"] = {
            kind: {name: Rate(**rate) for name, rate in table.items()}
            for kind, table in known.get("health", {}).items()
        }
        known["examined"] = {stage: (int(n), float(s)) for stage, (n, s) in known.get("examined", {}).items()}
        known["warnings"] = tuple(known.get("warnings", ()))
        return Snapshot(**known)


def _point(row: list[float]) -> Point:
    """A point of the history; before native coverage they had four numbers."""
    elapsed_s, cases, features, titles, *blocks = row
    return float(elapsed_s), int(cases), int(features), int(titles), int(blocks[0]) if blocks else 0


def _cell(tree: dict[str, Any]) -> Cell:
    return Cell(**{**tree, "histogram": tuple(tree.get("histogram", ()))})
