"""The pass that made a model wrong, as a reader meets it."""

from __future__ import annotations

from fuzzer.findings.rewrite_text import section, sentence
from fuzzer.oracles import Kind, Stage, Verdict

FOUND = {
    "pass": "LegalizeTFPass",
    "before": ["tf.Softplus"],
    "after": ["tfl.exp", "tfl.add"],
    "program before": ["tf.Softplus : (tensor<8xf32>) -> (tensor<8xf32>)"],
    "tensor": "4 y",
}


def verdict(**evidence: object) -> Verdict:
    return Verdict(Stage.COMPARE, Kind.VALUE, "wrong", blame="converter", evidence=dict(evidence))


def test_the_sentence_names_the_pass_and_both_lists() -> None:
    said = sentence(verdict(**FOUND))
    assert said.endswith(
        "wrong after the converter's LegalizeTFPass: before it tf.Softplus, after it tfl.exp, tfl.add."
    )
    assert sentence(verdict(**{**FOUND, "after": []})).endswith("after it nothing.")


def test_the_section_shows_the_operations_with_their_types_where_they_are_known() -> None:
    lines = section(verdict(**FOUND))
    assert "- pass: `LegalizeTFPass`" in lines and "- first wrong tensor of the flatbuffer: `4 y`" in lines
    assert "    tf.Softplus : (tensor<8xf32>) -> (tensor<8xf32>)" in lines and "    tfl.exp" in lines


def test_where_no_pass_is_known_nothing_is_said() -> None:
    told = verdict(**{"no pass": "this release has no IR dumps"})
    assert sentence(told) == "" and section(told) == []
