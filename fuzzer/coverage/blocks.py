"""Finds the basic blocks of a library: linear disassembly inside each function, by capstone.

Each address is going to be overwritten by a breakpoint, so the one rule is: *only starts of instructions*. A function
is taken apart only when its symbol and its unwind record agree on where it begins and ends, it decodes to that very
end, and each jump, jump table and landing pad inside it leads to the start of an instruction. Otherwise (assembly
written by hand, data between code, an instruction that capstone does not know) its entry stands for it alone.

*Plain* leaders are those that the literature counts: entry, direct jump target, instruction behind a conditional
jump. *Indirect* ones are reached otherwise: targets of jump tables, landing pads of exceptions, and what stands behind
an unconditional transfer without being a target of any jump that was seen.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzzer.coverage.scopes import TELLING, Selection
from fuzzer.native.demangle import full_name, short_name
from fuzzer.native.symbols import Functions, read_functions, sections
from fuzzer.native.unwind import NoUnwind, Unwind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FINDER = "1"
"""Rises with every change of what is found, so that old tables are not taken for new ones."""

_ENDS = {
    "jmp",
    "ljmp",
    "ret",
    "retf",
    "retfq",
    "iret",
    "iretd",
    "iretq",
    "ud0",
    "ud1",
    "ud2",
    "hlt",
    "sysret",
    "sysexit",
}
"""After these the next instruction is reached from elsewhere."""
_LOOPS = {"loop", "loope", "loopne", "xbegin"}
"""Conditional jumps whose name does not begin with a j."""
_PADDING = {"nop", "int3"}
_INT3 = 0xCC
_RIP = re.compile(r"\[rip(?: ([+-]) (0x[0-9a-f]+|\d+))?\]$")
_MAX_TABLE = 1 << 16
"""Entries of a jump table that are read; the largest of TensorFlow has some hundred."""


class NoBlocks(Exception):
    """The blocks of a library cannot be found. The message is one line: what about the library is in the way."""


@dataclass(frozen=True)
class Function:
    """A function to take apart."""

    name: str
    begin: int
    size: int
    record: int | None
    """Its unwind record; None when it has none that agrees with its symbol."""


@dataclass(frozen=True)
class Found:
    """The blocks of a library, ascending by address; arrays of one length."""

    addresses: NDArray[np.uint64]
    functions: NDArray[np.uint32]
    """Index into `names`."""
    indirect: NDArray[np.bool_]
    names: list[str]


def find(file: str, selection: Selection, progress: Callable[[float], None]) -> Found:
    """All blocks of the functions of `file` that `selection` takes. 0.7 µs an instruction.

    Raises `NoBlocks` for a library without symbols or unwind tables, of another processor, or without such functions,
    and `OSError`.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    with open(file, "rb") as stream:  # noqa: PTH123
        try:
            elf = ELFFile(stream)
        except ELFError as broken:
            raise NoBlocks(f"it is no ELF file ({broken})") from broken
        if elf["e_machine"] != "EM_X86_64":
            raise NoBlocks(f"it is for another processor ({elf['e_machine']})")
        symbols = read_functions(file)
        if symbols is None or symbols.stripped:
            raise NoBlocks("it has no symbol table (it was stripped)")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                unwind = Unwind(elf, data)
                functions = _functions(symbols, unwind, data, _code(elf), selection)
            except NoUnwind as reason:
                raise NoBlocks(str(reason)) from reason
            if not functions:
                raise NoBlocks(f"it has no functions of the {selection.scope}")
            return _Finder(data, symbols.segments, unwind).all(functions, progress)


def _code(elf: Any) -> list[tuple[int, int]]:
    """(first address, end) of the sections with instructions."""
    return [
        (int(s["sh_addr"]), int(s["sh_addr"] + s["sh_size"]))
        for s in sections(elf, "SHT_PROGBITS")
        if s["sh_flags"] & 4  # SHF_EXECINSTR of elf.h
    ]


def _functions(
    symbols: Functions, unwind: Unwind, data: mmap.mmap, code: list[tuple[int, int]], selection: Selection
) -> list[Function]:
    """The functions of a scope by address, each once: of names that share an address the best is kept."""
    extents = unwind.extents()
    made = []
    end = 0
    for begin, (name, sizes) in sorted(_names(symbols, data, selection).items()):
        at = int(extents.begins.searchsorted(begin))
        size, record = max(sizes), None
        recorded = at < len(extents.begins) and int(extents.begins[at]) == begin
        # A symbol may leave the size to the record; where both have one they must agree.
        if recorded and (size == 0 or int(extents.sizes[at]) in sizes):
            size, record = int(extents.sizes[at]), int(extents.records[at])
        # No size: a label like `_init`. Inside of another function: a second way in, which is no start for sure.
        if size == 0 or begin < end or not any(low <= begin and begin + size <= high for low, high in code):
            continue
        end = begin + size
        made.append(Function(name, begin, size, record))
    return made


