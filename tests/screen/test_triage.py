from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.geometry import Size
from textual.pilot import Pilot
from textual.widgets import Input

from fuzzer.findings.finding import Finding, State
from fuzzer.screen.demo_data import HOSTILE, NOW, DemoSource
from fuzzer.screen.triage import TriageApp
from fuzzer.screen.triage_keys import SECTIONS, footer
from fuzzer.screen.triage_widgets import FindingList, Help

Steps = Callable[[Pilot[None], DemoSource], Awaitable[None]]


def drive(source: DemoSource, steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = TriageApp(source, now=lambda: NOW)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(pilot, source)

    asyncio.run(run())


def listed(pilot: Pilot[None]) -> FindingList:
    return pilot.app.screen_stack[0].query_one(FindingList)


def selected(pilot: Pilot[None]) -> Finding:
    finding = listed(pilot).selected
    assert finding is not None
    return finding


def screen(pilot: Pilot[None]) -> str:
    """What a person sees, as text."""
    rows = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in row) for row in rows)


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def type_text(pilot: Pilot[None], text: str) -> None:
    for character in text:
        await pilot.press({" ": "space", "/": "slash", ":": "colon", ".": "full_stop"}.get(character, character))
    await pilot.pause()


@pytest.fixture
def source(tmp_path: Path) -> DemoSource:
    return DemoSource(tmp_path)


@pytest.mark.parametrize("size", [(80, 24), (160, 48), (40, 12), (20, 6), (250, 80)])
@pytest.mark.parametrize("count", [0, 1, 12])
def test_every_size_draws(tmp_path: Path, size: tuple[int, int], count: int) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        for keys in (["j", "1"], ["2"], ["3"], ["4"], ["5"], ["enter", "j", "escape"], ["g", "s", "f", "t"]):
            await press(pilot, *keys)
            assert len(screen(pilot).splitlines()) == size[1]

    drive(DemoSource(tmp_path, count), steps, size)


