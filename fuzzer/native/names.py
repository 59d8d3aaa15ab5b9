"""Names of native functions as a title can carry them: `void a::f<int>(std::vector<int> const&)` is `a::f`.

Symbols are read here and not by `__cxa_demangle`, whose answer depends on the machine: the one of GCC 12 gives up on the
template parameters that clang has mangled since version 18, and one defect would get two titles. Only the scopes and the name
are put together; types, template arguments and expressions are read over, as a name is the first thing in a symbol and so
needs no substitution. The grammar is that of the Itanium C++ ABI, section 5.1, by whose names the methods go.
"""

from __future__ import annotations

import re

MAX_NAME = 110
"""Characters of a name; of longer ones the innermost scopes are kept."""
_CLONE = re.compile(r"(?:\.(?:cold|part|constprop|isra|llvm|lto_priv|localalias|__uniq)(?:\.\d+)*)+$")
"""What compilers append to the parts and copies that they make of a function."""
_NO_SCOPE = re.compile(r"_GLOBAL__N_.*|__cxx11|__1|lts_\d{8}$")
"""Anonymous namespaces, and inline ones that name a version: libstdc++'s, libc++'s and Abseil's."""
_NUMBERED_LAMBDA = re.compile(r"\$_\d+$")  # clang's internal name of one without linkage
LAMBDA = "{lambda}"

