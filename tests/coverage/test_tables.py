"""The cache of block tables: made once, by whoever comes first, and never believed when damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzzer.coverage import tables
from fuzzer.coverage.space import BlockSpace, Library
from tests.coverage.planted import HERE, compiled, flow

ROOT = Path(__file__).parents[2]
ONLY_RUNTIME = [
    "no coverage of the converter inside TensorFlow: it was not found in what is loaded",
    "no coverage of the LiteRT runtime: it was not found in what is loaded",
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tflite-fuzzer" / "blocks"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return flow(tmp_path)


def ensured(library: Path) -> Library:
    space, problems = tables.ensure([("runtime", str(library))])
    assert problems == ONLY_RUNTIME
    (only,) = space.libraries
    return only


def test_a_table_is_made_once_and_read_back(cache: Path, library: Path) -> None:
    heard: list[tuple[str, float]] = []
    space, _ = tables.ensure([("runtime", str(library))], lambda name, share: heard.append((name, share)))
    (made,) = space.libraries
    assert (made.scope, made.module, made.count) == ("runtime", str(library), space.size)
    assert {name for name, _ in heard} == {"flow.so"} and heard[-1][1] == 1.0
    shares = [share for _, share in heard]
    assert shares == sorted(shares)
    table = tables.read(made.table)
    assert len(table.addresses) == len(table.functions) == len(table.indirect) == made.count > 30
    assert table.addresses.tolist() == sorted(set(table.addresses.tolist()))
    assert "switches" in table.names and int(table.functions.max()) == len(table.names) - 1
    assert tables.addresses_of(made.table).tolist() == table.addresses.tolist()

    before = Path(made.table).stat().st_mtime_ns
    heard.clear()
    again, _ = tables.ensure([("runtime", str(library))], lambda name, share: heard.append((name, share)))
    assert again == space and not heard and Path(made.table).stat().st_mtime_ns == before


def test_the_digest_stands_for_the_content(cache: Path, library: Path, tmp_path: Path) -> None:
    made = ensured(library)
    library.touch()
    assert ensured(library) == made, "another time, the same content"
    copy = tmp_path / "elsewhere.so"
    copy.write_bytes(library.read_bytes())
    assert ensured(copy).digest == made.digest and ensured(copy).table == made.table
    assert tables.ensure([("litert", str(library))])[0].libraries[0].digest != made.digest
    compiled(library, "-nostdlib", "-Wl,--build-id=none", "-Wl,-soname,other", HERE / "flow.S")
    assert ensured(library).digest != made.digest


@pytest.mark.parametrize("which", ["table", "stamp"])
@pytest.mark.parametrize("damage", [b"", b"garbage \xff", None, -1, 100, 3])
def test_what_is_damaged_is_made_again(cache: Path, library: Path, which: str, damage: bytes | int | None) -> None:
    made = ensured(library)
    whole = Path(made.table).read_bytes()
    file = Path(made.table) if which == "table" else next(cache.glob("*.stamp"))
    raw = bytearray(file.read_bytes())
    if damage is None:
        file.unlink()
    elif isinstance(damage, bytes):
        file.write_bytes(damage)
    elif damage < 0:
        file.write_bytes(raw[:damage])
    else:
        raw[-damage % len(raw)] ^= 1
        file.write_bytes(raw)
    assert ensured(library) == made and Path(made.table).read_bytes() == whole


def test_a_damaged_table_is_not_read(cache: Path, library: Path) -> None:
    made = Path(ensured(library).table)
    raw = made.read_bytes()
    made.write_bytes(raw[:-1] + b"?")
    with pytest.raises(tables.DamagedTable, match="damaged"):
        tables.read(made)
    made.write_bytes(raw[:200])
    with pytest.raises(tables.DamagedTable, match="cut off"):
        tables.addresses_of(made)
    made.write_bytes(b"no table at all" * 9)
    with pytest.raises(tables.DamagedTable, match="no block table"):
        tables.addresses_of(made)


SHOW = (
    "import sys; from fuzzer.coverage import tables; "
    "print(*tables.ensure([('runtime', sys.argv[1])]), sep='\\n'); "
    "print({'numpy', 'capstone', 'elftools'} & set(sys.modules))"
)


def show(library: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *options, "-c", SHOW, str(library)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=library.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def said(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.splitlines()


def test_several_at_once_make_one_table(cache: Path, library: Path) -> None:
    answers = [said(process) for process in [show(library) for _ in range(4)]]
    assert len({tuple(answer) for answer in answers}) == 1 and "count=" in answers[0][0]
    assert sorted(file.suffix for file in cache.iterdir()) == ["", ".blocks", ".stamp"]


def test_whoever_asks_loads_neither_numpy_nor_capstone(cache: Path, library: Path) -> None:
    assert said(show(library))[-1] == "set()" == said(show(library))[-1]


def test_without_a_cache_that_can_be_written_there_is_one_for_the_run(library: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    space, problems, _ = said(show(library, XDG_CACHE_HOME="/proc/nowhere", TMPDIR=str(temporary)))
    assert "count=" in space and "made anew at each start" in problems and "/proc/nowhere" in problems
    assert str(temporary) in space and not list(temporary.iterdir()), "it is gone with the process"


def test_a_cache_that_can_only_be_read_is_read(cache: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ensured(library)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tables.tempfile, "TemporaryFile", refuse)
    assert ensured(library) == made


def test_without_capstone_there_is_one_line(library: Path, tmp_path: Path) -> None:
    space, problems, _ = said(show(library, "-S", XDG_CACHE_HOME=str(tmp_path)))
    assert space == str(BlockSpace()) and "capstone" in problems and "pip install" in problems


def test_one_library_that_cannot_be_covered_does_not_stop_the_others(
    cache: Path, library: Path, tmp_path: Path
) -> None:
    stripped = compiled(tmp_path / "stripped.so", "-s", "-nostdlib", HERE / "flow.S")
    gone = tmp_path / "gone.so (deleted)"
    space, problems = tables.ensure([("litert", str(gone)), ("runtime", str(library)), ("converter", str(stripped))])
    assert [made.module for made in space.libraries] == [str(library)]
    assert problems == [
        "no coverage of the converter inside TensorFlow in stripped.so: it has no symbol table (it was stripped)",
        f"no coverage of the LiteRT runtime in gone.so (deleted): {gone} was replaced or removed since it was loaded; "
        "start again",
    ]


def test_nothing_loaded_is_one_line(cache: Path) -> None:
    assert tables.ensure([]) == (
        BlockSpace(),
        ["no native coverage: no library of TensorFlow or LiteRT is loaded"],
    )


def test_another_processor_is_one_line(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.platform, "machine", lambda: "aarch64")
    space, problems = tables.ensure([("runtime", str(library))])
    assert not space.libraries and len(problems) == 1 and "aarch64" in problems[0]


def test_a_child_that_dies_is_one_line(
    cache: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = tmp_path / "python"
    killer.write_text("#!/bin/sh\necho 0.5\nkill -9 $$\n")
    killer.chmod(0o755)
    monkeypatch.setattr(tables.sys, "executable", str(killer))
    space, problems = tables.ensure([("runtime", str(library))])
    assert not space.libraries and "ended with -9" in problems[-1] and "\n" not in problems[-1]
