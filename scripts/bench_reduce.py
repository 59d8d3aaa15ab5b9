"""Measures what becomes of a suspicion: planted defects reduced to their known smallest case, and titled one by one.

Every case goes through the product's own examiner, on a stack that has the defect (`scripts.defects.target`). Nothing
is recognised without being reduced, so that every case counts; what would have been recognised, and as whose, is taken
down. Scripts are not run: what a planted defect does shows nowhere but here.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from threading import Lock, Thread, local
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fuzzer.case import DEFAULT_INPUTS, Case, Conversion, to_json
from fuzzer.case.conversion import SCHEMES
from fuzzer.errors import GenerateAnother, UserError
from fuzzer.examine import saving
from fuzzer.examine.examiner import Examiner
from fuzzer.examine.facets import facets_of
from fuzzer.examine.ledger import Ledger
from fuzzer.examine.observing import ExecutorBugError, Observer
from fuzzer.examine.replay import load_case
from fuzzer.examine.saving import Sample
from fuzzer.execute import Death, Executor, Limits, Zygote
from fuzzer.findings import Finding, FindingStore
from fuzzer.findings.inbox import Suspicion
from fuzzer.findings.merging import as_sample_of, cause_of, twin_of
from fuzzer.findings.titles import finding_id, title_of
from fuzzer.mutate import draw, generate
from fuzzer.mutate.draft import Draft, DraftNode, draft_of
from fuzzer.mutate.draw import WILD
from fuzzer.mutate.generate import add_node, add_pattern, draw_pattern
from fuzzer.mutate.repair import repair
from fuzzer.mutate.structure import insert_node
from fuzzer.ops import registry
from fuzzer.oracles import Kind, Verdict
from fuzzer.oracles.death import FRAME, judge_death
from fuzzer.oracles.messages import normalise, runtime_message
from fuzzer.reduce import size
from scripts.defects import Party
from scripts.defects.planted import PLANTED, Planted
from scripts.defects.target import IN_HAND

TARGET = "scripts.defects.target"
MAX_DRAWS = 60
"""Cases drawn for one with a defect: most die of a repair that parts what the defect needs, or show nothing."""
NODES = range(3, 9)
"""Nodes of a larger case."""
TIMEOUT_S = 20.0
BUSY_S = 0.5
"""Between two tries where another station reduces a case of the same key."""
WANTED_MINIMAL = 0.9
_FOUND = "2026-01-01T00:00:00+00:00"


@dataclass
class Trial:
    """One case with a planted defect, and what became of it."""

    defect: str
    case: str = ""
    begun_with: int = 0
    """Nodes of the case."""
    outcome: str = ""
    id: str = ""
    """Of the finding that it ended under."""
    title: str = ""
    """Its own, which is another than the finding's where the two were merged."""
    missed: list[str] = field(default_factory=list)
    """What is more than in the smallest case (nodes, scheme, settings, runtimes, threads, samples), or of another."""
    ops: list[str] = field(default_factory=list)
    nodes: int = 0
    weights: int = 0
    values: int = 0
    seconds: float = 0.0
    executions: int = 0
    complete: bool = False
    recognised: str = ""
    """Id of the finding that it would have been counted under without being reduced; empty for none."""
    why: str = ""
    """Of a case that made no finding: why not."""

    @property
    def found(self) -> bool:
        """Whether it made a finding."""
        return bool(self.id)

    @property
    def minimal(self) -> bool:
        """Whether it came down to the smallest case."""
        return self.found and not self.missed


# --- larger cases -----------------------------------------------------------------------------------------


def larger(planted: Planted, rng: Random) -> Iterator[Case]:
    """Cases of three to eight nodes with what the defect needs in them, under drawn schemes and settings."""
    for _ in range(MAX_DRAWS):
        try:
            draft = draft_of(generate(rng, op=registry()[rng.choice(planted.seeds)]))
            _grow(draft, planted, rng)
            case = repair(draft, rng)
        except GenerateAnother:
            continue
        if len(case.model.nodes) not in NODES or case.model.random:
            continue
        if any(t.dtype != "float32" for t in case.model.inputs):
            continue
        yield case


