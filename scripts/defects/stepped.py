"""An interpreter that runs a flatbuffer in pieces, so that results of an operator can be tampered with between them.

It stands in for `tf.lite.Interpreter` for all that the fuzzer asks of one. The guilty operators run alone, what is
between them in one piece each; tensor indices are the whole model's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fuzzer.build import Array
from scripts.defects.defect import Tamper
from scripts.defects.flat import Edited


class InjectionError(Exception):
    """A mistake in a defect. Of no kind that the stack under test raises, so that it is not taken for its effect."""


@dataclass
class Site:
    """A guilty operator in an interpreter."""

    model: Edited
    op: Any
    name: str
    threads: int
    whole: bool
    """Whether the model has other operators too."""
    preserved: bool
    """Whether all tensors are kept, so that no two share memory."""
    invocation: int = 0
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def zero(self) -> int:
        """The zero point of the first result; 0 for floats."""
        return self.model.zero(int(self.op.outputs[0]))

    def keep(self, key: str, value: Array) -> Array:
        """Remembers a tensor, and returns it."""
        self.kept[key] = value.copy()
        return value


@dataclass
class _Piece:
    interpreter: Any
    reads: list[int]
    makes: list[int]
    site: Site | None


def _of_constants(model: Edited, op: Any) -> bool:
    return model.name(op) == "DEQUANTIZE" and model.constant(int(op.inputs[0])) is not None


class SteppedInterpreter:
    """A model in pieces. What is not here, the whole model's own interpreter answers."""

    def __init__(
        self,
        make: Callable[..., Any],
        content: bytes,
        threads: int,
        options: dict[str, Any],
        guilty: Callable[[Edited, Any], bool],
        tamper: Tamper,
    ) -> None:
        self._whole = make(content, threads, **options)
        self._tamper = tamper
        self._values: dict[int, Any] = {}
        self._model = Edited(content)
        self._inputs = [int(i) for i in self._model.graph.inputs]
        self._pieces = list(self._cut(make, content, threads, options, guilty))

    def _cut(
        self,
        make: Callable[..., Any],
        content: bytes,
        threads: int,
        options: dict[str, Any],
        guilty: Callable[[Edited, Any], bool],
    ) -> Any:
        model = self._model
        operators = list(model.graph.operators)
        wrong = {i for i, op in enumerate(operators) if guilty(model, op)}
        # A DEQUANTIZE of a float16 weight belongs to its readers: alone it is no model that XNNPACK takes.
        fixed = [i for i, op in enumerate(operators) if i not in wrong and _of_constants(model, op)]
        groups: list[list[int]] = []
        for i in range(len(operators)):
            if i in fixed:
                continue
            if i in wrong or not groups or groups[-1][-1] in wrong:
                groups.append([i])
            else:
                groups[-1].append(i)
        for members in groups:
            read = {int(t) for i in members for t in operators[i].inputs}
            group = [*(i for i in fixed if read & set(map(int, operators[i].outputs))), *members]
            last = group[-1]
            made = {int(o) for i in group for o in operators[i].outputs}
            used = [int(t) for i in group for t in operators[i].inputs if t >= 0]
            reads = [t for t in dict.fromkeys(used) if t not in made and model.constant(t) is None]
            reads = [t for t in reads if t in self._inputs or model.producer(t) is not None]
            later = {int(t) for i in range(last + 1, len(operators)) if i not in fixed for t in operators[i].inputs}
            later |= {int(t) for t in model.graph.outputs}
            makes = sorted(made & later) if last not in wrong else [int(t) for t in operators[last].outputs]
            part = Edited(content)
            part.graph.operators = [part.graph.operators[i] for i in group]
            part.graph.inputs, part.graph.outputs = reads, makes
            part.model.signatureDefs = None
            site = None
            if last in wrong:
                op = operators[last]
                preserved = bool(options.get("experimental_preserve_all_tensors"))
                site = Site(model, op, model.name(op), threads, len(operators) > 1, preserved)
            yield _Piece(make(part.content(), threads, **options), reads, makes, site)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def allocate_tensors(self) -> None:
        """Allocates the whole and all pieces."""
        self._whole.allocate_tensors()
        for piece in self._pieces:
            piece.interpreter.allocate_tensors()

    def reset_all_variables(self) -> None:
        """Resets the whole and all pieces."""
        self._whole.reset_all_variables()
        for piece in self._pieces:
            piece.interpreter.reset_all_variables()

    def invoke(self) -> None:
        """Runs the whole model, whose errors are the real ones, then the pieces."""
        values = {i: self._whole.get_tensor(i) for i in self._inputs}  # before their memory is used again
        self._whole.invoke()
        for piece in self._pieces:
            for index in piece.reads:
                piece.interpreter.set_tensor(index, values[index])
            piece.interpreter.invoke()
            for index in piece.makes:
                values[index] = piece.interpreter.get_tensor(index)
            if piece.site is not None:
                self._wrong(piece.site, values)
        self._values = values

    def _wrong(self, site: Site, values: dict[int, Any]) -> None:
        operands = [None if i < 0 else self._operand(int(i), values) for i in site.op.inputs]
        try:
            results = self._tamper(site, operands, [values[int(i)] for i in site.op.outputs])
        except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as mistake:
            raise InjectionError(f"{self._tamper} of {site.name}") from mistake
        values.update({int(i): result for i, result in zip(site.op.outputs, results, strict=True)})
        site.invocation += 1

    def _operand(self, index: int, values: dict[int, Any]) -> Any:
        return values[index] if index in values else self._model.constant(index)

    def get_tensor(self, index: int) -> Any:
        """A tensor: of the pieces where they have made it."""
        if index in self._values:
            return self._values[index]
        for piece in self._pieces:
            operators = piece.interpreter._get_ops_details()
            if any(index in list(op["outputs"]) for op in operators):
                return piece.interpreter.get_tensor(index)
        return self._whole.get_tensor(index)
