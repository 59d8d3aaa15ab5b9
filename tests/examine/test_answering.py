"""What a candidate of a reduction must still show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fuzzer.case import Case
from fuzzer.case.codec import from_json
from fuzzer.examine.answering import Answering
from fuzzer.examine.observing import Observer, is_as_plain, is_same
from fuzzer.execute import Executor
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.verdict import TOLERANCE

WRONG = Verdict(Stage.COMPARE, Kind.VALUE, "reference SUM (int8): wrong values", "tf-reference")


def normalised(*values: float) -> Case:
    """An int8 sum of squares, which the reference kernels get wrong, before a square root and a product."""
    return from_json(
        {
            "schema": 1,
            "model": {
                "inputs": [{"dtype": "float32", "shape": [2, len(values) // 2]}],
                "nodes": [{"op": "l2_normalize", "attrs": {"axis": 2, "epsilon": 1e-12}, "operands": ["x0"]}],
                "outputs": ["n0"],
                "patterns": [],
            },
            "conversion": {"scheme": "int8", "optimizations": "default"},
            "inference": {"inputs": [{"distribution": "literal", "values": list(values)}]},
        }
    )


def test_what_was_told_by_one_number_must_be_told_so_still() -> None:
    told = replace(WRONG, evidence={TOLERANCE: {"base": "tf-builtin", "errors": [0.1]}})
    assert is_as_plain(told, told) and is_as_plain(told, WRONG) and is_as_plain(WRONG, WRONG)
    assert not is_as_plain(WRONG, told)


@pytest.mark.slow
def test_a_kernel_that_is_wrong_where_nobody_sees_it_is_no_smaller_case(real: Executor) -> None:
    observer = Observer(real)
    shown = observer.observe(normalised(2.0, 1.0, 1.0, 1.0), WRONG).verdict
    hidden = observer.observe(normalised(0.0, 0.0), WRONG).verdict
    assert shown is not None and hidden is not None and is_same(hidden, shown)
    assert TOLERANCE in shown.evidence and TOLERANCE not in hidden.evidence
    kept, lost = (Answering(real, shown)(normalised(*v)) for v in ((2.0, 1.0, 1.0, 1.0), (0.0, 0.0)))
    assert kept.holds and not lost.holds and lost.other is None, "it is no second defect either"
    assert Answering(real, hidden)(normalised(0.0, 0.0)).holds
