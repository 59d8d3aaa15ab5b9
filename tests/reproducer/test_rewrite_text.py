"""The pass that made a model wrong, as a reader meets it."""

from __future__ import annotations

from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.confirm.rewrite import EXPORT
from fuzzer.reproducer.rewrite_text import sentence

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
    assert said.endswith("wrong after LegalizeTFPass: before it tf.Softplus, after it tfl.exp, tfl.add.")
    assert "model is wrong after the export to" in sentence(verdict(**{**FOUND, "pass": EXPORT}))
    assert sentence(verdict(**{**FOUND, "after": []})).endswith("after it nothing.")


def test_of_a_death_in_a_pass_nothing_is_said_of_what_it_wrote() -> None:
    assert sentence(verdict(**{"pass": "PrepareQuantizePass", "frame": "f"})) == ""


def test_where_no_pass_is_known_nothing_is_said() -> None:
    told = verdict(**{"no pass": "this release has no IR dumps"})
    assert sentence(told) == ""
