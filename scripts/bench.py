"""Measures what a campaign costs: speed, overhead, start, recovery, memory. Prints a table; never fails on a number."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import click
import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
ABORTING = ROOT / "tests" / "regressions" / "xnnpack-int16x8-abort.json"
HEALTHY_CASES = 40


@click.group()
def main() -> None:
    """Measures on real TensorFlow."""


@main.command()
@click.option("--cases", default=1000, show_default=True)
@click.option("--seed", default=99, show_default=True)
def bounds(cases: int, seed: int) -> None:
    """How far sound float kernels are from the float64 truth, in error bounds: what the oracle's factor rests on."""
    sound, disputed, left_out = bound_ratios(cases, seed)
    table = Table("figure", "error bounds")
    for name, at in (("median", 0.5), ("99th percentile", 0.99), ("largest", 1.0)):
        table.add_row(name, f"{sound[min(len(sound) - 1, int(at * len(sound)))]:.3g}")
    Console().print(table)
    print(
        f"{len(sound)} cases on which all kernels agree; {disputed} on which they do not; {left_out} without a result"
    )


def bound_ratios(cases: int, seed: int) -> tuple[list[float], int, int]:
    """Sorted worst ratios of the cases on which kernels agree, and how many were left out for either reason."""
    from dataclasses import replace

    from fuzzer.case import Conversion, to_json
    from fuzzer.errors import GenerateAnother
    from fuzzer.execute import Death, Executor, Limits, Zygote
    from fuzzer.mutate import generate, mutate

    zygote = Zygote()
    zygote.wait_ready()
    executor = Executor(zygote.path, Limits(timeout_s=20))
    rng = Random(seed)
    sound: list[float] = []
    disputed = left_out = 0
    while len(sound) + disputed + left_out < cases:
        case = generate(rng)
        for _ in range(rng.randint(0, 4)):
            try:
                case, _name = mutate(case, rng)
            except GenerateAnother:
                continue
        if any(t.dtype != "float32" for t in case.model.inputs):
            continue
        case = replace(case, conversion=Conversion())
        answer = executor.run({"command": "ratios", "case": to_json(case)}, 30)
        if isinstance(answer, Death) or not answer.message.get("ratios"):
            left_out += 1
        elif answer.message["disputed"]:
            disputed += 1
        else:
            sound.append(max(answer.message["ratios"].values()))
    executor.close()
    zygote.stop()
    return sorted(sound), disputed, left_out


@main.command()
@click.option("--minutes", default=3.0, show_default=True, help="Length of the measured campaign.")
@click.option("--seed", default=1, show_default=True)
def speed(minutes: float, seed: int) -> None:
    """Runs one campaign with one worker and a few single executors."""
    console = Console()
    table = Table("figure", "measured", "wanted")
    with console.status("measuring single executors"):
        for row in executor_figures():
            table.add_row(*row)
    with console.status(f"measuring a campaign of {minutes:g} minutes"):
        for row in campaign_figures(minutes, seed):
            table.add_row(*row)
    console.print(table)
    console.print(f"{os.cpu_count()} cores, load before {os.getloadavg()[2]:.1f}, seed {seed}")


@main.command()
@click.option("--minutes", default=10.0, show_default=True, help="Length of each campaign.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--modes", default="guided,none,random", show_default=True, help="Which to compare; `all` for ablation.")
@click.option("--parallel", default=2, show_default=True, help="Campaigns side by side.")
@click.option("--cost", default=0, help="Instead: the cost of armed coverage on this many cases a seed.")
@click.option("--out", type=click.Path(path_type=Path), help="Where runs are kept, and found again.")
def coverage(minutes: float, seeds: int, modes: str, parallel: int, cost: int, out: Path | None) -> None:
    """What guidance is worth against none and against random generation, and what native coverage costs."""
    sys.path.insert(0, str(ROOT))
    from scripts import bench_coverage

    console = Console(width=150)
    folder = out or Path(tempfile.mkdtemp(prefix="bench-coverage-"))
    numbers = range(1, seeds + 1)
    if cost:
        bench_coverage.overhead(numbers, cost, folder, console)
        return
    chosen = list(bench_coverage.MODES) if modes == "all" else [mode.strip() for mode in modes.split(",")]
    results = bench_coverage.run_all(chosen, numbers, minutes, folder, parallel, console)
    bench_coverage.report(results, minutes, console)
    console.print(f"{len(results)} campaigns of {minutes:g} minutes, {parallel} side by side, kept in {folder}")


