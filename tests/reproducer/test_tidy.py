"""Held against `ruff format` itself, at its own settings."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from fuzzer.reproducer.script import reproducer
from fuzzer.reproducer.tidy import WIDTH, tidy
from tests.reproducer.test_script import cases, drawn_verdict


def changed_by_ruff(folder: Path) -> str:
    """What `ruff format` would change in a folder; empty when nothing."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("seed", [1, 7])
def test_scripts_of_many_cases_are_as_ruff_leaves_them(tmp_path: Path, seed: int) -> None:
    skipped = lines = 0
    for i, (case, rng) in enumerate(cases(120, seed)):
        script = reproducer(case, drawn_verdict(rng), "a title", "tensorflow 2.21.0")
        text = tidy(script)
        assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(script))
        assert tidy(text) == text
        (tmp_path / f"script{i}.py").write_text(text)
        skipped += text.count("# fmt: skip")
        lines += text.count("\n")
    assert changed_by_ruff(tmp_path) == ""
    assert skipped < 0.02 * lines  # the way out stays one


FORMS = '''
import os
x = 1
def f(a,
      b):

    """Words."""
    return g(a)(
        b)
# about y
y = [1,
     2,]  # two
z = (3,)
t = (
    4,
)
if x:
    # why
    y = np.where(fine, (long_name_of_something - another_long_name_of_something) / size, 0.0 + 1e+35)
else:
    y = 2 ** x + 3 ** f(x)
for i in range(
    3):
    print('a', f'{x}', f"{x:>3}, {y['k']}", f'{x}\\n', 'it\\'s', b'b', '"', ''); pass
value = first_operand_with_a_long_name + second_operand_with_a_long_name - third_operand_of_all
flag = not found.get("tf-builtin", 0) > 0.0001 and found.get("tf-xnnpack", 0) > 0.0001 and other
text = "a string that is far too long for a line of eighty-eight columns, wherever it may be put, is left as it is"
text = ("two pieces of one string that together are too long for a line of that"
        "many columns")
table = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
made = {name: [value for value in values if value is not None and value is not other] for name, values in all_of_them}
call = function(lambda x0, x1: model(*trained(weights), x0, x1), input_signature=specs, autograph=False)
chain = np.random.RandomState(28129).choice(BOUNDARY, (1, 3, 16, 16, 17)).astype(np.float32)
low, high = np.float32(np.minimum(low_of_the_range, 0)), np.float32(np.maximum(high_of_the_range, 1e-6))
n = (some_name * 1.5 + another_name)[begin_of_it:begin_of_it + 3:2].reshape(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
'''


def test_forms_one_by_one(tmp_path: Path) -> None:
    text = tidy(FORMS.replace("; pass", ""))
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(FORMS.replace("; pass", "")))
    (tmp_path / "forms.py").write_text(text)
    assert changed_by_ruff(tmp_path) == ""
    assert "    y = 2**x + 3 ** f(x)\n" in text and "\n# about y\ny = [1, 2]  # two\nz = (3,)\nt = (4,)\n" in text
    long = [line for line in text.splitlines() if len(line) > WIDTH]
    assert all("# fmt: skip" in line or line.startswith('text = "a string') for line in long)


@pytest.mark.parametrize("broken", ["def", "x = (", "x = 'a", "  x = 1"])
def test_what_is_no_python(broken: str) -> None:
    with pytest.raises(SyntaxError):
        tidy(broken)
