from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.errors import UserError
from fuzzer.findings import FindingStore, State
from fuzzer.findings.journal import SCHEMA, Journal
from fuzzer.releases import Boundaries
from tests.findings.samples import fill, finding
from tests.strategies import dumped, json_trees

ROOT = Path(__file__).parents[2]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def test_events_come_back_in_order(journal: Journal) -> None:
    for i in range(20):
        journal.append("seen", id=f"id{i}", text='ä "quoted"\n')
    read = journal.read()
    assert [e["id"] for e in read.events] == [f"id{i}" for i in range(20)]
    assert read.damaged == 0 and read.end == journal.path.stat().st_size
    assert all(e["schema"] == SCHEMA and e["event"] == "seen" and e["text"] == 'ä "quoted"\n' for e in read.events)


def test_a_missing_journal_is_empty(journal: Journal) -> None:
    assert journal.read().events == []


def test_reading_goes_on_where_it_ended(journal: Journal) -> None:
    journal.append("a")
    end = journal.read().end
    journal.append("b")
    assert [e["event"] for e in journal.read(end).events] == ["b"]


def test_a_line_cut_off_by_a_kill_costs_itself_only(journal: Journal) -> None:
    journal.append("a")
    journal.append("b", text="x" * 100)
    whole = journal.path.read_bytes()
    for cut in range(1, 120):
        journal.path.write_bytes(whole[:-cut])
        assert [e["event"] for e in journal.read().events] == ["a"]
        journal.append("c")
        read = journal.read()
        assert [e["event"] for e in read.events] in (["a", "c"], ["a", "b", "c"])
        assert read.damaged <= 1 and len(read.events) + read.damaged == 3


GARBAGE = [
    b"\xff\xfe\x00",
    b"[1]",
    b"{}",
    b"3",
    b"null",
    b'{"schema": 1}',
    b'{"schema": null, "event": "a"}',
    b'{"schema": "x", "event": "a"}',
    b'{"schema": [], "event": "a"}',
    b'{"schema": 1e999, "event": "a"}',
    b'{"schema": NaN, "event": "a"}',
    b'{"schema": 0, "event": "finding", "finding": {}}',
    b"{" * 5000,
    b"[" * 100_000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda g: g[:30].decode(errors="replace"))
def test_garbage_between_good_lines(journal: Journal, garbage: bytes) -> None:
    journal.append("a")
    with journal.path.open("ab") as file:
        file.write(garbage + b"\n\n")
    journal.append("b")
    read = journal.read()
    assert [e["event"] for e in read.events] == ["a", "b"] and read.damaged == 1


def test_a_line_of_a_newer_release_is_told_apart(journal: Journal) -> None:
    journal.append("a")
    with journal.path.open("a") as file:
        file.write('{"schema": 99, "event": "of a newer release"}\n')
    journal.append("b")
    read = journal.read()
    assert [e["event"] for e in read.events] == ["a", "b"] and (read.damaged, read.newer, read.newest) == (1, 1, 99)


def test_a_newer_journal_is_refused_when_it_is_opened_and_left_alone_later(tmp_path: Path) -> None:
    """Nothing is guessed at; but a campaign that runs beside a newer release goes on."""
    running = FindingStore(tmp_path, create=True)
    running.journal.append("finding", finding=finding().to_json())
    assert len(running.findings()) == 1
    with running.journal.path.open("a") as file:
        file.write(json.dumps({"schema": SCHEMA + 1, "event": "finding", "finding": finding("newer").to_json()}) + "\n")
    before = running.journal.path.read_bytes()
    assert [f.title for f in running.findings()] == [finding().title] and running.newer == 1
    for _ in range(2):
        with pytest.raises(
            UserError, match=rf"newer release \(schema {SCHEMA + 1}, this one reads up to {SCHEMA}\); update"
        ):
            FindingStore(tmp_path).findings()
    lenient = FindingStore(tmp_path, lenient=True)
    assert len(lenient.findings()) == 1 and lenient.newer == 1
    assert running.journal.path.read_bytes() == before


