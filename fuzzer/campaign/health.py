"""How well the generator's cases get through: by op, pattern and scheme; and which TFLite operators were reached.

A case counts for every op and pattern in it, its seconds are shared evenly among its ops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fuzzer.campaign.snapshot import Rate

MIN_CASES = 20
"""From this many cases on an op that never converts is named; below, it may be chance."""

MAX_NAMES = 40
"""Different messages or reasons that are counted apart."""


class Health:
    """Counts what became of the cases."""

    def __init__(self) -> None:
        self.by_op: dict[str, _Tally] = {}
        self.by_pattern: dict[str, _Tally] = {}
        self.by_scheme: dict[str, _Tally] = {}
        self.reached: dict[str, dict[str, int]] = {}
        self.errors: dict[str, int] = {}
        """Cases by class of the errors in them (`fuzzer.oracles.error_table`)."""
        self.asked_wrongly: dict[str, int] = {}
        """Mistakes of the generator, in the words of the stack: cases."""
        self.unjudged: dict[str, int] = {}
        """Suspicions that no oracle could judge, by the ops in the way or the reason."""

    def take(self, event: Mapping[str, Any], built: bool) -> None:
        """Takes a driver's `case` event."""
        scheme = str(event["scheme"])
        ops = [str(op) for op in event.get("ops", ())]
        seconds = float(event.get("wall_s", 0.0))
        outcome = _Outcome(event, built)
        for op in ops:
            self.by_op.setdefault(op, _Tally()).add(outcome, seconds / len(ops))
        for pattern in event["patterns"]:
            self.by_pattern.setdefault(str(pattern), _Tally()).add(outcome, seconds)
        self.by_scheme.setdefault(scheme, _Tally()).add(outcome, seconds)
        for builtin in event.get("builtins", ()):
            row = self.reached.setdefault(str(builtin), {})
            row[scheme] = row.get(scheme, 0) + 1
        for error in event.get("errors", ()):
            _count(self.errors, str(error))
        if event.get("asked_wrongly"):
            _count(self.asked_wrongly, str(event["asked_wrongly"]))

    def take_unjudged(self, reason: str) -> None:
        """Takes a dismissal that is none: the suspicion could not be judged."""
        _count(self.unjudged, reason)

    def rates(self) -> dict[str, dict[str, Rate]]:
        """`op`, `pattern` and `scheme` -> name -> rate."""
        tables = {"op": self.by_op, "pattern": self.by_pattern, "scheme": self.by_scheme}
        return {kind: {name: tally.rate() for name, tally in table.items()} for kind, table in tables.items()}


def _count(table: dict[str, int], name: str) -> None:
    """Counts, and lumps together what comes after `MAX_NAMES` different ones: messages are not bounded."""
    name = name if name in table or len(table) < MAX_NAMES else "others"
    table[name] = table.get(name, 0) + 1


class _Outcome:
    def __init__(self, event: Mapping[str, Any], built: bool) -> None:
        self.built = built
        self.converted = bool(event.get("converted"))
        self.accepted = bool(event.get("accepted"))
        self.refusal = str(event.get("refusal", ""))
        self.failure = str(event.get("failure", ""))
        self.died = event.get("death") is not None


class _Tally:
    """A mutable `Rate`."""

    def __init__(self) -> None:
        self.cases = self.built = self.converted = self.accepted = self.refused = self.died = 0
        self.seconds = 0.0
        self.why = ""

    def add(self, outcome: _Outcome, seconds: float) -> None:
        self.cases += 1
        self.built += outcome.built
        self.converted += outcome.converted
        self.accepted += outcome.accepted
        self.refused += bool(outcome.refusal)
        self.died += outcome.died
        self.seconds += seconds
        if outcome.failure:
            self.why = outcome.failure

    def rate(self) -> Rate:
        return Rate(
            self.cases,
            self.built,
            self.converted,
            self.accepted,
            self.refused,
            self.died,
            round(self.seconds, 3),
            self.why,
        )


def barren(rates: Mapping[str, Rate]) -> list[str]:
    """Names that (nearly) never get through: fewer than one conversion in fifty, worst first."""
    found = [name for name, rate in rates.items() if rate.cases >= MIN_CASES and rate.converted * 50 < rate.cases]
    return sorted(found, key=lambda name: -rates[name].seconds)


def wasted_share(rates: Mapping[str, Rate]) -> float:
    """Share of all seconds spent in ops that were tried often and never converted."""
    total = sum(rate.seconds for rate in rates.values())
    lost = sum(rate.seconds for rate in rates.values() if rate.cases >= MIN_CASES and rate.converted == 0)
    return lost / total if total else 0.0


def builtins_of(reached: Iterable[str]) -> list[str]:
    """The builtin operators among what was reached, without custom ops, sorted."""
    return sorted(name for name in reached if not name.startswith("custom:"))
