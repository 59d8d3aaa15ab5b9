from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fuzzer.errors import UserError
from fuzzer.export import export
from fuzzer.export.files import MANIFEST
from fuzzer.findings import Finding
from fuzzer.reproducer.script import reproducer
from tests.findings.samples import finding
from tests.reproducer.test_script import cases, verdict
from tests.reproducer.test_tidy import changed_by_ruff

TITLES = ("value in compare: one", "value in compare: two")


@pytest.fixture
def found(tmp_path: Path) -> list[Finding]:
    case, _ = next(cases(1, 1))
    findings = [finding(title) for title in TITLES]
    for one in findings:
        folder = tmp_path / "crashes" / one.path
        folder.mkdir(parents=True)
        (folder / "repro.py").write_text(reproducer(case, verdict(), one.title, "v"))
    return findings


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_one_file_a_title_and_the_same_again(tmp_path: Path, found: list[Finding]) -> None:
    out = tmp_path / "made" / "here"
    done = export(tmp_path / "crashes", found, out)
    names = {f"test_value_in_compare_{title[-3:]}_{one.id}.py" for title, one in zip(TITLES, found, strict=True)}
    assert {p.name for p in done.written} == names | {"conftest.py", "README.md"}
    assert {p.name for p in out.iterdir()} == names | {"conftest.py", "README.md", MANIFEST}
    assert changed_by_ruff(out) == ""
    before = contents(out)
    again = export(tmp_path / "crashes", found, out)
    assert (again.written, again.same, again.kept) == ((), 4, ()) and contents(out) == before


def test_files_of_others_stay(tmp_path: Path, found: list[Finding]) -> None:
    out = tmp_path / "tests"
    out.mkdir()
    (out / "conftest.py").write_text("# theirs")
    (out / "README.md").symlink_to(tmp_path / "elsewhere")
    (out / "test_theirs.py").write_text("# theirs too")
    done = export(tmp_path / "crashes", found, out)
    assert {p.name for p in done.kept} == {"conftest.py", "README.md"} and len(done.written) == 2
    assert (out / "conftest.py").read_text() == "# theirs" and (out / "test_theirs.py").read_text() == "# theirs too"
    assert (out / "README.md").is_symlink() and not (tmp_path / "elsewhere").exists()


def test_what_was_edited_stays_and_what_was_not_is_replaced(tmp_path: Path, found: list[Finding]) -> None:
    out = tmp_path / "tests"
    first, second = sorted(p for p in export(tmp_path / "crashes", found, out).written if p.name.startswith("test_"))
    first.write_text(first.read_text() + "# mine\n")
    for one in found:
        path = tmp_path / "crashes" / one.path / "repro.py"
        path.write_text(path.read_text().replace('"""The model as', '"""A model as'))
    done = export(tmp_path / "crashes", found, out)
    assert (done.written, done.kept) == ((second,), (first,))
    assert first.read_text().endswith("# mine\n") and "A model as" in second.read_text()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 99, "files": {}}', '{"schema": 1, "files": {"a": 3}}'])
def test_without_a_manifest_nothing_is_ours(tmp_path: Path, found: list[Finding], damage: str) -> None:
    out = tmp_path / "tests"
    export(tmp_path / "crashes", found, out)
    before = contents(out)
    (out / MANIFEST).write_text(damage)
    (out / "conftest.py").write_text("x")
    assert [p.name for p in export(tmp_path / "crashes", found, out).kept] == ["conftest.py"]
    assert contents(out) == {**before, "conftest.py": b"x", MANIFEST: damage.encode()}


def test_an_export_that_was_cut_short_goes_on(tmp_path: Path, found: list[Finding]) -> None:
    """Killed after the manifest, before the files: what is there with the old text is still ours."""
    out = tmp_path / "tests"
    export(tmp_path / "crashes", found, out)
    whole = contents(out)
    tree = json.loads(whole[MANIFEST])
    (out / "conftest.py").write_text("older text of ours")
    import hashlib

    tree["files"]["conftest.py"].insert(0, hashlib.sha256(b"older text of ours").hexdigest())
    (out / MANIFEST).write_text(json.dumps(tree))
    done = export(tmp_path / "crashes", found, out)
    assert [p.name for p in done.written] == ["conftest.py"] and contents(out) == whole


def test_what_cannot_be_told_is_left_out_and_the_rest_written(tmp_path: Path, found: list[Finding]) -> None:
    gone, binary, broken = (finding(f"value in compare: {n}") for n in ("gone", "binary", "broken"))
    for one, data in ((binary, b"\xff\xfe"), (broken, b"def")):
        folder = tmp_path / "crashes" / one.path
        folder.mkdir()
        (folder / "repro.py").write_bytes(data)
    done = export(tmp_path / "crashes", [gone, *found, binary, broken], tmp_path / "tests")
    assert len(done.written) == 4
    assert {one.title[18:]: why for one, why in done.left_out} == {
        "gone": "its repro.py cannot be read (No such file or directory)",
        "binary": "its repro.py is no text",
        "broken": "its repro.py is no Python (invalid syntax (<unknown>, line 1))",
    }


def test_nothing_is_written_outside(tmp_path: Path, found: list[Finding]) -> None:
    one = finding("../../../x/y", id="../../z", path=found[0].path)
    done = export(tmp_path / "crashes", [one], tmp_path / "tests")
    assert all(p.resolve().parent == (tmp_path / "tests").resolve() for p in done.written)
    assert {p.name for p in tmp_path.iterdir()} == {"crashes", "tests"}


def test_a_folder_that_cannot_be_written(tmp_path: Path, found: list[Finding]) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match="cannot be written"):
        export(tmp_path / "crashes", found, tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_full_disk_leaves_whole_files(small_disk: Path, tmp_path: Path, found: list[Finding]) -> None:
    with (small_disk / "filler").open("wb") as file:
        free = os.statvfs(small_disk)
        file.write(b"x" * (free.f_bavail * free.f_frsize - 6 * 4096))
    with pytest.raises(UserError, match="No space left"):
        export(tmp_path / "crashes", found, small_disk / "tests")
    for path in (small_disk / "tests").glob("*.py"):
        compile(path.read_text(), path.name, "exec")
    (small_disk / "filler").unlink()
    assert len(export(tmp_path / "crashes", found, small_disk / "tests").kept) == 0
    assert len(list((small_disk / "tests").glob("test_*.py"))) == 2
