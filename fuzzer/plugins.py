"""Ops and patterns of a user's own, from files outside the package.

A plugin is a Python file (`--plugin FILE`) or a module that an installed package names under the entry-point group
`tflite_fuzzer.plugins`. It may define `OPS` (a tuple of `fuzzer.ops.Op`) and `PATTERNS` (a tuple of
`fuzzer.patterns.Pattern`). Every process of a campaign loads the same plugins: the list travels in the environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib import metadata, util
from pathlib import Path
from types import ModuleType

from fuzzer.errors import UserError

VARIABLE = "TFLITE_FUZZER_PLUGINS"
GROUP = "tflite_fuzzer.plugins"


def use(paths: Sequence[str]) -> None:
    """Adds plugin files for this process and those it starts. Raises `UserError` when one cannot be used."""
    files = [str(Path(path).resolve()) for path in paths]
    os.environ[VARIABLE] = json.dumps(list(dict.fromkeys([*_files(), *files])))
    modules.cache_clear()
    modules()


@cache
def modules() -> tuple[tuple[str, ModuleType], ...]:
    """Every plugin and where it comes from. Raises `UserError` naming the file and what went wrong in it."""
    found = [(entry.value, _entry(entry)) for entry in sorted(metadata.entry_points(group=GROUP))]
    return (*found, *((path, _file(Path(path))) for path in _files()))


def _files() -> list[str]:
    try:
        return [str(path) for path in json.loads(os.environ.get(VARIABLE) or "[]")]
    except (ValueError, TypeError) as broken:
        raise UserError(f"the environment variable {VARIABLE} is no JSON list of files: unset it") from broken


def _entry(entry: metadata.EntryPoint) -> ModuleType:
    try:
        module = entry.load()
    except Exception as error:
        raise UserError(f"plugin {entry.value} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(module, ModuleType):
        raise UserError(f"plugin {entry.value} is no module: the entry point must name one, without an attribute")
    return module


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"plugin {path} does not exist; nothing was started")
    # The name tells two files of one stem apart; a module must be listed, or its classes have no home.
    name = f"fuzzer_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"plugin {path} is no Python file")
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"plugin {path} cannot be loaded: {type(error).__name__}: {error}") from error
    if not (getattr(module, "OPS", ()) or getattr(module, "PATTERNS", ())):
        del sys.modules[name]
        raise UserError(f"plugin {path} defines neither OPS nor PATTERNS; see CONTRIBUTING.md for an example")
    return module
