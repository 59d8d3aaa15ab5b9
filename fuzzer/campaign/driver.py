"""The driver: runs atheris. libFuzzer keeps corpus, energy and schedule; structure is mutated by us.

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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from fuzzer.campaign.corpus import Corpus
from fuzzer.campaign.killers import Killers
from fuzzer.campaign.slot import Slot
from fuzzer.case import MAX_BYTES, Case, decode, to_json
from fuzzer.coverage.counters import Counters
from fuzzer.errors import CaseError, GenerateAnother
from fuzzer.execute import Death, Executor, Limits, Reply, ZygoteDiedError
from fuzzer.findings import inbox
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.titles import key_of
from fuzzer.mutate import cross, draw, generate, mutate
from fuzzer.ops import registry
from fuzzer.oracles import Verdict
from fuzzer.oracles.death import judge_death
from fuzzer.patterns import patterns

FRESH_SHARE = 0.06
"""Share of mutations that are fresh cases instead: new blood for a corpus that has settled."""
SAVED_PER_KEY = 2
"""Suspicions saved of one kind, message, scheme, guilty runtimes and set of ops; later ones are counted only."""
AVOID_TRIES = 4
"""Mutants drawn anew when they carry a known killer; after that it is run all the same, so killers stay watched."""
RECENT = 4096
_OFFER_PATIENCE_S = 120.0
"""How long TensorFlow may take to load before the first case is made without what it would have offered."""
RELOAD_S = 5
_ZYGOTE_PATIENCE_S = 60.0
_ERRORS = ("errors", "asked_wrongly")
"""What the target says of errors: whose matter they are."""


@dataclass(frozen=True)
class DriverConfig:
    """What a driver is told."""

    worker: int
    seed: int
    corpus: str
    crashes: str
    zygote: str
    scratch: str
    """A folder of its own; libFuzzer reads `scratch/corpus`, into which the supervisor links siblings' finds."""
    events: int
    """File descriptor of the event pipe."""
    max_cases: int | None = None
    limits: dict[str, float] = field(default_factory=dict)

    def to_argument(self) -> str:
        """One command-line argument."""
        return json.dumps(asdict(self))


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
        self.slot = Slot(self.corpus.state / f"worker-{config.worker}.slot")
        self.killers = Killers()
        self.stopping = False
        self.executed = 0
        self._made: OrderedDict[bytes, tuple[Case, str]] = OrderedDict()
        self._recent: OrderedDict[str, list[str]] = OrderedDict()
        self._saved: dict[str, int] = {}
        self._last_end = time.monotonic()

    # --- what libFuzzer calls ---------------------------------------------------------------------------

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """The custom mutator."""
        rng = Random(seed)
        try:
            if rng.random() < FRESH_SHARE:
                return self._keep(generate(rng), "generate", max_size, data)
            case = self._case(data)
        except GenerateAnother:
            case = None
        try:
            if case is None:
                return self._keep(generate(rng), "generate", max_size, data)
            mutant, name = mutate(case, rng)
            for _ in range(AVOID_TRIES):
                if not self.killers.suspects(mutant):
                    break
                mutant, name = mutate(case, rng)
            return self._keep(mutant, name, max_size, data)
        except GenerateAnother:
            return data

    def cross(self, left: bytes, right: bytes, max_size: int, seed: int) -> bytes:
        """The custom crossover. libFuzzer calls it as often as the mutator, which is too often: half are mutations."""
        rng = Random(seed)
        if rng.random() < 0.5:
            return self.mutate(left, max_size, rng.randrange(1 << 31))
        try:
            child = cross(self._case(left), self._case(right), rng)
        except GenerateAnother:
            return left
        return self._keep(child, "crossover", max_size, left)

    def test(self, data: bytes) -> None:
        """Executes one input. Returns at once for what is no case or was executed before."""
        if not self.counters.registered:
            self.counters.register()
        if self.stopping:
            self.finish()
        if data not in self._made and (entry := self.corpus.entry_of(data)) is not None:
            # libFuzzer is reading the corpus, or a sibling's entry: known, so it need not even be decoded.
            self.counters.hit(self.corpus.features_of(entry) or [])
            return
        try:
            case, mutator = self._made.get(data) or (decode(data), "")
        except CaseError:
            return
        if not mutator and case.id not in self._recent:
            # Not made by us: libFuzzer is reading the corpus, or a sibling's entry.
            self.corpus.refresh()
        known = self._recent.get(case.id)  # an empty list for what died or showed nothing
        if known is None:
            known = self.corpus.features_of(case.id)
        if known is not None:
            self.counters.hit(known)
            return
        self._execute(case, mutator or "corpus")
        if self.config.max_cases is not None and self.executed >= self.config.max_cases:
            self.finish()

    def _case(self, data: bytes) -> Case:
        made = self._made.get(data)
        return made[0] if made else decode(data)

    def _keep(self, case: Case, mutator: str, max_size: int, otherwise: bytes) -> bytes:
        """The bytes of a mutant; the object is kept so that it need not be decoded again."""
        data = case.canonical
        if len(data) > max_size:
            return otherwise
        self._made[data] = (case, mutator)
        if len(self._made) > RECENT:
            self._made.popitem(last=False)
        return data

    # --- executing --------------------------------------------------------------------------------------

    def _execute(self, case: Case, mutator: str) -> None:
        self.slot.busy(case.canonical)
        answer = self._run(case)
        self.executed += 1
        self.killers.record(case, isinstance(answer, Death))
        event: dict[str, Any] = {
            "event": "case",
            "case": case.id,
            "patterns": list(case.model.patterns),
            "ops": sorted({node.op for node in case.model.nodes}),
            "scheme": case.conversion.scheme,
            "mutator": mutator,
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
            features = message.get("features", [])
            verdicts = [Verdict.from_json(v) for v in message.get("verdicts", [])]
            told = ("built", "converted", "accepted", "refusal", "failure", "builtins", "statistics", *_ERRORS)
            event.update({k: message[k] for k in told if k in message})
            event["under_test_s"] = message.get("under_test_s", 0.0)
        self._account(case, features, verdicts, log, event)

    def _account(
        self, case: Case, features: list[str], verdicts: list[Verdict], log: str, event: dict[str, Any]
    ) -> None:
        """Saves what must not be lost, feeds the counters, and tells the supervisor."""
        try:
            for verdict in verdicts:
                self._suspect(case, verdict, log)
            # A deadly case hits no counter: libFuzzer would otherwise breed from it.
            fresh = self.counters.hit(features)
            if fresh:
                self.corpus.add(case, features)
        except OSError as refused:
            self._tell({"event": "disk", "error": str(refused)})
            fresh = []
        self.slot.idle()
        self._recent[case.id] = features
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        now = time.monotonic()
        event["wall_s"] = now - self._last_end
        self._last_end = now
        event["new"] = fresh
        event["suspicions"] = [{"kind": v.kind.value, "runtimes": sorted(v.runtimes)} for v in verdicts]
        self._tell(event)

    def _run(self, case: Case) -> Reply | Death:
        """The case in an executor; waits for a new zygote when the old one died."""
        request = {"command": "run", "case": to_json(case)}
        deadline = time.monotonic() + _ZYGOTE_PATIENCE_S
        while True:
            try:
                return self.executor.run(request, self.limits.timeout_for(case))
            except ZygoteDiedError:
                if self.stopping or time.monotonic() > deadline:
                    self.finish(1)
                self.executor.forget()
                time.sleep(0.2)

    def _suspect(self, case: Case, verdict: Verdict, log: str) -> None:
        ops = sorted({node.op for node in case.model.nodes})
        key = f"{key_of(verdict, case.conversion.scheme)}|{sorted(verdict.runtimes)}|{ops}"
        self._saved[key] = self._saved.get(key, 0) + 1
        if self._saved[key] <= SAVED_PER_KEY:
            found = datetime.now(UTC).isoformat(timespec="seconds")
            inbox.save(Path(self.config.crashes), Suspicion(case, verdict, found, log))

    def _tell(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self.config.events, line) :]
        except BrokenPipeError:
            self.finish(1)  # the supervisor is gone; what was found is on disk

    # --- life -------------------------------------------------------------------------------------------

    def seeds(self) -> list[bytes]:
        """What an empty corpus starts from: one case a pattern and one an op, so that all are seen soon."""
        rng = Random(self.config.seed)
        wanted = [{"pattern": pattern} for pattern in patterns().values()] + [{"op": op} for op in registry().values()]
        made = []
        for one in wanted:
            try:
                made.append(generate(rng, **one).canonical)
            except GenerateAnother:
                continue  # an op that nothing fits (a plugin's, say) shows in `health` by its absence
        return made

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

    def fuzz(self) -> None:
        """Runs libFuzzer; never returns."""
        import atheris

        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.learn()
        seeds = self.scratch / "corpus"
        seeds.mkdir(parents=True, exist_ok=True)
        entries, _ = self.corpus.readable()
        for path in entries:
            link(path, seeds / path.name)
        if not entries:
            for i, data in enumerate(self.seeds()):
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


def link(source: Path, target: Path) -> None:
    """Gives a corpus entry to libFuzzer: a hard link, or a copy where the folders lie on two disks."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        shutil.copyfile(source, target)


def main() -> None:
    """Entry point of the process."""
    from fuzzer.execute.zygote import die_with_parent

    die_with_parent()
    Driver(DriverConfig(**json.loads(sys.argv[1]))).fuzz()


if __name__ == "__main__":
    main()
