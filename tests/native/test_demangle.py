"""Names for reports: what tells functions apart stays."""

from __future__ import annotations

import re

import pytest

from fuzzer.native.demangle import MAX_NAME, full_name, short_name

TELLING = re.compile("mlir::TFL|tflite")


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("xnn_f32_gemm", "xnn_f32_gemm"),
        ("tflite::Subgraph::Invoke()", "tflite::Subgraph::Invoke"),
        ("TfLiteStatus tflite::ops::builtin::unique::(anonymous namespace)::EvalImpl<signed char>(TfLiteContext*)",
         "tflite::ops::builtin::unique::EvalImpl<signed char>"),
        ("void tflite::ops::builtin::conv::Eval<(tflite::ops::builtin::conv::KernelType)2, (TfLiteType)3>(int)",
         "tflite::ops::builtin::conv::Eval<KernelType(2), TfLiteType(3)>"),
        ("a::(anonymous namespace)::F::g(int) const::{lambda(b::C*)#7}::operator()(b::C*) const",
         "a::F::g::{lambda#7}::operator()"),
        ("std::map<int, x>::operator[](int const&)", "std::map<int, x>::operator[]"),
        ("a::operator<(a::B const&, a::B const&)", "a::operator<"),
        ("std::ostream& a::operator<< <char>(std::ostream&, char)", "a::operator<<<char>"),
        ("a::B::operator std::vector<int, x>() const", "a::B::operator std::vector<int, x>"),
        ("a::B::operator new(unsigned long)", "a::B::operator new"),
        ("non-virtual thunk to a::B::~B()", "a::B::~B"),
        ("std::enable_if<(x)1, y>::type a::f<b::C<d> const&>(b::C<d> const&)", "a::f<b::C<d>>"),
        ("llvm::function_ref<void (mlir::X&)>::callback_fn<mlir::TFL::(anonymous namespace)::f(int)::$_0>(long)",
         "llvm::function_ref<void (mlir::X&)>::callback_fn<mlir::TFL::f::$_0>"),
        ("std::__cxx11::basic_string<char> absl::lts_20230802::f[abi:cxx11](int)", "absl::f"),
    ],
)  # fmt: skip
def test_a_short_name(full: str, short: str) -> None:
    assert short_name(full, TELLING) == short


def test_of_a_long_list_the_telling_argument_stays() -> None:
    traits = ", ".join(f"mlir::OpTrait::Trait{i}<int>::Impl" for i in range(20))
    full = f"bool mlir::Op<mlir::First, {traits}, mlir::TFL::AddOp>::fold(mlir::Operation*)"
    assert short_name(full, TELLING) == "mlir::Op<mlir::TFL::AddOp, …>::fold"
    assert short_name(full) == "mlir::Op<mlir::First, …>::fold"


@pytest.mark.parametrize("text", ["a<b", "f(((", "operator", "<>::", " ", "{", "a b c)", "()", "x" * 5000])
def test_text_that_is_no_name_does_no_harm(text: str) -> None:
    assert 0 < len(short_name(text)) <= MAX_NAME


def test_whole_names() -> None:
    assert full_name("_ZN6tflite8Subgraph6InvokeEv") == "tflite::Subgraph::Invoke()"
    assert full_name("_ZN6tflite8Subgraph6InvokeEv.cold.3") == "tflite::Subgraph::Invoke()"
    assert full_name("xnn_run") == "xnn_run" and full_name("_Zwhat") == "_Zwhat"
    # GCC 12 gives up on `Tn`, by which clang 18 marks the types of template parameters.
    assert full_name("_ZN6tflite1fITnicEEvi").startswith("tflite::f")
