"""Fresh cases whose road, scheme and switches are drawn evenly."""

from collections import Counter
from random import Random

from fuzzer.case import decode, encode
from fuzzer.case.conversion import DEAR_ENTRIES, ENTRIES, V1_SCHEMES
from fuzzer.mutate import generate

CASES = 400


def drawn(even: bool) -> list:
    rng = Random(5)
    return [generate(rng, even=even) for _ in range(CASES)]


def test_rare_roads_and_schemes_are_drawn_often() -> None:
    plain, even = (Counter(c.conversion.entry for c in drawn(e)) for e in (False, True))
    assert set(even) == set(ENTRIES)
    assert sum(even[e] for e in DEAR_ENTRIES) > 0.25 * CASES > 5 * sum(plain[e] for e in DEAR_ENTRIES)
    schemes = Counter(c.conversion.scheme for c in drawn(True))
    assert all(schemes[s] > CASES / 20 for s in V1_SCHEMES)


def test_they_are_valid_cases() -> None:
    for case in drawn(True):
        assert decode(encode(case)) == case
        assert case.conversion.repaired() == case.conversion
