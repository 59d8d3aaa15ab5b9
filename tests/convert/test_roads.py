"""Every road through the converter: one committed case each, and a look into the flatbuffer that it was taken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fuzzer.case import DYNAMIC, ENTRIES, REPRESENTATIVE, SCHEMES, Case, decode, pretty, to_json
from fuzzer.case.conversion import IO_DTYPES, OPTIMIZATIONS, QAT_BITS, TFMOT
from fuzzer.convert import optimised
from fuzzer.execute import Executor, Reply

ROADS = {path.stem: path for path in sorted((Path(__file__).parent / "roads").glob("*.json"))}
EVERY = ["tf-xnnpack", "tf-builtin", "tf-reference", "litert"]
REFUSED = {
    "representative_absent": "a `representative_dataset` must be specified",
    # A defect of TensorFlow 2.21: fake quantisation of a matrix per channel.
    "scheme_qat_dense_per_channel": "'tfl.transpose' op has mismatched quantized axes",
}
INCOMPLETE = {
    # Defects of TensorFlow 2.21: XNNPACK takes neither sparse int8 weights nor weights with a zero point.
    "optimizations_default_sparsity",
    "optimizations_int8_sparsity",
    "scheme_qat_asymmetric",
}
MODELS = {
    "concrete_function": ("TF_CONCRETE_FUNCTIONS", 2, []),
    "concrete_function_variables": ("TF_CONCRETE_FUNCTIONS", 2, ["serving_default"]),
    "saved_model": ("TF_SAVED_MODEL", 2, ["serving_default"]),
    "saved_model_signatures": ("TF_SAVED_MODEL", 2, ["model"]),
    "keras": ("KERAS_MODEL", 2, ["serving_default"]),
    "keras_export": ("TF_SAVED_MODEL", 2, ["serving_default"]),
    "legacy_keras": ("TF_SAVED_MODEL", 2, ["serving_default"]),
    "frozen_graph": ("TF_GRAPH_DEF", 1, []),
    "session": ("TF_SESSION", 1, []),
}
"""What the converter writes into the flatbuffer's own metadata, and the signatures it keeps."""


def case_of(name: str) -> Case:
    return decode(ROADS[name].read_bytes())


def made(real: Executor, case: Case) -> dict[str, Any]:
    answer = real.run({"call": "tests.convert.inside:looked_into", "case": to_json(case)})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    return answer.message


# --- the list ---------------------------------------------------------------------------------------------


def test_there_is_a_case_for_every_value_of_every_field() -> None:
    conversions = [case_of(name).conversion for name in ROADS]
    assert {c.entry for c in conversions} == set(ENTRIES)
    assert {c.optimizations for c in conversions} == set(OPTIMIZATIONS)
    assert {(c.scheme, c.io) for c in conversions} >= {(s, io) for s in SCHEMES for io in IO_DTYPES[s]}
    assert {c.representative for c in conversions} == set(REPRESENTATIVE)
    assert {c.dynamic for c in conversions} == set(DYNAMIC)
    assert {c.qat_bits for c in conversions} == set(QAT_BITS)
    for field in ("per_channel", "fallback", "qat_symmetric", "qat_dense", "op_set"):
        assert len({getattr(c, field) for c in conversions}) == 2, field
    assert any(c.switches for c in conversions)


@pytest.mark.parametrize("name", ROADS)
def test_the_file_is_as_the_project_writes_it(name: str) -> None:
    assert pretty(case_of(name)) == ROADS[name].read_text()


# --- the roads --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ROADS)
def test_the_road_was_taken(real: Executor, name: str) -> None:
    case = case_of(name)
    conversion = case.conversion
    if conversion.scheme in TFMOT and not optimised.installed():
        pytest.skip(optimised.INSTALL)
    seen = made(real, case)
    if name in REFUSED:
        assert REFUSED[name] in seen["failure"]
        return
    assert "failure" not in seen, seen["failure"]
    if "CONVERSION_METADATA" in seen["metadata"]:
        assert (seen["road"], seen["api"], seen["signatures"]) == MODELS[conversion.entry]
    if name not in INCOMPLETE:
        assert seen["complete"] == EVERY, seen["failures"]
    if conversion.judged == "float32":
        assert max(seen["relative"].values()) < 1e-4
    _types(case, seen)
    _optimisations(case, seen)
    _shapes(case, seen)
    CHECKS.get(name, lambda _: None)(seen)


