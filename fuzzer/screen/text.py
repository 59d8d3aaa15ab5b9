"""Pure formatting shared by the screens: numbers, times and small drawings become short text."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from fuzzer.campaign.snapshot import Cell

BARS = "▁▂▃▄▅▆▇█"
UNKNOWN = "-"
KIND_ORDER = (
    "crash",
    "out-of-memory",
    "hang",
    "value",
    "calibration",
    "metamorphic",
    "nan-propagation",
    "shape",
    "dtype",
    "output-count",
    "invoke-error",
    "allocate-error",
    "converter-error",
)
"""Most urgent first: a dead process, then silently wrong results, then errors that say so."""
KIND_STYLES = {
    "crash": "bold red",
    "out-of-memory": "red",
    "hang": "magenta",
    "value": "yellow",
    "metamorphic": "yellow",
    "nan-propagation": "bright_yellow",
}
UNIT_SHORT = {
    "elements": "elem", "bytes": "B", "relative": "rel", "absolute": "abs", "outputs": "out", "tensors": "tens",
    "% of the range": "%",
}  # fmt: skip
ALONE = "error"
"""A unit that says all: there is always one of it."""
KIND_SHORT = {
    "out-of-memory": "oom",
    "calibration": "calib",
    "metamorphic": "meta",
    "nan-propagation": "nan",
    "output-count": "outputs",
    "invoke-error": "invoke",
    "allocate-error": "alloc",
    "converter-error": "convert",
}
"""Kinds in seven cells, for small terminals."""
HEAT = ((0.10, "bold white on dark_red"), (0.02, "bold black on orange3"), (0.0, "black on khaki3"))
"""Share of suspicious cases from which a cell takes the style; exactly zero stays plain."""
Z_95 = 1.96
"""Standard deviations that hold 95 % of a normal distribution."""
# Colour sequences, title and link sequences, and two-byte escapes, as a native log may hold them.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def one_line(text: str) -> str:
    """`text` on one line, without anything that could move a terminal's cursor or change its colours."""
    if text.isprintable():
        return text
    bare = " ".join(_ESCAPES.sub("", text).split())
    return "".join(c if c.isprintable() else "·" for c in bare)


def many_lines(text: str) -> str:
    """Like `one_line` for a whole file: line breaks and indentation stay."""
    bare = _ESCAPES.sub("", text).expandtabs(4).splitlines()
    return "\n".join("".join(c if c.isprintable() else "·" for c in line) for line in bare)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    text = one_line(text)
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - length)
    return padding + text if right else text + padding


def duration(seconds: float | None) -> str:
    """`8:03:20`, `2d 08:03:20`; `-` when unknown."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    total = max(0, int(seconds))
    days, rest = divmod(total, 86400)
    hours, rest = divmod(rest, 3600)
    clock = f"{rest // 60:02}:{rest % 60:02}"
    return f"{days}d {hours:02}:{clock}" if days else f"{hours}:{clock}"


def span(seconds: float) -> str:
    """A rough time in one unit: `12 s`, `3 min`, `5 h`, `2 d`."""
    if not math.isfinite(seconds):
        return UNKNOWN
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def parse_time(iso: str) -> datetime | None:
    """The time in an ISO 8601 text, taken as UTC where it does not say; `None` when it is none."""
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def ago(iso: str, now: datetime | None) -> str:
    """How long before `now` a stored time was: `3 min`; `-` when either is unknown."""
    time = parse_time(iso)
    if time is None or now is None:
        return UNKNOWN
    return span((now - time).total_seconds())


def short_ago(iso: str, now: datetime | None) -> str:
    """`ago` in at most three cells: `3m`, `12h`, `99d`, `57w`, `3y`."""
    time = parse_time(iso)
    days = (now - time).days if time is not None and now is not None else 0
    if days >= 100:
        return f"{days // 7}w" if days < 700 else f"{days // 365}y"
    return ago(iso, now).replace(" min", "m").replace(" ", "")


def count(n: float) -> str:
    """A whole number with thousands separated: `45,123`."""
    return f"{int(n):,}" if math.isfinite(n) else UNKNOWN


def short_count(n: int) -> str:
    """A whole number in at most five characters: `9999`, `45k`, `1.2M`."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= size and n >= 10_000:
            scaled = n / size
            return f"{scaled:.1f}{unit}" if scaled < 10 else f"{scaled:.0f}{unit}"
    return str(n)


def rate(per_second: float) -> str:
    """Cases per second: `12.3/s`."""
    return f"{per_second:.1f}/s" if math.isfinite(per_second) else UNKNOWN


def percent(share: float) -> str:
    """A share of 1: `98.2%`; a share that is not zero never reads as zero, nor one below 1 as 100%."""
    if not math.isfinite(share):
        return UNKNOWN
    value = share * 100
    if 0 < value < 0.1:
        return "<0.1%"
    if 99.95 <= value < 100:
        return ">99.9%"
    return f"{value:.0f}%" if value in (0, 100) else f"{value:.1f}%"


