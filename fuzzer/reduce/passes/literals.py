"""Literal numbers of which fewer are told: all equal but a few, then all but one; then shorter ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

MAX_LITERAL = 64
"""Numbers a literal may have to be tried: what is larger is first made smaller by its shape."""
FINE = 16
"""Up to so many odd numbers each is tried alone; of more, eighths."""
MAX_ROUNDED = 8
"""Odd numbers of which each is rounded on its own."""

Values = tuple[float, ...]


def common(values: Values) -> float:
    """The number that most of a literal's values are; 0 where every number stands alone."""
    number, count = Counter(map(repr, values)).most_common(1)[0]
    return float(number) if count > 1 or len(values) == 1 else 0.0


def told(values: Values) -> int:
    """How many numbers a reader must be told: one that most are, and each that is another."""
    counts = Counter(map(repr, values))
    return 1 + len(values) - max(counts.values())


def fewer(values: Values) -> Iterator[Values]:
    """Simpler literals, most ambitious first: halves of the odd numbers kept, halves dropped, ever finer; rounded."""
    fill = common(values)
    if len(set(map(repr, values))) == 1 and len(values) > 1:
        yield values[:1]
    odd = [i for i, v in enumerate(values) if repr(v) != repr(fill)]
    for other in dict.fromkeys((0.0, fill)):
        yield from _fewer_odd(values, odd, other)
    yield from _rounded(values, odd, fill)


def _fewer_odd(values: Values, odd: list[int], fill: float) -> Iterator[Values]:
    def only(kept: list[int]) -> Values:
        chosen = set(kept)
        return tuple(v if i in chosen else fill for i, v in enumerate(values))

    yield only([])
    chunk = len(odd) // 2
    finest = 1 if len(odd) <= FINE else len(odd) // 8
    while chunk >= finest and chunk:
        groups = [odd[k : k + chunk] for k in range(0, len(odd), chunk)]
        yield from (only(group) for group in groups)
        if len(groups) > 2:
            yield from (only([i for i in odd if i not in group]) for group in groups)
        chunk //= 2


def _rounded(values: Values, odd: list[int], fill: float) -> Iterator[Values]:
    """Numbers of fewer digits: all at once, then one by one; what most are becomes 0 or 1."""
    for digits in (1, 2, 4):
        yield tuple(_short(v, digits) for v in values)
    for plain in (0.0, 1.0):
        if odd and repr(fill) != repr(plain):
            yield tuple(v if i in odd else plain for i, v in enumerate(values))
    for i in odd[:MAX_ROUNDED] or range(min(1, len(values))):
        for number in dict.fromkeys((1.0, *(_short(values[i], digits) for digits in (1, 2, 4)))):
            yield (*values[:i], number, *values[i + 1 :])


def _short(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
