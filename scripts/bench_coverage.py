"""`scripts/bench coverage`: what guidance is worth, and what native coverage costs.

Campaigns of one worker without an examiner, two side by side, each in a process and folders of its own. Every mode
counts native blocks; only the guided ones are told.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fuzzer.guidance import Guidance

ROOT = Path(__file__).resolve().parents[1]
MARKS_MIN = (0.5, 1, 2, 4, 8, 10, 15, 30)
"""When blocks are counted: the peer was measured after eight minutes."""
PEER = {"converter": 37_486, "runtime": 19_337}
"""NNSmith's newest source on TensorFlow 2.21, one process, eight minutes, same scopes, plain blocks."""
RARE_SHARE = 0.5
"""A feature or block is rare when at most this share of all runs of the bench showed it."""
_UNGUIDED: dict[str, Any] = {"feedback": "none", "candidates": 1, "parents": "uniform", "watch": True}
MODES: dict[str, Guidance] = {
    "guided": Guidance(),
    "none": Guidance(**_UNGUIDED),
    "random": Guidance(**{**_UNGUIDED, "fresh": 1.0}),
    "features only": Guidance(blocks=False, watch=True, feedback="features"),
    "native only": Guidance(features=False),
    "no choice": Guidance(candidates=1),
    "uniform parents": Guidance(parents="uniform"),
    "fresh only": Guidance(fresh=1.0),
    "mutants only": Guidance(fresh=0.05),
    "libFuzzer's parents": Guidance(parents="libfuzzer", candidates=1),
}
"""What is compared. `none` mutates seeds and makes fresh cases and is told nothing; `random` makes fresh cases only;
the others are `guided` without one of its parts."""


# --- one run ------------------------------------------------------------------------------------------------


def run_one(settings: dict[str, Any]) -> None:
    """Runs one campaign and writes what was seen when to `settings["out"]`."""
    from fuzzer.campaign.config import CampaignConfig
    from fuzzer.campaign.supervisor import Supervisor
    from fuzzer.findings.titles import key_of

    folder = Path(settings["folder"])
    seen: dict[str, Any] = {"features": {}, "blocks": array("i"), "at": array("f"), "cases": []}

    class Watched(Supervisor):
        """Writes down when everything was seen first; the clock starts with the first case."""

        def _take_event(self, worker: Any, event: dict[str, Any]) -> None:
            super()._take_event(worker, event)
            if event["event"] != "case":
                return
            now = time.monotonic()
            seen.setdefault("began", now - event["wall_s"] if event["wall_s"] < 60 else now)
            at = now - seen["began"]
            seen["cases"].append(
                (round(at, 2), event["mutator"], round(event["wall_s"], 4), event.get("death", ""), event["case"])
            )
            for feature in event["new"]:
                seen["features"].setdefault(feature, round(at, 1))
            seen["blocks"].extend(event["blocks"])
            seen["at"].extend([at] * len(event["blocks"]))

    config = CampaignConfig(
        folder / "corpus",
        folder / "crashes",
        seconds=settings["seconds"],
        cases=settings["cases"],
        workers=1,
        seed=settings["seed"],
        guidance=Guidance(**settings["guidance"]),
        examine=False,
    )
    campaign = Watched(config)
    began = datetime.now().astimezone()
    final = campaign.run()
    keys: dict[str, float] = {}
    for suspicion in _inbox(folder / "crashes"):
        if suspicion.verdict is not None:
            when = (datetime.fromisoformat(suspicion.found) - began).total_seconds()
            key = key_of(suspicion.verdict, suspicion.case.conversion.scheme)
            keys[key] = min(when, keys.get(key, when))
    result = {
        "mode": settings["mode"],
        "seed": settings["seed"],
        "features": seen["features"],
        "blocks": list(seen["blocks"]),
        "at": [round(t, 1) for t in seen["at"]],
        "cases": seen["cases"],
        "kinds": keys,
        "space": campaign.statistics.space.to_json(),
        "warnings": list(final.warnings),
    }
    Path(settings["out"]).write_text(json.dumps(result))


def _inbox(crashes: Path) -> list[Any]:
    from fuzzer.findings import inbox

    return [inbox.load(path) for path in inbox.waiting(crashes)]


# --- all runs -----------------------------------------------------------------------------------------------


def run_all(
    modes: Sequence[str], seeds: Sequence[int], minutes: float, out: Path, parallel: int, console: Console
) -> list[dict[str, Any]]:
    """Runs every mode with every seed, seed by seed, so that what is there after a break can be compared."""
    out.mkdir(parents=True, exist_ok=True)
    waiting = [(mode, seed) for seed in seeds for mode in modes]
    running: list[tuple[subprocess.Popen[bytes], Path]] = []
    results = []
    with console.status("") as status:
        while waiting or running:
            while waiting and len(running) < parallel:
                mode, seed = waiting.pop(0)
                kept = _kept(out, mode, seed, minutes)
                if kept is None:
                    path = out / f"{mode.replace(' ', '-')}-{seed}-{minutes:g}.json"
                    running.append((_start(mode, seed, minutes * 60, None, path), path))
                else:
                    results.append(json.loads(kept.read_text()))
            status.update(f"{len(running)} campaigns run, {len(waiting)} wait")
            for process, path in list(running):
                if process.poll() is not None:
                    running.remove((process, path))
                    if path.exists():
                        results.append(json.loads(path.read_text()))
                    else:
                        console.print(f"{path.stem} failed: its words are in {path.with_suffix('.log')}")
            time.sleep(0.5)
    return results


