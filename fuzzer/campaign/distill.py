"""Distils a corpus: the fewest and cheapest cases that still reach every block and show every feature.

Entries are measured afresh (`afresh`), a cover is chosen among them (`cover`), and a new corpus is written. The old
one is only read.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from fuzzer import __version__
from fuzzer.campaign import versions
from fuzzer.campaign.afresh import Bench, Kept, Measured
from fuzzer.campaign.corpus import BLOCKS_FILE, FEATURES, STATE, Corpus, Line, lines
from fuzzer.campaign.cover import Bits, cover, extent, numbers_of, project
from fuzzer.campaign.lock import Lock
from fuzzer.case import case_id, decode
from fuzzer.coverage import tables
from fuzzer.coverage.space import BlockSpace
from fuzzer.disk import sync_folder
from fuzzer.errors import UserError
from fuzzer.execute import Zygote, ZygoteDiedError
from fuzzer.execute.client import DEFAULT_TARGET, own_scratch

STATE_FILE = "distill.jsonl"
_PART = ".part"


@dataclass(frozen=True)
class Distilled:
    """What was chosen, and what there was."""

    entries: int
    """Entries that were measured and lived."""
    chosen: tuple[Measured, ...]
    blocks: dict[str, int]
    """Blocks by scope; the chosen reach all of them."""
    features: dict[str, int]
    """Features by family; the chosen show all of them."""
    flaky_blocks: dict[str, int]
    """Blocks by scope that some entry reached in one of its runs and none in both."""
    flaky_features: dict[str, int]
    dead: tuple[Measured, ...]
    """Entries that cannot be kept."""
    seconds: float
    """What one run of every entry takes; of the chosen: `chosen_seconds`."""

    @property
    def chosen_seconds(self) -> float:
        """What one run of every chosen entry takes."""
        return sum(m.seconds for m in self.chosen)


def distil(measured: Sequence[Measured], space: BlockSpace) -> Distilled:
    """Chooses. The order of `measured` does not matter: the same measurements give the same choice."""
    alive = sorted((m for m in measured if not m.problem), key=lambda m: m.case)
    features = {name: i for i, name in enumerate(sorted({f for m in alive for f in m.features}))}
    reached, common = extent((m.reached() for m in alive), space.size)
    columns = numbers_of(reached & ~common, space.size)
    rows = [np.concatenate([project(m.reached(), columns), _feature_bits(m, features)]) for m in alive]
    chosen = tuple(alive[i] for i in cover(rows, [m.cost for m in alive]))
    kept, _ = extent((m.reached() for m in chosen), space.size)
    if (reached != kept).any() or {f for m in chosen for f in m.features} != features.keys():
        raise AssertionError("the chosen entries do not keep everything")
    flaky = extent((m.flaked() for m in alive if m.flaky_blocks), space.size)[0] & ~reached
    flaky_features = {f for m in alive for f in m.flaky_features} - features.keys()
    return Distilled(
        len(alive),
        chosen,
        space.by_scope(numbers_of(reached, space.size).tolist()),
        _families(features),
        space.by_scope(numbers_of(flaky, space.size).tolist()),
        _families(flaky_features),
        tuple(sorted((m for m in measured if m.problem), key=lambda m: m.case)),
        sum(m.seconds for m in alive),
    )


def _feature_bits(measured: Measured, numbers: dict[str, int]) -> Bits:
    shown = np.zeros(len(numbers), bool)
    shown[[numbers[feature] for feature in measured.features]] = True
    return np.packbits(shown)


def _families(features: Iterable[str]) -> dict[str, int]:
    return dict(Counter(feature.split(":", 1)[0] for feature in sorted(features)))


# --- the new corpus ---------------------------------------------------------------------------------------


def new_folder(out: Path | None) -> Path:
    """Where the new corpus will be: `out`, or a dated folder. Raises `UserError`.

    Nothing is made here; whether it can be is found out before hours are spent.
    """
    base = out or Path(f"corpus-distilled-{datetime.now(UTC):%Y%m%d}")
    target, n = base, 1
    while out is None and target.exists():
        n += 1
        target = base.with_name(f"{base.name}-{n}")
    if target.exists() or target.is_symlink():
        raise UserError(f"{target} is there already and is left as it is; name a new folder: --out DIR")
    parent = target.absolute().parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"{parent} is no folder that can be written to; name another: --out DIR")
    return target


def write(out: Path, entries: Mapping[str, Path], chosen: Sequence[Measured], space: BlockSpace) -> None:
    """Writes the new corpus in one step: a reader finds the whole of it or nothing. Raises `OSError`.

    `entries`: the files of the old corpus by id. They keep the time at which they were found. A line has the blocks
    that no line before it has, as in a campaign's corpus.
    """
    folders = {path.parent for path in entries.values()}
    found = {line.case: line.at for folder in folders for line in lines(folder) if line.at is not None}
    part = out.with_name(f".{out.name}{_PART}-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        (part / STATE).mkdir(parents=True)
        known = np.zeros((space.size + 7) // 8, np.uint8)
        text = bytearray()
        for measured in sorted(chosen, key=lambda m: (found.get(m.case, 0.0), m.case)):
            _put(part / f"{measured.case}.json", decode(entries[measured.case].read_bytes()).canonical + b"\n")
            reached = measured.reached()
            fresh = space.pack(numbers_of(reached & ~known, space.size).tolist())
            known |= reached
            at = found.get(measured.case, time.time())
            text += Line(measured.case, list(measured.features), fresh, at).to_bytes()
        _put(part / FEATURES, bytes(text))
        _put(part / STATE / BLOCKS_FILE, json.dumps({"libraries": space.to_json()}).encode())
        sync_folder(part)
        part.rename(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(out.absolute().parent)


def _put(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


# --- the old corpus ---------------------------------------------------------------------------------------


def entries_of(corpus: Corpus) -> tuple[dict[str, Path], list[str]]:
    """The case files by id, and a sentence for each that cannot be read. A copy under another name is left out."""
    good, bad = corpus.readable()
    found: dict[str, Path] = {}
    for path in good:
        data = path.read_bytes()
        name = case_id(data.removesuffix(b"\n"))
        found.setdefault(name if name == path.stem else decode(data).id, path)
    return found, bad


# --- the whole --------------------------------------------------------------------------------------------


class Screen(Protocol):
    """Where a person sees what goes on."""

    def say(self, sentence: str) -> None:
        """Something to know, once."""

    def reading(self, library: str, share: float) -> None:
        """Block tables are being made: `share` of 1 of this one is done."""

    def measured(self, done: int, of: int, last: Measured | None) -> None:
        """How many entries are measured; None in the beginning, when those of an earlier call are counted."""


def distil_folder(
    folder: Path, out: Path | None, workers: int, screen: Screen, target: str = DEFAULT_TARGET
) -> tuple[Distilled, Path]:
    """Distils the corpus in `folder` into a new folder, which is returned.

    Raises `UserError`. Whatever ends it, `KeyboardInterrupt` too: what was measured is kept, and the next call goes
    on from there; the new folder is there whole or not at all.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; name the corpus to distil: --corpus DIR")
    corpus = Corpus(folder)
    lock = Lock(corpus.state / "distill.lock", str(folder), "wait for the other `corpus distill` to end")
    try:
        new = new_folder(out)
        entries, unreadable = entries_of(corpus)
        for sentence in unreadable:
            screen.say(f"left out: {sentence}")
        if not entries:
            raise UserError(f"{folder} holds no cases; there is nothing to distil")
        state = corpus.state / STATE_FILE
        try:
            space, measured = _measure(entries, state, workers, screen, target)
            distilled = distil(measured, space)
            if not distilled.chosen:
                raise UserError(
                    f"none of the {len(entries)} entries of {folder} runs to its end: {measured[0].problem}"
                )
            write(new, entries, distilled.chosen, space)
        except ZygoteDiedError as dead:
            raise UserError(f"TensorFlow is gone: {dead}; {kept_in(folder)}") from dead
        except OSError as refused:
            raise UserError(f"the disk refused: {refused}; {kept_in(folder)}") from refused
        state.unlink(missing_ok=True)
        return distilled, new
    finally:
        lock.release()


