"""Plugins: the worked example of CONTRIBUTING.md, and what a person is told when a file cannot be used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fuzzer.case.case import case_id

ROOT = Path(__file__).parents[1]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (text,) = [block for block in blocks if block.startswith("# my_ops.py")]
    path = tmp_path / "my_ops.py"
    path.write_text(text)
    return path


def run(tmp_path: Path, *arguments: str, program: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program] if program else [sys.executable, "-m", "fuzzer"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TFLITE_FUZZER_PLUGINS", None)
    return subprocess.run(
        [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


GENERATE = """
import sys
from random import Random
from fuzzer import plugins
plugins.use(sys.argv[1:])
from fuzzer.case import decode
from fuzzer.mutate import generate
from fuzzer.patterns import patterns
case = generate(Random(1), patterns()["dense_scaled_tanh"])
assert "scaled_tanh" in {node.op for node in decode(case.canonical).model.nodes}
print(case.canonical.decode())
"""


def test_the_worked_example_generates_and_its_cases_decode(example: Path, tmp_path: Path) -> None:
    made = run(tmp_path, str(example), program=GENERATE)
    assert made.returncode == 0, made.stderr
    case = tmp_path / "case.json"
    case.write_text(made.stdout)
    good = run(tmp_path, "case", "validate", str(case), "--plugin", str(example))
    assert good.returncode == 0 and "valid" in good.stdout, good.stderr
    bare = run(tmp_path, "case", "validate", str(case))
    assert bare.returncode == 2 and "--plugin FILE" in bare.stderr and "Traceback" not in bare.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("OPS = ()\n", "neither OPS nor PATTERNS"),
        ("raise RuntimeError('broken on purpose')\n", "broken on purpose"),
        ("def f(:\n", "SyntaxError"),
        ("from fuzzer.ops.activation import OPS\n", "'relu' is defined in"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_said_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    (tmp_path / "case.json").write_text("{}")
    answer = run(tmp_path, "--plugin", str(path), "run", "--cases", "1")
    assert answer.returncode == 2 and words in answer.stderr and "Traceback" not in answer.stderr


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    answer = run(tmp_path, "--plugin=nowhere.py", "status")
    assert answer.returncode == 2 and "nowhere.py does not exist" in answer.stderr
    assert run(tmp_path, "status", "--plugin").returncode == 2


@pytest.mark.slow
def test_a_campaign_runs_the_ops_of_a_plugin(example: Path, tmp_path: Path) -> None:
    """It goes on from a corpus of one case of the plugin: an empty one would begin with every op there is."""
    case = run(tmp_path, str(example), program=GENERATE).stdout.strip()
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / f"{case_id(case.encode())}.json").write_text(case)
    made = run(tmp_path, "--plugin", str(example), "--minutes", "0.4", "--seed", "1", "--workers", "1", "--plain")
    assert made.returncode == 0, made.stderr
    told = run(tmp_path, "--plugin", str(example), "health", "--json")
    health = json.loads(told.stdout)["health"]
    assert health["op"]["scaled_tanh"]["converted"] > 0 and health["pattern"]["dense_scaled_tanh"]["cases"] > 0
    shown = run(tmp_path, "health")
    assert shown.returncode == 0 and "scaled_tanh" in shown.stdout, "what was counted is shown without the plugin too"
