"""A reproducer as a pytest file: the same model, conversion and judgement, told by a test instead of an exit status.

The text of `repro.py` is taken apart into statements and put together again, so what was run when the finding was made
is what the test runs. What happens from the conversion on goes into the test; what kills the process goes into a
function that a process of its own runs. A script whose exit status cannot be told as an assertion is run whole, in a
process of its own too. Foreign strings enter as the script has them (escaped already) or through `layout`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fuzzer.findings.finding import Finding
from fuzzer.reproducer import layout
from fuzzer.reproducer.tidy import tidy

LIMIT_S = 600
"""Wall clock of a script that is run whole: its own limits (120 s for a deadlock) end far sooner."""
_PROSE_WIDTH = 84
"""Columns of a docstring's line; the first one has three quotes before it."""
_NAME = 60
"""Characters of a test's name that are taken from the title."""
_HOOK = "cannot_tell"
"""The function by which a script tells an error from a defect; pytest does that by itself."""
_SETTINGS = ("CUDA_VISIBLE_DEVICES", "TF_CPP_MIN_LOG_LEVEL")
"""What a script sets for itself and `conftest.py` sets for all."""


_UNSAFE = re.compile(r"basic_string|\bstd::|bad_alloc|vector::|corrupt|_M_\w+")
"""Words of C++'s library in a message: an exception that nobody meant to throw comes of memory that is misused,
and the next run may die of it (seen: one in a few dies where `basic_string::_M_create` is the usual answer)."""


class NoTestError(Exception):
    """The script is no reproducer that could become a test; the message says why."""


class _Whole(Exception):
    """The script's judgement cannot be told as assertions: it is run whole."""


