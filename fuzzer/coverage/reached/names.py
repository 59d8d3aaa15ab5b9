"""What a native function belongs to, by its name: a kernel, a converter pass, an operator class, a namespace.

The names are those of the block tables: scopes and name with template arguments. A template of somebody else's belongs
to the first argument that is the converter's or the runtime's: `mlir::Op<mlir::TFL::AddOp, ...>` to the class `AddOp`.

The source has one file for a pass and its rewrite patterns, and the linker keeps the functions of a file together: a
pattern belongs to the pass whose `runOnOperation` its address follows. Of TensorFlow 2.21 all patterns that could be
checked by their names came out right (`prepare_tf.cc`, `legalize_tf.cc`, `optimize.cc`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

KINDS = {
    "kernel": "TFLite kernels",
    "pass": "converter passes with their rewrite patterns",
    "operator": "operator classes of the converter's dialect",
    "node": "nodes that the XNNPACK delegate takes",
    "microkernel": "XNNPACK microkernels",
    "namespace": "the rest of converter and runtimes, by namespace",
    "library": "other libraries that are built in, by namespace",
}
"""What a function can belong to, in the order of the report."""

NEAR_BYTES = 256 << 10
"""Two patterns of one source file are never further apart: 210 kB is the most in TensorFlow 2.21, and the next object
file with patterns of no pass begins after 2.8 MB."""

_OWN = re.compile(r"(?:mlir::(?:TFL|odml|quant\w*)|tflite|toco)::[\w:]*")
_KERNEL = re.compile(r"(tflite::ops::(?:builtin|custom)::[a-z]\w*)::")
_NODE = re.compile(r"tflite::xnnpack::Subgraph::Visit(\w+)Node$")
_MICROKERNEL = re.compile(r"xnn_(\w+?)_ukernel_")
_XNN = re.compile(r"(xnn_[a-z]+)_")
_WORD = re.compile(r"(TfLite|LiteRt|Lrt|[a-z]+(?=_))")
_SUBJECT = re.compile(
    r"(?:mlir::(?:TFL|odml|quant)|tflite|toco|litert|ruy|gemmlowp|xnn_|TfLite|LiteRt|Lrt"
    # Static functions of XNNPACK's operators, tensors and microkernel tables, and its microkernels in C++.
    r"|(?:init|setup|create|reshape|unary|binary|binaryc|rbinaryc)_)"
)
"""What is the matter of this project; all else is a library that it uses."""
_OPERATOR = re.compile(r"mlir::TFL::(?:detail::)?(\w+?Op)(?:GenericAdaptor|GenericAdaptorBase|Adaptor)?::")
_PASS = re.compile(r"(?P<scope>(?:\w+::)*?)(?:impl::)?(?P<name>\w+?Pass)(?:Base)?::")
_SIGN = re.compile(r"\boperator(?:\(\)|<=>|<<=?|>>=?|[<>]=?|->\*?)")
"""Operators whose names hold brackets."""
_HIDDEN = str.maketrans("<>()", "\1\2\3\4")
_SHOWN = str.maketrans("\1\2\3\4", "<>()")
_DEEPER = ("mlir::quant::stablehlo", "tflite::ops::builtin", "tflite::ops::custom")
"""Namespaces of three levels that are worth telling apart; of all others two levels are."""
_REWRITE = "::matchAndRewrite"
_RUN = "::runOnOperation"
_NUMBERED = re.compile(r"^anonymous_\d+")
"""What LLVM's TableGen puts before the name of a pattern that stands in a loop: the number of a record."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function belongs: one of `KINDS`, the group in it, and the rewrite pattern it is, if it is one."""

    kind: str
    group: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a library: its plain name, where it begins, and its place."""

    name: str
    address: int
    place: Place


def functions(names: Sequence[str], addresses: Sequence[int]) -> list[Function]:
    """The functions of a library with their places. `addresses` are ascending virtual addresses, one a name."""
    plain = [own_name(name) for name in names]
    classes = {name.removesuffix(_RUN).removeprefix("mlir::") for name in plain if name.endswith(_RUN)}
    passes = {f"mlir::{name}" for name in classes if not name.endswith("::Pass")}
    written = {plain_name(name) for name in names if _REWRITE in name}
    patterns = {name.removesuffix(_REWRITE) for name in written if name.endswith(_REWRITE) and _OWN.match(name)}
    found: list[Function] = []
    owner, owner_at = "", 0
    for name, address in zip(plain, addresses, strict=True):
        scope = _pattern_of(name, patterns)
        if address - owner_at > NEAR_BYTES:
            owner = ""
        if scope:
            theirs = owner.startswith(_namespace(scope) + "::")
            group = owner if theirs else f"patterns of no pass in {_namespace(scope)}"
            place = Place("pass", group, pattern_name(scope))
            owner_at = address if name.endswith(_REWRITE) else owner_at
        else:
            place = _place(name, passes)
            if name.endswith(_RUN) and place.kind == "pass":
                owner, owner_at = place.group, address
        found.append(Function(name, address, place))
    return found


def own_name(name: str) -> str:
    """The plain name; of somebody else's template the first argument that is the converter's or the runtime's too."""
    plain = plain_name(name)
    if "<" not in name or _OWN.match(plain):
        return plain
    told = _OWN.search(name, name.index("<"))
    return f"{told[0].rstrip(':')}::{plain.rpartition('::')[2]}" if told else plain


@cache
def plain_name(name: str) -> str:
    """A name without template arguments and parameters."""
    if "<" not in name and "(" not in name:
        return name
    name = _SIGN.sub(lambda sign: sign[0].translate(_HIDDEN), name)
    kept, depth = [], 0
    for character in name:
        if character in "<(":
            depth += 1
        elif character in ">)":
            depth -= 1
        elif depth == 0:
            kept.append(character)
    return "".join(kept).translate(_SHOWN)


def pattern_name(scope: str) -> str:
    """The name of a rewrite pattern, of the class that it is."""
    return _NUMBERED.sub("", scope.rpartition("::")[2])


def _pattern_of(name: str, patterns: set[str]) -> str:
    """The class of a rewrite pattern that a function is a member of, or a lambda in one; empty for others."""
    if not name.startswith("mlir::"):
        return ""
    parts = name.split("::")
    for end in range(len(parts) - 1, 1, -1):
        scope = "::".join(parts[:end])
        if scope in patterns:
            return scope
    return ""


def _place(name: str, passes: Iterable[str]) -> Place:
    if found := _KERNEL.match(name):
        return Place("kernel", found[1])
    if found := _NODE.match(name):
        return Place("node", found[1])
    if found := _MICROKERNEL.match(name):
        return Place("microkernel", found[1])
    if name.startswith("mlir::"):
        scope = name.rpartition("::")[0]
        if scope in passes:
            return Place("pass", scope)
        if (found := _PASS.match(name)) and (made := found["scope"] + found["name"]) in passes:
            return Place("pass", made)
        if found := _OPERATOR.match(name):
            return Place("operator", f"mlir::TFL::{found[1]}")
    return Place("namespace" if _SUBJECT.match(name) else "library", _namespace(name))


def _namespace(name: str) -> str:
    """The outer scopes of a name; the first word of a C function."""
    if "::" not in name:
        found = _XNN.match(name) or _WORD.match(name)
        return f"{found[1]}…" if found else "functions without a namespace"
    parts = name.split("::")
    depth = 3 if name.startswith(_DEEPER) else 2
    return "::".join(parts[: max(1, min(depth, len(parts) - 1))])
