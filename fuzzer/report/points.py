"""Two plots of numbers as SVG: expected against actual, and the error by element. No script, readable in print."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from fuzzer.coverage.reached.plot import COLOURS
from fuzzer.html import Html
from fuzzer.report.material import Array
from fuzzer.screen.text import number

WIDTH, HEIGHT = 440, 320
"""Pixels of a picture, two of which stand side by side."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 14, 12, 44
MAX_POINTS = 1500
"""Elements drawn; of more, those with the largest errors and an even choice of the rest."""
_WRONG = "#dc2626"
MAX_DECADES = 16.0
"""Of a logarithmic axis; what is smaller lies at its lower end: no float64 holds both."""
_RANGE = 1e3
"""From this ratio of the largest to the smallest value on, an axis is logarithmic."""


class Axis:
    """A linear or logarithmic axis over some values; NaN and infinity lie beyond its upper end."""

    def __init__(self, values: Array, low: float, high: float, *, log: bool = False) -> None:
        """`low` and `high` are pixels. `log` asks for a logarithmic axis where the values' range is large."""
        finite = values[np.isfinite(values)]
        self.low, self.high = low, high
        self.log = False
        if log:
            positive = finite[finite > 0]
            self.log = bool(positive.size) and float(positive.max()) > _RANGE * float(positive.min())
            finite = positive if self.log else np.append(finite, 0.0)
        bottom, top = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        if self.log:
            top = float(math.ceil(math.log10(top)))
            bottom = max(float(math.floor(math.log10(bottom))), top - MAX_DECADES)
        if log and not top > 0 and not self.log:
            bottom, top = 0.0, 1.0  # errors: none of them a number above zero
        spread = top - bottom
        if not spread > 0 or not math.isfinite(spread):
            half = abs(top) / 2 if math.isfinite(spread) and top else 0.5
            bottom, top = (bottom, top) if spread > 0 else (bottom - half, top + half)
        margin = (top / 20 - bottom / 20) if not self.log else 0.0
        self.bottom, self.top = (bottom - margin if bottom else 0.0), top + margin

    def at(self, value: float) -> float:
        """The pixel of a value."""
        if not math.isfinite(value):
            share = 1.0 if math.isnan(value) or value > 0 else 0.0
        elif self.log:
            share = (math.log10(value) - self.bottom) / (self.top - self.bottom) if value > 0 else 0.0
        else:
            # Halves first: the difference of two huge numbers need not be a number.
            share = (value / 2 - self.bottom / 2) / (self.top / 2 - self.bottom / 2)
        return round(self.low + min(1.0, max(0.0, share)) * (self.high - self.low), 1)

    def ticks(self) -> list[float]:
        """About five values to write at the axis."""
        if self.log:
            least, most = int(self.bottom), int(self.top)
            return [10.0**e for e in range(least, most + 1, max(1, math.ceil((most - least) / 5)))]
        step = _step((self.top / 2 - self.bottom / 2) / 2.5)
        if not step or not math.isfinite(step):
            return [self.bottom, self.top]
        first = math.ceil(self.bottom / step)
        ticks = [(first + i) * step for i in range(12)]
        return [0.0 if abs(t) < step / 1e6 else t for t in ticks if t <= self.top + step * 1e-9]


def chosen(errors: Array) -> Array:
    """The elements that are drawn, ascending: i64[at most `MAX_POINTS`]."""
    if errors.size <= MAX_POINTS:
        return np.arange(errors.size)
    worst = np.argsort(-np.nan_to_num(errors, posinf=np.finfo(np.float64).max), kind="stable")[: MAX_POINTS // 2]
    even = np.linspace(0, errors.size - 1, MAX_POINTS - worst.size).astype(np.int64)
    return np.unique(np.concatenate([worst, even]))


def scatter(expected: Array, actual: Array, errors: Array, wrong: Array) -> Html:
    """Actual over expected, with the line on which they are equal. `wrong` (bool) elements are red."""
    both = np.concatenate([expected, actual])
    x, y = Axis(both, _LEFT, WIDTH - _RIGHT), Axis(both, HEIGHT - _BOTTOM, _TOP)
    line = f'<line x1="{x.low}" y1="{y.low}" x2="{x.high}" y2="{y.high}" stroke="#9ca3af" stroke-dasharray="4 4"/>'
    dots = "".join(
        _dot(x.at(float(expected[i])), y.at(float(actual[i])), bool(wrong[i]))
        for i in sorted(chosen(errors), key=lambda i: bool(wrong[i]))
    )
    return _picture("expected against actual", x, y, "expected", "actual", line + dots)


def by_element(errors: Array, wrong: Array) -> Html:
    """The error over the place of the element, logarithmic where it spans many decades."""
    shown = chosen(errors)
    x = Axis(np.array([0.0, max(1.0, errors.size - 1.0)]), _LEFT + 6, WIDTH - _RIGHT - 6)
    y = Axis(errors, HEIGHT - _BOTTOM, _TOP + 6, log=True)
    stems = "".join(
        f'<line x1="{x.at(float(i))}" x2="{x.at(float(i))}" y1="{y.low}" y2="{y.at(float(errors[i]))}" '
        f'stroke="{_WRONG if wrong[i] else COLOURS[0]}" stroke-opacity=".35"/>'
        for i in shown
        if errors.size <= 200
    )
    dots = "".join(_dot(x.at(float(i)), y.at(float(errors[i])), bool(wrong[i])) for i in shown)
    return _picture("error by element", x, y, "element", "error" + (", logarithmic" if y.log else ""), stems + dots)


def _dot(x: float, y: float, wrong: bool) -> str:
    return f'<circle cx="{x}" cy="{y}" r="3" fill="{_WRONG if wrong else COLOURS[0]}" fill-opacity=".75"/>'


def _picture(title: str, x: Axis, y: Axis, below: str, beside: str, inner: str) -> Html:
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - _RIGHT}" height="{HEIGHT - _TOP - _BOTTOM}" '
        'fill="none" stroke="#d1d5db"/>',
    ]
    whole = below == "element"
    for tick in x.ticks():
        if whole and tick != int(tick):
            continue
        at = x.at(tick)
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM + 4}" stroke="#9ca3af"/>'
        )
        label = f"{tick:,.0f}" if whole else number(tick)
        parts.append(f'<text x="{at}" y="{HEIGHT - _BOTTOM + 17}" text-anchor="middle" fill="#4b5563">{label}</text>')
    for tick in y.ticks():
        at = y.at(tick)
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at}" y2="{at}" stroke="#f3f4f6"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4}" text-anchor="end" fill="#4b5563">{number(tick)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle" fill="#6b7280">{escape(below)}</text>')
    turned = (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="14" y="{turned}" text-anchor="middle" fill="#6b7280" transform="rotate(-90 14 {turned})">'
        f"{escape(beside)}</text>"
    )
    return Html("".join([*parts, inner, "</svg>"]))


def _step(value: float) -> float:
    """The nearest of 1, 2 and 5 times a power of ten that is not smaller; 0 where there is none."""
    if not value > 0 or not math.isfinite(value):
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next((f * power for f in (1, 2, 5) if f * power >= value * (1 - 1e-9)), 10 * power))
