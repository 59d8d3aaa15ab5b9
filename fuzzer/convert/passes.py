"""What each pass of the converter did: its intermediate representation, written down after every one of them.

`TFLiteConverter.ir_dump_dir` (since TensorFlow 2.16; `DebugOptions` in converter_flags.proto) makes the converter write
a file before and after each pass: `<number>.<function>.<Pass>_after.mlir`, in one folder a pass manager. A pass over
functions writes one function, a pass over modules writes all. Constants are written out in full. It takes about twice
the time of a plain conversion: nothing for the hot path.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from fuzzer.build import Array
from fuzzer.case import Case
from fuzzer.convert.converter import converter_of, set_options

IMPORT = "import"
"""Stands for a pass: how the graph came into the converter."""
OPTION = "ir_dump_dir"
_FILE = re.compile(r"([0-9a-f]{8})\..*\.(\w+)_after\.mlir$")
_FIRST = ".before_all.mlir"
_OPERATION = re.compile(r"^\s*(?:%[^=]*= )?(?:tf_executor\.island wraps )?\"?([a-z_]+\.\w+)\"?[ (]")

_PLAIN = (
    *("func.func", "func.return", "tf_executor.", "tf.Const", "arith.constant"),
    *("tfl.pseudo_", "tfl.no_value", "tfl.yield"),
)
"""What operations begin with that compute nothing."""


class NoDumpsError(Exception):
    """The installed release has no IR dumps, or wrote none."""


@dataclass(frozen=True)
class Pass:
    """The state of the program after a pass. `number` counts the passes of one conversion.

    `functions` are all functions' texts by name, in the indentation of a function that stands alone.
    """

    number: int
    name: str
    functions: Mapping[str, str] = field(repr=False)

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of all operations in order, without constants, returns and wrappings."""
        return tuple(name for text in self.functions.values() for name in operation_names(text))


@dataclass(frozen=True)
class Change:
    """A pass that changed the program: the state before it and after it, and which operations went and came."""

    before: Pass
    after: Pass

    @property
    def removed(self) -> Counter[str]:
        """Operations that are fewer after the pass."""
        return Counter(self.before.operations) - Counter(self.after.operations)

    @property
    def added(self) -> Counter[str]:
        """Operations that are more after the pass."""
        return Counter(self.after.operations) - Counter(self.before.operations)


def operation_names(text: str) -> list[str]:
    """The operations of a function's text that compute something."""
    found = (_OPERATION.match(line) for line in text.splitlines())
    return [m[1] for m in found if m is not None and not m[1].startswith(_PLAIN)]


def dumped(tf: Any, case: Case, weights: Sequence[dict[str, Array]], samples: Sequence[Sequence[Array]]) -> list[Pass]:
    """Converts a case once more and reads what the converter wrote down. Raises `NoDumpsError`.

    A conversion that fails half-way leaves the passes up to there. The temporary folder goes away.
    """
    with tempfile.TemporaryDirectory(prefix="passes_") as scratch:
        converter = converter_of(tf, case, weights, scratch)
        if not hasattr(converter, OPTION):
            raise NoDumpsError(f"this release has no IR dumps: TFLiteConverter has no {OPTION}")
        set_options(tf, converter, case.conversion, samples)
        folder = Path(scratch) / "dumps"
        setattr(converter, OPTION, str(folder))
        converter.convert()
        found = read_dumps(folder)
    if not found:
        raise NoDumpsError(f"this release has no IR dumps: {OPTION} wrote nothing")
    return found


def read_dumps(folder: Path) -> list[Pass]:
    """The passes of every pass manager in order (their folders are named by time), each with the whole program."""
    found: list[Pass] = []
    for manager in sorted(p for p in folder.iterdir() if p.is_dir()):
        state: dict[str, str] = {}
        for path in sorted(manager.glob(f"*{_FIRST}")):
            state = functions_of(path.read_text())
            found.append(Pass(len(found), IMPORT, dict(state)))
        numbered = ((_FILE.search(path.name), path) for path in manager.iterdir())
        for (_, name), path in sorted(((m[1], m[2]), path) for m, path in numbered if m is not None):
            text = path.read_text()
            state = functions_of(text) if text.startswith("module") else {**state, **functions_of(text)}
            found.append(Pass(len(found), name, dict(state)))
    return found


def functions_of(text: str) -> dict[str, str]:
    """The texts of the functions in a dump, by name."""
    functions: dict[str, str] = {}
    lines: list[str] = []
    indent = 0
    for line in text.splitlines():
        if not lines:
            stripped = line.lstrip()
            if stripped.startswith("func.func"):
                indent = len(line) - len(stripped)
                lines = [stripped]
            continue
        lines.append(line[indent:])
        if lines[-1] == "}":
            functions[_name(lines[0])] = "\n".join(lines)
            lines = []
    return functions


def _name(head: str) -> str:
    found = re.search(r"@(?:\"([^\"]*)\"|([\w$.-]+))", head)
    return (found[1] or found[2]) if found else ""


def changes(passes: Sequence[Pass]) -> list[Change]:
    """The passes after which the program reads differently, each beside the state before it."""
    return [Change(a, b) for a, b in pairwise(passes) if dict(a.functions) != dict(b.functions)]
