"""Whole campaigns of the real engine on the tiny target."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from fuzzer.campaign.config import CampaignConfig
from fuzzer.campaign.seeds import seeds
from fuzzer.campaign.snapshot import Snapshot
from fuzzer.campaign.supervisor import Supervisor
from fuzzer.case import decode
from fuzzer.errors import UserError
from fuzzer.findings import FindingStore
from fuzzer.findings.index import read_index
from fuzzer.mutate import MUTATORS
from tests.campaign.campaigns import run, start
from tests.execute.processes import dead, wait_for


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """One undisturbed campaign of 600 cases that several tests look at."""
    return run(tmp_path_factory.mktemp("plain"), cases=600)


# --- an undisturbed campaign ------------------------------------------------------------------------------


def test_it_runs_exactly_as_many_cases_as_asked(plain) -> None:  # type: ignore[no-untyped-def]
    campaign, final = plain
    assert final.state == "finished" and final.cases == 600 and len(campaign.cases()) == 600
    assert final.built == 600 and final.converted == 600 and final.valid_share == 1.0
    assert not final.warnings and not final.deaths


def test_no_case_is_executed_twice(plain) -> None:  # type: ignore[no-untyped-def]
    ids = plain[0].cases()
    assert len(set(ids)) == len(ids)


def test_libfuzzer_really_calls_the_custom_mutator_and_crossover(plain) -> None:  # type: ignore[no-untyped-def]
    _, final = plain
    ours = {m.name for m in MUTATORS}
    assert final.mutators["crossover"][0] > 0
    assert len(ours & set(final.mutators)) >= 8
    assert set(final.mutators) <= ours | {"crossover", "generate", "corpus"}
    assert sum(run for run, _ in final.mutators.values()) == final.cases


def test_what_showed_something_new_is_in_the_corpus(plain) -> None:  # type: ignore[no-untyped-def]
    campaign, final = plain
    new = {e["case"] for e in campaign.events() if e["event"] == "case" and e["new"]}
    assert campaign.corpus_ids() == new and final.corpus == len(new) > 20
    for path in campaign.corpus.glob("*.json"):
        assert decode(path.read_bytes()).id == path.stem
    seen = {f for e in campaign.events() if e["event"] == "case" for f in e["new"]}
    assert final.features == len(seen) == sum(final.families.values())


def test_status_json_is_the_last_snapshot(plain) -> None:  # type: ignore[no-untyped-def]
    campaign, final = plain
    assert Snapshot.from_json(json.loads((campaign.crashes / "status.json").read_bytes())) == final


def test_an_index_is_there_even_without_findings(plain) -> None:  # type: ignore[no-untyped-def]
    assert read_index(plain[0].crashes) == []


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    campaign = start(tmp_path / "run", cases=40, deadly="relu6:abort", delay_s=0.02, tmp=tmp)
    campaign.after(5)
    pids = campaign.everything()
    campaign.end()
    wait_for(lambda: all(dead(p) for p in pids))
    assert [p.name for p in tmp.iterdir()] == []
    assert not list(Path("/dev/shm").glob(f"fuzzer-*{campaign.process.pid}-*"))
    assert not list(campaign.corpus.glob(".*.tmp")) and not list((campaign.corpus / ".state").glob("*.slot"))


# --- the same again ---------------------------------------------------------------------------------------


def test_same_seed_same_cases(tmp_path: Path) -> None:
    # Seeds are run first: more cases than there are of them, or the guide would not be asked once.
    count = len(seeds(3)) + 200
    runs = [run(tmp_path / name, cases=count, seed=3, deadly="relu6:abort")[0].cases() for name in ("a", "b")]
    assert len(runs[0]) == count and runs[0] == runs[1]
    other = run(tmp_path / "c", cases=150, seed=4)[0].cases()
    assert len(set(other) & set(runs[0])) < 15


def test_a_shorter_run_is_the_beginning_of_a_longer_one(plain, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert run(tmp_path, cases=100)[0].cases() == plain[0].cases()[:100]


def test_two_workers_share_the_cases(tmp_path: Path) -> None:
    campaign, final = run(tmp_path, cases=101, workers=2, delay_s=0.005)
    assert final.cases == 101 and final.workers == 2
    assert campaign.corpus_ids()


# --- resume -----------------------------------------------------------------------------------------------


def test_a_resumed_campaign_runs_nothing_of_its_corpus_again(tmp_path: Path) -> None:
    first, before = run(tmp_path, cases=150)
    old = set(first.cases())
    corpus = first.corpus_ids()
    (tmp_path / "events.jsonl").unlink()
    second, after = run(tmp_path, cases=100, seed=8)
    assert after.cases == 100 and after.corpus >= before.corpus and after.features >= before.features
    assert second.corpus_ids() >= corpus
    assert not set(second.cases()) & corpus
    assert len(set(second.cases()) & old) < 10
    assert "corpus" not in after.mutators


def test_lost_features_cost_an_execution_and_nothing_else(tmp_path: Path) -> None:
    first, _ = run(tmp_path, cases=60)
    corpus = first.corpus_ids()
    features = first.corpus / "features.jsonl"
    features.write_bytes(b"\xff garbage\n[1]\n" + features.read_bytes()[: -(features.stat().st_size // 2)])
    _, after = run(tmp_path, cases=100, seed=9)
    assert after.cases == 100 and after.mutators["corpus"][0] > 0
    assert first.corpus_ids() >= corpus


def test_damaged_corpus_entries_are_left_alone_and_named(tmp_path: Path) -> None:
    first, _ = run(tmp_path, cases=30)
    (first.corpus / "0000.json").write_bytes(b"\x00\xff not a case")
    (first.corpus / "1111.json").write_text(next(first.corpus.glob("*[0-9a-f].json")).read_text()[:40])
    whole = [p for p in sorted(first.corpus.glob("*.json")) if p.stem not in ("0000", "1111")]
    newer = json.loads(whole[0].read_text())
    (first.corpus / "2222.json").write_text(json.dumps({**newer, "schema": 99}))
    before = {p.name: p.read_bytes() for p in first.corpus.glob("*.json")}
    _, after = run(tmp_path, cases=30, seed=10)
    text = " ".join(after.warnings)
    assert after.cases == 30 and all(name in text for name in ("0000.json", "1111.json", "2222.json"))
    assert "newer" in text
    assert before.items() <= {p.name: p.read_bytes() for p in first.corpus.glob("*.json")}.items()


def test_fresh_sets_the_corpus_aside_and_keeps_the_findings(tmp_path: Path) -> None:
    first, before = run(tmp_path, cases=200, deadly="relu6:abort")
    assert before.titles
    corpus, findings = first.corpus_ids(), first.findings()
    second, after = run(tmp_path, cases=30, seed=11, fresh=True)
    (old,) = second.corpus.glob("old-*")
    assert {p.stem for p in old.glob("*.json")} == corpus and (old / "features.jsonl").exists()
    assert second.findings() >= findings and {t.id for t in after.titles} >= findings
    assert all((second.crashes / f.path / "case.json").exists() for f in FindingStore(second.crashes).findings())
    assert not second.corpus_ids() & corpus or len(second.corpus_ids()) < len(corpus)
    run(tmp_path, cases=5, seed=12, fresh=True)
    assert len(list(second.corpus.glob("old-*"))) == 2


# --- findings ---------------------------------------------------------------------------------------------


def test_a_planted_crash_becomes_one_minimised_finding(tmp_path: Path) -> None:
    campaign, final = run(tmp_path, cases=300, deadly="relu6:abort")
    # A death of the very last case needs no restart.
    assert final.deaths["crash"] - final.restarts in (0, 1) and final.restarts > 1 and final.pending == 0
    (title,) = final.titles
    assert title.kind == "crash" and title.count > 1 and title.this_run and final.newest == title.title
    (finding,) = FindingStore(campaign.crashes).findings()
    assert finding.ops == ("relu6",) and finding.nodes == 1 and finding.minimised
    assert (finding.reproduced, finding.repeats) == (3, 3)
    assert "SIGABRT" in finding.title and "planted for relu6" in finding.title and finding.severity == 6
    folder = campaign.crashes / finding.path
    assert {p.name for p in folder.iterdir()} >= {
        "case.json",
        "minimal.json",
        "verdict.json",
        "repro.py",
        "report.md",
        "log.txt",
    }
    assert decode((folder / "minimal.json").read_bytes()).id == finding.case
    assert any(n.op == "relu6" for n in decode((folder / "case.json").read_bytes()).model.nodes)
    (row,) = read_index(campaign.crashes)
    assert row["id"] == finding.id and row["count"] == title.count


def test_planted_divergences_and_their_statistics(tmp_path: Path) -> None:
    campaign, final = run(tmp_path, cases=300, value="relu")
    (finding,) = FindingStore(campaign.crashes).findings()
    assert finding.kind == "value" and finding.ops == ("relu",) and finding.blame == "relu"
    assert final.by_kind["value"] == final.suspicions > 1
    assert final.by_runtime["tf-xnnpack"].suspicious == final.suspicions
    assert final.by_runtime["tf-builtin"].suspicious == 0
    assert final.worst[0].severity == 0.5
    cells = [cell for row in final.grid.values() for cell in row.values()]
    assert sum(c.suspicious for c in cells) >= final.suspicions and max(c.worst for c in cells) == 0.5


def test_a_hang_costs_its_time_out_and_is_saved(tmp_path: Path) -> None:
    campaign = start(tmp_path, deadly="relu6:hang", limits={"timeout_s": 0.3})
    wait_for(lambda: any(e.get("death") == "hang" for e in campaign.events()), 60)
    campaign.after(len(campaign.cases()) + 3)
    for _ in range(2):  # now: minimising a hang takes its time-out again and again
        campaign.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    final = campaign.end()
    (hang, *_) = [e for e in campaign.events() if e.get("death") == "hang"]
    assert final.deaths["hang"] >= 1 and set(final.deaths) == {"hang"} and hang["wall_s"] >= 0.3
    assert final.pending + len(final.titles) >= 1 and {t.kind for t in final.titles} <= {"hang"}


def test_a_bug_of_the_target_is_a_warning_and_the_campaign_goes_on(tmp_path: Path) -> None:
    campaign, final = run(tmp_path, cases=150, deadly="relu6:raise")
    assert final.cases == 150 and any("planted by the test" in w for w in final.warnings)
    assert not campaign.findings()


# --- one campaign a folder --------------------------------------------------------------------------------


def test_a_second_campaign_on_the_same_folders_is_refused(tmp_path: Path) -> None:
    first = start(tmp_path, seconds=60, delay_s=0.02)
    try:
        first.after(3)
        for folders in (
            {"corpus": first.corpus, "crashes": tmp_path / "other"},
            {"corpus": tmp_path / "other-corpus", "crashes": first.crashes},
        ):
            with pytest.raises(UserError) as refused:
                Supervisor(CampaignConfig(**folders, cases=1))
            text = str(refused.value)
            assert f"process {first.process.pid}" in text and "--corpus DIR" in text and "wait for it" in text
        count = len(first.cases())
        first.after(count + 3)  # it is not disturbed
    finally:
        first.process.send_signal(signal.SIGINT)
        first.end()
    assert first.process.returncode == 0


# --- the end ----------------------------------------------------------------------------------------------


def test_a_timed_campaign_ends_on_time(tmp_path: Path) -> None:
    begun = time.monotonic()
    _, final = run(tmp_path, seconds=6, delay_s=0.01)
    took = time.monotonic() - begun
    assert 5 <= took <= 6 + 15 and final.cases > 20 and final.state == "finished"
    assert final.elapsed_s <= 6 + 10


def test_a_timed_campaign_that_only_hangs_ends_on_time(tmp_path: Path) -> None:
    everything = "conv2d,depthwise_conv2d,separable_conv2d,dense,matmul,relu,leaky_relu,batch_norm,lstm,gru,simple_rnn"
    deadly = ",".join(f"{op}:sleep" for op in everything.split(","))
    begun = time.monotonic()
    _, final = run(tmp_path, seconds=6, deadly=deadly, limits={"timeout_s": 5.0})
    assert time.monotonic() - begun <= 6 + 15 and final.state == "finished"


def test_ctrl_c_finishes_and_saves(tmp_path: Path) -> None:
    campaign = start(tmp_path, delay_s=0.02, deadly="relu6:abort")
    campaign.after(40)
    campaign.process.send_signal(signal.SIGINT)
    final = campaign.end(60)
    assert final.state == "finished" and final.cases >= 40 and final.pending == 0
    assert json.loads((campaign.crashes / "status.json").read_bytes())["state"] == "finished"
    assert read_index(campaign.crashes) is not None
    assert len(campaign.findings()) == len(final.titles)


def test_ctrl_c_twice_ends_now_and_loses_nothing(tmp_path: Path) -> None:
    campaign = start(tmp_path, delay_s=0.3, deadly="relu:hang,conv2d:hang,relu6:hang", limits={"timeout_s": 2.0})
    wait_for(lambda: campaign.crashes.exists() and list((campaign.crashes / "inbox").glob("*.json")), 60)
    pids = campaign.everything()
    campaign.process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two signals at once are one
    begun = time.monotonic()
    campaign.process.send_signal(signal.SIGINT)
    final = campaign.end(30)
    assert time.monotonic() - begun < 6
    assert final.state == "finished" and final.pending >= 1
    wait_for(lambda: all(dead(p) for p in pids))
    assert len(list((campaign.crashes / "inbox").glob("*.json"))) >= 1


def test_a_full_disk_ends_the_campaign_in_words(small_disk: Path, tmp_path: Path) -> None:
    campaign = start(tmp_path, cases=100_000, crashes=str(small_disk / "crashes"), corpus=str(small_disk / "corpus"))
    final = campaign.end(120)
    assert final.cases < 100_000
    assert any("disk refused" in w and "start again" in w for w in final.warnings)
    for path in (small_disk / "corpus").glob("*.json"):
        assert decode(path.read_bytes()).id == path.stem  # whole or not at all
    os.system(f"mount -o remount,size=64m {small_disk}")
    (tmp_path / "events.jsonl").unlink()
    again = start(tmp_path, cases=20, crashes=str(small_disk / "crashes"), corpus=str(small_disk / "corpus"), seed=5)
    assert again.end().cases == 20