def _kept(out: Path, mode: str, seed: int, minutes: float) -> Path | None:
    """A run that is there and was at least as long: the first minutes of a longer one are as good."""
    lengths = {
        float(path.stem.rpartition("-")[2]): path for path in out.glob(f"{mode.replace(' ', '-')}-{seed}-*.json")
    }
    return min(((length, path) for length, path in lengths.items() if length >= minutes), default=(0, None))[1]


def _start(
    mode: str, seed: int, seconds: float | None, cases: int | None, path: Path, guidance: Guidance | None = None
) -> subprocess.Popen[bytes]:
    settings = {
        "mode": mode,
        "seed": seed,
        "seconds": seconds,
        "cases": cases,
        "guidance": asdict(guidance or MODES[mode]),
        "folder": tempfile.mkdtemp(prefix="bench-", dir=path.parent),
        "out": str(path),
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with path.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, __file__, json.dumps(settings)], stdout=log, stderr=log, env=environment
        )


# --- tables -------------------------------------------------------------------------------------------------


def report(results: Sequence[dict[str, Any]], minutes: float, console: Console) -> None:
    """Prints growth, ends and the race."""
    # A campaign stops a little before its time is up, to finish; all are compared where the first one stopped.
    minutes = min([minutes, *(result["cases"][-1][0] / 60 for result in results)])
    results = [_cut(result, 60 * minutes) for result in results]
    console.print(f"all of it after {minutes:.1f} minutes, but for the growth")
    by_mode: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_mode.setdefault(result["mode"], []).append(result)
    rare_blocks = _rare([set(r["blocks"]) for r in results])
    rare_features = _rare([set(r["features"]) for r in results])
    counts: dict[str, Callable[[dict[str, Any], float], int]] = {
        "blocks": lambda r, t: sum(at <= t for at in r["at"]),
        "rare blocks": lambda r, t: sum(
            at <= t and n in rare_blocks for n, at in zip(r["blocks"], r["at"], strict=True)
        ),
        "features": lambda r, t: sum(at <= t for at in r["features"].values()),
        "rare features": lambda r, t: sum(at <= t for f, at in r["features"].items() if f in rare_features),
        "kinds of suspicion": lambda r, t: sum(at <= t for at in r["kinds"].values()),
    }
    console.print(_growth(by_mode, minutes))
    console.print(_peer(by_mode, minutes))
    for name, measure in counts.items():
        console.print(_race(name, measure, by_mode, minutes))
    console.print(_by_cases(by_mode))
    console.print(_speed(by_mode, minutes))


def _cut(result: dict[str, Any], end_s: float) -> dict[str, Any]:
    """A run as it stood after so many seconds."""
    return {
        **result,
        "features": {f: at for f, at in result["features"].items() if at <= end_s},
        "blocks": [n for n, at in zip(result["blocks"], result["at"], strict=True) if at <= end_s],
        "at": [at for at in result["at"] if at <= end_s],
        "cases": [case for case in result["cases"] if case[0] <= end_s],
        "kinds": {kind: at for kind, at in result["kinds"].items() if at <= end_s},
    }


def _by_cases(by_mode: dict[str, list[dict[str, Any]]]) -> Table:
    """Discoveries after a number of cases that all runs came to: what a noisy machine does not change."""
    least = min(len(run["cases"]) for runs in by_mode.values() for run in runs)
    table = Table(f"after {least:,} cases", "blocks", "features", "kinds of suspicion")
    for mode, runs in by_mode.items():
        ends = [(run, run["cases"][least - 1][0]) for run in runs]
        table.add_row(
            mode,
            f"{_median([sum(at <= end for at in run['at']) for run, end in ends]):,.0f}",
            f"{_median([sum(at <= end for at in run['features'].values()) for run, end in ends]):,.0f}",
            f"{_median([sum(at <= end for at in run['kinds'].values()) for run, end in ends]):,.0f}",
        )
    return table


def _rare(sets: Sequence[set[Any]]) -> set[Any]:
    seen = Counter(item for one in sets for item in one)
    return {item for item, n in seen.items() if n <= RARE_SHARE * len(sets)}


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def _growth(by_mode: dict[str, list[dict[str, Any]]], minutes: float) -> Table:
    marks = [m for m in MARKS_MIN if m <= minutes]
    table = Table("native blocks after minutes", *(f"{m:g}" for m in marks), title="median of the seeds")
    for mode, runs in by_mode.items():
        table.add_row(mode, *(f"{_median([sum(at <= 60 * m for at in r['at']) for r in runs]):,.0f}" for m in marks))
    return table


