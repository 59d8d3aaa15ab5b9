"""Lines by `sys.monitoring`: of a small package against `sys.settrace`, and of the converter that users install."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from fuzzer.case import Case, to_json
from fuzzer.coverage import python_lines
from fuzzer.coverage.features import FAMILIES
from fuzzer.coverage.python_lines import PREFIX, TOOL, TOOL_IDS, Lines, functions_of
from fuzzer.execute import Executor, Limits, Reply, Zygote
from tests.oracles.test_oracles import small_net

ROOT = Path(__file__).parents[2]
monitored = pytest.mark.skipif(not python_lines.available(), reason="sys.monitoring came with Python 3.12")

PLAIN = """
import functools
import json

def branches(x):
    if x > 2:
        kind = "large"
    elif x < 0:
        kind = "negative"
    else:
        kind = "small"
    return kind

def loops(x):
    total = 0
    for i in range(x):
        if i % 2:
            continue
        total += i
    else:
        total += 1
    while total > 3:
        total -= 3
    return total

def raises(x):
    try:
        if x > 1:
            raise ValueError(x)
        return json.dumps(x)
    except ValueError:
        return "caught"
    finally:
        x = None

def generates(x):
    def inner(y):
        return y + 1
    for i in range(x):
        yield inner(i)

def decorated(function):
    @functools.wraps(function)
    def call(x):
        if x > 1:
            return function(x)
        return None
    return call

def hidden(function):
    def call(x):
        return function(x)
    return call

@decorated
def wrapped(x):
    y = x
    return y

@hidden
def closed_over(x):
    y = x
    return y

class Outer:
    def __init__(self, x):
        self._x = x

    @property
    def double(self):
        return self._x * 2

    @classmethod
    def make(cls, x):
        made = cls(x)
        return made

    @staticmethod
    def plain(x):
        return [i
                for i in range(x)
                if i != 1]

    class Inner:
        def method(self, x):
            match x:
                case 1:
                    return "one"
                case _:
                    return "other"

def everything(x):
    list(generates(x))
    outer = Outer.make(x)
    functions = [branches, loops, raises, wrapped, closed_over, Outer.plain, Outer.Inner().method]
    return [outer.double, *(function(x) for function in functions)]
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package of a module of known control flow, one module of generated code and one that nobody has imported."""
    folder = tmp_path / "watched"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "inner" / "__init__.py").touch()
    (folder / "inner" / "plain.py").write_text(PLAIN)
    (folder / "late.py").write_text("def late():\n    return 1\n")
    (folder / python_lines.GENERATED).write_text("def generated():\n    return 1\n")
    (tmp_path / "watched_not.py").write_text("def other(x):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    yield import_module("watched.inner.plain")
    for name in [name for name in sys.modules if name.startswith("watched")]:
        del sys.modules[name]


@pytest.fixture
def watch(package: ModuleType) -> Iterator[Callable[..., Lines]]:
    """Makes watches of the package; each ends with the test."""
    made: list[Lines] = []

    def make(*known: str) -> Lines:
        made.append(Lines(known, functions_of(("watched",), list(sys.modules)), ("watched",)))
        return made[-1]

    yield make
    for lines in made:
        lines.close()


def traced(function: Callable[[int], Any], argument: int, file: str) -> set[str]:
    """The lines that a call runs, as the interpreter's older interface tells them."""
    seen: set[str] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            seen.add(f"{PREFIX}inner/plain.py:{frame.f_lineno}")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(argument)
    finally:
        sys.settrace(before)
    return seen


def test_lines_are_a_family_of_their_own() -> None:
    assert "line" in FAMILIES[PREFIX.removesuffix(":")]


@pytest.mark.skipif(python_lines.available(), reason="this Python has sys.monitoring")
def test_it_is_off_on_an_older_python() -> None:
    assert sys.version_info < (3, 12)
    python_lines.find()
    python_lines.start([])
    assert python_lines.take() == []
    assert "Python 3.12" in python_lines.problem() and "\n" not in python_lines.problem()
    with pytest.raises(OSError, match=r"Python 3\.12"):
        Lines([], functions_of(("json",), list(sys.modules)))


