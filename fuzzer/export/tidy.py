"""Python text as `ruff format` leaves it, at that tool's own line length; for the forms that reproducers are made of.

No formatter is needed at run time. Three forms are what `ruff format` makes at its default width: one line that fits;
a call whose arguments fit on a line of their own; one item a line with a comma after each. What has none of these forms
(tables of numbers above all) keeps its layout and ends with `# fmt: skip`, which the tool obeys.
Rules: https://docs.astral.sh/ruff/formatter/black/ and the Black code style it refers to.
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from collections.abc import Callable, Sequence

WIDTH = 88
"""Columns; the default of `line-length` (https://docs.astral.sh/ruff/settings/#line-length)."""
_INDENT = 4
_TABLE_FROM = 9
"""Numbers in a list from which it is a table, written side by side rather than one a line."""
_SKIP = "  # fmt: skip"
_OPENING, _CLOSING = "([{", ")]}"
_TRIVIA = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


class _NoForm(Exception):
    """The expression has none of the forms that are known here."""


def tidy(text: str) -> str:
    """The same program, laid out. Raises `SyntaxError` for what is no Python."""
    lines = text.splitlines()
    made = _Module(lines).block(ast.parse(text).body, 0, 0, len(lines))
    return "\n".join(line.rstrip() for line in made).strip("\n") + "\n"


# --- statements -------------------------------------------------------------------------------------------


class _Module:
    """The lines of one module."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def block(self, body: Sequence[ast.stmt], indent: int, start: int, end: int) -> list[str]:
        """The statements of a block whose source is lines `start` to `end` (exclusive), blank lines set right."""
        made: list[str] = []
        before: ast.stmt | None = None
        for node in body:
            gap = self._lines[start : _first(node) - 1]
            comments = [" " * indent + line.strip() for line in gap if line.strip()]
            if before is not None:
                made += [""] * _blank_lines(before, node, indent, any(not line.strip() for line in gap))
            made += [*comments, *self._statement(node, indent)]
            start, before = node.end_lineno or node.lineno, node
        rest = [line for line in self._lines[start:end] if line.strip()]
        return made + [" " * indent + line.strip() for line in rest]

    def _statement(self, node: ast.stmt, indent: int) -> list[str]:
        inner = _bodies(node)
        if not inner:
            return self._simple(node, indent)
        made: list[str] = []
        start = _first(node) - 1
        for body in inner:
            first = _first(body[0]) - 1
            head_end = next(i for i in range(first, start, -1) if self._lines[i - 1].split("#")[0].rstrip()[-1:] == ":")
            made += _header(self._lines[start:head_end], indent)
            start = body[-1].end_lineno or body[-1].lineno
            made += self.block(body, indent + _INDENT, head_end, start)
        return made

    def _simple(self, node: ast.stmt, indent: int) -> list[str]:
        source = self._lines[node.lineno - 1 : node.end_lineno]
        own = [line[indent:] if i == 0 else line for i, line in enumerate(source)]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return [" " * indent + own[0], *own[1:]]  # a docstring
        if source[-1].endswith(_SKIP):
            return source
        one, comment, plain = _joined("\n".join(own))
        if not plain or any(_spaced(part) for part in ast.walk(node)):
            return [*source[:-1], source[-1] + _SKIP]
        if len(one) + indent + len(comment) > WIDTH or len(source) > 1:
            try:
                made = _wrapped_statement(one, node, indent)
            except _NoForm:
                return [*source[:-1], source[-1] + _SKIP]
        else:
            made = [" " * indent + one]
        return [*made[:-1], made[-1] + comment]


def _spaced(part: ast.AST) -> bool:
    """Whether this is a slice between more than names and numbers: the tool has spaces in these."""
    if not isinstance(part, ast.Slice):
        return False
    plain = (ast.Name, ast.Constant, ast.UnaryOp, ast.Attribute)
    return any(bound is not None and not isinstance(bound, plain) for bound in (part.lower, part.upper, part.step))


def _first(node: ast.stmt) -> int:
    """The first line of a statement, decorators included."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _bodies(node: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of a compound statement, in the order of their lines."""
    found = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
    found += [handler.body for handler in getattr(node, "handlers", [])]
    return sorted((body for body in found if body), key=lambda body: body[0].lineno)


def _blank_lines(before: ast.stmt, node: ast.stmt, indent: int, apart: bool) -> int:
    functions = (ast.FunctionDef, ast.ClassDef)
    if isinstance(before, functions) or isinstance(node, functions):
        return 1 if indent else 2
    imports = (ast.Import, ast.ImportFrom)
    if isinstance(before, imports) and not isinstance(node, imports):
        return 1
    return 1 if apart else 0


def _header(lines: Sequence[str], indent: int) -> list[str]:
    """Everything of a compound statement before a block: decorators, comments, and up to the colon."""
    made, rest = [], list(lines)
    while rest and (not rest[0].strip() or rest[0].lstrip()[0] in "#@"):
        line = rest.pop(0).strip()
        made += [" " * indent + line] if line else []
    one, comment, plain = _joined("\n".join(rest))
    if plain and len(one) + indent + len(comment) <= WIDTH:
        return [*made, " " * indent + one + comment]
    return [*made, *rest[:-1], rest[-1].removesuffix(_SKIP) + _SKIP]


# --- one logical line -------------------------------------------------------------------------------------


def _joined(source: str) -> tuple[str, str, bool]:
    """A logical line as one line, the comment after it, and whether that loses nothing (a comment inside does)."""
    try:
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(source.strip() + "\n").readline)]
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return source, "", False
    comments = [t for t in tokens if t.type == tokenize.COMMENT]
    words = [t for t in tokens if t.type not in _TRIVIA]
    inside = [t for t in comments if words and t.start < words[-1].end]
    if inside or any(t.type == tokenize.STRING and "\n" in t.string for t in words):
        return source, "", False
    text = ""
    for i, token in enumerate(words):
        last = words[i - 1] if i else token
        if i and token.start[0] == last.end[0]:
            gap = " " * (token.start[1] - last.end[1])
        else:
            gap = "" if not i or last.string in _OPENING or token.string in _CLOSING else " "
        if _hugs(words, i):
            gap = ""
        if token.string in _CLOSING and last.string == "," and last.end[0] != token.start[0]:
            text = text[:-1] if not _lone(text) else text
        text += gap + _spelled(token)
    return text, f"  {comments[-1].string}" if comments else "", True


