"""The verb `coverage`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from fuzzer.campaign.corpus import FEATURES, Line
from tests.coverage.reached import corpora

ROOT = Path(__file__).parents[2]
BUDGET_S = 5.0


def coverage(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fuzzer", "coverage", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
    )


def test_text_json_and_page(tmp_path: Path) -> None:
    corpus, _ = corpora.usual(tmp_path)
    before = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    shown = coverage("--corpus", corpus)
    assert (shown.returncode, shown.stderr) == (0, "") and "TFLite kernels" in shown.stdout
    as_json = coverage("--corpus", corpus, "--json", "--html", tmp_path / "page.html")
    tree = json.loads(as_json.stdout)
    assert tree["entries"] == 3 and [row["tally"]["blocks_reached"] for row in tree["scopes"]] == [6, 6]
    assert {item["name"] for item in tree["unreached"] if item["kind"] == "kernel"} == {
        "tflite::ops::builtin::bucketize",
        "tflite::ops::builtin::svdf",
    }
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>") and "page.html" in as_json.stderr
    assert {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()} == before, "nothing was written"


def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path: Path) -> None:
    missing = coverage("--corpus", tmp_path / "nowhere")
    assert missing.returncode == 2 and missing.stderr.startswith("error: there is no corpus") and missing.stdout == ""
    corpus, _ = corpora.usual(tmp_path)
    unwritable = coverage("--corpus", corpus, "--html", tmp_path / "no" / "page.html")
    assert unwritable.returncode == 2 and "cannot be written" in unwritable.stderr.splitlines()[-1]
    assert coverage("--corpus", corpus, "surplus").returncode == 2


def test_what_was_left_out_is_a_note_and_no_failure(tmp_path: Path) -> None:
    corpus, where = corpora.usual(tmp_path)
    Path(where.libraries[0].table).unlink()
    with (corpus / FEATURES).open("ab") as file:
        file.write(b'{"case": broken}\n{"case": "cut')
    done = coverage("--corpus", corpus, "--json")
    notes = done.stderr.splitlines()
    assert done.returncode == 0 and len(notes) == 2 and all(note.startswith("note: ") for note in notes)
    assert "1 damaged line of" in notes[0] and "block table of converter.so" in notes[1]
    assert [row["scope"] for row in json.loads(done.stdout)["scopes"]] == ["runtime"]


def test_ten_thousand_entries_and_a_million_blocks_in_seconds(tmp_path: Path) -> None:
    where = corpora.large(tmp_path, functions=60_000, blocks_each=20)
    lines = []
    for i in range(10_000):
        blocks = range(20 * i, 20 * i + 20)
        lines.append(Line(f"{i:016x}", [f"op:{(i + k) % 900}/float32" for k in range(12)], where.pack(blocks), 1e9 + i))
    corpora.write(tmp_path / "corpus", lines, where)
    best = 99.0
    for _ in range(3):  # the best of three: the machine is shared
        begun = time.monotonic()
        done = coverage("--corpus", tmp_path / "corpus", "--json")
        best = min(best, time.monotonic() - begun)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        if best < BUDGET_S:
            break
    assert json.loads(done.stdout)["scopes"][0]["tally"]["blocks_reached"] == 200_000
    assert best < BUDGET_S
