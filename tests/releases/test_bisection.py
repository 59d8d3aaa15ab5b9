"""Whole bisections: an index in a folder, real pip, environments and processes; only TensorFlow is a few bytes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer.errors import UserError
from fuzzer.releases import Answer, Boundaries, bisect, catalogue
from fuzzer.releases.bisection import LITERT, TENSORFLOW, Bisector, package_of, sentence, version_in
from tests.findings.samples import finding
from tests.releases.fakes import BAD, BROKEN, GOOD, SCRIPT, releases, wheel

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
FOUND = finding(versions="tensorflow 2.19.0, ai-edge-litert 2.3.0, python 3.11.7")


@pytest.fixture(autouse=True)
def few_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls of pip instead of six: `test_catalogue` asks about all."""
    monkeypatch.setattr(catalogue, "PYTHONS", ("3.9", OWN))


def test_brought_in_and_mended(index: Path) -> None:
    versions = ["2.16.1", "2.16.2", "2.17.0", "2.17.1", "2.18.0", "2.18.1", "2.19.0", "2.20.0", "2.21.0"]
    releases(index, {v: BAD if "2.17.1" <= v < "2.20" else GOOD for v in versions})
    done = bisect(FOUND, SCRIPT)
    assert done.found == Boundaries("2.17.0", "2.17.1", "2.19.0", "2.20.0")
    assert 4 <= len(done.steps) < len(versions) and done.changes == 2
    assert sentence(done) == (
        "brought in by tensorflow 2.17.1 (2.17.0 is good); mended in 2.20.0 (2.19.0 is the last with it)"
    )


def test_what_cannot_run_is_stepped_over_and_told_why(index: Path) -> None:
    releases(index, {"2.16.1": BROKEN, "2.17.0": GOOD, "2.18.0": BROKEN, "2.19.0": BAD})
    wheel(index, "tensorflow-cpu", "2.20.0", GOOD, "cp39-none-any")
    bisector = Bisector(FOUND, SCRIPT)
    assert [v for v, _ in bisector.plan(everything=True).unsupported] in ([], ["2.20.0"])
    steps = {step.version: step for step in bisector.steps(everything=True)}
    assert steps["2.16.1"].outcome.why == steps["2.18.0"].outcome.why == "no attribute answer"
    assert steps["2.18.0"].outcome.answer is Answer.CANNOT
    found = bisector.result().found
    assert (found.last_good, found.first_bad) == ("2.17.0", "2.19.0")


def test_answers_are_kept_and_an_interrupted_search_goes_on(index: Path) -> None:
    releases(index, {"2.17.0": GOOD, "2.18.0": BAD, "2.19.0": BAD})
    first = next(Bisector(FOUND, SCRIPT).steps())
    assert (first.version, first.kept) == ("2.19.0", False)
    second = Bisector(FOUND, SCRIPT)
    assert (second.plan().kept, second.plan().to_install) == (1, 2)
    assert [step.version for step in second.steps()] == ["2.17.0", "2.18.0"]
    third = Bisector(FOUND, SCRIPT)
    assert third.plan().to_install == 0 and list(third.steps()) == []
    assert all(step.kept for step in third.result().steps) and third.result().found == second.result().found
    assert not any(step.kept for step in Bisector(FOUND, SCRIPT, again=True).steps())
    other = Bisector(FOUND, SCRIPT + "\n# another script\n")
    assert not any(step.kept for step in other.steps())


def test_a_narrower_question_undoes_no_wider_answer(index: Path) -> None:
    releases(index, {"2.17.0": GOOD, "2.18.0": BAD, "2.19.0": BAD})
    assert bisect(FOUND, SCRIPT).found == Boundaries("2.17.0", "2.18.0")
    narrow = bisect(FOUND, SCRIPT, bounds="2.19")
    assert [step.version for step in narrow.steps] == ["2.19.0"] and narrow.found == Boundaries("2.17.0", "2.18.0")


def test_damaged_answers_are_asked_again(index: Path) -> None:
    releases(index, {"2.19.0": BAD})
    bisect(FOUND, SCRIPT)
    (file,) = (index.parent / "cache" / "tflite-fuzzer" / "releases" / "answers").glob("*.json")
    assert json.loads(file.read_text())["answers"]["2.19.0"][0] == "bad"
    for damage in ("", "{", "[]", '{"schema": 99, "answers": {}}', '{"schema": 1, "answers": {"2.19.0": 3}}'):
        file.write_text(damage)
        (step,) = Bisector(FOUND, SCRIPT).steps()
        assert (step.kept, step.outcome.answer) == (False, Answer.BAD), damage


def test_nothing_shows_it(index: Path) -> None:
    releases(index, {"2.17.0": GOOD, "2.19.0": GOOD})
    done = bisect(FOUND, SCRIPT)
    assert done.found == Boundaries() and sentence(done).startswith(
        "no release that could run it shows the defect: 2.17"
    )


def test_nothing_can_run(index: Path) -> None:
    releases(index, {"2.17.0": BROKEN, "2.19.0": BROKEN})
    done = bisect(FOUND, SCRIPT)
    assert not done.answered and sentence(done).startswith("no release could run the script")


def test_to_and_fro_is_said(index: Path) -> None:
    releases(index, {"2.17.0": BAD, "2.18.0": GOOD, "2.19.0": BAD})
    assert "to and fro: --all" in sentence(bisect(FOUND, SCRIPT, everything=True))


def test_litert_is_bisected_beside_the_tensorflow_of_the_finding(index: Path) -> None:
    for version in ("2.18.0", "2.19.0"):
        wheel(
            index,
            "tensorflow-cpu",
            version,
            f"import ai_edge_litert\ndef answer(): return {version == '2.19.0'} and "
            "ai_edge_litert.__version__ >= '1.2'",
        )
    for version in ("1.0.1", "1.1.0", "1.2.0", "1.3.0"):
        wheel(index, "ai-edge-litert", version, "")
    script = SCRIPT.replace("import tensorflow", "import ai_edge_litert, tensorflow")
    blamed = replace(FOUND, runtimes=("litert",), versions="tensorflow 2.19.0, ai-edge-litert 1.3.0, python 3.11.7")
    done = bisect(blamed, script)
    assert done.package == LITERT and done.found == Boundaries("1.1.0", "1.2.0")


def test_which_package_is_bisected() -> None:
    uses = {"tensorflow", "ai_edge_litert"}
    assert package_of(replace(FOUND, runtimes=("litert",)), uses) == LITERT
    assert package_of(replace(FOUND, runtimes=("litert", "tf-xnnpack")), uses) == TENSORFLOW
    assert package_of(replace(FOUND, runtimes=("litert",)), {"tensorflow"}) == TENSORFLOW
    with pytest.raises(UserError, match="does not run LiteRT"):
        Bisector(FOUND, SCRIPT, LITERT)


@pytest.mark.parametrize(
    ("versions", "tensorflow"),
    [
        ("tensorflow 2.21.0, python 3.11.7", "2.21.0"),
        ("tensorflow missing", ""),
        ("", ""),
        ("xtensorflow 2.1", ""),
        ("ai-edge-litert 2.3.0, tensorflow 2.20.0rc1", "2.20.0rc1"),
    ],
)
def test_versions_of_a_finding(versions: str, tensorflow: str) -> None:
    assert version_in(versions, "tensorflow") == tensorflow


def test_a_script_that_is_none(index: Path) -> None:
    with pytest.raises(UserError, match=r"repro.py is no Python"):
        Bisector(FOUND, "def")
