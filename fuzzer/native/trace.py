"""What the C handler wrote, read by the owner of the dead process: addresses become places in files.

`stack.c` has the same layout and says what each field is. An address space is different in every process; a module and
an offset into its file are not.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from dataclasses import dataclass

MAX_FRAMES = 128
_STACKS = 8
MAX_SAMPLES = _STACKS - 1
_MAPS_AT = 16384
AREA_BYTES = _MAPS_AT + (1 << 20)
_AREA = struct.Struct("<II")
_STACK = struct.Struct(f"<IiIIQQ{MAX_FRAMES}Q")
_OVERFLOW_BYTES = 64 << 10
"""How far from the stack pointer a stack overflow faults at most: the size of a function's locals. Guard pages are
4 KB; a compiler probes larger frames page by page only with -fstack-clash-protection."""


@dataclass(frozen=True)
class Frame:
    """A place in a loaded file. `module` is its path, empty for memory that no file is behind."""

    module: str
    offset: int
    """Bytes from the start of the file; the bare address where there is no module."""


@dataclass(frozen=True)
class Trace:
    """One stack, innermost frame first."""

    signal: int
    code: int
    """`si_code`: who sent the signal, or what the processor objected to (sigaction(2))."""
    address: int
    """What could not be read, written or run; 0 for signals that somebody sent."""
    pointer: int
    """The stack pointer where the signal struck."""
    thread: int
    frames: tuple[Frame, ...]

    @property
    def overflow(self) -> bool:
        """Whether the stack itself ran out: the fault is at its end, and there are more frames than fit."""
        return (
            len(self.frames) == MAX_FRAMES and self.address > 0 and abs(self.address - self.pointer) < _OVERFLOW_BYTES
        )


class Modules:
    """Which file is behind which address: the executable lines of `/proc/PID/maps` (proc_pid_maps(5))."""

    def __init__(self, maps: str) -> None:
        self._ranges: list[tuple[int, int, int, str]] = []
        for line in maps.splitlines():
            fields = line.split(maxsplit=5)
            # A copy may end in mid-line.
            if len(fields) == 6 and "x" in fields[1] and fields[5].startswith("/"):
                begin, _, end = fields[0].partition("-")
                self._ranges.append((int(begin, 16), int(end, 16), int(fields[2], 16), fields[5]))
        self._ranges.sort()
        self._begins = [begin for begin, *_ in self._ranges]

    def frame(self, address: int) -> Frame:
        """Where an address lies."""
        index = bisect_right(self._begins, address) - 1
        if index >= 0:
            begin, end, offset, path = self._ranges[index]
            if address < end:
                return Frame(path.removesuffix(" (deleted)"), address - begin + offset)
        return Frame("", address)


def samples_taken(memory: int, at: int) -> int:
    """How many samples are whole."""
    return int(_AREA.unpack(os.pread(memory, _AREA.size, at))[0])


def read_crash(memory: int, at: int) -> Trace | None:
    """The stack of a crash, None where none was written."""
    size = _AREA.unpack(os.pread(memory, _AREA.size, at))[1]
    if not size:
        return None
    maps = os.pread(memory, min(size, AREA_BYTES - _MAPS_AT), at + _MAPS_AT).decode(errors="replace")
    return _read(memory, at, 0, Modules(maps))


def read_samples(memory: int, at: int, maps: str) -> tuple[Trace, ...]:
    """The samples of a process whose `/proc/PID/maps` was `maps`."""
    modules = Modules(maps)
    read = (_read(memory, at, 1 + i, modules) for i in range(min(samples_taken(memory, at), MAX_SAMPLES)))
    return tuple(trace for trace in read if trace is not None)


def _read(memory: int, at: int, index: int, modules: Modules) -> Trace | None:
    fields = _STACK.unpack(os.pread(memory, _STACK.size, at + _AREA.size + index * _STACK.size))
    number, code, thread, count, address, pointer = fields[:6]
    if not number:
        return None
    frames = tuple(modules.frame(value) for value in fields[6 : 6 + min(count, MAX_FRAMES)])
    return Trace(number, code, address, pointer, thread, frames)