def _grow(draft: Draft, planted: Planted, rng: Random) -> None:
    seed = next((n for n in draft.nodes if n.op in planted.seeds), None)
    if seed is None:
        raise GenerateAnother("the seed was repaired away")
    seed.attrs.update({k: v for k, v in planted.pinned.items() if k in registry()[seed.op].attrs})
    end = seed.key
    for name in planted.then:
        op = registry()[name]
        operands = [end, *(rng.choice([-1, end]) for _ in range(op.arity[0] - 1))]
        draft.nodes.append(DraftNode(draft.new_key(), name, operands, draw.attrs(rng, op)))
        end = draft.nodes[-1].key
    wanted = rng.choice(NODES)
    while len(draft.nodes) < wanted:
        chosen = rng.random()
        if chosen < 0.4:
            insert_node(draft, rng)
        elif chosen < 0.7:
            add_node(draft, rng, rng.choice([end, draft.nodes[-1].key]))
        else:
            pattern = draw_pattern(rng)
            if not pattern.entries:
                add_pattern(draft, rng, pattern, draft.nodes[-1].key)
    draft.outputs = list(dict.fromkeys([end, draft.nodes[-1].key]))
    draft.conversion = _conversion(planted, rng)
    inputs = tuple(
        recipe if recipe.distribution not in WILD else DEFAULT_INPUTS[i % len(DEFAULT_INPUTS)]
        for i, recipe in enumerate(draft.inference.inputs)
    )
    draft.inference = replace(draft.inference, inputs=inputs, threads=rng.choice((1, 4)), relation="none")


def _conversion(planted: Planted, rng: Random) -> Conversion:
    drawn = draw.with_scheme(rng, draw.conversion(rng), rng.choice(planted.schemes))
    drawn = replace(drawn, representative="samples", switches={}, **planted.minimum.settings)
    unusual = (
        {"unfold_batch_matmul": True},
        {"op_set": "select_tf"},
        {"entry": "saved_model"},
        {"entry": "frozen_graph"},
        {"dynamic": "batch"},
        {"per_channel": False},
    )
    return replace(drawn, **rng.choice(unusual)).repaired()  # type: ignore[arg-type]


# --- trials -----------------------------------------------------------------------------------------------


class Forgetful(Ledger):
    """A ledger that knows all findings and counts nothing under them: every case is reduced.

    It says what it would have said, to the thread that asked.
    """

    def __init__(self, store: FindingStore) -> None:
        super().__init__(store.findings(), store.accounts)
        self._said = local()

    def would_say(self, suspicion: Suspicion) -> str:
        """Id of the finding under which a campaign would count a suspicion without running it; empty for none."""
        verdict = suspicion.verdict
        assert verdict is not None
        ops = {node.op for node in suspicion.case.model.nodes}
        framed = bool(verdict.evidence.get(FRAME))
        found = self.recognised(verdict.kind, facets_of(suspicion), ops, framed, verdict.runtime)
        return found.id if found is not None else ""

    @property
    def would_be(self) -> str:
        """Id of the finding under which the last case of this thread would be, had it not been reduced."""
        return str(getattr(self._said, "id", ""))

    def known(self, key: str, title: str, verdict: Verdict, case: Case) -> Finding | None:
        """None; `would_be` tells."""
        found = super().known(key, title, verdict, case)
        self._said.id = found.id if found is not None else ""
        return None

    def exhausted(self, suspicion: Suspicion) -> bool:
        """Never."""
        return False


class Watched(Examiner):
    """The product's examiner, which keeps the last sample that it stored."""

    sample: Sample | None = None

    def _store(self, sample: Sample) -> Any:
        self.sample = sample
        return super()._store(sample)


