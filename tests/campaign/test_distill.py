"""Distilling a corpus: what is kept, what is reported, and that nothing but a whole new folder is ever written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fuzzer.campaign.afresh import Kept, Measured, _packed
from fuzzer.campaign.corpus import Corpus, lines
from fuzzer.campaign.distill import STATE_FILE, Distilled, distil, distil_folder, new_folder, write
from fuzzer.case import Case
from fuzzer.cli.corpus import command, summary
from fuzzer.coverage.space import BlockSpace, Library, unpack
from fuzzer.errors import UserError
from tests.campaign import campaigns
from tests.conftest import TINY
from tests.execute.processes import wait_for
from tests.strategies import drawn_case, fed_otherwise

SPACE = BlockSpace(
    (
        Library("converter", "c.so", "c" * 16, "c.table", 100),
        Library("runtime", "r.so", "r" * 16, "r.table", 61),
    )
)


def measured(
    name: str,
    blocks: set[int],
    features: tuple[str, ...] = (),
    flaky: set[int] = frozenset(),  # type: ignore[assignment]
    late: tuple[str, ...] = (),
    seconds: float = 1.0,
    size: int = 100,
) -> Measured:
    rows = []
    for numbers in (blocks, flaky):
        row = np.zeros(SPACE.size, bool)
        row[list(numbers)] = True
        rows.append(_packed(row))
    return Measured(name, seconds, size, features, late, rows[0], rows[1])


class Said:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.counts: list[tuple[int, int]] = []
        self.cases: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def reading(self, library: str, share: float) -> None:
        self.sentences.append(library)

    def measured(self, done: int, of: int, last: Measured | None) -> None:
        self.counts.append((done, of))
        self.cases += [last.case] if last else []


def corpus_of(folder: Path, seeds: range) -> dict[str, Case]:
    corpus = Corpus(folder)
    made = {}
    for seed in seeds:
        case = drawn_case(seed)
        corpus.add(case, [f"op:{seed}"], {}, 1000.0 + seed)
        made[case.id] = case
    return made


# --- choosing ---------------------------------------------------------------------------------------------


def test_what_is_kept_and_what_is_flaky() -> None:
    everyone = {0, 1, 99, 100, 160}
    given = [
        measured("a", everyone | {2, 3}, ("op:x", "op:y")),
        measured("b", everyone | {2, 3, 101}, ("op:x",), flaky={50, 4}),
        measured("c", everyone | {2, 3, 101}, ("op:x",), seconds=9.0),
        measured("d", everyone | {4}, ("pair:z",), flaky={51, 160 - 5}, late=("late:1", "op:x")),
        measured("e", everyone, ()),
        Measured("f", problem="hang (SIGKILL) in convert"),
    ]
    for order in (given, given[::-1]):
        made = distil(order, SPACE)
        assert [m.case for m in made.chosen] == ["a", "b", "d"] and made.entries == 5
        assert made.blocks == {"converter": 6, "runtime": 3} and made.features == {"op": 2, "pair": 1}
        # Block 4 flaked for one entry and is sound for another; block 50 was seen in no two runs of anything.
        assert made.flaky_blocks == {"converter": 2, "runtime": 1} and made.flaky_features == {"late": 1}
        assert [m.case for m in made.dead] == ["f"] and made.seconds == 13 and made.chosen_seconds == 3
    assert not distil([Measured("f", problem="dead")], SPACE).chosen
    same = distil([measured("long", everyone, size=900), measured("short", everyone)], SPACE)
    assert [m.case for m in same.chosen] == ["short"]


def test_without_native_blocks_the_features_decide() -> None:
    nothing = _packed(np.zeros(0, bool))
    rows = [Measured(name, 1.0, 1, shown, (), nothing, nothing) for name, shown in (("a", ("op:x",)), ("b", ()))]
    made = distil(rows, BlockSpace())
    assert [m.case for m in made.chosen] == ["a"] and made.blocks == {} and made.features == {"op": 1}


def test_the_summary_says_all_of_it() -> None:
    chosen = (measured("a" * 16, {1}, ("op:x",), seconds=2.0),)
    made = Distilled(4, chosen, {"converter": 1500}, {"op": 1}, {"runtime": 7}, {}, (Measured("f", problem="hang"),), 8)
    text = "\n".join(summary(made, Path("new"), 7200.0))
    for part in ("4 -> 1 (25.0%)", "8.0 s -> 2.0 s", "1,500 (converter 1,500), all kept", "blocks 7 (runtime 7)"):
        assert part in text
    assert "f hang" in text and "2.0 h" in text and "python -m fuzzer --corpus new" in text


# --- writing ----------------------------------------------------------------------------------------------


def test_the_new_corpus_is_one_a_campaign_can_start_from(tmp_path: Path) -> None:
    made = corpus_of(tmp_path / "old", range(4))
    entries = {name: tmp_path / "old" / f"{name}.json" for name in made}
    names = list(made)
    chosen = [measured(names[2], {1, 2, 120}, ("op:x",)), measured(names[0], {2, 3}, ("op:y",), flaky={9})]
    write(tmp_path / "new", entries, chosen, SPACE)
    new = Corpus(tmp_path / "new")
    new.refresh()
    assert new.known_blocks(SPACE) == [1, 2, 3, 120]
    assert [(line.case, line.at) for line in lines(tmp_path / "new")] == [(names[0], 1000.0), (names[2], 1002.0)]
    assert SPACE.unpack(new.packed_of(names[2])) == [1, 120], "block 2 was the other's before"
    assert new.features_of(names[0]) == ["op:y"]
    good, bad = new.readable()
    assert {path.stem for path in good} == {names[0], names[2]} and not bad
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    made = corpus_of(tmp_path / "old", range(2))
    entries = {name: tmp_path / "old" / f"{name}.json" for name in made}
    chosen = [measured(name, {1}) for name in made]
    entries[list(made)[1]].unlink()
    with pytest.raises(OSError):
        write(tmp_path / "new", entries, chosen, SPACE)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_new_folder_is_never_an_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = new_folder(None)
    first.mkdir()
    assert first.name.startswith("corpus-distilled-2") and new_folder(None).name == f"{first.name}-2"
    with pytest.raises(UserError, match=r"is there already.*--out DIR"):
        new_folder(first)
    with pytest.raises(UserError, match=r"cannot|no folder"):
        new_folder(tmp_path / "no" / "such")


# --- what was measured is kept -------------------------------------------------------------------------------


def test_measurements_survive_unless_they_no_longer_hold(tmp_path: Path) -> None:
    path, basis = tmp_path / "state", {"libraries": SPACE.to_json()}
    one = measured("a", {1, 160}, ("op:x",), flaky={3}, late=("l",))
    kept = Kept(path, basis, SPACE.size)
    kept.add(one)
    kept.add(Measured("b", problem="hang"))
    whole = path.read_bytes()
    path.write_bytes(whole + one.to_bytes().replace(b'"a"', b'"c"')[:-9])  # a kill
    again = Kept(path, basis, SPACE.size)
    assert again.found == {"a": one, "b": Measured("b", problem="hang")}
    again.add(measured("d", {5}))
    again.add(replace(measured("blind", set()), unwatched="no native coverage: SELinux"))
    assert Kept(path, basis, SPACE.size).found.keys() == {"a", "b", "d"}
    path.write_bytes(whole + measured("e", {1}).to_bytes().replace(b'"blocks":"', b'"blocks":"A'))
    assert Kept(path, basis, SPACE.size).found.keys() == {"a", "b"}
    assert Kept(path, {"libraries": []}, 0).found == {} and len(path.read_bytes().splitlines()) == 1


# --- the whole, on the tiny target --------------------------------------------------------------------------


def test_a_corpus_is_distilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wavers").mkdir()
    monkeypatch.setenv("TINY_WAVERS", str(tmp_path / "wavers"))
    made = corpus_of(tmp_path / "old", range(12))
    deadly = next(iter(made.values())).model.nodes[0].op
    dead = {name for name, case in made.items() if deadly in [node.op for node in case.model.nodes]}
    monkeypatch.setenv("TINY_DEADLY", f"{deadly}:abort")
    twin = tmp_path / "old" / "copy of an entry.json"
    twin.write_bytes(next(case for name, case in made.items() if name not in dead).canonical)
    (tmp_path / "old" / "broken.json").write_bytes(b"{")
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir() if path.is_file()}
    screen = Said()
    made_now, new = distil_folder(tmp_path / "old", tmp_path / "new", 2, screen, "tests.campaign.wavering")
    assert screen.counts == [(i, 12) for i in range(13)] and set(screen.cases) == set(made)
    assert [s for s in screen.sentences if "left out" in s and "broken.json" in s]
    assert {m.case for m in made_now.dead} == dead and 0 < len(dead) < 12
    assert all("SIGABRT" in m.problem for m in made_now.dead)
    assert made_now.entries == 12 - len(dead) and set(made_now.flaky_features) == {"late"}
    shown = {f for line in lines(new) for f in line.features}
    assert shown and not any(f.startswith("late") for f in shown)
    # What each case shows can be told without running it: the new corpus has all of it, and needs all its cases.
    each = {line.case: set(line.features) for line in lines(new)}
    assert {path.stem for path in Corpus(new).files()} == set(each)
    for left_out in each:
        assert set().union(*(f for name, f in each.items() if name != left_out)) != shown
    ops = {
        f"op:{node.op}/{case.conversion.scheme}"
        for c, case in made.items()
        if c not in dead
        for node in case.model.nodes
    }
    assert {f for f in shown if f.startswith("op:")} == ops
    after = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir() if path.is_file()}
    assert after == before and not (Corpus(tmp_path / "old").state / STATE_FILE).exists()


RUN = """
import sys
from pathlib import Path
from fuzzer.campaign.distill import distil_folder, kept_in
from tests.campaign.test_distill import Said
from tests.conftest import TINY
screen = Said()
try:
    distil_folder(Path("old"), Path("new"), 2, screen, TINY)