@monitored
@pytest.mark.parametrize("argument", [-1, 0, 1, 2, 3, 7])
def test_exactly_the_executed_lines(watch: Callable[..., Lines], package: ModuleType, argument: int) -> None:
    expected = traced(package.everything, argument, str(package.__file__))
    lines = watch()
    package.everything(argument)
    reported = lines.take()
    assert len(reported) == len(set(reported)) and set(reported) == expected
    assert len(expected) > 30


@monitored
def test_a_line_is_reported_once_and_a_new_branch_by_itself(watch: Callable[..., Lines], package: ModuleType) -> None:
    lines = watch()
    package.branches(1)
    assert lines.take() == [f"py:inner/plain.py:{line}" for line in (6, 8, 11, 12)]
    package.branches(1)
    assert lines.take() == []
    package.branches(5)
    assert lines.take() == ["py:inner/plain.py:7"]


@monitored
def test_a_line_that_ran_calls_nobody_any_more(watch: Callable[..., Lines], package: ModuleType) -> None:
    lines = watch()
    package.everything(3)
    assert len(lines._hits) > 30
    lines.take()
    for _ in range(100):
        package.everything(3)
    assert lines._hits == []


@monitored
def test_known_lines_are_not_reported(watch: Callable[..., Lines], package: ModuleType) -> None:
    lines = watch("py:inner/plain.py:6", "op:relu/float32/int8", "py:inner/plain.py:12")
    package.branches(1)
    assert lines.take() == ["py:inner/plain.py:8", "py:inner/plain.py:11"]


@monitored
def test_only_functions_of_the_package_are_instrumented(watch: Callable[..., Lines], package: ModuleType) -> None:
    other, generated = import_module("watched_not"), import_module("watched.schema_py_generated")
    package.reached = other.other  # an attribute of a watched module that is somebody else's
    lines = watch()
    tool = next(tool for tool in TOOL_IDS if sys.monitoring.get_tool(tool) == TOOL)
    for function in (other.other, generated.generated, json.dumps):
        function(1) if function is not generated.generated else function()
        assert sys.monitoring.get_local_events(tool, function.__code__) == 0
    assert sys.monitoring.get_events(tool) == 0
    assert sys.monitoring.get_local_events(tool, package.branches.__code__) == sys.monitoring.events.LINE
    assert lines.take() == []


@monitored
def test_what_is_imported_later_is_watched_from_the_next_take(watch: Callable[..., Lines]) -> None:
    lines = watch()
    late = import_module("watched.late")
    assert lines.take() == []
    late.late()
    assert lines.take() == ["py:late.py:2"]


@monitored
def test_threads_report_each_line_once(watch: Callable[..., Lines], package: ModuleType) -> None:
    expected = set().union(*(traced(package.everything, i, str(package.__file__)) for i in range(8)))
    lines, reported, begin = watch(), list[str](), threading.Barrier(9)

    def work(argument: int) -> None:
        begin.wait()
        for _ in range(50):
            package.everything(argument)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    begin.wait()
    while any(thread.is_alive() for thread in threads):
        reported += lines.take()
    reported += lines.take()
    assert sorted(reported) == sorted(expected)


@monitored
def test_tool_identifiers_of_others_are_left_to_them(watch: Callable[..., Lines], package: ModuleType) -> None:
    first, second = TOOL_IDS
    sys.monitoring.use_tool_id(first, "a debugger")
    try:
        lines = watch()
        assert (sys.monitoring.get_tool(first), sys.monitoring.get_tool(second)) == ("a debugger", TOOL)
        package.branches(1)
        assert len(lines.take()) == 4
        with pytest.raises(OSError, match="a debugger and tflite-fuzzer"):
            watch()
        assert sys.monitoring.get_tool(second) == TOOL
    finally:
        sys.monitoring.free_tool_id(first)


@monitored
def test_a_watch_that_ended_leaves_nothing_behind(watch: Callable[..., Lines], package: ModuleType) -> None:
    lines = Lines([], functions_of(("watched",), list(sys.modules)), ("watched",))
    lines.close()
    package.branches(1)
    assert lines.take() == [] and all(sys.monitoring.get_tool(tool) is None for tool in TOOL_IDS)
    again = watch()
    package.branches(1)
    assert len(again.take()) == 4


