"""Where the functions of a file begin and end, and where exceptions land in them, by the file's unwind tables.

The symbol table says what its author wrote into it; the unwind table is what the program itself lives by, so an extent
that both name can be trusted: compilers write an entry for each function, assemblers none unless somebody asks.

Formats: LSB Core 5.0, section 10.6 (`.eh_frame`, `.eh_frame_hdr`) and 10.5 (pointer encodings); the call-site table is
described in the "Exception Handling Tables" of HP's C++ ABI for Itanium and in GCC's `unwind-dw2-fde.h` and
`except.cc`. Only what GCC, clang and lld write for x86-64 is read; other forms raise `NoUnwind`.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzzer.native.symbols import sections

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OMIT = 0xFF  # DW_EH_PE_omit
_INDIRECT = 0x80  # DW_EH_PE_indirect
_PCREL, _DATAREL = 0x10, 0x30
_FORMATS = {0x00: "<Q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}
"""The fixed widths: absptr, udata2, udata4, udata8, sdata2, sdata4, sdata8."""
_ULEB = 0x01
_TABLE_FORM = _DATAREL | 0x0B
"""How every linker writes the search table: pairs of 4-byte numbers, counted from the header's own address."""


class NoUnwind(Exception):
    """There is no unwind table, or it has a form that is not known. The message is one line."""


@dataclass(frozen=True)
class Extents:
    """The functions of a file by its unwind table, ascending; i64[n] each."""

    begins: NDArray[np.int64]
    sizes: NDArray[np.int64]
    records: NDArray[np.int64]
    """Where the function's record is in `.eh_frame`: what `Unwind.landing_pads` takes."""


