"""The guide of one driver: what is made, what of it is run, and what was learnt from that."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from fuzzer.case import Case, decode
from fuzzer.case.conversion import DEAR_ENTRIES, TFMOT
from fuzzer.errors import CaseError, GenerateAnother
from fuzzer.guidance.options import Guidance
from fuzzer.guidance.parents import Parents
from fuzzer.guidance.sketch import sketch
from fuzzer.guidance.worth import Worth
from fuzzer.mutate import cross, generate, mutate

# Shares, fades and the size of the tournament were chosen by hand; what was measured is in `scripts/bench coverage`.
CROSS_SHARE = 0.1
"""Of the mutants, those that have two parents."""
KEPT = 0.25
"""Share of the candidates that compete once more: those next to the best."""
NEW_SUSPICION = 4.0
"""What a kind of suspicion that nobody has seen is worth: as much as fifteen new blocks. Findings are what it is
for."""
_DEAR_S, _TFMOT_S, _PLAIN_S = 0.4, 1.5, 0.1
"""What cases take on one core (measured), until the roads' own times are known."""
_TIME_FADE = 0.97


@dataclass
class Candidate:
    """A case that may be run."""

    case: Case
    origin: str
    """The mutator that made it, `crossover` or `generate`."""
    parents: tuple[str, ...] = ()
    words: list[str] = field(default_factory=list)


class Guide:
    """Makes candidates and chooses among them. Deterministic for one history when `clock` is off."""

    def __init__(self, options: Guidance, rng: Random, avoid: Callable[[Case], bool], clock: bool = True) -> None:
        """`avoid` tells known killers. Without `clock` a case's time is what its road usually takes."""
        self.options = options
        self.parents = Parents()
        self.worth = Worth()
        self._rng = rng
        self._avoid = avoid
        self._clock = clock
        self._seconds: dict[tuple[str, str], float] = {}
        self._ready: list[Candidate] = []

    # --- making -----------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Makes the candidates that are missing: while the executor works, that costs nothing."""
        while self.options.parents != "libfuzzer" and len(self._ready) < self.options.candidates:
            self._ready.append(self._make())

    def next(self, data: bytes = b"") -> Candidate:
        """The most promising candidate for its price. `data` is what libFuzzer would mutate."""
        while self.options.parents == "libfuzzer" and len(self._ready) < self.options.candidates:
            self._ready.append(self._make(data))
        self.prepare()
        ranked = sorted(self._ready, key=self._value, reverse=True)
        chosen = next((c for c in ranked if not self._avoid(c.case)), ranked[0])
        self._ready = [c for c in ranked if c is not chosen][: int(KEPT * self.options.candidates)]
        return chosen

    def _make(self, data: bytes = b"") -> Candidate:
        made = None
        while made is None:
            try:
                made = self._draw(data)
            except (GenerateAnother, CaseError, OSError):
                continue  # a parent that is gone or mends to nothing: another is drawn
        if self.options.candidates > 1:
            made.words = sketch(made.case, made.origin)
        return made

    def _draw(self, data: bytes) -> Candidate:
        rng, options = self._rng, self.options
        if data and rng.random() >= options.fresh:
            mutant, name = mutate(decode(data), rng)
            return Candidate(mutant, name)
        if not len(self.parents) or rng.random() < options.fresh:
            return Candidate(generate(rng), "generate")
        uniform = options.parents == "uniform"
        one, parent = self.parents.choose(rng, uniform)
        if rng.random() < CROSS_SHARE:
            two, other = self.parents.choose(rng, uniform)
            return Candidate(cross(parent, other, rng), "crossover", (one, two))
        mutant, name = mutate(parent, rng)
        return Candidate(mutant, name, (one,))

    def _value(self, candidate: Candidate) -> float:
        if self.options.candidates == 1:
            return 0.0
        return self.worth.of(candidate.words) / self.expected_s(candidate.case)

    # --- learning ---------------------------------------------------------------------------------------

    def learn(self, candidate: Candidate, gain: float, seconds: float) -> None:
        """Takes what a case gave and how long it took."""
        road, usual = _road(candidate.case), _usual_s(candidate.case)
        spent = self.price(candidate.case, seconds)
        self._seconds[road] = _TIME_FADE * self._seconds.get(road, usual) + (1 - _TIME_FADE) * spent
        if candidate.words:
            self.worth.learn(candidate.words, gain)
        for parent in candidate.parents:
            self.parents.credit(parent, gain, spent)

    def price(self, case: Case, seconds: float) -> float:
        """What a case that took so long is said to have cost."""
        return seconds if self._clock else _usual_s(case)

    def expected_s(self, case: Case) -> float:
        """How long a case will take."""
        return self._seconds.get(_road(case), _usual_s(case)) * (0.7 + 0.1 * len(case.model.nodes))


def gain_of(blocks: int, features: int, suspicions: int) -> float:
    """What a case discovered, as one number: doublings, since one flood of new blocks says little of the next case."""
    return math.log2(1 + blocks) + math.log2(1 + features) + NEW_SUSPICION * suspicions


def _road(case: Case) -> tuple[str, str]:
    return case.conversion.entry, case.conversion.scheme


def _usual_s(case: Case) -> float:
    if case.conversion.scheme in TFMOT:
        return _TFMOT_S
    return _DEAR_S if case.conversion.entry in DEAR_ENTRIES else _PLAIN_S
