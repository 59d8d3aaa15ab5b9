"""Names of native functions with their types, for reports by namespace, pass and kernel.

The C++ library's own demangler is asked, which takes 2 µs a name; `names.plain_name`, which is for titles, takes 30 and
leaves out the template arguments, by which instantiations are told apart. What the library gives up on (GCC 12's does
on some template parameters of clang 18) has its plain name.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import cache

from fuzzer.native.names import clone_of, plain_name

MAX_NAME = 240
"""Characters of a name; longer ones lose their end."""
_MAX_ARGUMENTS = 120
"""Characters of a list of template arguments; of a longer one the first telling argument is kept."""
_DEPTH = 2
"""Template arguments of template arguments of … are shown so deep, where there is room."""
_TOKEN = re.compile(r"[^<>(){}\[\], ]+|.")
_OPERATOR = re.compile(r"\boperator(\(\)|\[\]|<=>|<<=?|>>=?|->\*?|<=?|>=?|,)(?: (?=<))?")
_SPELT = ("()", "[]", "<=>", "<<=", "<<", ">>=", ">>", "->*", "->", "<=", "<", ">=", ">", ",")
_HIDDEN = 0xE000
"""A private character for each of `_SPELT`, so that the brackets of operators are none while names are taken apart."""
_NOISE = re.compile(
    r"\(anonymous namespace\)::|\[(?:abi:\w+|clone [^]]*)\]|(?<=std::)__(?:cxx11|1)::|(?<=absl::)lts_\d+::"
    r"|(?<=\)) const(?=::)"
)
_ENUMERATOR = re.compile(r"\((?:[\w ]+::)*([\w ]+)\)(-?\w+)$")
_CONSTNESS = re.compile(r"(?: const)?[&*]*$")
_PLAIN_TYPE = re.compile(r"[\w ]+$")  # `unsigned long`
_MAX_LIST = 8
_CLOSING = {"<": ">", "(": ")", "{": "}", "[": "]"}
_QUALIFIERS = {"const", "volatile", "&", "&&", "noexcept"}


def full_name(symbol: str) -> str:
    """The whole name of a symbol, arguments included; its plain name where the C++ library cannot tell."""
    symbol = clone_of(symbol)
    return (_demangler()(symbol) if symbol.startswith("_Z") else "") or plain_name(symbol)


def short_name(full: str, telling: re.Pattern[str] | None = None) -> str:
    """A name as a report shows it: `void a::(anonymous namespace)::f<int, b<c>>(d) const` is `a::f<int, b>`.

    Arguments, return types and anonymous namespaces go; template arguments stay, each by its own short name. Of a long
    list only one stays, the first that `telling` finds something in.
    """
    text = _OPERATOR.sub(lambda found: f"operator{chr(_HIDDEN + _SPELT.index(found[1]))}", _NOISE.sub("", full))
    made = _cut(_shorten(text, telling, _DEPTH) or full, MAX_NAME)
    return made.translate(_SHOWN)


_SHOWN = {_HIDDEN + index: spelt for index, spelt in enumerate(_SPELT)}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _shorten(text: str, telling: re.Pattern[str] | None, depth: int) -> str:
    """A name or a type without arguments; its template arguments stay for `depth` levels."""
    made: list[str] = []
    tokens = _TOKEN.findall(text)
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token in _CLOSING:
            end = _matching(tokens, at)
            inside = tokens[at + 1 : end]
            if token == "<" and depth:
                made.append(f"<{_arguments(inside, telling, depth - 1)}>")
            elif token == "{":  # `{lambda(int)#2}`
                made.append("{" + _bare("".join(inside)) + "}")
            at = end + 1
            continue
        at += 1
        if token == " ":
            if made and made[-1].endswith("operator"):  # a conversion, `new` or `delete`
                made.append(" " + "".join(tokens[at:]).partition("(")[0])
                break
            if at >= len(tokens) or tokens[at] not in _QUALIFIERS:
                made.clear()  # what stood before was the type that is returned
        elif token not in _QUALIFIERS:
            made.append(token)
    return "".join(made)


def _matching(tokens: list[str], at: int) -> int:
    """The index of the bracket that closes the one at `at`; the end where there is none."""
    opening, closing = tokens[at], _CLOSING[tokens[at]]
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index] == opening) - (tokens[index] == closing)
        if depth == 0:
            return index
    return len(tokens)


def _arguments(tokens: list[str], telling: re.Pattern[str] | None, depth: int) -> str:
    """The template arguments: all, or the first telling one of a long list."""
    parts: list[list[str]] = [[]]
    at = 0
    while at < len(tokens):
        if tokens[at] in _CLOSING:
            end = _matching(tokens, at) + 1
            parts[-1] += tokens[at:end]
            at = end
        else:
            if tokens[at] == ",":
                parts.append([])
            else:
                parts[-1].append(tokens[at])
            at += 1
    texts = ["".join(part).strip() for part in parts]
    if len(texts) <= _MAX_LIST:
        whole = ", ".join(_argument(text, telling, depth) for text in texts)
        if len(whole) <= _MAX_ARGUMENTS:
            return whole
    kept = next((text for text in texts if telling is not None and telling.search(text)), texts[0])
    return _cut(_argument(kept, telling, depth), _MAX_ARGUMENTS) + (", …" if len(texts) > 1 else "")


def _argument(text: str, telling: re.Pattern[str] | None, depth: int) -> str:
    """One template argument: enumerators as `Kernel(1)`, types without constness and without what is too long."""
    found = _ENUMERATOR.match(text)
    if found is not None:
        return f"{found[1]}({found[2]})"
    text = _CONSTNESS.sub("", text)
    if _PLAIN_TYPE.match(text):
        return text
    made = _shorten(text, telling, depth)
    if len(made) > _MAX_ARGUMENTS:
        made = _shorten(text, telling, 0)
    return made or _cut(text, _MAX_ARGUMENTS)


def _bare(text: str) -> str:
    """`lambda(int)#2` without its types."""
    return text.partition("(")[0] + ("#" + text.rpartition("#")[2] if "#" in text else "")


@cache
def _demangler() -> Callable[[str], str]:
    """`__cxa_demangle` (Itanium C++ ABI, section 3.4) of the C++ library, which TensorFlow itself needs."""
    try:
        ask = ctypes.CDLL("libstdc++.so.6").__cxa_demangle
    except OSError:
        return lambda symbol: ""
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]
    ask.restype = ctypes.c_void_p
    ask.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    status = ctypes.c_int()

    def demangle(symbol: str) -> str:
        made = ask(symbol.encode(), None, None, ctypes.byref(status))
        if not made:
            return ""
        text = ctypes.string_at(made).decode(errors="replace")
        free(made)
        return text

    return demangle