def _hugs(words: Sequence[tokenize.TokenInfo], i: int) -> bool:
    """Whether no space goes before a token: around a power of a plain name or number by another."""
    for at in (i, i - 1):
        if 0 < at < len(words) - 1 and words[at].string == "**":
            sides = [words[at - 1], words[at + 1]]
            after = words[at + 2].string if at + 2 < len(words) else ""
            plain = all(t.type in (tokenize.NAME, tokenize.NUMBER) for t in sides) and after not in _OPENING[:2]
            if plain and not (sides[0].type == tokenize.NAME and keyword.iskeyword(sides[0].string)):
                return True
    return False


def _lone(text: str) -> bool:
    """Whether the comma at the end of `text` makes a tuple of one."""
    depth = 0
    for i in range(len(text) - 2, -1, -1):
        if text[i] in _CLOSING:
            depth += 1
        elif text[i] in _OPENING:
            if not depth:
                return text[i] == "(" and (i == 0 or not (text[i - 1].isalnum() or text[i - 1] in "_)]"))
            depth -= 1
        elif text[i] == "," and not depth:
            return False
    return False


def _spelled(token: tokenize.TokenInfo) -> str:
    """A token in the tool's spelling: 1e5 rather than 1e+5, double quotes where that needs no escape."""
    text = token.string
    if token.type == tokenize.NUMBER and not text.lower().startswith("0x"):
        return text.lower().replace("e+", "e")
    quoted = re.fullmatch(r"([bB]?)'([^'\"\\]*)'", text) if token.type == tokenize.STRING else None
    return f'{quoted[1].lower()}"{quoted[2]}"' if quoted else text


def _wrapped_statement(one: str, node: ast.stmt, indent: int) -> list[str]:
    """The lines of a simple statement that may be too long for one."""
    if len(one) + indent <= WIDTH and not isinstance(node, ast.Assign | ast.Return):
        return [" " * indent + one]
    parsed = ast.parse(one).body[0]
    if isinstance(parsed, ast.Assign | ast.AugAssign):
        target = parsed.targets[-1] if isinstance(parsed, ast.Assign) else parsed.target
        cut = one.index("=", target.end_col_offset or 0) + 1
        prefix, value = one[:cut] + " ", one[cut:].strip()
    elif isinstance(parsed, ast.Return) and parsed.value is not None:
        prefix, value = "return ", one[len("return") :].strip()
    elif isinstance(parsed, ast.Expr):
        prefix, value = "", one
    else:
        raise _NoForm(one)
    return _wrap(prefix, _bare(value), "", indent, True)


