"""What is made and run next."""

from collections import Counter
from random import Random

import pytest

from fuzzer.case import Case, decode, encode
from fuzzer.guidance import Guidance, Guide
from fuzzer.guidance.guide import Candidate, gain_of
from fuzzer.guidance.sketch import FAMILIES, _bucket, sketch
from fuzzer.mutate import MUTATORS, generate


def guide(seed: int = 1, avoid=lambda case: False, clock: bool = False, **options) -> Guide:
    return Guide(Guidance(**options), Random(seed), avoid, clock)


def adopted(guide: Guide, count: int = 30) -> Guide:
    rng = Random(7)
    for _ in range(count):
        case = generate(rng)
        guide.parents.add(case.id, lambda case=case: case.canonical, 1.0, 0.1)
    return guide


@pytest.mark.parametrize("seed", range(40))
def test_every_word_is_of_a_family_and_of_bounded_length(seed: int):
    words = sketch(generate(Random(seed)), "generate")
    assert len(words) == len(set(words))
    assert {word.partition(":")[0] for word in words} <= set(FAMILIES)
    assert all(len(word) < 160 for word in words)


def test_all_families_occur():
    rng = Random(3)
    seen = {w.partition(":")[0] for _ in range(600) for w in sketch(generate(rng), "generate")}
    # Of switches, only those that some op cannot do without: an executor has to say which others there are.
    assert seen >= set(FAMILIES) - {"switch"}


def test_the_same_history_gives_the_same_cases():
    def history(one: Guide) -> list[str]:
        made = []
        for i in range(30):
            candidate = one.next()
            made.append(candidate.case.id)
            one.learn(candidate, float(i % 7), 0.1)
        return made

    assert history(adopted(guide())) == history(adopted(guide()))
    assert history(adopted(guide())) != history(adopted(guide(seed=2)))


def test_an_empty_corpus_gives_fresh_cases():
    assert {guide(fresh=0.0).next().origin for _ in range(3)} == {"generate"}


def test_mutants_and_children_of_two_come_from_entries():
    one = adopted(guide(fresh=0.0, candidates=1))
    made = [one.next() for _ in range(300)]
    origins = Counter(c.origin for c in made)
    assert origins["crossover"] > 10 and "generate" not in origins
    assert set(origins) <= {m.name for m in MUTATORS} | {"crossover"}
    assert all(p in one.parents for c in made for p in c.parents)


def test_what_discovers_is_run_more_often_than_chance_has_it():
    """Nothing but float16 discovers anything: it is drawn one time in ten, and run much more often."""

    def share(one: Guide) -> float:
        schemes = []
        for _ in range(400):
            candidate = one.next()
            schemes.append(candidate.case.conversion.scheme)
            one.learn(candidate, 5.0 if schemes[-1] == "float16" else 0.0, 0.1)
        return schemes[200:].count("float16") / 200

    assert share(guide(candidates=12)) > 2.5 * share(guide(candidates=1))


def test_time_counts():
    """Two roads give the same, one takes ten times as long: it is run less."""

    def count(slow: str) -> int:
        one, seen = guide(clock=True, candidates=8), 0
        for _ in range(300):
            candidate = one.next()
            seen += candidate.case.conversion.scheme == "int8"
            one.learn(candidate, 1.0, 1.0 if candidate.case.conversion.scheme == slow else 0.1)
        return seen

    assert count("int8") < 0.6 * count("nothing")


def test_known_killers_are_left_alone():
    one = guide(avoid=lambda case: case.conversion.scheme == "int8")
    assert all(one.next().case.conversion.scheme != "int8" for _ in range(60))
    # Where nothing else is left they are run.
    assert guide(avoid=lambda case: True).next().case


def test_an_entry_that_is_gone_is_passed_over():
    one = guide(fresh=0.0, candidates=4)

    def gone() -> bytes:
        raise FileNotFoundError

    one.parents.add("gone", gone, 50.0, 0.1)
    one.parents.add("broken", lambda: b"{", 50.0, 0.1)
    adopted(one, 5)
    assert all(set(one.next().parents) <= set(one.parents._by_id) for _ in range(20))


def test_libfuzzers_choice_can_be_asked_for():
    case = generate(Random(5))
    made = [guide(seed, parents="libfuzzer", fresh=0.0, candidates=1).next(case.canonical) for seed in range(10)]
    assert all(c.origin in {m.name for m in MUTATORS} for c in made)


def test_every_candidate_can_be_written_and_read():
    one = adopted(guide())
    for _ in range(50):
        case = one.next().case
        assert isinstance(case, Case) and decode(encode(case)).id == case.id


def test_a_discovery_counts_in_doublings_and_a_suspicion_much():
    assert gain_of(0, 0, 0) == 0
    assert gain_of(1023, 0, 0) == 10 and gain_of(0, 3, 0) == 2
    assert gain_of(0, 0, 1) == gain_of(15, 0, 0)


def test_without_a_clock_nothing_depends_on_the_time_a_case_took():
    def history(jitter: float) -> list[str]:
        one, made = adopted(guide(candidates=4)), []
        for i in range(40):
            candidate = one.next()
            made.append(candidate.case.id)
            one.learn(candidate, float(i % 7), 0.1 + jitter * i)
            one.parents.add(candidate.case.id, lambda c=candidate: c.case.canonical, 1.0, one.price(candidate.case, i))
        return made

    assert history(0.0) == history(0.5)


def test_a_slow_first_case_does_not_close_its_road():
    one = guide(clock=True)
    first = Candidate(generate(Random(1)), "corpus")
    before = one.expected_s(first.case)
    one.learn(first, 1.0, 4.0)
    assert one.expected_s(first.case) < 3 * before


def test_without_feedback_cases_are_run_as_they_come():
    plain = Guidance.by("none")
    assert plain.candidates == 1 and plain.parents == "uniform" and not plain.guided
    assert Guidance.by("native") == Guidance() and Guidance.by("features").counts_blocks is False


def test_large_numbers_are_one_word_a_power_of_two():
    words = {_bucket(value) for value in range(-1000, 1000)}
    assert len(words) < 40 and {_bucket(v) for v in range(9)} == {str(v) for v in range(9)}
    assert _bucket((300, 2)) == _bucket((500, 1)) != _bucket((300, 2, 1))
    assert _bucket(True) == "True" and _bucket(()) == "0x"


def test_a_case_without_words_teaches_nothing():
    one = guide(candidates=1)
    one.learn(Candidate(generate(Random(1)), "corpus"), 3.0, 0.1)
    assert len(one.worth) == 0
