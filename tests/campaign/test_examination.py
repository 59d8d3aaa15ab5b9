"""Examiners at work: several over one inbox, on the tiny target."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fuzzer.campaign import examination as module
from fuzzer.campaign.examination import Examination
from fuzzer.examine import saving
from fuzzer.execute import Limits, Zygote
from fuzzer.findings import FindingStore, inbox
from fuzzer.findings.hiding import UNCONFIRMED, Hider
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.journal import Journal
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.verdict import STEADY, UNSTEADY
from tests.conftest import TINY
from tests.execute.processes import children
from tests.strategies import drawn_case

FOUND = "2026-01-01T00:00:00+00:00"
ABORT = Verdict(Stage.CONVERT, Kind.CRASH, "SIGABRT: planted", "converter")


def cases_with(*ops: str, count: int, without: tuple[str, ...] = ()) -> list[Any]:
    found = []
    for seed in range(20_000):
        case = drawn_case(seed)
        names = {node.op for node in case.model.nodes}
        if names & set(ops) and not names & set(without):
            found.append(case)
        if len(found) == count:
            return found
    raise AssertionError(f"no {count} cases with {ops}")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zygote]:
    """A zygote whose target computes relu and tanh wrong, tanh now so and now so, and dies of elu."""
    monkeypatch.setenv("TINY_VALUE", "relu,tanh")
    monkeypatch.setenv("TINY_WORDS", f"tanh:{UNSTEADY}")
    monkeypatch.setenv("TINY_DEADLY", "elu:abort")
    monkeypatch.setattr(saving, "run_script", lambda script: 1)
    zygote = Zygote(TINY)
    zygote.wait_ready(30.0)
    yield zygote
    zygote.stop()


def value(op: str, number: int) -> Verdict:
    evidence = {"runtimes": ["tf-xnnpack"], "operators": [op.upper(), f"OTHER_{number}"]}
    return Verdict(Stage.COMPARE, Kind.VALUE, "values differ", "tf-xnnpack", 5.0, "steps", evidence=evidence)


def fill(crashes: Path) -> int:
    """An inbox of three defects and some that are none; how many."""
    FindingStore(crashes, create=True)
    given = [Suspicion(case, ABORT, FOUND) for case in cases_with("elu", count=6)]
    for op, count, without in (
        ("relu", 8, ("elu",)),
        ("tanh", 8, ("elu", "relu")),
        ("add", 4, ("elu", "relu", "tanh")),
    ):
        cases = cases_with(op, count=count, without=without)
        given += [Suspicion(case, value(op, n), FOUND) for n, case in enumerate(cases)]
    for suspicion in given:
        inbox.save(crashes, suspicion)
    return len({suspicion.name for suspicion in given})


def examination(zygote: Zygote, crashes: Path, examiners: int, tmp_path: Path) -> Examination:
    return Examination(zygote, crashes, "none 1.0", Limits(timeout_s=5.0), tmp_path, examiners)


def ended(crashes: Path) -> Counter[str]:
    """Suspicions by what the journal says of them."""
    events = FindingStore(crashes).journal.read().events
    return Counter(e["event"] for e in events if e["event"] in ("finding", "seen", "dismissed", "alike", "alternative"))


@pytest.mark.parametrize("examiners", [1, 4])
def test_every_suspicion_is_told_of_once(planted: Zygote, tmp_path: Path, examiners: int) -> None:
    crashes = tmp_path / "crashes"
    given = fill(crashes)
    work = examination(planted, crashes, examiners, tmp_path)
    work.start()
    work.drain()
    assert work.join(60.0), work.activity
    assert list((crashes / inbox.FOLDER).iterdir()) == []
    assert work.warnings.empty()
    counts = ended(crashes)
    assert counts["finding"] + counts["seen"] + counts["dismissed"] + counts["alike"] == given, counts
    findings = FindingStore(crashes).findings()
    titles = {f.title for f in findings}
    assert {t for t in titles if "relu" in t} and {t for t in titles if "tanh" in t}
    assert sum("SIGABRT" in t for t in titles) == 1
    assert all((crashes / f.path / "minimal.json").is_file() for f in findings)
    assert counts["dismissed"] == 4
    assert work.clock.totals()["minimise"][0] >= 3 and work.activity == ""


def test_two_never_minimise_one_key(planted: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashes = tmp_path / "crashes"
    fill(crashes)
    at_work: Counter[str] = Counter()
    most: Counter[str] = Counter()
    settle = module.Examiner._settle

    def watched(self: Any, suspicion: Suspicion, verdict: Verdict, key: str, stop: Any) -> Any:
        at_work[key] += 1
        most[key] = max(most[key], at_work[key])
        try:
            return settle(self, suspicion, verdict, key, stop)
        finally:
            at_work[key] -= 1

    monkeypatch.setattr(module.Examiner, "_settle", watched)
    work = examination(planted, crashes, 4, tmp_path)
    work.start()
    work.drain()
    assert work.join(60.0)
    assert len(most) >= 3 and set(most.values()) == {1}


def test_a_zygote_that_dies_costs_nothing(planted: Zygote, tmp_path: Path) -> None:
    crashes = tmp_path / "crashes"
    given = fill(crashes)
    work = examination(planted, crashes, 2, tmp_path)
    work.start()
    end = time.monotonic() + 30.0
    while not ended(crashes) and time.monotonic() < end:
        time.sleep(0.02)
    planted.process.kill()
    planted.process.wait()
    time.sleep(0.3)
    planted.restart()
    planted.wait_ready(30.0)
    work.drain()
    assert work.join(60.0), work.activity
    assert work.warnings.empty() and sum(ended(crashes).values()) == given


def test_an_internal_error_stops_nobody(planted: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashes = tmp_path / "crashes"
    given = fill(crashes)
    bad = next(iter(sorted((crashes / inbox.FOLDER).iterdir()))).name
    examine = module.Examiner.examine

    def failing(self: Any, suspicion: Suspicion, stop: Any) -> Any:
        if suspicion.name == bad:
            raise ValueError("planted by the test")
        return examine(self, suspicion, stop)

    monkeypatch.setattr(module.Examiner, "examine", failing)
    work = examination(planted, crashes, 3, tmp_path)
    work.start()
    work.drain()
    time.sleep(0.1)
    end = time.monotonic() + 60.0
    while work.running and time.monotonic() < end:
        time.sleep(0.05)
    assert not work.running
    assert [path.name for path in (crashes / inbox.FOLDER).iterdir()] == [bad]
    assert "planted by the test" in work.warnings.get() and work.warnings.empty()
    assert sum(ended(crashes).values()) == given - 1


def test_a_disk_that_refuses_is_told_once(planted: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashes = tmp_path / "crashes"
    given = fill(crashes)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fuzzer.findings.journal.Journal.append", refuse)
    work = examination(planted, crashes, 3, tmp_path)
    work.start()
    assert work.join(60.0)
    assert "No space left" in work.warnings.get() and work.warnings.empty()
    assert len(list((crashes / inbox.FOLDER).iterdir())) == given


def test_a_refusal_that_passes_does_not_end_the_night(
    planted: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = tmp_path / "crashes"
    given = fill(crashes)
    append, left = Journal.append, [2, 2]

    def refuse_some(self: Journal, event: str, **fields: Any) -> None:
        which = event != "seen"
        if left[which]:
            left[which] -= 1
            raise OSError(12, "Cannot allocate memory")
        append(self, event, **fields)

    monkeypatch.setattr(module, "_REFUSED_S", 0.01)
    monkeypatch.setattr(Journal, "append", refuse_some)
    work = examination(planted, crashes, 1, tmp_path)
    work.start()
    work.drain()
    assert work.join(60.0) and work.warnings.empty()
    assert left == [0, 0] and sum(ended(crashes).values()) >= given and inbox.count(crashes) == 0


def test_hurry_leaves_the_rest_in_the_inbox(planted: Zygote, tmp_path: Path) -> None:
    crashes = tmp_path / "crashes"
    given = fill(crashes)
    work = examination(planted, crashes, 2, tmp_path)
    work.start()
    work.hurry()
    assert work.join(20.0)
    assert sum(ended(crashes).values()) + len(list((crashes / inbox.FOLDER).iterdir())) == given
    assert children(planted.process.pid, "fuzzer.execute.zygote") == []


# --- what the reproducer says -----------------------------------------------------------------------------


def examined(zygote: Zygote, crashes: Path, tmp_path: Path, suspicion: Suspicion) -> None:
    FindingStore(crashes, create=True)
    inbox.save(crashes, suspicion)
    work = examination(zygote, crashes, 1, tmp_path)
    work.start()
    work.drain()
    assert work.join(60.0) and work.warnings.empty()


@pytest.mark.parametrize(
    ("exits", "stored", "journalled", "hidden"),
    [
        ([1], 1, [], None),
        ([0, 1], 1, [], None),
        ([0, 0], 0, [0, 0], UNCONFIRMED),
        ([-11, 1, 1], 1, [], None),
        ([2, -11, 2, 2], 2, [2, 2], None),
        ([-11, 2, 0, 0], 0, [0, 0], UNCONFIRMED),
        ([-2], -2, [], None),
    ],
)
def test_a_script_that_does_not_show_it_has_a_second_try(
    planted: Zygote,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exits: list[int],
    stored: int,
    journalled: list[int],
    hidden: str | None,
) -> None:
    left = iter(exits)
    monkeypatch.setattr(saving, "run_script", lambda script: next(left))
    crashes = tmp_path / "crashes"
    (case,) = cases_with("relu", count=1, without=("elu", "tanh"))
    examined(planted, crashes, tmp_path, Suspicion(case, value("relu", 1), FOUND))
    (found,) = FindingStore(crashes).findings()
    assert found.script_exit == stored and next(left, None) is None
    script = (crashes / found.path / "repro.py").read_text()
    assert ("--child" in script) == (-11 in exits), "one that was killed watches itself"
    told = [e for e in FindingStore(crashes).journal.read().events if e["event"] == "unconfirmed"]
    assert [e["exits"] for e in told] == ([journalled] if journalled else [])
    assert all(e["shown"] and e["id"] == found.id for e in told)
    off = Hider()(found)
    assert (off.why if off else None) == hidden
    assert Hider()(replace(found, kind="crash")) is None, "a death may need the heap that it met"


@pytest.mark.parametrize("said", [True, False])
def test_a_death_in_our_own_audit_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bool) -> None:
    """It runs operators on operands of its own; the case itself, which may have been in flight, lives."""
    monkeypatch.setenv("TINY_AUDIT", "relu")
    zygote = Zygote(TINY)
    zygote.wait_ready(30.0)
    crashes = tmp_path / "crashes"
    (case,) = cases_with("relu", count=1)
    death = Verdict(Stage.BUILD, Kind.CRASH, "SIGABRT", "tensorflow", 6.0, "signal")
    try:
        examined(zygote, crashes, tmp_path, Suspicion(case, death if said else None, FOUND))
    finally:
        zygote.stop()
    assert FindingStore(crashes).findings() == [] and ended(crashes)["dismissed"] == 1


@pytest.mark.parametrize(
    ("exits", "stored", "steady"), [([1], 1, False), ([0, 1], 1, False), ([0, 0, 1], 1, True), ([0, 0, 0, 0], 0, True)]
)
def test_what_is_always_the_same_in_its_model_is_held_against_what_is_right(
    planted: Zygote,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exits: list[int],
    stored: int,
    steady: bool,
) -> None:
    """An operator that reads what nobody wrote may read the same each time where other tensors lie beside it."""
    left = iter(exits)
    monkeypatch.setattr(saving, "run_script", lambda script: next(left))
    crashes = tmp_path / "crashes"
    (case,) = cases_with("tanh", count=1, without=("elu", "relu"))
    examined(planted, crashes, tmp_path, Suspicion(case, value("tanh", 1), FOUND))
    (found,) = FindingStore(crashes).findings()
    assert found.title.endswith(UNSTEADY) and found.script_exit == stored and next(left, None) is None
    script = (crashes / found.path / "repro.py").read_text()
    assert ("same bits" in script) != steady
    told = json.loads((crashes / found.path / "verdict.json").read_text())
    assert told["evidence"].get(STEADY, False) == steady


@pytest.mark.parametrize("exits", [0, 2])
def test_a_sample_whose_script_shows_it_replaces_one_whose_does_not(
    planted: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exits: int
) -> None:
    crashes = tmp_path / "crashes"
    one, other = cases_with("relu", count=2, without=("elu", "tanh"))
    monkeypatch.setattr(saving, "run_script", lambda script: exits)
    examined(planted, crashes, tmp_path, Suspicion(one, value("relu", 1), FOUND))
    monkeypatch.setattr(saving, "run_script", lambda script: 1)
    examined(planted, crashes, tmp_path, Suspicion(other, value("relu", 2), FOUND))
    findings = FindingStore(crashes).findings()
    assert [f.script_exit for f in findings if f.blame == "relu"] == [1]


def test_a_smaller_sample_whose_script_does_not_show_it_hides_nothing(
    planted: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was confirmed once stays on the main list."""
    crashes = tmp_path / "crashes"
    one, other = cases_with("relu", count=2, without=("elu", "tanh"))
    examined(planted, crashes, tmp_path, Suspicion(one, value("relu", 1), FOUND))
    (known,) = FindingStore(crashes).findings()
    (crashes / known.path / "minimal.json").unlink()  # any sample is smaller now
    monkeypatch.setattr(saving, "run_script", lambda script: 0)
    monkeypatch.setattr("fuzzer.examine.ledger._is_small", lambda finding: False)
    examined(planted, crashes, tmp_path, Suspicion(other, value("relu", 2), FOUND))
    (found,) = FindingStore(crashes).findings()
    assert (found.script_exit, found.count, found.case) == (1, 2, known.case) and Hider()(found) is None


def test_a_script_says_the_title_that_its_finding_has_in_the_end(
    planted: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it ran, another examiner filed the same defect under another title."""
    (case,) = cases_with("relu", count=1, without=("elu", "tanh"))
    examined(planted, tmp_path / "before", tmp_path, Suspicion(case, value("relu", 1), FOUND))
    (alone,) = FindingStore(tmp_path / "before").findings()
    twin = replace(alone, id="0" * 12, title="value in compare: told otherwise", path="told-otherwise")
    crashes = tmp_path / "crashes"
    FindingStore(crashes, create=True)
    inbox.save(crashes, Suspicion(case, value("relu", 1), FOUND))
    work = examination(planted, crashes, 1, tmp_path)

    def meanwhile(script: str) -> int:
        assert alone.title in script
        work._ledger.remember(twin)
        return 1

    monkeypatch.setattr(saving, "run_script", meanwhile)
    work.start()
    work.drain()
    assert work.join(60.0) and work.warnings.empty()
    (found,) = FindingStore(crashes).findings()
    script = (crashes / found.path / "repro.py").read_text()
    assert found.title == twin.title and twin.title in script and alone.title not in script
    assert found.alternatives == (alone.title,)
