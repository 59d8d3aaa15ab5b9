"""What leads where."""

from __future__ import annotations

from typing import Any

import pytest

from fuzzer.coverage.reached.roads import KERNEL_OPERATORS, NOTHING, Roads, made_of, squash
from fuzzer.ops import Op, registry


@pytest.fixture(scope="module")
def roads() -> Roads:
    return Roads(registry(), {"Conv3D", "ApproxTopK", *(o for names in KERNEL_OPERATORS.values() for o in names)})


def test_what_was_measured_is_of_ops_that_there_are() -> None:
    made = made_of()
    assert set(made) <= set(registry()), "ops that are gone: python -m scripts.made_of"
    assert len(made) > 0.9 * len(registry()), "many new ops: python -m scripts.made_of"
    assert made["conv2d"]["tflite"] and "Conv2D" in made["conv2d"]["tensorflow"]


@pytest.mark.parametrize(
    ("kernel", "op"),
    [
        ("conv", "conv2d"),
        ("bucketize", "bucketize"),
        ("elementwise", "sin"),
        ("maximum_minimum", "maximum"),
        ("unsorted_segment", "unsorted_segment_prod"),
        ("unidirectional_sequence_lstm", "lstm"),
        ("if_kernel", "functional_if"),
        ("mfcc", "mfcc"),
    ],
)
def test_kernels_with_an_op_of_ours(roads: Roads, kernel: str, op: str) -> None:
    road = roads.kernel(kernel)
    assert road.open and op in road.ops and NOTHING not in road.needs


@pytest.mark.parametrize("kernel", ["svdf", "lsh_projection", "stablehlo_scatter", "a_kernel_of_tomorrow"])
def test_kernels_without(roads: Roads, kernel: str) -> None:
    road = roads.kernel(kernel)
    assert not road.open and road.ops == () and road.needs == f"{NOTHING} becomes {kernel.upper()}"


def test_the_plainest_op_is_named_first(roads: Roads) -> None:
    assert roads.kernel("add").ops[0] == "add" and roads.kernel("floor_mod").ops[0] == "floor_mod"
    assert roads.kernel("densify").needs.startswith("optimizations sparsity")


@pytest.mark.parametrize(
    ("pattern", "needs"),
    [
        ("LegalizeBucketize", "bucketize"),
        ("LegalizeTF_UnsortedSegmentMaxOp", "unsorted_segment_max"),
        ("ConvertTFConv3DBackpropInputV2Op", "conv3d_transpose"),
        ("FuseTransposeIntoBatchMatMulRHS", "transpose with batch_matmul"),
        ("ReorderBroadcastToOfTFL_AbsOp", "broadcast_to with abs"),
        ("LegalizeSigmoidGrad", f"{NOTHING} makes SigmoidGrad"),
        ("LegalizeApproxTopK", f"{NOTHING} makes ApproxTopK"),
        ("RemoveIdentity", "its name does not say which operators it rewrites"),
        ("ClampInfToMinMaxFloat", "its name does not say which operators it rewrites"),
    ],
)
def test_patterns(roads: Roads, pattern: str, needs: str) -> None:
    assert roads.pattern("mlir::TFL::OptimizePass", pattern, run=True).needs == needs


def test_passes_say_what_they_run_for(roads: Roads) -> None:
    assert roads.converter_pass("mlir::TFL::PrepareDynamicRangeQuantizePass").needs == "scheme dynamic"
    assert not roads.converter_pass("mlir::odml::PrepareHloPass").open
    assert not roads.converter_pass("mlir::TFL::PassOfTomorrow").open
    hlo = roads.pattern("mlir::odml::PrepareHloPass", "ConvertAbs")
    assert not hlo.open and "StableHLO" in hlo.needs


def test_the_flag_of_a_pass_that_was_run_is_not_what_is_missing(roads: Roads) -> None:
    owner, pattern = "mlir::TFL::PrepareQuantizePass", "ConvertStatsToQDQs"
    assert "int8" in roads.pattern(owner, pattern).needs and roads.pattern(owner, pattern).open
    assert not roads.pattern(owner, pattern, run=True).open
    strict = roads.pattern("mlir::TFL::QuantizePass", "StrictQuantizationPattern", run=True)
    assert strict.open and strict.needs == "switch _experimental_strict_qdq"


def test_nodes_of_the_delegate(roads: Roads) -> None:
    assert roads.node("MaxPool2D").ops[0] == "max_pool" and "reduce_sum" in roads.node("Reduce").ops
    assert not roads.node("MediaPipeUnpooling").open


def betainc(tf: Any, x: Any) -> Any:
    """An op that nobody measured."""
    return tf.math.betainc(x, x, x)


def test_an_op_that_was_never_measured_is_looked_up_in_its_code() -> None:
    assert not Roads({}).kernel("betainc").open
    assert Roads({"mine": Op("mine", betainc)}).kernel("betainc").ops == ("mine",)


def test_spellings() -> None:
    assert squash("BATCH_MATMUL") == squash("BatchMatMul") == "batchmatmul"