except KeyboardInterrupt:
    print(kept_in(Path("old")))
print(screen.counts[0], len(screen.cases))
"""


def test_ctrl_c_keeps_what_was_measured_and_the_next_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = corpus_of(tmp_path / "old", range(10))
    environment = {**os.environ, "PYTHONPATH": str(campaigns.ROOT), "TINY_DELAY_S": "0.15"}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    state = tmp_path / "old" / ".state" / STATE_FILE
    wait_for(lambda: state.exists() and state.read_bytes().count(b"\n") > 3, 30.0, "three measurements")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0 and f"kept in {Path('old/.state') / STATE_FILE}" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"], "half a corpus"
    kept = [json.loads(line)["case"] for line in state.read_bytes().splitlines()[1:]]
    assert 3 <= len(kept) < len(made) and len(set(kept)) == len(kept)
    screen = Said()
    monkeypatch.chdir(tmp_path)
    made_now, _ = distil_folder(Path("old"), Path("new"), 2, screen, TINY)
    assert screen.counts[0] == (len(kept), 10) and set(screen.cases) == made.keys() - set(kept)
    assert made_now.entries == 10 and not state.exists() and (tmp_path / "new" / "features.jsonl").exists()


def test_two_at_a_time_are_refused(tmp_path: Path) -> None:
    corpus_of(tmp_path / "old", range(2))
    from fuzzer.campaign.lock import Lock

    lock = Lock(Corpus(tmp_path / "old").state / "distill.lock", "x", "y")
    with pytest.raises(UserError, match=r"in use.*wait for the other"):
        distil_folder(tmp_path / "old", tmp_path / "new", 1, Said(), TINY)
    lock.release()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--corpus", "none"], "none is no folder"),
        (["--corpus", "empty"], "holds no cases"),
        (["--corpus", "empty", "--out", "empty"], "is there already"),
    ],
)
def test_what_there_is_nothing_to_do_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    result = CliRunner().invoke(command, ["distill", *arguments])
    assert isinstance(result.exception, UserError) and says in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"] and not Path("none").exists()


# --- the whole, on TensorFlow -------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_distilled_corpus_reaches_all_that_the_old_one_did(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "old")
    for seed in range(4):
        case = drawn_case(seed)
        for k in range(3):
            corpus.add(fed_otherwise(case, k), [], {}, 1000.0 + k)
    first, new = distil_folder(tmp_path / "old", tmp_path / "new", 2, Said())
    assert first.entries + len(first.dead) == 12 and 2 <= len(first.chosen) <= first.entries - 3
    # The design page has 23,000 blocks for a first convolution.
    assert first.blocks["converter"] > 15_000 and first.blocks["runtime"] > 3_000
    assert sum(first.flaky_blocks.values()) < 0.01 * sum(first.blocks.values())
    # What the new one is said to reach it does reach when all is measured once more: but for the few blocks that
    # depend on threads and time. For them a case or three are kept that the next round does without.
    second, newer = distil_folder(new, tmp_path / "newer", 2, Said())
    assert second.entries == len(first.chosen) and not second.dead
    told = sum(line_count(new).values())
    assert told == sum(first.blocks.values())
    assert sum(second.blocks.values()) == pytest.approx(told, rel=0.002)
    assert 2 <= len(second.chosen) <= len(first.chosen)
    assert line_count(newer).keys() == line_count(new).keys()


def line_count(folder: Path) -> dict[str, int]:
    """Blocks on the lines of a corpus by library; no block is on two of them."""
    found: dict[str, list[int]] = {}
    for line in lines(folder):
        for digest, text in line.blocks.items():
            found.setdefault(digest, []).extend(unpack(text))
    assert all(len(set(numbers)) == len(numbers) for numbers in found.values())
    return {digest: len(numbers) for digest, numbers in found.items()}
