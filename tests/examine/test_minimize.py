"""`minimize`: what a candidate shows, one a core, and going on where it was. Real defects are slow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fuzzer.build.values import samples_of
from fuzzer.case import Case, Inference, Model, Node, Recipe, decode
from fuzzer.cli import main
from fuzzer.errors import UserError
from fuzzer.examine import answering, saving
from fuzzer.examine import minimize as verb
from fuzzer.examine.answering import Answering
from fuzzer.examine.examiner import Examiner
from fuzzer.examine.minimize import FOLDER, minimize
from fuzzer.examine.observing import is_same
from fuzzer.execute import Executor, Zygote, ZygoteDiedError
from fuzzer.findings import FindingStore
from fuzzer.findings.inbox import Suspicion
from fuzzer.ops import TensorType
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.reduce import Answer, size
from tests.conftest import TINY

FLOAT = TensorType((2, 3), "float32")


def chain(*ops: str, **inference: object) -> Case:
    nodes = tuple(Node(op, (f"n{i - 1}" if i else "x0",)) for i, op in enumerate(ops))
    return Case(Model((FLOAT,), nodes, (f"n{len(ops) - 1}",)), inference=Inference(**inference))  # type: ignore[arg-type]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[Zygote]:
    """`minimize` without TensorFlow: tanh and elu crash, relu has wrong values. Returns the zygotes started."""
    monkeypatch.setenv("TINY_DEADLY", "tanh:abort,elu:segfault")
    monkeypatch.setenv("TINY_VALUE", "relu")
    started: list[Zygote] = []

    def start() -> Zygote:
        started.append(Zygote(TINY))
        return started[-1]

    monkeypatch.setattr(verb, "Zygote", start)
    return started


def file_of(folder: Path, case: Case) -> Path:
    path = folder / "mine.json"
    path.write_bytes(case.canonical)
    return path


@pytest.mark.parametrize("workers", [1, 3])
def test_a_file_is_minimised_beside_itself_and_then_runs_nothing(
    tmp_path: Path, tiny: list[Zygote], workers: int
) -> None:
    path = file_of(tmp_path, chain("sigmoid", "relu", "exp", "tanh", "neg"))
    said = minimize(tmp_path / "none", str(path), 60.0, workers)
    assert "from 5 nodes" in said and "to 1 node," in said and len(tiny) == 1
    small = decode(path.with_suffix(".minimal.json").read_bytes())
    assert [n.op for n in small.model.nodes] == ["tanh"] and not (tmp_path / "none").exists()
    assert minimize(tmp_path / "none", str(path), 60.0, workers) == said and len(tiny) == 1
    assert len(list((tmp_path / FOLDER).glob("*.jsonl"))) == 1


def test_what_is_only_plainer_is_called_so(tmp_path: Path, tiny: list[Zygote]) -> None:
    one = Case(Model((TensorType((1,), "float32"),), chain("tanh").model.nodes, ("n0",)))
    said = minimize(tmp_path, str(file_of(tmp_path, replace(one, inference=Inference(threads=2)))), 60.0, 1)
    assert "the same 1 node, 0 weight and 2 value elements, in plainer words; written to" in said


def test_a_stopped_run_goes_on_where_it_was(
    tmp_path: Path, tiny: list[Zygote], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path, chain("sigmoid", "relu", "exp", "tanh", "neg"))
    real, asked = Answering.__call__, []

    def stopped(self: Answering, case: Case) -> Answer:
        asked.append(case.id)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(self, case)

    monkeypatch.setattr(answering.Answering, "__call__", stopped)
    with pytest.raises(UserError, match=r"stopped.*mine.json is as it was.*goes on from there"):
        minimize(tmp_path, str(path), 60.0, 1)
    assert not path.with_suffix(".minimal.json").exists() and tiny[0].process.poll() is not None
    first = asked[:2]
    assert "to 1 node," in minimize(tmp_path, str(path), 60.0, 1)
    assert not set(first) & set(asked[3:]) and len(set(asked)) == len(asked) - 1  # the third came again


def test_a_smaller_case_of_a_finding_is_no_other_suspicion(
    tmp_path: Path, tiny: list[Zygote], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted no more than before, still says how it was found, and is as minimised as it is."""
    monkeypatch.setattr(saving, "run_script", lambda script: 1)
    found = chain("sigmoid", "relu", "exp", "neg")
    goal = Verdict(Stage.COMPARE, Kind.VALUE, "planted relu: wrong values", "tf-xnnpack")
    zygote = verb.Zygote()
    zygote.wait_ready()
    examiner = Examiner(zygote.path, FindingStore(tmp_path, create=True), "v", reduce_seconds=0.0)
    try:
        old = examiner.examine(Suspicion(found, goal, "2026-01-01T00:00:00+00:00")).finding
    finally:
        examiner.close()
        zygote.stop()
    assert old is not None and old.nodes == 4 and not old.minimised
    assert "stored as" in minimize(tmp_path, old.id, 60.0, 1)
    (new,) = FindingStore(tmp_path).findings()
    assert (new.id, new.count, new.nodes, new.minimised) == (old.id, 1, 1, True)
    assert new.found_as == found.id and decode((tmp_path / new.path / "case.json").read_bytes()) == found
    FindingStore(tmp_path).journal.append("finding", finding=replace(new, minimised=False).to_json(), counted=False)
    assert not FindingStore(tmp_path).get(old.id).minimised
    assert "as small as it gets" in minimize(tmp_path, old.id, 60.0, 1)
    (same,) = FindingStore(tmp_path).findings()
    assert same == new, "what a campaign had no time to find out is known now"


