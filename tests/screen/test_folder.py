"""The real store behind the screen: damaged, newer, deleted, and written by others meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from fuzzer.errors import UserError
from fuzzer.findings.finding import Finding, State
from fuzzer.findings.journal import SCHEMA
from fuzzer.findings.store import FindingStore
from fuzzer.screen import folder as source_module
from fuzzer.screen import triage
from fuzzer.screen.demo_data import NOW, demo_findings, demo_snapshot, write_files
from fuzzer.screen.folder import FolderSource
from fuzzer.screen.jobs import Life
from fuzzer.screen.triage import TriageApp
from tests.screen.test_triage import press, screen, selected, type_text, until

Pilots = Callable[[Pilot[None], Pilot[None]], Awaitable[None]]


def filler(finding: Finding) -> Callable[[Path], None]:
    return lambda folder: write_files(folder, finding)


@pytest.fixture
def crashes(tmp_path: Path) -> Path:
    store = FindingStore(tmp_path / "crashes", create=True)
    for finding in demo_findings(6):
        store.add(replace(finding, state="new", note=""), filler(finding))
    return tmp_path / "crashes"


def journal(crashes: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (crashes / "journal.jsonl").read_text().splitlines()]


def drive(crashes: Path, steps: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (100, 40)) -> None:
    async def run() -> None:
        app = TriageApp(FolderSource(crashes), now=lambda: NOW)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(pilot)

    asyncio.run(run())


def drive_two(crashes: Path, steps: Pilots) -> None:
    async def run() -> None:
        first, second = (TriageApp(FolderSource(crashes), now=lambda: NOW) for _ in range(2))
        async with first.run_test(size=(100, 40)) as one, second.run_test(size=(100, 40)) as other:
            await one.pause()
            await other.pause()
            await steps(one, other)

    asyncio.run(run())


def reload(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, TriageApp)
    pilot.app.reload()


def test_a_mark_that_cannot_be_written_says_why_and_what_is_left(
    crashes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: object, event: str, **fields: object) -> None:
        raise OSError(30, "Read-only file system")

    source = FolderSource(crashes)
    id_ = source.findings()[0].id
    with monkeypatch.context() as patch:
        patch.setattr("fuzzer.findings.journal.Journal.append", refused)
        with pytest.raises(
            UserError, match=r"journal\.jsonl can't be written \(Read-only file system\); all is as it was"
        ):
            source.mark(id_, State.FIXED, "")
    assert source.findings()[0].state == "new"
    crashes.rename(crashes.with_name("moved"))
    with pytest.raises(UserError, match="is gone; what was read before is still shown"):
        source.mark(id_, State.FIXED, "")


# --- damaged, newer, gone ---------------------------------------------------------------------------------


def test_damaged_and_newer_lines_of_the_journal_are_said(crashes: Path) -> None:
    with (crashes / "journal.jsonl").open("a") as file:
        file.write('{"schema": 1, "event": "find\n')
        file.write(json.dumps({"schema": SCHEMA + 1, "event": "finding", "finding": {}}) + "\n")
        file.write(json.dumps({"schema": 1, "event": "mark", "id": demo_findings(1)[0].id, "state": "of 2030"}) + "\n")

    async def steps(pilot: Pilot[None]) -> None:
        shown = " ".join(screen(pilot).split())
        assert "6 findings" in shown
        assert "1 line is written by a newer release: update the fuzzer" in shown
        assert "2 lines are damaged (cut off or edited): the rest is shown, nothing was removed" in shown

    drive(crashes, steps)


def test_a_whole_journal_is_not_warned_of(crashes: Path) -> None:
    assert FolderSource(crashes).unread() == ""


@pytest.mark.parametrize("damage", ["{", "[]", '{"grid": 3}', '{"schema": 9, "grid": {"a": {"b": {"new field": 1}}}}'])
def test_a_damaged_status_is_said_and_findings_stay(crashes: Path, damage: str) -> None:
    (crashes / "status.json").write_text(damage)

    async def steps(pilot: Pilot[None]) -> None:
        shown = " ".join(screen(pilot).split())
        assert "6 findings" in shown and "no statistics: " in shown and "status.json cannot be read" in shown
        (crashes / "status.json").write_text(json.dumps(demo_snapshot().to_json()))
        reload(pilot)
        await pilot.pause()
        assert "no statistics" not in screen(pilot) and "suspicious share" in screen(pilot)

    drive(crashes, steps)


def test_a_half_written_finding_shows_what_is_there(crashes: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        folder = FolderSource(crashes).files(selected(pilot).id)
        (folder / "verdict.json").write_text((folder / "verdict.json").read_text()[:200])
        (folder / "minimal.json").write_text('{"schema": 99, "model": {"nodes": [{"op": "relu"}]}}')
        (folder / "repro.py").unlink()
        for key, wanted in (
            ("1", "verdict.json is damaged"),
            ("2", "To reproduce"),
            ("3", "this case was written by a newer version; update the fuzzer"),
            ("4", "repro.py is missing"),
            ("5", "F0000 check failed"),
        ):
            await press(pilot, key)
            reload(pilot)
            await pilot.pause()
            assert wanted in " ".join(screen(pilot).split()), key
        await press(pilot, "p")
        await until(pilot, "repro.py failed: ")
        assert "is missing" in screen(pilot)

    drive(crashes, steps)


def test_a_deleted_finding_can_still_be_marked(crashes: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        finding = selected(pilot)
        shutil.rmtree(FolderSource(crashes).files(finding.id))
        reload(pilot)
        await pilot.pause()
        assert "Its folder is gone" in screen(pilot)
        await press(pilot, "x")
        assert FindingStore(crashes).get(finding.id).state == "fixed"
        await press(pilot, "r")
        await until(pilot, "replay failed: ")
        await until(pilot, "holds neither minimal.json nor case.json")

    drive(crashes, steps)


def test_the_whole_folder_may_go_and_come_back(crashes: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        crashes.rename(crashes.with_name("away"))
        reload(pilot)
        await pilot.pause()
        shown = " ".join(screen(pilot).split())
        assert "is gone; what was read before is still shown" in shown and "6 findings" in shown
        await press(pilot, "x")
        assert "not saved" in screen(pilot)
        await press(pilot, "2", "y", "j", "3", "d", "escape")
        crashes.with_name("away").rename(crashes)
        reload(pilot)
        await pilot.pause()
        assert "is gone" not in screen(pilot)

    drive(crashes, steps)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_journal_refuses_marks(crashes: Path) -> None:
    (crashes / "journal.jsonl").chmod(0o444)

    async def steps(pilot: Pilot[None]) -> None:
        await press(pilot, "x")
        assert "not saved" in screen(pilot)

    drive(crashes, steps)


def test_a_full_disk_after_the_mark_says_that_the_mark_is_safe(crashes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FindingStore) -> list[Finding]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FindingStore, "rebuild_index", full)

    async def steps(pilot: Pilot[None]) -> None:
        await press(pilot, "x")
        assert "No space left on device. The mark itself is safe" in " ".join(screen(pilot).split())
        assert selected(pilot).state == "fixed"

    drive(crashes, steps)


# --- several at once --------------------------------------------------------------------------------------


def test_two_screens_see_each_others_marks(crashes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triage, "REFRESH_S", 3600.0)  # nobody sees anything by itself

    async def steps(one: Pilot[None], other: Pilot[None]) -> None:
        id_ = selected(one).id
        await press(one, "F")
        reload(other)
        await other.pause()
        assert selected(other).id == id_ and selected(other).state == "flaky"
        await press(other, "e")
        await type_text(other, "twice in ten")
        await press(other, "enter")
        # The first has not been drawn since: the note is kept all the same.
        assert selected(one).note == ""
        await press(one, "x")
        now = FindingStore(crashes).get(id_)
        assert (now.state, now.note) == ("fixed", "twice in ten")
        marks = [event for event in journal(crashes) if event["event"] == "mark"]
        assert [m["state"] for m in marks] == ["flaky", "flaky", "fixed"]
        assert all(str(m["at"]).startswith("20") for m in marks)

    drive_two(crashes, steps)


def test_a_note_does_not_overwrite_one_that_came_while_it_was_typed(
    crashes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triage, "REFRESH_S", 3600.0)  # nobody sees anything by itself

    async def steps(one: Pilot[None], other: Pilot[None]) -> None:
        id_ = selected(one).id
        await press(one, "K")
        await type_text(one, "mine")
        await press(other, "R")
        await type_text(other, "theirs")
        await press(other, "enter")
        await press(one, "enter")
        assert "Another screen has just said: reported, 'theirs'" in " ".join(screen(one).split())
        await press(one, "escape")
        now = FindingStore(crashes).get(id_)
        assert (now.state, now.note) == ("reported", "theirs")
        await press(one, "K", "enter")
        assert (FindingStore(crashes).get(id_).state, selected(one).note) == ("known", "theirs")
        await press(other, "e")
        await type_text(other, " too")
        await press(other, "enter", "enter")  # the second answers the question: yes, mine
        now = FindingStore(crashes).get(id_)
        assert now.note == "theirs too"

    drive_two(crashes, steps)


def campaign(crashes: Path, seconds: float) -> None:
    """Writes as a campaign does: new findings, better samples, further sightings, statistics, the index."""
    store = FindingStore(crashes)
    until_ = time.monotonic() + seconds
    for i, finding in enumerate(demo_findings(400)[6:]):
        if time.monotonic() > until_:
            break
        fresh = replace(finding, state="new", note="")
        store.add(fresh, filler(fresh))
        store.add(replace(fresh, nodes=1), filler(fresh))
        store.seen(fresh.id, "0" * 16, "2026-03-14T12:00:00+00:00")
        (crashes / "status.json").write_text(json.dumps(demo_snapshot().to_json()))
        if i % 3 == 0:
            store.rebuild_index()


def test_two_screens_and_a_campaign(crashes: Path) -> None:
    async def steps(one: Pilot[None], other: Pilot[None]) -> None:
        run = f"campaign(Path({str(crashes)!r}), 3.0)"
        code = f"from pathlib import Path; from tests.screen.test_folder import campaign; {run}"
        root = Path(__file__).parents[2]
        writer = subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL)
        marked: dict[str, str] = {}
        turn = 0
        while writer.poll() is None or turn < 8:
            pilot, key, state = ((one, "x", "fixed"), (other, "F", "flaky"))[turn % 2]
            await press(pilot, *(["j"] * (turn % 5)), "12345"[turn % 5])
            finding = selected(pilot)
            await press(pilot, key)
            marked[finding.id] = state
            assert f"saved as {state}" in screen(pilot)
            reload(pilot)
            await pilot.pause(0.02)
            turn += 1
        assert writer.returncode == 0
        for pilot in (one, other):
            reload(pilot)
            await pilot.pause()
            assert isinstance(pilot.app, TriageApp)
            now = {f.id: f for f in pilot.app.findings}
            assert len(now) > 6 and now.keys() == {f.id for f in FindingStore(crashes).findings()}
            assert {id_: now[id_].state for id_ in marked} == marked
            assert "damaged" not in screen(pilot) and "can't read" not in screen(pilot)
        assert not any(line.get("event") is None for line in journal(crashes))  # every line is whole

    drive_two(crashes, steps)


# --- jobs -------------------------------------------------------------------------------------------------


def script(crashes: Path, text: str) -> str:
    finding = demo_findings(1)[0]
    (FolderSource(crashes).files(finding.id) / "repro.py").write_text(text)
    return finding.id


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("print('expected 1, actual 2'); raise SystemExit(1)", "the defect is there (exit code 1)"),
        ("raise SystemExit(0)", "the defect is gone (exit code 0)"),
        ("raise SystemExit(2)", "it can't tell (exit code 2)"),
        ("import os; os.abort()", "the script died of SIGABRT"),
    ],
)
def test_a_reproducer_says_what_its_exit_code_means(crashes: Path, text: str, wanted: str) -> None:
    assert wanted in FolderSource(crashes).reproduce(script(crashes, text), Life())


def test_a_reproducer_that_is_broken_says_its_last_line(crashes: Path) -> None:
    with pytest.raises(UserError, match="exit code 7: no such thing"):
        FolderSource(crashes).reproduce(script(crashes, "print('no such thing'); raise SystemExit(7)"), Life())


def test_a_reproducer_that_hangs_leaves_the_screen_alive(crashes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "REPRO_LIMIT_S", 2.0)
    id_ = script(crashes, "import time\nprint('before', flush=True)\nwhile True: time.sleep(1)")

    async def steps(pilot: Pilot[None]) -> None:
        await press(pilot, "slash")
        await type_text(pilot, id_)
        await press(pilot, "enter", "p", "6")
        await until(pilot, "before")
        await press(pilot, "x", "e", "h", "i", "enter")  # meanwhile everything goes on
        assert FindingStore(crashes).get(id_).note == "hi"
        await until(pilot, "repro.py failed: repro.py did not end within 2 s and was killed: it hangs")

    drive(crashes, steps)


def test_a_job_is_stopped_by_its_key_and_by_quitting(crashes: Path) -> None:
    id_ = script(crashes, "import os, time\nprint(os.getpid(), flush=True)\nwhile True: time.sleep(1)")
    seen: list[int] = []

    async def steps(pilot: Pilot[None]) -> None:
        await press(pilot, "slash")
        await type_text(pilot, id_)
        await press(pilot, "enter", "6", "p")
        await until(pilot, "repro.py: running")
        await press(pilot, "c")
        await until(pilot, "stopped; the finding is as it was")
        await press(pilot, "c")
        assert "nothing is running" in screen(pilot)
        await press(pilot, "p")
        assert isinstance(pilot.app, TriageApp)
        for _ in range(100):
            await pilot.pause(0.05)
            job = pilot.app._doing.jobs.current
            if job and job.life.lines:
                seen.append(int(job.life.lines[0]))
                break

    drive(crashes, steps)
    assert seen and not Path(f"/proc/{seen[0]}").exists()


def test_marks_have_a_state_that_older_readers_skip(crashes: Path) -> None:
    """`flaky` is new: a line with a state that a release does not know must not take the finding away."""
    source = FolderSource(crashes)
    id_ = demo_findings(1)[0].id
    source.mark(id_, State.FLAKY, "now and then")
    assert FindingStore(crashes).get(id_).state == "flaky"