@main.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--cases", default=3, show_default=True, help="Cases a defect.")
@click.option("--only", default="", help="Defects whose name contains this.")
@click.option("--cost", default=200, show_default=True, help="Clean cases that judging is timed on.")
@click.option("--campaign", type=click.Path(path_type=Path, exists=True), help="Reads a folder of findings instead.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Where every trial is written to.")
def oracles(seed: int, cases: int, only: str, cost: int, campaign: Path | None, json_path: Path | None) -> None:
    """Sensitivity of the oracles to injected defects, and what judging costs."""
    sys.path.insert(0, str(ROOT))
    from scripts import bench_judging, bench_oracles

    console, begun = Console(width=150), time.monotonic()
    if campaign is not None:
        console.print(bench_judging.campaign_table(campaign))
        return
    if cost:
        console.print(bench_judging.costs_table(bench_judging.costs(seed, cost, console)))
    if not cases:
        return
    trials = bench_oracles.sensitivity(seed, cases, only, console)
    bench_oracles.report(trials, json_path, seed, time.monotonic() - begun, console)


@main.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--cases", default=500, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Where every node is written to.")
def steps(seed: int, cases: int, json_path: Path | None) -> None:
    """How often integer kernels differ from reference ones by exactly one quantisation step, operator by operator."""
    sys.path.insert(0, str(ROOT))
    from scripts import bench_oracles

    console = Console(width=150)
    nodes = bench_oracles.steps(seed, cases, console)
    console.print(bench_oracles.steps_table(nodes))
    if json_path is not None:
        json_path.write_text(json.dumps(nodes))


@main.command()
@click.option("--per-defect", default=3, show_default=True, help="Larger cases a planted defect.")
@click.option("--seconds", default=60.0, show_default=True, help="For one reduction.")
@click.option("--seed", default=1, show_default=True)
@click.option("--parallel", default=1, show_default=True, help="Stacks side by side.")
@click.option("--only", default="", help="Defects whose name contains this.")
@click.option("--campaign", type=click.Path(path_type=Path, exists=True), help="Reads a folder of findings instead.")
@click.option("--out", type=click.Path(path_type=Path), help="A new file that every trial is written to, as JSON.")
def reduce(
    per_defect: int, seconds: float, seed: int, parallel: int, only: str, campaign: Path | None, out: Path | None
) -> None:
    """How small findings get, and whether one defect is one title: on planted defects, or of a finished campaign."""
    sys.path.insert(0, str(ROOT))
    from scripts.reduction import figures, finished
    from scripts.reduction import trials as planted

    console, begun = Console(width=170), time.monotonic()
    if campaign is not None:
        console.print(finished.campaign_table(campaign))
        finished.report_retold(finished.retold(campaign), console)
        return
    with planted.scratch() as folder:
        trials = planted.trials(per_defect, seconds, seed, parallel, only, Path(folder), console)
    figures.report(trials, console)
    console.print(f"seed {seed}, {seconds:g} s a reduction, {time.monotonic() - begun:.0f} s in all")
    if out is not None:
        figures.save(trials, out, seed, seconds)


