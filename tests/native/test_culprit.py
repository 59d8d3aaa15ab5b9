"""Which frame names a defect."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from fuzzer.native import culprit as culprits
from fuzzer.native.culprit import SKIPPED, Culprit, culprit, culprit_of_samples, reason_to_skip
from fuzzer.native.trace import MAX_FRAMES, Frame, Modules, Trace

NAMES: dict[Frame, str] = {}
PYTHON = "libpython3.11.so.1.0:_PyEval_EvalFrameDefault"


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(culprits, "function_at", NAMES.__getitem__)


def trace(lines: Iterable[str], signal: int = 11, address: int = 0, pointer: int = 0) -> Trace:
    """A stack of `module:function`; a function alone is one of TFLite's library."""
    frames = []
    for line in lines:
        module, _, function = line.partition(":") if re.match(r"[\w.+-]+:(?!:)", line) else ("libtflite.so", "", line)
        frame = Frame(f"/somewhere/{module}" if module != "none" else "", len(NAMES) + 1)
        NAMES[frame] = function
        frames.append(frame)
    return Trace(signal, 1, address, pointer, 7, tuple(frames))


def blamed(*lines: str) -> Culprit:
    return culprit(trace(lines))


ABORT = ("libc.so.6:", "libc.so.6:raise", "libc.so.6:abort")
PREPARE = (
    "tflite::Subgraph::PrepareOpsStartingAt",
    "tflite::Subgraph::AllocateTensors",
    "pybind11::cpp_function::dispatcher",
    PYTHON,
)


def test_helpers_of_many_operators_do_not_merge_them() -> None:
    one = blamed(*ABORT, "tflite::QuantizeMultiplierSmallerThanOneExp", "tflite::ops::builtin::add::Prepare", *PREPARE)
    two = blamed(*ABORT, "tflite::QuantizeMultiplierSmallerThanOneExp", "tflite::ops::builtin::sub::Prepare", *PREPARE)
    assert one == Culprit("tflite::ops::builtin::add::Prepare", "add", specific=True)
    assert two.text == "tflite::ops::builtin::sub::Prepare"


def test_code_that_kernels_share_is_told_apart_by_the_kernel() -> None:
    shared = "tflite::reference_ops::TransposeLike"
    one = blamed(shared, "tflite::ops::builtin::pack::Eval", "tflite::Subgraph::InvokeImpl", PYTHON)
    two = blamed(shared, "tflite::ops::builtin::tile::Eval", "tflite::Subgraph::InvokeImpl", PYTHON)
    assert (one.text, two.text) == (f"{shared} (kernel pack)", f"{shared} (kernel tile)")


def test_a_kernel_that_its_function_names_is_not_told_twice() -> None:
    found = blamed(
        "tflite::RuntimeShape::Dims", "tflite::reference_ops::Reverse", "tflite::ops::builtin::reverse::Eval"
    )
    assert found.text == "tflite::reference_ops::Reverse" and found.kernel == "reverse"


def test_a_kernel_that_runs_a_graph_is_not_the_one_that_died() -> None:
    calibration = "tflite::optimize::calibration::MinMax::Update"
    found = blamed(calibration, "tflite::Subgraph::InvokeImpl", "tflite::ops::builtin::while_kernel::Eval", PYTHON)
    assert found.text == calibration and not found.kernel


def test_compiler_plumbing_is_passed_over_and_the_pass_is_known() -> None:
    found = blamed(
        "mlir::quant::QuantizedType::castFromExpressedType",
        "mlir::TFL::ConvertStatsToQDQs::matchAndRewrite",
        "llvm::function_ref::callback_fn",
        "mlir::PatternApplicator::matchAndRewrite",
        "mlir::TFL::PrepareQuantizePass::runOnOperation",
        "mlir::detail::OpToOpPassAdaptor::run",
    )
    assert found.function == "mlir::TFL::ConvertStatsToQDQs::matchAndRewrite" and found.pass_ == "PrepareQuantizePass"


def test_a_driver_is_named_and_is_not_enough() -> None:
    found = blamed("std::vector::push_back", "tflite::Subgraph::InvokeImpl", PYTHON)
    assert found == Culprit("tflite::Subgraph::InvokeImpl", specific=False)


def test_a_library_without_symbols_is_named_itself() -> None:
    found = blamed(*ABORT, "libLiteRt.so:", "libLiteRt.so:", PYTHON)
    assert found == Culprit("libLiteRt.so", specific=False)


def test_nothing_beyond_python_is_blamed() -> None:
    """What called Python did its part."""
    assert blamed("libc.so.6:memcpy", PYTHON, "tflite::ops::builtin::add::Eval") == Culprit()
    assert culprit_of_samples([]) == Culprit()


def test_memory_that_no_file_is_behind_is_passed_over() -> None:
    assert blamed("none:", "tflite::ops::builtin::add::Eval").function == "tflite::ops::builtin::add::Eval"


