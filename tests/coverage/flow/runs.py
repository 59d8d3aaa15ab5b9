"""Runs functions of the test library in children of the test process: armed, and stepped through by the processor.

The test process itself never calls them, so every child begins with the same memory.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import shutil
import subprocess
import sys
import traceback
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fuzzer.coverage import tables, tripwire
from fuzzer.coverage.space import BlockSpace
from fuzzer.coverage.tripwire import Hits
from fuzzer.native.build import compilers

FOLDER = Path(__file__).parent
_REFUSED = 98
"""Exit status of a child that could not do what it was for; its standard error says why."""


@dataclass(frozen=True)
class Flow:
    """The test library, loaded and with its blocks found."""

    path: Path
    space: BlockSpace
    addresses: list[int]
    """Where its blocks are, by number; those of the file."""
    names: list[str]
    """The function of each block."""
    bias: int
    text: tuple[int, int]
    """First address and size of its executable part, in this process."""
    library: ctypes.CDLL
    stepper: ctypes.CDLL

    def blocks_of(self, *functions: str) -> set[int]:
        """The numbers of the blocks of functions."""
        found = {number for number, name in enumerate(self.names) if name in functions}
        assert found, functions
        return found

    def code(self) -> bytes:
        """The bytes of its executable part, as this process has them."""
        return ctypes.string_at(*self.text)

    def function(self, name: str) -> Callable[[int], int]:
        call = self.library[name]
        call.restype = ctypes.c_long
        call.argtypes = [ctypes.c_long]
        return lambda number: int(call(number))


def load(folder: Path) -> Flow:
    """Compiles, loads and takes apart the library. Skips the test where there is no compiler."""
    compiler = next((c for c in ("g++", "clang++", "c++") if shutil.which(c)), None)
    if compiler is None or not compilers():
        pytest.skip("no C++ compiler for the library whose control flow is known (Debian: apt-get install g++)")
    path, stepper = folder / "libflow.so", folder / "libstep.so"
    flags = ["-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
    for command in (
        [compiler, "-std=c++17", *flags, "-o", str(path), str(FOLDER / "flow.cc"), "-lpthread"],
        [*compilers()[0], *flags, "-o", str(stepper), str(FOLDER / "stepper.c")],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    space, problems = tables.ensure([("litert", str(path))])
    assert space.size and not [p for p in problems if path.name in p], problems
    table = tables.read(space.libraries[0].table)
    library = ctypes.CDLL(str(path))
    bias, text = _where(path)
    names = [table.names[f] for f in table.functions]
    return Flow(path, space, table.addresses.tolist(), names, bias, text, library, ctypes.CDLL(str(stepper)))


def _where(path: Path) -> tuple[int, tuple[int, int]]:
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(path))]
    begin, _, end = next(fields[0] for fields in maps if "x" in fields[1]).partition("-")
    # The first segment of a shared library has the address 0 in its file.
    return int(maps[0][0].partition("-")[0], 16), (int(begin, 16), int(end, 16) - int(begin, 16))


_SEEN_AT = 64
"""Bytes before what the tracer saw: the result of the call."""


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    blocks: set[int]
    status: int
    """`wait` status."""
    result: int


def _trace(flow: Flow, name: str, number: int, shared: mmap.mmap) -> int:
    """Steps through a call; its result and what ran go to `shared`. The wait status."""
    begin, size = flow.text
    call, result = ctypes.cast(flow.library[name], ctypes.c_void_p), ctypes.c_long.from_buffer(shared)
    seen = (ctypes.c_uint8 * size).from_buffer(shared, _SEEN_AT)
    status = flow.stepper.step(
        call, ctypes.c_long(number), ctypes.c_size_t(begin), ctypes.c_long(size), seen, ctypes.byref(result)
    )
    return int(status)


def stepped(flow: Flow, name: str, number: int = 0) -> Outcome:
    """What the processor says: every instruction of the call is one step of ptrace."""
    begin, size = flow.text
    with mmap.mmap(-1, _SEEN_AT + size) as shared:
        # The tracer waits for any child: in a process of its own there are none but those that it traces.
        _, status = in_child(lambda: _trace(flow, name, number, shared))
        value = int.from_bytes(shared[:8], "little", signed=True)
        ran = (np.flatnonzero(np.frombuffer(shared[_SEEN_AT:], np.uint8)) + begin - flow.bias).tolist()
    if status == -1:
        pytest.skip("this kernel lets no process trace its children (ptrace)")
    starts = (bisect_left(flow.addresses, address) for address in ran)
    return Outcome(
        {i for i, address in zip(starts, ran, strict=True) if i < len(flow.addresses) and flow.addresses[i] == address},
        status,
        value,
    )


def in_child(work: Callable[[], int | None]) -> tuple[int, int]:
    """Forks, works and ends without ceremony, as executors do. The wait status, and what `work` returned."""
    with mmap.mmap(-1, 64) as shared:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = _REFUSED
            faulthandler.disable()  # that of pytest prints the stacks of deaths that are meant to be
            try:
                shared[:8] = (work() or 0).to_bytes(8, "little", signed=True)
                status = 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)
        status = os.waitpid(child, 0)[1]
        return status, int.from_bytes(shared[:8], "little", signed=True)


def plain(flow: Flow, name: str, number: int = 0) -> tuple[int, int]:
    """The wait status and the result of a call in a child in which nothing is armed."""
    return in_child(lambda: flow.function(name)(number))


def arm(hits: Hits) -> None:
    """Arms this process; nothing may be in the way."""
    problem = tripwire.arm(hits.handle)
    assert problem == "", problem


def armed(flow: Flow, name: str, number: int = 0, hits: Hits | None = None) -> Outcome:
    """What the tripwire says: the call in a child that has everything armed that is not known."""
    own = hits or Hits(flow.space)

    def work() -> int:
        arm(own)
        return flow.function(name)(number)

    status, result = in_child(work)
    blocks = own.take()
    assert len(set(blocks)) == len(blocks)
    if hits is None:
        own.close()
    return Outcome(set(blocks), status, result)
