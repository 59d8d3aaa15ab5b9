"""Measures the oracles: injected defects found and blamed, what judging costs, and how a campaign's time was spent."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from fuzzer.case import DEFAULT_INPUTS, Case, Conversion, Inference, to_json
from fuzzer.errors import GenerateAnother
from fuzzer.execute import Death, Executor, Limits, Reply, Zygote
from fuzzer.mutate import generate
from fuzzer.mutate.draw import WILD
from fuzzer.ops import registry
from fuzzer.oracles import Verdict
from fuzzer.patterns import patterns
from scripts.defects import DEFECTS, Defect, Party
from scripts.defects.target import VISIBLE

TARGET = "scripts.defects.target"
MAX_DRAWS = 40
"""Cases drawn for one place in the table; few operators come up in less than one of eight."""
TIMEOUT_S = 20.0
_IO = {"int8": ("float32", "float32", "int8", "uint8"), "int16x8": ("float32", "float32", "int16")}
_ROADS = ("concrete_function", "concrete_function", "concrete_function", "saved_model")


@dataclass
class Trial:
    """One case with one defect in it."""

    defect: str
    kind: str
    scheme: str
    party: str
    case: str = ""
    io: str = ""
    nodes: int = 0
    effect: float = 0.0
    unseen: int = 0
    """Cases drawn before it whose results the defect did not change."""
    detected: bool = False
    confirmed: bool = False
    blamed: bool = False
    node: bool = False
    """Whether the operator itself is named, not only the converter or the runtime."""
    who: bool = False
    confirm_s: list[float] = field(default_factory=list)
    said: str = ""
    blame: str = ""
    died: str = ""


class HarnessError(Exception):
    """A mistake in the harness or in an oracle: what the executor raised."""


class Injector:
    """Runs cases with defects in them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._zygote = Zygote(TARGET)
        self._zygote.wait_ready()
        self._executor = Executor(self._zygote.path, Limits(timeout_s=TIMEOUT_S))

    def close(self) -> None:
        """Ends the processes."""
        self._executor.close()
        self._zygote.stop()

    def ask(self, request: dict[str, Any], timeout_s: float = TIMEOUT_S) -> dict[str, Any] | None:
        """A reply, or None for a death. Raises `HarnessError` for a mistake of ours."""
        answer = self._executor.run(request, timeout_s)
        if isinstance(answer, Death):
            return None
        assert isinstance(answer, Reply)
        if "bug" in answer.message:
            raise HarnessError(f"{request['command']} {request.get('defect', '')}: {answer.message['bug']}")
        return answer.message

    def trial(self, defect: Defect, number: int) -> Trial:
        """The first drawn case in which the defect shows, judged and confirmed; without a case when none does."""
        empty = Trial(defect.name, defect.kind, defect.scheme, defect.party.value)
        trial = replace(empty, confirm_s=[])
        for case in cases_for(defect, Random(f"{self.seed}/{defect.name}/{number}")):
            request = {"case": to_json(case), "defect": defect.name}
            found = self.ask({"command": "inject", **request})
            if found is None or not found["applied"]:
                continue
            if found["effect"] < VISIBLE and not defect.control:
                trial.unseen += 1
                continue
            trial.case, trial.nodes, trial.effect = case.id, len(case.model.nodes), found["effect"]
            trial.io = case.conversion.io
            verdicts = [Verdict.from_json(v) for v in found["verdicts"]]
            trial.detected = bool(verdicts)
            trial.said = "; ".join(v.message for v in verdicts)
            for verdict in verdicts:
                if self._confirm(trial, defect, request, verdict):
                    break
            if trial.confirmed and not trial.blamed and self._disputed(request):
                trial = replace(empty, unseen=trial.unseen, confirm_s=[])
                continue
            return trial
        return trial

    def _disputed(self, request: dict[str, Any]) -> bool:
        """Whether kernels disagree on a node of the clean case too: then a released kernel is to blame."""
        found = self.ask({"command": "disputed", "case": request["case"]}, 3 * TIMEOUT_S)
        return found is None or bool(found["disputed"])

    def _confirm(self, trial: Trial, defect: Defect, request: dict[str, Any], suspicion: Verdict) -> bool:
        begun = time.monotonic()
        answer = self.ask({"command": "confirm", **request, "verdict": suspicion.to_json()}, 3 * TIMEOUT_S)
        if answer is None:
            trial.died = "died while confirming"
            trial.confirm_s.append(time.monotonic() - begun)
            return False
        trial.confirm_s.append(float(answer["took_s"]))
        if answer["verdict"] is None:
            trial.said = f"{suspicion.message}: {answer['why']}"
            return False
        verdict = Verdict.from_json(answer["verdict"])
        trial.confirmed, trial.said, trial.blame = True, verdict.message, verdict.blame
        guilty = answer["guilty"][0] if answer["guilty"] else {}
        trial.node, trial.who = named(defect, verdict, guilty), accused(defect, verdict)
        trial.blamed = trial.who if defect.party is Party.RUNTIME else trial.node
        if defect.party is Party.CONVERTER:
            trial.blamed = trial.node or trial.who
        return True


