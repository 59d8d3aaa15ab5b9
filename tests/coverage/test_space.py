"""The numbers of blocks, and how they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.coverage.space import BlockSpace, Library, pack, unpack


def library(scope: str, digest: str, count: int) -> Library:
    return Library(scope, f"/lib/{digest}.so", digest, f"/cache/{digest}.npz", count)


SPACE = BlockSpace((library("converter", "c" * 16, 1000), library("runtime", "r" * 16, 300), library("litert", "l", 7)))


@given(st.sets(st.integers(0, 1 << 22)))
def test_packed_numbers_come_back(numbers):
    assert unpack(pack(sorted(numbers))) == sorted(numbers)


def test_neighbours_take_little_room():
    assert len(pack(range(500, 3500))) < 1.4 * 3000


@pytest.mark.parametrize("text", ["!", "gA==", "A"])
def test_other_text_is_refused(text):
    with pytest.raises(ValueError):
        unpack(text)


@given(st.sets(st.integers(0, SPACE.size - 1)))
def test_a_space_packs_by_library(numbers):
    packed = SPACE.pack(numbers)
    assert SPACE.unpack(packed) == sorted(numbers)
    assert sum(SPACE.by_scope(numbers).values()) == len(numbers)
    assert set(packed) <= {"c" * 16, "r" * 16, "l"}


def test_numbers_follow_each_other():
    assert SPACE.firsts == (0, 1000, 1300)
    assert SPACE.size == 1307
    assert [SPACE.place(n)[1] for n in (0, 999, 1000, 1299, 1300, 1306)] == [0, 999, 0, 299, 0, 6]
    assert SPACE.by_scope([0, 999, 1000, 1306]) == {"converter": 2, "runtime": 1, "litert": 1}


def test_what_is_kept_survives_another_release_of_one_library():
    kept = SPACE.pack([5, 1001, 1302])
    newer = BlockSpace((library("converter", "n" * 16, 2000), *SPACE.libraries[1:]))
    assert newer.unpack(kept) == [2001, 2302]


def test_a_block_beyond_its_library_is_refused():
    with pytest.raises(ValueError, match="block 7 of 7"):
        SPACE.unpack({"l": pack([7])})


def test_a_space_travels_as_json():
    assert BlockSpace.from_json(SPACE.to_json()) == SPACE
    assert BlockSpace().size == 0