def _peer(by_mode: dict[str, list[dict[str, Any]]], minutes: float) -> Table:
    """Plain blocks of the scopes in which the peer was measured."""
    from fuzzer.coverage.space import BlockSpace
    from fuzzer.coverage.tables import read

    marks = [m for m in MARKS_MIN if m <= minutes]
    table = Table("plain blocks, converter + runtime", *(f"{m:g}" for m in marks))
    for mode, runs in by_mode.items():
        row = []
        for mark in marks:
            pairs = []
            for run in runs:
                space = BlockSpace.from_json(run["space"])
                plain = [~read(Path(library.table)).indirect for library in space.libraries]
                reached = {"converter": 0, "runtime": 0, "litert": 0}
                for number, at in zip(run["blocks"], run["at"], strict=True):
                    library, local = space.place(number)
                    if at <= 60 * mark and plain[space.libraries.index(library)][local]:
                        reached[library.scope] += 1
                pairs.append((reached["converter"], reached["runtime"]))
            row.append(" + ".join(f"{_median([p[i] for p in pairs]):,.0f}" for i in (0, 1)))
        table.add_row(mode, *row)
    table.add_row("NNSmith", *(f"{PEER['converter']:,} + {PEER['runtime']:,}" if m == 8 else "" for m in marks))
    return table


def _race(
    name: str,
    measure: Callable[[dict[str, Any], float], int],
    by_mode: dict[str, list[dict[str, Any]]],
    minutes: float,
) -> Table:
    """End counts, and when the guided run had as many as the others at their end."""
    table = Table(name, "at half time", "at the end", "of the seeds", "guided was there after")
    end = 60 * minutes
    guided = by_mode.get("guided", [])
    for mode, runs in by_mode.items():
        ends = [measure(r, end) for r in runs]
        wanted = _median(ends)
        reached = [next((t for t in range(5, int(end) + 1, 5) if measure(g, t) >= wanted), None) for g in guided]
        times = [t / 60 for t in reached if t is not None]
        there = f"{_median(times):.1f} min" if len(times) * 2 > len(guided) else "not reached"
        table.add_row(
            mode,
            f"{_median([measure(r, end / 2) for r in runs]):,.0f}",
            f"{wanted:,.0f}",
            " ".join(f"{n:,}" for n in ends),
            "" if mode == "guided" else there,
        )
    return table


def _speed(by_mode: dict[str, list[dict[str, Any]]], minutes: float) -> Table:
    table = Table("mode", "cases/s", "blocks/s", "deaths in 100 cases", "fresh", "kinds of suspicion/h")
    for mode, runs in by_mode.items():
        cases = _median([len(r["cases"]) for r in runs])
        deaths = _median([sum(bool(c[3]) for c in r["cases"]) for r in runs])
        fresh = _median([sum(c[1] == "generate" for c in r["cases"]) for r in runs])
        table.add_row(
            mode,
            f"{cases / 60 / minutes:.2f}",
            f"{_median([len(r['blocks']) for r in runs]) / 60 / minutes:.0f}",
            f"{100 * deaths / max(1, cases):.1f}",
            f"{fresh / max(1, cases):.0%}",
            f"{_median([len(r['kinds']) for r in runs]) * 60 / minutes:.0f}",
        )
    return table


# --- cost ---------------------------------------------------------------------------------------------------


def overhead(seeds: Sequence[int], cases: int, out: Path, console: Console) -> None:
    """The same cases with and without breakpoints: of one seed, unguided, in one order. The first half warms up."""
    out.mkdir(parents=True, exist_ok=True)
    table = Table("seed", "cases", "unarmed, s", "armed, s", "cost", title=f"the second half of {cases} cases")
    shares = []
    for seed in seeds:
        times = {}
        for armed in (False, True):
            path = out / f"overhead-{seed}-{armed}.json"
            path.unlink(missing_ok=True)
            guidance = Guidance(**{**_UNGUIDED, "watch": armed})
            with console.status(f"seed {seed}, {'armed' if armed else 'unarmed'}"):
                _start("overhead", seed, None, cases, path, guidance).wait()
            times[armed] = json.loads(path.read_text())["cases"]
        # The same cases only: one death more or less changes which killers are avoided, and so what comes after it.
        late = [{row[4]: row[2] for row in times[armed][cases // 2 :] if not row[3]} for armed in (False, True)]
        sound = [(late[0][case], late[1][case]) for case in late[0] if case in late[1]]
        unarmed, armed_s = sum(a for a, _ in sound), sum(b for _, b in sound)
        shares.append(armed_s / unarmed - 1)
        table.add_row(str(seed), str(len(sound)), f"{unarmed:.1f}", f"{armed_s:.1f}", f"{shares[-1]:+.1%}")
    console.print(table)
    console.print(f"median cost of armed coverage after warm-up: {_median(shares):+.1%}")


if __name__ == "__main__":
    run_one(json.loads(sys.argv[1]))
