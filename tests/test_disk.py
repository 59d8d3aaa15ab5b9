"""Files that appear whole or not at all, and links."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from fuzzer.disk import link, write_atomic, write_json


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_atomic(path, "old")
    write_json(path, {"b": 1, "a": [2]}, indent=None)
    assert path.read_text() == '{"a": [2], "b": 1}\n' and path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_what_cannot_be_written_leaves_the_old_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomic(tmp_path / "folder", "a folder is no file")
    assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "status.json"]


def test_a_link_is_the_same_file_and_the_first_stays(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    link(one, tmp_path / "linked")
    link(two, tmp_path / "linked")
    assert (tmp_path / "linked").samefile(one)
    with pytest.raises(OSError, match="nowhere"):
        link(one, tmp_path / "nowhere" / "linked")


def test_a_link_between_two_disks_is_symbolic(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one disk only")
    source = tmp_path / "case.json"
    source.write_text("{}")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        target = Path(folder) / "case.json"
        for _ in range(2):
            link(source, target)
            assert target.is_symlink() and target.samefile(source)
