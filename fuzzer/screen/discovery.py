"""How fast a campaign discovers, in a line."""

from __future__ import annotations

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.screen.text import count, duration, percent, span


def blocks_line(snapshot: Snapshot) -> str:
    """Native blocks reached of all, by scope."""
    if not snapshot.all_blocks:
        return "native code is not watched: features alone guide" if snapshot.cases else "-"
    return " · ".join(
        f"{scope} {count(snapshot.blocks.get(scope, 0))} of {count(total)}"
        for scope, total in snapshot.all_blocks.items()
    )


def discovery_line(snapshot: Snapshot) -> str:
    """The rate of the last minutes, and what going on would bring."""
    outlook = snapshot.outlook
    if outlook is None:
        return "-"
    blocks = f"{_rate(outlook.blocks_per_min)} blocks and " if snapshot.all_blocks else ""
    rate = f"{blocks}{_rate(outlook.features_per_min)} features a minute"
    if outlook.features_share is None:
        return rate
    half = duration(outlook.half_s)
    if outlook.quiet:
        return f"{rate} · this campaign has gone quiet: the last {half} brought next to nothing, nor will the next"
    grown = f"{percent(outlook.blocks_share or 0.0)} blocks, " if snapshot.all_blocks else ""
    return f"{rate} · {half} more bring at most {grown}{percent(outlook.features_share)} features"


def short_discovery_line(snapshot: Snapshot) -> str:
    """The same in few words, for a small screen: whichever of blocks and features grows more stands for both."""
    outlook = snapshot.outlook
    if outlook is None:
        return "-"
    rate = f"{_rate(outlook.features_per_min)} features/min"
    if outlook.features_share is None:
        return rate
    if outlook.quiet:
        return f"{rate}: gone quiet"
    share = max(outlook.features_share, outlook.blocks_share or 0.0)
    return f"{rate}, {span(outlook.half_s)} more: ≤ +{percent(share)}"


def _rate(per_min: float) -> str:
    return count(round(per_min)) if per_min >= 10 else f"{per_min:.1f}"
