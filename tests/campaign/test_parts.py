"""The parts of a campaign alone: corpus, slot, suspicions, trouble, lock, statistics, snapshot, versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fuzzer.campaign import versions
from fuzzer.campaign.corpus import Corpus
from fuzzer.campaign.lock import Lock
from fuzzer.campaign.slot import Slot, clear, in_flight
from fuzzer.campaign.snapshot import Snapshot
from fuzzer.campaign.statistics import MAX_HISTORY, MAX_WORST, Statistics, bucket
from fuzzer.campaign.suspicions import SAVED_PER_KEY, Suspicions
from fuzzer.campaign.trouble import Trouble
from fuzzer.coverage.space import BlockSpace, Library
from fuzzer.errors import UserError
from fuzzer.findings import inbox
from tests.findings.samples import VERDICT, finding
from tests.strategies import drawn_case, fed_otherwise

ROOT = Path(__file__).parents[2]


# --- slot -------------------------------------------------------------------------------------------------


def test_a_busy_slot_names_its_case(tmp_path: Path) -> None:
    slot = Slot(tmp_path / "slot")
    assert in_flight(slot.path) is None
    long, short = b"x" * 5000, drawn_case(1).canonical
    for data in (long, short):
        slot.busy(data)
        assert in_flight(slot.path) == data
        slot.idle()
        assert in_flight(slot.path) is None
    slot.busy(short)
    slot.close()
    assert in_flight(slot.path) == short
    clear(slot.path)
    clear(slot.path)
    assert in_flight(slot.path) is None and not slot.path.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BUSY",
        b"BUSY          9\nshort",
        b"BUSY         -1\n",
        b"BUSY99999999999\nx",
        b"\xff" * 64,
        b"busy          1\nx",
    ],
)
def test_a_damaged_slot_is_no_case(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "slot"
    path.write_bytes(data)
    assert in_flight(path) is None


# --- suspicions -------------------------------------------------------------------------------------------


def test_a_few_suspicions_of_a_kind_are_saved_and_the_first_is_told(tmp_path: Path) -> None:
    suspicions = Suspicions(tmp_path)
    (tmp_path / inbox.FOLDER).mkdir()
    alike = [fed_otherwise(drawn_case(1), k) for k in range(SAVED_PER_KEY + 3)]
    firsts = [suspicions.save(case, VERDICT, "") for case in alike]
    assert firsts == [True] + [False] * (len(alike) - 1)
    assert {inbox.load(path).case.id for path in inbox.waiting(tmp_path)} == {c.id for c in alike[:SAVED_PER_KEY]}
    other = replace(VERDICT, message="MUL (int8): wrong values")
    assert suspicions.save(alike[0], other, ""), "another message is another kind"
    assert len(inbox.waiting(tmp_path)) == SAVED_PER_KEY + 1


# --- trouble ----------------------------------------------------------------------------------------------


def test_a_campaign_says_why_it_ended_and_what_was_kept(tmp_path: Path) -> None:
    trouble = Trouble(tmp_path / "warnings.log", ["an old word"])
    assert not trouble.ends_it
    trouble.warn("driver 0 died")
    trouble.disk = "No space left on device"
    assert trouble.ends_it
    trouble.say_why_it_ended(Path("crashes"))
    assert trouble.warnings[:2] == ["an old word", "driver 0 died"]
    assert "No space left" in trouble.warnings[2] and "kept in crashes" in trouble.warnings[2]
    lines = (tmp_path / "warnings.log").read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines] == trouble.warnings[1:], "what is new is in the log"


def test_a_warning_is_said_where_no_log_can_be_written(tmp_path: Path) -> None:
    trouble = Trouble(tmp_path / "no" / "folder" / "warnings.log")
    trouble.broken = "driver 0 ended 4 times without running a case"
    trouble.say_why_it_ended(tmp_path)
    assert trouble.ends_it and trouble.warnings == [f"stopped early: {trouble.broken}"]


# --- corpus -----------------------------------------------------------------------------------------------


def test_entries_and_features_come_back(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    made = [drawn_case(seed) for seed in range(10)]
    for case in made:
        corpus.add(case, [f"op:{case.id}"])
    again = Corpus(tmp_path)
    again.refresh()
    assert {p.stem for p in again.files()} == {c.id for c in made}
    assert all(again.features_of(c.id) == [f"op:{c.id}"] for c in made) and again.features_of("unknown") is None
    good, bad = again.readable()
    assert len(good) == 10 and bad == []


def test_a_line_of_features_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    path = tmp_path / "features.jsonl"
    line = json.dumps({"case": "a", "features": ["x"]})
    path.write_text(line[:10])
    corpus.refresh()
    assert corpus.features_of("a") is None
    path.write_text(
        line + "\n" + '{"case": 3}\n[]\nnull\n{"case": "b", "features": null}\n' + line.replace("a", "c") + "\n"
    )
    corpus.refresh()
    assert corpus.features_of("a") == ["x"]


def test_archiving_nothing_is_nothing(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    assert corpus.archive() is None
    corpus.add(drawn_case(1), [])
    folders = []
    for seed in (1, 2, 3):
        corpus.add(drawn_case(seed), ["f"])
        folders.append(corpus.archive())
    assert len(set(folders)) == 3 and corpus.files() == [] and corpus.features_of(drawn_case(1).id) is None


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written.*--corpus DIR"):
        Corpus(tmp_path / "file" / "corpus")


# --- lock -------------------------------------------------------------------------------------------------


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from fuzzer.campaign.lock import Lock
lock = Lock(Path(sys.argv[1]), "x", "y")
print("held", flush=True)
time.sleep(99)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert holder.stdout is not None and holder.stdout.readline()
    with pytest.raises(UserError, match=f"runs/a is in use .*process {holder.pid}.; do that"):
        Lock(tmp_path / "lock", "runs/a", "do that")
    holder.kill()
    holder.wait()
    holder.stdout.close()
    lock = Lock(tmp_path / "lock", "runs/a", "do that")
    lock.release()
    Lock(tmp_path / "lock", "runs/a", "do that").release()


# --- statistics -------------------------------------------------------------------------------------------


def event(**changes: Any) -> dict[str, Any]:
    one = {"relative": 1e-5, "to_tensorflow": 0.0, "steps": None, "specials": 0}
    return {
        "event": "case",
        "case": "c",
        "patterns": ["conv_bias"],
        "scheme": "int8",
        "mutator": "insert_node",
        "restarts": 0,
        "recycled": 0,
        "built": True,
        "converted": True,
        "refusal": "",
        "statistics": {"tf-xnnpack": one},
        "under_test_s": 0.9,
        "wall_s": 1.0,
        "new": ["op:a", "flat:b"],
        "suspicions": [],
        **changes,
    }


def test_counts_and_shares() -> None:
    statistics = Statistics()
    for i in range(8):
        statistics.take(0, event(), i)
    statistics.take(0, event(built=False, converted=False, statistics={}, new=["op:c"]), 8)
    statistics.take(1, event(converted=False, refusal="no", statistics={}, restarts=2, recycled=1), 9)
    dead = {
        k: v
        for k, v in event(death="hang", new=[], restarts=3).items()
        if k not in ("built", "converted", "statistics")
    }
    statistics.take(0, dead, 9)
    snapshot = statistics.snapshot(10.0, [finding("one"), finding("two")], {finding("two").id})
    assert (snapshot.cases, snapshot.built, snapshot.converted, snapshot.refused, snapshot.compared) == (
        11,
        10,
        8,
        1,
        8,
    )
    assert snapshot.deaths == {"hang": 1} and snapshot.restarts == 5 and snapshot.recycled == 1
    assert snapshot.families == {"op": 2, "flat": 1} and snapshot.features == 3
    assert snapshot.overhead == pytest.approx(0.1) and snapshot.mean_cases_per_s == 1.1
    assert snapshot.valid_share == pytest.approx(10 / 11) and snapshot.conversion_share == pytest.approx(0.8)
    assert [t.title for t in snapshot.titles] == ["two", "one"] and snapshot.titles[0].this_run
    assert snapshot.mutators == {"insert_node": (11, 10)}
    cell = snapshot.grid["conv_bias"]["int8"]
    assert (cell.cases, cell.compared, sum(cell.histogram)) == (11, 8, 8)


def test_the_worst_are_kept_in_order() -> None:
    statistics = Statistics()
    for i in range(30):
        one = {"relative": ((i * 7) % 30) / 100, "to_tensorflow": 0, "steps": None, "specials": 0}
        statistics.take(0, event(case=str(i), statistics={"litert": one}), i)
    worst = [w.severity for w in statistics.snapshot(1.0, [], set()).worst]
    assert worst == sorted(worst, reverse=True) and len(worst) == MAX_WORST and worst[0] == 0.29


def test_the_rate_is_of_the_last_half_minute() -> None:
    statistics = Statistics()
    for i in range(100):
        statistics.take(0, event(), i * 0.1)
    assert statistics.rate(10.0) == pytest.approx(10, rel=0.05)
    assert statistics.rate(1000.0) == 0


def test_the_history_of_a_long_run_stays_small() -> None:
    statistics = Statistics()
    for second in range(8 * 3600):
        statistics.remember(float(second), 0)
    history = statistics.snapshot(1.0, [], set()).history
    assert MAX_HISTORY / 3 <= len(history) <= MAX_HISTORY
    times = [t for t, *_ in history]
    assert times == sorted(times) and times[-1] > 8 * 3600 - 300
    statistics.remember(8 * 3600 - 0.5, 170, last=True)
    assert statistics.snapshot(1.0, [], set()).history[-1][3] == 170, "what a finished campaign is said to have found"


@pytest.mark.parametrize(
    ("relative", "at"),
    [(-1.0, 0), (0.0, 0), (1e-20, 1), (5e-8, 1), (5e-7, 2), (0.5, 8), (1.0, 9), (float("inf"), 9), (float("nan"), 9)],
)
def test_histogram_buckets(relative: float, at: int) -> None:
    assert bucket(relative) == at


def test_a_snapshot_survives_json() -> None:
    statistics = Statistics()
    statistics.take(0, event(), 1)
    statistics.remember(1.0, 0)
    snapshot = statistics.snapshot(2.0, [finding()], set(), state="running", warnings=("a",))
    tree = json.loads(json.dumps(snapshot.to_json(), allow_nan=False))
    assert Snapshot.from_json(tree) == snapshot
    assert Snapshot.from_json({**tree, "of a newer release": 1}) == snapshot
    assert tree["valid_share"] == 1.0 and tree["state"] == "running"


# --- versions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"tensorflow": "missing"}, "TensorFlow is not installed"),
        ({"tensorflow": "2.12.1"}, "TensorFlow 2.12.1 is too old"),
        ({"tensorflow": "1.15"}, "too old"),
        ({"atheris": "missing"}, "atheris is not installed"),
        ({"ai-edge-litert": "missing"}, "ai-edge-litert is not installed"),
    ],
)
def test_releases_a_campaign_cannot_run_on(monkeypatch: pytest.MonkeyPatch, found: dict[str, str], says: str) -> None:
    monkeypatch.setattr(versions, "_version", lambda name: found.get(name, "2.21.0"))
    with pytest.raises(UserError, match=says):
        versions.check()


def test_a_newer_release_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_version", lambda name: "3.0.0rc1")
    (warning,) = versions.check()
    assert "newer than 2.21" in warning
    monkeypatch.undo()
    assert versions.installed().startswith("tensorflow ") and "python 3" in versions.installed()


SPACE = BlockSpace((Library("converter", "/c.so", "c", "", 100), Library("runtime", "/r.so", "r", "", 50)))


def test_blocks_are_counted_once_whoever_hits_them() -> None:
    statistics = Statistics()
    statistics.watch(SPACE, [3, 120])
    statistics.take(0, event(blocks=[1, 2, 3]), 1)
    statistics.take(1, event(blocks=[2, 149]), 1)
    statistics.remember(1.0, 0)
    snapshot = statistics.snapshot(1.0, [], set())
    assert snapshot.blocks == {"converter": 3, "runtime": 2} and snapshot.history[-1][4] == 5
    assert snapshot.all_blocks == {"converter": 100, "runtime": 50}


def test_without_native_coverage_there_are_no_blocks() -> None:
    statistics = Statistics()
    statistics.take(0, event(blocks=[]), 1)
    assert statistics.snapshot(1.0, [], set()).blocks == {}


def test_a_history_of_before_native_coverage_is_read() -> None:
    tree = {**Statistics().snapshot(2.0, [], set()).to_json(), "history": [[1.0, 2, 3, 4]]}
    assert Snapshot.from_json(tree).history == ((1.0, 2, 3, 4, 0),)
