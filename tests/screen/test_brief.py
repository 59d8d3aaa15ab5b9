from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from fuzzer.screen.brief import SHORTER, brief_title, short_title
from fuzzer.screen.demo_data import HOSTILE, demo_findings

ONE = demo_findings(1)[0]


@pytest.mark.parametrize(
    ("kind", "stage", "title", "shown"),
    [
        ("crash", "convert", "crash in convert: SIGSEGV in mlir::TFL::ConvertStatsToQDQs::matchAndRewrite (qat)",
         "convert: ConvertStatsToQDQs::match… (qat)"),
        ("crash", "invoke", "crash: SIGABRT in tflite::ops::builtin::activations::SoftmaxPrepare",
         "activations::SoftmaxPrepare"),
        ("crash", "allocate", "crash in allocate: heap corruption", "allocate: heap corruption"),
        ("value", "compare", "value in compare: every kernel of BATCH_MATMUL (int16): wrong values",
         "BATCH_MATMUL (int16): every kernel"),
        ("value", "compare", "value in compare: tf-xnnpack DEPTHWISE_CONV_2D (float32): wrong values",
         "DEPTHWISE_CONV_2D: tf-xnnpack"),
        ("value", "compare", "value in compare: the converter changed the model in LegalizeTFPass: "
         "tf.NonMaxSuppressionV4 -> tfl.non_max_suppression_v4 (float32)", "LegalizeTFPass: tf.NonMaxSuppressionV4 -…"),
        ("converter-error", "convert", "converter-error in convert: RuntimeError: dequantize.cc op_context.input->"
         "params.zero_point != N (N != N) [DEQUANTIZE] (int16x8)", "op_context.input->params.zero_… (int16x8)"),
        ("allocate-error", "allocate", "allocate-error in allocate: ADD (uint8): add.cc input1->type != input2->type "
         "(UINT8 != INT8) [ADD]", "ADD (uint8): input1->type != input2->typ…"),
        ("new-kind", "nowhere", "something that no pattern knows", "something that no pattern knows"),
    ],
)  # fmt: skip
def test_a_narrow_list_says_what_tells_a_title_from_its_neighbours(
    kind: str, stage: str, title: str, shown: str
) -> None:
    finding = replace(ONE, kind=kind, stage=stage, title=title)
    assert brief_title(finding, 41, always=True) == shown
    assert brief_title(finding, 500) == short_title(finding)  # room enough: nothing is left out but the kind


@pytest.mark.parametrize("width", [0, 1, 2, 29, 30, 41])
@pytest.mark.parametrize("always", [False, True])
def test_it_never_overflows(width: int, always: bool) -> None:
    for title in (HOSTILE * 9, "value in compare: " + "界" * 99 + " (int8)", "SIGSEGV in mlir::", "", " (qat)"):
        assert cell_len(brief_title(replace(ONE, kind="value", title=title), width, always=always)) <= width


def test_every_rule_shortens_something_or_turns_it_round() -> None:
    """A rule that fits no title of the ones above is dead."""
    titles = [
        "SIGSEGV in main", "tflite::Prepare", "the converter changed the model in the export: x",
        "the flatbuffer computes another function than the model: why",
        "the quantiser wrote a ONE_HOT (int8) that no kernel can compute: why",
        "every kernel of ADD (int8): wrong values", "reference SUM (int8): wrong values", "every kernel of ADD: other",
        "XNNPACK EXP (int8): other", "ValueError: text", "ADD: add.cc text", "text [ADD]", "text (float32)",
    ]  # fmt: skip
    for (pattern, words), title in zip(SHORTER, titles, strict=True):
        assert pattern.sub(words, title) != title