def _bare(value: str) -> str:
    """An expression without the brackets around the whole of it, where they mean nothing."""
    inner = value[1:-1].strip() if value.startswith("(") else value
    if inner is value or isinstance(_parsed(value), ast.Tuple | ast.GeneratorExp):
        return value
    try:
        same = ast.dump(ast.parse(inner, mode="eval")) == ast.dump(ast.parse(value, mode="eval"))
    except SyntaxError:
        return value
    return inner if same and value.endswith(")") else value


# --- expressions ------------------------------------------------------------------------------------------


def _wrap(prefix: str, text: str, suffix: str, indent: int, whole: bool) -> list[str]:
    """An expression between a prefix and a suffix. `whole`: it is a statement's value, free to get brackets."""
    pad = " " * indent
    if len(one := f"{pad}{prefix}{text}{suffix}") <= WIDTH:
        return [one]
    node = _parsed(text)
    if isinstance(node, ast.Tuple) and whole and node.col_offset == 0 and not _encloses(text):
        return _exploded(f"{pad}{prefix}(", _pieces(text), f"{pad}){suffix}", indent)
    if isinstance(node, ast.List | ast.Tuple | ast.Dict | ast.Set) and text[0] in _OPENING:
        return _exploded(f"{pad}{prefix}{text[0]}", _pieces(text[1:-1]), f"{pad}{text[-1]}{suffix}", indent)
    if isinstance(node, ast.ListComp | ast.DictComp | ast.SetComp):
        together = " " * (indent + _INDENT) + text[1:-1]
        parts = [together.strip()] if len(together) <= WIDTH else _comprehension(text[1:-1], node, 1)
        body = [line for part in parts for line in _fitting(part, indent + _INDENT)]
        return [f"{pad}{prefix}{text[0]}", *body, f"{pad}{text[-1]}{suffix}"]
    if isinstance(node, ast.Call | ast.Subscript | ast.Attribute):
        return _trailers(prefix, text, suffix, indent, whole)
    operands = _operands(text, node)
    if operands and whole:
        if indent + _INDENT + len(text) <= WIDTH:
            operands = [text]
        elif any(operand.strip("+-*/ ")[:1] == "(" for operand in operands):
            raise _NoForm(text)  # the tool may open these brackets rather than new ones
        elif len(operands) == 2 and operands[1][-1] in _CLOSING:
            raise _NoForm(text)  # so here
        body = [line for operand in operands for line in _fitting(operand, indent + _INDENT)]
        return [f"{pad}{prefix}(", *body, f"{pad}){suffix}"]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and whole:
        return _long_string(prefix, text, suffix, indent)
    raise _NoForm(text)


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
            return [head, *_fitting(body, indent + _INDENT), tail]
        if text[start] == "(":
            together = " " * (indent + _INDENT) + ", ".join(pieces)
            if len(together) <= WIDTH:
                return [head, together, tail]
            if len(pieces) == 1 and isinstance(_parsed(f"f({body})").args[0], ast.GeneratorExp):  # type: ignore[attr-defined]
                raise _NoForm(text)
        elif text[start] == "[" and start:
            raise _NoForm(text)  # whether the index is opened or what is before it: the tool weighs both
        return _exploded(head, pieces, tail, indent)
    raise _NoForm(text)


def _links(text: str, pairs: Sequence[tuple[int, int]]) -> int:
    """How many `.name(...)` follow a call or an index: from two on they stand one a line."""
    return sum(text[end + 1 : end + 2] == "." and "(" in text[end + 1 :] for _, end in pairs)


