"""Counters and features without libFuzzer; with it, see tests/campaign (crossover and mutators are counted there)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fuzzer.coverage.counters import BLOCKS_A_CASE, COUNTERS, Counters, NoLibFuzzerError
from fuzzer.coverage.features import FAMILIES, bucket, features
from fuzzer.execute.record import CaseRun, Failure
from tests.strategies import drawn_case

ROOT = Path(__file__).parents[2]


def test_a_feature_is_fresh_once() -> None:
    counters = Counters()
    assert counters.hit(["a", "b"]) == ["a", "b"]
    assert counters.hit(["b", "c", "c"]) == ["c"]
    assert counters.hit([]) == [] and len(counters) == 3


def test_a_full_table_does_not_hide_what_is_new() -> None:
    counters = Counters()
    assert len(counters.hit(str(i) for i in range(COUNTERS + 10))) == COUNTERS + 10
    assert counters.hit(["more"]) == ["more"] and len(counters) == COUNTERS
    assert counters.hit(["more"]) == [], "what is new is told, and once, even when nobody counts it any more"
    assert COUNTERS < 262_144, "libFuzzer's feature table has 2^21 places, 8 a counter"


def test_registration_needs_libfuzzer() -> None:
    with pytest.raises(NoLibFuzzerError):
        Counters().register()


PROBE = """
import os, sys
import atheris
from fuzzer.coverage.counters import Counters
counters, seen = Counters(), set()
def test(data):
    if not counters.registered:
        counters.register()
    # A magic prefix, one character a feature: found only when libFuzzer is led by our counters.
    hit = 0
    while hit < 4 and data[hit:hit + 1] == b"FUZZ"[hit:hit + 1]:
        hit += 1
    counters.hit(f"prefix:{i}" for i in range(hit + 1))
    if hit == 4:
        print("found", flush=True)
        os._exit(0)
calls = [0, 0]
def mutator(data, size, seed):
    calls[0] += 1
    return atheris.Mutate(data, size)
arguments = [sys.argv[0], "-seed=1", "-runs=3000000", "-max_len=6", "-verbosity=0"]
atheris.Setup(arguments, test, custom_mutator=mutator, internal_libfuzzer=True)
atheris.Fuzz()
"""


def test_libfuzzer_is_really_led_by_our_counters() -> None:
    """Four bytes by chance are one in 4e9; step by step they are found at once."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "found" in done.stdout, done.stderr[-2000:]


# --- features ---------------------------------------------------------------------------------------------


def test_features_of_cases_that_went_no_further() -> None:
    for seed in range(50):
        case = drawn_case(seed, 3)
        record = CaseRun(case)
        record.build_failure = Failure("ValueError", "error: something at /tmp/x 0x7f 12\nmore")
        found = features(record, [], {})
        assert found == sorted(set(found)) and all(f.split(":", 1)[0] in FAMILIES for f in found)
        assert sum(f.startswith("op:") for f in found) == len({(t.node.op, t.type.dtype) for t in case.model.typed})
        assert sum(f.startswith("entry:") for f in found) == 1 and "msg:build/something at <path> <address> N" in found


@pytest.mark.parametrize(
    ("relative", "name"),
    [(0.0, "0"), (1e-30, "-8"), (1e-7, "-7"), (0.05, "-2"), (1.0, "0+"), (float("inf"), "0+"), (float("nan"), "0+")],
)
def test_buckets(relative: float, name: str) -> None:
    assert bucket(relative) == name


def test_blocks_and_features_have_slots_of_their_own() -> None:
    counters = Counters()
    assert counters.hit(["1", "2"]) == ["1", "2"]
    assert counters.hit([1, 2]) == [1, 2] and len(counters) == 4


def test_a_flood_of_blocks_takes_few_counters() -> None:
    counters = Counters()
    counters.hit_blocks(range(30_000))
    assert len(counters) == BLOCKS_A_CASE and all(counters._bytes[:BLOCKS_A_CASE])
    counters.hit_blocks([40_000])
    assert len(counters) == BLOCKS_A_CASE + 1


def test_what_is_only_learnt_is_not_counted() -> None:
    counters = Counters()
    assert counters.learn(["a", "b", "a"]) == ["a", "b"]
    assert not any(counters._bytes[:2]) and counters.hit(["a"]) == []
    assert list(counters._bytes[:2]) == [1, 0]