_OPERATORS = {
    **{"nw": " new", "na": " new[]", "dl": " delete", "da": " delete[]", "aw": " co_await"},
    **{"pl": "+", "mi": "-", "ml": "*", "dv": "/", "rm": "%", "an": "&", "or": "|", "eo": "^", "aS": "="},
    **{"pL": "+=", "mI": "-=", "mL": "*=", "dV": "/=", "rM": "%=", "aN": "&=", "oR": "|=", "eO": "^="},
    **{"ls": "<<", "rs": ">>", "lS": "<<=", "rS": ">>=", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<="},
    **{"ge": ">=", "ss": "<=>", "aa": "&&", "oo": "||", "cm": ",", "pm": "->*", "pt": "->", "ix": "[]", "cl": "()"},
    **{"ng": "-", "ps": "+", "ad": "&", "de": "*", "co": "~", "nt": "!", "pp": "++", "mm": "--", "qu": "?"},
}
_UNARY = frozenset(["ng", "ps", "ad", "de", "co", "nt"])
_BINARY = frozenset(
    [
        "pl",
        "mi",
        "ml",
        "dv",
        "rm",
        "an",
        "or",
        "eo",
        "aS",
        "pL",
        "mI",
        "mL",
        "dV",
        "rM",
        "aN",
        "oR",
        "eO",
        "ls",
        "rs",
        "lS",
        "rS",
        "eq",
        "ne",
        "lt",
        "gt",
        "le",
        "ge",
        "ss",
        "aa",
        "oo",
        "cm",
        "pm",
        "ix",
    ]
)
_OF_TYPE, _OF_EXPRESSION = frozenset(("ti", "st", "at")), frozenset(("te", "sz", "az", "nx", "sp", "tw"))
_STD = {
    "St": "",
    "Sa": "allocator",
    "Sb": "basic_string",
    "Ss": "string",
    "Si": "istream",
    "So": "ostream",
    "Sd": "iostream",
}


def plain_name(symbol: str) -> str:
    """The name of a symbol without arguments. C names, and symbols that no known compiler makes, stay as they are.

    A lambda is `{lambda}` of the function that it stands in; anonymous namespaces vanish.
    """
    symbol = _CLONE.sub("", symbol.partition("@")[0])  # the version of an exported symbol stands behind an @
    if not symbol.startswith("_Z"):
        return symbol[:MAX_NAME]
    try:
        return _shortened(_Symbol(symbol).encoding())
    except (_Unreadable, IndexError, RecursionError):
        return symbol[:MAX_NAME]


def _shortened(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    scopes = name.split("::")
    while len(scopes) > 1 and len("::".join(scopes)) > MAX_NAME - 3:
        scopes = scopes[1:]
    return ("…::" + "::".join(scopes))[:MAX_NAME]


class _Unreadable(Exception):
    """The symbol does not follow the grammar."""


class _Symbol:
    """Reads a symbol from left to right. Methods return text where a name needs it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 2

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
            raise _Unreadable(f"{word} at {self.at} of {self.text}")

    def number(self) -> str:
        found = re.compile(r"n?\d*").match(self.text, self.at)
        assert found is not None  # an empty match is one
        self.at = found.end()
        return found[0]

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    # --- names ------------------------------------------------------------------------------------------

    def encoding(self) -> str:
        """<encoding>: the name; what follows are the types of the arguments."""
        if self.takes("Th", "Tv"):
            self._call_offset()
            return self.encoding()  # a thunk is its function
        if self.takes("Tc"):
            for _ in range(2):
                self.at += 1
                self._call_offset()
            return self.encoding()
        if self.takes("TH", "TW"):
            return self.name()  # the initialiser and the wrapper of a thread-local variable
        if self.sees("T", "G"):
            raise _Unreadable("data, not a function")
        return self.name()

    def _call_offset(self) -> None:
        """<call-offset>: one number, or two for a virtual base."""
        while self.number():
            self.needs("_")

    def name(self) -> str:
        """<name>, template arguments included."""
        if self.sees("N"):
            return self.nested()
        if self.sees("Z"):
            return self.local()
        if self.sees("S") and not self.sees("St"):
            made = self.substitution()
        else:
            scope = ["std"] if self.takes("St") else []
            made = "::".join(filter(None, [*scope, self.component("")]))
        self.template_args()
        return made

    def nested(self) -> str:
        """<nested-name>: scopes from the outside in, each with its template arguments."""
        self.needs("N")
        self._qualifiers()
        self.takes("R", "O")
        scopes: list[str] = []
        last = ""
        while not self.takes("E"):
            if self.template_args() or self.takes("M"):
                continue
            if self.takes("St"):
                one = "std"
            elif self.sees("S"):
                one = self.substitution()
            elif self.sees("T"):
                self.template_param()
                one = ""
            elif self.sees("Dt", "DT"):
                self.type()
                one = ""
            else:
                one = self.component(last)
            last = one.rpartition("::")[2] or last
            if one:
                scopes.append(one)
        return "::".join(scopes)

    def local(self) -> str:
        """<local-name>: what stands inside a function."""
        self.needs("Z")
        outside = self.encoding()
        self._until_end(self.type)
        if self.takes("s"):
            self._discriminator()
            return outside
        if self.takes("d"):
            self.number()
            self.needs("_")
        inside = self.name()
        self._discriminator()
        return f"{outside}::{inside}" if inside else outside

    def _discriminator(self) -> None:
        if self.takes("__"):
            self.number()
            self.needs("_")
        elif re.compile(r"_\d").match(self.text, self.at):
            self.at += 2

    def component(self, last: str) -> str:
        """<unqualified-name>; `last` is the scope before it, the name of constructors. Empty for what has no name."""
        self.takes("F")
        self.takes("L")
        if self.takes("W"):
            self.takes("P")
            self.source_name()
            return self.component(last)
        made = self._own_name(last)
        while self.takes("B"):  # an ABI tag
            self.source_name()
        return made

    def _own_name(self, last: str) -> str:
        if self.text[self.at].isdigit():
            found = self.source_name()
            return "" if _NO_SCOPE.match(found) else LAMBDA if _NUMBERED_LAMBDA.match(found) else found
        if self.takes("Ul"):
            self._until_end(self.parameter)
            self.number()
            self.needs("_")
            return LAMBDA
        if self.takes("Ut", "Ub"):
            self.number()
            self.needs("_")
            return "{unnamed}"
        if self.takes("CI"):
            self.at += 1
            self.type()
            return last
        if self.takes("DC"):
            return ",".join(self._until_end(self.source_name))
        if self.takes("C", "D"):
            structor = self.text[self.at - 1]
            self.at += 1
            return last if structor == "C" else f"~{last}"
        return self.operator_name()

    def operator_name(self) -> str:
        if self.takes("cv"):
            self.type()
            return "operator type"
        if self.takes("li"):
            return f'operator""{self.source_name()}'
        spelt = _OPERATORS.get(self.text[self.at : self.at + 2])
        if spelt is None:
            raise _Unreadable(f"an operator at {self.at} of {self.text}")
        self.at += 2
        return f"operator{spelt}"

    def source_name(self) -> str:
        length = int(self.number() or 0)
        found = self.text[self.at : self.at + length]
        if length <= 0 or len(found) < length:
            raise _Unreadable(f"a name at {self.at} of {self.text}")
        self.at += length
        return found

    def substitution(self) -> str:
        """<substitution>: a name for those of std; others only stand where nobody reads the name."""
        short = self.text[self.at : self.at + 2]
        if short in _STD:
            self.at += 2
            return f"std::{_STD[short]}" if _STD[short] else "std"
        found = re.compile(r"S[0-9A-Z]*_").match(self.text, self.at)
        if found is None:
            raise _Unreadable(f"a substitution at {self.at} of {self.text}")
        self.at = found.end()
        return ""

    # --- types, read over -------------------------------------------------------------------------------

    def _until_end(self, read: object) -> list[str]:
        """Reads with `read` up to an E and over it; what that gave."""
        assert callable(read)
        found = []
        while not self.takes("E"):
            found.append(read())
        return found

    def _qualifiers(self) -> None:
        while self.takes("r", "V", "K"):
            pass

    def template_args(self) -> bool:
        """<template-args>, if they come next."""
        if not self.takes("I"):
            return False
        self._until_end(self.template_arg)
        return True

    def template_arg(self) -> None:
        if self.sees("L"):
            self.primary()
        elif self.takes("X"):
            self.expression()
            self.needs("E")
        elif self.takes("J"):
            self._until_end(self.template_arg)
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
            self._until_end(self.parameter)
        elif self.takes("Tp"):
            self.declares()
        else:
            return False
        return True

    def template_param(self) -> None:
        found = re.compile(r"T(?:L\d*_)?\d*_").match(self.text, self.at)
        if found is None:
            raise _Unreadable(f"a template parameter at {self.at} of {self.text}")
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
                self._until_end(self.type)
            elif c == "O":
                self.expression()
                self.needs("E")
            self.type()
        else:
            raise _Unreadable(f"a type at {self.at} of {self.text}")

    # --- expressions, read over -------------------------------------------------------------------------

    def primary(self) -> None:
        """<expr-primary>: a literal, or the address of a function."""
        self.needs("L")
        if self.takes("_Z"):
            self.encoding()
            self._until_end(self.type)
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
            self._until_end(self.expression)
        elif code == "tl":
            self.type()
            self._until_end(self.expression)
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
                self._until_end(self.expression)
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
                self._until_end(self.expression)
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
            self._until_end(self.template_arg)
        elif code in ("fl", "fr", "fL", "fR") and not self.text[self.at].isdigit():
            self.operator_name()
            self.expression()
            if code in ("fL", "fR"):
                self.expression()
        elif code in ("fp", "fL"):
            if code == "fL":
                self.number()
                self.needs("p")
            self._qualifiers()
            if not self.takes("T"):
                self.number()
                self.needs("_")
        elif code != "tr":
            raise _Unreadable(f"the expression {code} at {self.at} of {self.text}")

    def unresolved_name(self) -> None:
        """<unresolved-name>: `type::name` whose type is not known before the template is used."""
        if self.takes("srN"):
            self.type()
            self._until_end(self._simple_id)
        elif self.takes("sr"):
            if self.text[self.at].isdigit():
                self._until_end(self._simple_id)
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
