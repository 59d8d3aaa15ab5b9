"""What a mangled symbol has beside its name: types, template arguments and expressions, read over.

The grammar is that of the Itanium C++ ABI, section 5.1, by whose names the methods go. Nothing is put together here: a
name is the first thing in a symbol, and what follows it is only read to know where it ends.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

_UNARY = frozenset(("ng", "ps", "ad", "de", "co", "nt"))
_BINARY = frozenset(
    re.findall(
        r"\w+", "pl mi ml dv rm an or eo aS pL mI mL dV rM aN oR eO ls rs lS rS eq ne lt gt le ge ss aa oo cm pm ix"
    )
)
_OF_TYPE, _OF_EXPRESSION = frozenset(("ti", "st", "at")), frozenset(("te", "sz", "az", "nx", "sp", "tw"))


T = TypeVar("T")


class Unreadable(Exception):
    """The symbol does not follow the grammar."""


class Grammar(ABC):
    """Reads a symbol from left to right. Who knows names fills in `name`, `encoding` and `operator_name`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 2

    @abstractmethod
    def name(self) -> str:
        """<name>, template arguments included."""

    @abstractmethod
    def encoding(self) -> str:
        """<encoding>, without the types of the arguments."""

    @abstractmethod
    def operator_name(self) -> str:
        """<operator-name>."""

    # --- characters -------------------------------------------------------------------------------------

    def sees(self, *words: str) -> bool:
        """Whether one of these comes next."""
        return self.text.startswith(words, self.at)

    def takes(self, *words: str) -> bool:
        """Goes over one of these, if it comes next."""
        for word in words:
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return True
        return False

    def needs(self, word: str) -> None:
        if not self.takes(word):
            raise Unreadable(f"{word} at {self.at} of {self.text}")

    def number(self) -> str:
        found = re.compile(r"n?\d*").match(self.text, self.at)
        assert found is not None  # an empty match is one
        self.at = found.end()
        return found[0]

    def source_name(self) -> str:
        length = int(self.number() or 0)
        found = self.text[self.at : self.at + length]
        if length <= 0 or len(found) < length:
            raise Unreadable(f"a name at {self.at} of {self.text}")
        self.at += length
        return found

    # --- types, read over -------------------------------------------------------------------------------

    def until_end(self, read: Callable[[], T]) -> list[T]:
        """Reads with `read` up to an E and over it; what that gave."""
        found = []
        while not self.takes("E"):
            found.append(read())
        return found

    def qualifiers(self) -> None:
        while self.takes("r", "V", "K"):
            pass

    def template_args(self) -> bool:
        """<template-args>, if they come next."""
        if not self.takes("I"):
            return False
        self.until_end(self.template_arg)
        return True

    def template_arg(self) -> None:
        if self.sees("L"):
            self.primary()
        elif self.takes("X"):
            self.expression()
            self.needs("E")
        elif self.takes("J"):
            self.until_end(self.template_arg)
        elif self.takes("Q"):
            self.expression()
        elif self.declares():
            self.template_arg()
        else:
            self.type()

    def parameter(self) -> None:
        """A parameter of a lambda: a type, or a declaration of what is a template parameter of it."""
        if not self.declares():
            self.type()

    def declares(self) -> bool:
        """<template-param-decl>, if one comes next."""
        if self.takes("Ty"):
            return True
        if self.takes("Tn"):
            self.type()
        elif self.takes("Tk"):
            self.name()
        elif self.takes("Tt"):
            self.until_end(self.parameter)
        elif self.takes("Tp"):
            self.declares()
        else:
            return False
        return True

    def template_param(self) -> None:
        found = re.compile(r"T(?:L\d*_)?\d*_").match(self.text, self.at)
        if found is None:
            raise Unreadable(f"a template parameter at {self.at} of {self.text}")
        self.at = found.end()

    def type(self) -> None:
        """<type>."""
        while self.takes("r", "V", "K", "P", "R", "O", "C", "G"):
            pass
        c = self.text[self.at]
        if c in "vwbcahstijlmxynofdegz":
            self.at += 1
        elif c == "D" and not self.sees("DC"):
            self.at += 1
            self._type_d()
        elif self.takes("u", "U"):
            vendor = c == "U" and not self.sees("l", "t", "b")
            if c == "U" and not vendor:
                self.at -= 1
                self.name()
                return
            self.source_name()
            self.template_args()
            if vendor:
                self.type()
        elif self.takes("F"):
            self._function()
        elif self.takes("A"):
            if not self.sees("_") and not self.number():
                self.expression()
            self.needs("_")
            self.type()
        elif self.takes("M"):
            self.type()
            self.type()
        elif self.takes("Ts", "Tu", "Te"):
            self.name()
        elif c == "T":
            self.template_param()
            self.template_args()
        else:
            self.name()

    def _function(self) -> None:
        """<function-type>, after its F."""
        self.takes("Y")
        while not self.takes("E", "RE", "OE"):
            self.type()

    def _type_d(self) -> None:
        """The types that begin with D, after it."""
        c = self.text[self.at]
        self.at += 1
        if c in "defhisuacn":
            return
        if c == "F":  # _Float16, bfloat16 and their like
            self.number()
            self.takes("_", "x", "b")
        elif c in "BU":
            if not self.number():
                self.expression()
            self.needs("_")
        elif c == "p":
            self.type()
        elif c in "tT":
            self.expression()
            self.needs("E")
        elif c == "v":
            if not self.number() and not self.sees("_"):
                self.expression()
            elif self.takes("_") and not self.text[self.at - 2].isdigit():
                self.expression()
                self.needs("_")
            self.type()
        elif c in "owOx":
            if c == "w":
                self.until_end(self.type)
            elif c == "O":
                self.expression()
                self.needs("E")
            self.type()
        else:
            raise Unreadable(f"a type at {self.at} of {self.text}")

    # --- expressions, read over -------------------------------------------------------------------------

    def primary(self) -> None:
        """<expr-primary>: a literal, or the address of a function."""
        self.needs("L")
        if self.takes("_Z"):
            self.encoding()
            self.until_end(self.type)
            return
        self.type()
        found = re.compile(r"[0-9a-fn_]*").match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        self.needs("E")

    def expression(self) -> None:
        """<expression>."""
        if self.sees("L"):
            self.primary()
            return
        if self.sees("T"):
            self.template_param()
            self.template_args()
            return
        if self.text[self.at].isdigit() or self.sees("on", "dn", "sr"):
            self.unresolved_name()
            return
        self.takes("gs")
        code = self.text[self.at : self.at + 2]
        self.at += 2
        if code in _UNARY or code in _OF_EXPRESSION or code in ("dl", "da"):
            self.expression()
        elif code in _BINARY or code == "ds":
            self.expression()
            self.expression()
        elif code in _OF_TYPE:
            self.type()
        elif code in ("dc", "sc", "cc", "rc"):
            self.type()
            self.expression()
        elif code in ("cl", "cp", "il"):
            self.until_end(self.expression)
        elif code == "tl":
            self.type()
            self.until_end(self.expression)
        else:
            self._rarer_expression(code)

    def _rarer_expression(self, code: str) -> None:
        """The rest of them, after their code."""
        if code == "qu":
            for _ in range(3):
                self.expression()
        elif code in ("pp", "mm"):
            self.takes("_")
            self.expression()
        elif code == "cv":
            self.type()
            if self.takes("_"):
                self.until_end(self.expression)
            else:
                self.expression()
        elif code in ("dt", "pt"):
            self.expression()
            self.unresolved_name()
        elif code in ("nw", "na"):
            while not self.takes("_"):
                self.expression()
            self.type()
            if self.takes("pi"):
                self.until_end(self.expression)
            else:
                self.needs("E")
        elif code == "so":
            self.type()
            self.expression()
            self.number()
            while self.takes("_"):
                self.number()
            self.takes("p")
            self.needs("E")
        elif code == "sZ":
            self.expression()
        elif code == "sP":
            self.until_end(self.template_arg)
        elif code in ("fl", "fr", "fL", "fR") and not self.text[self.at].isdigit():
            self.operator_name()
            self.expression()
            if code in ("fL", "fR"):
                self.expression()
        elif code in ("fp", "fL"):
            if code == "fL":
                self.number()
                self.needs("p")
            self.qualifiers()
            if not self.takes("T"):
                self.number()
                self.needs("_")
        elif code != "tr":
            raise Unreadable(f"the expression {code} at {self.at} of {self.text}")

    def unresolved_name(self) -> None:
        """<unresolved-name>: `type::name` whose type is not known before the template is used."""
        if self.takes("srN"):
            self.type()
            self.until_end(self._simple_id)
        elif self.takes("sr"):
            if self.text[self.at].isdigit():
                self.until_end(self._simple_id)
            else:
                self.type()
        if self.takes("on"):
            self.operator_name()
            self.template_args()
        elif self.takes("dn"):
            if self.text[self.at].isdigit():
                self._simple_id()
            else:
                self.type()
        else:
            self._simple_id()

    def _simple_id(self) -> None:
        self.source_name()
        self.template_args()