ALL_TAKEN = """
import sys
from fuzzer.coverage import python_lines
for tool in python_lines.TOOL_IDS:
    sys.monitoring.use_tool_id(tool, f"tool{tool}")
python_lines.start([])
print(python_lines.available(), python_lines.take(), python_lines.problem())
"""

TWICE = """
from fuzzer.coverage import python_lines
python_lines.start([])
print(python_lines.problem() == "", python_lines.take())
python_lines.start([])
"""


@monitored
def test_without_a_tool_identifier_it_is_off_and_says_why() -> None:
    done = subprocess.run([sys.executable, "-c", ALL_TAKEN], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True [] no lines of the converter's Python side: tool3 and tool4 took")


@monitored
def test_a_second_start_is_our_mistake() -> None:
    done = subprocess.run([sys.executable, "-c", TWICE], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "True []\n"
    assert done.returncode == 1 and "RuntimeError: the lines are watched already" in done.stderr


# --- with TensorFlow ----------------------------------------------------------------------------------------


def ask(executor: Executor, call: str, case: Case | None = None, **more: Any) -> dict[str, Any]:
    request = {"call": f"tests.coverage.lines_inside:{call}", **more}
    answer = executor.run(request if case is None else {**request, "case": to_json(case)})
    assert isinstance(answer, Reply), answer
    assert "bug" not in answer.message, answer.message["bug"]
    return answer.message


def files(lines: list[str]) -> set[str]:
    return {line.split(":")[1] for line in lines}


@monitored
@pytest.mark.slow
def test_a_conversion_reports_lines_that_are_new(real: Executor, real_zygote: Zygote) -> None:
    first = ask(real, "converted", small_net(), known=[])
    assert first["content"] and first["problem"] == ""
    assert {"lite.py", "convert.py", "util.py", "interpreter.py"} <= files(first["lines"])
    assert 300 < len(first["lines"]) < 3000
    assert ask(real, "converted", small_net())["lines"] == []
    int8 = ask(real, "converted", small_net("int8"))["lines"]
    assert "optimize/calibrator.py" in files(int8) and not set(int8) & set(first["lines"])

    fresh = Executor(real_zygote.path, Limits(timeout_s=60.0))
    try:
        known = [*first["lines"], *int8, "op:relu/float32/int8"]
        assert ask(fresh, "converted", small_net("int8"), known=known)["lines"] == []
        assert ask(fresh, "converted", small_net())["lines"] == []
        keras = ask(fresh, "converted", small_net(entry="keras"))["lines"]
        assert keras and not set(keras) & set(known)
    finally:
        fresh.close()


@monitored
@pytest.mark.slow
def test_nearly_every_function_of_the_converter_is_watched(real: Executor) -> None:
    answer = ask(real, "functions")
    assert {"lite.py", "convert.py", "optimize/calibrator.py", "../tools/flatbuffer_utils.py"} <= set(answer["files"])
    assert answer["defined"] > 300 and not any(file.endswith("generated.py") for file in answer["files"])
    # A handful of lambdas that no attribute leads to, and helpers that are deleted after use.
    assert len(answer["missing"]) <= 0.03 * answer["defined"], answer["missing"]
    assert not any("TFLiteConverter" in missing for missing in answer["missing"])


@monitored
@pytest.mark.slow
def test_the_reply_of_an_executor_has_the_lines_that_its_owner_does_not_know(real: Executor) -> None:
    known: set[str] = set()
    real.known_lines = lambda: sorted(known)
    request = {"command": "run", "case": to_json(small_net())}
    first = real.run(request)
    assert isinstance(first, Reply) and "lite.py" in files(first.message["lines"])
    known.update(first.message["lines"])
    real.stop()
    again = real.run(request)
    assert isinstance(again, Reply) and again.message["converted"] and "lines" not in again.message
    int8 = real.run({**request, "case": to_json(small_net("int8"))})
    assert isinstance(int8, Reply) and "optimize/calibrator.py" in files(int8.message["lines"])
    assert not known & set(int8.message["lines"]) and real.started == 2
