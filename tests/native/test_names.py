"""Symbols become names that two builds share."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.native.names import MAX_NAME, plain_name
from fuzzer.native.symbols import function_at
from fuzzer.native.trace import Frame

LINES = [
    line for line in (Path(__file__).parent / "names.txt").read_text().splitlines() if line and not line.startswith("#")
]


@pytest.mark.parametrize(("symbol", "name"), list(zip(LINES[::2], LINES[1::2], strict=True)))
def test_golden(symbol: str, name: str) -> None:
    assert plain_name(symbol) == name


def test_a_long_name_keeps_its_innermost_scopes() -> None:
    scopes = [f"scope_number_{i}" for i in range(40)]
    symbol = "_ZN" + "".join(f"{len(s)}{s}" for s in scopes) + "Ev"
    name = plain_name(symbol)
    assert len(name) <= MAX_NAME and name.startswith("…::") and name.endswith("::scope_number_38::scope_number_39")


@given(st.text("_ZNSt1359EIJLXTDnpKRabcilsov.A", max_size=60))
def test_rubbish_is_a_name_too(rest: str) -> None:
    assert len(plain_name("_Z" + rest)) <= MAX_NAME


def test_deep_nesting_is_given_up() -> None:
    symbol = "_ZN1a1fI" + "N1bI" * 5000
    assert plain_name(symbol) == symbol[:MAX_NAME]


SOURCE = """
#include <functional>
#include <string>
#include <vector>
#define KEEP __attribute__((noinline, used))
namespace outer { namespace {
template <typename T, int N> struct Kernel {
  volatile int made;
  KEEP Kernel() { made = N; }
  KEEP int eval(const std::vector<T>& x, std::function<void(int)> f) const { f(N); return x.size(); }
  KEEP operator bool() const { return N; }
  KEEP bool operator<(const Kernel&) const { return N; }
};
}
inline namespace lts_20300101 { KEEP int versioned(std::string s) { return s.size(); } }
template <auto F, typename... Ts> KEEP int variadic(Ts... ts) { return F(ts...) + sizeof...(ts); }
KEEP int add(int a, float b) { return a + b; }
KEEP int run() {
  Kernel<float, 3> kernel;
  auto lambda = [&](int i) KEEP { return (kernel < kernel) + i; };
  return kernel.eval({1.f}, lambda) + kernel + versioned("x") + variadic<add>(1, 2.f) + lambda(2);
}
}
int main() { return outer::run(); }
"""
NAMES = {
    "outer::Kernel::Kernel",
    "outer::Kernel::eval",
    "outer::Kernel::operator type",
    "outer::Kernel::operator<",
    "outer::versioned",
    "outer::variadic",
    "outer::add",
    "outer::run",
    "outer::run::{lambda}::operator()",
    "main",
}


def test_what_a_compiler_makes(tmp_path: Path) -> None:
    """Names of a program made here, found through the same table as those of TensorFlow."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    (tmp_path / "a.cc").write_text(SOURCE)
    subprocess.run([compiler, "-std=c++17", "-O1", "-o", "a", "a.cc"], cwd=tmp_path, check=True)
    binary = tmp_path / "a"
    found = {function_at(Frame(str(binary), offset)) for offset in range(0, binary.stat().st_size, 4)}
    assert found >= NAMES


def test_a_file_that_is_gone_or_no_library_has_no_names(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library\n")
    (tmp_path / "empty.so").write_bytes(b"")
    for name in ("text.so", "empty.so", "gone.so"):
        assert function_at(Frame(str(tmp_path / name), 64)) == ""