class Station:
    """A stack with a defect in hand: a zygote, an executor to find cases with, and an examiner."""

    def __init__(self, store: FindingStore, ledger: Forgetful, seconds: float, folder: Path) -> None:
        """`ledger` is what all stations know together."""
        self._hand = folder / "defect"
        self._hand.write_text("")
        self._count = folder / "defect.count"
        with patch.dict(os.environ, {IN_HAND: str(self._hand)}):
            self._zygote = Zygote(TARGET)
        self._zygote.wait_ready()
        limits = Limits(timeout_s=TIMEOUT_S)
        self._executor = Executor(self._zygote.path, limits)
        self.examiner = Watched(self._zygote.path, store, "planted", limits, reduce_seconds=seconds, ledger=ledger)
        self._ledger = ledger

    def close(self) -> None:
        """Ends the processes."""
        self.examiner.close()
        self._executor.close()
        self._zygote.stop()

    def trial(self, planted: Planted, rng: Random) -> Trial:
        """The first larger case that is silent without the defect and suspicious with it, examined."""
        trial = Trial(planted.name)
        for case in larger(planted, rng):
            verdict, log = self._shown(case, planted)
            if verdict is None:
                continue
            trial.case, trial.begun_with = case.id, len(case.model.nodes)
            return self._examined(trial, planted, Suspicion(case, verdict, _FOUND, log))
        trial.why = "no case shows it"
        return trial

    def _shown(self, case: Case, planted: Planted) -> tuple[Verdict | None, str]:
        """What the oracles say of a case because of the defect, and the log of a death."""
        self._hand.write_text("")
        clean = self._executor.run({"command": "run", "case": to_json(case)})
        if isinstance(clean, Death) or clean.message.get("verdicts", [True]) or not clean.message["converted"]:
            return None, ""
        self._hand.write_text(planted.name)
        sick = self._executor.run({"command": "run", "case": to_json(case)})
        if isinstance(sick, Death):
            verdict = judge_death(sick)
            return (verdict if verdict.kind in planted.kinds else None), sick.log
        if "bug" in sick.message:
            raise ExecutorBugError(f"{planted.name}: {sick.message['bug']}")
        told = [Verdict.from_json(v) for v in sick.message["verdicts"]]
        return next((v for v in told if v.kind in planted.kinds), None), ""

    def _examined(self, trial: Trial, planted: Planted, suspicion: Suspicion) -> Trial:
        self._hand.write_text(planted.name)
        self._count.write_bytes(b"")
        self.examiner.sample = None
        recognised = self._ledger.would_say(suspicion)
        begun = time.monotonic()
        try:
            while (outcome := self.examiner.examine(suspicion)).what == "busy":
                time.sleep(BUSY_S)
                begun = time.monotonic()
                self._count.write_bytes(b"")
        except ExecutorBugError as mistake:
            return replace(trial, why=f"a mistake of ours: {str(mistake).strip().splitlines()[-1]}")
        trial.seconds = time.monotonic() - begun
        trial.executions = self._count.stat().st_size
        trial.outcome, trial.recognised = outcome.what, recognised or self._ledger.would_be
        sample = self.examiner.sample
        if outcome.finding is None or sample is None:
            return replace(trial, why=outcome.why)
        trial.id, trial.complete = outcome.finding.id, sample.complete
        trial.title = saving.finding_of(sample, "").title
        trial.ops = [node.op for node in sample.case.model.nodes]
        trial.nodes, trial.weights, trial.values, *_ = size(sample.case)
        trial.missed = [
            *beyond(planted, sample.case),
            *(["another defect"] if self._is_another(sample, planted) else []),
        ]
        return trial

    def _is_another(self, sample: Sample, planted: Planted) -> bool:
        """Whether a smallest case shows its kind of finding on the stock stack too: then it is not of what was planted.

        So few nodes as are wanted say nothing of which they are; that the stack alone is silent does.
        """
        self._hand.write_text("")
        try:
            seen = Observer(self._executor).observe(sample.case, sample.verdict, fresh=True)
        finally:
            self._hand.write_text(planted.name)
        verdict = seen.verdict or seen.death
        return verdict is not None and verdict.kind in planted.kinds


