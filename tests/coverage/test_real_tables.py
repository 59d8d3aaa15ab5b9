"""The tables of the libraries that are installed: what TensorFlow loads is found, and only code is listed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from fuzzer.coverage import tables
from fuzzer.coverage.space import BlockSpace, Library
from fuzzer.native.symbols import read_functions

pytestmark = pytest.mark.slow
LOADED = """
import contextlib, io, json, sys
from fuzzer.execute import target
from fuzzer.coverage import scopes
target.load()
print(json.dumps(scopes.loaded()))
"""
COUNTED = {"converter": (31_274, 398_813), "runtime": (20_287, 342_243)}
"""Functions and plain blocks that a prototype counted in TensorFlow 2.21, initialisers and some strangers included."""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlockSpace]:
    found = json.loads(subprocess.run([sys.executable, "-c", LOADED], capture_output=True, check=True).stdout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        heard: list[float] = []
        made, problems = tables.ensure(found, lambda name, share: heard.append(time.monotonic()))
        assert problems == []
        assert max(later - earlier for earlier, later in pairwise(heard)) < 5.0
        yield made


def executable(library: Library) -> list[tuple[int, int]]:
    with open(library.module, "rb") as file:  # noqa: PTH123
        sections = [s for s in ELFFile(file).iter_sections() if s["sh_flags"] & 4]
        return [(s["sh_addr"], s["sh_addr"] + s["sh_size"]) for s in sections]


def test_all_scopes_are_found(space: BlockSpace) -> None:
    assert [library.scope for library in space.libraries] == sorted(
        (library.scope for library in space.libraries), key=["converter", "runtime", "litert"].index
    )
    assert {library.scope for library in space.libraries} == {"converter", "runtime", "litert"}
    for library in space.libraries:
        assert library.count > 100_000 and Path(library.module).is_file()


@pytest.mark.skipif(not version("tensorflow").startswith("2.21"), reason="the figures are those of 2.21")
def test_the_figures_of_the_design_page(space: BlockSpace) -> None:
    for library in space.libraries:
        if library.scope in COUNTED:
            functions, blocks = COUNTED[library.scope]
            table = tables.read(library.table)
            assert len(table.names) == pytest.approx(functions, rel=0.04)
            assert int((~table.indirect).sum()) == pytest.approx(blocks, rel=0.02)
            assert 0.02 < table.indirect.mean() < 0.2


def test_only_code_and_each_block_once(space: BlockSpace) -> None:
    for library in space.libraries:
        table = tables.read(library.table)
        assert len(table.addresses) == library.count and (np.diff(table.addresses.astype(np.int64)) > 0).all()
        inside = np.zeros(library.count, bool)
        for low, high in executable(library):
            inside |= (table.addresses >= low) & (table.addresses < high)
        assert inside.all()


def test_each_function_begins_with_a_plain_block(space: BlockSpace) -> None:
    for library in space.libraries:
        table = tables.read(library.table)
        _, first = np.unique(table.functions, return_index=True)
        assert len(first) == len(table.names) and not table.indirect[first].any()
        functions = read_functions(library.module)
        assert functions is not None and np.isin(table.addresses[first], functions.begins).all()


def test_the_names_tell_kernels_and_passes_apart(space: BlockSpace) -> None:
    names = {library.scope: set(tables.read(library.table).names) for library in space.libraries}
    assert {"mlir::TFL::PrepareQuantizePass::runOnOperation", "mlir::TFL::AddOp::fold"} <= names["converter"]
    for scope in ("runtime", "litert"):
        assert any(re.match(r"tflite::ops::builtin::conv::Eval<KernelType\(2\)>$", name) for name in names[scope])
        assert any(name.startswith("xnn_f32_gemm") for name in names[scope])
        assert not any("(anonymous" in name for name in names[scope])


@pytest.mark.skipif(shutil.which("objdump") is None, reason="there is no second disassembler")
def test_another_disassembler_agrees_that_instructions_start_there(space: BlockSpace) -> None:
    """Capstone against binutils, over all of a runtime: the one check that shares no code with what it checks."""
    smallest = min(space.libraries, key=lambda library: Path(library.module).stat().st_size)
    addresses = tables.addresses_of(smallest.table)
    command = ["objdump", "-d", "-w", "--no-show-raw-insn", smallest.module]
    starts = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dump:
        assert dump.stdout is not None
        starts = [int(line[: line.index(":")], 16) for line in dump.stdout if re.match(r" +[0-9a-f]+:\t", line)]
    assert len(starts) > len(addresses)
    assert np.isin(addresses, np.array(starts, np.uint64)).all()