def test_a_journal_of_the_first_schema_is_read_and_upgraded(tmp_path: Path) -> None:
    """Lines as schema 1 had them: no word of releases around the defect."""
    from fuzzer.findings.index import read_index

    old = {
        k: v for k, v in finding().to_json().items() if k not in ("first_bad", "last_good", "last_bad", "first_good")
    }
    lines = [
        {"schema": 1, "event": "finding", "finding": old},
        {
            "schema": 1,
            "event": "seen",
            "id": finding().id,
            "case": "0",
            "at": "2026-02-02T00:00:00+00:00",
            "seconds": 1.5,
        },
        {"schema": 1, "event": "mark", "id": finding().id, "state": "known", "note": "seen"},
    ]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    store = FindingStore(tmp_path)
    (read,) = store.findings()
    assert (read.count, read.state, read.note, read.first_bad) == (2, "known", "seen", "")
    store.bisected(read.id, "tensorflow", {"2.18.0": ["bad", "", "3.11"]}, Boundaries("2.17.1", "2.18.0"))
    store.rebuild_index()
    (row,) = read_index(tmp_path)
    assert (row["first_bad"], row["last_good"], row["count"]) == ("tensorflow 2.18.0", "tensorflow 2.17.1", 2)


def test_a_replay_and_the_time_of_a_mark_outlive_a_better_sample(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, create=True)
    store.add(finding(), fill())
    store.mark(finding().id, State.KNOWN, "issue 7", at="2026-01-03T00:00:00+00:00")
    store.replayed(finding().id, "gone", "0 of 3 fresh runs showed it: nothing to see", "2026-01-04T00:00:00+00:00")
    store.add(finding(nodes=1), fill())
    for again in (store, FindingStore(tmp_path)):
        (read,) = again.findings()
        assert (read.nodes, read.state, read.note) == (1, "known", "issue 7")
        assert read.marked_at == "2026-01-03T00:00:00+00:00"
        assert (read.replayed, read.replayed_at) == ("gone", "2026-01-04T00:00:00+00:00")
        assert read.replay_said.startswith("0 of 3")
    store.replayed(finding().id, "reproduced", "1 error, in the first fresh run", "2026-01-05T00:00:00+00:00")
    assert FindingStore(tmp_path).findings()[0].replayed == "reproduced"  # the last one counts
    with pytest.raises(UserError, match="no finding"):
        store.replayed("nobody", "gone", "", "")


def test_what_was_bisected_outlives_a_better_sample(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, create=True)
    store.journal.append("finding", finding=finding().to_json())
    store.bisected(finding().id, "ai-edge-litert", {}, Boundaries("1.0.1", "1.1.0", "1.2.0", "1.3.0"))
    store.journal.append("finding", finding=finding(nodes=1).to_json())
    (read,) = FindingStore(tmp_path).findings()
    assert (read.nodes, read.first_good, read.last_bad) == (1, "ai-edge-litert 1.3.0", "ai-edge-litert 1.2.0")
    with pytest.raises(UserError, match="no finding 'nobody'"):
        store.bisected("nobody", "tensorflow", {}, Boundaries())


