"""`bisect` as a person meets it: a process, a table, a sentence, and what is in the index afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fuzzer.findings import Finding, FindingStore
from fuzzer.findings.index import read_index
from tests.cli.test_cli import ROOT, fuzzer, refused
from tests.findings.samples import finding
from tests.releases.conftest import index, no_index
from tests.releases.fakes import BAD, BROKEN, GOOD, SCRIPT, releases

__all__ = ["index", "no_index"]  # fixtures


def crashes_of(folder: Path, script: str = SCRIPT) -> tuple[Path, Finding]:
    found = finding(versions="tensorflow 2.19.0, ai-edge-litert 2.3.0, python 3.11.7")
    store = FindingStore(folder / "crashes", create=True)

    def fill(made: Path) -> None:
        (made / "repro.py").write_text(script)

    store.add(found, fill)
    return store.folder, found


def test_table_sentence_journal_and_index(index: Path, tmp_path: Path) -> None:
    releases(index, {"2.16.1": GOOD, "2.17.0": BROKEN, "2.18.0": BAD, "2.19.0": BAD, "2.20.0": GOOD})
    crashes, found = crashes_of(tmp_path)
    done = fuzzer("bisect", found.id[:6], "--crashes", crashes, timeout=120)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert (
        "5 releases of tensorflow, 2.16.1 to 2.20.0" in said and "GB free; kept in" in said and "about 1.5 GB" in said
    )
    assert "brought in by tensorflow 2.18.0 (2.16.1 is good); mended in 2.20.0 (2.19.0 is the last with it)" in said
    assert "cannot run │ no attribute answer" in said
    (row,) = read_index(crashes)
    around = [row[name] for name in ("last_good", "first_bad", "last_bad", "first_good")]
    assert around == ["tensorflow 2.16.1", "tensorflow 2.18.0", "tensorflow 2.19.0", "tensorflow 2.20.0"]
    (read,) = FindingStore(crashes).findings()
    assert read.first_bad == "tensorflow 2.18.0" and read.title == found.title
    again = fuzzer("bisect", found.id, "--crashes", crashes, "--all")
    assert again.returncode == 0 and "to install" not in again.stdout


def test_no_release_shows_it_and_nothing_is_written(index: Path, tmp_path: Path) -> None:
    releases(index, {"2.19.0": GOOD})
    crashes, found = crashes_of(tmp_path)
    done = fuzzer("bisect", found.id, "--crashes", crashes)
    assert done.returncode == 0 and "no release that could run it shows the defect: 2.19.0" in done.stdout
    assert FindingStore(crashes).findings() == [found]
    assert fuzzer("bisect", found.id, "--crashes", crashes, "--versions", "2.19..2.20").returncode == 0


def test_no_release_can_run_it(index: Path, tmp_path: Path) -> None:
    releases(index, {"2.19.0": BROKEN})
    crashes, found = crashes_of(tmp_path)
    done = fuzzer("bisect", found.id, "--crashes", crashes)
    assert (
        done.returncode == 1
        and "no release could run the script" in done.stdout
        and "no attribute answer" in done.stdout
    )


@pytest.mark.usefixtures("no_index")
def test_without_network_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    crashes, found = crashes_of(tmp_path)
    refused("bisect", found.id, "--crashes", crashes, says="package index cannot be asked .* check the network")


def test_what_is_refused(index: Path, tmp_path: Path) -> None:
    crashes, found = crashes_of(tmp_path)
    refused("bisect", "nothing", "--crashes", crashes, says="no finding 'nothing'")
    refused("bisect", found.id, "--crashes", tmp_path / "none", says="does not exist")
    releases(index, {"2.19.0": BAD})
    refused("bisect", found.id, "--crashes", crashes, "--versions", "nonsense", says="write 2.16..2.21")
    refused("bisect", found.id, "--crashes", crashes, "--versions", "3..4", says="there are 2.19.0 to 2.19.0")
    (crashes / found.path / "repro.py").write_text("def")
    refused("bisect", found.id, "--crashes", crashes, says="repro.py is no Python")
    (crashes / found.path / "repro.py").unlink()
    refused("bisect", found.id, "--crashes", crashes, says="repro.py cannot be read: No such file")


def test_ctrl_c_keeps_the_answers_and_leaves_nothing_running(index: Path, tmp_path: Path) -> None:
    releases(index, {"2.18.0": GOOD, "2.19.0": BAD, "2.20.0": BAD + "\nimport time; time.sleep(987)"})
    crashes, found = crashes_of(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "fuzzer", "bisect", found.id, "--crashes", str(crashes)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "2.19.0 bad" in line:
            break
    ready = tmp_path / "cache" / "tflite-fuzzer" / "releases"
    deadline = time.monotonic() + 60
    while not list(ready.glob("tensorflow-cpu-2.20.0-*/.installed.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)
    rest = process.communicate(timeout=30)[0]
    assert process.returncode == 130 and "interrupted; the answers so far are kept" in rest
    assert "2.19.0" in rest and FindingStore(crashes).findings()[0].first_bad == "tensorflow 2.19.0"
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert f"{ready}/tensorflow-cpu-2.20.0" not in running
