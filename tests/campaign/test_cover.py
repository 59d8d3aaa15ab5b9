"""The set cover: complete, nothing superfluous, close to the best, and quick at the size of a campaign."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.campaign.cover import cover, extent, numbers_of, project

SIZE = 19


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[set[int]], list[float]]:
    sets = draw(st.lists(st.sets(st.integers(0, SIZE - 1), max_size=8), min_size=1, max_size=9))
    costs = draw(st.lists(st.sampled_from([0.1, 1.0, 2.0, 30.0]), min_size=len(sets), max_size=len(sets)))
    return sets, costs


def bits(elements: set[int], size: int = SIZE) -> np.ndarray:
    row = np.zeros(size, bool)
    row[list(elements)] = True
    return np.packbits(row)


def union(sets: list[set[int]]) -> set[int]:
    return set().union(*sets)


@given(problems())
def test_a_cover_is_complete_and_nothing_in_it_is_superfluous(problem: tuple[list[set[int]], list[float]]) -> None:
    sets, costs = problem
    chosen = cover([bits(s) for s in sets], costs)
    assert chosen == sorted(set(chosen)) and chosen
    everything = union(sets)
    assert union([sets[i] for i in chosen]) == everything
    for left_out in chosen:
        rest = union([sets[i] for i in chosen if i != left_out])
        assert rest != everything or (not everything and len(chosen) == 1)


@given(problems())
def test_it_costs_at_most_what_the_greedy_rule_promises(problem: tuple[list[set[int]], list[float]]) -> None:
    sets, costs = problem
    everything = union(sets)
    best = min(
        sum(costs[i] for i in some)
        for n in range(len(sets) + 1)
        for some in combinations(range(len(sets)), n)
        if union([sets[i] for i in some]) == everything
    )
    chosen = cover([bits(s) for s in sets], costs)
    largest = max(map(len, sets))
    harmonic = sum(1 / k for k in range(1, largest + 1))  # Chvatal 1979, theorem 1
    assert not everything or sum(costs[i] for i in chosen) <= best * harmonic + 1e-9


@given(problems())
def test_only_what_tells_entries_apart_needs_to_be_looked_at(problem: tuple[list[set[int]], list[float]]) -> None:
    sets, costs = problem
    rows = [bits(s) for s in sets]
    some, every = extent(iter(rows), SIZE)
    assert set(numbers_of(some, SIZE).tolist()) == union(sets)
    assert set(numbers_of(every, SIZE).tolist()) == set.intersection(*sets)
    columns = numbers_of(some & ~every, SIZE)
    chosen = cover([project(row, columns) for row in rows], costs)
    assert union([sets[i] for i in chosen]) == union(sets)


def test_a_cheap_entry_is_preferred() -> None:
    rows = [bits({1, 2, 3}), bits({1, 2, 3}), bits({4})]
    assert cover(rows, [2.0, 1.0, 5.0]) == [1, 2]
    assert cover([bits(set()), bits(set())], [2.0, 1.0]) == [1]
    assert cover([], []) == []


def test_an_entry_that_later_ones_make_superfluous_goes() -> None:
    # The greedy rule takes the first, for it has the most; the other two are needed all the same and suffice.
    rows = [bits({1, 2, 3, 4}), bits({1, 2, 9}), bits({3, 4, 8})]
    assert cover(rows, [1.0, 1.0, 1.0]) == [1, 2]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_campaigns_size_takes_seconds(seed: int) -> None:
    """2,000 entries that differ in 130,000 blocks: a fifth of the largest, so that the test is short."""
    rng = np.random.default_rng(seed)
    size, entries = 130_000, 2_000
    # Blocks come in runs (functions) that are reached together, some often and most seldom.
    function = np.sort(rng.integers(0, 6_000, size))
    share = rng.random(6_000) ** 6
    rows = [np.packbits((rng.random(6_000) < share)[function]) for _ in range(entries)]
    begun = time.monotonic()
    chosen = cover(rows, rng.uniform(0.1, 10, entries).tolist())
    took = time.monotonic() - begun
    assert (np.bitwise_or.reduce([rows[i] for i in chosen]) == np.bitwise_or.reduce(rows)).all()
    assert len(chosen) < entries and took < 10
