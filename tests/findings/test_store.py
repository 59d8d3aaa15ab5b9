from __future__ import annotations

import errno
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer.errors import CaseError, UserError
from fuzzer.examine.ledger import Ledger
from fuzzer.findings import FindingStore, State, inbox
from fuzzer.findings.index import read_index
from fuzzer.findings.journal import Journal, JournalRead
from fuzzer.findings.merging import as_sample_of
from fuzzer.findings.store import ABANDONED_S, MAX_OLD_SAMPLES
from fuzzer.oracles import Kind
from tests.findings.samples import FOUND, VERDICT, fill, finding, store, suspicion

# --- findings ---------------------------------------------------------------------------------------------


def test_a_finding_comes_back_as_it_was(tmp_path: Path) -> None:
    store(tmp_path, "one", "two")
    again = FindingStore(tmp_path)
    assert sorted(f.title for f in again.findings()) == ["one", "two"]
    assert again.get(finding("one").id) == finding("one")
    assert (again.files(finding("one").id) / "case.json").read_text() == "one"


def test_findings_are_ordered_by_first_seen(tmp_path: Path) -> None:
    made = FindingStore(tmp_path, create=True)
    for i, title in enumerate(["c", "a", "b"]):
        made.add(finding(title, first_seen=f"2026-01-0{3 - i}T00:00:00+00:00"), fill())
    assert [f.title for f in made.findings()] == ["b", "a", "c"]


def test_a_better_sample_replaces_the_shown_one_and_keeps_a_few(tmp_path: Path) -> None:
    made = store(tmp_path, "one")
    for i in range(MAX_OLD_SAMPLES + 4):
        made.add(finding("one", count=i + 2, nodes=1), fill(f"sample {i}"))
    (only,) = made.findings()
    assert only.count == MAX_OLD_SAMPLES + 5 and only.nodes == 1
    assert (made.files(only.id) / "case.json").read_text() == f"sample {MAX_OLD_SAMPLES + 3}"
    kept = sorted((tmp_path / ".older" / only.path).iterdir(), key=lambda p: int(p.name))
    assert len(kept) == MAX_OLD_SAMPLES
    assert [(p / "case.json").read_text() for p in kept][-1] == f"sample {MAX_OLD_SAMPLES + 2}"


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    made = FindingStore(tmp_path, create=True)

    def breaks(folder: Path) -> None:
        (folder / "case.json").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        made.add(finding("one"), breaks)
    assert made.findings() == [] and {p.name for p in tmp_path.iterdir()} == {"inbox"}
    made.add(finding("one"), fill("first"))
    with pytest.raises(OSError, match="No space"):
        made.add(finding("one"), breaks)
    assert (made.files(finding("one").id) / "case.json").read_text() == "first"


def test_what_a_kill_left_half_written_is_swept_once_it_is_old(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, create=True)
    store.add(finding("value in compare: A"), fill())
    parts = [tmp_path / ".new-old", tmp_path / ".new-young"]
    for part in parts:
        part.mkdir()
        (part / "case.json").write_text("{")
    temporary = tmp_path / inbox.FOLDER / ".a.json.x.tmp"
    temporary.write_text("{")
    long_ago = time.time() - ABANDONED_S - 60
    for path in (parts[0], temporary):
        os.utime(path, (long_ago, long_ago))
    store.sweep()
    assert not parts[0].exists() and parts[1].exists() and not temporary.exists()
    assert (tmp_path / store.findings()[0].path / "repro.py").exists()


def test_seen_counts_and_dates(tmp_path: Path) -> None:
    made = store(tmp_path, "one")
    for i in range(3):
        made.seen(finding("one").id, f"case{i}", f"2026-02-0{i + 1}T00:00:00+00:00")
    made.seen("unknown", "case", FOUND)
    (only,) = FindingStore(tmp_path).findings()
    assert only.count == 4 and only.last_seen.startswith("2026-02-03") and only.first_seen == FOUND


def test_what_a_person_said_stays_said(tmp_path: Path) -> None:
    made = store(tmp_path, "one", "two")
    one, two = finding("one").id, finding("two").id
    made.mark(one, State.REPORTED, "github 12")
    made.mark(two[:6], State.DUPLICATE, duplicate_of=one)
    made.add(finding("one", nodes=1), fill("smaller"))
    made.seen(one, "x", FOUND)
    again = FindingStore(tmp_path)
    assert (again.get(one).state, again.get(one).note, again.get(one).nodes) == ("reported", "github 12", 1)
    assert (again.get(two).state, again.get(two).duplicate_of) == ("duplicate", one)
    made.mark(one, State.NEW)
    assert again.get(one).state == "new"


