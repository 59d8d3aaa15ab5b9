"""Lines of the converter's Python side, each reported once: what `tensorflow/lite/python` runs before native code does.

The same treatment as a native block: a line costs one call of ours the first time it runs in a process, and nothing
afterwards. `sys.monitoring` (PEP 669, Python 3.12) gives that: a callback that returns `DISABLE` has the interpreter
put the original instruction back. On an older Python there are no such lines; `problem` says so.

Events are *local*: only code objects of the wanted files are instrumented. They are found by walking from the modules'
attributes through classes, decorators' closures and nested code. *Measured* (TensorFlow 2.21): 374 of the 381
functions in 17 files; missing are lambdas in a dictionary of the debugger or in an expression at module level, and two
helpers that are deleted after use. A global event would call us once for every function that TensorFlow runs.

`find` does the walk, best before the fork: it touches the modules that TensorFlow consists of, and in a fork each page
of them is copied (20 to 50 ms). *Measured* on Python 3.12: `start` 2.5 ms, known lines or none; the 860 lines of the
first case are lost in the noise of its 150 ms; a warm case costs 51.7 ms of CPU watched and 51.9 not (mean of 9 runs of
42 cases each, standard error 0.6), and `take` 0.02 ms of that.

Lines, not branches: a branch that was taken shows in the line behind it, and a line means something to the reader.
A line belongs to the release it was seen in: after an update of TensorFlow some of the known lines are other lines, and
a campaign that goes on then does not learn of these.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from os.path import relpath
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

PREFIX = "py:"
PACKAGES = ("tensorflow.lite.python", "tensorflow.lite.tools")
"""Watched packages. Names of files are relative to the first one's folder."""
GENERATED = "schema_py_generated.py"
"""Accessors that flatc writes, 20,000 lines: our own reading of flatbuffers runs them, and what is in a flatbuffer is a
feature already."""
TOOL = "tflite-fuzzer"
TOOL_IDS = (3, 4)
"""PEP 669, "Tool identifiers": 0 is for debuggers, 1 for coverage, 2 for profilers, 5 for optimisers; these two are
nobody's."""
_monitoring: Any = getattr(sys, "monitoring", None)  # `Any`: the types of Python 3.11 do not have it
_TOO_OLD = "no lines of the converter's Python side: they need Python 3.12"


@dataclass(frozen=True, slots=True)
class Functions:
    """Code objects to watch, and by source file what it is called in features."""

    codes: tuple[CodeType, ...]
    names: dict[str, str]


class Lines:
    """Watches functions in this process, from construction to `close`.

    Raises `OSError` where all of `TOOL_IDS` are in use, or Python is too old.
    """

    def __init__(self, known: Iterable[str], functions: Functions, packages: tuple[str, ...] = PACKAGES) -> None:
        """Lines in `known` (features; those of other families are ignored) are not reported.

        What `packages` import from now on is watched from the `take` after it.
        """
        self._packages = packages
        self._known = {feature for feature in known if feature.startswith(PREFIX)}
        self._loaded = len(sys.modules)
        self._codes: list[CodeType] = []
        self._names: dict[str, str] = {}
        self._hits: list[tuple[str, int]] = []  # file and line; threads only ever append to it
        self._tool = _claim()
        _monitoring.register_callback(self._tool, _monitoring.events.LINE, _recorder(self._hits))
        self._watch(functions)

    def take(self) -> list[str]:
        """Features of the lines that ran for the first time since the last call, in the order in which they ran."""
        count = len(self._hits)
        hits = self._hits[:count]
        del self._hits[:count]
        fresh = dict.fromkeys(f"{PREFIX}{self._names[file]}:{line}" for file, line in hits)
        new = [feature for feature in fresh if feature not in self._known]
        self._known.update(new)
        imported = len(sys.modules) - self._loaded
        if imported > 0:  # a dictionary is in the order of insertion, so the new ones are its end
            self._loaded += imported
            self._watch(functions_of(self._packages, list(sys.modules)[-imported:]))
        return new

    def close(self) -> None:
        """Ends the watch and gives the tool identifier back."""
        for code in self._codes:
            _monitoring.set_local_events(self._tool, code, _monitoring.events.NO_EVENTS)
        _monitoring.register_callback(self._tool, _monitoring.events.LINE, None)
        _monitoring.free_tool_id(self._tool)

    def _watch(self, functions: Functions) -> None:
        self._names.update(functions.names)
        self._codes.extend(functions.codes)
        for code in functions.codes:
            _monitoring.set_local_events(self._tool, code, _monitoring.events.LINE)