def beyond(planted: Planted, case: Case) -> list[str]:
    """What a case has more than the smallest one with a defect."""
    wanted, missed = planted.minimum, []
    if len(case.model.nodes) > wanted.nodes:
        missed.append("nodes")
    if case.conversion.scheme != wanted.scheme:
        missed.append("scheme")
    plain = replace(Conversion(), scheme=wanted.scheme, **wanted.settings).repaired()  # type: ignore[arg-type]
    odd = [n for n in Conversion.__dataclass_fields__ if getattr(case.conversion, n) != getattr(plain, n)]
    missed += [n for n in odd if n != "scheme"]
    runtimes = case.inference.runtimes
    guilty = planted.defect.runtimes if planted.defect.party is not Party.CONVERTER else runtimes
    if len(runtimes) != 1 or not set(runtimes) <= set(guilty):
        missed.append("runtimes")
    if case.inference.threads > 1:
        missed.append("threads")
    if len(case.inference.inputs) > 1:
        missed.append("samples")
    return missed


def trials(
    per_defect: int, seconds: float, seed: int, parallel: int, only: str, folder: Path, console: Console
) -> list[Trial]:
    """`per_defect` cases of every planted defect, in a drawn order, over `parallel` stations that share one store."""
    work = [(p, n) for p in PLANTED.values() if only in p.name for n in range(per_defect)]
    Random(seed).shuffle(work)  # or nothing of another defect would be known while the first of one is examined
    done: list[Trial] = []
    lock = Lock()

    def serve(station: Station) -> None:
        while True:
            with lock:
                if not work:
                    return
                planted, number = work.pop()
            try:
                trial = station.trial(planted, Random(f"{seed}/{planted.name}/{number}"))
            except ExecutorBugError as mistake:
                trial = Trial(planted.name, why=f"a mistake of ours: {mistake}")
            with lock:
                done.append(trial)
                console.log(f"{trial.defect}: {trial.title or trial.why}"[:140], markup=False)

    with ExitStack() as stack:
        # What is planted is in no stack that a script can meet.
        stack.enter_context(patch.object(saving, "run_script", lambda script: saving.NOT_RUN))
        store = FindingStore(folder / "crashes", create=True)
        ledger, stations = Forgetful(store), []
        for number in range(parallel):
            own = folder / f"station-{number}"
            own.mkdir(parents=True)
            stations.append(Station(store, ledger, seconds, own))
            stack.callback(stations[-1].close)
        threads = [Thread(target=serve, args=(station,)) for station in stations]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return done


# --- figures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confusions:
    """Whether a title is one defect and a defect one title. By id of the finding: defects; by defect: titles."""

    impure: dict[str, list[str]]
    split: dict[str, list[str]]
    purity: float
    completeness: float
    misrecognised: list[str]


def confusions(rows: Sequence[Trial]) -> Confusions:
    """What the findings of trials hold: each is one defect when all is well, and each defect is one finding."""
    found = [t for t in rows if t.found]
    defects: dict[str, set[str]] = {}
    ids: dict[str, set[str]] = {}
    for trial in found:
        defects.setdefault(trial.id, set()).add(trial.defect)
        ids.setdefault(trial.defect, set()).add(trial.id)
    titles = {t.id: t.title for t in reversed(found)}
    impure = {titles[id_]: sorted(names) for id_, names in defects.items() if len(names) > 1}
    split = {name: sorted(titles[id_] for id_ in several) for name, several in ids.items() if len(several) > 1}
    wrong = [
        f"{t.defect} as {', '.join(sorted(defects[t.recognised]))}"
        for t in found
        if t.recognised in defects and t.recognised != t.id
    ]
    return Confusions(
        impure,
        split,
        1 - len(impure) / len(defects) if defects else 1.0,
        1 - len(split) / len(ids) if ids else 1.0,
        wrong,
    )