def _types(case: Case, seen: dict[str, Any]) -> None:
    conversion, scheme = case.conversion, case.conversion.scheme
    if conversion.representative == "absent":
        assert "PTQ_DYNAMIC_RANGE" in seen["modes"]  # what is left of int16x8 without data
        return
    io = conversion.io.upper()
    assert seen["inputs"] == [io] and set(seen["outputs"]) == {io}
    trained = scheme == "qat" or (scheme in TFMOT and scheme.endswith("qat"))
    assert ("QUANTIZATION_AWARE_TRAINING" in seen["modes"]) == (trained and "default" in conversion.optimizations)
    if scheme == "int16x8" or conversion.qat_bits == 16:
        assert {"INT16", "INT8"} <= set(seen["dtypes"])
    elif scheme == "int8" or (trained and "default" in conversion.optimizations and conversion.qat_bits == 8):
        assert "INT8" in seen["constants"] and "INT16" not in seen["dtypes"]
    elif scheme.endswith("_v1"):
        assert scheme.removesuffix("_v1").upper() in seen["constants"] and "FLOAT32" not in seen["constants"]
    elif scheme == "float16":
        assert "FLOAT16" in seen["constants"]
    elif scheme == "dynamic":
        assert "INT8" in seen["constants"] and "PTQ_DYNAMIC_RANGE" in seen["modes"]
    elif scheme in ("float32", "tfmot_prune", "tfmot_cluster"):
        assert set(seen["constants"]) <= {"FLOAT32", "INT32"} and not seen["scales"]


def _optimisations(case: Case, seen: dict[str, Any]) -> None:
    sparse = "sparsity" in case.conversion.optimizations
    assert bool(seen["sparse"]) == sparse == ("DENSIFY" in seen["ops"]) == ("RANDOM_SPARSITY" in seen["modes"])


def _shapes(case: Case, seen: dict[str, Any]) -> None:
    conversion, shape = case.conversion, case.model.inputs[0].shape
    known = [-1 if d is None else d for d in conversion.signature_shape(shape)]
    if conversion.entry == "keras_export":
        known[0] = -1
    assert seen["shapes"] == [known if -1 in known else []]


def near(value: float, scales: list[float]) -> bool:
    return any(abs(scale - value) < 1e-4 * value for scale in scales)


CHECKS: dict[str, Any] = {}


def _check(name: str, test: Any) -> None:
    def run(seen: dict[str, Any]) -> None:
        assert test(seen), seen

    CHECKS[name] = run


_check("scheme_qat_float32", lambda s: near(12 / 255, s["scales"]) and s["per_channel"])
_check("scheme_qat_per_tensor", lambda s: near(32 / 255, s["scales"]) and not s["per_channel"])
_check("scheme_qat_asymmetric", lambda s: near(9 / 255, s["scales"]))
_check("scheme_qat_16_bits", lambda s: near(12 / 65535, s["scales"]))
_check("scheme_qat_4_bits", lambda s: "INT4" in s["constants"] and near(12 / 255, s["scales"]))
_check("scheme_qat_without_default", lambda s: s["ops"].count("QUANTIZE") > 3 and "UINT8" in s["dtypes"])
_check("scheme_tfmot_qat_float32", lambda s: near(12 / 255, s["scales"]))
_check("scheme_uint8_v1_uint8", lambda s: near(12 / 255, s["scales"]) and near(6 / 128, s["scales"]))
_check("scheme_v1_session", lambda s: near(32 / 255, s["scales"]) and near(16 / 128, s["scales"]))
_check("op_set_int8_only", lambda s: not set(s["dtypes"]) & {"FLOAT32", "FLOAT16"})
_check("op_set_int16x8_only", lambda s: not set(s["dtypes"]) & {"FLOAT32", "FLOAT16"})
_check("switch_no_metadata", lambda s: "CONVERSION_METADATA" not in s["metadata"] and not s["notes"])
_check("switch_buffer_offset", lambda s: "buffer_location" in s["metadata"] and "FLOAT32" in s["constants"])
_check("switch_bias_type", lambda s: "INT64" not in s["dtypes"] and "INT16" in s["dtypes"])
_check("switch_unknown", lambda s: len(s["notes"]) == 4 and all("was ignored" in n for n in s["notes"]))
_check("representative_constant", lambda s: near(1 / 255, s["scales"]) or near(1 / 127, s["scales"]))


@pytest.mark.slow
def test_calibration_follows_the_data(real: Executor) -> None:
    """The input's scale is a tenth, or ten times, of what the samples themselves give."""
    scales = {r: made(real, case_of(f"representative_{r}"))["input_scale"] for r in ("narrow", "one", "wide")}
    assert scales["narrow"] == pytest.approx(scales["one"] / 10, rel=1e-3)
    assert scales["wide"] == pytest.approx(scales["one"] * 10, rel=1e-3)


@pytest.mark.slow
def test_the_installed_converter_is_asked_for_its_switches(real: Executor) -> None:
    answer = real.run({"command": "switches"})
    assert isinstance(answer, Reply), answer
    found = answer.message["switches"]
    assert {"allow_custom_ops", "experimental_new_quantizer", "_experimental_low_bit_qat"} <= set(found)
    assert found["allow_custom_ops"] == [True] and "STATIC" in found["_experimental_qdq_conversion_mode"]
    for name in found:
        assert not re.search("dump|print|_dir(_|$)|debug_options|graphviz|timing|regex", name), name
    assert not set(found) & {"target_spec", "optimizations", "representative_dataset", "inference_type", "_funcs"}
    again = real.run({"command": "switches"})
    assert isinstance(again, Reply) and again.message["switches"] == found
