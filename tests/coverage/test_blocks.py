"""Blocks of a library whose control flow is known, to the address."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from fuzzer.coverage.blocks import Found, NoBlocks, find
from fuzzer.coverage.scopes import Selection
from tests.coverage.planted import HERE, compiled, flow
from tests.coverage.stepping import landings

ALL = Selection("runtime", True, True)


def found_in(library: Path, selected: Selection = ALL) -> Found:
    return find(str(library), selected, lambda share: None)


def labels(library: Path, *prefixes: str) -> dict[str, int]:
    with library.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        return {symbol.name: symbol["st_value"] for symbol in symbols if symbol.name.startswith(prefixes)}


def in_function(library: Path, address: int) -> bool:
    with library.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        return any(
            s["st_value"] <= address < s["st_value"] + s["st_size"] and "planted" in s.name
            for s in symbols
            if s["st_info"]["type"] == "STT_FUNC"
        )


def blocks_of(found: Found, name: str) -> list[int]:
    index = found.names.index(name)
    return [int(a) for a, f in zip(found.addresses, found.functions, strict=True) if f == index]


def test_exactly_the_marked_places_are_blocks(tmp_path: Path) -> None:
    library = flow(tmp_path)
    found = found_in(library)
    marked = labels(library, "plain_", "indirect_")
    assert len(marked) > 30
    expected = sorted((address, name.startswith("indirect_")) for name, address in marked.items())
    assert list(zip(found.addresses.tolist(), found.indirect.tolist(), strict=True)) == expected


def test_a_block_belongs_to_its_function(tmp_path: Path) -> None:
    library = flow(tmp_path)
    found = found_in(library)
    for name in ("loops", "switches", "lands", "recursive", "sizeless", "tail_call"):
        own = {address for label, address in labels(library, f"plain_{name}", "indirect_").items() if name in label}
        assert own <= set(blocks_of(found, name))
    assert found.names == sorted(found.names, key=lambda name: labels(library, name)[name])
    assert "tail_call" in found.names and "alias_of_tail_call" not in found.names
    assert {"inner", "no_size_at_all", "in_data", "_GLOBAL__sub_I_flow.cc"}.isdisjoint(found.names)


def test_functions_that_do_not_add_up_have_their_entry_alone(tmp_path: Path) -> None:
    library = flow(tmp_path)
    found = found_in(library)
    for name in ("by_hand", "with_data", "into_instruction", "cut_off", "other_size"):
        assert blocks_of(found, name) == [labels(library, f"plain_{name}")[f"plain_{name}"]]


THROWS = """
#include <stdexcept>
namespace planted { namespace {
template <typename T> struct Guard { T* at; ~Guard() { ++*at; } };
} }
namespace planted {
int thrown;
__attribute__((noinline)) void thrower(int x) { if (x > 3) throw std::runtime_error("no"); thrown += x; }
template <typename T> __attribute__((noinline)) int catcher(T x) {
  Guard<int> guard{&thrown};
  try { thrower(static_cast<int>(x)); thrower(static_cast<int>(x) + 1); }
  catch (const std::logic_error&) { return 2; }
  catch (const std::runtime_error&) { return 3; }
  return 1;
}
template int catcher<long>(long);
__attribute__((noinline)) int many(int x) {
  switch (x) {
    case 0: return thrown * 3; case 1: thrown += 9; [[fallthrough]]; case 2: return thrown / 7;
    case 3: thrower(2); return 11; case 4: thrower(1); return 5; case 5: return thrown ^ 77; case 6: thrower(x);
  }
  return thrown;
}
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_every_place_a_real_program_jumps_to_is_a_block(tmp_path: Path, level: str) -> None:
    """Of compiled C++, single-stepped: wherever the program goes other than to the next instruction begins a block."""
    (tmp_path / "throws.cc").write_text(THROWS)
    library = tmp_path / "throws.so"
    options = ["-shared", "-fPIC", "-std=c++17", level, "-fno-inline"]
    subprocess.run(["g++", *options, "-o", library, tmp_path / "throws.cc"], check=True)
    found = found_in(library)
    assert {"planted::thrower", "planted::many", "planted::catcher<long>"} <= set(found.names)
    calls = [("_ZN7planted4manyEi", x) for x in (*range(6), 9)] + [("_ZN7planted7catcherIlEEiT_", x) for x in (1, 3, 9)]
    jumped = landings(library, calls)
    inside = [a for a in jumped if in_function(library, a)]
    assert len(inside) > 10
    missing = [hex(a) for a in inside if a not in set(found.addresses.tolist())]
    assert not missing
    caught = {
        address for address, is_indirect in zip(found.addresses.tolist(), found.indirect, strict=True) if is_indirect
    }
    assert caught & set(inside), "neither a landing pad nor a jump table was seen"


def test_a_library_without_symbols_or_for_another_processor(tmp_path: Path) -> None:
    library = flow(tmp_path)
    foreign = tmp_path / "foreign.so"
    raw = bytearray(library.read_bytes())
    raw[18:20] = (183).to_bytes(2, "little")  # e_machine of elf.h: EM_AARCH64
    foreign.write_bytes(raw)
    with pytest.raises(NoBlocks, match="another processor"):
        found_in(foreign)
    stripped = compiled(tmp_path / "stripped.so", "-s", "-nostdlib", HERE / "flow.S")
    with pytest.raises(NoBlocks, match="stripped"):
        found_in(stripped)
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(NoBlocks, match="no ELF file"):
        found_in(tmp_path / "text.so")
    with pytest.raises(NoBlocks, match="no functions of the converter"):
        found_in(library, Selection("converter", False, False))


@pytest.mark.parametrize("section", [".eh_frame", ".gcc_except_table"])
def test_damaged_unwind_tables_make_entries_of_functions_not_wrong_blocks(tmp_path: Path, section: str) -> None:
    library = flow(tmp_path)
    allowed = set(labels(library, "plain_", "indirect_").values())
    with library.open("rb") as file:
        found = ELFFile(file).get_section_by_name(section)
        begin, size = found["sh_offset"], found["sh_size"]
    raw = library.read_bytes()
    for at in range(begin, begin + size, 2):
        library.write_bytes(raw[:at] + bytes([raw[at] ^ (0x80 if at & 2 else 0x07)]) + raw[at + 1 :])
        with contextlib.suppress(NoBlocks):
            # A pad that moved to another start of an instruction in its function is believed.
            listed = set(found_in(library).addresses.tolist())
            assert listed - allowed <= starts(library), f"byte {at - begin}"


def starts(library: Path) -> set[int]:
    """The starts of instructions in the functions that decode."""
    import capstone

    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    made = set()
    with library.open("rb") as file:
        elf = ELFFile(file)
        text = elf.get_section_by_name(".text")
        data, base = text.data(), text["sh_addr"]
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            at = symbol["st_value"] - base
            if symbol["st_info"]["type"] == "STT_FUNC" and 0 <= at < len(data):
                made |= {a for a, *_ in decoder.disasm_lite(data[at : at + symbol["st_size"]], base + at)}
    return made
