"""Several predicates at once, and a memory: nothing of that may change what a reduction comes to."""

from __future__ import annotations

import threading
import time
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.case import Case
from fuzzer.mutate import generate
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.reduce import Answer, Budget, DiskMemory, Memory, Reduction, reduce, size

BUDGET = 300


def chance(salt: int, share: float):  # type: ignore[no-untyped-def]
    """A predicate that no reduction can guess: the same case always gets the same answer."""

    def holds(case: Case) -> bool:
        return int(sha256(f"{salt}{case.id}".encode()).hexdigest()[:8], 16) < share * 2**32

    return holds


def told(case: Case, salt: int, share: float) -> Answer:
    """As `chance`; some of the others show one of three second defects."""
    number = int(sha256(f"other{salt}{case.id}".encode()).hexdigest()[:4], 16)
    if chance(salt, share)(case):
        return Answer(True)
    return Answer(False, Verdict(Stage.CONVERT, Kind.CRASH, f"other {number % 3}") if number % 5 == 0 else None)


def same(one: Reduction, two: Reduction) -> bool:
    return (one.case, one.executions, one.complete, one.others) == (two.case, two.executions, two.complete, two.others)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from([0.05, 0.3, 0.8]),
    st.integers(2, 5),
    st.integers(0, 200),
)
def test_many_at_once_come_to_what_one_comes_to(seed: int, salt: int, share: float, workers: int, budget: int) -> None:
    case = generate(Random(seed))
    alone = reduce(case, lambda c: told(c, salt, share), Budget(60.0, budget))

    def uneven(candidate: Case) -> Answer:
        time.sleep(0.0005 * (hash(candidate.id) % 3))
        return told(candidate, salt, share)

    together = reduce(case, [uneven] * workers, Budget(60.0, budget))
    assert same(alone, together)
    assert alone.asked == alone.executions and together.asked >= together.executions


def test_each_predicate_is_called_by_one_thread_at_a_time_and_all_are_used() -> None:
    busy, used = [threading.Lock() for _ in range(3)], set()

    def worker(number: int):  # type: ignore[no-untyped-def]
        def holds(case: Case) -> bool:
            assert busy[number].acquire(blocking=False)
            used.add(number)
            time.sleep(0.002)
            busy[number].release()
            return chance(1, 0.2)(case)

        return holds

    reduce(generate(Random(4)), [worker(i) for i in range(3)], Budget(60.0, 60))
    assert used == {0, 1, 2}


def test_what_a_predicate_raises_arrives() -> None:
    def broken(case: Case) -> bool:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        reduce(generate(Random(4)), [broken, broken], Budget())


def test_second_defects_come_back_with_their_smallest_case() -> None:
    case = generate(Random(9))
    seen: dict[str, list[Case]] = {}

    def holds(candidate: Case) -> Answer:
        answer = told(candidate, 7, 0.3)
        if answer.other is not None:
            seen.setdefault(answer.other.message, []).append(candidate)
        return answer

    result = reduce(case, holds, Budget(60.0, BUDGET))
    assert result.others and {s.verdict.message for s in result.others} == set(seen)
    for second in result.others:
        assert size(second.case) == min(size(c) for c in seen[second.verdict.message])


# --- memory -----------------------------------------------------------------------------------------------

ABOUT = {"goal": ["crash", "convert", "SIGSEGV"], "of": "tensorflow 2.21.0"}


def counted(salt: int, stop_after: int = 10**9):  # type: ignore[no-untyped-def]
    asked: list[str] = []

    def holds(case: Case) -> Answer:
        if len(asked) >= stop_after:
            raise KeyboardInterrupt
        asked.append(case.id)
        return told(case, salt, 0.3)

    return holds, asked


def remembered(path: Path, salt: int, stop_after: int = 10**9) -> tuple[Reduction | None, list[str]]:
    holds, asked = counted(salt, stop_after)
    memory = DiskMemory(path, ABOUT)
    try:
        return reduce(generate(Random(5)), holds, Budget(60.0, 10_000), memory=memory), asked
    except KeyboardInterrupt:
        return None, asked
    finally:
        memory.close()


def test_what_was_complete_runs_nothing_again(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "answers.jsonl"
    first, asked = remembered(path, 3)
    again, nothing = remembered(path, 3)
    assert first is not None and again is not None and len(asked) > 5
    assert nothing == [] and again.executions == 0 and again.remembered == first.executions
    assert (again.case, again.complete, again.others) == (first.case, True, first.others)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_what_was_interrupted_goes_on_where_it_was(tmp_path: Path, after: int) -> None:
    whole, every = remembered(tmp_path / "whole", 3)
    stopped, some = remembered(tmp_path / "cut", 3, after)
    rest, others = remembered(tmp_path / "cut", 3)
    assert stopped is None and len(some) == after and rest is not None and whole is not None
    assert some + others == every and rest.case == whole.case


def test_a_line_cut_short_is_asked_again_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    _, every = remembered(path, 3)
    path.write_bytes(path.read_bytes()[:-9])
    result, asked = remembered(path, 3)
    assert asked == every[-1:] and result is not None
    assert remembered(path, 3)[1] == []  # what was written behind the cut can be read


@pytest.mark.parametrize("about", [{**ABOUT, "of": "tensorflow 2.22.0"}, {**ABOUT, "goal": ["hang", "convert", ""]}])
def test_answers_about_something_else_are_not_used(tmp_path: Path, about: dict[str, object]) -> None:
    path = tmp_path / "answers"
    remembered(path, 3)
    assert len(DiskMemory(path, about)) == 0
    assert len(DiskMemory(path, about)) == 0 and len(path.read_bytes().splitlines()) == 1


@pytest.mark.parametrize("damage", [b"", b"\x00\xff\n", b"[]\n{}\n", b'{"case": 1}\n'])
def test_a_damaged_memory_is_an_empty_one(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "answers"
    path.write_bytes(damage)
    memory = DiskMemory(path, ABOUT)
    assert len(memory) == 0
    memory.keep("0123456789abcdef", Answer(True))
    memory.close()
    assert DiskMemory(path, ABOUT).answer("0123456789abcdef") == Answer(True)


def test_answers_that_nobody_read_are_kept() -> None:
    memory = Memory()
    result = reduce(generate(Random(8)), [lambda c: told(c, 2, 0.3)] * 4, Budget(60.0, BUDGET), memory=memory)
    assert len(memory) >= result.executions and len(memory) <= result.asked
