"""Block tables: which basic blocks each covered library has. Made once a library, kept in the user's cache folder.

`ensure` runs in the supervisor, which draws a screen meanwhile and loads neither NumPy nor capstone: a child process
makes what is missing (`python -m fuzzer.coverage.tables FILE SCOPE FOLDER`). `addresses_of` and `read` are for
executors and reports.

A table is named by its digest, which stands for the library's content, the scope and how blocks are found. So that
starting does not read a gigabyte, a *stamp* beside the tables remembers the digest of a file by its path, size, inode
and time of change. Layout of a table, little-endian: `_MAGIC`; SHA-256 of all that follows; three u64: blocks,
functions, bytes of names; u64[blocks] addresses; u32[blocks] functions; u8[blocks] indirect; the names, UTF-8, a line
each.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import platform
import select
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuzzer.coverage.space import SCOPES, BlockSpace, Library
from fuzzer.disk import write_atomic
from fuzzer.native.build import NoLibrary
from fuzzer.native.library import cache_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAGIC = b"blocks 1"
_COUNTS = struct.Struct("<3Q")
_HEADER_BYTES = len(_MAGIC) + hashlib.sha256().digest_size + _COUNTS.size
_PARTS = 8 + 4 + 1
"""Bytes of a block."""
_LAYOUT = "1"
"""Rises with the layout of stamps and tables."""
_HASH_BYTES = 16 << 20
_HASH_SHARE = 0.25
"""Of the time that a table takes, for reading the library's content."""
_BEAT_S = 0.25
"""A screen hears at least so often that a table is being made."""


class DamagedTable(Exception):
    """A file that is no whole table."""


class NoTable(Exception):
    """A table cannot be made. The message is one line."""


@dataclass(frozen=True)
class Table:
    """The blocks of one library, ascending by address; all arrays have one entry a block.

    Addresses are those of the file. In a process a block lies at its address plus the library's load bias, `dlpi_addr`
    of dl_iterate_phdr(3).
    """

    addresses: NDArray[np.uint64]
    functions: NDArray[np.uint32]
    """Index into `names`."""
    indirect: NDArray[np.bool_]
    """Not reached by a direct jump: targets of jump tables, landing pads, and what stands behind an unconditional
    transfer. Figures in the literature are without these."""
    names: list[str]
    """The functions by address, each with its template arguments and without argument types. Not unique."""


def read(path: str | Path) -> Table:
    """A whole table, its checksum verified. Raises `DamagedTable` and `OSError`."""
    import numpy as np

    raw = Path(path).read_bytes()
    blocks, functions, _ = _verified(raw)
    at = _HEADER_BYTES
    names = raw[at + _PARTS * blocks :].decode()
    return Table(
        np.frombuffer(raw, "<u8", blocks, at),
        np.frombuffer(raw, "<u4", blocks, at + 8 * blocks),
        np.frombuffer(raw, "?", blocks, at + 12 * blocks),
        names.split("\n") if functions else [],
    )


def addresses_of(path: str | Path) -> NDArray[np.uint64]:
    """Only the addresses of a table that `ensure` has verified: 1 ms. Raises `DamagedTable` and `OSError`."""
    import numpy as np

    with Path(path).open("rb") as stream:
        blocks = _counts(stream.read(_HEADER_BYTES))[0]
        addresses = np.fromfile(stream, "<u8", blocks)
    if len(addresses) != blocks:
        raise DamagedTable(f"{path} is cut off")
    return addresses