class Unwind:
    """The unwind tables of one ELF file: `elf` is pyelftools', `data` the whole file. Raises `NoUnwind` without any."""

    def __init__(self, elf: Any, data: mmap.mmap | bytes) -> None:
        self._data = data
        places = {
            section.name: (int(section["sh_addr"]), int(section["sh_offset"]), int(section["sh_size"]))
            for section in sections(elf, "SHT_PROGBITS", "SHT_AMD64_UNWIND")
        }
        for name in (".eh_frame_hdr", ".eh_frame"):
            if name not in places:
                raise NoUnwind(f"it has no {name}")
        # (address, offset in the file, bytes)
        self._header, self._frames = places[".eh_frame_hdr"], places[".eh_frame"]
        self._lsda = places.get(".gcc_except_table", (0, 0, 0))
        self._augmentations: dict[int, tuple[int, int, bool]] = {}

    def extents(self) -> Extents:
        """All functions. Raises `NoUnwind`."""
        import numpy as np

        address, offset, size = self._header
        form = self._data[offset : offset + 4]
        if form[:1] != b"\x01" or form[2:] != bytes([0x03, _TABLE_FORM]):
            raise NoUnwind(f"its unwind table has the form {bytes(form).hex()}")
        count = int.from_bytes(self._data[offset + 8 : offset + 12], "little")
        if 12 + 8 * count > size:
            raise NoUnwind("its unwind table is cut off")
        pairs = np.frombuffer(self._data, "<i4", 2 * count, offset + 12).reshape(count, 2).astype(np.int64) + address
        records = pairs[:, 1] - self._frames[0]
        if count and (int(records.min()) < 0 or int(records.max()) + 16 > self._frames[2]):
            raise NoUnwind("its unwind table points outside of .eh_frame")
        frames = np.frombuffer(self._data, "u1", self._frames[2], self._frames[1])
        # A record: length, distance to its CIE, first address, bytes; 4 bytes each in the only form that is accepted.
        sizes = sum(frames[records + 12 + byte].astype(np.int64) << (8 * byte) for byte in range(4))
        return Extents(pairs[:, 0].copy(), np.asarray(sizes, np.int64), records)

    def landing_pads(self, record: int, begin: int) -> list[int]:
        """The addresses at which exceptions land in the function of `record`, which starts at `begin`.

        Raises `NoUnwind` for a record or a call-site table in an unknown form.
        """
        try:
            table = self._call_sites(record, begin)
            return [] if table is None else self._pads(table, begin)
        except (IndexError, struct.error, KeyError) as broken:
            raise NoUnwind(f"the unwind record at {record:#x} cannot be read: {broken!r}") from broken

    def _call_sites(self, record: int, begin: int) -> int | None:
        """The offset in the file of a function's call-site table (its LSDA)."""
        address, offset, _ = self._frames
        at = offset + record
        length, distance, first = struct.unpack_from("<IIi", self._data, at)
        code_form, lsda_form, augmented = self._augmentation(at + 4 - distance)
        # 0xFFFFFFFF begins a record with 64-bit lengths; nobody writes these.
        if length == 0xFFFFFFFF or code_form != _PCREL | 0x0B or address + record + 8 + first != begin:
            raise NoUnwind(f"the unwind record at {record:#x} is not that of {begin:#x}")
        if not augmented or lsda_form == _OMIT:
            return None
        _, at = _uleb(self._data, at + 16)
        if lsda_form & _INDIRECT:
            raise NoUnwind(f"the unwind record at {record:#x} names its call sites indirectly")
        (raw,) = struct.unpack_from(_FORMATS[lsda_form & 0x0F], self._data, at)
        if raw == 0:
            return None
        found = raw + (address + at - offset if lsda_form & 0x70 == _PCREL else 0)
        lsda, in_file, size = self._lsda
        if not lsda <= found < lsda + size:
            raise NoUnwind(f"the call sites of {begin:#x} are not in .gcc_except_table")
        return int(found - lsda + in_file)

    def _augmentation(self, at: int) -> tuple[int, int, bool]:
        """Of a CIE: the forms of addresses and of the LSDA pointer, and whether records carry augmentation data."""
        if at in self._augmentations:
            return self._augmentations[at]
        start, end = at, self._data.find(b"\0", at + 9)
        letters = self._data[at + 9 : end].decode("ascii", "replace")
        version = self._data[at + 8]
        _, at = _uleb(self._data, end + 1)  # alignment of code
        _, at = _uleb(self._data, at)  # alignment of data; signed, which is as many bytes
        at = at + 1 if version == 1 else _uleb(self._data, at)[1]  # the return address's register
        code_form, lsda_form = 0, _OMIT
        if letters.startswith("z"):
            _, at = _uleb(self._data, at)
        for letter in letters[1:]:
            form = self._data[at]
            if letter == "P":  # the personality routine
                at += 1 + struct.calcsize(_FORMATS[form & 0x0F])
            elif letter in "LR":
                lsda_form, code_form = (form, code_form) if letter == "L" else (lsda_form, form)
                at += 1
            elif letter not in "SB":
                raise NoUnwind(f"the unwind table has the augmentation {letters!r}")
        self._augmentations[start] = code_form, lsda_form, letters.startswith("z")
        return self._augmentations[start]

    def _pads(self, at: int, begin: int) -> list[int]:
        """Reads a call-site table: start, bytes, landing pad (0: none) and action of each site."""
        base_form, at = self._data[at], at + 1
        if base_form != _OMIT:
            raise NoUnwind(f"the landing pads of {begin:#x} have another base")
        types_form, at = self._data[at], at + 1
        if types_form != _OMIT:
            _, at = _uleb(self._data, at)
        form, at = self._data[at], at + 1
        length, at = _uleb(self._data, at)
        end = at + length
        pads = set()
        while at < end:
            if form == _ULEB:
                _, at = _uleb(self._data, at)
                _, at = _uleb(self._data, at)
                pad, at = _uleb(self._data, at)
            else:
                layout = _FORMATS[form]
                width = struct.calcsize(layout)
                (pad,) = struct.unpack_from(layout, self._data, at + 2 * width)
                at += 3 * width
            _, at = _uleb(self._data, at)
            if pad:
                pads.add(begin + pad)
        return sorted(pads)


def _uleb(data: mmap.mmap | bytes, at: int) -> tuple[int, int]:
    """A number in LEB128 (DWARF 5, section 7.6) and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
