from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.case import DEFAULT_INPUTS, MAX_BYTES, SCHEMA, Case, decode, encode, pretty, to_json
from fuzzer.case.codec import from_json
from fuzzer.errors import CaseError
from tests.strategies import cases, damaged_bytes, damaged_trees, drawn_case, dumped, edited, json_trees

GOLDEN = Path(__file__).parent / "golden.json"
GOLDEN_ID = "255528bcc30f79b1"
SLOWEST_S = 1.0
"""Decoding anything takes milliseconds; this only has to tell that from minutes on a busy machine."""


def decoded(data: bytes | str) -> Case | CaseError:
    """What decoding gives, checked for what holds of every answer."""
    begun = time.process_time()
    try:
        case = decode(data)
    except CaseError as error:
        assert time.process_time() - begun < SLOWEST_S
        assert error.expected and "expected" in str(error) and len(str(error)) < 2000
        return error
    assert time.process_time() - begun < SLOWEST_S
    assert decode(case.canonical) == case
    return case


# --- round trip and identity ------------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(0, 400, 100))
def test_generated_and_mutated_cases_round_trip(start: int) -> None:
    for seed in range(start, start + 100):
        case = drawn_case(seed, seed % 6)
        assert decode(case.canonical) == case
        assert decode(pretty(case)) == case
        assert decode(case.canonical).canonical == case.canonical
        assert from_json(to_json(case)) == case
        assert len(case.canonical) <= MAX_BYTES


@given(cases())
@settings(max_examples=100)
def test_canonical_json_is_sorted_and_compact_ascii(case: Case) -> None:
    text = case.canonical.decode("ascii")
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@given(cases(), st.integers(0, 1 << 30))
@settings(max_examples=100)
def test_order_of_fields_does_not_matter(case: Case, seed: int) -> None:
    rng = Random(seed)

    def shuffled(tree: Any) -> Any:
        if isinstance(tree, dict):
            items = [(k, shuffled(v)) for k, v in tree.items()]
            rng.shuffle(items)
            return dict(items)
        return [shuffled(v) for v in tree] if isinstance(tree, list) else tree

    assert decode(json.dumps(shuffled(to_json(case)))).id == case.id


def test_the_id_of_the_committed_case_never_changes() -> None:
    case = decode(GOLDEN.read_bytes())
    assert case.id == GOLDEN_ID
    assert pretty(case) == GOLDEN.read_text()


def test_the_id_is_the_same_in_another_process() -> None:
    code = "import sys; from fuzzer.case import decode; print(decode(open(sys.argv[1], 'rb').read()).id)"
    root = str(Path(__file__).parents[2])
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(GOLDEN)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == GOLDEN_ID


def test_fields_at_their_default_may_be_left_out() -> None:
    tree = to_json(drawn_case(1))
    del tree["conversion"], tree["inference"]
    case = from_json(tree)
    assert case.inference.inputs == DEFAULT_INPUTS and case.conversion.entry == "concrete_function"


# --- decoding is total ------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes(data: bytes) -> None:
    assert isinstance(decoded(data), CaseError)


@given(json_trees)
@settings(max_examples=200)
def test_any_json(tree: Any) -> None:
    assert isinstance(decoded(dumped(tree)), CaseError)


@given(damaged_trees())
@settings(max_examples=400)
def test_damaged_cases(tree: Any) -> None:
    decoded(dumped(tree))


@given(damaged_bytes())
@settings(max_examples=300)
def test_damaged_files(data: bytes) -> None:
    decoded(data)


@given(damaged_trees())
@settings(max_examples=200)
def test_trees_that_never_were_text(tree: Any) -> None:
    """`from_json` meets what JSON text cannot hold: NaN and infinity, from a target's reply."""
    try:
        case = from_json(tree)
    except CaseError as error:
        assert error.expected
    else:
        assert from_json(to_json(case)) == case


@pytest.mark.parametrize("depth", [10, 100, 500, 900, 950, 970, 980, 985, 990, 995, 1000, 2000, 50_000])
@pytest.mark.parametrize("where", ["schema", "model", "surprise", None])
def test_deep_nesting(depth: int, where: str | None) -> None:
    deep = "[" * depth + "]" * depth
    text = deep if where is None else json.dumps({**to_json(drawn_case(2)), where: "@"}).replace('"@"', deep)
    assert isinstance(decoded(text), CaseError)