def named(defect: Defect, verdict: Verdict, guilty: dict[str, Any]) -> bool:
    """Whether a verdict names the guilty operator, or the tensor that it writes."""
    said = verdict.blame.split(" ")[0]
    tensors = set(guilty.get("tensors", []))
    return said == defect.operator or (bool(tensors) and str(verdict.evidence.get("tensor", "")) in tensors)


def accused(defect: Defect, verdict: Verdict) -> bool:
    """Whether a verdict accuses the converter, or just the runtimes whose kernel is wrong."""
    if defect.party is Party.CONVERTER:
        return "converter" in verdict.blame or "converter" in verdict.message
    return verdict.message.startswith(defect.wanted) or (
        not verdict.message.startswith(("reference", "XNNPACK", "optimised", "every", "litert", "tf"))
        and set(verdict.runtimes) == set(defect.runtimes)
    )


def cases_for(defect: Defect, rng: Random) -> Iterator[Case]:
    """Generated cases with a chance of having the operator, under the defect's scheme."""
    for number in range(MAX_DRAWS):
        name = rng.choice(defect.draw)
        try:
            case = generate(rng, pattern=patterns()[name]) if name in patterns() else generate(rng, op=registry()[name])
        except GenerateAnother:
            continue
        if any(t.dtype != "float32" for t in case.model.inputs) or case.model.random:
            continue
        if len(case.model.nodes) < 2 and number < MAX_DRAWS // 2:
            continue  # an operator alone is the easy case
        plain = dict(enumerate(DEFAULT_INPUTS))
        inputs = tuple(
            plain.get(i, DEFAULT_INPUTS[0]) if recipe.distribution in WILD else recipe
            for i, recipe in enumerate(case.inference.inputs)
        )
        optimizations = "default" if defect.scheme == "qat" else "none"
        io = rng.choice(_IO.get(defect.scheme, ("float32",)))
        conversion = Conversion(entry=rng.choice(_ROADS), scheme=defect.scheme, optimizations=optimizations, io=io)
        yield replace(
            case, conversion=conversion.repaired(), inference=Inference(inputs=inputs, threads=defect.threads)
        )


def sensitivity(seed: int, cases: int, only: str, console: Console) -> list[Trial]:
    """Every kind of defect in several cases each."""
    wanted = [d for d in DEFECTS.values() if only in d.name]
    injector = Injector(seed)
    try:
        work = [(defect, number) for defect in wanted for number in range(cases)]
        trials = []
        for defect, number in track(work, "injecting defects", console=console, transient=True):
            try:
                trials.append(injector.trial(defect, number))
            except HarnessError as mistake:  # shown below the table: it must not cost a quarter of an hour's work
                trials.append(Trial(defect.name, defect.kind, defect.scheme, defect.party.value, died=str(mistake)))
        return trials
    finally:
        injector.close()


def sensitivity_table(trials: list[Trial]) -> Table:
    """One row a defect; totals below."""
    table = Table("defect", "cases", "no effect", "detected", "confirmed", "blamed", "node", "who", "confirm s")
    by_defect: dict[str, list[Trial]] = {}
    for trial in trials:
        by_defect.setdefault(trial.defect, []).append(trial)
    for name, rows in by_defect.items():
        table.add_row(escape(name), *_figures(rows))
    table.add_section()
    real = [t for t in trials if not DEFECTS[t.defect].control]
    for party in Party:
        mine = [t for t in real if t.party == party.value]
        table.add_row(f"all of the {party.value}", *_figures(mine))
    table.add_row(f"all ({len({t.kind for t in real if t.case})} kinds)", *_figures(real))
    return table