@given(st.lists(st.binary(max_size=60) | json_trees.map(dumped), max_size=4))
@settings(max_examples=150)
def test_any_bytes_cost_themselves_only(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("any")
    store = FindingStore(folder, create=True)
    store.journal.append("finding", finding=finding().to_json())
    with store.journal.path.open("ab") as file:
        file.write(b"\n".join(lines))
    store.journal.append("finding", finding=finding("another").to_json())
    assert {f.title for f in store.findings()} == {finding().title, "another"}


@pytest.mark.parametrize(
    "event",
    [
        {"event": "finding"},
        {"event": "finding", "finding": None},
        {"event": "finding", "finding": 3},
        {"event": "finding", "finding": []},
        {"event": "finding", "finding": {}},
        {"event": "finding", "finding": {**finding("bad").to_json(), "ops": 5}},
        {"event": "finding", "finding": {**finding("bad").to_json(), "id": ["x"]}},
        {"event": "finding", "finding": {**finding("bad").to_json(), "first_seen": 3}},
        {"event": "finding", "finding": {**finding("bad").to_json(), "severity": "high"}},
        {"event": "finding", "finding": {**finding("bad").to_json(), "count": None}},
        {"event": "seen"},
        {"event": "seen", "id": None, "at": None},
        {"event": "mark", "id": "GOOD", "state": "of a newer release"},
        {"event": "mark", "id": "GOOD"},
        {"event": "something newer", "x": 1},
        {"event": "bisected"},
        {"event": "replayed", "id": "GOOD", "result": "gone"},
        {"event": "bisected", "id": "GOOD", "first_bad": "tensorflow 2.18.0"},
        {"event": ["finding"]},
    ],
    ids=lambda e: json.dumps(e)[:50],
)
def test_events_with_wrong_fields_are_skipped(tmp_path: Path, event: dict[str, object]) -> None:
    """And the rest is true: listed, and written to an index that can be read."""
    from fuzzer.findings.index import read_index

    store = FindingStore(tmp_path, create=True)
    good = finding()
    store.journal.append("finding", finding=good.to_json())
    line = json.dumps({"schema": SCHEMA, **event}).replace("GOOD", good.id)
    with store.journal.path.open("a") as file:
        file.write(line + "\n")
    fresh = FindingStore(tmp_path)
    assert [f.id for f in fresh.findings()] == [good.id]
    fresh.rebuild_index()
    assert [row["id"] for row in read_index(tmp_path)] == [good.id]


# --- several writers --------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from fuzzer.findings.journal import Journal
journal = Journal(Path(sys.argv[1]))
for i in range(100):
    journal.append("seen", id=sys.argv[2], i=i, text="x" * (i * 50))
"""


def test_four_processes_append_at_once(journal: Journal) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(journal.path), str(n)], env=environment) for n in range(4)
    ]
    assert [w.wait(60) for w in writers] == [0] * 4
    read = journal.read()
    assert read.damaged == 0 and len(read.events) == 400
    for n in range(4):
        assert [e["i"] for e in read.events if e["id"] == str(n)] == list(range(100))


def test_a_writer_killed_at_any_moment_harms_nobody(journal: Journal) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for n in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(journal.path), str(n)], env=environment)
        size = journal.path.stat().st_size if journal.path.exists() else 0
        while writer.poll() is None and (not journal.path.exists() or journal.path.stat().st_size < size + 3000):
            pass
        writer.kill()
        writer.wait()
        journal.append("mine", n=n)
    read = journal.read()
    assert [e["n"] for e in read.events if e["event"] == "mine"] == [0, 1, 2] and read.damaged <= 3


# --- a full disk ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 10, 60])
def test_a_full_disk_leaves_nothing_half_written(journal: Journal, room: int) -> None:
    """The limit on file size cuts a write short just as a full disk does. In a child: the limit cannot be lifted."""
    journal.append("a", text="x" * 100)
    before = journal.path.read_bytes()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room,) * 2)
            try:
                journal.append("b", text="y" * 200)
            except OSError:
                status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert journal.path.read_bytes() == before
    journal.append("c")
    assert [e["event"] for e in journal.read().events] == ["a", "c"]


def test_a_truly_full_disk(small_disk: Path) -> None:
    journal = Journal(small_disk / "journal.jsonl")
    with pytest.raises(OSError, match="No space"):
        for _ in range(10_000):
            journal.append("a", text="x" * 5000)
    read = journal.read()
    assert read.damaged == 0 and read.end == journal.path.stat().st_size and len(read.events) > 10
