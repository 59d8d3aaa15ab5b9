from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from fuzzer.releases.script import Outcome, imports, judge, run
from fuzzer.releases.search import Answer

SPEAKS = "print('actual:   3')\n"


@pytest.mark.parametrize(
    ("script", "answer", "why"),
    [
        ("print('The defect is gone.')", Answer.GOOD, ""),
        (SPEAKS + "raise SystemExit(1)", Answer.BAD, ""),
        (
            "import sys\nprint('The defect is there.')\n"
            "sys.stderr.write('Traceback (most recent call last)\\nKeyError: 3')\nsys.exit(1)",
            Answer.BAD,
            "",
        ),
        ("import no_such_package", Answer.CANNOT, "no module no_such_package"),
        ("print('tensorflow 2')\nimport os\nos.nonsense", Answer.CANNOT, "no attribute nonsense"),
        ("print('Another error than this')\nraise SystemExit(2)", Answer.CANNOT, "another error"),
        ("raise SystemExit(7)", Answer.CANNOT, "exit 7"),
        ("raise SystemExit(1)", Answer.CANNOT, "exit 1"),
        ("print(1)\nx = = 2", Answer.CANNOT, "SyntaxError: invalid syntax"),
        ("import os\nos.abort()", Answer.CANNOT, "SIGABRT"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", Answer.CANNOT, "SIGSEGV"),
        ("def f(): pass\nf(a=1)", Answer.CANNOT, "TypeError: got an unexpected keyword argument 'a'"),
    ],
)
def test_what_a_script_says(script: str, answer: Answer, why: str) -> None:
    outcome = run(Path(sys.executable), script)
    assert (outcome.answer, outcome.lasting) == (answer, True)
    assert outcome.why == why or why.split(": ")[-1] in outcome.why, outcome


def test_a_hang_ends_with_all_that_it_started() -> None:
    script = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(987)'])\n"
    begun = time.monotonic()
    outcome = run(Path(sys.executable), script + "time.sleep(987)", timeout_s=1.0)
    assert outcome == Outcome(Answer.CANNOT, "no end in 1 s", False)
    assert time.monotonic() - begun < 10
    time.sleep(0.2)
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if "import time; time.sleep(987)" in (p.info["cmdline"] or [])
    ]


def test_nothing_of_this_environment_gets_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    (tmp_path / "tensorflow.py").write_text("")
    script = f"""
import os, sys
bad = "TF_USE_LEGACY_KERAS" in os.environ or any({str(tmp_path)!r} in p for p in sys.path)
print("actual:")
sys.exit(1 if bad else 0)"""
    outcome = run(Path(sys.executable), script)
    assert outcome.answer is Answer.GOOD


def test_much_output_costs_no_memory() -> None:
    script = "import sys\nfor _ in range(200): print('x' * 10**5)\nprint('actual:')\nsys.exit(1)"
    assert run(Path(sys.executable), script).answer is Answer.BAD


def test_a_missing_python_is_no_answer_to_keep(tmp_path: Path) -> None:
    assert run(tmp_path / "python", "") == Outcome(Answer.CANNOT, "No such file or directory", False)


def test_no_status_is_taken_for_a_defect_without_words() -> None:
    assert judge(1, "", "", 1.0).answer is Answer.CANNOT
    assert (
        judge(1, "tensorflow 2.16\n", "Traceback (most recent call last):\nValueError: x\n", 1.0).answer
        is Answer.CANNOT
    )
    assert judge(-6, "actual:", "", 1.0).why == "SIGABRT" and judge(-99, "", "", 1.0).why == "signal 99"


def test_imports() -> None:
    script = "import os, numpy as np\nfrom ai_edge_litert.interpreter import Interpreter\ndef f():\n    import tf_keras"
    assert imports(script) == {"os", "numpy", "ai_edge_litert", "tf_keras"}
    with pytest.raises(SyntaxError):
        imports("import")
