"""What waits to be examined and where the examiners' time went, in words."""

from __future__ import annotations

import json

from fuzzer.campaign.snapshot import Snapshot
from fuzzer.screen.examining import pending_words, stages_line
from fuzzer.screen.live import summary


def test_what_waits_is_told_with_what_it_looks_like() -> None:
    plain = Snapshot(pending=2008)
    assert pending_words(plain) == "2,008 pending"
    told = pending_words(Snapshot(pending=2008, alike=1200, set_aside=468))
    assert told == "2,008 pending (1,200 like known findings), 468 more like them set aside"


def test_stages_are_shares_of_the_examiners_time() -> None:
    assert stages_line(Snapshot()) == ""
    line = stages_line(Snapshot(examined={"confirm": (10, 5.0), "minimise": (3, 15.0)}))
    assert line.startswith("confirm 25") and "(10 x 0.5 s)" in line and "minimise 75" in line and "(3 x 5.0 s)" in line


def test_the_account_has_both_and_old_snapshots_have_neither() -> None:
    old = Snapshot().to_json()
    for name in ("alike", "set_aside", "examined"):
        old.pop(name)
    assert "examining" not in summary(Snapshot.from_json(old))
    new = Snapshot(pending=3, alike=1, examined={"script": (2, 8.0)})
    again = Snapshot.from_json(json.loads(json.dumps(new.to_json())))
    assert again == new
    assert "3 pending (1 like known findings)" in summary(again) and "script 100" in summary(again)
