"""Native stacks of processes that die or hang: written by a C handler, read and named outside."""

from fuzzer.native.build import NoLibrary
from fuzzer.native.library import cache_folder, library, library_path, problem
from fuzzer.native.trace import Frame, Trace

__all__ = ["Frame", "NoLibrary", "Trace", "cache_folder", "library", "library_path", "problem"]