def _spread(numbers: Sequence[float]) -> str:
    ordered = sorted(numbers)
    if not ordered:
        return ""
    return f"{statistics.median(ordered):g} ({ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]:g})"


def defects_table(rows: Sequence[Trial]) -> Table:
    """One row a defect."""
    table = Table(
        "planted defect", "cases", "minimal", "ops of the smallest", "nodes", "weights", "s", "runs", "beyond"
    )
    for name in PLANTED:
        mine = [t for t in rows if t.defect == name]
        found = [t for t in mine if t.found]
        if not mine:
            continue
        small = min(found, key=lambda t: (t.nodes, t.weights), default=None)
        table.add_row(
            escape(name),
            f"{len(found)} of {len(mine)}",
            str(sum(t.minimal for t in found)),
            " > ".join(small.ops) if small else "",
            _spread([t.nodes for t in found]),
            _spread([t.weights for t in found]),
            _spread([round(t.seconds, 1) for t in found]),
            _spread([t.executions for t in found]),
            ", ".join(sorted({m for t in found for m in t.missed})),
        )
    return table


def figures_table(rows: Sequence[Trial]) -> Table:
    """The figures of the whole, and what is wanted of them."""
    found, table = [t for t in rows if t.found], Table("figure", "measured", "wanted")
    told = confusions(rows)
    share = sum(t.minimal for t in found) / len(found) if found else 0.0
    table.add_row("at the expected minimum", f"{share:.0%} of {len(found)}", f">= {WANTED_MINIMAL:.0%}")
    table.add_row("nodes before, median (90th percentile)", _spread([t.begun_with for t in found]), "")
    table.add_row("nodes", _spread([t.nodes for t in found]), "<= 2")
    table.add_row("weight elements", _spread([t.weights for t in found]), "<= 64")
    table.add_row("value elements", _spread([t.values for t in found]), "")
    table.add_row("seconds", _spread([round(t.seconds, 1) for t in found]), "<= 60")
    table.add_row("executions", _spread([t.executions for t in found]), "")
    table.add_row("came to a fixed point", f"{sum(t.complete for t in found)} of {len(found)}", "")
    table.add_row("purity: titles of one defect only", f"{told.purity:.0%}", "100 %")
    table.add_row("completeness: defects of one title only", f"{told.completeness:.0%}", "100 %")
    table.add_row("recognised as another defect", f"{len(told.misrecognised)}", "0")
    return table


def report(rows: Sequence[Trial], console: Console) -> None:
    """Prints the tables, and every confusion by name."""
    console.print(defects_table(rows))
    console.print(figures_table(rows))
    told = confusions(rows)
    for title, names in told.impure.items():
        console.print(f"two defects, one title: {', '.join(names)}: {title}", markup=False)
    for name, titles in told.split.items():
        console.print(f"one defect, two titles: {name}:", markup=False)
        for title in titles:
            console.print(f"    {title}", markup=False)
    for words in dict.fromkeys(told.misrecognised):
        console.print(f"recognised as another: {words}", markup=False)
    for trial in rows:
        if not trial.found:
            console.print(f"no finding: {trial.defect} ({trial.case or 'no case'}): {trial.why}", markup=False)


def save(rows: Sequence[Trial], path: Path, seed: int, seconds: float) -> None:
    """Writes every trial as JSON. Raises `OSError`."""
    path.write_text(json.dumps({"seed": seed, "seconds": seconds, "trials": [asdict(t) for t in rows]}, indent=1))


# --- a finished campaign ----------------------------------------------------------------------------------


