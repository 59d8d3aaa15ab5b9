"""One real minute: the command line, real TensorFlow, real findings.

It goes on from a small corpus: an empty one would begin with every pattern and every op, which takes the minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest

from fuzzer.case import decode
from fuzzer.findings import FindingStore
from fuzzer.mutate import generate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

ROOT = Path(__file__).parents[2]
MIN_CASES = 150
"""A quarter of what an idle machine does: the machine of a build server is shared."""
SEEDS = 20


def test_a_minute_on_real_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    for seed in range(SEEDS):
        case = generate(Random(seed))
        (tmp_path / "corpus" / f"{case.id}.json").write_bytes(case.canonical)
    begun = time.monotonic()
    folders = ["--corpus", str(tmp_path / "corpus"), "--crashes", str(tmp_path / "crashes")]
    done = subprocess.run(
        [sys.executable, "-m", "fuzzer", "--minutes", "1", "--seed", "1", *folders],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=150,
    )
    took = time.monotonic() - begun
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-3000:]
    assert 45 <= took <= 75 + 3, "one minute, give or take 15 s, and the interpreter's own start"
    status = json.loads((tmp_path / "crashes" / "status.json").read_bytes())
    assert status["state"] == "finished" and not [w for w in status["warnings"] if "internal error" in w], status[
        "warnings"
    ]
    assert len(done.stdout.splitlines()) >= 5, "a line every ten seconds and the summary"
    assert str(status["cases"]) in done.stdout.replace(",", "")

    table = pq.read_table(tmp_path / "crashes" / "index.parquet")
    findings = FindingStore(tmp_path / "crashes").findings()
    assert sorted(table.column("id").to_pylist()) == sorted(f.id for f in findings)
    for found in findings:
        folder = tmp_path / "crashes" / found.path
        assert decode((folder / "minimal.json").read_bytes()).id == found.case
        assert (folder / "repro.py").exists() and (folder / "report.md").exists() and found.reproduced >= 1
    for path in (tmp_path / "corpus").glob("*.json"):
        decode(path.read_bytes())

    assert status["valid_share"] >= 0.95
    assert status["mutators"]["crossover"][0] > 0 and len(status["mutators"]) >= 10
    assert status["features"] > 200 and status["corpus"] > 50
    assert status["cases"] > MIN_CASES
