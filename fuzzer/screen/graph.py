"""A case drawn as text: one line a node, with operands, attributes and, where the case is valid, types."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fuzzer.case import decode
from fuzzer.errors import CaseError
from fuzzer.screen.text import one_line


def graph(tree: Any, caption: str) -> RenderableType:
    """The model, conversion and inference of a case's JSON.

    An invalid case (an older one, an edited one) is drawn as far as it goes, with the reason below it.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get("model"), dict):
        return Text(f"The {caption} is damaged: expected an object with a model.", style="yellow")
    types, problem = _types(tree)
    parts: list[RenderableType] = [Text(_caption(tree["model"], caption), style="bold")]
    parts += _model(tree["model"], types)
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
    return one_line(f"{caption}: {len(_list(model.get('nodes')))} nodes" + (f", from {patterns}" if patterns else ""))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _model(model: dict[str, Any], types: dict[str, str]) -> list[Text]:
    lines = []
    for i, input_ in enumerate(_list(model.get("inputs"))):
        shape = types.get(f"x{i}") or _plain(input_)
        lines.append(_line(f"x{i}", "input", "", shape))
    for i, node in enumerate(_list(model.get("nodes"))):
        lines += _node(f"n{i}", node, types)
    outputs = ", ".join(str(name) for name in _list(model.get("outputs")))
    lines.append(Text(f"     return {one_line(outputs)}"))
    return lines


def _line(name: str, op: str, operands: str, type_: str) -> Text:
    text = Text(f"{name:>4} = ", overflow="fold")
    text.append(one_line(op), "bold cyan")
    text.append(one_line(operands))
    if type_:
        text.append(f"  {one_line(type_)}", "green")
    return text


def _node(name: str, node: Any, types: dict[str, str]) -> list[Text]:
    if not isinstance(node, dict):
        return [_line(name, "damaged node", "", "")]
    operands = ", ".join(str(v) for v in _list(node.get("operands")))
    lines = [_line(name, str(node.get("op", "?")), f"({operands})", types.get(name, ""))]
    for label in ("attrs", "weights"):
        fields = node.get(label)
        if isinstance(fields, dict) and fields:
            shown = "  ".join(f"{key}={_plain(value)}" for key, value in fields.items())
            prefix = "" if label == "attrs" else "weights "
            lines.append(Text(one_line(f"         {prefix}{shown}"), style="dim"))
    return lines


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
