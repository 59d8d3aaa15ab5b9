"""Which entry is mutated."""

from collections import Counter
from random import Random

import pytest

from fuzzer.guidance.parents import DECODED, Parents
from fuzzer.mutate import generate


def chosen(parents: Parents, uniform: bool = False) -> Counter[str]:
    rng = Random(1)
    return Counter(parents.choose(rng, uniform)[0] for _ in range(2000))


def of(count: int, seconds: float = 0.1) -> Parents:
    parents = Parents()
    for i in range(count):
        parents.add(f"c{i}", lambda i=i: generate(Random(i)).canonical, 1.0, seconds)
    return parents


def test_fruitful_entries_are_chosen_more_often_and_barren_ones_still():
    parents = of(20)
    for _ in range(10):
        parents.credit("c3", 5.0, 0.1)
        parents.credit("c4", 0.0, 0.1)
    counts = chosen(parents)
    assert counts["c3"] > 3 * 2000 / 20
    assert counts["c4"] < 2000 / 20 / 3
    assert len(counts) >= 19


def test_dear_entries_must_give_more():
    parents = of(10)
    for _ in range(10):
        parents.credit("c1", 3.0, 0.1)
        parents.credit("c2", 3.0, 1.5)
    counts = chosen(parents)
    assert counts["c1"] > 5 * counts["c2"]


def test_uniform_takes_no_notice():
    parents = of(10)
    parents.credit("c1", 100.0, 0.1)
    assert max(chosen(parents, uniform=True).values()) < 2 * 2000 / 10


def test_an_entry_is_read_when_it_is_chosen_and_not_again():
    parents, read = Parents(), []
    for i in range(3):
        parents.add(f"c{i}", lambda i=i: read.append(i) or generate(Random(i)).canonical, 1.0, 0.1)
    assert read == []
    for i in range(40):
        name, case = parents.choose(Random(i))
        assert case == generate(Random(int(name[1:])))
    assert sorted(read) == [0, 1, 2]


def test_few_are_kept_decoded():
    parents = of(DECODED + 20)
    for seed in range(20):
        parents.choose(Random(seed), uniform=True)
    for entry in parents._entries:
        entry.credit = 0.0
    for i in range(DECODED + 20):
        parents.credit(f"c{i}", 1000.0 * (i + 1), 0.1)
        parents.choose(Random(i))
    assert len(parents._cases) <= DECODED


def test_an_entry_is_taken_once():
    parents = of(2)
    parents.add("c1", lambda: b"other", 99.0, 0.1)
    assert len(parents) == 2 and "c1" in parents and "c2" not in parents
    parents.credit("nobody", 1.0, 1.0)


def test_nothing_to_choose_from():
    with pytest.raises(LookupError):
        Parents().choose(Random(1))