@pytest.mark.parametrize(
    "path",
    [
        ("schema",),
        ("inference", "inputs", 0, "seed"),
        ("model", "nodes", 0, "op"),
        ("model", "nodes", 0, "attrs", "strides"),
        ("model", "nodes", 0, "weights", "filter", "scale"),
    ],
)
def test_every_depth_around_the_recursion_limit(path: tuple[Any, ...]) -> None:
    text = json.dumps(edited(PLAIN, path, "@"))
    for depth in range(850, 1010):
        assert isinstance(decoded(text.replace('"@"', "[" * depth + "]" * depth)), CaseError)


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 5000, '"\\ud800"', "\ufeff1", "", " ", "{", "nul"]
)
def test_numbers_and_texts_that_json_half_allows(text: str) -> None:
    assert isinstance(decoded(text), CaseError)
    tree = json.dumps(edited(to_json(drawn_case(2)), ("inference", "threads"), "@")).replace('"@"', text)
    assert isinstance(decoded(tree), CaseError)


def test_a_field_given_twice_is_refused() -> None:
    text = drawn_case(3).canonical.decode()
    error = decoded('{"schema":1,' + text[1:])
    assert isinstance(error, CaseError) and "once" in error.expected


def test_a_huge_file_is_refused_unread() -> None:
    error = decoded(b" " * (MAX_BYTES * 4 + 1))
    assert isinstance(error, CaseError) and "bytes" in error.expected


# --- errors name the field --------------------------------------------------------------------------------

CONV = {
    "op": "conv2d",
    "operands": ["x0"],
    "attrs": {
        "filters": 4,
        "kernel": [3, 3],
        "strides": [1, 1],
        "dilations": [1, 1],
        "padding": "SAME",
        "groups": 1,
        "use_bias": True,
    },
    "weights": {"filter": {"distribution": "normal", "seed": 1}},
}
PLAIN: dict[str, Any] = {
    "schema": SCHEMA,
    "model": {
        "inputs": [{"shape": [1, 8, 8, 4], "dtype": "float32"}],
        "nodes": [CONV, {"op": "relu", "operands": ["n0"]}],
        "outputs": ["n1"],
    },
    "conversion": {"scheme": "int8", "optimizations": "default"},
    "inference": {"inputs": [{"distribution": "uniform", "seed": 1}]},
}
NODE = ("model", "nodes", 0)