def _fluent(prefix: str, text: str, suffix: str, indent: int, pairs: Sequence[tuple[int, int]]) -> list[str]:
    pad, inner = " " * indent, " " * (indent + _INDENT)
    if len(inner) + len(text) <= WIDTH:
        return [f"{pad}{prefix}(", inner + text, f"{pad}){suffix}"]
    cuts = [0, *(end + 1 for _, end in pairs if text[end + 1 : end + 2] == "."), len(text)]
    links = [inner + text[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    if any(len(link) > WIDTH for link in links):
        raise _NoForm(text)
    return [f"{pad}{prefix}(", *links, f"{pad}){suffix}"]


def _no_form(text: str) -> list[str]:
    raise _NoForm(text)


def _exploded(head: str, pieces: Sequence[str], tail: str, indent: int) -> list[str]:
    """One item a line."""
    if not pieces:
        raise _NoForm(head)
    if len(pieces) >= _TABLE_FROM and all(re.fullmatch(r"-?(?:[\d.e-]+|np\.inf|np\.nan)", p) for p in pieces):
        raise _NoForm(head)
    body: list[str] = []
    for piece in pieces:
        named = re.match(r"(?:[A-Za-z_]\w*=(?!=)|\*{1,2})", piece)
        key = named[0] if named else ""
        if head.rstrip()[-1] == "{" and not key:
            parsed = _parsed("{" + piece + "}")
            if isinstance(parsed, ast.Dict) and parsed.keys[0] is not None:
                key = piece[: parsed.values[0].col_offset - 1]
        body += _wrap(key, piece[len(key) :], ",", indent + _INDENT, False)
    return [head, *body, tail]


def _long_string(prefix: str, text: str, suffix: str, indent: int) -> list[str]:
    """A string that is too long: its pieces a line each, in brackets; a single one stays where that helps nothing."""
    pad = " " * indent
    tokens = tokenize.generate_tokens(io.StringIO(text + "\n").readline)
    pieces = [t.string for t in tokens if t.type == tokenize.STRING]
    if len(pieces) == 1 and indent + _INDENT + len(pieces[0]) > WIDTH:
        return [f"{pad}{prefix}{text}{suffix}"]
    if len(pieces) > 1 and all(p[0] == '"' for p in pieces):
        joined = '"' + "".join(p[1:-1] for p in pieces) + '"'
        if len(joined) + indent + _INDENT <= WIDTH:
            return _wrap(prefix, joined, suffix, indent, True)
    body = [line for piece in pieces for line in _fitting(piece, indent + _INDENT)]
    return [f"{pad}{prefix}(", *body, f"{pad}){suffix}"]


def _fitting(text: str, indent: int) -> list[str]:
    if indent + len(text) > WIDTH:
        raise _NoForm(text)
    return [" " * indent + text]


def _comprehension(body: str, node: ast.expr, shift: int) -> list[str]:
    """The parts of a comprehension: what is made, each `for`, each `if`."""
    cuts = []
    for generator in getattr(node, "generators", []):
        cuts.append(body.rindex("for ", 0, generator.target.col_offset - shift))
        cuts += [body.rindex("if ", 0, test.col_offset - shift) for test in generator.ifs]
    ends = [*cuts, len(body)]
    return [body[: cuts[0]].strip(), *(body[a:b].strip() for a, b in zip(ends, ends[1:], strict=False))]


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
    for left, right in zip(spans, spans[1:], strict=False):
        between = text[left.end_col_offset : right.col_offset]
        cuts.append((left.end_col_offset or 0) + len(between) - len(between.lstrip(" )")))
    ends = [*cuts, len(text)]
    return [text[a:b].strip() for a, b in zip(ends, ends[1:], strict=False)]


def _encloses(text: str) -> bool:
    """Whether the first bracket is closed by the last."""
    pairs = _brackets(text)
    return bool(pairs) and pairs[0] == (0, len(text) - 1)


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        raise _NoForm(text) from None


def _scan(text: str, see: Callable[[str, int, int], None]) -> None:
    """Calls `see(character, column, depth)` for brackets and commas outside strings and a lambda's parameters."""
    depth, lambdas = 0, 0
    for token in tokenize.generate_tokens(io.StringIO(f"({text}\n)\n").readline):
        lambdas += token.string == "lambda"
        if token.type != tokenize.OP:
            continue
        if lambdas and token.string in ",:":
            lambdas -= token.string == ":"
            continue
        column = token.start[1] - 1
        if token.start[0] > 1 or column < 0:
            continue
        if token.string in _CLOSING:
            depth -= 1
        if token.string in (*_OPENING, *_CLOSING, ","):
            see(token.string, column, depth)
        if token.string in _OPENING:
            depth += 1


def _pieces(body: str) -> list[str]:
    """What stands between the commas of a bracket's content."""
    cuts = [-1]
    _scan(body, lambda c, at, depth: cuts.append(at) if c == "," and depth == 0 else None)
    ends = [*cuts, len(body)]
    found = [body[a + 1 : b].strip() for a, b in zip(ends, ends[1:], strict=False)]
    return [piece for piece in found if piece]


def _brackets(text: str) -> list[tuple[int, int]]:
    """The outermost pairs of brackets: where each opens and closes."""
    opened: list[int] = []
    closed: list[int] = []

    def see(character: str, at: int, depth: int) -> None:
        if depth == 0 and character in _OPENING:
            opened.append(at)
        elif depth == 0 and character in _CLOSING:
            closed.append(at)

    _scan(text, see)
    return list(zip(opened, closed, strict=True))


