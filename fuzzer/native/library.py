"""Finds, or compiles on first use, the native library, and calls it.

Without a library the campaign goes on: deaths then have the titles that their log gives them. `problem` says so.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fuzzer.native.build import FOLDER, NoLibrary, compile_library, file_name


def cache_folder() -> Path:
    """Where this user keeps what can be made again (XDG Base Directory Specification, `XDG_CACHE_HOME`).

    Raises `NoLibrary` for a user without a home.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):  # the specification has relative paths ignored
        return Path(base) / "tflite-fuzzer"
    try:
        return Path.home() / ".cache" / "tflite-fuzzer"
    except RuntimeError as homeless:
        raise NoLibrary("this user has no home folder; set XDG_CACHE_HOME") from homeless


@cache
def library_path() -> Path:
    """The library's file, compiled now if there is none. Raises `NoLibrary`."""
    installed = FOLDER / file_name()
    if installed.is_file():
        return installed
    cached = cache_folder() / installed.name
    if not cached.is_file():
        compile_library(cached)
    return cached


@cache
def problem() -> str:
    """Why there are no native stacks, in one line for the user; empty when all is well.

    Compiles the library if that was not done yet (0.1 s, once).
    """
    try:
        if find_spec("elftools") is None:
            raise NoLibrary("pyelftools is not installed; `./scripts/fuzz` does that, or: pip install pyelftools")
        library()
    except (NoLibrary, OSError) as reason:
        return f"no native stacks, so crashes and hangs are titled by their log alone: {reason}"
    return ""


@cache
def library() -> ctypes.CDLL:
    """The loaded library, its unwinder ready. Raises `NoLibrary`, or `OSError` when it cannot be loaded."""
    loaded = ctypes.CDLL(str(library_path()))
    loaded.stack_area_bytes.restype = ctypes.c_long
    loaded.stack_install.argtypes = [ctypes.c_int, ctypes.c_long]
    if loaded.stack_prepare() < 0:
        raise OSError("libgcc_s.so.1 is missing")
    return loaded