def kept_in(folder: Path) -> str:
    """Where the measurements of a distillation that was cut short are."""
    return f"what was measured is kept in {folder / STATE / STATE_FILE}, and the same command goes on from there"


def _measure(
    entries: Mapping[str, Path], state: Path, workers: int, screen: Screen, target: str
) -> tuple[BlockSpace, list[Measured]]:
    """Measures what an earlier call has not: the blocks there are, and all measurements."""
    zygote, scratch = Zygote(target, watch=True), own_scratch()
    try:
        zygote.wait_ready()
        space, problems = tables.ensure(zygote.libraries, screen.reading)
        for problem in problems:
            screen.say(problem)
        basis = {"libraries": space.to_json(), "versions": versions.installed(), "fuzzer": __version__}
        kept = Kept(state, basis, space.size)
        left = [path for name, path in entries.items() if name not in kept.found]
        done, unwatched = len(entries) - len(left), ""
        screen.measured(done, len(entries), None)
        with closing(Bench(zygote, space, scratch).measure_all(left, workers)) as measuring:
            for measured in measuring:
                kept.add(measured)
                done += 1
                screen.measured(done, len(entries), measured)
                if measured.unwatched != unwatched and (unwatched := measured.unwatched):
                    screen.say(unwatched)
        return space, [kept.found[name] for name in entries]
    finally:
        zygote.stop()
        shutil.rmtree(scratch, ignore_errors=True)