def _figures(rows: list[Trial]) -> list[str]:
    ran = [t for t in rows if t.case]
    times = [s for t in ran for s in t.confirm_s]
    counts = [sum(getattr(t, name) for t in ran) for name in ("detected", "confirmed", "blamed", "node", "who")]
    return [
        str(len(ran)),
        str(sum(t.unseen for t in rows)),
        *(f"{count}" if len(ran) < 10 else f"{count / len(ran):.0%}" for count in counts),
        f"{statistics.median(times):.2f}" if times else "",
    ]


def misses(trials: list[Trial]) -> list[Trial]:
    """Trials that did not end as they should: unseen, unconfirmed, wrongly blamed; confirmed controls."""
    return [
        t for t in trials if t.case and (t.confirmed if DEFECTS[t.defect].control else not (t.confirmed and t.blamed))
    ]


def report(trials: list[Trial], json_path: Path | None, seed: int, elapsed_s: float, console: Console) -> None:
    """Prints the table and what was missed; writes every trial as JSON."""
    console.print(sensitivity_table(trials))
    for trial in misses(trials):
        what = "missed" if not trial.detected else "dismissed" if not trial.confirmed else f"blamed on {trial.blame!r}"
        console.print(
            f"{trial.defect}: {what}: {trial.said[:110]} ({trial.case}, effect {trial.effect:.2g})", markup=False
        )
    for trial in trials:
        if trial.died and not trial.case:
            console.print(f"a mistake of ours: {trial.died}", markup=False)
    empty = Counter(t.defect for t in trials if not t.case)
    console.print(f"{len(empty)} rows miss cases: {dict(empty)}" if empty else "every row has its cases", markup=False)
    console.print(f"seed {seed}, {elapsed_s:.0f} s")
    if json_path is not None:
        json_path.write_text(
            json.dumps({"seed": seed, "elapsed_s": elapsed_s, "trials": [asdict(t) for t in trials]}, indent=1)
        )


# --- how often sound integer kernels differ by a step --------------------------------------------------------


def steps(seed: int, cases: int, console: Console) -> list[dict[str, Any]]:
    """Every integer operator of `cases` generated cases that have one, under every runtime."""
    rng, nodes, done = Random(seed), [], 0
    injector = Injector(seed)
    try:
        with console.status("comparing kernels node by node"):
            while done < cases:
                case = generate(rng)
                scheme = rng.choice(("int8", "int8", "int16x8", "qat"))
                if any(t.dtype != "float32" for t in case.model.inputs):
                    continue
                conversion = Conversion(scheme=scheme, optimizations="default" if scheme == "qat" else "none")
                case = replace(case, conversion=conversion.repaired())
                found = injector.ask({"command": "steps", "case": to_json(case)}, 3 * TIMEOUT_S)
                if found is not None and found["nodes"]:
                    nodes += [{**node, "scheme": scheme, "case": case.id} for node in found["nodes"]]
                    done += 1
    finally:
        injector.close()
    return nodes


def steps_table(nodes: list[dict[str, Any]]) -> Table:
    """Per operator, kernel and runtime: how many nodes and elements differ by one step, and by more."""
    table = Table("operator", "kernel", "runtime", "nodes", "equal", "one step", "more", "elements one step", "largest")
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for node in nodes:
        runtime = node["runtime"] + (" (XNNPACK)" if node["delegated"] else "")
        groups.setdefault((node["op"], node["kind"], runtime), []).append(node)
    for key, rows in sorted(groups.items()):
        one = sum(row["worst"] == 1 for row in rows)
        more = sum(row["worst"] > 1 for row in rows)
        elements = sum(row["elements"] for row in rows)
        share = sum(row["one"] for row in rows) / elements
        worst = max(row["worst"] for row in rows)
        table.add_row(
            *key, str(len(rows)), str(len(rows) - one - more), str(one), str(more), f"{share:.2%}", str(worst)
        )
    return table
