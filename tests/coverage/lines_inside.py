"""Runs inside an executor: the lines that a conversion reports, and how many of the functions are watched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from fuzzer.case.codec import from_json
from fuzzer.coverage import python_lines
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import execute

OPTIMIZED = 1  # inspect.CO_OPTIMIZED: code of a function, not of a module or a class


def converted(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """Starts the watch where `known` is given, then converts and runs the case."""
    if "known" in request:
        python_lines.start(request["known"])
    record = execute(from_json(request["case"]), stage)
    return {"lines": python_lines.take(), "problem": python_lines.problem(), "content": len(record.content)}


def functions(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """By file, functions that its source defines and that are not watched; and how many functions there are."""
    found = python_lines.functions_of(python_lines.PACKAGES, list(sys.modules))
    watched = {(code.co_filename, code.co_qualname, code.co_firstlineno) for code in found.codes}
    defined = {
        (file, code.co_qualname, code.co_firstlineno)
        for file in found.names
        for code in _functions(compile(Path(file).read_text(), file, "exec"))
    }
    return {
        "files": sorted(found.names.values()),
        "defined": len(defined),
        "missing": sorted(f"{found.names[file]}:{line} {name}" for file, name, line in defined - watched),
    }


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & OPTIMIZED:
                yield constant
            yield from _functions(constant)
