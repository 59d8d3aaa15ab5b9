from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.releases.search import Answer, Boundaries, boundaries, changes, most_tries, next_release

ORDER = [f"2.{n}" for n in range(16, 32)]


def asked(truth: dict[str, Answer], found: str = "", everything: bool = False) -> dict[str, Answer]:
    """The answers of a whole search."""
    answers: dict[str, Answer] = {}
    order = list(truth)
    while version := next_release(order, answers, found, everything):
        assert version in order and version not in answers
        answers[version] = truth[version]
    return answers


def life(begin: int, end: int, count: int = 16) -> dict[str, Answer]:
    """Bad from `begin` on, good again from `end` on."""
    return {f"2.{16 + i}": Answer.BAD if begin <= i < end else Answer.GOOD for i in range(count)}


@given(st.integers(1, 20), st.data())
def test_one_life_is_found_wherever_it_begins_and_ends(count: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, count - 1))
    end = data.draw(st.integers(begin + 1, count))
    found = f"2.{16 + data.draw(st.integers(begin, end - 1))}"
    truth = life(begin, end, count)
    order = list(truth)
    answers = asked(truth, found)
    assert len(answers) <= most_tries(count)
    at = boundaries(order, answers, found)
    assert at.last_good == (order[begin - 1] if begin else "")
    assert at.first_bad == order[begin]
    assert (at.last_bad, at.first_good) == ((order[end - 1], order[end]) if end < count else ("", ""))


@given(st.integers(3, 20), st.data())
def test_releases_that_cannot_run_are_stepped_over(count: int, data: st.DataObject) -> None:
    """What is found lies as close around the change as the releases that can run allow."""
    begin = data.draw(st.integers(1, count - 1))
    truth = life(begin, count, count)
    mute = data.draw(st.sets(st.sampled_from(list(truth)[:-1])))
    truth = {v: Answer.CANNOT if v in mute else a for v, a in truth.items()}
    order = list(truth)
    answers = asked(truth, order[-1])
    at = boundaries(order, answers, order[-1])
    assert at.first_bad == next(v for v in order if truth[v] is Answer.BAD)
    assert at.last_good == next((v for v in reversed(order) if truth[v] is Answer.GOOD), "")


def test_a_bisection_is_cheaper_than_all() -> None:
    truth = life(5, 99)
    answers = asked(truth, "2.31")
    assert len(answers) <= 6 and boundaries(list(truth), answers, "2.31") == Boundaries("2.20", "2.21")


def test_everything_asks_every_release_and_tells_what_goes_to_and_fro() -> None:
    rng = Random(3)
    truth = {v: rng.choice([Answer.BAD, Answer.GOOD, Answer.CANNOT]) for v in ORDER}
    answers = asked(truth, everything=True)
    assert answers == truth
    told = [a for a in truth.values() if a is not Answer.CANNOT]
    assert changes(ORDER, answers) == sum(a is not b for a, b in itertools.pairwise(told)) > 2


def test_the_life_around_the_finding_counts_not_another() -> None:
    answers = dict(
        zip("abcdefg", [Answer.BAD, Answer.GOOD, *[Answer.BAD] * 2, *[Answer.GOOD] * 2, Answer.BAD], strict=True)
    )
    assert boundaries("abcdefg", answers, "c") == Boundaries("b", "c", "d", "e")
    assert boundaries("abcdefg", answers, "not here") == Boundaries("f", "g")
    assert boundaries("abcdefg", answers, "a") == Boundaries("", "a", "a", "b")


@pytest.mark.parametrize("answer", [Answer.GOOD, Answer.CANNOT])
def test_no_defect_anywhere(answer: Answer) -> None:
    answers = asked(dict.fromkeys(ORDER, answer), "2.20")
    assert boundaries(ORDER, answers, "2.20") == Boundaries()
    # Releases that cannot run prove nothing: all of them are tried before it is given up.
    assert len(answers) == (len(ORDER) if answer is Answer.CANNOT else 3)


def test_nothing_to_search() -> None:
    assert next_release([], {}, "2.16") == "" and boundaries([], {}, "2.16") == Boundaries() and most_tries(0) == 0
