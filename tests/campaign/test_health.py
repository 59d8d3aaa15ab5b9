"""Counting what gets through."""

from __future__ import annotations

from typing import Any

from fuzzer.campaign.health import MIN_CASES, Health, barren, builtins_of, wasted_share
from fuzzer.campaign.snapshot import Snapshot
from fuzzer.campaign.statistics import Statistics


def event(*ops: str, converted: bool = True, refusal: str = "", **more: Any) -> dict[str, Any]:
    return {
        "event": "case",
        "case": "c",
        "patterns": ["p"],
        "ops": list(ops),
        "scheme": "int8",
        "mutator": "generate",
        "restarts": 0,
        "recycled": 0,
        "built": True,
        "converted": converted,
        "accepted": converted,
        "refusal": refusal,
        "wall_s": 0.5,
        "under_test_s": 0.4,
        "new": [],
        "suspicions": [],
        **more,
    }


def test_a_case_counts_for_each_op_and_shares_its_seconds() -> None:
    health = Health()
    health.take(event("relu", "add", builtins=["RELU", "ADD"]), True)
    health.take(event("relu", converted=False, refusal="no such op", failure="no such op"), True)
    rates = health.rates()
    assert (rates["op"]["relu"].cases, rates["op"]["relu"].converted, rates["op"]["relu"].refused) == (2, 1, 1)
    assert rates["op"]["relu"].seconds == 0.75 and rates["op"]["add"].seconds == 0.25
    assert rates["op"]["relu"].why == "no such op" and rates["op"]["add"].why == ""
    assert rates["pattern"]["p"].cases == rates["scheme"]["int8"].cases == 2
    assert health.reached == {"RELU": {"int8": 1}, "ADD": {"int8": 1}}


def test_an_op_that_never_gets_through_is_named_once_it_was_tried_often() -> None:
    health = Health()
    for _ in range(MIN_CASES - 1):
        health.take(event("stuck", converted=False), True)
    assert barren(health.rates()["op"]) == [] and wasted_share(health.rates()["op"]) == 0
    health.take(event("stuck", converted=False), True)
    for _ in range(MIN_CASES):
        health.take(event("fine"), True)
    assert barren(health.rates()["op"]) == ["stuck"]
    assert wasted_share(health.rates()["op"]) == 0.5


def test_a_dead_case_is_neither_built_nor_converted_for_nothing() -> None:
    statistics = Statistics()
    dead = event("relu", death="crash")
    for key in ("built", "converted", "accepted", "under_test_s"):
        del dead[key]
    statistics.take(0, dead, 1.0)
    rate = statistics.health.rates()["op"]["relu"]
    assert (rate.cases, rate.built, rate.converted, rate.died) == (1, 1, 0, 1)


def test_custom_operators_are_no_builtins_and_the_snapshot_survives_json() -> None:
    statistics = Statistics()
    statistics.take(0, event("relu", builtins=["RELU", "custom:mine"]), 1.0)
    snapshot = statistics.snapshot(1.0, [], set())
    assert builtins_of(snapshot.reached) == ["RELU"] and snapshot.builtins == 1
    again = Snapshot.from_json(snapshot.to_json())
    assert again == snapshot and again.accepted_share == 1.0
