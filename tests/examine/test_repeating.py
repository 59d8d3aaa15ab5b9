"""What a minimal case is called after: what it says in fresh processes, and of that what was minimised."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer.case import Case, Inference, Model, Node
from fuzzer.examine import saving
from fuzzer.examine.answering import Answering
from fuzzer.examine.examiner import Examiner
from fuzzer.examine.observing import Observer
from fuzzer.execute import Executor, Limits, Zygote
from fuzzer.findings import FindingStore, inbox
from fuzzer.findings.inbox import Suspicion
from fuzzer.ops import TensorType
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.reduce import Answer

FOUND = "2026-01-01T00:00:00+00:00"
FIRST = Verdict(Stage.INVOKE, Kind.INVOKE_ERROR, "first.cc the input is not ready", "tf-builtin")
Examined = Callable[[str], Examiner]


def chain(*ops: str) -> Case:
    nodes = tuple(Node(op, (f"n{i - 1}" if i else "x0",)) for i, op in enumerate(ops))
    return Case(Model((TensorType((2, 3), "float32"),), nodes, (f"n{len(ops) - 1}",)), inference=Inference())


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Examined]:
    """An examiner whose small cases have the moods it is asked for."""
    monkeypatch.setattr(saving, "run_script", lambda script: 1)
    monkeypatch.setenv("MOODY_TURN", str(tmp_path / "turns"))
    made: list[tuple[Zygote, Examiner]] = []

    def make(moods: str) -> Examiner:
        monkeypatch.setenv("MOODY", moods)
        zygote = Zygote("tests.examine.moody")
        zygote.wait_ready(30.0)
        examiner = Examiner(zygote.path, FindingStore(tmp_path / "crashes", create=True), "v", reduce_seconds=20.0)
        made.append((zygote, examiner))
        return examiner

    yield make
    for zygote, examiner in made:
        examiner.close()
        zygote.stop()


@pytest.mark.parametrize(
    ("moods", "words", "nodes", "times"),
    [
        ("aaa", "first.cc", 1, 3),
        ("aab", "first.cc", 1, 2),
        ("ab-", "first.cc", 1, 1),
        ("bbb", "first.cc", 2, 3),
        ("---", "first.cc", 2, 3),
    ],
)
def test_the_title_is_of_what_was_minimised(moody: Examined, moods: str, words: str, nodes: int, times: int) -> None:
    examiner = moody(moods)
    outcome = examiner.examine(Suspicion(chain("relu", "tanh"), FIRST, FOUND))
    found = outcome.finding
    assert found is not None and outcome.what == "new"
    assert words in found.title and words in found.key
    assert (found.nodes, found.reproduced, found.minimised) == (nodes, times, nodes == 1)


def test_what_another_process_filed_meanwhile_is_known(moody: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen minimises while a campaign is at work: its smaller sample stays."""
    campaign, screen = moody("a"), moody("a")
    blamed = replace(FIRST, blame="RELU")  # so the title does not go by the ops that are left
    filed = screen.examine(Suspicion(chain("relu"), blamed, FOUND)).finding
    monkeypatch.setattr(Answering, "__call__", lambda self, case: Answer(False))
    outcome = campaign.examine(Suspicion(chain("relu", "tanh"), blamed, FOUND))
    assert filed is not None and outcome.what == "seen"
    (kept,) = campaign.store.findings()
    assert (kept.id, kept.nodes, kept.count) == (filed.id, 1, 2)


def test_nothing_is_filed_while_another_process_files(moody: Examined) -> None:
    """Between the look at the sample that is there and the new one in its place, no third sample may come."""
    campaign, screen = moody("a"), moody("a")
    suspicion = Suspicion(chain("relu"), FIRST, FOUND)
    with ThreadPoolExecutor(1) as pool:
        with screen.store.filing():
            working = pool.submit(campaign.examine, suspicion)
            with pytest.raises(TimeoutError):
                working.result(timeout=4.0)
            assert "repeating the minimal case" in campaign.doing and not screen.store.findings()
        outcome = working.result(timeout=30.0)
    assert outcome.what == "new" and len(screen.store.findings()) == 1


