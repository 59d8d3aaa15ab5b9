"""What waits in the inbox: the order, what is counted without a look, and that nothing is read twice for nothing."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from fuzzer.examine import waiting as module
from fuzzer.examine.facets import facets_of
from fuzzer.examine.ledger import SURE, Ledger
from fuzzer.examine.waiting import KEPT, REFRESH_S, Waiting
from fuzzer.findings import FindingStore, inbox
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.journal import Journal
from fuzzer.findings.titles import key_of
from fuzzer.oracles import Kind, Stage, Verdict
from tests.findings.samples import fill, finding
from tests.strategies import drawn_case

CASES = [drawn_case(seed) for seed in range(40)]
ERROR = Verdict(Stage.ALLOCATE, Kind.ALLOCATE_ERROR, "kernel.cc planted [ADD]", "tf-builtin")


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        self.now += REFRESH_S  # every look is a fresh one
        return self.now


def value(*operators: str) -> Verdict:
    return Verdict(Stage.COMPARE, Kind.VALUE, "values differ", "litert", evidence={"operators": list(operators)})


def suspicion(number: int, verdict: Verdict | None, found: str = "") -> Suspicion:
    case = CASES[number]
    case = replace(case, conversion=replace(CASES[0].conversion))
    return Suspicion(case, verdict, found or f"2026-01-01T00:00:{number:02}+00:00")


class Desk:
    """An inbox with its ledger and store."""

    def __init__(self, folder: Path) -> None:
        self.store = FindingStore(folder, create=True)
        self.start()

    def start(self) -> None:
        """As a campaign does that finds the folder."""
        self.store = FindingStore(self.store.folder)
        self.ledger = Ledger(self.store.findings(), self.store.accounts)
        self.waiting = Waiting(self.store, self.ledger, Clock())

    def put(self, *given: Suspicion) -> None:
        for one in given:
            inbox.save(self.store.folder, one)

    def take_all(self, explain: bool = False) -> list[Suspicion]:
        """Examines everything in order: each is run and comes to nothing, or is explained."""
        out = []
        while (taken := self.waiting.take()) is not None:
            name, found = taken
            self.ledger.looked(facets_of(found))
            if explain:
                self.ledger.explain(facets_of(found))
            self.waiting.done(name, 1.0)
            out.append(found)
        return out

    def files(self) -> list[str]:
        return sorted(e.name for e in os.scandir(self.store.folder / inbox.FOLDER) if e.is_file())

    def aside(self) -> list[str]:
        return sorted(p.name for p in (self.store.folder / inbox.FOLDER / inbox.ASIDE).glob("*"))

    def events(self, event: str) -> list[dict[str, Any]]:
        return [e for e in self.store.journal.read().events if e["event"] == event]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_promises_something_new_goes_first(desk: Desk) -> None:
    desk.put(suspicion(1, value("ADD")), suspicion(2, value("ADD")), suspicion(3, value("MUL")))
    desk.put(suspicion(4, value("SUB")), suspicion(5, value("SUB", "ADD")))
    desk.ledger.explain(facets_of(suspicion(0, value("SUB"))))
    taken = [one.case.id for one in desk.take_all()]
    order = [CASES[n] for n in (1, 3, 2, 4, 5)]
    assert taken[:3] == [suspicion(n, None).case.id for n in (1, 3, 2)], order
    assert set(taken[3:]) == {suspicion(n, None).case.id for n in (4, 5)}
    assert desk.files() == [] and desk.waiting.idle


def test_errors_and_values_share_the_time(desk: Desk) -> None:
    for n in range(8):
        verdict = replace(ERROR, message=f"planted {'abcdefgh'[n]}") if n % 2 else value(f"OP{n}")
        desk.put(suspicion(n, verdict))
    kinds = [one.verdict.kind for one in desk.take_all() if one.verdict is not None]
    assert [kinds.count(k) for k in (Kind.VALUE, Kind.ALLOCATE_ERROR)] == [4, 4]
    assert all(set(kinds[i : i + 2]) == {Kind.VALUE, Kind.ALLOCATE_ERROR} for i in range(0, 8, 2))


def test_nobody_gets_what_another_has_in_hand(desk: Desk) -> None:
    desk.put(suspicion(1, value("ADD")), suspicion(2, value("ADD")), suspicion(3, value("MUL")))
    first, other = desk.waiting.take(), desk.waiting.take()
    assert first is not None and other is not None
    assert facets_of(first[1]) != facets_of(other[1])
    assert desk.waiting.take() is None and not desk.waiting.idle
    desk.waiting.leave(first[0], again=True)
    again = desk.waiting.take()
    assert again is not None and facets_of(again[1]) == facets_of(first[1])
    desk.waiting.leave(again[0], again=False)
    third = desk.waiting.take()
    assert third is not None and third[0] != again[0] and again[0] in desk.files()
    desk.waiting.done(third[0])
    assert desk.waiting.take() is None, "what an internal error left comes up again"


def test_what_is_put_off_comes_up_when_its_like_is_through(desk: Desk) -> None:
    """Not before: it would be run again for each of those that others get through meanwhile."""
    desk.put(*(suspicion(n, value(op)) for n, op in enumerate(("ADD", "MUL", "SUB"), 1)))
    with desk.ledger.claim("like"):
        taken = [desk.waiting.take() for _ in range(3)]
        names = [one[0] for one in taken if one is not None]
        assert len(names) == 3
        desk.waiting.put_off(names[0], "like")
        assert desk.waiting.take() is None and not desk.waiting.idle
        desk.waiting.done(names[1])
        assert desk.waiting.take() is None, "its like is not through"
    again = desk.waiting.take()
    assert again is not None and again[0] == names[0], "nobody else need be through"
    desk.waiting.done(names[2])
    desk.waiting.done(names[0])
    assert desk.waiting.idle and desk.files() == []


def test_known_errors_are_counted_when_they_arrive(desk: Desk) -> None:
    key = key_of(ERROR, CASES[0].conversion.scheme)
    known = finding("allocate-error in allocate: planted", kind="allocate-error", ops=(), blame="", key=key, count=SURE)
    desk.store.add(known, fill())
    desk.start()
    desk.put(*(suspicion(n, ERROR) for n in range(5)), suspicion(6, replace(ERROR, message="another")))
    taken = desk.take_all()
    assert [one.verdict.message for one in taken if one.verdict] == ["another"]
    assert len(desk.events("seen")) == 5 and desk.files() == []
    assert {k.what for k in desk.waiting.take_counted()} == {"seen"} and not desk.waiting.take_counted()
    assert FindingStore(desk.store.folder).get(known.id).count == SURE + 5


def test_one_finding_is_not_enough_and_its_ops_must_be_there(desk: Desk) -> None:
    key = key_of(ERROR, CASES[0].conversion.scheme)
    title = "allocate-error in allocate: planted (no_such_op, int8)"
    desk.store.add(finding(title, kind="allocate-error", ops=("no_such_op",), key=key, count=9), fill())
    seen_once = replace(ERROR, message="seen once")
    desk.store.add(
        finding("once", kind="allocate-error", ops=(), key=key_of(seen_once, CASES[0].conversion.scheme)), fill()
    )
    desk.start()
    desk.put(suspicion(1, ERROR), suspicion(2, seen_once))
    assert len(desk.take_all()) == 2


def test_what_enough_others_promise_is_set_aside_and_no_facet_is_lost(desk: Desk) -> None:
    for n in range(20):
        desk.put(suspicion(n, value("ADD", "MUL")))
    desk.put(suspicion(21, value("ADD", "RARE")), suspicion(22, value("RARE")))
    assert desk.waiting.take() is not None
    set_aside = desk.events("alike")
    left = [inbox.load(desk.store.folder / inbox.FOLDER / name) for name in desk.files()]
    assert len(set_aside) + len(left) == 22 and set_aside
    assert all(not any("RARE" in facet for facet in event["facets"]) for event in set_aside)
    facets = Counter(facet for one in left for facet in facets_of(one))
    assert sum(n for facet, n in facets.items() if facet.endswith("|RARE")) == 2
    assert all(n >= KEPT for facet, n in facets.items() if not facet.endswith("|RARE"))
    assert {known.what for known in desk.waiting.take_counted()} == {"alike"}
    assert len(desk.aside()) == len(set_aside) == desk.waiting.set_aside
    assert {name.partition("-")[0] for name in desk.aside()} == {event["case"] for event in set_aside}


def test_what_was_set_aside_is_examined_once_nothing_else_waits(desk: Desk) -> None:
    given = [suspicion(n, value("ADD", "MUL")) for n in range(20)]
    desk.put(*given)
    taken = desk.waiting.take()
    assert taken is not None and desk.waiting.set_aside and not desk.waiting.idle
    desk.waiting.leave(taken[0], again=True)
    desk.start()  # the next campaign in the folder
    assert desk.waiting.set_aside == len(desk.aside()) > 0
    desk.put(suspicion(30, value("SUB")))
    examined = [one.case.id for one in desk.take_all()]
    assert Counter(examined) == Counter(one.case.id for one in [*given, suspicion(30, None)])
    assert examined.index(suspicion(30, None).case.id) < len(given) - len(desk.events("alike"))
    assert desk.waiting.idle and desk.aside() == desk.files() == [] and desk.waiting.set_aside == 0


def test_what_was_set_aside_may_be_known_by_the_time_it_comes_back(desk: Desk) -> None:
    key = key_of(ERROR, CASES[0].conversion.scheme)
    desk.put(*(suspicion(n, ERROR) for n in range(20)))
    first = desk.waiting.take()
    assert first is not None and desk.waiting.set_aside
    known = finding("allocate-error: planted", kind="allocate-error", ops=(), blame="", key=key, count=SURE)
    desk.store.add(known, fill())
    desk.ledger.remember(known)
    desk.ledger.account(facets_of(first[1]), known.id)
    desk.ledger.account(facets_of(first[1]), known.id)
    desk.waiting.done(first[0])
    assert desk.take_all() == [] and desk.waiting.idle and desk.aside() == []
    assert len(desk.events("seen")) == 19


def test_a_broken_file_set_aside_is_told_and_left_alone(desk: Desk) -> None:
    folder = desk.store.folder / inbox.FOLDER / inbox.ASIDE
    folder.mkdir(parents=True)
    (folder / "half.json").write_text("{")
    desk.start()
    assert desk.waiting.take() is None and desk.waiting.idle
    (told,) = desk.waiting.take_broken()
    assert "aside/half.json is left alone" in told and desk.aside() == ["half.json"]


def test_what_was_learnt_outlives_the_campaign(desk: Desk) -> None:
    desk.store.add(finding("value in compare: ADD"), fill())
    (facet,) = facets_of(suspicion(1, value("ADD")))
    desk.store.account(finding("value in compare: ADD").id, desk.ledger.account([facet], finding("x").id))
    desk.start()
    assert desk.ledger.interest([facet])[0] and desk.ledger.explainer([facet]) == desk.store.findings()[0]
    desk.put(suspicion(1, value("ADD")), suspicion(2, value("MUL")))
    assert desk.waiting.take() is not None and desk.waiting.alike == 1


def test_broken_and_vanished_files_are_told_once_or_not_at_all(desk: Desk) -> None:
    desk.put(suspicion(1, value("ADD")), suspicion(2, value("MUL")))
    (desk.store.folder / inbox.FOLDER / "half.json").write_text("{")
    gone = suspicion(1, value("ADD")).name
    taken = desk.waiting.take()
    assert taken is not None and len(desk.waiting.take_broken()) == 1
    other = suspicion(1, value("ADD")).name if taken[0] != gone else suspicion(2, value("MUL")).name
    (desk.store.folder / inbox.FOLDER / other).unlink()
    assert desk.waiting.take() is None and desk.waiting.take_broken() == []
    desk.waiting.done(taken[0])
    assert desk.files() == ["half.json"] and desk.waiting.idle


def test_a_file_is_read_when_it_is_new_and_when_it_is_taken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()
    load = inbox.load

    def counting(path: Path) -> Suspicion:
        reads[path.name] += 1
        return load(path)

    monkeypatch.setattr(module.inbox, "load", counting)
    desk.put(*(suspicion(n, value(f"OP{n}")) for n in range(30)))
    assert len(desk.take_all()) == 30
    assert set(reads.values()) == {2}


def test_a_full_inbox_is_picked_from_at_once(desk: Desk) -> None:
    """Groups by the thousand: a pick looks at a few of them. The files are the reader's business, not the order's."""
    entries = [
        module._Entry(f"{n:08}", f"{n:016x}-value.json", Kind.VALUE, (f"v|{n}",), frozenset(), False)
        for n in range(20_000)
    ]
    for entry in entries:
        desk.waiting._entries[entry.name] = entry
        desk.waiting._groups.setdefault(entry.group, []).append(entry)
        desk.waiting._push(entry.group)
    begun = perf_counter()
    picked = [desk.waiting._pop() for _ in range(200)]
    assert [entry.name for entry in picked if entry] == [entry.name for entry in entries[:200]]
    assert perf_counter() - begun < 1.0  # 5 ms a pick; sorting all of them took 100 ms


def test_threads_never_share_a_suspicion(desk: Desk) -> None:
    desk.put(*(suspicion(n, value(f"OP{n % 20}")) for n in range(40)))
    got: list[str] = []

    def work() -> None:
        while not desk.waiting.idle:
            taken = desk.waiting.take()
            if taken is not None:
                got.append(taken[0])
                desk.waiting.done(taken[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert sorted(got) == sorted(suspicion(n, value("ADD")).name for n in range(40)) and desk.files() == []


@pytest.mark.parametrize("known_first", [True, False])
def test_a_journal_that_refuses_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch, known_first: bool) -> None:
    key = key_of(ERROR, CASES[0].conversion.scheme)
    known = finding("allocate-error: planted", kind="allocate-error", ops=(), blame="", key=key, count=SURE)
    desk.put(suspicion(1, ERROR), suspicion(2, value("ADD")))
    if known_first:
        desk.store.add(known, fill())
        desk.start()
    else:
        assert not desk.waiting.idle  # both were read before anything was known
        desk.ledger.remember(known)
        desk.ledger.account([key, key], known.id)

    handed_out: list[str] = []

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as patched:
        patched.setattr("fuzzer.findings.journal.Journal.append", refuse)
        with pytest.raises(OSError, match="Cannot allocate"):
            while (taken := desk.waiting.take()) is not None:
                handed_out.append(taken[0])
    for name in handed_out:
        desk.waiting.leave(name, again=True)
    assert [one.verdict.kind for one in desk.take_all() if one.verdict] == [Kind.VALUE]
    assert len(desk.events("seen")) == 1 and desk.files() == [] and desk.waiting.idle


def test_a_slow_disk_holds_up_neither_the_screen_nor_the_count(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each suspicion that is only counted is a line of the journal, durably."""
    desk.put(*(suspicion(n, value("ADD")) for n in range(40)))
    append, longest = Journal.append, [0.0]

    def slow(self: Journal, event: str, **fields: Any) -> None:
        time.sleep(0.05)
        append(self, event, **fields)

    monkeypatch.setattr(Journal, "append", slow)
    worker = threading.Thread(target=desk.take_all)
    worker.start()
    while worker.is_alive():
        begun = perf_counter()
        assert 0 <= desk.waiting.alike <= 40
        longest[0] = max(longest[0], perf_counter() - begun)
        time.sleep(0.01)
    assert longest[0] < 1.0, "all of it takes more than a second"
    assert desk.events("alike") and desk.files() == [] and desk.waiting.idle


def test_what_is_not_read_yet_is_no_empty_inbox(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(ERROR, CASES[0].conversion.scheme)
    known = finding("allocate-error: planted", kind="allocate-error", ops=(), blame="", key=key, count=SURE)
    desk.store.add(known, fill())
    desk.start()
    desk.put(*(suspicion(n, ERROR) for n in range(5)))
    monkeypatch.setattr(module, "MAX_LOOK_S", -1.0)
    assert not desk.waiting.idle and len(desk.files()) == 4
    assert desk.waiting.take(stop=lambda: True) is None and len(desk.files()) == 3
    monkeypatch.setattr(module, "MAX_LOOK_S", 9.0)
    assert desk.waiting.idle and desk.files() == []