def executor_figures() -> list[tuple[str, str, str]]:
    """Time to load the zygote, of a first and a warm case, and what an abort costs."""
    from fuzzer.case import decode, to_json
    from fuzzer.execute import Death, Executor, Zygote
    from fuzzer.mutate import generate

    begun = time.monotonic()
    zygote = Zygote()
    zygote.wait_ready()
    loaded = time.monotonic() - begun
    executor = Executor(zygote.path)
    case = next(c for c in (generate(Random(s)) for s in range(100)) if c.conversion.entry == "concrete_function")
    healthy = {"command": "run", "case": to_json(case)}

    def timed(request: dict[str, object]) -> float:
        start = time.monotonic()
        executor.run(request)
        return time.monotonic() - start

    first = timed(healthy)
    warm = statistics.median(timed(healthy) for _ in range(HEALTHY_CASES))
    rows = [
        ("zygote ready", f"{loaded:.1f} s", ""),
        ("first case in a fork", f"{first:.3f} s", ""),
        ("warm case (median)", f"{warm:.3f} s", ""),
    ]
    if ABORTING.exists():
        deadly = {"command": "run", "case": to_json(decode(ABORTING.read_bytes()))}
        deaths, recoveries = 0, []
        for _ in range(5):
            answer = executor.run(deadly)
            deaths += isinstance(answer, Death)
            recoveries.append(timed(healthy) - warm)
        rows.append(
            (f"recovery after an abort ({deaths} of 5 died)", f"{statistics.median(recoveries):.3f} s", "<= 0.3 s")
        )
    executor.close()
    zygote.stop()
    return rows


def campaign_figures(minutes: float, seed: int) -> list[tuple[str, str, str]]:
    """One worker for `minutes`, watched from outside."""
    with tempfile.TemporaryDirectory(prefix="fuzzer-bench-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "fuzzer", "run", "--minutes", str(minutes), "--seed", str(seed), "--plain"]
        command += ["--workers", "1", "--corpus", str(folder / "corpus"), "--crashes", str(folder / "crashes")]
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
        first, peaks = watch(process, folder / "corpus" / "features.jsonl", begun)
        ended = time.monotonic() - begun
        status = json.loads((folder / "crashes" / "status.json").read_bytes())
    return [
        ("cases / s and worker", f"{status['cases'] / (minutes * 60 - first):.1f}", ">= 12"),
        ("overhead outside TensorFlow and TFLite", f"{status['overhead']:.1%}", "<= 15 %"),
        ("first case executed after", f"{first:.1f} s", "<= 10 s"),
        ("supervisor + driver, peak RSS", f"{peaks['engine']:.0f} MB", "<= 300 MB"),
        ("executor, peak RSS", f"{peaks['executor']:.0f} MB", "<= 2048 MB"),
        ("valid", f"{status['valid_share']:.1%}", ">= 95 %"),
        ("converted", f"{status['conversion_share']:.1%}", ""),
        ("cases, features, corpus", f"{status['cases']}, {status['features']}, {status['corpus']}", ""),
        ("executor restarts, deaths", f"{status['restarts']}, {sum(status['deaths'].values())}", ""),
        ("titles", str(len(status["titles"])), ""),
        ("ended after", f"{ended:.1f} s of {minutes * 60:.0f} s", "+- 15 s"),
    ]


def watch(process: subprocess.Popen[bytes], features: Path, begun: float) -> tuple[float, dict[str, float]]:
    """Seconds until the first case was through, and peak memory in MB by role."""
    first = 0.0
    peaks = {"engine": 0.0, "executor": 0.0}
    while process.poll() is None:
        if not first and features.exists():  # written when the first case is through: it shows something new
            first = time.monotonic() - begun
        time.sleep(0.05 if not first else 1.0)
        try:
            sizes = roles(psutil.Process(process.pid))
        except psutil.NoSuchProcess:
            continue
        for role, size in sizes.items():
            peaks[role] = max(peaks[role], size)
    return first, peaks


def roles(supervisor: psutil.Process) -> dict[str, float]:
    """Memory of supervisor and drivers together, and of the largest executor."""
    sizes = {"engine": supervisor.memory_info().rss / 1e6, "executor": 0.0}
    for child in supervisor.children():
        line = " ".join(child.cmdline())
        if "fuzzer.campaign.driver" in line:
            sizes["engine"] += child.memory_info().rss / 1e6
        elif "fuzzer.execute.zygote" in line:
            found = [grandchild.memory_info().rss / 1e6 for grandchild in child.children()]
            sizes["executor"] = max([sizes["executor"], *found])
    return sizes


if __name__ == "__main__":
    main()
