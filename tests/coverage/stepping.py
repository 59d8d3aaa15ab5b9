"""Where a program really goes: single-stepped by ptrace(2), without any disassembler."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

from tests.coverage.planted import HERE, compiled

_TRACEME = 0  # sys/ptrace.h
_CALL = 0xE8
_CALL_BYTES = 5
_ROOM = 1 << 16


def landings(library: Path, calls: list[tuple[str, int]]) -> set[int]:
    """The addresses in the file of `library` that the calls jump to: not what follows, and no return from a call.

    Short jumps forward cannot be told from a step to the next instruction and are left out. Each call is a function
    of one int. The library must call by `call rel32` alone, as compilers do without being told otherwise.
    """
    stepper = ctypes.CDLL(str(compiled(library.with_name("step.so"), HERE / "step.c")))
    stepper.step.restype = ctypes.c_long
    stepper.step.argtypes = [ctypes.c_long] * 3 + [ctypes.c_void_p, ctypes.c_long]
    loaded = ctypes.CDLL(str(library), mode=os.RTLD_NOW)
    low, high = _range(library)
    made: set[int] = set()
    for name, argument in calls:
        pairs = (ctypes.c_long * 2 * _ROOM)()
        count = stepper.step(_stopped(getattr(loaded, name), argument), low, high, pairs, _ROOM)
        assert 0 < count < _ROOM
        made |= _landed([(pairs[i][0], pairs[i][1]) for i in range(count)], low, high)
    return {address - low for address in made}


def _stopped(function: ctypes._CFuncPtr, argument: int) -> int:
    """A child that will call `function` once it is let go on."""
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).ptrace(_TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            function(argument)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return child


def _landed(pairs: list[tuple[int, int]], low: int, high: int) -> set[int]:
    returns: set[int] = set()
    made = set()
    for last, at in pairs:
        if low <= last < high and ctypes.string_at(last, 1)[0] == _CALL:
            returns.add(last + _CALL_BYTES)
        if low <= at < high and at not in returns:
            made.add(at)
    return made


def _range(library: Path) -> tuple[int, int]:
    lines = [
        line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(library))
    ]
    bounds = [int(bound, 16) for line in lines for bound in line.split("-")]
    return min(bounds), max(bounds)
