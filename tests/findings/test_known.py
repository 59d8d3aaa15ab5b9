"""Known behaviour: which titles it hides, and which it must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fuzzer.errors import UserError
from fuzzer.findings import known
from fuzzer.findings.hiding import KNOWN, PROPAGATION, Hider, count_line
from tests.findings.samples import finding

VERSIONS = "tensorflow 2.21.0, ai-edge-litert 2.3.0, python 3.11.7"
SOFTPLUS: dict[str, Any] = {
    "kind": "value", "blame": "converter", "ops": ("softplus",), "versions": VERSIONS, "quantisation": "float32",
}  # fmt: skip
ENTRY = """
[[known]]
id = "mine"
version = 2
since = "2026-01-31"
title = "something"
runtimes = "litert"
versions = ["ai-edge-litert>=2.3", "tensorflow<3"]
reason = "because"
link = "https://example.org/1"
"""


def test_the_shipped_list_is_in_order() -> None:
    entries = known.load()
    assert len(entries) >= 8 and len({e.id for e in entries}) == len(entries)
    for entry in entries:
        assert entry.link.startswith("https://github.com/") and len(entry.reason) > 30
        assert any(r.name == "tensorflow" and r.specifier for r in entry.versions)
        assert "2.22.0" not in next(r.specifier for r in entry.versions if r.name == "tensorflow"), entry.id


@pytest.mark.parametrize(
    ("changes", "entry"),
    [
        (SOFTPLUS, "softplus-overflow"),
        (
            {
                "kind": "crash", "stage": "convert", "message": "SIGSEGV: in calibrator.py _feed_tensors",
                "ops": ("gru",), "quantisation": "int8",
            },
            "recurrent-calibration-segfault",
        ),
        (
            {
                "kind": "allocate-error", "stage": "allocate", "quantisation": "int16x8",
                "message": "pad.cc op_context.input->type != op_context.constant_values->type (INT16 != FLOAT32) "
                "[PADV2]",
            },
            "padv2-16x8-constant",
        ),
        (
            {
                "kind": "invoke-error", "stage": "invoke", "quantisation": "int16x8",
                "message": "SquaredDifference only supports FLOAT32 and INT32 now, got N [SQUARED_DIFFERENCE]",
            },
            "squared-difference-int16",
        ),
        (
            {
                "kind": "nan-propagation", "blame": "LOGISTIC",
                "message": "XNNPACK LOGISTIC (float32): NaN or Inf where the others have none",
            },
            "xnnpack-logistic-range",
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_what_is_filed_upstream_is_hidden(changes: dict[str, Any], entry: str) -> None:
    hidden = Hider()(finding(**{"versions": VERSIONS, **changes}))
    assert hidden is not None and (hidden.why, hidden.entry.split(",")[0]) == (KNOWN, entry)
    assert hidden.reason and hidden.link.startswith("https://")


@pytest.mark.parametrize(
    "changes",
    [
        {"ops": ("softplus", "conv2d")},  # something else in the minimal case may be the cause
        {"ops": ()},
        {"blame": "LOG"},
        {"versions": "tensorflow 2.22.0, ai-edge-litert 2.3.0"},  # a newer release is looked at again
        {"versions": "tensorflow 2.22.0.dev20260808"},
        {"versions": "tensorflow unknown"},
        {"versions": ""},
        {"kind": "shape"},
    ],
)
def test_what_is_not_quite_that_is_shown(changes: dict[str, Any]) -> None:
    assert Hider()(finding(**SOFTPLUS)) is not None
    assert Hider()(finding(**{**SOFTPLUS, **changes})) is None


def test_propagation_is_hidden_and_nan_out_of_finite_numbers_is_not() -> None:
    shown = finding(kind="nan-propagation", blame="RELU", message="XNNPACK RELU (float32): NaN or Inf where ...")
    assert Hider()(shown) is None
    hidden = Hider()(finding(kind="nan-propagation", blame="RELU", special_operands=True))
    assert hidden is not None and hidden.why == PROPAGATION and not hidden.link


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(ENTRY)
    hider = Hider(known.load(path))
    hidden = hider(finding("value: something", runtimes=("litert",), versions=VERSIONS))
    assert hidden is not None and hidden.entry == "mine, version 2 of 2026-01-31"
    assert hider(finding("value: something", runtimes=("litert", "tf-xnnpack"), versions=VERSIONS)) is None
    assert hider(finding("value: something", runtimes=("litert",), versions="tensorflow 2.21.0")) is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "mine"', 'id = "softplus-overflow"', "listed twice"),
        ('reason = "because"', "", r"entry 1 \(mine\) lacks reason"),
        ('title = "something"\nruntimes = "litert"', "", "hide everything"),
        ('title = "something"', 'titel = "something"', "has titel, which no entry has"),
        ('title = "something"', 'title = "("', "unterminated"),
        ("version = 2", 'version = "two"', "version is a number"),
        ("2026-01-31", "yesterday", "a date"),
        ("https://", "ftp://", "begins with https"),
        ('"tensorflow<3"', '"tensorflow<<3"', "(?i)expected|invalid"),
        ('["ai-edge-litert>=2.3", "tensorflow<3"]', '"tensorflow<3"', "versions is a list"),
        ("[[known]]", "[known]", "write `\\[\\[known\\]\\]`"),
        ("[[known]]", "[[known", "is no TOML"),
    ],
)
def test_a_list_that_is_none_says_what_is_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in ENTRY
    path.write_text(ENTRY.replace(old, new))
    with pytest.raises(UserError, match=said):
        known.load(path)
    with pytest.raises(UserError, match="cannot be read"):
        known.load(tmp_path / "absent.toml")


def test_the_line_that_says_how_many() -> None:
    assert count_line(["", ""], "h shows them") == ""
    assert count_line([KNOWN], "h shows them") == "1 title is hidden (h shows them): known behaviour"
    assert count_line([PROPAGATION, "", KNOWN, PROPAGATION], "h shows them") == (
        "3 titles are hidden (h shows them): 1 known behaviour, 2 nan-propagation"
    )
