"""What a replay makes of its runs, and what it leaves behind. With TensorFlow: tests/cli/test_cli.py."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from fuzzer.case import Case, Model, Node, pretty
from fuzzer.examine import replay as verb
from fuzzer.examine.examiner import Examiner
from fuzzer.examine.observing import REPEATS
from fuzzer.examine.replay import Replayed, Target, _one, all_targets, record
from fuzzer.execute import Zygote
from fuzzer.findings import FindingStore
from fuzzer.ops import TensorType
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.death import FRAME, KERNEL
from tests.conftest import TINY
from tests.findings.samples import VERDICT, fill, finding, store
from tests.strategies import drawn_case

AT = "2026-01-05T00:00:00+00:00"
DEATH = replace(VERDICT, kind=Kind.CRASH, severity=11.0, unit="signal")


@dataclass
class Seen:
    verdict: Verdict | None
    why: str = "it ended well"


@dataclass
class Runs:
    """An examiner whose runs are given; everything else of it is not asked for."""

    verdicts: list[Verdict | None]
    asked: int = field(default=0)

    def observe(self, case: object, verdict: object, *, fresh: bool, patient: bool) -> Seen:
        assert fresh and patient
        self.asked += 1
        return Seen(self.verdicts[self.asked - 1])


def replayed(verdicts: list[Verdict | None], goal: Verdict | None = DEATH) -> tuple[Replayed, int]:
    runs = Runs(verdicts)
    result = _one(cast(Examiner, runs), Target("id", "title", drawn_case(1), goal))
    return result, runs.asked


def test_the_first_run_that_shows_it_is_enough() -> None:
    result, asked = replayed([DEATH])
    assert (result.result, result.now, asked) == ("reproduced", "signal 11 (SIGSEGV), in the first fresh run", 1)


def test_one_that_only_a_later_run_shows_is_called_flaky() -> None:
    result, asked = replayed([None, None, DEATH])
    assert asked == REPEATS == 3
    assert result.result == "reproduced"
    assert result.now == "signal 11 (SIGSEGV), only in run 3 of 3: it looks flaky"


def test_gone_needs_every_run_and_says_how_they_ended() -> None:
    result, asked = replayed([None, None, None])
    assert (result.result, asked) == ("gone", 3)
    assert result.now == "0 of 3 fresh runs showed it: it ended well"


def test_another_verdict_in_between_is_changed() -> None:
    other = replace(DEATH, message="somewhere else")
    result, _ = replayed([None, other, None])
    assert (result.result, result.now) == ("changed", "crash: somewhere else")
    earlier = replace(DEATH, stage=Stage.CONVERT)
    named = {FRAME: "tflite::Eval", KERNEL: "ADD"}  # a kernel, which calibration runs too
    assert replayed([replace(earlier, evidence=named)], replace(DEATH, evidence=named))[0].result == "reproduced"
    assert replayed([earlier] * 3)[0].now == f"crash in convert: {DEATH.message}"  # it dies before it gets there
    assert replayed([None, other, None], goal=None)[0].result == "reproduced"  # any verdict will do


def test_a_bug_of_ours_at_one_finding_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_DEADLY", "tanh:abort")
    monkeypatch.setattr(verb, "Zygote", lambda: Zygote(TINY))
    good = Case(Model((TensorType((2,), "float32"),), (Node("tanh", ("x0",)),), ("n0",)))
    bad = replace(good, model=replace(good.model, outputs=("n7",)))  # which the executor cannot read
    first, second = verb.replay([Target("bad", "", bad, None), Target("good", "", good, None)])
    assert first.result == "skipped" and "internal error: " in first.now and "outputs" in first.now
    assert second.result == "reproduced"


@pytest.mark.parametrize(("severity", "unit", "said"), [
    (11.0, "signal", "signal 11 (SIGSEGV), "), (99.0, "signal", "signal 99 (unknown), "), (9.0, "steps", "9 steps, "),
    (1.0, "error", "in the first"),
])  # fmt: skip
def test_how_bad_it_is_is_said_with_its_unit(severity: float, unit: str, said: str) -> None:
    assert replayed([replace(DEATH, severity=severity, unit=unit)])[0].now.startswith(said)


def test_one_damaged_finding_does_not_hold_up_the_others(tmp_path: Path) -> None:
    made = FindingStore(tmp_path, create=True)
    for title, text in (("whole", pretty(drawn_case(1))), ("torn", '{"schema"'), ("empty", None)):

        def write(folder: Path, text: str | None = text) -> None:
            if text is not None:
                (folder / "minimal.json").write_text(text)

        made.add(finding(title), write)
    found, broken = all_targets(tmp_path)
    assert [target.title for target in found] == ["whole"]
    assert len(broken) == 2 and any(finding("torn").id in why and "is no case" in why for why in broken)
    assert any(finding("empty").id in why and "holds neither" in why for why in broken)


def test_the_outcome_is_in_journal_and_index(tmp_path: Path) -> None:
    from fuzzer.findings.index import read_index

    store(tmp_path, "one", "two")
    target = Target(finding("one").id, "one", drawn_case(1), VERDICT)
    assert record(tmp_path, Replayed(target, "gone", "0 of 3 fresh runs showed it: why"), AT) == ""
    one, two = (FindingStore(tmp_path).get(finding(name).id) for name in ("one", "two"))
    assert (one.replayed, one.replayed_at, one.replay_said) == ("gone", AT, "0 of 3 fresh runs showed it: why")
    assert two.replayed == ""
    assert {row["title"]: row["replayed"] for row in read_index(tmp_path)} == {"one": "gone", "two": ""}


def test_case_files_and_what_was_skipped_leave_no_trace(tmp_path: Path) -> None:
    FindingStore(tmp_path, create=True).add(finding("one"), fill())
    before = (tmp_path / "journal.jsonl").read_bytes()
    file = Target("case.json", "", drawn_case(1), None)
    assert record(tmp_path, Replayed(file, "reproduced", ""), AT) == ""
    skipped = Replayed(Target(finding("one").id, "one", drawn_case(1), None), "skipped", "not installed")
    assert record(tmp_path, skipped, AT) == ""
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_a_disk_that_refuses_is_said_and_the_answer_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, "one")

    def full(self: object, event: str, **fields: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fuzzer.findings.journal.Journal.append", full)
    target = Target(finding("one").id, "one", drawn_case(1), VERDICT)
    assert record(tmp_path, Replayed(target, "gone", "why"), AT) == "not stored: No space left on device"
