"""The tripwire on the wheels themselves: TensorFlow as it is installed, and an older release from the index."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fuzzer.case import Case
from fuzzer.case.codec import from_json, to_json
from fuzzer.coverage import tables
from fuzzer.coverage.space import BlockSpace
from fuzzer.coverage.tripwire import Hits
from fuzzer.errors import GenerateAnother
from fuzzer.execute import Death, Executor, Limits, Reply, Zygote
from fuzzer.mutate import generate

CASES = 30
REGRESSIONS = Path(__file__).parents[1] / "regressions"
OLDER = "tensorflow-cpu==2.18.1"


@pytest.fixture(scope="module")
def space(real_zygote: Zygote) -> BlockSpace:
    found, problems = tables.ensure(real_zygote.libraries)
    assert problems == [] and set(found.totals) == {"converter", "runtime", "litert"}
    return found


@pytest.fixture
def hits(space: BlockSpace) -> Iterator[Hits]:
    made = Hits(space)
    yield made
    made.close()


def cases() -> Iterator[Case]:
    for seed in range(10 * CASES):
        try:
            yield generate(Random(seed))
        except GenerateAnother:
            continue


def outcome(executor: Executor, case: Case) -> dict[str, Any]:
    answer = executor.run({"call": "tests.coverage.checks:digests", "case": to_json(case)})
    if isinstance(answer, Death):
        return {"death": (answer.kind, answer.signal, answer.stage, answer.detail)}
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    assert "unwatched" not in answer.message, answer.message
    assert answer.message["holds"] is (executor.hits is not None)
    given: dict[str, Any] = answer.message["given"]
    return given


def outcomes(zygote: Zygote, wanted: list[Case], hits: Hits | None = None) -> list[dict[str, Any]]:
    executor = Executor(zygote.path, Limits(timeout_s=60.0), hits=hits)
    try:
        return [outcome(executor, case) for case in wanted]
    finally:
        executor.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_armed_cases_give_the_same_to_the_last_bit(real_zygote: Zygote, hits: Hits) -> None:
    drawn = [case for case, _ in zip(cases(), range(CASES), strict=False)]
    kept = [json.loads(path.read_bytes()) for path in sorted(REGRESSIONS.glob("*.json"))]
    # A bare case, or one with its verdict.
    wanted = drawn + [from_json(tree.get("case", tree)) for tree in kept]
    plain = outcomes(real_zygote, wanted)
    armed = outcomes(real_zygote, wanted, hits)
    reached = len(hits.take())
    differ = [i for i in range(len(wanted)) if plain[i] != armed[i]]
    # A case that TensorFlow itself does not compute alike twice says nothing about the tripwire.
    again = outcomes(real_zygote, [wanted[i] for i in differ])
    stable = [i for i, third in zip(differ, again, strict=True) if third == plain[i]]
    assert [(wanted[i].id, plain[i], armed[i]) for i in stable] == []
    assert len(differ) <= len(wanted) // 10
    assert sum(bool(given.get("flatbuffer")) for given in armed) > len(wanted) // 2
    assert reached > 60_000, "first hit of thirty different cases"


@pytest.mark.slow
def test_a_case_pays_once(real_zygote: Zygote, hits: Hits, space: BlockSpace) -> None:
    case = next(c for c in cases() if c.conversion.scheme == "float32" and c.conversion.dynamic == "none")
    executor = Executor(real_zygote.path, Limits(timeout_s=60.0), hits=hits)
    outcome(executor, case)
    first = hits.take()
    scopes = space.by_scope(first)
    assert len(first) > 15_000 and scopes["converter"] > 5_000 and scopes["runtime"] > 1_000
    outcome(executor, case)
    second = hits.take()
    # Not none at all: caches that the first run filled, tables that grow, memory that lies elsewhere.
    assert len(second) < len(first) // 100
    os.kill(executor.pid, 9)
    assert isinstance(executor.run({"call": "tests.coverage.checks:digests", "case": to_json(case)}), Death)
    outcome(executor, case)
    assert len(hits.take()) < len(first) // 100, "a fresh executor knows what is known"
    executor.close()


def conformance(python: str, cache: Path) -> dict[str, Any]:
    """What `conformance.py` says of the TensorFlow of an interpreter; everything is compiled and looked for anew."""
    package_root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [python, str(Path(__file__).with_name("conformance.py"))],
        env={**os.environ, "PYTHONPATH": package_root, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def conforms(report: dict[str, Any]) -> None:
    """Armed is as plain to the last bit, every int3 is accounted for, and only the first run of a model pays."""
    plain, armed = report["plain"], report["armed"]
    assert plain is not None and armed is not None, "TensorFlow died"
    assert armed["problem"] == ""
    assert armed["digests"] == plain["digests"] * 2
    assert plain["taken"] and armed["holds"], "LLVM installed a handler for SIGTRAP half-way, and it is behind ours"
    first, quantised, *again = armed["news"]
    assert first["converter"] > 5_000 and first["runtime"] > 2_000
    assert quantised["converter"] > 1_000
    assert all(sum(news.values()) < 300 for news in again)
    taken = sum(sum(news.values()) for news in armed["news"])
    assert armed["disarmed"] == sum(report["totals"].values()) - taken


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_release_that_is_installed_conforms(tmp_path: Path) -> None:
    conforms(conformance(sys.executable, tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_older_release_conforms(tmp_path: Path) -> None:
    """Installed from the package index into an environment of its own; 1 GB, a minute."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    done = subprocess.run(
        [str(venv / "bin" / "pip"), "install", "-q", "--no-cache-dir", OLDER, "capstone>=5,<6", "pyelftools"],
        capture_output=True,
        text=True,
    )
    try:
        if done.returncode != 0:
            pytest.skip(f"{OLDER} cannot be installed: {done.stderr.strip().rpartition(chr(10))[2]}")
        report = conformance(str(venv / "bin" / "python"), tmp_path / "cache")
        assert report["version"] == OLDER.partition("==")[2]
        conforms(report)
    finally:
        shutil.rmtree(venv, ignore_errors=True)
