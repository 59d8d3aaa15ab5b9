"""Python text as `ruff format` leaves it, at that tool's own line length; for the forms that reproducers are made of.

No formatter is needed at run time. Three forms are what `ruff format` makes at its default width: one line that fits;
a call whose arguments fit on a line of their own; one item a line with a comma after each. What has none of these forms
(tables of numbers above all) keeps its layout and ends with `# fmt: skip`, which the tool obeys.
Rules: https://docs.astral.sh/ruff/formatter/black/ and the Black code style it refers to.
"""

from __future__ import annotations

import ast
import keyword
import re
import tokenize
from collections.abc import Sequence

from fuzzer.reproducer.tokens import tokens
from fuzzer.reproducer.wrapped import CLOSING, INDENT, OPENING, WIDTH, NoForm, parsed, wrap

_SKIP = "  # fmt: skip"
_TRIVIA = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


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
            head_end = next(i for i in range(first, start, -1) if _opens(self._lines[i - 1]))
            made += _header(self._lines[start:head_end], indent)
            start = body[-1].end_lineno or body[-1].lineno
            made += self.block(body, indent + INDENT, head_end, start)
        return made

    def _simple(self, node: ast.stmt, indent: int) -> list[str]:
        source = self._lines[node.lineno - 1 : node.end_lineno]
        own = [line[indent:] if i == 0 else line for i, line in enumerate(source)]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return [" " * indent + own[0], *own[1:]]  # a docstring
        if source[-1].endswith(_SKIP):
            return list(source)
        one, comment, plain = _joined("\n".join(own))
        if not plain or any(_spaced(part) for part in ast.walk(node)):
            return [*source[:-1], source[-1] + _SKIP]
        if len(one) + indent + len(comment) > WIDTH or len(source) > 1:
            try:
                made = _wrapped_statement(one, node, indent)
            except NoForm:
                return [*source[:-1], source[-1] + _SKIP]
        else:
            made = [" " * indent + one]
        return [*made[:-1], made[-1] + comment]


def _opens(line: str) -> bool:
    """Whether a line ends the head of a block; a comment after the colon, or a `#` in a string, changes nothing."""
    return any(part.rstrip().endswith(":") for part in (line, line.rsplit("#", 1)[0]))


def _spaced(part: ast.AST) -> bool:
    """Whether this is a slice between more than names and numbers: the tool has spaces in these."""
    if not isinstance(part, ast.Slice):
        return False
    plain = (ast.Name, ast.Constant, ast.UnaryOp, ast.Attribute)
    return any(bound is not None and not isinstance(bound, plain) for bound in (part.lower, part.upper, part.step))


def _first(node: ast.stmt) -> int:
    """The first line of a statement, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
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
        found = tokens(source.strip() + "\n")
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return source, "", False
    comments = [t for t in found if t.type == tokenize.COMMENT]
    words = [t for t in found if t.type not in _TRIVIA]
    inside = [t for t in comments if words and t.start < words[-1].end]
    if inside or any(t.type == tokenize.STRING and "\n" in t.string for t in words):
        return source, "", False
    text = ""
    for i, token in enumerate(words):
        last = words[i - 1] if i else token
        if i and token.start[0] == last.end[0]:
            gap = " " * (token.start[1] - last.end[1])
        else:
            gap = "" if not i or last.string in OPENING or token.string in CLOSING else " "
        if _hugs(words, i):
            gap = ""
        if token.string in CLOSING and last.string == ",":
            text = text[:-1] if not _lone(text) else text
        text += gap + _spelled(token)
    return text, f"  {comments[-1].string}" if comments else "", True


def _hugs(words: Sequence[tokenize.TokenInfo], i: int) -> bool:
    """Whether no space goes before a token: around a power of a plain name or number by another."""
    for at in (i, i - 1):
        if 0 < at < len(words) - 1 and words[at].string == "**":
            sides = [words[at - 1], words[at + 1]]
            after = words[at + 2].string if at + 2 < len(words) else ""
            plain = all(t.type in (tokenize.NAME, tokenize.NUMBER) for t in sides) and after not in OPENING[:2]
            if plain and not (sides[0].type == tokenize.NAME and keyword.iskeyword(sides[0].string)):
                return True
    return False


def _lone(text: str) -> bool:
    """Whether the comma at the end of `text` makes a tuple of one."""
    depth = 0
    for i in range(len(text) - 2, -1, -1):
        if text[i] in CLOSING:
            depth += 1
        elif text[i] in OPENING:
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
    quoted = re.fullmatch(r"([bBfF]?)'((?:[^'\"\\]|\\[^\"])*)'", text) if token.type == tokenize.STRING else None
    if quoted is None or (quoted[1].lower() == "f" and "\\'" in text):
        return text
    body = quoted[2].replace("\\'", "'")
    return f'{quoted[1].lower()}"{body}"'


def _wrapped_statement(one: str, node: ast.stmt, indent: int) -> list[str]:
    """The lines of a simple statement that may be too long for one."""
    if len(one) + indent <= WIDTH and not isinstance(node, ast.Assign | ast.Return):
        return [" " * indent + one]
    tree = ast.parse(one).body[0]
    if isinstance(tree, ast.Assign | ast.AugAssign):
        target = tree.targets[-1] if isinstance(tree, ast.Assign) else tree.target
        cut = one.index("=", target.end_col_offset or 0) + 1
        prefix, value = one[:cut] + " ", one[cut:].strip()
    elif isinstance(tree, ast.Return) and tree.value is not None:
        prefix, value = "return ", one[len("return") :].strip()
    elif isinstance(tree, ast.Expr):
        prefix, value = "", one
    else:
        raise NoForm(one)
    return wrap(prefix, _bare(value), "", indent, True)


def _bare(value: str) -> str:
    """An expression without the brackets around the whole of it, where they mean nothing."""
    inner = value[1:-1].strip() if value.startswith("(") else value
    if inner is value or isinstance(parsed(value), ast.Tuple | ast.GeneratorExp):
        return value
    try:
        same = ast.dump(ast.parse(inner, mode="eval")) == ast.dump(ast.parse(value, mode="eval"))
    except SyntaxError:
        return value
    return inner if same and value.endswith(")") else value
