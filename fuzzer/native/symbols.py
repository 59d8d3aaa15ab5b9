"""Which function a place in a file belongs to, by the file's own symbol table. Nothing of the file is loaded or run.

The wheels of TensorFlow and LiteRT keep their full tables (`.symtab`); libraries of the system are stripped and keep
what they export (`.dynsym`). Reading the table of `libtensorflow_cc.so.2`, 1.3 million symbols, takes 0.3 s, once in a
process that has a death to name, so nothing is kept on disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzzer.native.names import plain_name
from fuzzer.native.trace import Frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STT_FUNC, _STT_GNU_IFUNC = 2, 10  # elf.h
_MAX_NAME = 8192
"""Bytes of a mangled name that are read; the longest of TensorFlow has about 4,000."""


@dataclass(frozen=True)
class Functions:
    """The functions of a file, sorted by address, and where their names are. All arrays have one entry a symbol."""

    begins: NDArray[np.uint64]
    sizes: NDArray[np.uint64]
    names: NDArray[np.uint32]
    """Offsets in the string table."""
    strings: int
    """Offset of the string table in the file."""
    strings_bytes: int
    segments: tuple[tuple[int, int, int], ...]
    """(offset in the file, bytes, address) of what is loaded."""
    stripped: bool
    """Only what the file exports is known."""


@lru_cache(maxsize=4096)
def function_at(frame: Frame) -> str:
    """The plain name of the function that holds `frame`; empty where the file has no symbol for it."""
    mangled = _mangled(frame)
    return plain_name(mangled) if mangled else ""


def module_name(frame: Frame) -> str:
    """The file name of a frame's module; `?` where there is none."""
    return Path(frame.module).name or "?"


def _mangled(frame: Frame) -> str:
    table = _functions_of(frame.module) if frame.module else None
    if table is None:
        return ""
    address = next(
        (frame.offset - offset + base for offset, size, base in table.segments if 0 <= frame.offset - offset < size),
        None,
    )
    if address is None:
        return ""
    index = int(table.begins.searchsorted(address, side="right")) - 1
    # A nearest symbol is not good enough: in a stripped file it is whatever happens to be exported before.
    if index < 0 or address >= int(table.begins[index]) + max(int(table.sizes[index]), 1):
        return ""
    try:
        with open(frame.module, "rb") as file:  # noqa: PTH123  (pread of a part of a gigabyte)
            raw = os.pread(file.fileno(), _MAX_NAME, table.strings + int(table.names[index]))
    except OSError:
        return ""
    return raw.partition(b"\0")[0].decode(errors="replace")


def read_functions(path: str) -> Functions | None:
    """The functions of a file; None when it is gone or no ELF file of 64 bits."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return _read_table(path, ELFFile(file))
    except (OSError, ELFError):
        return None


def sections(elf: Any, *types: str) -> Iterator[Any]:
    """The sections of some types. `elf.iter_sections` makes all of them, hash tables of a second included."""
    from elftools.common.exceptions import ELFError

    for number in range(elf.num_sections()):
        with suppress(ELFError):  # of another type
            yield elf.get_section(number, types)


_functions_of = cache(read_functions)
"""For who asks again and again, and may keep 16 MB."""


def _read_table(path: str, elf: Any) -> Functions | None:
    """Reads the symbols as one array: pyelftools finds the table, and would take a minute to read it one by one."""
    import numpy as np

    section = next(sections(elf, "SHT_SYMTAB"), None) or next(sections(elf, "SHT_DYNSYM"), None)
    if section is None or elf.elfclass != 64:
        return None
    # Elf64_Sym of elf.h.
    layout = np.dtype(
        [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
    )
    symbols = np.memmap(path, layout, "r", section["sh_offset"], section["sh_size"] // layout.itemsize)
    kind = symbols["info"] & 15
    functions = symbols[((kind == _STT_FUNC) | (kind == _STT_GNU_IFUNC)) & (symbols["section"] != 0)]
    # Aliases share an address: of these the longest comes last and is found, then the one with the first name.
    order = np.lexsort((-functions["name"].astype(np.int64), functions["size"], functions["value"]))
    functions = functions[order]
    segments = tuple(
        (int(s["p_offset"]), int(s["p_filesz"]), int(s["p_vaddr"]))
        for s in elf.iter_segments()
        if s["p_type"] == "PT_LOAD"
    )
    strings = elf.get_section(section["sh_link"])
    return Functions(
        functions["value"].copy(),
        functions["size"].copy(),
        functions["name"].copy(),
        int(strings["sh_offset"]),
        int(strings["sh_size"]),
        segments,
        section["sh_type"] != "SHT_SYMTAB",
    )