def test_80x24_shows_statistics_list_detail_and_keys(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        shown = screen(pilot)
        for wanted in (
            "campaign running",
            "suspicious %",
            "relu_max_pool",
            "16.7%",
            "tf-xnnpack",
            "discovery 93 features/min",
            "findings     12 ",
            "12 findings",
            "▸",
            "SIGSEGV",
            "1 difference",
            "first diverging tensor",
            "? help",
            "q quit",
        ):
            assert wanted in shown, wanted
        await press(pilot, "g")
        assert "suspicious %" not in screen(pilot)
        await press(pilot, "g")
        assert "suspicious %" in screen(pilot)

    drive(source, steps)  # fmt: skip


def test_moving_changes_the_detail(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        first = selected(pilot)
        await press(pilot, "j", "down")
        assert selected(pilot).id != first.id
        assert selected(pilot).message in screen(pilot).split("1 difference")[1]
        await press(pilot, "k", "up", "k")
        assert selected(pilot) == first
        await press(pilot, "end")
        assert listed(pilot).place == 11
        await press(pilot, "home")
        assert listed(pilot).place == 0

    drive(source, steps)


def test_pages(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "enter")
        wanted = (
            "first diverging tensor",
            "## To reproduce",
            "n0 = relu(x0)",
            "@tf.function",
            "F0000 check failed",
        )
        for number, piece in enumerate(wanted, 1):
            await press(pilot, str(number))
            assert piece in screen(pilot)
        assert "12 findings" not in screen(pilot)
        await press(pilot, "escape")
        assert "12 findings" in screen(pilot)

    drive(source, steps)


def test_sort_and_filters(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "j", "j", "s")
        assert [f.count for f in listed(pilot).rows] == sorted((f.count for f in source.list), reverse=True)
        assert selected(pilot) == listed(pilot).rows[0]  # who sorts wants to see what comes first
        assert listed(pilot).scroll_offset.y == 0
        await press(pilot, "f")
        assert {f.state for f in listed(pilot).rows} == {"new"}
        await press(pilot, "t")
        assert {f.kind for f in listed(pilot).rows} == {"crash"}
        assert "state new" in screen(pilot)
        await press(pilot, "j")
        chosen = selected(pilot).id
        await press(pilot, "escape")
        assert len(listed(pilot).rows) == 12
        assert selected(pilot).id == chosen  # and who lets go of a filter has found it

    drive(source, steps)


def test_search(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "slash")
        await type_text(pilot, "dfxq")  # letters that are keys elsewhere
        assert pilot.app.query_one("#search", Input).value == "dfxq"
        assert "No finding matches" in screen(pilot)
        await press(pilot, "escape", "slash")
        await type_text(pilot, "endless loop")
        await press(pilot, "enter")
        assert [f.kind for f in listed(pilot).rows] == ["hang", "hang"][: len(listed(pilot).rows)]
        assert "search endless loop" in screen(pilot)
        await press(pilot, "j", "escape")
        assert len(listed(pilot).rows) == 12
        assert source.marks == []

    drive(source, steps)


async def until(pilot: Pilot[None], text: str) -> None:
    """Waits for words on the screen, however the lines break."""
    for _ in range(200):
        await pilot.pause(0.05)
        if text in " ".join(screen(pilot).split()):
            return
    raise AssertionError(f"{text!r} never came:\n{screen(pilot)}")


def test_no_findings_says_what_to_do(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        assert "No findings yet." in screen(pilot)
        assert "python -m fuzzer --minutes 10" in screen(pilot)
        for key in ("r", "m", "p", "o", "d", "K", "R", "x", "F", "n", "e", "y"):
            await press(pilot, key)
            assert "there is no" in screen(pilot)
        await press(pilot, "j", "k", "enter", "end", "s", "f", "t")
        source.current = None
        await pilot.app.run_action("reload")
        assert not source.marks and not source.jobs

    drive(DemoSource(tmp_path, 0), steps)


def test_findings_come_and_go_under_the_selection(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        app = pilot.app
        assert isinstance(app, TriageApp)
        await press(pilot, "j", "j", "j")
        kept, all_ = selected(pilot), source.list
        source.list = [replace(all_[1], id=f"new{i}") for i in range(50)] + all_
        app.reload()
        await pilot.pause()
        assert selected(pilot).id == kept.id
        assert kept.message[:20] in screen(pilot)
        source.list = [f for f in source.list if f.id != kept.id]
        app.reload()
        await pilot.pause()
        assert selected(pilot).id != kept.id
        source.list = []
        app.reload()
        await pilot.pause()
        assert "No findings yet." in screen(pilot)
        source.list = all_
        app.reload()
        await pilot.pause()
        assert selected(pilot) in all_

    drive(source, steps)


def test_a_refresh_keeps_the_scroll_of_the_page(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        app = pilot.app
        assert isinstance(app, TriageApp)
        await press(pilot, "space")
        before = app.query_one("#scroll").scroll_offset.y
        assert before > 0
        for f in list(source.list):
            (source.files(f.id)).mkdir(exist_ok=True)
            (source.files(f.id) / "report.md").write_text("changed meanwhile")
        source.list = [replace(f, count=f.count + 1) for f in source.list]
        app.reload()
        await pilot.pause()
        assert app.query_one("#scroll").scroll_offset.y == before

    drive(source, steps)


def test_missing_files_are_said_in_the_page(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        lost = source.list[6]
        source.files(lost.id).mkdir()
        await press(pilot, "slash")
        await type_text(pilot, lost.id)
        await press(pilot, "enter", "enter")
        for number, file in enumerate(("verdict.json", "report.md", "minimal.json", "repro.py", "log.txt"), 1):
            await press(pilot, str(number))
            assert f"{file} is missing" in screen(pilot)

    drive(source, steps)


def test_an_unreadable_store_keeps_what_was_read(source: DemoSource) -> None:
    def broken() -> Sequence[Finding]:
        raise ValueError("journal line 7 is damaged")

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        app = pilot.app
        assert isinstance(app, TriageApp)
        source.findings = broken  # type: ignore[method-assign]
        app.reload()
        await pilot.pause()
        assert "can't read the findings: journal line 7 is damaged" in screen(pilot)
        assert len(listed(pilot).rows) == 12

    drive(source, steps)


def test_markup_in_titles_and_notes_stays_text(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        for number in "12345":
            await press(pilot, number)
            assert screen(pilot).count("[bold red]x[/]") >= 2  # both rows of the list
            assert number != "1" or "[bold red]x[/] [link=file:///etc] ]] {0}" in screen(pilot)
        await press(pilot, "d")
        assert "[bold red]x[/]" in screen(pilot)
        await press(pilot, "escape", "K")
        assert "[bold red]x[/]" in screen(pilot)
        await press(pilot, "escape", "x")
        assert "saved as fixed: [bold red]x[/]" in screen(pilot)

    source.list = [replace(f, title=HOSTILE, note=HOSTILE, kind=HOSTILE, message=HOSTILE) for f in source.list[:2]]
    source.list[0] = replace(source.list[0], kind="crash")
    source.list[1] = replace(source.list[1], kind="value")
    drive(source, steps, (160, 48))


def test_a_thousand_findings_stay_quick(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        app = pilot.app
        assert isinstance(app, TriageApp)
        began = time.monotonic()
        for _ in range(10):
            app.reload()
        assert (time.monotonic() - began) / 10 < 1
        await press(pilot, "end")
        assert listed(pilot).place == 999
        assert "▸" in screen(pilot)
        await press(pilot, "d")
        await press(pilot, "escape")

    drive(DemoSource(tmp_path, 1000), steps)


def test_path_is_shown(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "y")
        assert str(source.files(selected(pilot).id)) in screen(pilot)

    drive(source, steps, (200, 30))


def test_help_names_every_key(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "question_mark")
        assert isinstance(pilot.app.screen, Help)
        shown = screen(pilot)
        for section in SECTIONS.values():
            for key in section:
                assert key.help[:30] in shown
        await press(pilot, "q")
        assert not isinstance(pilot.app.screen, Help)

    drive(source, steps, (160, 60))


def test_the_footer_fits_two_lines_of_80() -> None:
    assert len(footer(80)) == 2
    assert all(line.cell_len <= 81 for line in footer(80))


def test_resizing_keeps_everything(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "j", "j", "3")
        kept = selected(pilot)
        for width, height in ((200, 60), (40, 12), (10, 4), (1, 1), (131, 24), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            rows = screen(pilot).splitlines()
            assert len(rows) == height and all(len(row) <= width for row in rows)
            assert selected(pilot) == kept
        assert "n0 = relu(x0)" in screen(pilot) and "q quit" in screen(pilot)
        # In the middle of a question, too.
        await press(pilot, "K", "h", "i")
        await pilot.resize_terminal(30, 10)
        await pilot.resize_terminal(120, 40)
        await press(pilot, "enter")
        assert source.marks == [(kept.id, State.KNOWN, "hi", "")]
        assert "hi" in screen(pilot)

    drive(source, steps)


@pytest.mark.parametrize(("width", "stacked"), [(200, False), (129, True), (40, True)])
def test_a_resize_arranges_by_the_new_width(source: DemoSource, width: int, stacked: bool) -> None:
    """In a real terminal `App.size` is still the old one while the event is handled: the event's size counts."""

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        app = pilot.app
        assert isinstance(app, TriageApp)
        app.on_resize(events.Resize(Size(width, 50), Size(width, 50)))
        assert app.screen.has_class("stacked") == stacked

    drive(source, steps, (160, 48) if stacked else (80, 24))


def test_reading_takes_the_whole_screen_and_gives_it_back(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "enter")
        assert "suspicious %" not in screen(pilot) and "12 findings" not in screen(pilot)
        await press(pilot, "enter")
        assert "suspicious %" in screen(pilot) and "12 findings" in screen(pilot)

    drive(source, steps)


def test_without_colour_all_is_grey_and_still_marked(source: DemoSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        for page in "1346":
            await press(pilot, page)
            styles = [s.style for row in pilot.app.screen._compositor.render_strips() for s in row if s.style]
            colours = {c.get_truecolor() for style in styles for c in (style.color, style.bgcolor) if c is not None}
            assert colours and all(red == green == blue for red, green, blue in colours)
        marked = [row for row in screen(pilot).splitlines() if row.startswith("▸ ")]
        assert len(marked) == 1 and "SIG" in marked[0]

    drive(source, steps)
