"""Names of native functions as a title can carry them: `void a::f<int>(std::vector<int> const&)` is `a::f`.

Symbols are read here and not by `__cxa_demangle`, whose answer depends on the machine: the one of GCC 12 gives up on
the template parameters that clang has mangled since version 18, and one defect would get two titles. Only the scopes
and the name are put together: they come first in a symbol, so no substitution is needed for them.
"""

from __future__ import annotations

import re

from fuzzer.native.grammar import Grammar, Unreadable

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
    symbol = clone_of(symbol)
    if not symbol.startswith("_Z"):
        return symbol[:MAX_NAME]
    try:
        return _shortened(_Symbol(symbol).encoding())
    except (Unreadable, IndexError, RecursionError):
        return symbol[:MAX_NAME]


def clone_of(symbol: str) -> str:
    """The symbol of the function that `symbol` is a copy or a part of, mostly itself."""
    return _CLONE.sub("", symbol.partition("@")[0])  # the version of an exported symbol stands behind an @


def _shortened(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    scopes = name.split("::")
    while len(scopes) > 1 and len("::".join(scopes)) > MAX_NAME - 3:
        scopes = scopes[1:]
    return ("…::" + "::".join(scopes))[:MAX_NAME]


class _Symbol(Grammar):
    """Puts the scopes and the name together."""

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
            raise Unreadable("data, not a function")
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
        self.qualifiers()
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
        self.until_end(self.type)
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
            self.until_end(self.parameter)
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
            return ",".join(self.until_end(self.source_name))
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
            raise Unreadable(f"an operator at {self.at} of {self.text}")
        self.at += 2
        return f"operator{spelt}"

    def substitution(self) -> str:
        """<substitution>: a name for those of std; others only stand where nobody reads the name."""
        short = self.text[self.at : self.at + 2]
        if short in _STD:
            self.at += 2
            return f"std::{_STD[short]}" if _STD[short] else "std"
        found = re.compile(r"S[0-9A-Z]*_").match(self.text, self.at)
        if found is None:
            raise Unreadable(f"a substitution at {self.at} of {self.text}")
        self.at = found.end()
        return ""
