"""A built case becomes a flatbuffer, and a flatbuffer becomes something readable."""

from fuzzer.convert.converter import converter_of, set_options
from fuzzer.convert.flatbuffer import Flat, FlatOp, FlatTensor, read

__all__ = ["Flat", "FlatOp", "FlatTensor", "converter_of", "read", "set_options"]