def number(value: float) -> str:
    """A measured number in few characters: `37`, `1.25`, `3.1e6`."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 100_000:
        return str(int(value))
    if 0.01 <= abs(value) < 100_000:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def severity(value: float, unit: str) -> str:
    """How bad, with its unit: `SIGSEGV`, `37 steps`, `2.1 GB`, `340x bound`."""
    if unit == "signal":
        return _signal(value)
    if unit == "MB" and value >= 1024:
        return f"{number(value / 1024)} GB"
    if unit.startswith("x "):
        return f"{number(value)}{one_line(unit)}"
    if value == 1:
        return ALONE if unit == ALONE else f"1 {_singular(one_line(unit))}".strip()
    return f"{number(value)} {one_line(unit)}".strip()


def _singular(unit: str) -> str:
    """`steps` of one step is `step`; single letters (`s`, seconds) and other words stay."""
    return unit[:-1] if len(unit) > 2 and unit.endswith("s") else unit


def ulps(value: float) -> str:
    """An error in units in the last place: `8.4e6 ulp`; empty where none was measured."""
    return f"{number(value)} ulp" if value > 0 else ""


def short_severity(value: float, unit: str) -> str:
    """`severity` in at most ten cells: rounded, the unit abbreviated."""
    if unit in ("signal", "MB"):
        return severity(value, unit)
    if not math.isfinite(value):
        shown = str(value)
    elif abs(value) >= 1000 or 0 < abs(value) < 0.01:
        mantissa, _, exponent = f"{value:.0e}".partition("e")
        shown = f"{mantissa}e{int(exponent)}"
    else:
        shown = f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
    if unit.startswith("x "):
        return f"{shown}x"
    if value == 1:
        return ALONE if unit == ALONE else f"1 {UNIT_SHORT.get(unit) or _singular(one_line(unit))}".strip()
    return f"{shown} {one_line(UNIT_SHORT.get(unit, unit))}".strip()


def _signal(value: float) -> str:
    try:
        return signal.Signals(int(value)).name
    except (ValueError, OverflowError):
        return f"signal {number(value)}"


def short_kind(kind: str) -> str:
    """A kind in a few cells."""
    return KIND_SHORT.get(kind, kind)


def kind_rank(kind: str) -> int:
    """Place of a kind in the order of urgency; unknown kinds come last."""
    return KIND_ORDER.index(kind) if kind in KIND_ORDER else len(KIND_ORDER)


def urgency(kind: str, unit: str, value: float) -> tuple[int, float, str, float]:
    """Sort key, most urgent first. Beyond `lost` numbers are only compared within one kind and unit."""
    size = value if value == value else 0.0
    return kind_rank(kind), -lost(unit, size), unit, -size


def lost(unit: str, value: float) -> float:
    """What share of a format's digits an error takes, so that units can be compared: 1 is all of them; 0 unknown.

    The logarithm of the error, in what rounding explains, over that of the whole range: 255 steps of int8 or 65,535 of
    int16; 2^23 units in the last place of a float32 (IEEE 754: 24 bits of significand) for bounds, relative and
    absolute errors. An error beyond the range counts more than 1.
    """
    if unit == "steps":
        times, whole = value, 255.0 if value <= 255 else 65535.0
    elif unit == "% of the range":
        times, whole = value / 100 * 255, 255.0
    elif unit == "x bound":
        times, whole = value, 2.0**23
    elif unit in ("relative", "absolute"):
        times, whole = value * 2.0**23, 2.0**23
    else:
        return 0.0
    return math.log(min(times, 1e300)) / math.log(whole) if times > 1 else 0.0


def kind_style(kind: str) -> str:
    """The colour a kind has on every screen."""
    return KIND_STYLES.get(kind, "cyan")


def tally(counts: dict[str, int]) -> str:
    """Counts by name, largest first: `crash 12 · hang 3`."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return " · ".join(f"{one_line(name)} {count(n)}" for name, n in ranked) or "none"


def sparkline(values: Sequence[float], width: int, *, log: bool = False) -> str:
    """A curve in one line of at most `width` cells, from zero to the largest value; zero is a blank.

    With more values than cells a cell shows the largest of its values, so that no peak is lost. `log` keeps
    small counts visible beside large ones.
    """
    clean = [v if math.isfinite(v) and v > 0 else 0.0 for v in values]
    if not clean or width <= 0:
        return ""
    if len(clean) > width:
        step = len(clean) / width
        clean = [max(clean[int(i * step) : max(int((i + 1) * step), int(i * step) + 1)]) for i in range(width)]
    if log:
        clean = [math.log1p(v) for v in clean]
    top = max(clean)
    if not top:
        return " " * len(clean)
    return "".join(" " if not v else BARS[min(7, int(v / top * 7.999))] for v in clean)


def sure_share(compared: int, suspicious: int) -> float:
    """The share that is suspicious at least, to rank by: one of one is no reason to stand above 30 of 60.

    The lower end of Wilson's 95 % interval (Wilson 1927, JASA 22, 209).
    """
    if compared <= 0:
        return 0.0
    n, share, zz = compared, min(1.0, max(0.0, suspicious / compared)), Z_95**2
    spread = Z_95 * math.sqrt(share * (1 - share) / n + zz / (4 * n**2))
    return max(0.0, (share + zz / (2 * n) - spread) / (1 + zz / n))


def heat_style(share: float) -> str:
    """Background of a heat map cell by its share of suspicious cases."""
    if not share > 0:
        return ""
    return next(style for least, style in HEAT if share >= least)


def heat_cell(cell: Cell | None, *, worst: bool = False, whole: bool = False) -> str:
    """What a heat map cell says: the suspicious share, with `worst` how bad the worst was, with `whole` in 3 cells.

    Nothing asked for is blank, nothing compared yet is `·`.
    """
    if cell is None or not cell.cases:
        return ""
    if not cell.compared:
        return "·"
    share = percent(cell.suspicious / cell.compared)
    if whole:
        part = 100 * cell.suspicious / cell.compared
        return "<1" if 0 < part < 1 else str(int(part))
    if not worst or not cell.suspicious or not cell.worst > 0:
        return share
    return f"{share} {short_severity(cell.worst, cell.unit)}"
