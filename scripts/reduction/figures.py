"""The figures of trials: how small, how fast, and whether a title is one defect and a defect one title."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.defects.planted import PLANTED
from scripts.reduction.trials import Trial

WANTED_MINIMAL = 0.9
"""Share at the expected minimum."""


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


def spread(numbers: Sequence[float]) -> str:
    """The median, and the 90th percentile in brackets."""
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
            spread([t.nodes for t in found]),
            spread([t.weights for t in found]),
            spread([round(t.seconds, 1) for t in found]),
            spread([t.executions for t in found]),
            ", ".join(sorted({m for t in found for m in t.missed})),
        )
    return table


def figures_table(rows: Sequence[Trial]) -> Table:
    """The figures of the whole, and what is wanted of them."""
    found, table = [t for t in rows if t.found], Table("figure", "measured", "wanted")
    told = confusions(rows)
    share = sum(t.minimal for t in found) / len(found) if found else 0.0
    table.add_row("at the expected minimum", f"{share:.0%} of {len(found)}", f">= {WANTED_MINIMAL:.0%}")
    table.add_row("nodes before, median (90th percentile)", spread([t.begun_with for t in found]), "")
    table.add_row("nodes", spread([t.nodes for t in found]), "<= 2")
    table.add_row("weight elements", spread([t.weights for t in found]), "<= 64")
    table.add_row("value elements", spread([t.values for t in found]), "")
    table.add_row("seconds", spread([round(t.seconds, 1) for t in found]), "<= 60")
    table.add_row("executions", spread([t.executions for t in found]), "")
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