def ensure(
    found: Sequence[tuple[str, str]], progress: Callable[[str, float], None] = lambda name, share: None
) -> tuple[BlockSpace, list[str]]:
    """The blocks of the libraries that `scopes.loaded` found; tables that are missing or damaged are made.

    `progress` gets a library's file name and the share that is done, some times a second while a table is made: 15 s
    for all of TensorFlow 2.21. Second: one line for each thing that is not covered, and why; the rest is.
    """
    problem = _unfit()
    if problem or not found:
        return BlockSpace(), [f"no native coverage: {problem or 'no library of TensorFlow or LiteRT is loaded'}"]
    problems = [f"no coverage of {SCOPES[s]}: it was not found in what is loaded" for s in _absent(found)]
    store = _Store(problems)
    libraries = []
    for scope, file in sorted(found, key=lambda pair: (list(SCOPES).index(pair[0]), pair[1])):
        try:
            libraries.append(_known(store.kept, scope, file) or _made(store.writable(), scope, file, progress))
        except (NoTable, OSError) as reason:
            problems.append(f"no coverage of {SCOPES[scope]} in {Path(file).name}: {reason}")
    return BlockSpace(tuple(libraries)), problems


def _unfit() -> str:
    """Why this machine can have no tables at all."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"this processor is {platform.machine()}; breakpoints are written for x86-64 alone"
    for package, needed in (("capstone", "capstone"), ("pyelftools", "elftools")):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return f"the Python package {package} ({needed}) is not installed; pip install {package}"
    return ""


def _absent(found: Iterable[tuple[str, str]]) -> list[str]:
    present = {scope for scope, _ in found}
    return [scope for scope in SCOPES if scope not in present]


class _Store:
    """The folder with the tables. One that cannot be written is read; what is new then lives with this process."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems
        self._unkept: Path | None = None
        try:
            self.kept: Path | None = cache_folder() / "blocks"
        except NoLibrary as homeless:
            self.kept = None
            self._reason = str(homeless)

    def writable(self) -> Path:
        """A folder for a new table."""
        if self._unkept is not None:
            return self._unkept
        if self.kept is not None:
            try:
                self.kept.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.kept):
                    return self.kept
            except OSError as reason:
                self._reason = str(reason)
        self._problems.append(f"block tables are made anew at each start, as no cache can be written: {self._reason}")
        self._unkept = Path(tempfile.mkdtemp(prefix="fuzzer-blocks-"))
        atexit.register(shutil.rmtree, self._unkept, ignore_errors=True)
        return self._unkept


def _finder() -> str:
    """How blocks are found: our own version and that of capstone, which may come to know more instructions."""
    from fuzzer.coverage.blocks import FINDER

    return f"{_LAYOUT} {FINDER} {importlib.metadata.version('capstone')}"


def _stamp(folder: Path, scope: str, file: str) -> Path:
    """The file that remembers the digest of a library as it is now. Raises `NoTable` for one that is gone."""
    try:
        status = os.stat(file)  # noqa: PTH116  (a path of /proc, as it is)
    except FileNotFoundError as gone:
        raise NoTable(f"{file} was replaced or removed since it was loaded; start again") from gone
    facts = f"{_finder()}\0{scope}\0{file}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}"
    return folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:16]}.stamp"


def _known(folder: Path | None, scope: str, file: str) -> Library | None:
    """The library if its table is in `folder`, whole; None otherwise. Raises `NoTable` when the library is gone."""
    if folder is None:
        return None
    try:
        digest = _stamp(folder, scope, file).read_text()
        table = folder / f"{digest}.blocks"
        count = _verified(table.read_bytes())[0]
    except (FileNotFoundError, NotADirectoryError, DamagedTable, UnicodeDecodeError):
        return None
    return Library(scope, file, digest, str(table), count)


def _made(folder: Path, scope: str, file: str, progress: Callable[[str, float], None]) -> Library:
    """Has a child make the table. Raises `NoTable`."""
    name = Path(file).name
    command = [sys.executable, "-m", "fuzzer.coverage.tables", file, scope, str(folder)]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment
        ) as child,
    ):
        said = _follow(child, lambda share: progress(name, share))
        status = child.wait()
        log.seek(0)
        last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
    if status != 0:
        raise NoTable(said or f"the search for its blocks ended with {status}: {last or 'it said nothing'}")
    library = _known(folder, scope, file)
    if library is None:
        raise NoTable(f"its table in {folder} is damaged although it was just written; is the disk in order?")
    return library


