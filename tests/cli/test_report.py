"""`report` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuzzer.cli import main
from tests.report import folders


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_by_id_by_its_beginning_and_by_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, finding = folders.crashes(tmp_path / "crashes")
    printed = []
    for what in (finding.id, finding.id[:5], store.folder / finding.path):
        assert run("report", what, "--crashes", store.folder) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0].startswith(f"# {folders.TITLE}\n") and len(set(printed)) == 1
    assert str(tmp_path) not in printed[0]


def test_github_and_where_to_file_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, finding = folders.crashes(tmp_path / "crashes")
    assert run("report", finding.id, "--github", "--crashes", store.folder) == 0
    said = capsys.readouterr()
    assert said.out.startswith("[TFLite] ") and "### Issue type" in said.out
    assert "tensorflow/issues/new" in said.err


def test_pages_are_written_and_a_refusal_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, finding = folders.crashes(tmp_path / "crashes")
    target = tmp_path / "page.html"
    assert run("report", finding.id, "--crashes", store.folder, "--html", target) == 0
    assert target.read_text().startswith("<!doctype html>") and capsys.readouterr().out == ""
    assert run("report", "--campaign", "--crashes", store.folder, "--html", target) == 0
    assert "Fuzzing campaign" in target.read_text()
    assert run("report", finding.id, "--crashes", store.folder, "--html", tmp_path / "no" / "page.html") == 2
    assert "name another file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say what to report on"),
        (("x", "--campaign"), "say what to report on"),
        (("--campaign",), "--html FILE"),
        (("x", "--github", "--html", "f.html"), "leave --campaign and --html away"),
        (("nothere",), "no finding 'nothere'"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    store, _ = folders.crashes(tmp_path / "crashes")
    assert run("report", *arguments, "--crashes", store.folder) == 2
    assert says in capsys.readouterr().err


def test_a_folder_that_is_gone_or_of_a_newer_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, finding = folders.crashes(tmp_path / "crashes")
    for file in (store.folder / finding.path).iterdir():
        file.unlink()
    (store.folder / finding.path).rmdir()
    assert run("report", finding.id, "--crashes", store.folder) == 2
    assert "is gone; its line in the journal is kept" in capsys.readouterr().err
    line = json.loads(store.journal.path.read_text().splitlines()[0])
    store.journal.path.write_text(json.dumps({**line, "schema": 99}) + "\n")
    assert run("report", finding.id, "--crashes", store.folder) == 2
    assert "newer release" in capsys.readouterr().err
    assert run("report", finding.id, "--crashes", tmp_path / "nowhere") == 2
    assert "does not exist" in capsys.readouterr().err


def test_status_that_is_damaged_is_noted_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, _ = folders.crashes(tmp_path / "crashes")
    (store.folder / "status.json").write_text("{")
    assert run("report", "--campaign", "--crashes", store.folder, "--html", tmp_path / "c.html") == 0
    assert "cannot be read" in capsys.readouterr().err and "cannot be read" in (tmp_path / "c.html").read_text()
