"""Jobs beside the triage screen: it stays alive, says what became of them, and outlives none."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot

from fuzzer.errors import UserError
from fuzzer.screen.demo_data import DemoSource
from fuzzer.screen.jobs import Life
from tests.screen.test_triage import drive, press, screen, selected, until


@pytest.fixture
def source(tmp_path: Path) -> DemoSource:
    return DemoSource(tmp_path)


def test_jobs_run_beside_the_screen_one_after_the_other(source: DemoSource) -> None:
    gate = threading.Event()

    def wait(id: str, life: Life) -> str:
        gate.wait(20)
        return "reproduced, 5 of 5 fresh runs"

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        finding = selected(pilot)
        await press(pilot, "r", "r", "m", "j")
        await until(pilot, "1 more waiting")
        assert selected(pilot).id != finding.id  # the screen goes on meanwhile
        assert source.jobs == []
        gate.set()
        await until(pilot, "replay done: reproduced, 5 of 5")
        await until(pilot, "minimise done: smaller")
        assert source.jobs == [("minimize", finding.id)]

    source.replay = wait  # type: ignore[method-assign]
    drive(source, steps)


def test_a_job_that_fails_says_so_and_quitting_asks_once(source: DemoSource) -> None:
    def broken(id: str, life: Life) -> str:
        raise RuntimeError("[bold]no executor[/]")

    def slow(id: str, life: Life) -> str:
        threading.Event().wait(30)
        return ""

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "r")
        await until(pilot, "replay failed: RuntimeError: [bold]no executor[/]")
        source.minimize = slow  # type: ignore[method-assign]
        await press(pilot, "m", "q")
        assert "press q again" in screen(pilot)
        assert pilot.app.is_running
        await press(pilot, "q")

    source.replay = broken  # type: ignore[method-assign]
    began = time.monotonic()
    drive(source, steps)
    assert time.monotonic() - began < 20  # quitting does not wait for the job


def test_the_report_opens_and_is_replaced_by_the_one_written_anew(source: DemoSource) -> None:
    gate = threading.Event()

    def written(id: str, life: Life) -> str:
        gate.wait(20)
        life.lines.extend(["### Issue type", "", "Bug"])
        return "written"

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "o")
        assert "## To reproduce" in screen(pilot) and "12 findings" not in screen(pilot)
        gate.set()
        await until(pilot, "### Issue type")
        await press(pilot, "escape", "j")
        assert "## To reproduce" in screen(pilot).split("2 report")[1] or "Converting a model" in screen(pilot)
        assert "### Issue type" not in screen(pilot)

    source.report = written  # type: ignore[method-assign]
    drive(source, steps)


def test_jobs_are_remembered_with_what_they_printed(source: DemoSource) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "6")
        assert "Nothing was run" in screen(pilot)
        await press(pilot, "1", "p")  # opens the page by itself
        await until(pilot, "repro.py: the defect is there (exit code 1)")
        assert "expected 0.7071" in screen(pilot)
        first = selected(pilot)
        await press(pilot, "j")
        shown = screen(pilot)
        assert "Nothing was run" in shown and "expected 0.7071" not in shown
        told = shown.split("of other findings:")[1]  # what became of it is a line on every finding's page
        assert "repro.py: the defect is there" in told and first.title[:20] in told
        await press(pilot, "k")
        assert "expected 0.7071" in screen(pilot)

    drive(source, steps)


def test_stopping_drops_what_waits(source: DemoSource) -> None:
    def wait(id: str, life: Life) -> str:
        life.stop.wait(20)
        time.sleep(0.5)  # a process takes a moment to end
        raise UserError("stopped; the finding is as it was")

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "r", "m")
        await until(pilot, "1 more waiting (c stops it)")
        await press(pilot, "c")
        assert "stopping replay and dropping 1 more" in screen(pilot)
        await until(pilot, "replay failed: stopped")
        assert source.jobs == []

    source.replay = wait  # type: ignore[method-assign]
    drive(source, steps)


def test_an_outcome_is_said_once_and_a_report_only_on_its_page(source: DemoSource) -> None:
    def said(id: str, life: Life) -> str:
        life.lines.extend(["loading", "gone: nothing to see"])
        return "gone: nothing to see"

    def written(id: str, life: Life) -> str:
        life.lines.extend(["### Issue type", "Bug"])
        return "written"

    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        await press(pilot, "r", "o")
        await until(pilot, "report done: ")  # the sentence of the replay has left the head
        await press(pilot, "6")
        await until(pilot, "page 2 shows it")
        shown = screen(pilot)
        assert shown.count("gone: nothing to see") == 1 and "loading" in shown
        assert "page 2 shows it" in shown and "### Issue type" not in shown

    source.replay, source.report = said, written  # type: ignore[method-assign]
    drive(source, steps)
