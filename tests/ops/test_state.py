"""Variables: fresh for every eager sample, tracked by the SavedModel, left as they were found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fuzzer.execute import Executor, Reply
from fuzzer.ops import registry
from tests.ops.nodes import drawn_case

pytestmark = pytest.mark.slow

STATEFUL = [name for name, op in registry().items() if any(s.variable for s in drawn_case(op, 0).model.typed[0].slots)]


@pytest.mark.parametrize("name", STATEFUL)
def test_every_sample_finds_the_same_state(real: Executor, name: str) -> None:
    """Samples are equal, so their results must be, in TensorFlow and in every runtime."""
    case = drawn_case(registry()[name], 1)
    twice = replace(case.inference, inputs=(case.inference.inputs[0],) * 2)
    case = replace(case, conversion=replace(case.conversion, entry="saved_model"), inference=twice)
    answer = real.run({"call": "tests.ops.checks:repeated", "case": case.canonical.decode()})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    assert answer.message["wrong"] == [] and answer.message["runtimes"] == 4


def test_there_are_ops_with_state() -> None:
    assert {"accumulate", "counter"} <= set(STATEFUL)
