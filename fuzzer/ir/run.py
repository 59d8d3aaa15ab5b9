"""Runs functions of the converter's program on arrays, at any stage of it: `tf`, `tfl`, `func`, `arith`, `tf_executor`.

Every top-level operation leaves a `Step`, so that two stages can be held against each other value by value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from fuzzer.ir import tf_ops, tfl_ops
from fuzzer.ir.errors import NotEvaluableError
from fuzzer.ir.text import Block, Dense, Function, Operation, Symbol, SyntaxRefused, function
from fuzzer.ir.values import array_of, tensor_type

__all__ = ["NotEvaluableError", "Program", "Step"]

Array = np.ndarray[Any, Any]
Cache = dict[Any, list[Any]]
MAX_ROUNDS = 1000
"""Iterations of a loop."""
CONSTANTS = ("arith.constant", "tf.Const", "tfl.pseudo_const", "tfl.pseudo_qconst")
_CALLS = {"func.call": "callee", "tf.PartitionedCall": "f", "tf.StatefulPartitionedCall": "f"}
_YIELDS = ("tfl.yield", "tf.Yield", "tf_executor.fetch", "tf_executor.yield", "return", "func.return")


@dataclass(frozen=True)
class Step:
    """A top-level operation that has run, and its results."""

    operation: Operation
    values: tuple[Any, ...]


class Program:
    """The functions of one stage. `cache` is shared between stages: most operations are the same in all of them."""

    def __init__(self, tf: Any, texts: Mapping[str, str], cache: Cache, deadline: float = float("inf")) -> None:
        self._tf, self._texts, self._cache, self._deadline = tf, texts, cache, deadline
        self._functions: dict[str, Function] = {}

    def function(self, name: str) -> Function:
        """Raises `NotEvaluableError` where there is none or its text is not read."""
        if name not in self._functions:
            try:
                self._functions[name] = function(self._texts[name])
            except (KeyError, SyntaxRefused) as error:
                raise NotEvaluableError(f"function {name}: {error}") from error
        return self._functions[name]

    @property
    def entry(self) -> Function:
        """The function that is the model: `main`, or the one a SavedModel exports."""
        if "main" in self._texts:
            return self.function("main")
        for name, text in self._texts.items():
            head = text.partition("\n")[0]
            if "tf.entry_function" in head and "initializer_type" not in head:
                return self.function(name)
        raise NotEvaluableError("no entry function")

    def run(self, inputs: Sequence[Array], replaced: Mapping[str, Any] | None = None) -> tuple[list[Array], list[Step]]:
        """The results of the entry function, and every top-level operation with its own.

        `replaced` overrides values by SSA name. Raises `NotEvaluableError`.
        """
        steps: list[Step] = []
        entry = self.entry
        if len(inputs) != len(entry.arguments):
            raise NotEvaluableError(f"{len(entry.arguments)} arguments for {len(inputs)} inputs")
        frame = _Frame(dict(zip(entry.arguments, inputs, strict=True)), set(), steps, dict(replaced or {}))
        return self._block(entry.body, frame), steps

    # --- blocks -----------------------------------------------------------------------------------------

    def _block(self, block: Block, frame: _Frame) -> list[Any]:
        for op in block.operations:
            if op.name in _YIELDS:
                return [frame.values[name] for name in op.operands]
            if perf_counter() > self._deadline:
                raise NotEvaluableError("no time left")
            if op.name.startswith("tf_executor."):
                results = self._block(op.regions[0], frame)
            else:
                args = [frame.values.get(name) for name in op.operands]
                results = self._results(op, args, frame)
                if frame.steps is not None:
                    results = [frame.replaced.get(n, v) for n, v in zip(op.results, results, strict=True)]
                    frame.steps.append(Step(op, tuple(results)))
            frame.values.update(zip(op.results, results, strict=False))  # an island's control result has no value
        return []

    def _results(self, op: Operation, args: list[Any], frame: _Frame) -> list[Any]:
        if op.name in CONSTANTS:
            frame.fixed.update(op.results)
            return [constant(op)]
        if op.name == "tfl.no_value":
            return [None]
        if op.name == "tf.NoOp":
            return []
        if op.name == "quantfork.stats":  # what calibration saw; the value passes through
            return args
        found = self._control(op, args, frame)
        if found is None:
            fixed = [value is not None and name in frame.fixed for name, value in zip(op.operands, args, strict=True)]
            found = self._kernel(op, args, fixed)
        if len(found) != len(op.results):
            raise NotEvaluableError(f"{op.name}: {len(found)} results")
        return found

    def _kernel(self, op: Operation, args: list[Any], fixed: list[bool]) -> list[Any]:
        shown = tuple((a.dtype.str, a.shape, a.tobytes()) if isinstance(a, np.ndarray) else a for a in args)
        key = (op.name, repr(op.attributes), op.operand_types, op.result_types, tuple(fixed), shown)
        if key not in self._cache:
            if op.name.startswith("tf."):
                self._cache[key] = list(tf_ops.call(self._tf, op, args))
            elif op.name.startswith("tfl."):
                self._cache[key] = list(tfl_ops.call(op, args, fixed))
            else:
                raise NotEvaluableError(op.name)
        return self._cache[key]

    # --- calls, branches, loops -------------------------------------------------------------------------

    def _control(self, op: Operation, args: list[Any], frame: _Frame) -> list[Any] | None:
        """The results of an operation that runs others; None for one that does not."""
        if op.name in _CALLS:
            return self._called(op.attributes[_CALLS[op.name]], args)
        if op.name == "tfl.custom_tf":
            return self._inside(op.regions[0], args, frame)
        if op.name in ("tf.If", "tf.StatelessIf"):
            branch = "then_branch" if bool(np.all(args[0])) else "else_branch"
            return self._called(op.attributes[branch], args[1:])
        if op.name in ("tf.IfRegion", "tfl.if") and len(op.regions) == 2:
            return self._inside(op.regions[0 if bool(np.all(args[0])) else 1], [], frame)
        if op.name in ("tf.While", "tf.StatelessWhile", "tf.WhileRegion", "tfl.while"):
            return self._loop(op, args, frame)
        return None

    def _called(self, symbol: Any, args: list[Any]) -> list[Any]:
        if not isinstance(symbol, Symbol):
            raise NotEvaluableError("a call of nothing")
        callee = self.function(symbol.name)
        return self._block(callee.body, _Frame(dict(zip(callee.arguments, args, strict=True)), set(), None, {}))

    def _inside(self, block: Block, args: list[Any], frame: _Frame) -> list[Any]:
        """A region, which sees the values around it."""
        if len(args) != len(block.arguments):
            raise NotEvaluableError(f"a region of {len(block.arguments)} arguments for {len(args)} values")
        values = {**frame.values, **dict(zip(block.arguments, args, strict=True))}
        return self._block(block, _Frame(values, frame.fixed - set(block.arguments), None, {}))

    def _loop(self, op: Operation, args: list[Any], frame: _Frame) -> list[Any]:
        def part(key: str, position: int, state: list[Any]) -> list[Any]:
            if op.regions:
                return self._inside(op.regions[position], state, frame)
            return self._called(op.attributes.get(key), state)

        for _ in range(MAX_ROUNDS):
            if not bool(np.all(part("cond", 0, args)[0])):
                return args
            args = part("body", 1, args)
        raise NotEvaluableError(f"{op.name}: more than {MAX_ROUNDS} rounds")


@dataclass
class _Frame:
    """One activation: values by name, which of them are constants, where steps go, and what is overridden."""

    values: dict[str, Any]
    fixed: set[str]
    steps: list[Step] | None
    replaced: dict[str, Any]


def constant(op: Operation) -> Array:
    """The numbers of a constant, in the storage type of a quantised one. Raises `NotEvaluableError`."""
    value = op.attributes.get("value")
    if not isinstance(value, Dense):
        raise NotEvaluableError(f"{op.name}: no numbers")
    try:
        made = array_of(value)
        kind = tensor_type(op.result_types[0])
    except SyntaxRefused as error:
        raise NotEvaluableError(f"{op.name}: {error}") from error
    return made.view(kind.dtype) if made.dtype.itemsize == np.dtype(kind.dtype).itemsize else made.astype(kind.dtype)