def test_two_stores_see_each_others_findings(tmp_path: Path) -> None:
    left, right = store(tmp_path, "one"), FindingStore(tmp_path)
    assert len(right.findings()) == 1
    left.add(finding("two"), fill())
    assert len(right.findings()) == 2
    right.mark(finding("two").id, State.KNOWN)
    assert left.get(finding("two").id).state == "known"


@pytest.mark.parametrize("what", ["no such id", "", "ffffffffffff"])
def test_ids_that_are_none_or_several(tmp_path: Path, what: str) -> None:
    made = store(tmp_path, *[f"title {i}" for i in range(6)])
    with pytest.raises(UserError) as refused:
        made.get(what)
    text = str(refused.value)
    assert ("beginning of 6 ids" in text and finding("title 1").id) if what == "" else repr(what) in text
    with pytest.raises(UserError):
        made.mark(what, State.KNOWN)


def test_a_prefix_is_enough(tmp_path: Path) -> None:
    made = store(tmp_path, "one", "two")
    assert made.get(finding("one").id[:5]).title == "one"


def test_a_journal_replaced_by_a_shorter_one(tmp_path: Path) -> None:
    """Somebody put a backup back while a triage screen was open."""
    made = store(tmp_path, "one")
    backup = made.journal.path.read_bytes()
    made.add(finding("two"), fill())
    assert len(made.findings()) == 2
    made.journal.path.write_bytes(backup)
    assert [f.title for f in made.findings()] == ["one"]


def test_a_removed_journal_is_an_empty_one(tmp_path: Path) -> None:
    made = store(tmp_path, "one")
    assert made.findings()
    made.journal.path.unlink()
    assert made.findings() == []


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match=r"cannot be written.*--crashes DIR"):
        FindingStore(file / "crashes", create=True)
    for missing in (tmp_path / "missing", file, file / "below"):
        with pytest.raises(UserError, match="does not exist; run a campaign"):
            FindingStore(missing)
    assert not (tmp_path / "missing").exists()


def test_a_read_only_file_system(small_disk: Path) -> None:
    store(small_disk / "crashes", "one")
    assert os.system(f"mount -o remount,ro {small_disk}") == 0
    with pytest.raises(UserError, match="cannot be written"):
        FindingStore(small_disk / "crashes", create=True)
    assert len(FindingStore(small_disk / "crashes").findings()) == 1


def test_a_truly_full_disk_keeps_what_was_there(small_disk: Path) -> None:
    made = store(small_disk, "one")
    (small_disk / "filler").write_bytes(b"")
    with pytest.raises(OSError, match="No space"), (small_disk / "filler").open("wb") as file:
        while True:
            file.write(b"x" * 65536)
    with pytest.raises(OSError, match="No space"):
        for i in range(50):
            made.add(finding(f"title {i}"), fill("y" * 65536))
    with pytest.raises(OSError, match="No space"):
        for i in range(2000):
            inbox.save(small_disk, suspicion(i))
    assert not [p for p in small_disk.rglob(".*") if p.name != ".older"], "no temporary files are left"
    (small_disk / "filler").unlink()
    assert FindingStore(small_disk).get(finding("one").id) == finding("one")
    assert FindingStore(small_disk).journal.read().damaged == 0
    for path in inbox.waiting(small_disk):
        assert inbox.load(path).verdict == VERDICT


# --- inbox ------------------------------------------------------------------------------------------------


def test_a_suspicion_comes_back_as_it_was(tmp_path: Path) -> None:
    FindingStore(tmp_path, create=True)
    for verdict in (VERDICT, None):
        path = inbox.save(tmp_path, suspicion(3, verdict))
        assert inbox.load(path) == suspicion(3, verdict)
    names = [p.name for p in inbox.waiting(tmp_path)]
    assert sorted(n.split("-", 1)[1] for n in names) == ["in-flight.json", "value-61afeba6.json"]


def test_the_same_suspicion_is_one_file_and_the_oldest_comes_first(tmp_path: Path) -> None:
    FindingStore(tmp_path, create=True)
    paths = [inbox.save(tmp_path, suspicion(seed)) for seed in (1, 2, 3)]
    for i, path in enumerate(paths):
        os.utime(path, (100 - i, 100 - i))
    assert inbox.waiting(tmp_path) == paths[::-1]
    inbox.save(tmp_path, suspicion(1))
    assert len(inbox.waiting(tmp_path)) == 3 and inbox.waiting(tmp_path)[-1] == paths[0]