def _claim() -> int:
    """A tool identifier that is ours now."""
    if _monitoring is None:
        raise OSError(_TOO_OLD)
    for tool in TOOL_IDS:
        if _monitoring.get_tool(tool) is None:
            _monitoring.use_tool_id(tool, TOOL)
            return tool
    owners = " and ".join(str(_monitoring.get_tool(tool)) for tool in TOOL_IDS)
    raise OSError(f"no lines of the converter's Python side: {owners} took the free tool identifiers of sys.monitoring")


def _recorder(hits: list[tuple[str, int]]) -> Callable[[CodeType, int], Any]:
    """The callback. It does the least there is: what else there is to do is done in `take`."""
    append, disable = hits.append, _monitoring.DISABLE

    def record(code: CodeType, line: int) -> Any:
        append((code.co_filename, line))
        return disable

    return record


def functions_of(packages: tuple[str, ...], loaded: Iterable[str]) -> Functions:
    """The functions of those modules that are named in `loaded` and belong to `packages`."""
    if packages[0] not in sys.modules:
        return Functions((), {})
    root = Path(str(sys.modules[packages[0]].__file__)).parent
    names: dict[str, str] = {}
    modules: list[ModuleType] = []
    inside = tuple(f"{package}." for package in packages)
    for name in loaded:
        if not f"{name}.".startswith(inside):
            continue
        module = sys.modules[name]
        file = getattr(module, "__file__", None) or ""
        if file.endswith(".py") and not file.endswith(GENERATED):
            names[file] = relpath(file, root)
            modules.append(module)
    return Functions(tuple(_codes(modules, names)), names)


def _codes(modules: Iterable[ModuleType], files: Iterable[str]) -> Iterator[CodeType]:
    """All code objects of functions written in `files` that can be reached from attributes of `modules`, each once.

    Code of modules and of classes at module level has run by then and never runs again.
    """
    owners = {module.__name__ for module in modules}
    pending: list[Any] = [value for module in modules for value in vars(module).values()]
    seen: dict[int, Any] = {}  # keeps what it knows alive: an identity may be used again
    while pending:
        thing = pending.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, CodeType):
            if thing.co_filename in files:
                yield thing
            pending.extend(constant for constant in thing.co_consts if isinstance(constant, CodeType))
        elif isinstance(thing, type):
            if thing.__module__ in owners:
                pending.extend(vars(thing).values())
        else:
            pending.extend(_behind(thing))


def _behind(thing: Any) -> Iterator[Any]:
    """What a function or a descriptor wraps: its code, and functions that a decorator closed over."""
    if isinstance(thing, FunctionType):
        yield thing.__code__
        yield from (value for value in vars(thing).values() if isinstance(value, FunctionType))
        for cell in thing.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # not bound yet
                continue
    elif isinstance(thing, staticmethod | classmethod):
        yield thing.__func__
    elif isinstance(thing, property):
        yield from (thing.fget, thing.fset, thing.fdel)
    elif isinstance(thing, partial):
        yield thing.func


# --- one watch a process ------------------------------------------------------------------------------------

_functions: Functions | None = None
_lines: Lines | None = None
_problem = "" if _monitoring is not None else _TOO_OLD


def available() -> bool:
    """Whether this Python can do it: 3.12 or newer."""
    return _monitoring is not None


def problem() -> str:
    """Why this process does not report lines, in one line for the user; empty when nothing stands in the way."""
    return _problem


def find() -> None:
    """Finds the functions to watch. Called in the zygote once TensorFlow is loaded; otherwise `start` does it."""
    global _functions
    if _monitoring is not None:
        _functions = functions_of(PACKAGES, list(sys.modules))


def start(known: Iterable[str]) -> None:
    """Watches the converter's Python side, once in a freshly forked executor; `known` are features of the campaign.

    Nothing happens where that is impossible; `problem` says why. Raises `RuntimeError` when called again.
    """
    global _lines, _problem
    if _lines is not None:
        raise RuntimeError("the lines are watched already")
    if _functions is None:
        find()
    if _functions is None:
        return
    try:
        _lines = Lines(known, _functions)
    except OSError as reason:
        _problem = str(reason)


def take() -> list[str]:
    """Features `py:<file>:<line>` of lines that ran for the first time in the campaign, since the last call."""
    return [] if _lines is None else _lines.take()
