"""Which native blocks run: the owner's side of the tripwire, and the executor's.

The owner (a driver) makes shared memory with one byte a block and hands it to its executors, one after another. An
executor arms every block that is not known; the C handler (`fuzzer/native/tripwire.c`) marks a block in that memory
when it runs for the first time, and it costs nothing from then on. What was marked survives any death of the
executor, `kill -9` included.

Blocks that are reported are those of the process that armed them and of its forks; a program that it starts
(`exec`) is another one.

Layout of the memory, which is a memfd: `_HEADER`; at `_COUNTERS_AT` the two counters of `struct counters`; at
`_JSON_AT` the space as JSON; at `states_at`, where a page begins, the bytes. Owner's side: standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import struct
from array import array
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from fuzzer.coverage import tables
from fuzzer.coverage.space import BlockSpace, Library
from fuzzer.native.build import NoLibrary
from fuzzer.native.library import library

_MAGIC = b"tripwire"
_VERSION = 1
_HEADER = struct.Struct("<8sIIQQ")
"""Magic, version, bytes of JSON, where the states begin, how many there are."""
_COUNTERS_AT = 64
_JSON_AT = 128
_UNKNOWN, _KNOWN, _HIT = 0, 1, 2
_NEVER = ("ld-", "libc.", "libc-", "libgcc_s", "libstdc++", "libpthread", "libdl", "native-")
"""Beginnings of the names of libraries that the handler, or what it passes a signal on to, runs in."""


class Hits:
    """The blocks that executors ran, in memory that outlives them. Not safe for use by several threads at once."""

    def __init__(self, space: BlockSpace) -> None:
        """Nothing is known yet."""
        entries = [{**entry, "identity": _identity(entry["module"])} for entry in space.to_json()]
        text = json.dumps(entries).encode()
        states_at = -(-(_JSON_AT + len(text)) // mmap.PAGESIZE) * mmap.PAGESIZE
        self.handle = os.memfd_create("hits")
        """The memory, for the executor."""
        os.ftruncate(self.handle, states_at + max(space.size, 1))
        self._memory = mmap.mmap(self.handle, 0)
        self._memory[: _HEADER.size] = _HEADER.pack(_MAGIC, _VERSION, len(text), states_at, space.size)
        self._memory[_JSON_AT : _JSON_AT + len(text)] = text
        self._view = memoryview(self._memory)
        self._states = self._view[states_at : states_at + space.size]
        self._counters = self._view[_COUNTERS_AT : _COUNTERS_AT + 16].cast("Q")
        self._seen = 0

    def know(self, numbers: Iterable[int]) -> None:
        """These blocks are no news, whoever hits them. Executors that start from now on do not even arm them."""
        states = self._states
        for number in numbers:
            states[number] = _KNOWN

    def forget(self, numbers: Iterable[int]) -> None:
        """These blocks are news again. Executors that start from now on arm them; one that runs is told by `rearm`."""
        states = self._states
        for number in numbers:
            states[number] = _UNKNOWN

    def take(self) -> list[int]:
        """The blocks that were hit since the last `take`, ascending, each once; they are known from now on.

        Microseconds when there are none; otherwise 0.1 ms for looking through the bytes of 740,000 blocks.
        """
        # Read in this order, equal counters mean that no hit is half done: each ends after it begins.
        ended, begun = self._counters[1], self._counters[0]
        if begun == ended == self._seen:
            return []
        # A process that was killed in the middle of a hit leaves them unequal for good: then every call looks.
        self._seen = begun if begun == ended else -1
        numbers = list(_positions(self._states.tobytes(), _HIT))
        self.know(numbers)
        return numbers

    def close(self) -> None:
        """Releases the memory; executors that have it keep it."""
        self._states.release()
        self._counters.release()
        self._view.release()
        self._memory.close()
        os.close(self.handle)


def _positions(data: bytes, value: int) -> Iterator[int]:
    at = data.find(value)
    while at >= 0:
        yield at
        at = data.find(value, at + 1)


def _identity(path: str) -> list[int]:
    """What changes when a file is replaced or written to. Empty for one that is gone."""
    try:
        found = os.stat(path)  # noqa: PTH116  (a path of /proc, as it is)
    except OSError:
        return []
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


# --- in the executor ----------------------------------------------------------------------------------------


class _Refused(Exception):
    """Why a library, or all of them, cannot be armed; one line."""


def arm(handle: int) -> str:
    """Arms every block that is not known, of every library of the memory's space. Once a process.

    Call it when the process has one thread, and after all else that takes signals: a SIGTRAP that is none of ours goes
    to whoever had it before. "" or, in one line, what is not armed and why; libraries that can be armed are.
    """
    try:
        libraries, counters_at, states_at, size = _read(handle)
        native = _native()
        _check(native.tripwire_share(handle, size, counters_at, states_at), "the shared memory")
        return _arm_all(native, libraries)
    except _Refused as why:
        return f"no native coverage: {why}"


def _arm_all(native: ctypes.CDLL, libraries: list[tuple[Library, list[int]]]) -> str:
    problems = []
    loaded, first = _loaded(), 0
    for entry, identity in libraries:
        try:
            _add(native, loaded, entry, identity, first)
        except _Refused as why:
            problems.append(str(why))
        except PermissionError as denied:
            native.tripwire_give_up()
            raise _Refused(
                f"this kernel lets no process write to its program text ({denied.strerror}); SELinux does so "
                "without execmod, systemd with MemoryDenyWriteExecute"
            ) from denied
        first += entry.count
    planted = native.tripwire_arm()
    if planted < 0:
        native.tripwire_give_up()
        _check(-planted, "SIGTRAP")
    return f"less native coverage: {'; '.join(problems)}" if problems else ""


def rearm(numbers: Iterable[int]) -> int:
    """Arms these blocks again in this process, and makes them unknown; how many were not armed.

    For measuring what a single case reaches. Nothing happens in a process that is not armed.
    """
    wanted = array("I", numbers)
    if not wanted:
        return 0
    return int(_native().tripwire_rearm((ctypes.c_uint32 * len(wanted)).from_buffer(wanted), len(wanted)))


def disarm() -> int:
    """Puts the original bytes back in this process; how many. `rearm` arms again."""
    return int(_native().tripwire_disarm())


def holds() -> bool:
    """Whether SIGTRAP comes to the tripwire in this process."""
    return bool(_native().guard_holds())


def _read(handle: int) -> tuple[list[tuple[Library, list[int]]], int, int, int]:
    """Libraries with the identity of their files, where the counters and states are, and bytes in all."""
    size = os.fstat(handle).st_size
    head = os.pread(handle, _HEADER.size, 0)
    magic, version, text_bytes, states_at, count = _HEADER.unpack(head.ljust(_HEADER.size, b"\0"))
    if magic != _MAGIC or version != _VERSION or size < states_at + count:
        raise _Refused("the memory is not that of a tripwire of this version")
    entries: list[dict[str, Any]] = json.loads(os.pread(handle, text_bytes, _JSON_AT))
    identities = [entry.pop("identity") for entry in entries]
    space = BlockSpace.from_json(entries)
    if space.size != count:
        raise _Refused("the memory is not that of a tripwire of this version")
    return list(zip(space.libraries, identities, strict=True)), _COUNTERS_AT, states_at, size


def _loaded() -> dict[str, int]:
    """Where each mapped file begins in this process (proc_pid_maps(5))."""
    begins: dict[str, int] = {}
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6:
            begins.setdefault(fields[5], int(fields[0].partition("-")[0], 16))
    return begins


def _add(native: ctypes.CDLL, loaded: dict[str, int], entry: Library, identity: list[int], first: int) -> None:
    """Makes a library ready. Raises `_Refused`, and `PermissionError` where its text must not be written."""
    name = Path(entry.module).name
    if name.startswith(_NEVER):
        raise _Refused(f"{name} is what the trap handler itself needs")
    if entry.module not in loaded:
        raise _Refused(f"{name} is not loaded")
    try:
        if not identity or _identity(entry.module) != identity:
            raise _Refused(f"{name} was replaced since its blocks were found; start again")
        addresses = tables.addresses_of(entry.table)
    except (OSError, tables.DamagedTable) as reason:
        raise _Refused(f"{name}: {reason}") from reason
    if len(addresses) != entry.count:
        raise _Refused(f"{name}: {entry.table} has {len(addresses)} blocks instead of {entry.count}")
    error = native.tripwire_add(loaded[entry.module], addresses.ctypes.data, entry.count, first)
    if error in (errno.EACCES, errno.EPERM):
        raise PermissionError(error, os.strerror(error))
    _check(error, name)


_ERRORS = {
    errno.EALREADY: "this process has been armed before",
    errno.ENOENT: "no loaded library has its address",
    errno.EINVAL: "the addresses in its table do not ascend",
    errno.EFAULT: "its table has blocks outside of its code",
    errno.E2BIG: "there are too many libraries",
}
"""What the errors of `tripwire.c` mean; others are the kernel's."""


def _check(error: int, what: str) -> None:
    if error:
        raise _Refused(f"{what}: {_ERRORS.get(error, os.strerror(error))}")


@cache
def _native() -> ctypes.CDLL:
    """The library, its functions declared. Raises `_Refused`."""
    try:
        loaded = library()
    except (NoLibrary, OSError) as reason:
        raise _Refused(str(reason)) from reason
    loaded.tripwire_share.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_long, ctypes.c_long]
    loaded.tripwire_add.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
    loaded.tripwire_arm.restype = ctypes.c_long
    loaded.tripwire_rearm.argtypes = [ctypes.c_void_p, ctypes.c_long]
    loaded.tripwire_rearm.restype = ctypes.c_long
    loaded.tripwire_disarm.restype = ctypes.c_long
    return loaded
