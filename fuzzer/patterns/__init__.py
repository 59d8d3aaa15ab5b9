"""Named fused sub-graphs: what people build and what the converter rewrites.

A pattern is a chain of steps; a step names the op, or several of which one is drawn, and may pin attributes.
Everything not pinned is drawn and mutates. To add a pattern, add an entry to `PATTERNS` in `catalogue.py`.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

from fuzzer import plugins
from fuzzer.errors import UserError
from fuzzer.ops import registry
from fuzzer.patterns.catalogue import PATTERNS
from fuzzer.patterns.spec import Pattern, Step


@cache
def patterns() -> MappingProxyType[str, Pattern]:
    """All patterns by name, plugins' included. Raises `UserError` when two have one name."""
    found: dict[str, Pattern] = {}
    sources = [("the package", PATTERNS), *((path, getattr(m, "PATTERNS", ())) for path, m in plugins.modules())]
    for source, several in sources:
        for pattern in several:
            if pattern.name in found:
                raise UserError(f"pattern {pattern.name!r} of {source} exists already; give it another name")
            missing = sorted({op for step in pattern.steps for op in step.ops} - set(registry()))
            if missing:
                raise UserError(
                    f"pattern {pattern.name!r} of {source} names ops that do not exist: {', '.join(missing)}"
                )
            found[pattern.name] = pattern
    return MappingProxyType(found)


__all__ = ["PATTERNS", "Pattern", "Step", "patterns"]