def test_two_errors_of_one_case_are_two_suspicions(tmp_path: Path) -> None:
    """Runtimes fail in words of their own: one verdict a message."""
    FindingStore(tmp_path, create=True)
    two = [suspicion(1, replace(VERDICT, kind=Kind.INVOKE_ERROR, message=words)) for words in ("kernel.cc", "delegate")]
    paths = [inbox.save(tmp_path, one) for one in two]
    assert [inbox.load(path) for path in paths] == two


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"{}", b"[]", b"null", b'{"case": {}, "verdict": null, "found": ""}', b"[" * 100_000],
)
def test_a_damaged_suspicion_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(CaseError):
        inbox.load(path)


def test_a_suspicion_with_a_damaged_verdict(tmp_path: Path) -> None:
    FindingStore(tmp_path, create=True)
    path = inbox.save(tmp_path, suspicion())
    tree = json.loads(path.read_bytes())
    for verdict in (
        3,
        [1],
        {"stage": "compare"},
        {**VERDICT.to_json(), "kind": "newer"},
        {**VERDICT.to_json(), "evidence": 3},
    ):
        path.write_text(json.dumps({**tree, "verdict": verdict}))
        with pytest.raises(CaseError):
            inbox.load(path)


def test_an_empty_or_missing_inbox(tmp_path: Path) -> None:
    assert inbox.waiting(tmp_path) == []
    FindingStore(tmp_path, create=True)
    assert inbox.waiting(tmp_path) == []
    shutil.rmtree(tmp_path / "inbox")
    assert FindingStore(tmp_path).pending() == []


def test_what_is_counted_while_a_better_sample_is_made_stays_counted(tmp_path: Path) -> None:
    """Saving takes seconds, in which other examiners count, and other processes file samples of their own."""
    store = FindingStore(tmp_path, create=True)
    store.add(finding("a"), fill())
    old = store.get(finding("a").id)
    better = as_sample_of(old, finding("a", nodes=1, first_seen="2027", last_seen="2027"))
    for _ in range(3):
        store.seen(old.id, "case", "2028", 2.0)
    store.add_alternative(old, finding("b", key="other"), fill())
    store.add(better, fill())
    (found,) = FindingStore(tmp_path).findings()
    assert (found.count, found.nodes, found.first_seen, found.last_seen) == (5, 1, old.first_seen, "2028")
    assert (found.alternatives, found.other_keys, found.examined_s) == (("b",), ("other",), 6.0)
    assert found == FindingStore(tmp_path).get(finding("b").id)


def test_threads_read_what_is_appended_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of the triage screen looks a finding up while the screen reads the same lines."""
    made = store(tmp_path, "a")
    made.seen(finding("a").id, "case", "2030")
    read = Journal.read

    def slow(self: Journal, start: int = 0) -> JournalRead:
        found = read(self, start)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(Journal, "read", slow)
    fresh = FindingStore(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        counts = [[f.count for f in found] for found in pool.map(lambda _: fresh.findings(), range(4))]
    assert counts == [[2]] * 4 and fresh.get(finding("a").id).count == 2


def test_a_journal_edited_by_hand_never_stops_a_campaign_or_the_index(tmp_path: Path) -> None:
    """Half a letter in a note, a kind that there is not, a count beyond all counts: odd, and no end of everything."""
    written = store(tmp_path, "one", "two", "three")
    one, two, three = written.findings()
    journal = written.journal.path
    lines = journal.read_text().splitlines()
    lines = [line.replace('"kind": "value"', '"kind": "odd"') if two.id in line else line for line in lines]
    lines = [line.replace('"count": 1,', '"count": 1' + "0" * 30 + ",") if three.id in line else line for line in lines]
    journal.write_text("".join(f"{line}\n" for line in lines))
    read = FindingStore(tmp_path)
    read.mark(one.id, State.KNOWN, "caf\udce9")
    assert {f.id for f in read.rebuild_index()} == {one.id, two.id} and read.damaged == 1
    notes = {row["id"]: row["note"] for row in read_index(tmp_path)}
    assert notes == {one.id: "caf?", two.id: ""}
    assert Ledger(read.findings()).finding(two.id) is not None
