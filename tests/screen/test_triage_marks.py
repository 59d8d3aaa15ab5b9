"""What a person decides on the triage screen is saved as meant, or said not to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from fuzzer.errors import UserError
from fuzzer.findings.finding import State
from fuzzer.screen.demo_data import DemoSource
from fuzzer.screen.triage_widgets import Ask, AskOriginal
from tests.screen.test_triage import drive, listed, press, screen, selected, type_text


@pytest.fixture
def source(tmp_path: Path) -> DemoSource:
    return DemoSource(tmp_path)


@pytest.mark.parametrize(("key", "state"), [("x", State.FIXED), ("n", State.NEW)])
def test_marks_without_a_question_keep_the_note(source: DemoSource, key: str, state: State) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "slash")
        await type_text(pilot, "issues")
        await press(pilot, "enter")
        finding = selected(pilot)
        await press(pilot, key)
        assert source.marks == [(finding.id, state, finding.note, "")]
        assert finding.note
        assert selected(pilot).state == state

    drive(source, steps)


@pytest.mark.parametrize(("key", "state"), [("K", State.KNOWN), ("R", State.REPORTED), ("e", State.NEW)])
def test_marks_with_a_note(source: DemoSource, key: str, state: State) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        finding = selected(pilot)
        await press(pilot, key)
        assert isinstance(pilot.app.screen, Ask)
        assert finding.title in screen(pilot)
        await type_text(pilot, "see tf/1234")
        await press(pilot, "enter")
        assert source.marks == [(finding.id, state, "see tf/1234", "")]
        assert "see tf/1234" in screen(pilot)
        await press(pilot, key, "escape")
        assert len(source.marks) == 1

    drive(source, steps)


def test_duplicate_from_the_list_and_by_id(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        finding = selected(pilot)
        original = source.list[4]
        await press(pilot, "d")
        assert isinstance(pilot.app.screen, AskOriginal)
        await type_text(pilot, original.id[:8])
        await press(pilot, "enter")
        assert source.marks[-1] == (finding.id, State.DUPLICATE, "", original.id)
        await press(pilot, "e", "h", "i", "enter")
        assert source.marks[-1] == (finding.id, State.DUPLICATE, "hi", original.id)
        await press(pilot, "j", "d", "down", "down", "up", "enter")
        assert source.marks[-1][1] == State.DUPLICATE
        assert source.marks[-1][3] not in ("", source.marks[-1][0], finding.id)
        await press(pilot, "d", "z", "z", "z", "enter")
        assert isinstance(pilot.app.screen, AskOriginal)  # nothing fits: still asking
        await press(pilot, "escape")
        assert len(source.marks) == 3

    drive(source, steps)


@pytest.mark.parametrize(
    "problem",
    [OSError(28, "No space left on device"), UserError("the journal is read-only")],
    ids=["disk", "user"],
)
def test_a_mark_that_can_not_be_saved_says_so(source: DemoSource, problem: Exception) -> None:
    def full(id: str, state: State, note: str, duplicate_of: str = "") -> None:
        raise problem

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "x")
        assert f"not saved: {problem}" in screen(pilot)

    source.mark = full  # type: ignore[method-assign]
    drive(source, steps)


def test_a_note_is_edited_not_replaced(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "e", "a", "b", "enter", "e", "c", "enter")
        assert [note for _, _, note, _ in source.marks] == ["ab", "abc"]

    drive(source, steps)


async def burst(pilot: Pilot[None], text: str) -> None:
    """Keys all at once, as a slow connection delivers them; `\\n` is Enter."""
    for character in text:
        key = {"\n": "enter", "/": "slash", " ": "space", ":": "colon"}.get(character, character)
        pilot.app.post_message(events.Key(key, "\r" if character == "\n" else character))
    for _ in range(40):
        await pilot.pause(0.02)


def test_a_burst_of_keys_means_what_it_would_one_by_one(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        wanted = source.list[4]
        await burst(pilot, f"/{wanted.id}\nx")
        assert source.marks == [(wanted.id, State.FIXED, wanted.note, "")]
        await press(pilot, "escape")
        assert pilot.app.query_one("#search", Input).value == wanted.id
        finding = listed(pilot).rows[2]
        await press(pilot, "home")
        await burst(pilot, "jjKsee tf/1 fixed\njF")
        assert source.marks[1] == (finding.id, State.KNOWN, "see tf/1 fixed", "")
        assert source.marks[2][:2] == (listed(pilot).rows[3].id, State.FLAKY) and len(source.marks) == 3

    drive(source, steps)