def _names(symbols: Functions, data: mmap.mmap, selection: Selection) -> dict[int, tuple[str, set[int]]]:
    """By address: the short name of the best symbol of the scope, and the sizes of all."""
    strings = data[symbols.strings : symbols.strings + symbols.strings_bytes]
    best: dict[int, tuple[tuple[bool, int, bytes], str]] = {}
    sizes: dict[int, set[int]] = {}
    for begin, size, offset in zip(
        symbols.begins.tolist(), symbols.sizes.tolist(), symbols.names.tolist(), strict=True
    ):
        symbol = strings[offset : strings.index(b"\0", offset)]
        if not selection.candidate(symbol):
            continue
        sizes.setdefault(begin, set()).add(size)
        # C++ before C, the shorter before the longer: `f` before `f.llvm.1`, complete before base constructors.
        rank = (not symbol.startswith(b"_Z"), len(symbol), symbol)
        if begin not in best or rank < best[begin][0]:
            full = full_name(symbol.decode(errors="replace"))
            if selection.takes(full):
                best[begin] = (rank, full)
    return {begin: (short_name(full, TELLING), sizes[begin]) for begin, (_, full) in best.items()}


class _Finder:
    def __init__(self, data: mmap.mmap, segments: tuple[tuple[int, int, int], ...], unwind: Unwind) -> None:
        import capstone

        self._data = data
        self._segments = segments
        self._unwind = unwind
        self._decode = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm_lite

    def all(self, functions: list[Function], progress: Callable[[float], None]) -> Found:
        """The blocks of all `functions`, which are in the order of their addresses."""
        import numpy as np

        addresses: list[int] = []
        indirect: list[bool] = []
        owners: list[int] = []
        total = sum(function.size for function in functions)
        done = step = 0
        for index, function in enumerate(functions):
            for address, is_indirect in self._blocks(function):
                addresses.append(address)
                indirect.append(is_indirect)
                owners.append(index)
            done += function.size
            if done >= step:
                progress(done / total)
                step = done + total // 200
        return Found(
            np.array(addresses, np.uint64),
            np.array(owners, np.uint32),
            np.array(indirect, np.bool_),
            [function.name for function in functions],
        )

    def _blocks(self, function: Function) -> Iterator[tuple[int, bool]]:
        """(address, indirect) of the leaders, ascending; never a breakpoint that is there already."""
        start = self._offset(function.begin)
        if start is None:
            return
        code = self._data[start : start + function.size]
        try:
            pads = [] if function.record is None else self._unwind.landing_pads(function.record, function.begin)
            taken = None if function.record is None else self._leaders(code, function.begin, pads)
        except NoUnwind:
            taken = None
        plain, indirect = taken or ({function.begin}, set())
        for address in sorted(plain | indirect):
            if code[address - function.begin] != _INT3:
                yield address, address not in plain

    def _leaders(self, code: bytes, begin: int, pads: list[int]) -> tuple[set[int], set[int]] | None:
        """Plain and indirect leaders of a function; None for one that does not add up."""
        end = begin + len(code)
        starts: set[int] = set()
        plain, indirect = {begin}, set(pads)
        tables: list[tuple[int, str]] = []
        expected = begin
        behind_end = computed = False
        for address, size, mnemonic, operands in self._decode(code, begin):
            starts.add(address)
            expected = address + size
            if behind_end and mnemonic not in _PADDING:
                indirect.add(address)
                behind_end = False
            if mnemonic == "lea":
                if "[rip" in operands:
                    tables.append((expected, operands))
                continue
            word = mnemonic.rpartition(" ")[2]  # without `bnd`, `notrack`, `rep`
            if word[0] == "j" or word in _LOOPS:
                if operands[0].isdigit():
                    target = int(operands, 0)
                    if begin <= target < end:
                        plain.add(target)
                elif word == "jmp":
                    computed = True
                if word != "jmp" and expected < end:
                    plain.add(expected)
            behind_end = behind_end or word in _ENDS
        if expected != end or not plain <= starts:
            return None
        if computed:
            for after, operands in tables:
                indirect |= self._table_targets(after, operands, starts)
        return (plain, indirect - plain) if indirect <= starts else None

    def _table_targets(self, after: int, operands: str, starts: set[int]) -> set[int]:
        """Where a jump table leads that `lea reg, [rip + d]` loads; empty for other data.

        GCC and clang write the tables of position-independent code as 4-byte distances from the table's own start.
        Numbers that lead to the start of an instruction of the very function that loads them are no accident.
        """
        found = _RIP.search(operands)
        if found is None:
            return set()
        table = after + int((found[1] or "") + (found[2] or "0"), 0)
        offset = self._offset(table)
        targets: set[int] = set()
        if offset is None or table % 4:
            return targets
        for at in range(offset, min(offset + 4 * _MAX_TABLE, len(self._data) - 3), 4):
            target = table + int.from_bytes(self._data[at : at + 4], "little", signed=True)
            if target not in starts:
                break
            targets.add(target)
        return targets

    def _offset(self, address: int) -> int | None:
        """Where an address is in the file."""
        return next((at + address - base for at, size, base in self._segments if 0 <= address - base < size), None)
