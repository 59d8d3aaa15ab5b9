"""What a case is worth before it is run: expected discoveries, from those of cases that share words with it.

The model is additive. A word's *excess* is by how much the cases that have it gave more than the average case. A word
with few cases behind it is judged by how words of its family did when they were as new: that is learnt too, so that a
new pair of op and scheme may count for much and a new attribute value for nothing. Old experience fades, because what
a word led to is found after a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

FADE = 0.96
"""What one more case with a word leaves of the earlier ones: the last 25 count."""
OVERALL_FADE = 0.99
PRIOR_CASES = 3.0
"""How many cases of its own outweigh what is known of a word's family."""
AGES = 8
"""A word's age is counted in powers of two of its cases: 0, 1, 2-3, 4-7 ... 64 and more."""


class _Mean:
    """A mean that fades."""

    __slots__ = ("seen", "total", "weight")

    def __init__(self) -> None:
        self.total = self.weight = 0.0
        self.seen = 0

    def add(self, value: float, fade: float) -> None:
        self.total = self.total * fade + value
        self.weight = self.weight * fade + 1.0
        self.seen += 1

    def towards(self, prior: float, prior_weight: float) -> float:
        return (self.total + prior * prior_weight) / (self.weight + prior_weight)


class Worth:
    """Learns from every case that was run. The same history gives the same answers."""

    def __init__(self) -> None:
        self._words: dict[str, _Mean] = {}
        self._ages: dict[tuple[str, int], _Mean] = {}
        self._all = _Mean()

    @property
    def average(self) -> float:
        """What a case gives at present."""
        return self._all.towards(1.0, 1.0)

    def learn(self, words: Iterable[str], gain: float) -> None:
        """Takes what a case with these words gave."""
        excess = gain - self.average
        for word in words:
            own = self._words.get(word)
            if own is None:
                own = self._words[word] = _Mean()
            age = (word.partition(":")[0], _age(own.seen))
            by_age = self._ages.get(age)
            if by_age is None:
                by_age = self._ages[age] = _Mean()
            by_age.add(excess, OVERALL_FADE)
            own.add(excess, FADE)
        self._all.add(gain, OVERALL_FADE)

    def excess(self, word: str) -> float:
        """By how much a case with this word gives more than the average case."""
        own = self._words.get(word)
        by_age = self._ages.get((word.partition(":")[0], _age(own.seen if own else 0)))
        # Nothing known of its family at that age: one more average case, so that everything is tried.
        prior = by_age.towards(0.0, 1.0) if by_age else self.average
        return own.towards(prior, PRIOR_CASES) if own else prior

    def of(self, words: Sequence[str]) -> float:
        """What a case with these words will give, never less than a twentieth of the average."""
        average = self.average
        return max(average / 20, average + sum(map(self.excess, words)))

    def __len__(self) -> int:
        return len(self._words)


def _age(seen: int) -> int:
    return min(AGES - 1, seen.bit_length())
