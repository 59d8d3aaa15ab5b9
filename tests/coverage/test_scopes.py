"""Which library is which, by the symbols in it and the package that it lies in."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzzer.coverage.blocks import find
from fuzzer.coverage.scopes import Selection, loaded, selection
from tests.coverage.planted import assembly, compiled


def function(symbol: str) -> str:
    return (
        f".globl {symbol}\n.type {symbol}, @function\n{symbol}:\n.cfi_startproc\nret\n.cfi_endproc\n.size {symbol}, 1\n"
    )


CONVERTER = "".join(function(f"_ZN4mlir3TFL7pass{i:03d}Ev") for i in range(100, 220))
RUNTIME = "".join(function(f"_ZN6tflite3ops7builtin7eval{i:03d}Ev") for i in range(100, 220))
OTHERS = function("_ZN10tensorflow3runEv") + function("_ZN8protocol4sendEv") + function("_ZN4llvm1fEN6tflite1XE")
SIZE = ".section .rodata\n.skip 300000\n"


def made(folder: Path, name: str, text: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(assembly(folder / name, f".text\n{text}{SIZE}"))


def maps(*files: str) -> str:
    lines = [f"7f0000000000-7f0000001000 r-xp 00000000 08:01 12 {'':20} {file}" for file in files]
    return "\n".join(
        ["00400000-00401000 rw-p 00000000 00:00 0 ", "7ff000-7fff00 rw-p 00000000 00:00 0 [stack]", *lines]
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "tensorflow" / "site-packages"


def test_what_is_in_the_symbols_decides(site: Path, tmp_path: Path) -> None:
    converter = made(site / "tensorflow", "a.so.2", CONVERTER + OTHERS)
    runtime = made(site / "tensorflow" / "lite", "b.so", RUNTIME + OTHERS)
    litert = made(site / "ai_edge_litert", "c.so", RUNTIME)
    few = made(site / "tensorflow", "few.so", CONVERTER[:300].rpartition(".globl")[0] + OTHERS)
    elsewhere = made(site / "else" / "lib", "d.so", OTHERS)
    outside = made(tmp_path / "lib", "e.so", RUNTIME)
    text = maps(litert, few, elsewhere, outside, runtime, runtime, converter, "/gone/x.so", "/dev/shm/y (deleted)")
    assert loaded(text) == [("converter", converter), ("runtime", runtime), ("litert", litert)]
    assert selection("runtime", runtime) == Selection("runtime", True, True)
    assert selection("converter", converter) == Selection("converter", False, False)


def test_two_scopes_in_one_file_share_it_out(site: Path) -> None:
    both = made(site / "tensorflow", "both.so", CONVERTER + RUNTIME + OTHERS)
    assert loaded(maps(both)) == [("converter", both), ("runtime", both)]
    names = {scope: find(both, selection(scope, both), lambda share: None).names for scope in ("converter", "runtime")}
    assert set(names["runtime"]) == {f"tflite::ops::builtin::eval{i}" for i in range(100, 220)}
    assert set(names["converter"]) == {f"mlir::TFL::pass{i}" for i in range(100, 220)} | {"llvm::f"}
    litert = made(site / "ai_edge_litert", "both.so", CONVERTER + RUNTIME)
    assert loaded(maps(litert)) == [("litert", litert)]
    assert len(find(litert, selection("litert", litert), lambda share: None).names) == 120


def test_references_are_no_definitions(site: Path) -> None:
    calls = "".join(
        f".globl _ZN6tflite3ops7builtin7eval{i}Ev\ncall _ZN6tflite3ops7builtin7eval{i}Ev\n" for i in range(100, 300)
    )
    user = made(site / "tensorflow", "user.so", f"{function('_ZN6tflite4userEv')}{calls}")
    assert loaded(maps(user)) == []


def test_a_stripped_library_is_told_by_its_name(site: Path) -> None:
    source = site / "tensorflow" / "x.s"
    source.parent.mkdir(parents=True)
    source.write_text(f".text\n{RUNTIME}{SIZE}")
    for name in ("libpywrap_tflite_common.so", "unknown.so"):
        compiled(source.parent / name, "-s", "-nostdlib", source)
    files = [str(source.parent / name) for name in ("libpywrap_tflite_common.so", "unknown.so")]
    replaced = str(source.parent / "libtensorflow_cc.so.2 (deleted)")
    assert loaded(maps(*files, replaced)) == [("converter", replaced), ("runtime", files[0])]


def test_names(site: Path) -> None:
    alone, beside = Selection("converter", False, False), Selection("converter", False, True)
    runtime = Selection("runtime", False, True)
    for name, in_alone, in_beside, in_runtime in (
        ("mlir::TFL::AddOp::fold()", True, True, False),
        ("mlir::quant::f(tflite::ModelT&)", True, True, False),
        ("tflite::FlatBufferToMlir(mlir::MLIRContext*)", True, True, False),
        ("tflite::Interpreter::Invoke()", True, False, True),
        ("toco::Model::Model()", True, True, False),
        ("xnn_f32_gemm", False, False, True),
        ("grpc::protocol::Send()", False, False, False),
        ("mlir::quantum::f()", False, False, False),
    ):
        assert (alone.takes(name), beside.takes(name), runtime.takes(name)) == (in_alone, in_beside, in_runtime), name
    assert not runtime.candidate(b"_GLOBAL__sub_I_tflite.cc") and runtime.candidate(b"_ZN6tflite1fEv")
