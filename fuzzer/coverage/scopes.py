"""Which loaded library belongs to which scope of coverage, and which of its functions do.

Nothing is told by a release's number: a library is looked at when it lies in one of the packages, and what it is shows
in its symbol table. TensorFlow 2.21 has the runtime in a library of its own; 2.20 has another copy inside
`libtensorflow_cc.so.2`, 2.19 only that one, 2.16 to 2.18 one copy there, one in the interpreter's and one in the
calibrator's extension module. LiteRT 2.0 has a converter beside its runtime. So a file can be of two scopes, which then
share its functions out by name.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fuzzer.coverage.space import SCOPES
from fuzzer.native.symbols import Functions, read_functions

_PACKAGES = {"tensorflow": "runtime", "ai_edge_litert": "litert"}
"""Packages whose libraries are covered, and the scope of the runtime that each has."""
_CONVERTER_MARK, _RUNTIME_MARK = b"_ZN4mlir3TFL", b"_ZN6tflite3ops7builtin"
"""How the symbols of the converter's dialect and of the built-in kernels begin."""
_MIN_MARKED = 100
"""Functions with a mark that make a library the one: of the real ones the least has 1,249, of others the most has 3
(inline functions that they share); TensorFlow 2.16 to 2.21, LiteRT 1.4 to 2.3."""
_MIN_BYTES = 256 << 10
"""Smaller files hold no runtime; most extension modules are smaller."""
_KNOWN = {
    "libtensorflow_cc.so.2": "converter",
    "libpywrap_tflite_common.so": "runtime",
    "_pywrap_tensorflow_interpreter_wrapper.so": "runtime",
    "libpywrap_litert_common.so": "litert",
}
"""What a library without symbols is told by, so that somebody hears of it."""

_CONVERTER = re.compile(r"\bmlir::(?:TFL|quant|odml)\b|tflite|\btoco::")
_RUNTIME = re.compile(r"tflite|TfLite|\bxnn_|\bruy::|\bgemmlowp::|\bpthreadpool")
_FOREIGN = re.compile(r"\b(?:mlir|llvm|toco|tensorflow)::")
"""Who names these is no part of a runtime, even in the namespace `tflite`."""
_CANDIDATE = re.compile(rb"3TFL|tflite|TfLite|5quant|4odml|4toco|xnn_|3ruy|8gemmlowp|pthreadpool")
"""What a symbol must contain for its name to match one of the above: source names are spelt out in symbols (Itanium C++
ABI, section 5.1.2). Saves demangling 800,000."""
_STARTED = re.compile(rb"_GLOBAL__(?:sub_)?[ID]_|__cxx_global_(?:var_init|array_dtor)")
"""Initialisers run while the library is loaded, before anything can be armed, and never again."""


@dataclass(frozen=True)
class Selection:
    """Which functions of one file are in a scope."""

    scope: str
    whole: bool
    """All of them: the file holds nothing else."""
    runtime_too: bool
    """The file holds a runtime beside the converter."""

    def candidate(self, symbol: bytes) -> bool:
        """Whether the name must be looked at; quick."""
        return _STARTED.match(symbol) is None and (self.whole or _CANDIDATE.search(symbol) is not None)

    def takes(self, name: str) -> bool:
        """Whether a function is in the scope, by its whole name with arguments."""
        if self.whole:
            return True
        runtime = self.runtime_too and _RUNTIME.search(name) is not None and _FOREIGN.search(name) is None
        return runtime if self.scope != "converter" else not runtime and _CONVERTER.search(name) is not None


TELLING = re.compile(r"tflite|mlir::(?:TFL|quant|odml)|toco::")
"""Which template argument says what a template of the converter is about."""


def loaded(maps: str | None = None) -> list[tuple[str, str]]:
    """The libraries under coverage that this process has loaded: (scope, file), in the order of scopes, then files.

    `maps` is the text of `/proc/self/maps`, by default that of this process. Call it where TensorFlow is imported,
    `tf.lite.Interpreter` included. A file that was replaced since it was loaded keeps the kernel's ` (deleted)`.
    """
    if maps is None:
        maps = Path("/proc/self/maps").read_text()
    files = {fields[5] for line in maps.splitlines() if len(fields := line.split(None, 5)) == 6 and "/" in fields[5]}
    found = [(scope, file) for file in files for scope in _scopes_of(file)]
    return sorted(found, key=lambda pair: (list(SCOPES).index(pair[0]), pair[1]))


def selection(scope: str, file: str) -> Selection:
    """Which functions of `file` are in `scope`."""
    holds = _holds(file) or frozenset()
    return Selection(scope, scope != "converter" and "converter" not in holds, "runtime" in holds)


def _package(file: str) -> str:
    """The package that a file lies in; the innermost folder counts."""
    return next((part for part in reversed(Path(file).parts[:-1]) if part in _PACKAGES), "")


def _scopes_of(file: str) -> list[str]:
    package = _package(file)
    path = Path(file)
    if not package or ".so" not in path.name:
        return []
    if path.is_file() and path.stat().st_size < _MIN_BYTES:
        return []
    holds = _holds(file)
    if holds is None:
        return [scope for name, scope in _KNOWN.items() if name == path.name.removesuffix(" (deleted)")]
    scopes = [_PACKAGES[package]] if "runtime" in holds else []
    # A converter inside LiteRT is not the one inside TensorFlow, which the campaign is about.
    return scopes + (["converter"] if "converter" in holds and package == "tensorflow" else [])


@cache
def _holds(file: str) -> frozenset[str] | None:
    """What a file holds: `converter`, `runtime`, both or neither; None for a file without symbols."""
    functions = read_functions(file)
    if functions is None or functions.stripped:
        return None
    marks = {"converter": _CONVERTER_MARK, "runtime": _RUNTIME_MARK}
    return frozenset(name for name, mark in marks.items() if _defines(file, functions, mark))


def _defines(file: str, functions: Functions, mark: bytes) -> bool:
    """Whether a file defines at least `_MIN_MARKED` functions whose symbols begin with `mark`."""
    import numpy as np

    places = []
    with open(file, "rb") as stream:  # noqa: PTH123
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        with data:
            end = functions.strings + functions.strings_bytes
            at = data.find(b"\0" + mark, functions.strings, end)
            while at >= 0:
                places.append(at + 1 - functions.strings)
                at = data.find(b"\0" + mark, at + 1, end)
    return int(np.isin(functions.names, np.array(places, np.uint32)).sum()) >= _MIN_MARKED
