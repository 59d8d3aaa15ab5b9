"""Reads what a corpus says of coverage: its lines, and the block tables that they refer to.

A campaign may be writing at the same time: a last line without its end is not there yet. What cannot be read is left
out and said in one line; only a corpus without anything to tell is an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.campaign.corpus import FEATURES, Line
from fuzzer.coverage import tables
from fuzzer.coverage.space import BlockSpace, Library, unpack
from fuzzer.errors import UserError


@dataclass(frozen=True)
class Module:
    """A library with its table and what was reached of it."""

    library: Library
    table: tables.Table
    first_line: NDArray[np.int32]
    """i32[n]: the place in `Evidence.lines` of the line that reached the block first; -1: never reached."""

    @property
    def reached(self) -> NDArray[np.bool_]:
        """bool[n]: the blocks that were reached."""
        return self.first_line >= 0


@dataclass(frozen=True)
class Evidence:
    """Everything that a corpus says."""

    corpus: Path
    lines: tuple[Line, ...]
    """In the order of their times; lines without one come first."""
    modules: tuple[Module, ...]
    problems: tuple[str, ...]
    """One sentence each: what was left out and why."""


def read(corpus: Path, blocks_file: Path) -> Evidence:
    """Reads a corpus. `blocks_file` names the libraries that its blocks belong to.

    Raises `UserError` where there is no corpus or nothing in it.
    """
    lines, problems = read_lines(corpus)
    space, said = _space(blocks_file)
    problems += said
    modules: list[Module] = []
    for library in space.libraries:
        try:
            modules.append(_module(library, lines))
        except (OSError, tables.DamagedTable) as broken:
            reason = broken.strerror if isinstance(broken, OSError) and broken.strerror else str(broken)
            problems.append(
                f"the block table of {Path(library.module).name} cannot be read ({reason}): nothing is said of "
                f"{library.scope}; a campaign writes it anew"
            )
    known = {library.digest for library in space.libraries}
    foreign = sum(1 for line in lines if any(digest not in known for digest in line.blocks))
    if foreign and known:
        problems.append(f"{foreign} lines hold blocks of another release's libraries: those are left out")
    if not any(line.blocks for line in lines) and not said:
        problems.append("no line of the corpus holds blocks: it was made without native coverage")
    return Evidence(corpus, tuple(lines), tuple(modules), tuple(problems))


def read_lines(corpus: Path) -> tuple[list[Line], list[str]]:
    """The whole lines by time, and what was left out. Raises `UserError` when there is nothing to report on."""
    start = "start a campaign: python -m fuzzer --minutes 10"
    if not corpus.is_dir():
        raise UserError(f"there is no corpus in {corpus}; {start}, or name another: --corpus DIR")
    path = corpus / FEATURES
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{corpus} holds no {FEATURES}: no campaign has run there; {start} --corpus {corpus}") from None
    except OSError as refused:
        raise UserError(f"{path} cannot be read ({refused.strerror})") from refused
    whole = data[: data.rfind(b"\n") + 1].splitlines()
    read = [Line.from_bytes(raw) for raw in whole]
    lines = [line for line in read if line is not None]
    if not lines:
        what = f"{len(whole)} damaged lines" if whole else "nothing"
        raise UserError(f"{path} holds {what} and no case; {start} --corpus {corpus}")
    damaged = len(read) - len(lines)
    problems = [f"{damaged} damaged {'line' if damaged == 1 else 'lines'} of {path} left out"] if damaged else []
    # Stable: siblings write in turn, and lines of old releases have no time at all.
    return sorted(lines, key=lambda line: line.at or 0.0), problems


def _space(blocks_file: Path) -> tuple[BlockSpace, list[str]]:
    try:
        tree: Any = json.loads(blocks_file.read_bytes())
        return BlockSpace.from_json(tree["libraries"]), []
    except FileNotFoundError:
        return BlockSpace(), [f"there is no {blocks_file}: no campaign has watched native code here; features alone"]
    except OSError as refused:
        return BlockSpace(), [f"{blocks_file} cannot be read ({refused.strerror}); features alone"]
    except (ValueError, KeyError, TypeError) as broken:
        return BlockSpace(), [f"{blocks_file} is damaged ({broken}); features alone. The next campaign writes it anew"]


def _module(library: Library, lines: Sequence[Line]) -> Module:
    """Raises `OSError` or `DamagedTable` when the table is not there, damaged, or not the one that was used."""
    table = tables.read(library.table)
    if len(table.addresses) != library.count:
        raise tables.DamagedTable(
            f"it holds {len(table.addresses)} blocks and not {library.count}: it is another release's"
        )
    first = np.full(library.count, -1, np.int32)
    for number in range(len(lines) - 1, -1, -1):  # backwards: the earliest is written last
        packed = lines[number].blocks.get(library.digest)
        if packed:
            first[_local(packed, library.count)] = number
    return Module(library, table, first)


def _local(packed: str, count: int) -> NDArray[np.int64]:
    """The local numbers of packed blocks; those that cannot be are left out."""
    ids = np.asarray(unpack(packed), np.int64)
    return ids[ids < count]
