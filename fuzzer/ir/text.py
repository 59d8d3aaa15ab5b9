"""MLIR text becomes a tree: functions, blocks, operations, attributes.

The grammar is the generic form of MLIR's language reference (mlir.llvm.org, "MLIR Language Reference") and the few
short forms that the converter prints: `arith.constant`, `func.call`, `return`, `tf_executor.*`, and `tfl.add` and its
like without quotes. Anything else is refused with the text that was met.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class SyntaxRefused(ValueError):
    """The text is not in the part of MLIR's grammar that is read here; the message quotes it."""


@dataclass(frozen=True)
class Dense:
    """A constant as it is written: what stands between `dense<` and `>`, and its type."""

    text: str
    type: str


@dataclass(frozen=True)
class Raw:
    """A type or an attribute of a dialect, as it is written."""

    text: str


@dataclass(frozen=True)
class Symbol:
    """A reference to a function, without the `@`."""

    name: str


@dataclass
class Operation:
    """One operation: `results` and `operands` are SSA names (`%0#1` where one has several results)."""

    name: str
    results: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    regions: tuple[Block, ...] = ()
    operand_types: tuple[str, ...] = ()
    result_types: tuple[str, ...] = ()


@dataclass
class Block:
    """Operations in order; `arguments` are SSA names. Regions of several blocks are refused."""

    arguments: tuple[str, ...]
    operations: list[Operation]


@dataclass
class Function:
    """A `func.func`; the attributes of arguments and results are dictionaries, empty where there are none."""

    name: str
    arguments: tuple[str, ...]
    argument_types: tuple[str, ...]
    argument_attributes: tuple[dict[str, Any], ...]
    result_types: tuple[str, ...]
    result_attributes: tuple[dict[str, Any], ...]
    attributes: dict[str, Any]
    body: Block


