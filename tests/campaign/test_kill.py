"""`kill -9` of everything there is, in mid-run, and then a resume."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from fuzzer.campaign.slot import in_flight
from fuzzer.case import decode
from fuzzer.findings.inbox import load, waiting
from tests.campaign.campaigns import Campaign, run, start
from tests.execute.processes import dead, wait_for

DEADLY = "relu6:abort"


def with_findings(campaign: Campaign) -> set[str]:
    wait_for(lambda: campaign.process.poll() is not None or campaign.findings(), 90, "a finding")
    assert campaign.process.poll() is None, campaign.words()
    return campaign.findings()


def accounted(campaign: Campaign) -> set[str]:
    """Ids of all cases that the journal or the inbox speaks of."""
    import hashlib

    ids = {load(p).case.id for p in waiting(campaign.crashes)}
    for event in campaign.journal():
        if event["event"] == "dismissed":
            ids.add(hashlib.sha256(event["case"].encode()).hexdigest()[:16])
        elif event["event"] == "finding":
            ids.add(event["finding"]["found_as"])
        else:
            ids.add(event.get("case", ""))
    return ids


def test_of_an_executor(tmp_path: Path) -> None:
    campaign = start(tmp_path, cases=60, delay_s=0.04)
    campaign.after(10)
    wait_for(campaign.executors)
    for pid in campaign.executors():
        os.kill(pid, signal.SIGKILL)
    final = campaign.end()
    assert final.cases == 60 and final.restarts >= 1
    # A kill -9 from outside looks like the kernel's memory killer; examined, it does not repeat.
    lost = [e["case"] for e in campaign.events() if e.get("death") == "out-of-memory"]
    assert len(lost) >= 1 and set(lost) <= accounted(campaign)
    assert not final.titles and final.dismissed == len(lost)


def test_of_a_driver(tmp_path: Path) -> None:
    campaign = start(tmp_path, cases=70, delay_s=0.04, deadly=DEADLY, seed=3)
    campaign.after(15)
    os.kill(campaign.stop_at_a_case(), signal.SIGKILL)
    final = campaign.end()
    assert final.cases == 70 and len(campaign.cases()) == 70
    assert any("driver 0 died" in w for w in final.warnings)
    (event,) = campaign.journal("in-flight")
    assert event["case"] in accounted(campaign) and final.pending == 0
    dismissed = campaign.journal("dismissed")
    assert event["case"] in {decode(e["case"]).id for e in dismissed}


def test_of_the_zygote(tmp_path: Path) -> None:
    campaign = start(tmp_path, cases=60, delay_s=0.04)
    campaign.after(10)
    executors = campaign.executors()
    os.kill(campaign.zygote(), signal.SIGKILL)
    wait_for(lambda: all(dead(p) for p in executors))
    final = campaign.end()
    assert final.cases == 60 and len(set(campaign.cases())) == 60
    assert any("zygote died" in w for w in final.warnings)
    assert not final.titles


def test_of_the_supervisor_and_resume(tmp_path: Path) -> None:
    campaign = start(tmp_path, delay_s=0.05, deadly=DEADLY)
    findings = with_findings(campaign)
    campaign.after(len(campaign.cases()) + 5)
    pids = campaign.everything()
    assert len(pids) >= 3
    corpus = campaign.corpus_ids()
    campaign.stop_at_a_case()
    campaign.process.kill()
    campaign.process.communicate()
    wait_for(lambda: all(dead(p) for p in pids), what="everything dies with the supervisor")

    busy = in_flight(campaign.slot)
    inbox = {p.name for p in waiting(campaign.crashes)}
    assert campaign.corpus_ids() >= corpus
    again, final = run(tmp_path, cases=40, seed=21)
    assert final.cases == 40 and again.findings() >= findings and again.corpus_ids() >= corpus
    assert {t.id for t in final.titles} >= findings and not any(t.this_run for t in final.titles if t.id in findings)
    assert busy is not None
    assert [e["case"] for e in again.journal("in-flight")] == [decode(busy).id]
    assert final.pending == 0 and {name[:16] for name in inbox} <= accounted(again)


def test_of_everything_again_and_again(tmp_path: Path) -> None:
    """Five supervisors in a row are killed; what was found stays found."""
    findings: set[str] = set()
    corpus: set[str] = set()
    for i in range(5):
        campaign = start(tmp_path, delay_s=0.01, deadly=DEADLY, seed=30 + i)
        seen = len(campaign.cases())
        campaign.after(seen + 25 + 10 * i)
        findings |= campaign.findings()
        corpus |= campaign.corpus_ids()
        pids = campaign.everything()
        campaign.process.kill()
        campaign.process.communicate()
        wait_for(lambda pids=pids: all(dead(p) for p in pids))  # type: ignore[misc]
        assert campaign.findings() >= findings
    campaign, final = run(tmp_path, cases=30, seed=40, deadly=DEADLY)
    assert final.cases == 30 and final.pending == 0 and campaign.findings() >= findings
    assert campaign.corpus_ids() >= corpus and len(campaign.findings()) == 1
    assert not any("damaged" in w for w in final.warnings)


def test_of_a_driver_that_can_never_run_a_case(tmp_path: Path) -> None:
    """A driver that always dies at once ends the campaign with a sentence instead of a loop."""
    campaign = start(tmp_path, cases=1000, delay_s=20.0, limits={"timeout_s": 60.0})
    try:
        for _ in range(10):
            drivers = wait_for(lambda: campaign.drivers() or campaign.process.poll() is not None, 30)
            if drivers is True:
                break
            for pid in campaign.drivers():
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda d=drivers: all(dead(p) for p in d))  # type: ignore[misc]
        wait_for(
            lambda: (
                "stopped early" in (campaign.corpus / ".state" / "warnings.log").read_text()
                or campaign.process.poll() is not None
            ),
            60,
        )
    finally:
        campaign.process.send_signal(signal.SIGINT)
        campaign.process.send_signal(signal.SIGINT)
    final = campaign.end(60)
    assert any("without running a case" in w and ".log" in w for w in final.warnings)
