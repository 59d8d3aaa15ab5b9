"""Entries of a corpus run afresh: each in executors of its own, with every block armed, twice.

Coverage of a campaign is global, so a corpus knows what an entry was the first to reach, not what it reaches. What
shows up in one of two runs only (a thread that was late, a cache that was warm) is *flaky* and nobody's merit.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import zlib
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fuzzer.campaign.cover import Bits
from fuzzer.case import Case, case_id, decode, to_json
from fuzzer.coverage.space import BlockSpace
from fuzzer.coverage.tripwire import Hits
from fuzzer.disk import write_atomic
from fuzzer.errors import CaseError
from fuzzer.execute import Death, Executor, Limits, Zygote

_FAST = 1
"""zlib's level: a row of 741,056 bits takes a millisecond, and a higher level saves little."""


@dataclass(frozen=True)
class Measured:
    """What one entry did in its two runs."""

    case: str
    """Its id."""
    seconds: float = 0.0
    """Of the quicker run, on the clock, start of the executor not included."""
    size: int = 0
    """Bytes of its canonical JSON."""
    features: tuple[str, ...] = ()
    """Shown by both runs."""
    flaky_features: tuple[str, ...] = ()
    """Shown by one."""
    blocks: bytes = b""
    """Reached by both: bits by number, as `numpy.packbits` writes them, compressed (about 20 kB)."""
    flaky_blocks: bytes = b""
    """Reached by one; empty where there are none."""
    problem: str = ""
    """Why it cannot be kept: how it died, or what went wrong."""
    unwatched: str = ""
    """Why blocks were not reported, or not all of them, where they should have been."""

    @property
    def cost(self) -> float:
        """What keeping it costs: every run of it and of its mutants takes its time, and long cases are hard to read."""
        return max(self.seconds, 1e-3) * max(self.size, 1)

    def reached(self) -> Bits:
        """The blocks of both runs."""
        return _bits(self.blocks)

    def flaked(self) -> Bits:
        """The blocks of one run."""
        return _bits(self.flaky_blocks)

    def to_bytes(self) -> bytes:
        """As a line of the state file."""
        tree = {name: getattr(self, name) for name in self.__dataclass_fields__}
        tree.update({name: base64.b64encode(tree[name]).decode() for name in ("blocks", "flaky_blocks")})
        return json.dumps(tree, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_bytes(cls, line: bytes, size: int) -> Measured:
        """What `to_bytes` gave, of a space of `size` blocks. Raises `ValueError` for anything else."""
        try:
            tree = json.loads(line)
            tree.update({name: tuple(map(str, tree[name])) for name in ("features", "flaky_features")})
            tree.update({name: base64.b64decode(tree[name], validate=True) for name in ("blocks", "flaky_blocks")})
            made = cls(**tree)
            rows = [_bits(row) for row in (made.blocks, made.flaky_blocks) if row]
            if any(len(row) != (size + 7) // 8 for row in rows) or not (made.blocks or made.problem):
                raise ValueError("blocks of another space")
            return made
        except (KeyError, TypeError, AttributeError, zlib.error) as broken:
            raise ValueError(str(broken)) from broken


def _bits(packed: bytes) -> Bits:
    return np.frombuffer(zlib.decompress(packed), np.uint8)


def _packed(reached: npt.NDArray[np.bool_]) -> bytes:
    return zlib.compress(np.packbits(reached).tobytes(), _FAST)


@dataclass(frozen=True)
class _Run:
    features: set[str]
    blocks: npt.NDArray[np.bool_]
    """By number."""
    seconds: float
    unwatched: str


class Bench:
    """Measures entries. Safe for use by several threads at once: every run has an executor of its own."""

    def __init__(self, zygote: Zygote, space: BlockSpace, scratch: Path, limits: Limits | None = None) -> None:
        self.space = space
        self._zygote = zygote
        self._scratch = scratch
        self._limits = limits or Limits()

    def measure(self, path: Path) -> Measured:
        """Runs a case file twice. Raises `OSError`, and `ZygoteDiedError` when TensorFlow is gone."""
        data = path.read_bytes()
        try:
            case = decode(data)
        except CaseError as broken:  # by a newer release, say: known by its bytes, but no case to us
            return Measured(case_id(data.removesuffix(b"\n")), problem=f"no case: {broken}")
        runs = []
        for _ in range(2):
            run = self._once(case)
            if isinstance(run, str):
                return Measured(case.id, size=len(case.canonical), problem=run)
            runs.append(run)
        one, two = runs
        return Measured(
            case.id,
            min(one.seconds, two.seconds),
            len(case.canonical),
            tuple(sorted(one.features & two.features)),
            tuple(sorted(one.features ^ two.features)),
            _packed(one.blocks & two.blocks),
            _packed(flaky) if (flaky := one.blocks ^ two.blocks).any() else b"",
            unwatched=one.unwatched or two.unwatched,
        )

    def _once(self, case: Case) -> _Run | str:
        """A run in a fresh executor with every block armed; or why there is none."""
        hits = Hits(self.space) if self.space.size else None
        executor = Executor(self._zygote.path, self._limits, self._scratch, hits=hits)
        executor.known_lines = list  # none: each run reports all of its lines
        try:
            answer = executor.run({"command": "run", "case": to_json(case)}, self._limits.timeout_for(case))
            if isinstance(answer, Death):
                return f"{answer.kind} ({answer.signal}) in {' '.join(filter(None, (answer.stage, answer.detail)))}"
            if "bug" in answer.message:
                return f"internal error: {answer.message['bug'].strip().splitlines()[-1]}"
            reached = np.zeros(self.space.size, bool)
            if hits is not None:
                reached[hits.take()] = True
            unwatched = str(answer.message.get("unwatched", ""))
            return _Run(
                {*answer.message["features"], *answer.message.get("lines", [])}, reached, answer.elapsed_s, unwatched
            )
        finally:
            executor.close()
            if hits is not None:
                hits.close()

    def measure_all(self, paths: Sequence[Path], workers: int) -> Generator[Measured]:
        """Measures entries side by side, in the order in which they are done. Raises what `measure` does.

        An iteration that is given up ends what runs, with the zygote, and starts nothing more.
        """
        given_up = threading.Event()

        def one(path: Path) -> Measured | None:
            return None if given_up.is_set() else self.measure(path)

        pool = ThreadPoolExecutor(workers, "distill")
        try:
            for done in as_completed([pool.submit(one, path) for path in paths]):
                measured = done.result()
                assert measured is not None
                yield measured
        except BaseException:  # Ctrl-C too: nobody waits for a case that hangs
            given_up.set()
            self._zygote.stop()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class Kept:
    """What was measured so far, on disk: the next call goes on from there.

    A header says what it holds for (`basis`); with another one nothing of it is used.
    """

    def __init__(self, path: Path, basis: Mapping[str, Any], size: int) -> None:
        """Reads what an earlier call left. `size`: number of blocks. Raises `OSError`."""
        self.path = path
        self.found: dict[str, Measured] = {}
        header = json.dumps(basis, sort_keys=True).encode() + b"\n"
        if not path.exists() or not self._read(header, size):
            write_atomic(path, header)

    def _read(self, header: bytes, size: int) -> bool:
        line = b""
        with self.path.open("rb") as file:
            if file.readline() != header:
                return False
            for line in file:
                try:
                    measured = Measured.from_bytes(line, size)
                except ValueError:
                    continue  # cut off by a kill: measured again
                if not measured.unwatched:  # what kept blocks from being seen may be gone now
                    self.found[measured.case] = measured
        if line and not line.endswith(b"\n"):
            self._write(b"\n")
        return True

    def add(self, measured: Measured) -> None:
        """Keeps a measurement. Raises `OSError` when the disk refuses."""
        self._write(measured.to_bytes())
        self.found[measured.case] = measured

    def _write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def remove(self) -> None:
        """All is done."""
        self.path.unlink(missing_ok=True)


def default_workers() -> int:
    """All cores: somebody waits for it."""
    return len(os.sched_getaffinity(0))