def test_the_plain_case_is_valid() -> None:
    assert isinstance(decoded(dumped(PLAIN)), Case)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("schema",), 0, "schema"),
        (("schema",), True, "schema"),
        (("model",), [], "model"),
        (("surprise",), 1, "surprise"),
        (("model", "inputs"), [], "model.inputs"),
        (("model", "inputs", 0, "shape", 1), -1, "model.inputs[0].shape[1]"),
        (("model", "inputs", 0, "shape", 1), 2.0, "model.inputs[0].shape[1]"),
        (("model", "inputs", 0, "shape"), [1] * 7, "model.inputs[0].shape"),
        (("model", "inputs", 0, "dtype"), "float80", "model.inputs[0].dtype"),
        (("model", "inputs", 0, "dtype"), ["float32"], "model.inputs[0].dtype"),
        ((*NODE, "op"), "conv9d", "model.nodes[0].op"),
        ((*NODE, "op"), {"conv2d": 1}, "model.nodes[0].op"),
        ((*NODE, "operands"), ["x0", "x0"], "model.nodes[0].operands"),
        ((*NODE, "operands"), ["n1"], "model.nodes[0].operands"),
        ((*NODE, "operands"), ["x9"], "model.nodes[0].operands"),
        ((*NODE, "operands", 0), "../x", "model.nodes[0].operands[0]"),
        ((*NODE, "attrs", "strides"), [1, 9], "model.nodes[0].attrs.strides"),
        ((*NODE, "attrs", "strides"), [1], "model.nodes[0].attrs.strides"),
        ((*NODE, "attrs", "padding"), "same", "model.nodes[0].attrs.padding"),
        ((*NODE, "attrs", "use_bias"), 1, "model.nodes[0].attrs.use_bias"),
        ((*NODE, "attrs", "groups"), 3, "model.nodes[0]"),
        ((*NODE, "attrs", "surprise"), 3, "model.nodes[0].attrs.surprise"),
        ((*NODE, "weights", "filter", "seed"), -1, "model.nodes[0].weights.filter.seed"),
        ((*NODE, "weights", "filter", "scale"), 1e31, "model.nodes[0].weights.filter.scale"),
        ((*NODE, "weights", "filter", "sparsity"), 1.5, "model.nodes[0].weights.filter.sparsity"),
        ((*NODE, "weights", "filter", "values"), [1.0], "model.nodes[0].weights.filter.values"),
        ((*NODE, "weights", "a b"), {}, "model.nodes[0].weights"),
        (("model", "outputs"), [], "model.outputs"),
        (("model", "outputs", 0), "n7", "model.outputs[0]"),
        (("conversion", "scheme"), "int4", "conversion.scheme"),
        (("conversion", "io"), "int16", "conversion.io"),
        (("conversion", "optimizations"), "none", "conversion.optimizations"),
        (("conversion", "per_channel"), "yes", "conversion.per_channel"),
        (("conversion", "calibration"), 0, "conversion.calibration"),
        (("conversion", "entry"), "jax", "conversion.entry"),
        (("conversion", "representative"), "none", "conversion.representative"),
        (("conversion", "dynamic"), "some", "conversion.dynamic"),
        (("conversion", "qat_bits"), 5, "conversion.qat_bits"),
        (("conversion", "qat_bits"), 4, "conversion.qat_bits"),
        (("conversion", "qat_symmetric"), 0, "conversion.qat_symmetric"),
        (("conversion", "ranges"), 0.0, "conversion.ranges"),
        (("conversion", "ranges"), 2.0, "conversion.ranges"),
        (("conversion", "switches"), [], "conversion.switches"),
        (("conversion", "switches"), {"a.b": True}, "conversion.switches"),
        (("conversion", "switches"), {"__class__": True}, "conversion.switches"),
        (("conversion", "switches"), {"x" * 200: True}, "conversion.switches"),
        (("conversion", "switches"), {"a": None}, "conversion.switches.a"),
        (("conversion", "switches"), {"a": 0.5}, "conversion.switches.a"),
        (("conversion", "switches"), {"a": 1 << 70}, "conversion.switches.a"),
        (("conversion", "switches"), {"a": "/etc/passwd"}, "conversion.switches.a"),
        (("conversion", "switches"), {"a": "é"}, "conversion.switches.a"),
        (("conversion", "switches"), {f"a{i}": True for i in range(17)}, "conversion.switches"),
        (("inference", "threads"), 64, "inference.threads"),
        (("inference", "runtimes"), ["tf-xnnpack"] * 2, "inference.runtimes"),
        (("inference", "runtimes"), ["rm -rf /"], "inference.runtimes[0]"),
        (("inference", "inputs"), [], "inference.inputs"),
        (("inference", "inputs", 0, "distribution"), "cauchy", "inference.inputs[0].distribution"),
    ],
)
def test_the_error_names_the_field(path: tuple[Any, ...], value: Any, field: str) -> None:
    error = decoded(dumped(edited(PLAIN, path, value)))
    assert isinstance(error, CaseError)
    assert error.field == field
    assert str(error).startswith(field)


@pytest.mark.parametrize("key", sorted(CONV["attrs"]))  # type: ignore[call-overload]
def test_a_missing_attribute_is_named(key: str) -> None:
    attrs = {k: v for k, v in CONV["attrs"].items() if k != key}  # type: ignore[attr-defined]
    error = decoded(dumped(edited(PLAIN, (*NODE, "attrs"), attrs)))
    assert isinstance(error, CaseError) and error.field == f"model.nodes[0].attrs.{key}"