def test_name(title: str) -> str:
    """`crash_in_allocate_abs_sigsegv`: lower-case ASCII, safe as a Python name after `test_` and in a file's name."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower())[:_NAME].strip("_") or "finding"


def regression_test(script: str, finding: Finding) -> str:
    """The text of the test file. Raises `NoTestError` when `script` is not what this project writes."""
    try:
        parts = _Parts.of(script)
    except (SyntaxError, ValueError, RecursionError) as broken:  # ValueError: null bytes
        raise NoTestError(f"its repro.py is no Python ({str(broken)[:60]})") from broken
    try:
        if parts.parent is None and _UNSAFE.search(f"{finding.title} {finding.message}"):
            raise _Whole
        lines = _dying(parts, finding) if parts.parent is not None else _plain(parts, finding)
    except _Whole:
        lines = _whole(parts, finding)
    return tidy("\n".join(lines) + "\n")


# --- the script, taken apart ------------------------------------------------------------------------------


@dataclass
class _Parts:
    """The statements of a script by what they are for, each with the comments right before it."""

    lines: list[str]
    imports: list[ast.stmt] = field(default_factory=list)
    settings: list[ast.stmt] = field(default_factory=list)
    """What is set in the environment, printed of versions, or set in NumPy before anything runs."""
    hook: list[ast.stmt] = field(default_factory=list)
    parent: ast.If | None = None
    above: list[ast.stmt] = field(default_factory=list)
    """Functions and numbers, in order: what a module holds."""
    action: list[ast.stmt] = field(default_factory=list)
    """What happens, in order."""
    starts: dict[int, int] = field(default_factory=dict)
    """First line (comments included) of each statement, by its own first line."""

    @staticmethod
    def of(script: str) -> _Parts:
        """Raises `SyntaxError` and `NoTestError`."""
        body = ast.parse(script).body
        parts = _Parts(script.splitlines())
        end = 0
        for node in body:
            comment = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            while comment - 1 > end and parts.lines[comment - 2].startswith("#"):
                comment -= 1
            parts.starts[node.lineno] = comment
            end = node.end_lineno or node.lineno
        parts._sort(body[1:] if body and _docstring(body[0]) else body)
        if not parts.action:
            raise NoTestError("its repro.py runs nothing")
        return parts

    def _sort(self, body: Sequence[ast.stmt]) -> None:
        heavy = _heavy([n for n in body if isinstance(n, ast.FunctionDef)])
        for node in body:
            text = ast.unparse(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imports.append(node)
            elif (isinstance(node, ast.FunctionDef) and node.name == _HOOK) or text.startswith("sys.excepthook"):
                self.hook.append(node)
            elif isinstance(node, ast.If) and "--child" in text:
                self.parent = node
            elif not self.action and (
                text.startswith(("os.environ[", "np.seterr(", "tf.config.")) or _prints_versions(node)
            ):
                self.settings.append(node)
            elif isinstance(node, ast.FunctionDef) or not (self.action or _acts(node, heavy)):
                self.above.append(node)
            else:
                self.action.append(node)
        # A function that reads what is only there once things happened belongs beside them.
        made = {name for node in self.action for name in _bound(node)}
        while moved := [n for n in self.above if isinstance(n, ast.FunctionDef) and made & _free(n)]:
            self.above = [n for n in self.above if n not in moved]
            self.action = sorted([*self.action, *moved], key=lambda n: n.lineno)
            made |= {n.name for n in moved if isinstance(n, ast.FunctionDef)}

    def text(self, node: ast.stmt, indent: int = 0) -> list[str]:
        """The lines of a statement with its comments, indented further."""
        lines = self.lines[self.starts.get(node.lineno, node.lineno) - 1 : node.end_lineno]
        blank = isinstance(node, ast.FunctionDef)
        return [*([""] if blank else []), *(" " * indent + line for line in lines), *([""] if blank else [])]

    def needed(self, lines: Sequence[str], more: Sequence[str] = ()) -> list[str]:
        """The import lines that `lines` need, `more` modules of the standard library, and pytest where it is used."""
        used = _names(ast.parse("\n".join(lines)))
        standard, third = set(more), []
        for node in self.imports:
            for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else []:
                if (alias.asname or alias.name).split(".")[0] in used:
                    line = ast.unparse(node)
                    if isinstance(node, ast.Import) and alias.asname is None and alias.name != "tf_keras":
                        standard.add(alias.name)
                    elif line not in third:
                        third.append(line)
        if "pytest" in used:
            third.append("import pytest")
        straight = [line for line in third if line.startswith("import ")]
        froms = [line for line in third if not line.startswith("import ")]
        return [*(f"import {name}" for name in sorted(standard)), "", *_sorted(straight), *_sorted(froms)]


def _sorted(lines: Sequence[str]) -> list[str]:
    return sorted(set(lines), key=lambda line: line.split()[1])


def _docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _prints_versions(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and "version" in ast.unparse(node) and ast.unparse(node).startswith("print(")


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _bound(node: ast.stmt) -> set[str]:
    """Names that a statement of the module binds there."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _free(function: ast.FunctionDef) -> set[str]:
    """Names that a function reads and does not bind."""
    own = {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
    own |= {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return _names(function) - own


def _heavy(functions: Sequence[ast.FunctionDef]) -> set[str]:
    """The functions that use TensorFlow, themselves or through others."""
    heavy = {"tf", "LiteRtInterpreter"}
    while more := [f.name for f in functions if f.name not in heavy and heavy & _names(f)]:
        heavy |= set(more)
    return heavy - {"tf"}


def _acts(node: ast.stmt, heavy: set[str]) -> bool:
    """Whether a statement of the module does more than write down numbers and names."""
    calls = {ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    return not isinstance(node, ast.Assign) or any(c in heavy or c.startswith("tf.") for c in calls)


# --- the tests --------------------------------------------------------------------------------------------


def _plain(parts: _Parts, finding: Finding) -> list[str]:
    """The test runs in pytest's own process."""
    if any("tf.compat.v1.disable" in line or "os.dup2" in line for line in parts.lines):
        raise _Whole
    body = [line for node in _judged(parts) for line in node]
    module = [line for node in parts.above for line in parts.text(node)]
    silent = any("seterr" in ast.unparse(node) for node in parts.settings)
    # NumPy warns where NaN and infinity are the matter; a tree that makes warnings errors would stop there.
    mark = ['@pytest.mark.filterwarnings("ignore::RuntimeWarning")'] if silent else []
    test = [*mark, f"def test_{test_name(finding.title)}():", *(f"    {line}" for line in body)]
    written = [*module, "", *test]
    return [*_head(finding), *parts.needed(written), "", *written]


def _dying(parts: _Parts, finding: Finding) -> list[str]:
    """The test starts this file as a script, which is what dies."""
    assert parts.parent is not None
    body = [line for node in _told(parts, parts.parent.body, 4) for line in node]
    child = [line for node in parts.settings if "seterr" in ast.unparse(node) for line in parts.text(node, 4)]
    child += [line for node in parts.action for line in parts.text(node, 4)]
    module = [line for node in parts.above for line in parts.text(node)]
    variables = _environment(parts)
    given = ", env={**os.environ, " + ", ".join(variables) + "}" if variables else ""
    body = [line.replace("subprocess.run(command,", f"subprocess.run(command{given},") for line in body]
    written = [
        *module,
        "",
        *(line for node in parts.hook if isinstance(node, ast.FunctionDef) for line in parts.text(node)),
        "",
        "def child():",
        '    """What must come through; a process of its own runs it."""',
        *(line for node in parts.hook if not isinstance(node, ast.FunctionDef) for line in parts.text(node, 4)),
        *child,
        "",
        "",
        f"def test_{test_name(finding.title)}():",
        *(f"    {line}" for line in body),
        "",
        "",
        'if __name__ == "__main__":',
        "    child()",
    ]
    return [*_head(finding), *parts.needed(written), "", *written]


def _whole(parts: _Parts, finding: Finding) -> list[str]:
    """The test runs the script as it is, and goes by its exit status."""
    module = [line for node in parts.above for line in parts.text(node)]
    numpy = [node for node in parts.settings if "seterr" in ast.unparse(node)]
    actions = [*(n for n in parts.hook if not isinstance(n, ast.FunctionDef)), *numpy, *parts.action]
    written = [
        *module,
        "",
        *(line for node in parts.hook if isinstance(node, ast.FunctionDef) for line in parts.text(node)),
        "",
        "def main():",
        '    """Exits 1 while the defect is there, 0 when it is gone, 2 when it cannot tell."""',
        *(line for node in actions for line in parts.text(node, 4)),
        "",
        "",
        f"def test_{test_name(finding.title)}():",
        "    command = [sys.executable, __file__]",
        f"    done = subprocess.run(command, timeout={LIMIT_S}, capture_output=True, text=True)",
        "    print(done.stdout, done.stderr)",
        '    assert done.returncode != 1, "The defect is there."',
        '    assert done.returncode == 0, f"The script cannot tell: exit {done.returncode}."',
        "",
        "",
        'if __name__ == "__main__":',
        "    main()",
    ]
    return [*_head(finding), *parts.needed(written, ("subprocess", "sys")), "", *written]


def _head(finding: Finding) -> list[str]:
    """The docstring: title, kind, releases, and what the test says."""
    first, *more = layout.prose(finding.title, 400)
    found = f"Kind: {finding.kind}. Found with {finding.versions}."
    says = "The test fails while the defect is there and passes once it is mended."
    if len(first) > _PROSE_WIDTH - 3:
        cut = first.rindex(" ", 0, _PROSE_WIDTH - 3) if " " in first[: _PROSE_WIDTH - 3] else len(first)
        first, more = first[:cut], [" ".join([first[cut:].strip(), *more])]
    wrapped = [line for text in more for line in _lines_of(text)]
    return [f'"""{first}', *wrapped, "", *layout.prose(found), says, '"""', ""]


def _lines_of(text: str) -> list[str]:
    """Text that is escaped already, as lines."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= _PROSE_WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line for line in lines if line]


def _environment(parts: _Parts) -> list[str]:
    """What the script sets in the environment, but for what is set for all, as items of a dictionary."""
    found = []
    for node in parts.settings:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            key, value = ast.literal_eval(node.targets[0].slice), ast.literal_eval(node.value)
            if key not in _SETTINGS:
                found.append(f"{layout.string(str(key))}: {layout.string(str(value))}")
    return found


# --- exit status into assertion ---------------------------------------------------------------------------


def _judged(parts: _Parts) -> Iterator[list[str]]:
    """The statements of the action, told as a test, one after the other."""
    yield from _told(parts, parts.action, 0)


def _told(parts: _Parts, body: Sequence[ast.stmt], dedent: int) -> Iterator[list[str]]:
    """Statements whose exits have become assertions. Raises `_Whole` where one has no such form."""
    for node in body:
        if _says_outcome(node):
            continue
        start = parts.starts.get(node.lineno, node.lineno)
        lines = [line[dedent:] for line in parts.lines[start - 1 : node.end_lineno]]
        for statement in reversed([n for n in ast.walk(node) if isinstance(n, ast.stmt)]):
            if _says_outcome(statement):
                lines[statement.lineno - start] = ""
            elif isinstance(statement, ast.Expr) and _exit_code(statement) is not None:
                at = statement.lineno - start
                if statement.end_lineno != statement.lineno or not lines[at].strip().startswith(("sys.", "os.")):
                    raise _Whole
                pad = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
                lines[at : at + 1] = [pad + line for line in _assertion(statement)]
        function = isinstance(node, ast.FunctionDef)
        kept = [line for line in lines if line.strip() or function]
        yield ["", *kept, ""] if function else kept


def _says_outcome(node: ast.stmt) -> bool:
    """Whether a statement prints that the defect is there or gone: a test says it by its outcome."""
    text = ast.unparse(node) if isinstance(node, ast.Expr) else ""
    return text.startswith("print(") and bool(re.search(r"[Tt]he defect is (there|gone)", text))


def _exit_code(statement: ast.Expr) -> ast.expr | None:
    call = statement.value
    if isinstance(call, ast.Call) and ast.unparse(call.func) in ("sys.exit", "os._exit") and len(call.args) == 1:
        return call.args[0]
    return None


def _assertion(statement: ast.Expr) -> list[str]:
    """`sys.exit(1 if defect else 0)` as `assert not defect, ...`."""
    code = _exit_code(statement)
    there, unsure = '"The defect is there."', '"This test cannot tell: something else failed."'
    if isinstance(code, ast.Constant) and code.value in (1, 2):
        return [f"pytest.fail({there if code.value == 1 else unsure})"]
    if isinstance(code, ast.IfExp) and isinstance(code.body, ast.Constant) and code.body.value == 1:
        first = [f"assert not {_atom(code.test)}, {there}"]
        rest = code.orelse
        if isinstance(rest, ast.Constant) and rest.value == 0:
            return first
        if isinstance(rest, ast.IfExp) and [ast.unparse(rest.body), ast.unparse(rest.orelse)] == ["0", "2"]:
            return [*first, f"assert {ast.unparse(rest.test)}, {unsure}"]
    raise _Whole


def _atom(test: ast.expr) -> str:
    return ast.unparse(test) if isinstance(test, ast.Name) else f"({ast.unparse(test)})"
