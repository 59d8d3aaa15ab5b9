"""How fast a campaign discovers, in a line."""

from dataclasses import replace

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.screen.demo_data import demo_snapshot
from fuzzer.screen.discovery import blocks_line, discovery_line

TOTALS = {"converter": 443_009, "runtime": 354_043}


def campaign(minutes: int, blocks: int, features: int) -> Snapshot:
    """A campaign whose second half added these."""
    half = minutes // 2
    points = [(60.0 * t, 300 * t, 5000, 1, 100_000) for t in range(half + 1)]
    points += [
        (60.0 * t, 300 * t, 5000 + features * (t - half) // half, 1, 100_000 + blocks * (t - half) // half)
        for t in range(half + 1, minutes + 1)
    ]
    snapshot = Snapshot(cases=1, blocks={"converter": 60_000, "runtime": 40_000}, all_blocks=TOTALS)
    return replace(snapshot, history=tuple(points))


def test_blocks_by_scope() -> None:
    assert blocks_line(campaign(2, 0, 0)) == "converter 60,000 of 443,009 · runtime 40,000 of 354,043"


def test_without_native_coverage_it_says_so() -> None:
    assert blocks_line(Snapshot()) == "-"
    assert "features alone" in blocks_line(Snapshot(cases=3))
    line = discovery_line(replace(campaign(60, 1000, 500), all_blocks={}, blocks={}))
    assert "blocks" not in line and "features a minute" in line


def test_before_anything_can_be_said_there_is_only_a_rate() -> None:
    assert discovery_line(Snapshot()) == "-"
    assert discovery_line(campaign(4, 400, 40)) == "100 blocks and 10 features a minute"


def test_what_as_much_time_again_would_bring() -> None:
    line = discovery_line(campaign(60, 3000, 500))
    assert line == "100 blocks and 17 features a minute · 0:30:00 more bring at most 3.0% blocks, 10.0% features"


def test_a_quiet_campaign_is_called_quiet() -> None:
    assert "gone quiet" in discovery_line(campaign(60, 10, 2))
    assert "gone quiet" not in discovery_line(campaign(60, 1000, 2))
    assert "gone quiet" not in discovery_line(demo_snapshot())
