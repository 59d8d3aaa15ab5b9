"""Python text as a person lays it out: lines of at most 88 columns, double quotes, safe comments.

Small on purpose: it knows the few forms that reproducers are made of, and needs no formatter at run time.
"""

from __future__ import annotations

import ast
import io
import textwrap
import tokenize
from collections.abc import Iterable, Sequence

WIDTH = 88
_INDENT = 4
_PIECE = 72
"""Characters of a long string that stand on one line."""
_PROSE = 84
"""Columns of a docstring's line; the first one has three quotes before it."""
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
"""Where a long sum or product may be broken, inside brackets."""


def unparse(node: ast.AST) -> str:
    """One line of Python in plain ASCII, strings in double quotes where that needs no escape."""
    text = ast.unparse(ast.fix_missing_locations(node))
    tokens = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        string = token.string
        if token.type == tokenize.STRING and not string.isascii():
            string = ascii(ast.literal_eval(string))
        if token.type == tokenize.STRING and string[0] == "'" and string[1] != "'" and not set(string) & {'"', "\\"}:
            string = f'"{string[1:-1]}"'
        tokens.append((token, string))
    lines = text.splitlines(keepends=True)
    for token, string in reversed(tokens):
        if string != token.string:
            row, start = token.start
            line = lines[row - 1]
            # Token columns count characters, as slices do; what stands before a token keeps its place.
            lines[row - 1] = line[:start] + string + line[token.end[1] :]
    return "".join(lines)


def statement(node: ast.stmt, indent: int = 0) -> list[str]:
    """The lines of a statement, functions and blocks included."""
    pad = " " * indent
    if isinstance(node, ast.FunctionDef):
        head = f"{pad}def {node.name}({unparse(node.args)}):"
        return [*([""] if indent else []), head, *block(node.body, indent), *([""] if indent else [])]
    if isinstance(node, ast.For):
        head = f"{pad}for {unparse(node.target)} in {unparse(node.iter)}:"
        return [head, *block(node.body, indent)]
    if isinstance(node, ast.With):
        items = ", ".join(unparse(item) for item in node.items)
        return [f"{pad}with {items}:", *block(node.body, indent)]
    if isinstance(node, ast.If):
        lines = [f"{pad}if {unparse(node.test)}:", *block(node.body, indent)]
        return [*lines, *([f"{pad}else:", *block(node.orelse, indent)] if node.orelse else [])]
    if isinstance(node, ast.Expr):
        return wrap("", node.value, "", indent)
    if isinstance(node, ast.Assign):
        prefix = "".join(unparse(t).strip("()") + " = " for t in node.targets)
        if isinstance(node.value, ast.Tuple) and node.value.elts:
            return [f"{pad}{prefix}{unparse(node.value)[1:-1]}"]
        return wrap(prefix, node.value, "", indent)
    if isinstance(node, ast.Return) and node.value is not None:
        if isinstance(node.value, ast.Tuple) and len(one := f"{pad}return {unparse(node.value)[1:-1]}") <= WIDTH:
            return [one]
        return wrap("return ", node.value, "", indent)
    return [pad + line for line in unparse(node).splitlines()]


def block(body: Iterable[ast.stmt], indent: int) -> list[str]:
    """The lines of an indented block."""
    lines: list[str] = []
    for inner in body:
        made = statement(inner, indent + _INDENT)
        # One blank line around an inner function, none at the start of a block.
        if made[0] == "" and (not lines or lines[-1] == ""):
            made = made[1:]
        lines.extend(made)
    return lines[:-1] if lines and lines[-1] == "" else lines


