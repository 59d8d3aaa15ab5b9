"""What waits to be examined, and where the examiners' time went, in words."""

from __future__ import annotations

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.screen.text import count, percent


def pending_words(snapshot: Snapshot) -> str:
    """`2,008 pending, 1,200 like known findings`; what was set aside is told where there is any."""
    words = f"{count(snapshot.pending)} pending"
    if snapshot.alike:
        words += f" ({count(snapshot.alike)} like known findings)"
    return words + (f", {count(snapshot.set_aside)} more like them set aside" if snapshot.set_aside else "")


def stages_line(snapshot: Snapshot) -> str:
    """Each stage of examining: its share of the examiners' time, how often, seconds each; empty before the first."""
    whole = sum(seconds for _, seconds in snapshot.examined.values())
    if not whole:
        return ""
    shares = (
        f"{stage} {percent(seconds / whole)} ({count(times)} x {seconds / times:.1f} s)"
        for stage, (times, seconds) in snapshot.examined.items()
    )
    return ", ".join(shares)
