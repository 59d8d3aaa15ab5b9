"""The domain of an attribute: how it is drawn, changed a little, and checked.

Values are what JSON can hold (bool, int, float, str) or a tuple of ints. The same domain serves the
generator, the mutator and the decoder, so a value that can be drawn can always be decoded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Protocol

Value = bool | int | float | str | tuple[int, ...]


class Domain(Protocol):
    """What every attribute domain offers."""

    @property
    def default(self) -> Value:
        """The plainest value; reduction moves towards it."""
        ...

    def draw(self, rng: Random) -> Value:
        """A fresh value."""
        ...

    def mutate(self, rng: Random, value: Value) -> Value:
        """A value near `value`."""
        ...

    def check(self, value: object) -> str | None:
        """None when `value` belongs to the domain, else what was expected."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few strings or numbers; the first is the default."""

    values: tuple[Value, ...]

    @property
    def default(self) -> Value:
        return self.values[0]

    def draw(self, rng: Random) -> Value:
        return rng.choice(self.values)

    def mutate(self, rng: Random, value: Value) -> Value:
        others = [v for v in self.values if v != value]
        return rng.choice(others) if others else value

    def check(self, value: object) -> str | None:
        if any(type(value) is type(v) and value == v for v in self.values):
            return None
        return "one of " + ", ".join(repr(v) for v in self.values)


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean."""

    default: bool = False

    def draw(self, rng: Random) -> Value:
        return rng.random() < 0.5

    def mutate(self, rng: Random, value: Value) -> Value:
        return not value

    def check(self, value: object) -> str | None:
        return None if isinstance(value, bool) else "true or false"


@dataclass(frozen=True, slots=True)
class Int:
    """An integer in `[low, high]`; small values are drawn more often than large ones."""

    low: int
    high: int
    default: int

    def draw(self, rng: Random) -> Value:
        if rng.random() < 0.5:
            return rng.randint(self.low, self.high)
        # Half of the draws are log-uniform: most of what differs between kernels happens at small
        # sizes and at multiples of the vector width, few of which a uniform draw would hit.
        span = self.high - self.low
        return self.low + int(math.exp(rng.random() * math.log(span + 1)) - 1)

    def mutate(self, rng: Random, value: Value) -> Value:
        if not isinstance(value, int) or rng.random() < 0.3:
            return self.draw(rng)
        step = rng.choice((-1, 1, -2, 2, value, -(value // 2)))
        return min(self.high, max(self.low, value + step))

    def check(self, value: object) -> str | None:
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return None
        return f"an integer from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Ints:
    """A fixed number of integers, each drawn on its own: nothing ties height to width."""

    count: int
    low: int
    high: int
    fill: int

    @property
    def default(self) -> Value:
        return (self.fill,) * self.count

    def draw(self, rng: Random) -> Value:
        each = Int(self.low, self.high, self.fill)
        return tuple(_int(each.draw(rng)) for _ in range(self.count))

    def mutate(self, rng: Random, value: Value) -> Value:
        if not isinstance(value, tuple) or rng.random() < 0.2:
            return self.draw(rng)
        at = rng.randrange(self.count)
        each = Int(self.low, self.high, self.fill)
        return tuple(_int(each.mutate(rng, v)) if i == at else v for i, v in enumerate(value))

    def check(self, value: object) -> str | None:
        each = Int(self.low, self.high, self.fill)
        if isinstance(value, tuple) and len(value) == self.count and all(each.check(v) is None for v in value):
            return None
        return f"a list of {self.count} integers from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Float:
    """A finite float in `[low, high]`; `special` values are drawn one time in four."""

    low: float
    high: float
    default: float
    special: tuple[float, ...] = ()
    log: bool = False

    def draw(self, rng: Random) -> Value:
        if self.special and rng.random() < 0.25:
            return rng.choice(self.special)
        if self.log:
            return float(f"{math.exp(rng.uniform(math.log(self.low), math.log(self.high))):.3g}")
        return float(f"{rng.uniform(self.low, self.high):.3g}")

    def mutate(self, rng: Random, value: Value) -> Value:
        if isinstance(value, float) and rng.random() < 0.5:
            moved = value * rng.choice((0.5, 2.0, 0.9, 1.1))
            return float(f"{min(self.high, max(self.low, moved)):.3g}")
        return self.draw(rng)

    def check(self, value: object) -> str | None:
        if isinstance(value, float) and self.low <= value <= self.high:
            return None
        return f"a number from {self.low} to {self.high}"


def _int(value: Value) -> int:
    assert isinstance(value, int)
    return value