def _follow(child: subprocess.Popen[bytes], progress: Callable[[float], None]) -> str:
    """Hands on what a child says it has done, until it ends. The last line that is no number is returned."""
    assert child.stdout is not None
    handle = child.stdout.fileno()
    share, said, rest = 0.0, "", b""
    while True:
        progress(share)
        if not select.select([handle], [], [], _BEAT_S)[0]:
            continue
        part = os.read(handle, 1 << 16)
        if not part:
            return said
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            try:
                share = float(line)
            except ValueError:
                said = line.decode(errors="replace").strip()


# --- in the child --------------------------------------------------------------------------------------


def make(folder: Path, scope: str, file: str, progress: Callable[[float], None]) -> None:
    """Makes the table of a library unless another process just did. Raises `NoBlocks` and `OSError`."""
    from fuzzer.coverage.blocks import find
    from fuzzer.coverage.scopes import selection

    with _alone(folder):
        if _known(folder, scope, file) is not None:
            return
        stamp = _stamp(folder, scope, file)
        digest = _digest(scope, file, lambda share: progress(_HASH_SHARE * share))
        table = folder / f"{digest}.blocks"
        if not _whole(table):
            found = find(file, selection(scope, file), lambda share: progress(_HASH_SHARE + (1 - _HASH_SHARE) * share))
            write_atomic(table, _packed(Table(found.addresses, found.functions, found.indirect, found.names)))
        write_atomic(stamp, digest)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: who comes second finds what the first made. The kernel frees the lock of the dead."""
    with (folder / "lock").open("w") as lock:
        with contextlib.suppress(OSError):  # a disk without locks: both make the same table, the second rename wins
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _whole(table: Path) -> bool:
    try:
        _verified(table.read_bytes())
    except (FileNotFoundError, DamagedTable):
        return False
    return True


def _digest(scope: str, file: str, progress: Callable[[float], None]) -> str:
    """16 hexadecimal digits for a library's content, the scope and how blocks are found."""
    digest = hashlib.sha256(f"{_finder()}\0{scope}\0".encode())
    with open(file, "rb") as stream:  # noqa: PTH123
        total = max(os.fstat(stream.fileno()).st_size, 1)
        while part := stream.read(_HASH_BYTES):
            digest.update(part)
            progress(stream.tell() / total)
    return digest.hexdigest()[:16]


def _packed(table: Table) -> bytes:
    names = "\n".join(name.replace("\n", " ") for name in table.names).encode()
    body = b"".join(
        [
            _COUNTS.pack(len(table.addresses), len(table.names), len(names)),
            table.addresses.astype("<u8").tobytes(),
            table.functions.astype("<u4").tobytes(),
            table.indirect.astype("?").tobytes(),
            names,
        ]
    )
    return _MAGIC + hashlib.sha256(body).digest() + body


def _counts(raw: bytes) -> tuple[int, int, int]:
    """Blocks, functions and bytes of names."""
    if len(raw) < _HEADER_BYTES or not raw.startswith(_MAGIC):
        raise DamagedTable("this is no block table")
    blocks, functions, names = _COUNTS.unpack_from(raw, _HEADER_BYTES - _COUNTS.size)
    return blocks, functions, names


def _verified(raw: bytes) -> tuple[int, int, int]:
    """`_counts` of a whole table. Raises `DamagedTable`."""
    blocks, functions, names = _counts(raw)
    body = memoryview(raw)[_HEADER_BYTES - _COUNTS.size :]
    whole = len(raw) == _HEADER_BYTES + _PARTS * blocks + names
    if not whole or hashlib.sha256(body).digest() != raw[len(_MAGIC) : _HEADER_BYTES - _COUNTS.size]:
        raise DamagedTable("this block table is damaged")
    return blocks, functions, names


def _main() -> int:
    from fuzzer.coverage.blocks import NoBlocks

    file, scope, folder = sys.argv[1:]
    try:
        make(Path(folder), scope, file, lambda share: print(f"{share:.3f}", flush=True))
    except BrokenPipeError:  # whoever asked is gone
        return 1
    except (NoBlocks, NoTable, OSError) as reason:
        print(str(reason).replace("\n", " "), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