def test_the_heap_is_nobodys_function() -> None:
    assert blamed("libc.so.6:", "libc.so.6:malloc", "libstdc++.so.6:operator new", "tflite::ops::builtin::a::E").heap
    assert not blamed("libc.so.6:memcpy", "tflite::ops::builtin::a::Eval").heap
    assert not blamed("tflite::ops::builtin::a::Eval", "libc.so.6:free").heap, "a callback of the heap's caller"


def test_lambdas_are_their_functions() -> None:
    assert blamed("a::f::{lambda}::operator()").function == blamed("a::f::{lambda}::__invoke").function == "a::f"


def test_a_recursion_has_one_name_wherever_it_ended() -> None:
    turns = ["a::walk", "b::visit", "llvm::function_ref::callback_fn"] * MAX_FRAMES
    found = {culprit(trace(turns[i : i + MAX_FRAMES], address=4096, pointer=5000)) for i in range(3)}
    assert found == {Culprit("a::walk", overflow=True, specific=True)}
    assert next(iter(found)).text == "a::walk (stack overflow)"


def test_a_hang_is_named_by_the_innermost_function_that_samples_share() -> None:
    outer = ("tflite::ops::builtin::conv::Eval", "tflite::Subgraph::InvokeImpl", PYTHON)
    samples = [
        trace(("x::row", "tflite::optimized_ops::Loop", *outer), 12),
        trace(("x::column", "tflite::optimized_ops::Loop", *outer), 12),
        trace(("std::fill", "x::row", "tflite::optimized_ops::Loop", *outer), 12),
    ]
    found = culprit_of_samples(samples)
    assert found.text == "tflite::optimized_ops::Loop (kernel conv)" and found.specific
    assert culprit_of_samples(samples[:1]).function == "x::row"


@pytest.mark.parametrize(
    "name",
    [
        "mlir::TFL::PrepareQuantizePass::runOnOperation",
        "mlir::TF::ConstOp::fold",
        "mlir::TFL::Conv2DOp::verify",
        "mlir::odml::FuseOps",
        "mlir::quant::QuantizationDriver::Run",
        "tflite::ParseConv2D",
        "tflite::xnnpack::Subgraph::Create",
        "tflite::optimize::calibration::MinMax::Update",
        "xnn_create_add_nd_qs8",
        "xnn_reshape_runtime",
        "toco::ConvertOperator",
        "tensorflow::MklConvOp::Compute",
        "tflite::reference_ops::Reverse",
    ],
)
def test_what_names_a_defect_is_kept(name: str) -> None:
    assert reason_to_skip(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "std::vector::at",
        "Eigen::internal::gebp_kernel::operator()",
        "xnn_f32_gemm_minmax_ukernel_7x16__avx512f_broadcast",
        "xnn_qs8_vadd_minmax_ukernel__avx512skx_mul32_ld128_u16",
        "binary_ukernel_unquantized",
        "mlir::Operation::getAttr",
        "mlir::applyPatternsGreedily",
        "mlir::detail::OpToOpPassAdaptor::run",
        "mlir::func::ReturnOp::create",
        "mlir::TFL::Conv2DOp::getPadding",
        "llvm::report_fatal_error",
        "absl::log_internal::LogMessageFatal::~LogMessageFatal",
        "pybind11::cpp_function::dispatcher",
        "tflite::RuntimeShape::Dims",
        "tflite::GetInputSafe",
        "tflite::NdArrayDescsForElementwiseBroadcast",
        "tflite::QuantizeMultiplier",
        "tflite::CalculateActivationRangeQuantized",
        "tflite::ComputePaddingHeightWidth",
        "dnnl::impl::cpu::x64::jit_generator::create_kernel",
    ],
)
def test_what_is_anybodys_is_passed_over(name: str) -> None:
    assert reason_to_skip(name)


def test_every_row_has_a_reason() -> None:
    assert all(reason for _, reason in SKIPPED) and len({p.pattern for p, _ in SKIPPED}) == len(SKIPPED)


def test_maps_are_read_as_far_as_they_go() -> None:
    maps = (
        "7f0000000000-7f0000001000 r--p 00000000 08:01 11 /lib/with space.so\n"
        "7f0000001000-7f0000003000 r-xp 00001000 08:01 11 /lib/with space.so\n"
        "7f0000003000-7f0000004000 rwxp 00000000 00:00 0 \n"
        "7f0000005000-7f0000006000 r-xp 00000000 08:01 12 /lib/gone.so (deleted)\n"
        "7f0000007000-7f00"
    )
    modules = Modules(maps)
    assert modules.frame(0x7F0000001234) == Frame("/lib/with space.so", 0x1234)
    assert modules.frame(0x7F0000005010) == Frame("/lib/gone.so", 0x10)
    for nowhere in (0x7F0000000010, 0x7F0000003010, 0x7F0000004010, 1, 1 << 63):
        assert modules.frame(nowhere) == Frame("", nowhere)
