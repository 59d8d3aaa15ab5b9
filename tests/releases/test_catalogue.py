"""The real pip asks an index in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuzzer.errors import UserError
from fuzzer.releases.catalogue import PYTHONS, SCHEMA, Catalogue, ask, parse_bounds
from tests.releases.fakes import GOOD, releases, wheel


def test_the_index_is_asked_for_releases_and_their_pythons(index: Path, tmp_path: Path) -> None:
    releases(index, {"2.16.1": GOOD, "2.9.0": GOOD, "2.22.0rc1": GOOD})
    wheel(index, "tensorflow-cpu", "2.17.0", GOOD, "cp39-none-any")
    wheel(index, "tensorflow-cpu", "2.21.0", GOOD, "cp312-none-any")
    found = ask("tensorflow-cpu", tmp_path / "kept", {})
    assert found.note == "" and found.releases["2.16.1"] == PYTHONS
    assert (found.releases["2.17.0"], found.releases["2.21.0"]) == (("3.9",), ("3.12",))
    assert found.chosen("2.16..") == ["2.16.1", "2.17.0", "2.21.0"]
    assert found.chosen("..2.16") == ["2.9.0", "2.16.1"]


def test_without_an_index_its_last_answer_stands_in_with_its_date(
    index: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    releases(index, {"2.16.1": GOOD})
    kept = tmp_path / "kept"
    asked = ask("tensorflow-cpu", kept, {})
    request.getfixturevalue("no_index")
    again = ask("tensorflow-cpu", kept, {"2.18.0": ["3.11"]})
    assert again.releases == asked.releases
    date = json.loads((kept / "index-tensorflow-cpu.json").read_text())["asked"][:10]
    assert "cannot be asked" in again.note and f"its answer of {date} is used" in again.note


@pytest.mark.usefixtures("no_index")
def test_without_index_and_answer_cached_environments_do(tmp_path: Path) -> None:
    found = ask("tensorflow-cpu", tmp_path, {"2.18.0": ["3.11"]})
    assert found.releases == {"2.18.0": ("3.11",)} and "only the cached environments are used" in found.note


@pytest.mark.usefixtures("no_index")
@pytest.mark.parametrize(
    "kept",
    [
        None,
        "",
        "{",
        "[]",
        '{"schema": 1}',
        f'{{"schema": {SCHEMA + 1}, "asked": "x", "releases": {{}}}}',
        '{"schema": 1, "asked": "x", "releases": {"no version": []}}',
    ],
)
def test_with_nothing_at_all_it_says_so(tmp_path: Path, kept: str | None) -> None:
    if kept is not None:
        (tmp_path / "index-tensorflow-cpu.json").write_text(kept)
    with pytest.raises(
        UserError, match=r"cannot be asked for tensorflow-cpu .*no release is cached; check the network"
    ):
        ask("tensorflow-cpu", tmp_path, {})


def test_a_package_that_the_index_does_not_know(index: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No matching distribution found for tensorflow-cpu"):
        ask("tensorflow-cpu", tmp_path, {})


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [("2.16..2.21", (2, 16), (2, 21)), ("2.16..", (2, 16), ()), ("..2.9.1", (), (2, 9, 1)), ("2.18", (2, 18), (2, 18))],
)
def test_bounds(bounds: str, low: tuple[int, ...], high: tuple[int, ...]) -> None:
    assert parse_bounds(bounds) == (low, high)


@pytest.mark.parametrize(
    "bounds", ["", "..", "2.16-2.21", "2.21..2.16", "2..16..3", "a..b", "2.16 2.17", "2.16...2.17"]
)
def test_bounds_that_are_none(bounds: str) -> None:
    with pytest.raises(UserError, match="--versions"):
        parse_bounds(bounds)


def test_a_bound_means_all_that_begins_with_it() -> None:
    found = Catalogue(
        "tensorflow-cpu", dict.fromkeys(["2.16.1", "2.16.2", "2.17.0", "2.100.0", "2.15.0.post1"], ("3.11",))
    )
    assert found.chosen("2.16") == ["2.16.1", "2.16.2"]
    assert found.chosen("2.16..2.17") == ["2.16.1", "2.16.2", "2.17.0"]
    assert found.chosen("2.16.2..") == ["2.16.2", "2.17.0", "2.100.0"]
    with pytest.raises(
        UserError, match=r"no release of tensorflow-cpu lies in 2.30..2.40; there are 2.15.0.post1 to 2.100"
    ):
        found.chosen("2.30..2.40")
