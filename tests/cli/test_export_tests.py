from __future__ import annotations

from pathlib import Path

from fuzzer.findings import FindingStore, State
from fuzzer.reproducer.script import reproducer
from tests.cli.test_cli import fuzzer, refused
from tests.findings.samples import finding
from tests.reproducer.test_script import cases, verdict


def crashes_of(folder: Path) -> FindingStore:
    case, _ = next(cases(1, 1))
    store = FindingStore(folder / "crashes", create=True)
    for title, special in (("one", False), ("two", False), ("three", True)):
        made = finding(title, special_operands=special)

        def fill(path: Path, title: str = title) -> None:
            (path / "repro.py").write_text(reproducer(case, verdict(), title, "v"))

        store.add(made, fill)
    return store


def names(folder: Path) -> set[str]:
    return {p.name.split("_")[1] for p in folder.glob("test_*.py")}


def test_what_the_main_lists_show_is_exported(tmp_path: Path) -> None:
    store = crashes_of(tmp_path)
    done = fuzzer("export-tests", tmp_path / "out", "--crashes", store.folder)
    assert done.returncode == 0 and "2 tests in" in done.stdout and "4 files written" in done.stdout
    assert "1 title is hidden (--hidden exports them too): nan-propagation" in done.stdout
    assert names(tmp_path / "out") == {"one", "two"}
    assert fuzzer("export-tests", tmp_path / "out", "--crashes", store.folder, "--hidden").returncode == 0
    assert names(tmp_path / "out") == {"one", "two", "three"}


def test_single_findings_and_no_duplicates(tmp_path: Path) -> None:
    store = crashes_of(tmp_path)
    store.mark(finding("one").id, State.DUPLICATE, "", finding("two").id)
    assert fuzzer("export-tests", tmp_path / "a", "--crashes", store.folder).returncode == 0
    assert names(tmp_path / "a") == {"two"}
    assert fuzzer("export-tests", tmp_path / "b", finding("one").id, "--crashes", store.folder).returncode == 0
    assert names(tmp_path / "b") == {"one"}


def test_what_is_kept_and_left_out_is_said(tmp_path: Path) -> None:
    store = crashes_of(tmp_path)
    (store.files(finding("one").id) / "repro.py").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "conftest.py").write_text("theirs")
    done = fuzzer("export-tests", tmp_path / "out", "--crashes", store.folder)
    assert done.returncode == 1 and names(tmp_path / "out") == {"two"}
    assert "kept: conftest.py is not ours or was edited" in done.stdout
    assert f"left out: {finding('one').id}: its repro.py cannot be read" in done.stdout
    assert (tmp_path / "out" / "conftest.py").read_text() == "theirs"


def test_what_is_refused(tmp_path: Path) -> None:
    FindingStore(tmp_path / "empty", create=True)
    refused("export-tests", tmp_path / "out", "--crashes", tmp_path / "empty", says="holds no findings to export")
    refused("export-tests", tmp_path / "out", "--crashes", tmp_path / "none", says="does not exist")
    refused("export-tests", tmp_path / "out", "nobody", "--crashes", tmp_path / "empty", says="no finding 'nobody'")
    refused("export-tests", says="FOLDER")
    assert not (tmp_path / "out").exists()
