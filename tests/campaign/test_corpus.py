"""The corpus: what a line keeps, what damage costs, and that a start with many entries executes none of them."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.campaign.corpus import FEATURES, Corpus, Line, lines
from fuzzer.coverage.space import BlockSpace, Library, pack
from fuzzer.errors import GenerateAnother
from fuzzer.mutate import generate
from tests.campaign import campaigns
from tests.strategies import drawn_case

SPACE = BlockSpace(
    (
        Library("converter", "c.so", "c" * 16, "c.table", 398_813),
        Library("runtime", "r.so", "r" * 16, "r.table", 342_243),
    )
)


def test_blocks_come_back_and_so_do_those_of_the_dead(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    one, two, old = (drawn_case(seed) for seed in (1, 2, 3))
    corpus.add(one, ["op:a"], SPACE.pack([0, 7, 398_812, 398_813]), 1000.04)
    corpus.add(two, ["op:b"], SPACE.pack([7, 500_000]), 1001.0)
    corpus.add(old, ["op:c"])
    corpus.note("d" * 16, SPACE.pack([9, 741_055]), at=1002.0)
    again = Corpus(tmp_path)
    again.refresh()
    assert again.known_blocks(SPACE) == [0, 7, 9, 398_812, 398_813, 500_000, 741_055]
    assert SPACE.unpack(again.packed_of(two.id)) == [7, 500_000]
    assert again.packed_of(old.id) == {} and again.packed_of("unknown") == {}
    assert again.died("d" * 16) and not again.died(one.id) and not again.died("unknown")
    assert again.features_of("d" * 16) == [] and {p.stem for p in again.files()} == {one.id, two.id, old.id}
    read = list(lines(tmp_path))
    assert [line.died for line in read] == [False, False, False, True]
    assert read[0].at == 1000.0 and abs((read[2].at or 0) - time.time()) < 60
    assert json.loads((tmp_path / FEATURES).read_bytes().splitlines()[2]).keys() == {"case", "features", "at"}
    other = BlockSpace((SPACE.libraries[1],))
    assert again.known_blocks(other) == [0, 500_000 - 398_813, 342_242], "the converter was replaced by another"


def test_what_a_case_reached_is_the_union_of_its_lines(tmp_path: Path) -> None:
    corpus, case = Corpus(tmp_path), drawn_case(1)
    corpus.add(case, ["op:a"], SPACE.pack([1, 400_000]), 1.0)
    sibling = Corpus(tmp_path)
    sibling.add(case, ["op:a", "op:b"], SPACE.pack([1, 2]), 2.0)
    for one in (corpus, sibling):
        one.refresh()
        assert one.features_of(case.id) == ["op:a", "op:b"]
        assert SPACE.unpack(one.packed_of(case.id)) == [1, 2, 400_000]


@pytest.mark.parametrize("text", ["?", "AA=A", "gA==", 7, None, ["AA=="]])
def test_a_line_with_damaged_blocks_is_no_line(tmp_path: Path, text: object) -> None:
    good = Line("b", ["op:b"], {"c" * 16: pack([3])}, 1.0).to_bytes()
    damaged = json.dumps({"case": "a", "features": ["op:a"], "blocks": {"c" * 16: text}}).encode() + b"\n"
    (tmp_path / FEATURES).write_bytes(damaged + good)
    corpus = Corpus(tmp_path)
    corpus.refresh()
    assert corpus.features_of("a") is None and corpus.features_of("b") == ["op:b"]
    assert corpus.known_blocks(SPACE) == [3]


def test_a_case_with_a_block_that_cannot_be_is_executed_again(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    one, two = drawn_case(1), drawn_case(2)
    corpus.add(one, ["op:a"], {"c" * 16: pack([5, 398_813])}, 1.0)
    corpus.add(two, ["op:b"], {"c" * 16: pack([6])}, 1.0)
    assert corpus.known_blocks(SPACE)[-1] == 6
    assert corpus.features_of(one.id) is None and corpus.features_of(two.id) == ["op:b"]


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda tree: json.dumps({"case": "a", "features": tree, "blocks": tree, "at": tree}).encode()
    )
)
def test_any_bytes_are_a_line_or_none(data: bytes) -> None:
    line = Line.from_bytes(data)
    assert line is None or (isinstance(line.case, str) and isinstance(line.features, list))


@given(st.lists(st.text()), st.sets(st.integers(0, SPACE.size - 1)), st.none() | st.integers(0, 10**10), st.booleans())
def test_lines_survive(features: list[str], blocks: set[int], tenths: int | None, died: bool) -> None:
    line = Line("a", features, SPACE.pack(blocks), None if tenths is None else tenths / 10, died)
    data = line.to_bytes()
    assert data.endswith(b"\n") and data.count(b"\n") == 1
    assert Line.from_bytes(data) == line


def test_a_line_that_was_cut_off_does_not_take_the_next(tmp_path: Path) -> None:
    corpus, case = Corpus(tmp_path), drawn_case(1)
    (tmp_path / FEATURES).write_bytes(b'{"case": "a", "feat')
    corpus.add(case, ["op:a"])
    corpus.refresh()
    assert [line.case for line in lines(tmp_path)] == [case.id]


def test_a_disk_that_takes_half_a_line_is_an_error_and_costs_that_line_only(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from fuzzer.campaign.corpus import Corpus, FEATURES
corpus = Corpus(Path(sys.argv[1]))
corpus.note("first", {"c": "AA=="}, ["op:a"])
limit = (Path(sys.argv[1]) / FEATURES).stat().st_size + 20
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    corpus.note("second", {"c": "AA=="}, ["op:b"])
except OSError as refused:
    print("refused", refused.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
corpus.note("third", {"c": "AA=="}, ["op:c"])
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY, "this test sets a limit of its own"
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, cwd=campaigns.ROOT
    )
    assert answer.stdout == "refused 28\n", answer.stderr
    assert [line.case for line in lines(tmp_path)] == ["first", "third"]


def test_what_is_known_of_a_case_without_a_file_is_forgotten(tmp_path: Path) -> None:
    corpus, kept, gone = Corpus(tmp_path), drawn_case(1), drawn_case(2)
    corpus.add(kept, ["op:a"], SPACE.pack([1]), 1.0)
    corpus.add(gone, ["op:b"], SPACE.pack([2]), 1.0)
    corpus.note("d" * 16, SPACE.pack([3]), at=1.0)
    (tmp_path / f"{gone.id}.json").unlink()
    later = Corpus(tmp_path)
    later.refresh()
    later.keep_only(path.stem for path in later.readable()[0])
    assert later.known_blocks(SPACE) == [1, 3] and later.features_of(gone.id) is None
    assert later.features_of(kept.id) == ["op:a"] and later.died("d" * 16)


def test_a_death_of_a_case_that_lived_before_takes_nothing_away(tmp_path: Path) -> None:
    corpus, case = Corpus(tmp_path), drawn_case(1)
    corpus.add(case, ["op:a"], SPACE.pack([1]), 1.0)
    corpus.note(case.id, SPACE.pack([2]), at=2.0)
    later = Corpus(tmp_path)
    later.refresh()
    for one in (corpus, later):
        assert one.features_of(case.id) == ["op:a"] and not one.died(case.id)
        assert one.known_blocks(SPACE) == [1, 2]


def test_entries_that_cannot_be_read_are_told_apart(tmp_path: Path) -> None:
    corpus, case = Corpus(tmp_path), drawn_case(1)
    corpus.add(case, ["op:a"])
    renamed = tmp_path / "mine.json"
    renamed.write_bytes(drawn_case(2).canonical)
    (tmp_path / "cut.json").write_bytes(case.canonical[:50])
    # A case of a plugin that is not given now: intact, but of an op that nobody knows.
    node = drawn_case(3).canonical.replace(b'"op":"', b'"op":"no_such_', 1)
    from fuzzer.case import case_id

    (tmp_path / f"{case_id(node)}.json").write_bytes(node + b"\n")
    good, bad = corpus.readable()
    assert {path.name for path in good} == {f"{case.id}.json", "mine.json"}
    assert len(bad) == 2 and any("no_such_" in sentence for sentence in bad)


# --- many entries -----------------------------------------------------------------------------------------

ENTRIES, BLOCKS, FIRST = 10_000, 150_000, 23_000
"""A corpus of a long campaign: blocks in all, and those of the first case (the design page has the figure)."""
EMPTY_START_S = 1.2
"""What a start without entries takes, imports mostly, where 5 s are the bound (2.0 to 2.5 on a host that was slow)."""
MAX_START_S = 5.0
"""Of CPU time, supervisor and driver together: a machine that does other things slows the clock."""


def many(folder: Path) -> Corpus:
    """A corpus of generated cases, 40 features each, with about as many new blocks each as a campaign gives."""
    corpus, rng = Corpus(folder), Random(1)
    features = [f"family{i % 16}:{i}/of/some/int8/detail" for i in range(12_000)]
    blocks = rng.sample(range(SPACE.size), BLOCKS)
    made = 0
    while made < ENTRIES:
        try:
            case = generate(rng)
        except GenerateAnother:
            continue
        if corpus.features_of(case.id) is not None:
            continue
        share = FIRST if made == 0 else (BLOCKS - FIRST) // (ENTRIES - 1) + (made <= (BLOCKS - FIRST) % (ENTRIES - 1))
        corpus.add(case, rng.sample(features, 40), SPACE.pack([blocks.pop() for _ in range(share)]), float(made))
        made += 1
    return corpus


@pytest.mark.slow
def test_starting_with_ten_thousand_entries_is_quick_and_executes_none(tmp_path: Path) -> None:
    known = {path.stem for path in many(tmp_path / "full" / "corpus").files()}
    corpus = Corpus(tmp_path / "full" / "corpus")
    begun = time.process_time()
    corpus.refresh()
    assert len(known) == ENTRIES and len(corpus.known_blocks(SPACE)) == BLOCKS
    reading_s = time.process_time() - begun
    took = {}
    for name in ("empty", "full"):
        campaign = campaigns.start(tmp_path / name, delay_s=0.3)
        campaign.after(1)
        (driver,) = campaign.drivers()
        took[name] = sum(cpu_s(pid) for pid in (campaign.process.pid, driver))
        campaign.process.send_signal(signal.SIGINT)
        campaign.end()
        assert not known & set(campaign.cases())
    print(f"known blocks {reading_s:.2f} s, to the first case {took}")
    # The tiny target has no native blocks, so a driver that knows them is counted apart; the supervisor knows them too.
    # Seconds of CPU are longer on a busy host: what an empty start takes says how long.
    slower = max(1.0, took["empty"] / EMPTY_START_S)
    assert took["full"] - took["empty"] + 2 * reading_s < MAX_START_S * slower


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