def test_a_newer_schema_says_what_to_do() -> None:
    error = decoded(dumped({**PLAIN, "schema": SCHEMA + 1}))
    assert isinstance(error, CaseError)
    assert error.field == "schema" and "newer" in str(error) and "update the fuzzer" in str(error)


# --- budgets ----------------------------------------------------------------------------------------------


def conv(filters: int, kernel: list[int]) -> dict[str, Any]:
    return {**CONV, "attrs": {**CONV["attrs"], "filters": filters, "kernel": kernel}}  # type: ignore[dict-item]


def test_too_many_multiply_accumulates() -> None:
    tree = edited(PLAIN, ("model", "inputs", 0, "shape"), [1, 64, 64, 64])
    error = decoded(dumped(edited(tree, NODE, conv(64, [7, 7]))))  # 822 million
    assert isinstance(error, CaseError) and "multiply-accumulates" in error.expected
    assert error.field == "model.nodes[0]"


def test_multiply_accumulates_add_up() -> None:
    tree = edited(PLAIN, ("model", "inputs", 0, "shape"), [1, 32, 32, 16])
    layer = conv(16, [7, 7])  # 12.8 million each
    nodes = [{**layer, "operands": ["x0" if i == 0 else f"n{i - 1}"]} for i in range(4)]
    assert isinstance(
        decoded(dumped(edited(edited(tree, ("model", "nodes"), nodes[:3]), ("model", "outputs"), ["n2"]))), Case
    )
    error = decoded(dumped(edited(edited(tree, ("model", "nodes"), nodes), ("model", "outputs"), ["n3"])))
    assert isinstance(error, CaseError) and error.field == "model" and "multiply-accumulates" in error.expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([8192, 8192, 8192, 8192], "elements"),
        ([8193], "dims"),
        ([2**31, 2**31], "dims"),
        ([1, 512, 512, 8], "elements"),
        ([], "rank"),
    ],
)
def test_a_hundred_gigabytes_are_refused(shape: list[int], expected: str) -> None:
    error = decoded(dumped(edited(PLAIN, ("model", "inputs", 0, "shape"), shape)))
    assert isinstance(error, CaseError)
    assert expected in str(error)


def test_a_chain_that_grows_is_stopped_where_it_leaves_the_budget() -> None:
    pools = [{"op": "concat", "operands": [f"n{i - 1}" if i else "x0"] * 3, "attrs": {"axis": 1}} for i in range(32)]
    model = {"inputs": [{"shape": [1, 8], "dtype": "float32"}], "nodes": pools, "outputs": ["n31"]}
    error = decoded(dumped({**PLAIN, "model": model}))
    assert isinstance(error, CaseError) and error.field == "model.nodes[6]"  # 8 * 3^7 = 17,496 > 8,192


def test_too_many_nodes_inputs_and_outputs() -> None:
    relu = {"op": "relu", "operands": ["x0"]}
    for path, value in (
        (("model", "nodes"), [relu] * 33),
        (("model", "inputs"), PLAIN["model"]["inputs"] * 5),
        (("model", "outputs"), ["n1"] * 9),
    ):
        error = decoded(dumped(edited(PLAIN, path, value)))
        assert isinstance(error, CaseError) and error.field == ".".join(path)


def test_total_bytes_are_bounded() -> None:
    relus = [{"op": "relu", "operands": ["x0"]} for _ in range(32)]
    model = {"inputs": [{"shape": [1, 8, 8192], "dtype": "int64"}], "nodes": relus, "outputs": ["n0"]}
    assert isinstance(decoded(dumped({**PLAIN, "model": model, "conversion": {}})), Case)
    model["inputs"][0]["shape"] = [1, 32, 8192]  # type: ignore[index]
    error = decoded(dumped({**PLAIN, "model": model, "conversion": {}}))
    assert isinstance(error, CaseError) and "bytes of tensors" in error.expected


def test_encoding_refuses_what_json_cannot_hold() -> None:
    from dataclasses import replace

    from fuzzer.case import Inference, Recipe

    broken = replace(drawn_case(1), inference=Inference(inputs=(Recipe("normal", 1, float("nan")),)))
    with pytest.raises(ValueError, match=r"Out of range|NaN|nan"):
        encode(broken)
