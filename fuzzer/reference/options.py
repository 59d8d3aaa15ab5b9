"""The options of an operator, whatever wrote them: absent options mean the schema's defaults."""

from __future__ import annotations

from typing import Any

from fuzzer.reference.graph import Node


def option(node: Node, name: str, default: Any) -> Any:
    """One field of the operator's options (flatbuffer schema spelling, lowerCamelCase), or the schema's default."""
    if node.options is None:
        return default
    return getattr(node.options, name, default)


def flag(node: Node, name: str) -> bool:
    """A boolean field; the schema's default is false."""
    return bool(option(node, name, False))
