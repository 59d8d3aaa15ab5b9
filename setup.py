"""Compiles the signal handler of `fuzzer/native` when the package is installed. Everything else is in `pyproject.toml`.

An installation without a compiler succeeds: the first campaign looks for one again, and says so if there is none.
"""

import importlib.util
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# By its path: importing the package would ask for what is only about to be installed.
_spec = importlib.util.spec_from_file_location("native_build", Path(__file__).parent / "fuzzer" / "native" / "build.py")
native = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(native)


class BuildLibrary(build_ext):
    """Makes a plain shared library, which is loaded by ctypes, where setuptools would make an extension module."""

    def get_ext_filename(self, fullname: str) -> str:
        """`native-<digest>.so` in the folder of its package: the same for every version of Python."""
        return str(Path(*fullname.split(".")[:-1], native.file_name()))

    def build_extension(self, ext: Extension) -> None:
        """Compiles with whatever compiler there is."""
        try:
            native.compile_library(Path(self.get_ext_fullpath(ext.name)))
        except native.NoLibrary as reason:
            raise CompileError(str(reason)) from reason


setup(
    ext_modules=[
        Extension("fuzzer.native.library_file", [f"fuzzer/native/{s}" for s in native.SOURCES], optional=True)
    ],
    cmdclass={"build_ext": BuildLibrary},
)