def test_a_folder_that_is_no_finding_is_told_before_anything_runs(tmp_path: Path, tiny: list[Zygote]) -> None:
    older = tmp_path / ".older" / "crash-1" / "1"
    older.mkdir(parents=True)
    (older / "minimal.json").write_bytes(chain("exp", "tanh").canonical)
    with pytest.raises(UserError, match="no finding '1'"):
        minimize(tmp_path, str(older), 60.0)
    assert not tiny


def test_a_case_that_shows_nothing(tmp_path: Path, tiny: list[Zygote]) -> None:
    path = file_of(tmp_path, chain("sigmoid", "exp"))
    with pytest.raises(UserError, match="shows nothing to keep"):
        minimize(tmp_path, str(path), 60.0)
    assert not list((tmp_path / FOLDER).glob("*")) and tiny[0].process.poll() is not None


def test_a_folder_that_cannot_be_written(tmp_path: Path, tiny: list[Zygote]) -> None:
    path = file_of(tmp_path, chain("exp", "tanh"))
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        minimize(tmp_path, str(path), 60.0)


def test_damaged_notes_are_made_again(tmp_path: Path, tiny: list[Zygote]) -> None:
    path = file_of(tmp_path, chain("exp", "tanh"))
    said = minimize(tmp_path, str(path), 60.0, 1)
    for file in (tmp_path / FOLDER).iterdir():
        file.write_bytes(b'{"kind": "crash"}\n\xff')
    assert minimize(tmp_path, str(path), 60.0, 1) == said and len(tiny) == 2


def test_another_defect_on_the_way_is_told(tmp_path: Path, tiny: list[Zygote]) -> None:
    """What is reduced dies of tanh; a candidate that dies of elu is another defect."""
    zygote = verb.Zygote()
    zygote.wait_ready()
    executor = Executor(zygote.path)
    try:
        seen = Answering(executor, Verdict(Stage.CONVERT, Kind.CRASH, ""))(chain("tanh"))
        assert not seen.holds and seen.other is not None and "planted for tanh" in seen.other.message
        ask = Answering(executor, seen.other)
        assert ask(chain("exp", "tanh")) == Answer(True) and ask(chain("exp")) == Answer(False)
        other = ask(chain("exp", "elu")).other
        assert other is not None and not is_same(other, seen.other) and "SIGSEGV" in other.message
        wrong = Verdict(Stage.COMPARE, Kind.VALUE, "planted relu: wrong values")
        ask = Answering(executor, wrong)
        assert ask(chain("relu")).holds
        assert ask(chain("relu", "tanh")).other == seen.other  # it died while confirming
    finally:
        executor.close()
        zygote.stop()


def test_the_verb_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["minimize", str(tmp_path / "none.json"), "--crashes", str(tmp_path)])
    assert ended.value.code == 2 and "no finding" in capsys.readouterr().err


# --- real -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_values_are_those_of_tensorflow(real: Executor) -> None:
    case = chain("relu", "exp", "is_nan", inputs=(Recipe("normal", 3), Recipe("huge", 1)))
    recorded = Answering(real, Verdict(Stage.COMPARE, Kind.VALUE, "")).record(case)
    first, second = samples_of(case)
    assert recorded["n0"][0] == tuple(float(str(v)) for v in np.maximum(first[0], 0).ravel())
    values = recorded["n1"][0]
    assert values is not None and np.allclose(np.array(values).reshape(2, 3), np.exp(np.maximum(first[0], 0)))
    assert recorded["n1"][1] is None and second[0].max() > 100  # JSON has no infinity
    assert recorded["n2"] == ((0.0,) * 6,) * 2
    assert Answering(real, Verdict(Stage.COMPARE, Kind.VALUE, "")).record(chain("exp", inputs=(Recipe(),)))["n0"]


@pytest.mark.slow
def test_a_real_defect_is_minimised_and_never_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """REVERSE_SEQUENCE has no int8 kernel, which the converter does not know: a real defect in a larger case."""
    folder = Path(__file__).parents[1] / "regressions"
    (source,) = folder.glob("allocate-error-reverse-sequence-int8-*.json")
    tree = json.loads(source.read_bytes())
    case = decode(json.dumps(tree.get("case", tree)))
    path = file_of(tmp_path, case)
    said = minimize(tmp_path, str(path), 200.0, 2)
    minimal = path.with_suffix(".minimal.json")
    small = decode(minimal.read_bytes()) if minimal.exists() else case
    assert [n.op for n in small.model.nodes] == ["reverse_sequence"] and size(small) <= size(case)
    assert small.conversion.scheme == "int8" and len(small.inference.runtimes) == 1

    def never() -> Zygote:
        raise ZygoteDiedError("nothing needs to run")

    monkeypatch.setattr(verb, "Zygote", never)
    assert minimize(tmp_path, str(path), 200.0, 2) == said
    with pytest.raises(UserError, match="nothing needs to run"):
        minimize(tmp_path, str(file_of(tmp_path, chain("exp"))), 9.0)  # of another case nothing is known