def campaign_table(folder: Path) -> Table:
    """The sizes of a campaign's findings, and what is wanted of them. Raises `UserError` for a folder without any."""
    findings = FindingStore(folder, lenient=True).findings()
    sizes = [size(load_case(folder / f.path / "minimal.json")) for f in findings]
    ran = [f.script_exit for f in findings]
    table = Table("figure", "median (90th percentile)", "wanted")
    table.add_row("titles", str(len(findings)), "")
    table.add_row("nodes", _spread([s[0] for s in sizes]), "<= 2")
    table.add_row("weight elements", _spread([s[1] for s in sizes]), "<= 64")
    table.add_row("value elements", _spread([s[2] for s in sizes]), "")
    table.add_row("settings that are not plain", _spread([s[3] for s in sizes]), "")
    table.add_row(
        "seconds of examination, a suspicion", _spread([round(f.examined_s / f.count, 1) for f in findings]), "<= 60"
    )
    table.add_row("came to a fixed point", f"{sum(f.minimised for f in findings)} of {len(findings)}", "")
    table.add_row("scripts that show it", f"{sum(code == 1 for code in ran)} of {len(ran)}", "")
    order = sorted(SCHEMES, key=lambda s: -sum(f.quantisation == s for f in findings))
    counts = {s: sum(f.quantisation == s for f in findings) for s in order}
    table.add_row("schemes", ", ".join(f"{n} {s}" for s, n in counts.items() if n), "")
    return table


@dataclass(frozen=True)
class Retold:
    """A campaign's findings as this release would title and merge them, and how many titles there were."""

    findings: list[Finding]
    titles_before: int
    titles: int
    unread: int
    """Findings whose files are gone or damaged: left out."""


def retold(folder: Path) -> Retold:
    """Titles the stored minimal cases of a campaign anew, and merges them in the order in which they were seen.

    Nothing is run: what the oracles said is read, and normalised again where the evidence has the words as they came.
    """
    merged: dict[str, Finding] = {}
    titles, unread = set(), 0
    found = FindingStore(folder, lenient=True).findings()
    for finding in found:
        try:
            verdict = Verdict.from_json(json.loads((folder / finding.path / "verdict.json").read_bytes()))
            case = load_case(folder / finding.path / "minimal.json")
        except (OSError, ValueError, KeyError, TypeError, UserError):
            unread += 1
            continue
        verdict = _normalised(verdict)
        title = title_of(verdict, case)
        titles.add(title)
        told = replace(
            finding, title=title, id=finding_id(title), message=verdict.message, cause=cause_of(verdict, case)
        )
        alias = next((f for f in merged.values() if told.title in (f.title, *f.alternatives)), None)
        old = alias or twin_of(told, merged.values())
        merged[old.id if old else told.id] = as_sample_of(old, told) if old else told
    return Retold([*merged.values()], len(found), len(titles), unread)


def _normalised(verdict: Verdict) -> Verdict:
    said = str(verdict.evidence.get("message", ""))
    if verdict.kind in (Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR) and said:
        return replace(verdict, message=runtime_message(said))
    if verdict.kind is Kind.CONVERTER_ERROR:  # the evidence keeps the beginning of what may be long
        return replace(verdict, message=normalise(verdict.message))
    return verdict


def report_retold(told: Retold, console: Console) -> None:
    """Prints how many titles are left, and which were merged."""
    console.print(
        f"{told.titles_before} findings: {told.titles} titles by this release, {len(told.findings)} after merging"
        + (f"; {told.unread} could not be read" if told.unread else "")
    )
    for finding in told.findings:
        if finding.alternatives:
            console.print(f"one defect: {finding.title}", markup=False)
            for title in finding.alternatives:
                console.print(f"    also as {title}", markup=False)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for stations and the findings of a measurement."""
    return tempfile.TemporaryDirectory(prefix="bench-reduce-")
