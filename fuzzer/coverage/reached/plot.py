"""A line plot as SVG: steps over time, labelled at their ends. No script, no style sheet, readable in print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 300
"""Pixels of the picture, which scales with its page."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 12, 40
COLOURS = ("#1f6feb", "#c2410c", "#15803d", "#7c3aed", "#0f766e")
"""Dark enough to be told apart on white and by the colour-blind in this order (blue, orange, green)."""
_LABEL_PX = 15
_TICKS = 5
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Between two marks on the axis of time, in seconds."""


@dataclass(frozen=True)
class Curve:
    """One line of the plot: (seconds, value), ascending in time."""

    name: str
    points: Sequence[tuple[float, float]]


def svg(curves: Sequence[Curve], title: str) -> str:
    """The picture of some curves over the same time. An empty string when there is nothing to draw."""
    longest = max((curve.points[-1][0] for curve in curves if curve.points), default=0.0)
    highest = max((value for curve in curves for _, value in curve.points), default=0.0)
    if longest <= 0 or highest <= 0:
        return ""
    step = nice(highest / _TICKS)
    top = step * math.ceil(highest / step)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12">'
    ]
    for i in range(round(top / step) + 1):
        y = _y(i * step, top)
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#4b5563">{i * step:,.0f}</text>')
    for at in marks(longest):
        x, y = _x(at, longest), HEIGHT - _BOTTOM
        parts.append(f'<line x1="{x}" x2="{x}" y1="{y}" y2="{y + 5}" stroke="#9ca3af"/>')
        parts.append(f'<text x="{x}" y="{y + 20}" text-anchor="middle" fill="#4b5563">{_time(at)}</text>')
    ends = _apart([_y(curve.points[-1][1], top) for curve in curves])
    for curve, colour, end in zip(curves, COLOURS, ends, strict=False):
        parts.append(f'<path d="{_steps(curve, longest, top)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        label = f"{escape(curve.name)} {curve.points[-1][1]:,.0f}"
        parts.append(f'<text x="{WIDTH - _RIGHT + 8}" y="{end + 4}" fill="{colour}">{label}</text>')
    return "".join([*parts, "</svg>"])


def nice(value: float) -> float:
    """The next larger of 1, 2 and 5 times a power of ten; at least 1."""
    power = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value or factor == 10)


def marks(longest: float) -> list[float]:
    """Times with a mark, in seconds from the start."""
    step = next((step for step in _STEPS_S if longest / step <= 8), 86400 * math.ceil(longest / 8 / 86400))
    return [float(i * step) for i in range(int(longest // step) + 1)]


def _x(seconds: float, longest: float) -> float:
    return round(_LEFT + seconds / longest * (WIDTH - _LEFT - _RIGHT), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM), 1)


def _steps(curve: Curve, longest: float, top: float) -> str:
    """A path that stays level until the next point: nothing is known between two."""
    first, *rest = curve.points
    path = [f"M{_x(first[0], longest)} {_y(first[1], top)}"]
    for seconds, value in rest:
        path.append(f"H{_x(seconds, longest)}V{_y(value, top)}")
    return "".join(path) + f"H{_x(longest, longest)}"


def _apart(ends: Sequence[float]) -> list[float]:
    """Moves labels so that none lies on another, keeping their order."""
    order = sorted(range(len(ends)), key=lambda i: ends[i])
    placed = list(ends)
    floor = -math.inf
    for i in order:
        placed[i] = max(ends[i], floor)
        floor = placed[i] + _LABEL_PX
    over = max((placed[i] for i in order), default=0.0) - (HEIGHT - _BOTTOM)
    return [y - max(0.0, over) for y in placed]


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:g} min"
    return f"{seconds / 3600:g} h" if seconds < 2 * 86400 else f"{seconds / 86400:g} d"
