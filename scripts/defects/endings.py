"""Planted defects that are no wrong numbers: a runtime or the converter dies, raises, or returns another type or shape.

What is said is spelt as upstream spells such things, so that messages are normalised and classed as real ones are:
`tensorflow/lite/kernels/kernel_util.h` (`TF_LITE_ENSURE`) for errors of kernels, glog's for checks, MLIR's for errors
of the converter.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from fuzzer.build import Array


@dataclass(frozen=True)
class Ending:
    """How a planted defect shows.

    `stage` is `convert`, `allocate` or `invoke`. `how` is `error`, `abort`, `segfault`, `dtype` or `shape`; the last
    two are of `invoke` only. `words` is what is said: of a kernel `file.cc condition`, without its "was not true".
    """

    stage: str
    how: str
    words: str = ""


def end(ending: Ending, operator: str) -> None:
    """Raises, or ends the process. Returns for an ending that shows in results."""
    if ending.how == "error" and ending.stage == "convert":
        from tensorflow.lite.python.convert import ConverterError

        raise ConverterError(f"<unknown>:0: error: {ending.words}")
    if ending.how == "error":
        file, _, condition = ending.words.partition(" ")
        failed = "prepare" if ending.stage == "allocate" else "invoke"
        said = f"tensorflow/lite/kernels/{file}:100 {condition} was not true."
        raise RuntimeError(f"{said}Node number 1 ({operator}) failed to {failed}.\n")
    if ending.how == "abort":
        os.write(2, f"F0000 00:00:00.000000 1 planted.cc:1] Check failed: {ending.words}\n".encode())
        os.abort()
    if ending.how == "segfault":
        ctypes.string_at(0)


class EndingInterpreter:
    """An interpreter with a guilty operator in its model. What is not here, the sound interpreter answers."""

    def __init__(self, sound: Any, ending: Ending, operator: str, results: frozenset[int]) -> None:
        """`results` are the tensors that the guilty operators write."""
        self._sound = sound
        self._ending = ending
        self._operator = operator
        self._results = results

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sound, name)

    def allocate_tensors(self) -> None:
        """As the sound one, which must take the model first."""
        self._sound.allocate_tensors()
        if self._ending.stage == "allocate":
            end(self._ending, self._operator)

    def invoke(self) -> None:
        """As the sound one, first."""
        self._sound.invoke()
        if self._ending.stage == "invoke":
            end(self._ending, self._operator)

    def get_tensor(self, index: int) -> Array:
        """A tensor; one that a guilty operator writes is of another type or shape."""
        value: Array = self._sound.get_tensor(index)
        if int(index) in self._results and self._ending.how == "dtype":
            return value.astype(np.float64)
        if int(index) in self._results and self._ending.how == "shape":
            return value[np.newaxis]
        return value
