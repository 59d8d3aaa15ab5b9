"""The driver: runs atheris. libFuzzer keeps the corpus and calls us; what is made and run next is the guide's choice.

One process a worker, started by the supervisor as `python -m fuzzer.campaign.driver CONFIG_JSON`. It tells the
supervisor of every case by one JSON line on the descriptor `events`. SIGTERM ends it after the case at hand.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from fuzzer.campaign.config import DriverConfig
from fuzzer.campaign.corpus import Corpus
from fuzzer.campaign.killers import Killers
from fuzzer.campaign.seeds import seeds as drawn_seeds
from fuzzer.campaign.slot import Slot
from fuzzer.campaign.suspicions import Suspicions
from fuzzer.case import MAX_BYTES, Case, decode, to_json
from fuzzer.case.case import case_id
from fuzzer.coverage.counters import Counters
from fuzzer.coverage.space import BlockSpace
from fuzzer.coverage.tripwire import Hits
from fuzzer.disk import link
from fuzzer.errors import CaseError
from fuzzer.execute import Death, Executor, Limits, Reply, ZygoteDiedError
from fuzzer.guidance import Guidance, Guide
from fuzzer.guidance.guide import Candidate, gain_of
from fuzzer.mutate import draw
from fuzzer.oracles import Verdict
from fuzzer.oracles.death import judge_death

RECENT = 4096
PLANNED = 64
"""Cases that were made and not yet asked for: libFuzzer runs one before it wants the next, and drops few."""
_OFFER_PATIENCE_S = 120.0
"""How long TensorFlow may take to load before the first case is made without what it would have offered."""
RELOAD_S = 5
_USUAL_S = 0.1
"""What an entry of an earlier run is taken to have cost: nobody wrote it down."""
_SPACE_PATIENCE_S = 300.0
"""How long finding the blocks of libraries that are seen for the first time may take."""
_ZYGOTE_PATIENCE_S = 60.0
_ERRORS = ("errors", "asked_wrongly")
"""What the target says of errors: whose matter they are."""


@dataclass(frozen=True)
class _Seen:
    """What an execution showed."""

    features: list[str]
    blocks: list[int]
    """Native blocks that this campaign had not hit before."""
    verdicts: list[Verdict]
    log: str
    begun: float
    """When the execution began, monotonic seconds."""


@dataclass
class _Fresh:
    """What of that is new."""

    features: list[str] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    kept: bool = False
    """Whether the case is in the corpus now."""
    suspicions: int = 0
    """Of a kind that was not seen before."""


class Driver:
    """One worker's side of the campaign: mutation in, execution, features and suspicions out."""

    def __init__(self, config: DriverConfig) -> None:
        self.config = config
        self.corpus = Corpus(Path(config.corpus))
        self.corpus.refresh()
        self.counters = Counters()
        self.limits = Limits(**config.limits)
        self.scratch = Path(config.scratch)
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.executor = Executor(config.zygote, self.limits, self.scratch)
        self.executor.known_lines = self.corpus.lines
        self.slot = Slot(self.corpus.state / f"worker-{config.worker}.slot")
        self.killers = Killers()
        # Of a campaign of so many cases nothing may depend on the clock.
        self.guidance = Guidance(**config.guidance)
        self.guide = Guide(self.guidance, Random(config.seed), self.killers.suspects, clock=config.max_cases is None)
        self.space = BlockSpace()
        self.hits: Hits | None = None
        self.stopping = False
        self.executed = 0
        self._made: OrderedDict[bytes, Candidate] = OrderedDict()
        self._recent: OrderedDict[str, list[str]] = OrderedDict()
        self._suspicions = Suspicions(Path(config.crashes))
        self._last_end = 0.0

    # --- what libFuzzer calls ---------------------------------------------------------------------------

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """The custom mutator: the guide's next case, whatever libFuzzer would mutate, unless it was asked to choose."""
        del seed  # the guide has its own numbers, so that candidates can be made while an executor works
        made = self.guide.next(data)
        code = made.case.canonical
        if len(code) > max_size:
            return data
        self._made[code] = made
        if len(self._made) > PLANNED:
            self._made.popitem(last=False)
        return code

    def cross(self, left: bytes, right: bytes, max_size: int, seed: int) -> bytes:
        """The custom crossover; who crosses whom is the guide's business too."""
        del right
        return self.mutate(left, max_size, seed)

    def test(self, data: bytes) -> None:
        """Executes one input. Returns at once for what is no case or was executed before."""
        if not self.counters.registered:
            self.counters.register()
        if self.stopping:
            self.finish()
        made = self._made.pop(data, None)
        name = made.case.id if made else case_id(data.removesuffix(b"\n"))
        known = self._recent.get(name)  # an empty list for what died or showed nothing
        if known is None:
            known = self._known(name, made is None)
        if known is not None:
            self.counters.hit(known)
            return
        try:
            self._execute(made or Candidate(decode(data), "corpus"))
        except CaseError:
            return
        if self.config.max_cases is not None and self.executed >= self.config.max_cases:
            self.finish()

    def _known(self, name: str, foreign: bool) -> list[str] | None:
        """The features of an entry that somebody ran before, None of another; its blocks count again.

        A `foreign` case was not made by us: libFuzzer is reading the corpus, or a sibling's entry.
        """
        if foreign and self.corpus.features_of(name) is None:
            for read in self.corpus.refresh():
                if self.hits is not None:  # a sibling hit them: they are no news any more
                    self.hits.know(self._blocks_of(read))
        features = self.corpus.features_of(name)
        if features is not None:
            blocks, fresh = self._blocks_of(name), self.counters.hit(features)
            self.counters.hit_blocks(blocks)
            if not self.corpus.died(name):
                self._adopt(name, gain_of(len(blocks), len(fresh), 0), _USUAL_S)
        return features

    def _blocks_of(self, name: str) -> list[int]:
        """The blocks of an entry; none where its line was damaged since the campaign began."""
        try:
            return self.space.unpack(self.corpus.packed_of(name))
        except ValueError:
            return []

    def _adopt(self, name: str, gain: float, seconds: float) -> None:
        """Lets the guide mutate a corpus entry."""
        path = self.corpus.folder / f"{name}.json"
        self.guide.parents.add(name, lambda: path.read_bytes().strip(), gain, seconds)

    # --- executing --------------------------------------------------------------------------------------

    def _execute(self, made: Candidate) -> None:
        case, begun = made.case, time.monotonic()
        self.slot.busy(case.canonical)
        answer = self._run(case)
        blocks = self.hits.take() if self.hits is not None else []
        self.executed += 1
        self.killers.record(case, isinstance(answer, Death))
        event: dict[str, Any] = {
            "event": "case",
            "case": case.id,
            "patterns": list(case.model.patterns),
            "ops": sorted({node.op for node in case.model.nodes}),
            "scheme": case.conversion.scheme,
            "mutator": made.origin,
            "restarts": self.executor.started - 1,
            "recycled": self.executor.recycled,
        }
        if isinstance(answer, Death):
            features: list[str] = []
            verdicts = [judge_death(answer)]
            event["death"] = answer.kind
            log = answer.log
        else:
            message = answer.message
            log = ""
            if "bug" in message:
                self._tell({"event": "bug", "case": case.id, "text": message["bug"]})
            if "unwatched" in message:
                self._tell({"event": "warning", "text": message["unwatched"]})
            features = [sys.intern(f) for f in (*message.get("features", []), *message.get("lines", []))]
            verdicts = [Verdict.from_json(v) for v in message.get("verdicts", [])]
            told = ("built", "converted", "accepted", "refusal", "failure", "builtins", "statistics", *_ERRORS)
            event.update({k: message[k] for k in told if k in message})
            event["under_test_s"] = message.get("under_test_s", 0.0)
        self._account(made, _Seen(features, blocks, verdicts, log, begun), event)

    def _account(self, made: Candidate, seen: _Seen, event: dict[str, Any]) -> None:
        """Saves what must not be lost, feeds the counters and the guide, and tells the supervisor."""
        case, fresh = made.case, _Fresh()
        try:
            fresh.suspicions = sum(self._suspicions.save(case, verdict, seen.log) for verdict in seen.verdicts)
            self._keep(case, seen, fresh, "death" in event)
        except OSError as refused:
            self._tell({"event": "disk", "error": str(refused)})
        self.slot.idle()
        self._recent[case.id] = seen.features
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        now = time.monotonic()
        # From the end of the case before; what came before the first case is the start of TensorFlow.
        event["wall_s"] = now - (self._last_end or seen.begun)
        self._last_end = now
        event["new"], event["blocks"], event["kept"] = fresh.features, fresh.blocks, fresh.kept
        event["suspicions"] = [{"kind": v.kind.value, "runtimes": sorted(v.runtimes)} for v in seen.verdicts]
        self._tell(event)
        self._learn(made, fresh, now - seen.begun)

    def _keep(self, case: Case, seen: _Seen, fresh: _Fresh, died: bool) -> None:
        """Feeds libFuzzer, and keeps a case that showed something new.

        A deadly case hits no counter: libFuzzer would otherwise breed from it. Its blocks are known all the same.
        """
        options, packed, at = self.guidance, self.space.pack(seen.blocks), time.time()
        fresh.blocks = seen.blocks
        if died:
            if seen.blocks and options.guided:
                self.corpus.note(case.id, packed, at=at)
            return
        if not options.guided:
            self.counters.hit(["ran"])  # libFuzzer gives up without a single interesting input
        fresh.features = (self.counters.hit if options.counts_features else self.counters.learn)(seen.features)
        if options.counts_blocks:
            self.counters.hit_blocks(seen.blocks)
        if (fresh.features and options.counts_features) or (seen.blocks and options.counts_blocks):
            self.corpus.add(case, seen.features, packed, at)
            fresh.kept = True

    def _learn(self, made: Candidate, fresh: _Fresh, seconds: float) -> None:
        options = self.guidance
        if not options.guided:
            if made.origin == "corpus":
                self.guide.parents.add(made.case.id, lambda: made.case.canonical, 0.0, seconds)
            return
        blocks = len(fresh.blocks) if options.counts_blocks else 0
        features = len(fresh.features) if options.counts_features else 0
        gain = gain_of(blocks, features, fresh.suspicions)
        if fresh.kept:
            self._adopt(made.case.id, gain, self.guide.price(made.case, seconds))
        self.guide.learn(made, gain, seconds)

    def _run(self, case: Case) -> Reply | Death:
        """The case in an executor; waits for a new zygote when the old one died."""
        request = {"command": "run", "case": to_json(case)}
        deadline = time.monotonic() + _ZYGOTE_PATIENCE_S
        while True:
            try:
                return self.executor.run(request, self.limits.timeout_for(case), meanwhile=self.guide.prepare)
            except ZygoteDiedError:
                if self.stopping or time.monotonic() > deadline:
                    self.finish(1)
                self.executor.forget()
                time.sleep(0.2)

    def _tell(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self.config.events, line) :]
        except BrokenPipeError:
            self.finish(1)  # the supervisor is gone; what was found is on disk

    # --- life -------------------------------------------------------------------------------------------

    def finish(self, code: int = 0) -> None:
        """Ends the process: at once, because libFuzzer has no way to be asked."""
        try:
            os.write(self.config.events, b'{"event":"bye"}\n')
        except OSError:
            code = code or 1
        self.executor.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        os._exit(code)

    def learn(self) -> None:
        """Asks an executor which switches and optional schemes are installed, and has them drawn.

        It needs TensorFlow, which this process never imports. Without the answer other cases are made, which is said.
        """
        deadline = time.monotonic() + _OFFER_PATIENCE_S
        while time.monotonic() < deadline and not self.stopping:
            try:
                answer = self.executor.run({"command": "switches"}, _OFFER_PATIENCE_S)
            except ZygoteDiedError:
                self.executor.forget()
                time.sleep(0.2)
                continue
            if isinstance(answer, Death):
                continue
            if "switches" in answer.message:
                draw.take_offer(answer.message["switches"], answer.message["schemes"])
            elif "bug" in answer.message:
                self._tell({"event": "bug", "case": "", "text": answer.message["bug"]})
            return
        if not self.stopping:
            self._tell(
                {"event": "bug", "case": "", "text": "no executor said what is installed: no switches are drawn"}
            )

    def watch_blocks(self) -> None:
        """Waits until the supervisor has the numbers of the native blocks, and has executors report them."""
        source, deadline = Path(self.config.space), time.monotonic() + _SPACE_PATIENCE_S
        while self.config.space and not self.stopping and time.monotonic() < deadline:
            if not source.exists():
                time.sleep(0.1)
                continue
            self.space = BlockSpace.from_json(json.loads(source.read_bytes())["libraries"])
            if self.space.size:
                self.hits = Hits(self.space)
                self.hits.know(self.corpus.known_blocks(self.space))
                self.executor.stop()
                self.executor.hits = self.hits
            return
        if self.config.space and not self.stopping:
            self._tell({"event": "warning", "text": "native blocks were not found in time: features alone guide"})

    def fuzz(self) -> None:
        """Runs libFuzzer; never returns."""
        import atheris

        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.learn()
        entries, _ = self.corpus.readable()
        self.corpus.keep_only(path.stem for path in entries)
        self.watch_blocks()
        seeds = self.scratch / "corpus"
        seeds.mkdir(parents=True, exist_ok=True)
        for path in entries:
            link(path, seeds / path.name)
        if not entries:
            for i, data in enumerate(drawn_seeds(self.config.seed)):
                (seeds / f"seed-{i:03d}").write_bytes(data)
        arguments = [
            sys.argv[0],
            f"-seed={1 + self.config.seed % (2**31 - 2)}",
            f"-max_len={MAX_BYTES}",
            "-len_control=0",
            "-rss_limit_mb=0",
            # Time-outs are the executor's owner's business; for atheris 0 means at once, so: eleven days.
            "-timeout=1000000",
            "-handle_int=0",
            "-handle_term=0",
            "-handle_segv=0",
            "-verbosity=0",
            # Workers read each other's finds; with a number of cases nothing may depend on the clock.
            f"-reload={RELOAD_S if self.config.max_cases is None else 0}",
            f"-artifact_prefix={self.scratch}/",
            str(seeds),
        ]
        atheris.Setup(
            arguments, self.test, custom_mutator=self.mutate, custom_crossover=self.cross, internal_libfuzzer=True
        )
        atheris.Fuzz()

    def _on_term(self, *_: object) -> None:
        self.stopping = True


def main() -> None:
    """Entry point of the process."""
    from fuzzer.execute.zygote import die_with_parent

    die_with_parent()
    Driver(DriverConfig(**json.loads(sys.argv[1]))).fuzz()


if __name__ == "__main__":
    main()
