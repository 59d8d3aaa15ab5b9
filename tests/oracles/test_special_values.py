"""NaN, infinity and negative zero: the table of what TensorFlow defines, and what is made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.errors import GenerateAnother
from fuzzer.examine.propagated import MAX_LOOKS, Propagated
from fuzzer.examine.saving import run_script
from fuzzer.execute import Executor, Reply
from fuzzer.findings.inbox import Suspicion
from fuzzer.mutate import generate
from fuzzer.ops import TensorType, registry
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.special_values import CLASSES, RESULTS, SPECIALS, TABLE_FILE, encoded, lookup, outcome, table
from fuzzer.oracles.verdict import GIVEN, SPECIAL_OPERANDS
from fuzzer.reproducer.script import reproducer
from tests.findings.samples import finding, suspicion

# --- the table --------------------------------------------------------------------------------------------


def test_every_cell_is_well_formed() -> None:
    for name, row in table().items():
        assert name == name.upper() and row.cells and row.rule in ("elementwise", "reduce", "window", "products")
        assert set(row.cells.values()) <= set(RESULTS)
        for key in row.cells:
            parts = key.split(",") if row.rule in ("elementwise", "products") else key.split(" ")
            assert set(parts) <= set(CLASSES) and set(parts) & set(SPECIALS)
            assert row.rule in ("reduce", "window") or len(parts) == row.operands


def test_elementwise_rows_are_complete() -> None:
    """Every combination with a special value among the operands has an entry: 7 classes, of which 3 are not special."""
    for name, row in table().items():
        if row.rule == "elementwise" and "SELECT" not in name:
            assert len(row.cells) == 7**row.operands - 3**row.operands, name


@pytest.mark.parametrize(
    ("operator", "key", "result"),
    [
        ("MAXIMUM", "+x,nan", "nan"),
        ("MINIMUM", "nan,-x", "nan"),
        ("RELU", "nan", "nan"),
        ("RELU6", "+inf", "finite"),
        ("POW", "nan,+0", "finite"),  # IEEE 754-2019, 9.2.1: pow(x, 0) is 1 even for NaN
        ("POW", "+inf,-x", "finite"),
        ("DIV", "+x,-0", "-inf"),
        ("RSQRT", "-0", "-inf"),
        ("SELECT_V2", "true,nan,+x", "nan"),
        ("SELECT_V2", "false,nan,+x", "finite"),
        ("EQUAL", "nan,nan", "false"),
        ("NOT_EQUAL", "nan,nan", "true"),
        ("REDUCE_MAX", "nan +inf", "nan"),
        ("SUM", "+inf -inf", "nan"),
        ("FULLY_CONNECTED", "+inf,+0", "nan"),
    ],
)
def test_what_is_defined(operator: str, key: str, result: str) -> None:
    assert table()[operator].result(key) == result


def test_what_tensorflow_does_not_define_is_said() -> None:
    assert table()["SOFTMAX"].result("nan") == "varies"
    assert table()["LEAKY_RELU"].result("-inf") == "varies"  # the slope may be zero or negative
    assert table()["REDUCE_PROD"].result("+inf") == "varies"  # a zero beside it makes NaN
    assert table()["ADD"].result("no such key") == "varies"


def test_classes_of_numbers() -> None:
    value = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 2.5, -2.5, 1e-40], np.float32)
    names = [CLASSES[code] if code >= 0 else "none" for code in encoded(value)]
    assert names == ["nan", "+inf", "-inf", "-0", "+0", "+x", "-x", "none"]
    assert [RESULTS[code] for code in outcome(value)] == ["nan", "+inf", "-inf", *["finite"] * 5]
    assert [RESULTS[code] for code in outcome(np.array([True, False]))] == ["true", "false"]
    assert not outcome(np.array([1, 2])).any() and (encoded(np.array([1, 2])) < 0).all()


def test_lookups_agree_with_the_cells() -> None:
    cells = lookup("MAXIMUM")
    assert RESULTS[cells[CLASSES.index("nan"), CLASSES.index("+x")]] == "nan"
    assert RESULTS[cells[CLASSES.index("+x"), CLASSES.index("-x")]] == "varies"  # ordinary numbers are not judged


@pytest.mark.slow
def test_measuring_anew_gives_the_same_table(real: Executor) -> None:
    """What the committed table defines is what TensorFlow does here; another processor may leave more open."""
    answer = real.run({"call": "tests.oracles.propagated:measured"}, 280.0)
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    made, kept = answer.message["table"], json.loads(TABLE_FILE.read_text())
    if made["tensorflow"] != kept["tensorflow"]:
        pytest.skip(f"the table is of TensorFlow {kept['tensorflow']}")
    assert set(made["rows"]) == set(kept["rows"])
    for name, row in kept["rows"].items():
        new = made["rows"][name]
        assert set(new["cells"]) == set(row["cells"]), name
        odd = {k: (v, new["cells"][k]) for k, v in row["cells"].items() if "varies" not in (v, new["cells"][k])}
        assert all(old == now for old, now in odd.values()), (name, odd)
        assert sum(v == "varies" for v in new["cells"].values()) <= sum(v == "varies" for v in row["cells"].values())


# --- judging ----------------------------------------------------------------------------------------------


def alone(name: str, seed: int) -> Case | None:
    """A model of one op that is fed special values; None where the op takes something else."""
    try:
        drawn = generate(Random(seed), op=registry()[name])
    except GenerateAnother:
        return None
    node = next(n for n in drawn.model.nodes if n.op == name)
    types = tuple(drawn.model.types[operand] for operand in node.operands)
    if any(t.dtype != "float32" for t in types):
        return None
    model = Model(types, (replace(node, operands=tuple(f"x{i}" for i in range(len(types)))),), ("n0",))
    return Case(model, Conversion().repaired(), Inference(inputs=(Recipe("specials", seed), Recipe("specials", 50))))


JUDGED = (
    *("relu6", "sigmoid", "sqrt", "gelu", "round", "add", "mul", "maximum", "minimum", "div", "squared_difference"),
    *("max_pool", "avg_pool", "conv2d", "depthwise_conv2d", "dense", "reduce_sum", "reduce_max", "reduce_prod"),
    *("log_softmax", "prelu", "floor_mod", "batch_matmul"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", JUDGED)
def test_what_is_expected_of_an_operator_is_what_tensorflow_gives(real: Executor, name: str) -> None:
    """Windows, reductions, broadcasting and sums included: element by element."""
    judged = 0
    for seed in range(8):
        case = alone(name, seed)
        if case is None:
            continue
        request = {"call": "tests.oracles.propagated:against_tensorflow", "case": to_json(case)}
        answer = real.run(request, 60.0)
        assert isinstance(answer, Reply) and "bug" not in answer.message, answer
        if len(answer.message["operators"]) == 1:
            assert answer.message["otherwise"] == []
            judged += answer.message["judged"]
    assert judged


def confirmed(real: Executor, case: Case) -> list[dict[str, Any]]:
    found = []
    answer = real.run({"command": "run", "case": to_json(case)}, 60.0)
    assert isinstance(answer, Reply) and "bug" not in answer.message, answer
    for verdict in answer.message["verdicts"]:
        again = real.run({"command": "confirm", "case": to_json(case), "verdict": verdict}, 60.0)
        assert isinstance(again, Reply) and "bug" not in again.message, again
        if again.message["verdict"]:
            found.append(again.message["verdict"])
    return found


@pytest.mark.slow
def test_infinity_that_a_kernel_clamps_is_propagation_named_per_op_and_runtime(real: Executor) -> None:
    model = Model((TensorType((1, 8), "float32"),), (Node("dense", ("x0",), {"units": 1, "use_bias": False}),), ("n0",))
    case = Case(model, Conversion().repaired(), Inference(inputs=(Recipe("specials", 3), Recipe("specials", 4))))
    (verdict,) = [v for v in confirmed(real, case) if v["kind"] == "nan-propagation"]
    assert verdict["message"] == (
        "optimised+reference FULLY_CONNECTED (float32): NaN or infinity propagates otherwise than in TensorFlow"
    )
    assert verdict["evidence"][SPECIAL_OPERANDS] is True and verdict["blame"] == "FULLY_CONNECTED"
    assert verdict["evidence"]["runtimes"] == ["tf-builtin", "tf-reference"]
    # Asked again with what was found, as the examiner does: the same answer.
    again = real.run({"command": "confirm", "case": to_json(case), "verdict": verdict}, 60.0)
    assert isinstance(again, Reply) and again.message["verdict"]["message"] == verdict["message"]
    # The reproducer, as its receiver runs it, finds the defect.
    assert run_script(reproducer(case, Verdict.from_json(verdict), "title", "versions")) == 1


@pytest.mark.slow
def test_nan_out_of_finite_numbers_is_still_a_defect_of_its_own(real: Executor) -> None:
    from tests.oracles.test_oracles import REGRESSIONS

    path = next(p for p in REGRESSIONS if p.name.startswith("nan-propagation-sigmoid"))
    tree = json.loads(path.read_bytes())
    answer = real.run({"command": "confirm", "case": tree["case"], "verdict": tree["verdict"]}, 60.0)
    assert isinstance(answer, Reply) and answer.message["verdict"], answer
    assert SPECIAL_OPERANDS not in answer.message["verdict"]["evidence"]
    assert "where the others have none" in answer.message["verdict"]["message"]


# --- how much time it may take ----------------------------------------------------------------------------


def about(*operators: str, runtimes: tuple[str, ...] = ("litert",), given: bool = True) -> Suspicion:
    evidence = {"operators": list(operators), "runtimes": list(runtimes), GIVEN: given}
    return suspicion(1, Verdict(Stage.COMPARE, Kind.NAN_PROPAGATION, "m", runtimes[0], 1.0, "elements", "", evidence))


def test_an_operator_and_a_runtime_are_looked_at_a_bounded_number_of_times() -> None:
    memory = Propagated(())
    assert [memory.exhausted(about("RELU")) for _ in range(MAX_LOOKS + 2)] == [False] * MAX_LOOKS + [True] * 2
    assert not memory.exhausted(about("RELU", runtimes=("tf-builtin",)))
    assert not memory.exhausted(about("RELU", "ADD"))
    assert not any(memory.exhausted(about("RELU", given=False)) for _ in range(20))


def test_what_was_minimised_is_not_minimised_again() -> None:
    verdict = Verdict(
        Stage.COMPARE, Kind.NAN_PROPAGATION, "m", "litert", 1.0, "elements", "RELU",
        {SPECIAL_OPERANDS: True, "runtimes": ["litert", "tf-xnnpack"]},
    )  # fmt: skip
    one = finding("XNNPACK RELU", special_operands=True, blame="RELU", runtimes=("litert",))
    memory = Propagated([one])
    assert memory.known(verdict) is None
    memory.remember(replace(one, runtimes=("tf-xnnpack",)))
    assert memory.known(verdict) == one
    assert memory.exhausted(about("RELU"))
    assert memory.known(replace(verdict, evidence={"runtimes": ["litert"]})) is None
