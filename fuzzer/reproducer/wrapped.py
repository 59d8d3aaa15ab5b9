"""One expression over several lines, as `ruff format` breaks it: what stands in which brackets, and what they hold.

Works on the text, not on the syntax tree alone, so that numbers and strings stay as they are spelled.
"""

from __future__ import annotations

import ast
import itertools
import re
import tokenize
from collections.abc import Callable, Sequence

from fuzzer.reproducer.tokens import tokens

WIDTH = 88
"""Columns; the default of `line-length` (https://docs.astral.sh/ruff/settings/#line-length)."""
INDENT = 4
_TABLE_FROM = 9
"""Numbers in a list from which it is a table, written side by side rather than one a line."""
OPENING, CLOSING = "([{", ")]}"


class NoForm(Exception):
    """The expression has none of the forms that are known here."""


def wrap(prefix: str, text: str, suffix: str, indent: int, whole: bool) -> list[str]:
    """An expression between a prefix and a suffix, `indent` columns in. `whole`: it is a statement's
    value, free to get brackets.

    Raises `NoForm` where it is too long for a line and has none of the known forms.
    """
    pad = " " * indent
    if len(one := f"{pad}{prefix}{text}{suffix}") <= WIDTH:
        return [one]
    node = parsed(text)
    if isinstance(node, ast.Tuple) and whole and node.col_offset == 0 and not _encloses(text):
        return _exploded(f"{pad}{prefix}(", _pieces(text), f"{pad}){suffix}", indent)
    if isinstance(node, ast.List | ast.Tuple | ast.Dict | ast.Set) and text[0] in OPENING:
        return _exploded(f"{pad}{prefix}{text[0]}", _pieces(text[1:-1]), f"{pad}{text[-1]}{suffix}", indent)
    if isinstance(node, ast.ListComp | ast.DictComp | ast.SetComp):
        together = " " * (indent + INDENT) + text[1:-1]
        parts = [together.strip()] if len(together) <= WIDTH else _comprehension(text[1:-1], node, 1)
        body = [line for part in parts for line in _fitting(part, indent + INDENT)]
        return [f"{pad}{prefix}{text[0]}", *body, f"{pad}{text[-1]}{suffix}"]
    if isinstance(node, ast.Call | ast.Subscript | ast.Attribute):
        return _trailers(prefix, text, suffix, indent, whole)
    operands = _operands(text, node)
    if operands and whole:
        if indent + INDENT + len(text) <= WIDTH:
            operands = [text]
        elif any(operand.strip("+-*/ ")[:1] == "(" for operand in operands):
            raise NoForm(text)  # the tool may open these brackets rather than new ones
        elif len(operands) == 2 and operands[1][-1] in CLOSING:
            raise NoForm(text)  # so here
        body = [line for operand in operands for line in _fitting(operand, indent + INDENT)]
        return [f"{pad}{prefix}(", *body, f"{pad}){suffix}"]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and whole:
        return _long_string(prefix, text, suffix, indent)
    raise NoForm(text)


def _trailers(prefix: str, text: str, suffix: str, indent: int, whole: bool) -> list[str]:
    """A chain of calls, indices and attributes: its last brackets are opened, or the ones before if need be."""
    pad, pairs = " " * indent, _brackets(text)
    if _links(text, pairs) >= 2:
        return _fluent(prefix, text, suffix, indent, pairs) if whole else _no_form(text)
    for start, end in reversed(pairs):
        head, tail = f"{pad}{prefix}{text[: start + 1]}", f"{pad}{text[end:]}{suffix}"
        body = text[start + 1 : end].strip()
        if len(head) > WIDTH or len(tail) > WIDTH or not body:
            continue
        pieces = _pieces(body)
        if text[start] == "(" and not start:
            return [head, *_fitting(body, indent + INDENT), tail]
        if text[start] == "(":
            together = " " * (indent + INDENT) + ", ".join(pieces)
            if len(together) <= WIDTH:
                return [head, together, tail]
            if len(pieces) == 1 and isinstance(parsed(f"f({body})").args[0], ast.GeneratorExp):  # type: ignore[attr-defined]
                raise NoForm(text)
        elif text[start] == "[" and start:
            raise NoForm(text)  # whether the index is opened or what is before it: the tool weighs both
        return _exploded(head, pieces, tail, indent)
    raise NoForm(text)


def _links(text: str, pairs: Sequence[tuple[int, int]]) -> int:
    """How many `.name(...)` follow a call or an index: from two on they stand one a line."""
    return sum(text[end + 1 : end + 2] == "." and "(" in text[end + 1 :] for _, end in pairs)


def _fluent(prefix: str, text: str, suffix: str, indent: int, pairs: Sequence[tuple[int, int]]) -> list[str]:
    pad, inner = " " * indent, " " * (indent + INDENT)
    if len(inner) + len(text) <= WIDTH:
        return [f"{pad}{prefix}(", inner + text, f"{pad}){suffix}"]
    cuts = [0, *(end + 1 for _, end in pairs if text[end + 1 : end + 2] == "."), len(text)]
    links = [inner + text[a:b] for a, b in itertools.pairwise(cuts)]
    if any(len(link) > WIDTH for link in links):
        raise NoForm(text)
    return [f"{pad}{prefix}(", *links, f"{pad}){suffix}"]


def _no_form(text: str) -> list[str]:
    raise NoForm(text)


