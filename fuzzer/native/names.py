"""Names of native functions as a title can carry them: no arguments, no template arguments, nothing that a build numbers."""

from __future__ import annotations

import ctypes
import re
from functools import cache

_OPEN, _CLOSE = "(<[{", ")>]}"
_NUMBERED = re.compile(r"#\d+|\$_\d+|'(lambda|unnamed)\d*'")
_SUFFIX = re.compile(r"(?:\s*\[clone [^\]]*\]|\.(?:cold|part|constprop|isra|llvm|lto_priv)(?:\.\d+)*|\s*\(\.[\w.]+\))+$")
"""What compilers append to the parts and copies that they make of a function."""
_ABI = re.compile(r"\[abi:[^\]]*\]")
_INLINE_NAMESPACE = re.compile(r"\b(?:__cxx11|__1|lts_\d{8}|internal_\d+)::")
"""Inline namespaces that name a version: libstdc++'s and libc++'s ABI, and the dated ones of Abseil."""
_OPERATOR = re.compile(r"operator\s*(\(\)|\[\]|<=>|<<=|>>=|->\*|->|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%^&|=!<>~,]=?)")
_CONVERSION = re.compile(r"operator (?!new\b|delete\b|co_await\b)[\w:<>,*& ]+?(?=\(|$)")
MAX_NAME = 110
"""Characters of a name; of longer ones the innermost scopes are kept."""


def demangled(mangled: str) -> str:
    """The C++ name, by `__cxa_demangle` of the C++ run-time (Itanium C++ ABI, 3.4); others are returned as they are."""
    base = re.sub(r"(?:\.(?:cold|part|constprop|isra|llvm|lto_priv)(?:\.\d+)*)+$", "", mangled)
    runtime = _runtime()
    if runtime is None or not base.startswith("_Z"):
        return base
    status = ctypes.c_int()
    made = runtime.__cxa_demangle(base.encode(errors="replace"), None, None, ctypes.byref(status))
    if not made:
        return base
    try:
        return ctypes.string_at(made).decode(errors="replace")
    finally:
        ctypes.CDLL(None).free(ctypes.c_void_p(made))


@cache
def _runtime() -> ctypes.CDLL | None:
    """libstdc++, which TensorFlow needs anyway; None where it is missing, and names then stay mangled."""
    try:
        runtime = ctypes.CDLL("libstdc++.so.6")
    except OSError:
        return None
    runtime.__cxa_demangle.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    runtime.__cxa_demangle.restype = ctypes.c_void_p
    return runtime


def plain_name(name: str) -> str:
    """`void a::f<int>(std::vector<int> const&) [clone .cold]` becomes `a::f`.

    A lambda is `{lambda}` of the function that it stands in; anonymous namespaces vanish.
    """
    name = _SUFFIX.sub("", name)
    for noise in (_ABI, _INLINE_NAMESPACE):
        name = noise.sub("", name)
    name = name.replace("(anonymous namespace)::", "").replace("(anonymous class)", "{lambda}")
    name = _OPERATOR.sub(lambda found: "operator" + found[1].translate(_HIDE), name)
    name = _CONVERSION.sub("operator type", name)
    name = name.replace("decltype(auto)", "auto").replace("decltype (", "decltype(")
    name = re.sub(r"\{lambda[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", "{lambda}", name)
    name = _without_brackets(_NUMBERED.sub(lambda found: f"'{found[1]}'" if found[1] else "", name))
    # Templates carry their return type, which stands before the name; a space inside a name is `operator new` alone.
    name = re.sub(r"\b(?:const|volatile)\b|&+$", "", name).strip()
    name = name.replace("operator new", "operator_new").replace("operator delete", "operator_delete")
    name = name.replace("operator type", "operator_type").split(" ")[-1].lstrip("*&")
    name = name.replace("operator_", "operator ").translate(_SHOW)
    return name if len(name) <= MAX_NAME else _inner_scopes(name)


_HIDE = str.maketrans("()[]<>*&-", "\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467\u2468")
_SHOW = {new: old for old, new in _HIDE.items()}
"""Operators are spelt with brackets: circled digits stand for them while brackets are counted."""


def _without_brackets(name: str) -> str:
    """The name without anything in (), <> or [], at any depth; braces, which name lambdas and thunks, stay."""
    kept, depth = [], 0
    for i, c in enumerate(name):
        if c in "(<[":
            depth += 1
        elif c in ")>]":
            if c == ">" and name[i - 1 : i] == "-":
                continue  # an arrow inside a decltype
            depth = max(0, depth - 1)
        elif depth == 0:
            kept.append(c)
    return "".join(kept)


def _inner_scopes(name: str) -> str:
    """As many of the innermost scopes as fit."""
    scopes = name.split("::")
    while len(scopes) > 1 and len("::".join(scopes)) > MAX_NAME:
        scopes = scopes[1:]
    return "…::" + "::".join(scopes) if len(scopes) > 1 else scopes[0][:MAX_NAME]