_SPACE = re.compile(r"\s*")
_SSA = re.compile(r"%[\w$.-]+(?:#\d+)?")
_RESULT = re.compile(r"(%[\w$.-]+)(?::(\d+))?")
_WORD = re.compile(r"[A-Za-z_][\w$.]*")
_NUMBER = re.compile(r"0x[0-9A-Fa-f]+|-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_AT = re.compile(r'@(?:"([^"]*)"|([\w$.-]+))')
_TYPE = re.compile(r"!?[A-Za-z_][\w$.]*")
_ENDS = ("return", "func.return", "tf_executor.fetch", "tf_executor.yield")
"""Terminators that are written without parentheses."""


def function(text: str) -> Function:
    """Reads one `func.func`. Raises `SyntaxRefused`."""
    reader = _Reader(text)
    return reader.function()


class _Reader:
    """A recursive descent over one text. Every method starts at `self.at` and leaves it behind what it has read."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    # --- tokens -----------------------------------------------------------------------------------------

    def space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def sees(self, token: str) -> bool:
        self.space()
        return self.text.startswith(token, self.at)

    def take(self, token: str) -> bool:
        if self.sees(token):
            self.at += len(token)
            return True
        return False

    def need(self, token: str) -> None:
        if not self.take(token):
            raise SyntaxRefused(f"no {token!r} at {self.text[self.at : self.at + 60]!r}")

    def match(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        self.space()
        found = pattern.match(self.text, self.at)
        if found is None:
            raise SyntaxRefused(f"no {what} at {self.text[self.at : self.at + 60]!r}")
        self.at = found.end()
        return found

    def many(self, close: str, one: Callable[[], Any]) -> list[Any]:
        """Items with commas between them, up to and with `close`."""
        items: list[Any] = []
        if self.take(close):
            return items
        items.append(one())
        while self.take(","):
            items.append(one())
        self.need(close)
        return items

    def balanced(self) -> str:
        """What stands in angle brackets, with them; strings may hold anything."""
        start, depth = self.at, 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                self.match(_STRING, "string")
                continue
            self.at += 1
            depth += (char == "<") - (char == ">")
            if depth == 0:
                return self.text[start : self.at]
        raise SyntaxRefused("an angle bracket is not closed")

    # --- types and attributes ---------------------------------------------------------------------------

    def type(self) -> str:
        self.space()
        if self.sees("("):
            raise SyntaxRefused("a function type as a value")
        start = self.at
        self.match(_TYPE, "type")
        if self.text.startswith("<", self.at):
            self.balanced()
        return self.text[start : self.at]

    def types(self) -> tuple[str, ...]:
        """A list of types in parentheses, or one without."""
        return tuple(self.many(")", self.type)) if self.take("(") else (self.type(),)

    def attribute(self) -> Any:
        self.space()
        char = self.text[self.at : self.at + 1]
        if char == '"':
            return self.match(_STRING, "string")[1]
        if self.take("["):
            return self.many("]", self.attribute)
        if char == "{":
            return self.attributes()
        if char == "@":
            found = self.match(_AT, "symbol")
            return Symbol(found[1] or found[2])
        if char == "-" or char.isdigit():
            return self.number()
        if char == "#":
            self.at += 1
            start = self.at
            self.match(_WORD, "attribute")
            if self.text.startswith("<", self.at):
                self.balanced()
            return Raw(self.text[start : self.at])
        return self.named()

    def number(self) -> int | float:
        word = self.match(_NUMBER, "number")[0]
        type_ = self.type() if self.take(":") else "i64"
        if word.startswith("0x"):
            from fuzzer.ir.values import of_bits

            return of_bits(word, type_) if type_.startswith(("f", "bf")) else int(word, 16)
        return float(word) if type_.startswith(("f", "bf")) or not word.lstrip("-").isdigit() else int(word)

    def named(self) -> Any:
        for word, value in (("true", True), ("false", False), ("unit", True)):
            if re.compile(rf"{word}\b").match(self.text, self.at):
                self.at += len(word)
                return value
        if self.sees("dense<"):
            return self.dense()
        if self.sees("array<"):
            self.at += len("array<")
            self.type()
            self.take(":")
            return self.many(">", self.attribute)
        if self.sees("dense_resource") or self.sees("sparse"):
            raise SyntaxRefused("a constant that is not written out")
        return Raw(self.type())

    def dense(self) -> Dense:
        self.at += len("dense")
        inner = self.balanced()[1:-1]
        self.need(":")
        return Dense(inner, self.type())

    def attributes(self) -> dict[str, Any]:
        self.need("{")

        def one() -> tuple[str, Any]:
            self.space()
            name = self.match(_STRING, "name")[1] if self.sees('"') else self.match(_WORD, "name")[0]
            return name, self.attribute() if self.take("=") else True

        return dict(self.many("}", one))

    # --- operations -------------------------------------------------------------------------------------

    def value(self) -> str:
        return self.match(_SSA, "value")[0]

    def block(self) -> Block:
        """A region of one block, in braces."""
        self.need("{")
        arguments: list[str] = []
        if self.sees("^"):
            self.match(re.compile(r"\^\w+"), "label")
            if self.take("("):
                arguments = self.many(")", self._typed)
            self.need(":")
        operations = []
        while not self.take("}"):
            if self.sees("^"):
                raise SyntaxRefused("a region of several blocks")
            operations.append(self.operation())
        return Block(tuple(arguments), operations)

    def _typed(self) -> str:
        name = self.value()
        self.need(":")
        self.type()
        return name

    def operation(self) -> Operation:
        results: list[str] = []
        if self.sees("%"):
            while True:
                found = self.match(_RESULT, "result")
                count = int(found[2] or 0)
                results += [f"{found[1]}#{k}" for k in range(count)] if count else [found[1]]
                if not self.take(","):
                    break
            self.need("=")
        if self.sees('"'):
            name = self.match(_STRING, "operation")[1]
            return self._generic(name, tuple(results))
        name = self.match(_WORD, "operation")[0]
        if name in _ENDS:
            return self._end(name)
        if name.startswith("tf_executor."):
            return self._executor(name, tuple(results))
        if name == "arith.constant":
            return self._constant(tuple(results))
        if name in ("func.call", "call"):
            callee = self.attribute()
            made = self._generic("func.call", tuple(results))
            made.attributes["callee"] = callee
            return made
        if self.sees("("):
            return self._generic(name, tuple(results))
        return self._infix(name, tuple(results))

    def _generic(self, name: str, results: tuple[str, ...]) -> Operation:
        self.need("(")
        operands = self.many(")", self.value)
        if self.sees("["):
            raise SyntaxRefused("an operation with successors")
        attributes: dict[str, Any] = {}
        if self.take("<"):
            attributes.update(self.attributes())
            self.need(">")
        regions = self.many(")", self.block) if self.take("(") else []
        if self.sees("{"):
            attributes = {**self.attributes(), **attributes}
        self.need(":")
        self.need("(")
        operand_types = tuple(self.many(")", self.type))
        self.need("->")
        return Operation(name, results, tuple(operands), attributes, tuple(regions), operand_types, self.types())

    def _infix(self, name: str, results: tuple[str, ...]) -> Operation:
        """`tfl.add %0, %1 {...} : type`: all operands and results are of the one type."""
        operands = [self.value()]
        while self.take(","):
            operands.append(self.value())
        attributes = self.attributes() if self.sees("{") else {}
        self.need(":")
        type_ = self.type()
        kinds = (type_,) * len(operands)
        return Operation(name, results, tuple(operands), attributes, (), kinds, (type_,) * len(results))

    def _constant(self, results: tuple[str, ...]) -> Operation:
        attributes = self.attributes() if self.sees("{") else {}
        value = self.attribute()
        if not isinstance(value, Dense):
            raise SyntaxRefused("a constant that is no tensor")
        return Operation("arith.constant", results, (), {**attributes, "value": value}, (), (), (value.type,))

    def _end(self, name: str) -> Operation:
        operands: list[str] = []
        types: list[str] = []
        if self.sees("%"):
            operands.append(self.value())
            while self.take(","):
                operands.append(self.value())
            if self.take(":"):
                types.append(self.type())
                while self.take(","):
                    types.append(self.type())
        return Operation(name, (), tuple(operands), {}, (), tuple(types), ())

    def _executor(self, name: str, results: tuple[str, ...]) -> Operation:
        """A graph, or an island: a region, or `wraps` one operation whose results it hands out (control is last)."""
        if self.take("("):
            self.many(")", self.value)  # control operands: order is data order here
        if self.take("wraps"):
            wrapped = self.operation()
            wrapped.results = results[: len(wrapped.result_types)]
            return wrapped
        if not self.sees("{"):
            raise SyntaxRefused(name)
        return Operation(name, results, (), {}, (self.block(),), (), ())

    # --- functions --------------------------------------------------------------------------------------

    def function(self) -> Function:
        self.need("func.func")
        self.take("private")
        name = self.attribute()
        self.need("(")
        arguments = self.many(")", self._argument)
        results = self._results() if self.take("->") else []
        attributes = self.attributes() if self.take("attributes") else {}
        body = self.block()
        return Function(
            name.name,
            tuple(n for n, _, _ in arguments),
            tuple(t for _, t, _ in arguments),
            tuple(a for _, _, a in arguments),
            tuple(t for t, _ in results),
            tuple(a for _, a in results),
            attributes,
            body,
        )

    def _argument(self) -> tuple[str, str, dict[str, Any]]:
        name = self.value()
        self.need(":")
        return name, self.type(), self.attributes() if self.sees("{") else {}

    def _results(self) -> list[tuple[str, dict[str, Any]]]:
        def one() -> tuple[str, dict[str, Any]]:
            return self.type(), self.attributes() if self.sees("{") else {}

        return self.many(")", one) if self.take("(") else [(self.type(), {})]