def _exploded(head: str, pieces: Sequence[str], tail: str, indent: int) -> list[str]:
    """One item a line."""
    if not pieces:
        raise NoForm(head)
    if len(pieces) >= _TABLE_FROM and all(re.fullmatch(r"-?(?:[\d.e-]+|np\.inf|np\.nan)", p) for p in pieces):
        raise NoForm(head)
    body: list[str] = []
    for piece in pieces:
        named = re.match(r"(?:[A-Za-z_]\w*=(?!=)|\*{1,2})", piece)
        key = named[0] if named else ""
        if head.rstrip()[-1] == "{" and not key:
            pair = parsed("{" + piece + "}")
            if isinstance(pair, ast.Dict) and pair.keys[0] is not None:
                key = piece[: pair.values[0].col_offset - 1]
        body += wrap(key, piece[len(key) :], ",", indent + INDENT, False)
    return [head, *body, tail]


def _long_string(prefix: str, text: str, suffix: str, indent: int) -> list[str]:
    """A string that is too long: its pieces a line each, in brackets; a single one stays where that helps nothing."""
    pad = " " * indent
    pieces = [t.string for t in tokens(text + "\n") if t.type == tokenize.STRING]
    if len(pieces) == 1 and indent + INDENT + len(pieces[0]) > WIDTH:
        return [f"{pad}{prefix}{text}{suffix}"]
    if len(pieces) > 1 and all(p[0] == '"' for p in pieces):
        joined = '"' + "".join(p[1:-1] for p in pieces) + '"'
        if len(joined) + indent + INDENT <= WIDTH:
            return wrap(prefix, joined, suffix, indent, True)
    body = [line for piece in pieces for line in _fitting(piece, indent + INDENT)]
    return [f"{pad}{prefix}(", *body, f"{pad}){suffix}"]


def _fitting(text: str, indent: int) -> list[str]:
    if indent + len(text) > WIDTH:
        raise NoForm(text)
    return [" " * indent + text]


def _comprehension(body: str, node: ast.expr, shift: int) -> list[str]:
    """The parts of a comprehension: what is made, each `for`, each `if`."""
    cuts = []
    for generator in getattr(node, "generators", []):
        cuts.append(body.rindex("for ", 0, generator.target.col_offset - shift))
        cuts += [body.rindex("if ", 0, test.col_offset - shift) for test in generator.ifs]
    ends = [*cuts, len(body)]
    return [body[: cuts[0]].strip(), *(body[a:b].strip() for a, b in itertools.pairwise(ends))]


def _operands(text: str, node: ast.expr) -> list[str]:
    """The operands of the loosest operator, each but the first behind its operator; empty where there is none."""
    spans: list[ast.expr]
    if isinstance(node, ast.BoolOp):
        spans = node.values
    elif isinstance(node, ast.IfExp):
        spans = [node.body, node.test, node.orelse]
    elif isinstance(node, ast.Compare):
        spans = [node.left, *node.comparators]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        spans = [node.right]
        left = node.left
        while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add | ast.Sub):
            if text[left.col_offset - 1 : left.col_offset] == "(":
                break
            spans.insert(0, left.right)
            left = left.left
        spans.insert(0, left)
    else:
        return []
    cuts = [0]
    for left, right in itertools.pairwise(spans):
        between = text[left.end_col_offset : right.col_offset]
        cuts.append((left.end_col_offset or 0) + len(between) - len(between.lstrip(" )")))
    ends = [*cuts, len(text)]
    return [text[a:b].strip() for a, b in itertools.pairwise(ends)]


def _encloses(text: str) -> bool:
    """Whether the first bracket is closed by the last."""
    pairs = _brackets(text)
    return bool(pairs) and pairs[0] == (0, len(text) - 1)


def parsed(text: str) -> ast.expr:
    """The tree of an expression. Raises `NoForm` for what is none."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        raise NoForm(text) from None


def _scan(text: str, see: Callable[[str, int, int], None]) -> None:
    """Calls `see(character, column, depth)` for brackets and commas outside strings and a lambda's parameters."""
    depth, lambdas = 0, 0
    for token in tokens(f"({text}\n)\n"):
        lambdas += token.string == "lambda"
        if token.type != tokenize.OP:
            continue
        if lambdas and token.string in ",:":
            lambdas -= token.string == ":"
            continue
        column = token.start[1] - 1
        if token.start[0] > 1 or column < 0:
            continue
        if token.string in CLOSING:
            depth -= 1
        if token.string in (*OPENING, *CLOSING, ","):
            see(token.string, column, depth)
        if token.string in OPENING:
            depth += 1


def _pieces(body: str) -> list[str]:
    """What stands between the commas of a bracket's content."""
    cuts = [-1]
    _scan(body, lambda c, at, depth: cuts.append(at) if c == "," and depth == 0 else None)
    ends = [*cuts, len(body)]
    found = [body[a + 1 : b].strip() for a, b in itertools.pairwise(ends)]
    return [piece for piece in found if piece]


def _brackets(text: str) -> list[tuple[int, int]]:
    """The outermost pairs of brackets: where each opens and closes."""
    opened: list[int] = []
    closed: list[int] = []

    def see(character: str, at: int, depth: int) -> None:
        if depth == 0 and character in OPENING:
            opened.append(at)
        elif depth == 0 and character in CLOSING:
            closed.append(at)

    _scan(text, see)
    return list(zip(opened, closed, strict=True))
