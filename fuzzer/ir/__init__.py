"""The converter's intermediate representation: MLIR text, read and executed.

The converter can write its program down before and after each of its passes (`fuzzer.convert.passes`). Here such a text
becomes a small tree (`text`), its types and constants become NumPy's (`values`), and a function of it runs on arrays
(`run`): operators of the `tf` dialect by `tf.raw_ops`, those of the `tfl` dialect as flatbuffers of one operator.
What is not known is refused (`NotEvaluableError`), never guessed.
"""

from fuzzer.ir.run import NotEvaluableError, Program, Step
from fuzzer.ir.text import Block, Dense, Function, Operation, SyntaxRefused, function

__all__ = [
    "Block",
    "Dense",
    "Function",
    "NotEvaluableError",
    "Operation",
    "Program",
    "Step",
    "SyntaxRefused",
    "function",
]
