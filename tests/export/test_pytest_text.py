"""Tests made of reproducers: their text, and (slow) pytest on real defects and where there is none."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer.case import Conversion
from fuzzer.case.codec import from_json
from fuzzer.export.pytest_text import NoTestError, regression_test
from fuzzer.export.pytest_text import test_name as name_of
from fuzzer.oracles.verdict import DEATHS, Kind, Stage, Verdict
from fuzzer.reproducer.script import reproducer
from tests.findings.samples import finding
from tests.reproducer.test_script import (
    ALLOWED,
    CASES,
    HOSTILE,
    WHERE,
    cases,
    drawn_verdict,
    image,
    imported,
    undefined,
    verdict,
)
from tests.reproducer.test_tidy import changed_by_ruff

FOUND = finding("value in compare: CONV_2D (float32): wrong values")


def functions(tree: ast.Module) -> list[str]:
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def test_tests_of_many_cases(tmp_path: Path) -> None:
    own_process = 0
    for i, (case, rng) in enumerate(cases(150, 5)):
        made = drawn_verdict(rng)
        text = regression_test(reproducer(case, made, "a title", "v"), FOUND)
        (tmp_path / f"test_{i}.py").write_text(text)
        tree = ast.parse(text)
        compile(text, "test.py", "exec")
        assert imported(tree) <= ALLOWED | {"pytest"} and "fuzzer" not in text
        assert not undefined(tree), made
        assert functions(tree) == ["test_value_in_compare_conv_2d_float32_wrong_values"]
        assert ast.get_docstring(tree).startswith(FOUND.title)
        assert "Kind: value. Found with tensorflow 2.21.0." in text
        dies = made.kind in DEATHS
        assert ("subprocess.run(" in text) == dies and text.count("sys.exit") == int(dies)
        assert ("assert " in text) or ("pytest.fail(" in text)
        # What kills stays out of pytest's own process: importing the file runs nothing.
        assert not [n for n in tree.body if not dies and isinstance(n, ast.If)]
        own_process += dies
    assert 10 < own_process < 140
    assert changed_by_ruff(tmp_path) == ""


@pytest.mark.parametrize("kind", sorted(WHERE))
def test_hostile_words_stay_words(kind: Kind, tmp_path: Path) -> None:
    case, _ = next(cases(1, 9))
    wild = verdict(kind, WHERE[kind][0], message="error: " + HOSTILE)
    odd = finding(HOSTILE.rstrip("\ud800"), versions=HOSTILE, kind=HOSTILE, id="../../x")
    text = regression_test(reproducer(case, wild, HOSTILE, HOSTILE), odd)
    mild = replace(wild, evidence={**wild.evidence, "message": "error: t"})
    tame = ast.parse(regression_test(reproducer(case, mild, "t", "v"), FOUND))
    tree = ast.parse(text)
    assert text.isascii() and "\x00" not in text
    calls = [sorted(ast.unparse(n.func) for n in ast.walk(t) if isinstance(n, ast.Call)) for t in (tree, tame)]
    assert calls[0] == calls[1] and "os.system" not in calls[0]
    assert len(functions(tree)) == 1
    (tmp_path / "test_it.py").write_text(text)
    assert changed_by_ruff(tmp_path) == ""


@pytest.mark.parametrize(
    ("title", "name"),
    [("a: B (c)", "a_b_c"), ("", "finding"), ("../../etc", "etc"), ("ä\u202e\n", "finding"), ("x" * 300, "x" * 60)],
)
def test_names(title: str, name: str) -> None:
    assert name_of(title) == name


@pytest.mark.parametrize("script", ["", "x = 1", "def", "\x00", '"""Only words."""', "import os", "(" * 5000])
def test_what_is_no_reproducer(script: str) -> None:
    with pytest.raises(NoTestError, match=r"its repro\.py"):
        regression_test(script, FOUND)


def test_a_script_that_ends_otherwise_is_run_whole(tmp_path: Path) -> None:
    """Edited by hand: its exit status counts."""
    script = "import sys\n\n\ndef code():\n    return 1\n\n\nprint('hello')\nsys.exit(code() * 1)\n"
    for status, outcome in ((1, "The defect is there."), (0, "1 passed"), (2, "The script cannot tell: exit 2.")):
        text = regression_test(script.replace("return 1", f"return {status}"), FOUND)
        (tmp_path / "test_it.py").write_text(text)
        done = run_pytest(tmp_path)
        assert outcome in done.stdout and (done.returncode == 0) == (status == 0), done.stdout
        assert changed_by_ruff(tmp_path) == ""


def test_what_broken_memory_throws_runs_in_a_process_of_its_own() -> None:
    case, _ = next(cases(1, 9))
    script = reproducer(case, verdict(Kind.CONVERTER_ERROR, Stage.CONVERT, message="basic_string::_M_create"), "t", "v")
    unsafe = regression_test(script, finding("converter-error in convert: ValueError: basic_string::_M_create"))
    assert "subprocess.run(" in unsafe and "def main():" in unsafe and not undefined(ast.parse(unsafe))
    assert "subprocess.run(" not in regression_test(script, finding("converter-error in convert: ValueError: no good"))


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    """Pytest where `fuzzer` is out of reach."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--rootdir", str(folder), "."]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
def test_real_defects_fail_and_sound_models_pass(tmp_path: Path) -> None:
    """One process of pytest over a value, an error, a crash, and the same questions about a model without a defect."""
    for name in ("value_float32_depthwise", "converter_error_int16x8", "crash_allocate_int16x8"):
        tree = json.loads((CASES / f"{name}.json").read_text())
        case, made = from_json(tree["case"]), Verdict.from_json(tree["verdict"])
        script = reproducer(case, made, name, "v")
        (tmp_path / f"test_{name}.py").write_text(regression_test(script, finding(name)))
    sound = replace(image("max_pool"), conversion=Conversion())
    for kind, stage in ((Kind.VALUE, Stage.COMPARE), (Kind.CRASH, Stage.INVOKE), (Kind.INVOKE_ERROR, Stage.INVOKE)):
        script = reproducer(sound, verdict(kind, stage, "tf-builtin"), "sound", "v")
        text = regression_test(script, finding(f"sound {kind.name}"))
        (tmp_path / f"test_sound_{kind.name.lower()}.py").write_text(text)
    done = run_pytest(tmp_path)
    assert "3 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert all(f"FAILED test_{name}" in done.stdout for name in ("value_", "converter_error_", "crash_allocate"))
