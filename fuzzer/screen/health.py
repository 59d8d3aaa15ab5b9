"""The generator's health as tables: what gets through, by scheme, pattern and op, and which operators were reached."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fuzzer.campaign.health import barren, builtins_of, wasted_share
from fuzzer.campaign.snapshot import Rate, Snapshot
from fuzzer.case import SCHEMES
from fuzzer.screen.text import count, one_line, percent

VALID_TARGET, CONVERTED_TARGET, WASTED_TARGET = 0.97, 0.85, 0.01
"""What the generator promises: shares of valid models, of conversions, and of time in ops that never convert."""
MAX_WHY = 70


def health(snapshot: Snapshot, operators: bool) -> RenderableType:
    """The whole report; `operators` adds the table of TFLite operator by scheme."""
    ops = snapshot.health.get("op", {})
    parts: list[RenderableType] = [
        _totals(snapshot),
        _rates("scheme", snapshot.health.get("scheme", {})),
        _rates("pattern", snapshot.health.get("pattern", {})),
        _rates("op", ops),
        never_through(ops),
        errors(snapshot),
        unjudged(snapshot),
    ]
    if operators:
        parts.append(reached(snapshot.reached))
    return Group(*parts)


def verdict_line(snapshot: Snapshot) -> str:
    """The health in one line, for the live screen and the account of a campaign."""
    stuck = barren(snapshot.health.get("op", {}))
    text = f"{snapshot.builtins} TFLite builtins reached, {percent(snapshot.accepted_share)} of flatbuffers ran"
    if stuck:
        text += f", never through: {', '.join(one_line(name) for name in stuck[:4])}"
        text += f" and {len(stuck) - 4} more" if len(stuck) > 4 else ""
    return text


def _totals(snapshot: Snapshot) -> RenderableType:
    wasted = wasted_share(snapshot.health.get("op", {}))
    table = Table(box=None, pad_edge=False)
    for name in ("figure", "measured", "wanted"):
        table.add_column(name)
    rows = (
        ("valid", snapshot.valid_share, f">= {percent(VALID_TARGET)}", snapshot.valid_share >= VALID_TARGET),
        (
            "converted",
            snapshot.conversion_share,
            f">= {percent(CONVERTED_TARGET)}",
            snapshot.conversion_share >= CONVERTED_TARGET,
        ),
        ("accepted by a runtime", snapshot.accepted_share, "-", True),
        ("time in ops that never convert", wasted, f"<= {percent(WASTED_TARGET)}", wasted <= WASTED_TARGET),
    )
    for label, share, wanted, good in rows:
        table.add_row(label, Text(percent(share), "" if good else "bold yellow"), wanted)
    table.add_row("TFLite builtin operators", str(snapshot.builtins), "-")
    return table


def _rates(title: str, rates: Mapping[str, Rate]) -> RenderableType:
    table = Table(box=None, pad_edge=False, title=f"\nby {title}", title_justify="left")
    table.add_column(title)
    for name in ("cases", "built", "converted", "refused", "accepted", "died", "seconds"):
        table.add_column(name, justify="right")
    ordered = sorted(rates.items(), key=lambda item: (item[1].converted / max(1, item[1].cases), item[0]))
    for name, rate in ordered:
        table.add_row(
            one_line(name),
            count(rate.cases),
            _share(rate.built, rate.cases),
            _share(rate.converted, rate.built),
            _share(rate.refused, rate.built),
            _share(rate.accepted, rate.converted),
            str(rate.died),
            f"{rate.seconds:.1f}",
        )
    return table


def never_through(rates: Mapping[str, Rate]) -> RenderableType:
    """Ops that (nearly) never convert, with what the converter says of them."""
    stuck = barren(rates)
    if not stuck:
        return Text("\nevery op that was tried often enough gets through")
    lines = [Text("\nops that (nearly) never convert", "bold")]
    lines += [
        Text(f"  {one_line(name)}: {count(rates[name].cases)} cases, {one_line(rates[name].why)[:MAX_WHY]}")
        for name in stuck
    ]
    return Group(*lines)


def errors(snapshot: Snapshot) -> RenderableType:
    """Whose matter the errors are, and what the generator asks wrongly: those are mistakes of ours."""
    words = {"user": "asked wrongly", "unsupported": "not supported", "internal": "internal errors"}
    counted = [f"{label} {count(snapshot.errors.get(name, 0))}" for name, label in words.items()]
    lines = [Text("\ncases with errors", "bold"), Text("  " + ", ".join(counted))]
    ranked = sorted(snapshot.asked_wrongly.items(), key=lambda item: (-item[1], item[0]))
    lines += [Text(f"  asked wrongly, {count(n)} cases: {one_line(message)}", "yellow") for message, n in ranked]
    return Group(*lines)


def unjudged(snapshot: Snapshot) -> RenderableType:
    """Suspicions that no oracle could judge, and why: never silent."""
    total = sum(snapshot.unjudged.values())
    lines = [Text(f"\ncases that no oracle could judge: {count(total)}", "bold")]
    ranked = sorted(snapshot.unjudged.items(), key=lambda item: (-item[1], item[0]))
    lines += [Text(f"  {count(n)}: {one_line(reason)}") for reason, n in ranked]
    return Group(*lines)


def reached(table: Mapping[str, Mapping[str, int]]) -> RenderableType:
    """TFLite operator by scheme: how many flatbuffers hold it."""
    found = sorted({scheme for row in table.values() for scheme in row}, key=_scheme_order)
    shown = Table(box=None, pad_edge=False, title="\nflatbuffers by operator and scheme", title_justify="left")
    shown.add_column("operator")
    for scheme in found:
        shown.add_column(one_line(scheme), justify="right")
    custom = sorted(set(table) - set(builtins_of(table)))
    for name in (*builtins_of(table), *custom):
        shown.add_row(one_line(name), *(count(table[name][s]) if table[name].get(s) else "·" for s in found))
    return shown


def _scheme_order(scheme: str) -> tuple[int, str]:
    return (SCHEMES.index(scheme) if scheme in SCHEMES else len(SCHEMES), scheme)


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "-"
