"""A case drawn as a graph in text: what feeds what, with attributes and, where the case is valid, types."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fuzzer.case import decode
from fuzzer.errors import CaseError
from fuzzer.screen.text import one_line
from fuzzer.screen.wiring import Drawn, Step, TooWideError, wire

INPUT, NODE, BLAMED, RESULT = "○", "●", "◆", "◎"
_DIMENSIONS = re.compile(r"_?[1-6]d(?=_|$)")


@dataclass(frozen=True)
class _Row:
    """A node of the drawing: what it is wired as, its line, and lines of details below."""

    step: Step
    words: Text
    details: tuple[Text, ...] = ()


def graph(tree: Any, caption: str, blame: str = "") -> RenderableType:
    """The model, conversion and inference of a case's JSON; `blame` is the operator or party at fault.

    An invalid case (an older one, an edited one) is drawn as far as it goes, with the reason below it.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get("model"), dict):
        return Text(f"The {caption} is damaged: expected an object with a model.", style="yellow")
    types, problem = _types(tree)
    model = tree["model"]
    blamed = _blamed(model, blame)
    parts: list[RenderableType] = [Text(_caption(model, caption), style="bold")]
    parts += _drawing(_rows(model, types, blamed, blame))
    if blame and not blamed:
        parts.append(
            Text(one_line(f"Blamed: {blame}; no node is called so, the conversion brings it in"), style="bold red")
        )
    parts += [Text(), _sections(tree)]
    if problem:
        parts.append(Text(f"This version can't run it: {one_line(problem)}", style="yellow"))
    return Group(*parts)


def _types(tree: dict[str, Any]) -> tuple[dict[str, str], str]:
    try:
        types = decode(json.dumps(tree)).model.types
    except CaseError as invalid:
        return {}, str(invalid)
    return {name: str(type_) for name, type_ in types.items()}, ""


def _caption(model: dict[str, Any], caption: str) -> str:
    patterns = ", ".join(str(p) for p in _list(model.get("patterns")))
    count = len(_list(model.get("nodes")))
    nodes = f"{count} node{'' if count == 1 else 's'}"
    return one_line(f"{caption}: {nodes}" + (f", from {patterns}" if patterns else ""))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# --- what is blamed ---------------------------------------------------------------------------------------


def _blamed(model: dict[str, Any], blame: str) -> set[int]:
    """The nodes that `blame` means, by place: the only one there is, or those whose op is called like it.

    Blame names operators of the flatbuffer (`CONV_2D (int8)`), a case's nodes are ops of TensorFlow (`conv2d`).
    """
    nodes = _list(model.get("nodes"))
    if not blame:
        return set()
    if len(nodes) == 1:
        return {0}
    names = {i: _bare(str(node.get("op", ""))) for i, node in enumerate(nodes) if isinstance(node, dict)}
    wanted = _bare(blame.split(" (")[0])
    same = {i for i, name in names.items() if name == wanted}
    return same or {i for i, name in names.items() if name and wanted and (name <= wanted or wanted <= name)}


def _bare(name: str) -> frozenset[str]:
    """The words of a name, without what only says the number of dimensions."""
    return frozenset(filter(None, _DIMENSIONS.sub("", name.casefold()).split("_")))


# --- the drawing ------------------------------------------------------------------------------------------


def _rows(model: dict[str, Any], types: dict[str, str], blamed: set[int], blame: str) -> list[_Row]:
    rows = []
    for i, input_ in enumerate(_list(model.get("inputs"))):
        name = f"x{i}"
        rows.append(_Row(Step(name, (), INPUT), _words(name, "input", "", types.get(name) or _plain(input_))))
    for i, node in enumerate(_list(model.get("nodes"))):
        rows.append(_node(f"n{i}", node, types, blame if i in blamed else ""))
    outputs = tuple(str(name) for name in _list(model.get("outputs")))
    rows.append(_Row(Step("", outputs, RESULT), Text(one_line(f"return {', '.join(outputs)}"))))
    return rows


def _node(name: str, node: Any, types: dict[str, str], blame: str) -> _Row:
    if not isinstance(node, dict):
        return _Row(Step(name, (), NODE), _words(name, "damaged node", "", ""))
    operands = tuple(str(v) for v in _list(node.get("operands")))
    words = _words(name, str(node.get("op", "?")), f"({', '.join(operands)})", types.get(name, ""))
    if blame:
        words.append(f"  ◀ blamed: {one_line(blame)}", "bold red")
    details = []
    for label in ("attrs", "weights"):
        fields = node.get(label)
        if isinstance(fields, dict) and fields:
            shown = "  ".join(f"{key}={_plain(value)}" for key, value in fields.items())
            details.append(Text(one_line(f"{'' if label == 'attrs' else 'weights '}{shown}"), style="dim"))
    return _Row(Step(name, operands, BLAMED if blame else NODE), words, tuple(details))


def _words(name: str, op: str, operands: str, type_: str) -> Text:
    text = Text(f"{one_line(name)} = ", overflow="fold")
    text.append(one_line(op), "bold cyan")
    text.append(one_line(operands))
    if type_:
        text.append(f"  {one_line(type_)}", "green")
    return text


def _drawing(rows: list[_Row]) -> list[RenderableType]:
    """Strokes left, words right; a graph with too many values at once gets its words only."""
    try:
        drawn = wire([row.step for row in rows])
    except TooWideError:
        drawn = [Drawn((), row.step.mark, "") for row in rows]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row, strokes in zip(rows, drawn, strict=True):
        for above in strokes.above:
            table.add_row(Text(above), Text())
        look = "bold red" if row.step.mark == BLAMED else "cyan"
        table.add_row(Text(strokes.row, look if len(strokes.row.split()) == 1 else ""), row.words)
        for detail in row.details:
            table.add_row(Text(strokes.beside), detail)
    return [table]


# --- values -----------------------------------------------------------------------------------------------


def _plain(value: Any) -> str:
    """A value without the noise of JSON: recipes as `normal seed=3`, lists as `(3, 3)`."""
    if isinstance(value, dict):
        rest = " ".join(f"{k}={_plain(v)}" for k, v in value.items() if k != "distribution")
        return f"{value.get('distribution', '')} {rest}".strip()
    if isinstance(value, list):
        return f"({', '.join(_plain(v) for v in value)})"
    return str(value)


def _sections(tree: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name in ("conversion", "inference"):
        fields = tree.get(name)
        shown = [f"{k}={_plain(v)}" for k, v in fields.items()] if isinstance(fields, dict) else []
        table.add_row(Text(name), Text(one_line("  ".join(shown)) or "defaults"))
    return table
