"""What is known of keys, facets and findings."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from fuzzer.examine.ledger import EXAMINED_PER_KEY, SURE, Ledger
from fuzzer.findings.merging import as_sample_of
from fuzzer.oracles import Kind, Stage, Verdict
from tests.findings.samples import finding
from tests.strategies import drawn_case

CASE = drawn_case(3)
OPS = tuple(dict.fromkeys(node.op for node in CASE.model.nodes))
ERROR = Verdict(Stage.ALLOCATE, Kind.ALLOCATE_ERROR, "kernel.cc planted [ADD]", "tf-builtin")
VALUE = Verdict(Stage.COMPARE, Kind.VALUE, "optimised ADD (int8): wrong values", "tf-builtin", blame="ADD")


def error(**changes: Any) -> Any:
    plain = {"kind": "allocate-error", "key": "K", "ops": (), "blame": ""}
    return finding(**{"title": "allocate-error in allocate: planted", **plain, **changes})


def test_errors_are_recognised_once_enough_ended_under_a_title() -> None:
    ledger = Ledger([error(count=SURE - 1)])
    assert ledger.recognised(Kind.ALLOCATE_ERROR, ("K",), OPS, False) is None
    ledger.account(["K"], error().id)
    known = ledger.recognised(Kind.ALLOCATE_ERROR, ("K",), OPS, False)
    assert known is not None and known.id == error().id
    assert ledger.recognised(Kind.ALLOCATE_ERROR, ("another",), OPS, False) is None
    assert ledger.recognised(Kind.VALUE, ("K",), OPS, False) is None, "a difference does not name its defect"
    assert ledger.recognised(None, (), OPS, False) is None


def test_a_death_is_recognised_at_once_by_its_ops_or_its_stack() -> None:
    ledger = Ledger([finding("crash", kind="crash", key="K", ops=("no_such_op",), blame="")])
    assert ledger.recognised(Kind.CRASH, ("K",), OPS, False) is None
    assert ledger.recognised(Kind.CRASH, ("K",), OPS, True) is not None
    assert ledger.recognised(Kind.CRASH, ("K",), ("no_such_op", *OPS), False) is not None


def test_a_title_that_names_ops_needs_them() -> None:
    ledger = Ledger([error(title="error (tanh > elu, int8)", ops=("tanh", "elu"), count=SURE, nodes=2)])
    assert ledger.recognised(Kind.ALLOCATE_ERROR, ("K",), ("tanh",), False) is None
    assert ledger.recognised(Kind.ALLOCATE_ERROR, ("K",), ("tanh", "elu", "add"), False) is not None


@pytest.mark.parametrize(
    ("changes", "verdict", "is_known"),
    [
        ({}, VALUE, True),
        ({"nodes": 3}, VALUE, False),
        ({"minimised": False}, VALUE, False),
        ({"script_exit": 0}, VALUE, False),
        ({"script_exit": 2}, VALUE, False),
        ({"script_exit": 1}, VALUE, True),
        ({}, replace(VALUE, blame="converter"), False),
    ],
)
def test_a_small_sample_of_the_same_title_is_enough(changes: dict[str, Any], verdict: Verdict, is_known: bool) -> None:
    title = "value in compare: optimised ADD (int8): wrong values"
    ledger = Ledger([replace(finding(title), **{"nodes": 1, "key": "another", **changes})])
    assert (ledger.known("K", title, verdict, CASE) is not None) == is_known
    assert ledger.known("K", "value in compare: another", verdict, CASE) is None


def test_a_key_is_saturated_after_some() -> None:
    ledger = Ledger([finding("value in compare: planted", key="K", ops=(), blame="ADD", nodes=9)])
    for _ in range(EXAMINED_PER_KEY - 1):
        assert ledger.known("K", "t", VALUE, CASE) is None
        ledger.examined("K")
    assert ledger.known("K", "t", VALUE, CASE) is not None


def test_a_merged_title_and_its_key_are_known_too() -> None:
    one = finding("allocate-error: one", kind="allocate-error", ops=(), nodes=1, key="K")
    merged = replace(one, alternatives=("invoke-error: other",), other_keys=("L",))
    ledger = Ledger([merged])
    found = ledger.known("M", "invoke-error: other", ERROR, CASE)
    assert found is not None and found.id == one.id
    assert ledger.known("L", "anything", ERROR, CASE) is not None


def test_interest_never_falls() -> None:
    ledger = Ledger([])
    seen = [ledger.interest(("a", "b"))]
    for step in (lambda: ledger.looked(["a"]), lambda: ledger.looked(["b"]), lambda: ledger.account(["a"], "x")):
        step()
        seen.append(ledger.interest(("a", "b")))
    assert seen == sorted(seen) and seen[0] == (False, 0) and seen[-1][0]


def test_a_claim_is_exclusive_and_given_back() -> None:
    ledger = Ledger([])
    with ledger.claim("key") as ours, ledger.claim("key") as second, ledger.claim("other") as other:
        assert ours and not second and other
    with pytest.raises(RuntimeError), ledger.claim("key") as ours:
        assert ours
        raise RuntimeError
    with ledger.claim("key") as ours:
        assert ours


def test_a_waiting_claim_takes_turns() -> None:
    ledger, inside, most = Ledger([]), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with ledger.claim("filing", wait=True) as ours:
                assert ours
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert most == 1 and not any(thread.is_alive() for thread in threads)


# --- what must not be taken for a known defect ------------------------------------------------------------


def test_words_that_name_no_operator_are_no_name() -> None:
    """Every wrong shape says the same, whichever operator gives it."""
    title = "shape in compare: an output has another shape than TensorFlow gives (pad, float32)"
    ledger = Ledger([finding(title, kind="shape", ops=("pad",), blame="", key="K", count=9, nodes=1)])
    assert ledger.recognised(Kind.SHAPE, ("K",), ("pad", "slice"), False) is None


@pytest.mark.parametrize("title", ["converter-error: planted (while loop, int8)", f"converter-error: {'x' * 160}…"])
def test_a_title_whose_ops_go_by_another_name_or_are_cut_off_needs_them(title: str) -> None:
    known = error(title=title, kind="converter-error", ops=("lstm",), blame="", count=9, nodes=9)
    ledger = Ledger([known])
    assert ledger.recognised(Kind.CONVERTER_ERROR, ("K",), ("add",), False) is None
    assert ledger.recognised(Kind.CONVERTER_ERROR, ("K",), ("add", "lstm"), False) is not None
    failed = replace(ERROR, kind=Kind.CONVERTER_ERROR)
    assert ledger.known("K", "another", failed, CASE) is None, "minimised often enough, but without the op"


def test_a_delegate_that_names_itself_does_not_name_the_operator() -> None:
    key = "invoke-error|invoke|planted [TfLiteXNNPackDelegate]|int8"
    known = error(kind="invoke-error", blame="MUL (int8)", key=key, count=9, nodes=1)
    ledger = Ledger([known])
    assert ledger.recognised(Kind.INVOKE_ERROR, (key,), OPS, False) is None
    other = Verdict(Stage.INVOKE, Kind.INVOKE_ERROR, "planted [TfLiteXNNPackDelegate]", "litert", blame="ADD (int8)")
    assert ledger.known(key, "t", other, CASE) is None
    assert ledger.known(key, "t", replace(other, blame="MUL (int8)"), CASE) is not None
    merged = Ledger([known.merged(error(title="invoke-error in invoke: ADD (int8): planted"))])
    assert merged.known(key, "t", other, CASE) is not None, "both were found to be one defect"


def test_words_that_led_to_several_titles_are_run() -> None:
    one, other = (error(title=f"error ({scheme})", count=SURE) for scheme in ("int8", "int8, a switch"))
    assert Ledger([one]).recognised(Kind.ALLOCATE_ERROR, ("K",), OPS, False) is not None
    assert Ledger([one, other]).recognised(Kind.ALLOCATE_ERROR, ("K",), OPS, False) is None
    deaths = [replace(each, kind="crash") for each in (one, other)]
    assert Ledger(deaths).recognised(Kind.CRASH, ("K",), OPS, True) is not None, "too dear"


def test_who_died_tells_deaths_without_a_name_apart() -> None:
    known = finding("hang", kind="hang", key="K", ops=(), blame="", runtimes=("tf-xnnpack",), count=9)
    ledger = Ledger([known])
    assert ledger.recognised(Kind.HANG, ("K",), OPS, False, "tf-xnnpack") is not None
    assert ledger.recognised(Kind.HANG, ("K",), OPS, False, "tf-reference") is None
    assert ledger.recognised(Kind.HANG, ("K",), OPS, True, "tf-reference") is not None, "the stack names it"
    hung = Verdict(Stage.INVOKE, Kind.HANG, "no answer", "tf-reference")
    assert ledger.known("K", "t", hung, CASE) is None
    assert ledger.known("K", "t", replace(hung, runtime="tf-xnnpack"), CASE) is not None


@pytest.mark.parametrize("exits", [0, 2, -11])
def test_what_its_own_script_does_not_show_hides_nothing_behind_it(exits: int) -> None:
    """Five of six titles whose script exits 0 are false alarms: the sixth must have a chance to be confirmed."""
    ledger = Ledger([error(count=SURE, script_exit=exits)])
    assert ledger.recognised(Kind.ALLOCATE_ERROR, ("K",), OPS, False) is None
    ledger.examined("K")
    assert ledger.recognised(Kind.ALLOCATE_ERROR, ("K",), OPS, False) is not None, "enough were minimised"


def test_what_is_counted_while_a_sample_is_filed_stays_counted() -> None:
    first, second = finding("first", key="k1"), finding("second", key="k2")
    ledger = Ledger([first])
    better = as_sample_of(first, replace(second, nodes=1))
    ledger.count(first, "2030", 1.0)
    assert ledger.merged(first, second).count == 2
    ledger.count(first, "2031", 1.0)
    filed = ledger.filed(better)
    assert (filed.count, filed.nodes, filed.last_seen, filed.alternatives) == (4, 1, "2031", ("second",))
    assert ledger.finding(second.id) == filed
