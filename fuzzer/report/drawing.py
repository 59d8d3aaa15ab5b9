"""A graph as an SVG: boxes with a name and lines below it, edges, and marks on what is blamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from fuzzer.html import Html
from fuzzer.report.layers import place

_CHAR, _LINE, _PAD = 7.0, 16.0, 9.0
"""Pixels of a character of the font at 12 px, of a line, and around the text of a box."""
_MARGIN = 6.0
MAX_LABEL = 44
"""Characters of a line in a box."""
MAX_DRAWN = 90
"""Boxes; a larger graph is unreadable as a picture, and is cut with a note."""
MAX_WIDTH = 900
"""Pixels that a page has for pictures; two that fit into them stand side by side."""
_COLOURS = {
    "input": ("#f9fafb", "#9ca3af"),
    "node": ("#eff6ff", "#93c5fd"),
    "output": ("#f9fafb", "#9ca3af"),
    "blamed": ("#fef2f2", "#dc2626"),
}


@dataclass(frozen=True)
class Box:
    """A node: its key, its name, lines below it, and what it is (`input`, `node`, `output`, `blamed`)."""

    key: str
    name: str
    lines: tuple[str, ...] = ()
    role: str = "node"


def draw(boxes: Sequence[Box], edges: Sequence[tuple[str, str]], title: str, caption: str) -> Html:
    """The picture with a caption, as wide as it needs. `boxes` come in an order in which every edge leads forwards."""
    shown = list(boxes[:MAX_DRAWN])
    placed = place({box.key: _size(box) for box in shown}, edges)
    width, height = placed.width + 2 * _MARGIN, placed.height + 2 * _MARGIN
    parts = [
        f'<figure style="flex:1 1 {min(width, MAX_WIDTH):.0f}px"><figcaption>{escape(caption)}</figcaption>'
        f'<svg class="graph" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg" font-family="ui-monospace, monospace" '
        'font-size="12">'
    ]
    sizes = {box.key: _size(box) for box in shown}
    for (a, b), route in placed.routes.items():
        points = [(x + _MARGIN, y + _MARGIN) for x, y in route]
        points[0] = (points[0][0], points[0][1] + sizes[a][1] / 2)
        points[-1] = (points[-1][0], points[-1][1] - sizes[b][1] / 2 - 5)
        parts.append(f'<path d="{_curve(points)}" fill="none" stroke="#9ca3af"/>{_head(points[-1])}')
    for box in shown:
        x, y = placed.centres[box.key]
        parts.append(_box(box, x + _MARGIN, y + _MARGIN))
    parts.append("</svg>")
    if len(boxes) > len(shown):
        parts.append(f'<p class="dim">The first {len(shown)} of {len(boxes)} nodes.</p>')
    return Html("".join([*parts, "</figure>"]))


def shorten(text: str) -> str:
    """A label of at most `MAX_LABEL` characters, on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MAX_LABEL else line[: MAX_LABEL - 1] + "…"


def _size(box: Box) -> tuple[float, float]:
    longest = max(len(shorten(line)) for line in (box.name, *box.lines))
    return max(64.0, longest * _CHAR + 2 * _PAD), (1 + len(box.lines)) * _LINE + 2 * _PAD - 4


def _box(box: Box, x: float, y: float) -> str:
    width, height = _size(box)
    fill, stroke = _COLOURS[box.role]
    left, top = x - width / 2, y - height / 2
    thick = 2.5 if box.role == "blamed" else 1
    parts = [
        f"<g><title>{escape(' '.join((box.name, *box.lines)))}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="{thick}"/>'
    ]
    for i, line in enumerate((box.name, *box.lines)):
        style = 'font-weight="600" fill="#111827"' if i == 0 else 'fill="#4b5563"'
        at = top + _PAD + 11 + i * _LINE - 2
        parts.append(f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="middle" {style}>{escape(shorten(line))}</text>')
    return "".join([*parts, "</g>"])


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Vertical at its ends and at every layer it passes."""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    return "".join(path)


def _head(tip: tuple[float, float]) -> str:
    x, y = tip
    return f'<path d="M{x - 4:.1f} {y - 2:.1f}L{x:.1f} {y + 5:.1f}L{x + 4:.1f} {y - 2:.1f}Z" fill="#9ca3af"/>'
