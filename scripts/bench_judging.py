"""What judging costs on generated cases, and how a finished campaign spent its time on findings."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fuzzer.case import to_json
from fuzzer.errors import GenerateAnother
from fuzzer.execute import Death, Executor, Limits, Zygote
from fuzzer.findings import FindingStore
from fuzzer.mutate import generate, mutate

_TIMEOUT_S = 20.0


@dataclass
class Costs:
    """Seconds, case by case."""

    judged: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    confirmed: list[float] = field(default_factory=list)
    """Processor time of each suspicion, execution of its case included."""
    deaths: int = 0


def costs(seed: int, cases: int, console: Console) -> Costs:
    """Runs generated and mutated cases as a campaign does, and confirms what is suspicious of them."""
    zygote = Zygote("scripts.defects.target")  # without a defect it is the campaign's, and says what it took
    zygote.wait_ready()
    executor = Executor(zygote.path, Limits(timeout_s=_TIMEOUT_S))
    rng, found = Random(seed), Costs()
    try:
        with console.status("judging clean cases"):
            for _ in range(cases):
                case = generate(rng)
                for _ in range(rng.randint(0, 3)):
                    try:
                        case, _name = mutate(case, rng)
                    except GenerateAnother:
                        continue
                answer = executor.run({"command": "run", "case": to_json(case)})
                if isinstance(answer, Death) or "bug" in answer.message:
                    found.deaths += 1
                    continue
                found.judged.append(answer.message["judge_s"])
                found.total.append(answer.message["total_s"])
                for verdict in answer.message["verdicts"]:
                    request = {"command": "confirm", "case": to_json(case), "verdict": verdict}
                    reply = executor.run(request, 3 * _TIMEOUT_S)
                    dead = isinstance(reply, Death)
                    found.deaths += dead
                    found.confirmed.append(reply.elapsed_s if dead else reply.message["took_s"])
    finally:
        executor.close()
        zygote.stop()
    return found


def costs_table(found: Costs) -> Table:
    """The costs and what is wanted of them."""
    table = Table("figure", "measured", "wanted")
    shares = sorted(j / t for j, t in zip(found.judged, found.total, strict=True))
    table.add_row("judging, share of all time", f"{sum(found.judged) / sum(found.total):.2%}", "<= 5 %")
    table.add_row("judging, share of a case, median", f"{statistics.median(shares):.2%}", "")
    table.add_row("judging, share of a case, 99th percentile", f"{shares[int(0.99 * len(shares))]:.2%}", "")
    table.add_row("judging a case, median", f"{1e3 * statistics.median(found.judged):.2f} ms", "")
    times = sorted(found.confirmed)
    if times:
        table.add_row(f"confirmation, median of {len(times)}", f"{statistics.median(times):.2f} s", "")
        table.add_row("confirmation, 90th percentile", f"{times[int(0.9 * len(times))]:.2f} s", "")
        table.add_row("confirmation, longest", f"{times[-1]:.2f} s", "")
        table.add_row("confirmations within 3 s", f"{sum(t <= 3 for t in times) / len(times):.1%}", "100 %")
    table.add_row("cases, deaths", f"{len(shares)}, {found.deaths}", "")
    return table


def campaign_table(folder: Path) -> Table:
    """Cases, titles, and what share of the suspicions and of the examination the commonest title had."""
    findings = FindingStore(folder).findings()
    status = json.loads((folder / "status.json").read_bytes())
    table = Table("figure", "measured", "wanted")
    table.add_row("cases", str(status["cases"]), "")
    table.add_row("titles", str(len(findings)), "")
    table.add_row("titles per 1000 cases", f"{1000 * len(findings) / max(1, status['cases']):.2f}", "")
    table.add_row(
        "suspicions, dismissed, waiting", f"{status['suspicions']}, {status['dismissed']}, {status['pending']}", ""
    )
    counts = {f.title: float(f.count) for f in findings}
    seconds = {f.title: float(getattr(f, "examined_s", 0.0)) for f in findings}
    for name, shares, wanted in (("suspicions", counts, ""), ("examination time", seconds, "<= 25 %")):
        total = sum(shares.values())
        if total:
            title = max(shares, key=lambda t: shares[t])
            table.add_row(
                f"{name} of the commonest title", f"{shares[title] / total:.0%}: {escape(title[:80])}", wanted
            )
    return table
