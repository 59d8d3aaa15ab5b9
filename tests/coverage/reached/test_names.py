"""What native functions belong to."""

from __future__ import annotations

import pytest

from fuzzer.coverage.reached.names import NEAR_BYTES, Place, functions, own_name, pattern_name, plain_name


def place(name: str, *before: str) -> Place:
    """Where the last of these functions belongs, which lie side by side."""
    names = [*before, name]
    return functions(names, [0x1000 + 64 * i for i in range(len(names))])[-1].place


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("tflite::ops::builtin::conv::Eval", "tflite::ops::builtin::conv::Eval"),
        ("a::Eval<(a::Kind)1>::f", "a::Eval::f"),
        ("std::vector<std::pair<int, x<int>>>::push_back", "std::vector::push_back"),
        ("a::operator<<<int>", "a::operator<<"),
        ("a<b>::operator-><c>", "a::operator->"),
        ("a::b<int>::{lambda#1}::operator()", "a::b::{lambda#1}::operator()"),
    ],
)
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_a_foreign_template_belongs_to_its_telling_argument() -> None:
    assert own_name("mlir::Op<mlir::TFL::AddOp, mlir::OpTrait::X>::verify") == "mlir::TFL::AddOp::verify"
    assert own_name("std::vector<int>::push_back") == "std::vector::push_back"
    assert own_name("tflite::reference_ops::Add<tflite::X>") == "tflite::reference_ops::Add"
    assert place("mlir::Op<mlir::TFL::AddOp>::verify") == Place("operator", "mlir::TFL::AddOp")


@pytest.mark.parametrize(
    ("name", "kind", "group"),
    [
        ("tflite::ops::builtin::conv::Eval<1>", "kernel", "tflite::ops::builtin::conv"),
        ("tflite::ops::custom::mfcc::Eval", "kernel", "tflite::ops::custom::mfcc"),
        ("tflite::ops::builtin::Register_ADD", "namespace", "tflite::ops::builtin"),
        ("tflite::ops::builtin::BuiltinOpResolver::BuiltinOpResolver", "namespace", "tflite::ops::builtin"),
        ("tflite::reference_ops::Gather", "namespace", "tflite::reference_ops"),
        ("tflite::xnnpack::Subgraph::VisitMaxPool2DNode", "node", "MaxPool2D"),
        ("tflite::xnnpack::Subgraph::VisitNode", "namespace", "tflite::xnnpack"),
        ("xnn_qd8_f32_qc8w_gemm_minmax_ukernel_1x8c8__avxvnni", "microkernel", "qd8_f32_qc8w_gemm_minmax"),
        ("xnn_create_add_nd", "namespace", "xnn_create…"),
        ("hwloc_bitmap_and", "library", "hwloc…"),
        ("google::protobuf::Arena::New", "library", "google::protobuf"),
        ("mlir::TFL::detail::AddOpGenericAdaptorBase::x", "operator", "mlir::TFL::AddOp"),
        ("toco::tflite::Export", "namespace", "toco::tflite"),
        ("main", "library", "functions without a namespace"),
    ],
)
def test_places(name: str, kind: str, group: str) -> None:
    assert place(name) == Place(kind, group)


def test_a_pattern_belongs_to_the_pass_that_it_follows() -> None:
    run = "mlir::TFL::OptimizePass::runOnOperation"
    assert place("mlir::TFL::FuseAdd::matchAndRewrite", run) == Place("pass", "mlir::TFL::OptimizePass", "FuseAdd")
    assert place("mlir::TFL::impl::OptimizePassBase<X>::getName", run) == Place("pass", "mlir::TFL::OptimizePass")
    alone = place("mlir::TFL::FuseAdd::matchAndRewrite")
    assert alone == Place("pass", "patterns of no pass in mlir::TFL", "FuseAdd")
    foreign = place("mlir::quant::Lift::matchAndRewrite", run)
    assert foreign.group == "patterns of no pass in mlir::quant", "a pass has no patterns of another namespace"


def test_lambdas_and_destructors_belong_to_their_pattern_wherever_they_lie() -> None:
    names = [
        "mlir::TFL::OptimizePass::runOnOperation",
        "mlir::TFL::FuseAdd::~FuseAdd",
        "mlir::TFL::FuseAdd::matchAndRewrite",
        "llvm::function_ref<void ()>::callback_fn<mlir::TFL::FuseAdd::matchAndRewrite::{lambda#1}>",
    ]
    places = {function.place for function in functions(names, [0, 64, 128, 192]) if "FuseAdd" in function.name}
    assert places == {Place("pass", "mlir::TFL::OptimizePass", "FuseAdd")}


def test_what_is_far_away_is_of_another_file() -> None:
    names = ["mlir::TFL::OptimizePass::runOnOperation", "mlir::TFL::Far::matchAndRewrite"]
    near, far = (functions(names, [0, distance])[1].place.group for distance in (NEAR_BYTES, NEAR_BYTES + 1))
    assert near == "mlir::TFL::OptimizePass" and far == "patterns of no pass in mlir::TFL"


def test_a_conversion_pattern_of_an_operator_is_no_pattern_of_that_name() -> None:
    assert place("mlir::OpConversionPattern<mlir::TFL::AddOp>::matchAndRewrite").kind == "operator"


def test_numbers_of_records_are_no_part_of_a_name() -> None:
    assert pattern_name("mlir::TFL::anonymous_2528ReorderBroadcastToOfTFL_AbsOp") == "ReorderBroadcastToOfTFL_AbsOp"
