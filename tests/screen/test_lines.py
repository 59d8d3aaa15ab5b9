"""Lines of a screen: sentences that break, and what they lose when they are too long."""

from __future__ import annotations

import pytest

from fuzzer.screen.lines import wrapped

DEEP = "/home/somebody/with/a/long/path/to/the/runs/of/last/week/crashes/status.json"


def rows(text: str, width: int, count: int) -> list[str]:
    return [row.plain.rstrip() for row in wrapped(text, width, count, "")]


def test_a_sentence_breaks_between_words_and_its_end_is_cut() -> None:
    assert rows("one two three four", 9, 3) == ["one two", "three", "four"]
    assert rows("one two three four", 9, 2) == ["one two", "three fo…"]


def test_a_path_that_fits_stays_whole() -> None:
    assert " ".join(rows(f"{DEEP} cannot be read", 100, 1)) == f"{DEEP} cannot be read"
    assert "".join(rows(f"{DEEP} cannot be read", 50, 2)).startswith(DEEP)


@pytest.mark.parametrize("width", [40, 60])
def test_a_path_loses_its_front_before_the_sentence_loses_its_end(width: int) -> None:
    assert " ".join(rows(f"{DEEP} cannot be read", width, 1)).startswith("…/crashes/status.json cannot be")
    assert rows("a/b/c and/or /x/y and 1/2/3 are no deep paths at all", 20, 1) == ["a/b/c and/or /x/y a…"]