def wrap(prefix: str, node: ast.expr, suffix: str, indent: int) -> list[str]:
    """An expression between a prefix and a suffix, broken inside its brackets where it is too long."""
    pad = " " * indent
    one = f"{pad}{prefix}{unparse(node)}{suffix}"
    if len(one) <= WIDTH:
        return [one]
    deeper = indent + _INDENT
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > _PIECE:
        pieces = _pieces(node.value)
        return [f"{pad}{prefix}(", *(f"{' ' * deeper}{_quoted(piece)}" for piece in pieces), f"{pad}){suffix}"]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Call):
        return wrap(prefix, node.func, unparse(node).removeprefix(unparse(node.func)) + suffix, indent)
    if isinstance(node, ast.Call) and (node.args or node.keywords):
        return _wrapped_call(prefix, node, suffix, indent)
    if isinstance(node, ast.List | ast.Tuple) and node.elts:
        left, right = ("[", "]") if isinstance(node, ast.List) else ("(", ")")
        items = [unparse(e) for e in node.elts]
        wide = any(len(item) + 1 > WIDTH - deeper for item in items)
        inner = [line for e in node.elts for line in wrap("", e, ",", deeper)] if wide else fill(items, deeper)
        return [f"{pad}{prefix}{left}", *inner, f"{pad}{right}{suffix}"]
    if isinstance(node, ast.Lambda):
        return wrap(f"{prefix}lambda {unparse(node.args)}: ", node.body, suffix, indent)
    if isinstance(node, ast.Subscript):
        return wrap(prefix, node.value, f"[{unparse(node.slice)}]{suffix}", indent)
    if isinstance(node, ast.BinOp) and _breakable(node):
        return [
            f"{pad}{prefix}(",
            *wrap("", node.left, "", deeper),
            *wrap(f"{_OPERATORS[type(node.op)]} ", node.right, "", deeper),
            f"{pad}){suffix}",
        ]
    if isinstance(node, ast.Attribute):
        return wrap(prefix, node.value, f".{node.attr}{suffix}", indent)
    if isinstance(node, ast.IfExp):
        return [
            f"{pad}{prefix}(",
            *wrap("", node.body, "", deeper),
            f"{' ' * deeper}if {unparse(node.test)}",
            *wrap("else ", node.orelse, "", deeper),
            f"{pad}){suffix}",
        ]
    return [one]


def _wrapped_call(prefix: str, node: ast.Call, suffix: str, indent: int) -> list[str]:
    """A call with arguments, broken inside its last brackets, or inside what it is called on where that is long."""
    pad, deeper = " " * indent, indent + _INDENT
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
        # `np.array([...]).reshape(...)`: the array is what is long.
        tail = unparse(node).removeprefix(unparse(node.func.value))
        return wrap(prefix, node.func.value, tail + suffix, indent)
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.BinOp):
        inner = wrap("", node.func.value, "", deeper)
        tail = unparse(node).removeprefix(f"({unparse(node.func.value)})")
        return [f"{pad}{prefix}(", *inner, f"{pad}){tail}{suffix}"]
    parts = [("", a) for a in node.args] + [(f"{k.arg}=" if k.arg else "**", k.value) for k in node.keywords]
    together = " " * deeper + ", ".join(p + unparse(v) for p, v in parts)
    head = f"{pad}{prefix}{unparse(node.func)}("
    if len(together) <= WIDTH:
        return [head, together, f"{pad}){suffix}"]
    body = [line for p, v in parts for line in wrap(p, v, ",", deeper)]
    return [head, *body, f"{pad}){suffix}"]


def _pieces(text: str) -> list[str]:
    """A long string in pieces of whole words, spaces at the end of each; a word that is longer is cut."""
    pieces, rest = [], text
    while len(rest) > _PIECE:
        cut = rest.rfind(" ", 0, _PIECE) + 1 or _PIECE
        pieces.append(rest[:cut])
        rest = rest[cut:]
    return [*pieces, rest]


def _quoted(text: str) -> str:
    return unparse(ast.Constant(text))


def _breakable(node: ast.BinOp) -> bool:
    """Whether the operands stay together without brackets of their own."""
    atoms = (ast.Call, ast.Name, ast.Constant, ast.Attribute, ast.Subscript)
    product = isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Mult)
    return type(node.op) in _OPERATORS and isinstance(node.right, atoms) and (product or isinstance(node.left, atoms))


def fill(items: Sequence[str], indent: int) -> list[str]:
    """Items side by side, as many as fit a line."""
    if any(len(item) > WIDTH - indent for item in items):
        return [f"{' ' * indent}{item}," for item in items]
    lines: list[str] = []
    line = " " * indent
    for item in items:
        if len(line) + len(item) + 1 > WIDTH:
            lines.append(line.rstrip())
            line = " " * indent
        line += f"{item}, "
    return [*lines, line.rstrip()]


def expression(text: str) -> ast.expr:
    """The AST of an expression of ours."""
    return ast.parse(text, mode="eval").body


def assign(target: str, text: str, indent: int = 0) -> list[str]:
    """`target = text`, laid out."""
    return wrap(f"{target} = ", expression(text), "", indent)


def string(value: str) -> str:
    """A string as a literal in plain ASCII, whatever it holds."""
    quoted = ascii(value)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in quoted else quoted


def prose(text: str, limit: int = 400) -> list[str]:
    """Foreign text as lines that are safe inside a docstring: one paragraph, no control characters.

    Backslashes are doubled and a quote can't end the string.
    """
    text = text.replace("…", "...")  # how a title that is cut ends
    visible = "".join(c if c.isprintable() and c.isascii() else " " if c.isspace() else "?" for c in text)
    lines = textwrap.wrap(" ".join(visible.split())[:limit], _PROSE) or ["(no title)"]
    return [line.replace("\\", "\\\\").replace('"', '\\"') for line in lines]