def test_what_the_smaller_case_shows_is_handed_on(moody: Examined) -> None:
    examiner = moody("b")
    examiner.examine(Suspicion(chain("relu", "tanh"), FIRST, FOUND))
    (handed,) = map(inbox.load, inbox.waiting(examiner.store.folder))
    assert len(handed.case.model.nodes) == 1
    assert handed.verdict is not None and "second.cc" in handed.verdict.message


def test_where_nothing_else_shows_it_is_called_what_it_shows(moody: Examined) -> None:
    """A case that cannot be made smaller, and says one thing in a used process and another in fresh ones."""
    examiner = moody("b")
    examiner.observe(chain("relu", "tanh"), FIRST)  # the process is used
    outcome = examiner.examine(Suspicion(chain("relu"), FIRST, FOUND))
    assert outcome.finding is not None and "second.cc" in outcome.finding.title and outcome.finding.reproduced == 3


def test_a_bug_of_ours_in_one_pass_ends_no_reduction(moody: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    """What raised here left the suspicion in the inbox, where each campaign tripped over it again."""
    monkeypatch.setenv("MOODY_BUG", "planted")
    examiner, alone = moody("a"), ("exp", "relu", "tanh")
    monkeypatch.setattr(Answering, "__call__", lambda self, case: Answer([n.op for n in case.model.nodes] == [*alone]))
    outcome = examiner.examine(Suspicion(chain(*alone), FIRST, FOUND))
    assert outcome.what == "new" and outcome.finding is not None and outcome.finding.nodes == 3


@pytest.mark.parametrize(("alarms", "words"), [("ft", "first.cc"), ("fft", "first.cc"), ("ff", ""), ("", "")])
def test_a_false_alarm_does_not_hide_what_is_said_after_it(
    moody: Examined, monkeypatch: pytest.MonkeyPatch, alarms: str, words: str
) -> None:
    """Of a case that was in flight when its driver died, or of a file, no verdict is known: all of them are tried."""
    said = {"f": replace(FIRST, message="false alarm"), "t": FIRST}
    monkeypatch.setenv("MOODY_ALARMS", json.dumps([said[alarm].to_json() for alarm in alarms]))
    outcome = moody("a").examine(Suspicion(chain("relu"), None, FOUND))
    assert (outcome.finding is not None) == bool(words)
    assert outcome.finding is None or words in outcome.finding.title


def test_what_is_only_slow_is_no_hang_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate of a reduction is given up at the campaign's time-out; the minimal case must take much longer."""
    monkeypatch.setenv("MOODY_ALARMS", "[]")
    monkeypatch.setenv("MOODY_BUSY_S", "0.9")
    zygote = Zygote("tests.examine.moody")
    zygote.wait_ready(30.0)
    executor = Executor(zygote.path, Limits(timeout_s=0.6))
    observer, goal = Observer(executor), Verdict(Stage.INVOKE, Kind.HANG, "no end")
    try:
        impatient = observer.observe(chain("relu"), goal, fresh=True).verdict
        assert impatient is not None and impatient.kind is Kind.HANG
        assert observer.repeatability(chain("relu"), impatient)[0] == 0
    finally:
        executor.close()
        zygote.stop()


def test_all_that_is_said_of_a_case_in_flight_is_examined(moody: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    second = replace(FIRST, message="second.cc the output is not there")
    said = [replace(FIRST, message="false alarm"), FIRST, second]
    monkeypatch.setenv("MOODY_ALARMS", json.dumps([verdict.to_json() for verdict in said]))
    examiner = moody("a")
    assert examiner.examine(Suspicion(chain("relu"), None, FOUND)).what == "new"
    (left,) = map(inbox.load, inbox.waiting(examiner.store.folder))
    assert (left.verdict, left.case, left.found) == (second, chain("relu"), FOUND)
