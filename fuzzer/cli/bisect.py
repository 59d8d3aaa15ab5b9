"""`bisect`: which release brought a finding in, and which mended it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from fuzzer.findings import FindingStore
    from fuzzer.releases.bisection import Bisection, Plan


@click.command(
    name="bisect",
    help="Find the release of TensorFlow or LiteRT that brought a finding in or mended it: its repro.py runs under "
    "others, each in an environment of its own that is kept in the cache folder (about 1.5 GB a release).",
)
@click.argument("id_", metavar="ID")
@options.crashes
@click.option("--versions", "bounds", default="", help="2.16..2.21, 2.16.. or ..2.19 [default: from 2.16, LiteRT 1.0].")
@click.option(
    "--package",
    type=click.Choice(["tensorflow", "ai-edge-litert"]),
    help="What to bisect [default: LiteRT where it alone is at fault, else TensorFlow].",
)
@click.option("--all", "everything", is_flag=True, help="Every release, not only those that bisection needs.")
@click.option("--again", is_flag=True, help="Forget what releases said of this script before.")
def command(id_: str, crashes: Path, bounds: str, package: str | None, everything: bool, again: bool) -> int:
    """Prints a table and a sentence; exit code 1 when no release said anything."""
    from rich.console import Console

    from fuzzer.errors import UserError
    from fuzzer.findings import FindingStore
    from fuzzer.releases.bisection import Bisector, sentence

    store = FindingStore(crashes)
    finding = store.get(id_)
    path = crashes / finding.path / "repro.py"
    try:
        script = path.read_text()
    except (OSError, UnicodeDecodeError) as missing:
        why = missing.strerror if isinstance(missing, OSError) else "it is no text"
        raise UserError(f"{path} cannot be read: {why}; the finding's files were removed or damaged") from missing
    console = Console(highlight=False)
    with console.status("asking the package index"):
        bisector = Bisector(finding, script, package or "", bounds, again)
        plan = bisector.plan(everything)
    console.print(finding.title, markup=False)
    for line in _plan_lines(plan, everything):
        console.print(line, markup=False, soft_wrap=True)
    interrupted = False
    try:
        with console.status("starting") as status:
            for step in bisector.steps(everything, lambda v, doing: status.update(f"{plan.package} {v}: {doing}")):
                console.print(f"  {step.version} {step.outcome.answer.value} {step.outcome.why}".rstrip(), markup=False)
    except KeyboardInterrupt:
        interrupted = True
    result = bisector.result()
    console.print(_table(result))
    console.print(sentence(result), markup=False, soft_wrap=True)
    if result.found.first_bad:
        _store(store, finding.id, result)
        console.print(f"written to {store.index_path}", markup=False, soft_wrap=True)
    if interrupted:
        console.print("interrupted; the answers so far are kept, the same command goes on from them", markup=False)
        raise KeyboardInterrupt
    return 0 if result.answered else 1


def _plan_lines(plan: Plan, everything: bool) -> list[str]:
    """What will be done and what it costs, before it is done."""
    from fuzzer.releases.environment import RELEASE_MB
    from fuzzer.releases.search import most_tries

    first, last = plan.order[0], plan.order[-1]
    span = f"{len(plan.order)} releases of {plan.package}, {first} to {last}"
    lines = [span if len(plan.order) > 1 else f"{plan.package} {first}"]
    most = plan.to_install if everything else min(plan.to_install, most_tries(len(plan.order)))
    if most:
        fewer = f", as a rule no more than {most}" if most < plan.to_install else ""
        lines.append(
            f"up to {plan.to_install} to install{fewer}: about {RELEASE_MB / 1000:g} GB each (250 MB to download), "
            f"{plan.free_mb / 1000:.0f} GB free; kept in {plan.folder}, which may be removed at any time"
        )
    if plan.kept:
        lines.append(f"{plan.kept} answers are kept from before (--again forgets them)")
    lines += [f"{version} {why}, which is not here" for version, why in plan.unsupported]
    return [*lines, *([plan.note] if plan.note else [])]


def _table(result: Bisection) -> Table:
    """Release by release; what was never asked is a dot."""
    from rich.table import Table
    from rich.text import Text

    steps = {step.version: step for step in result.steps}
    styles = {"bad": "red", "good": "green", "cannot run": "yellow"}
    table = Table(result.package, "Python", "answer", "why")
    for version in result.order:
        step = steps.get(version)
        if step is None:
            table.add_row(version, "", Text("·", "dim"), Text("not needed", "dim"))
            continue
        answer = step.outcome.answer.value
        table.add_row(version, step.python, Text(answer, styles[answer]), Text(step.outcome.why))
    return table


def _store(store: FindingStore, id_: str, result: Bisection) -> None:
    """Journals what was found, and brings the index up to date. Raises `UserError` when the disk refuses."""
    from fuzzer.errors import UserError

    answers = {s.version: [s.outcome.answer.value, s.outcome.why, s.python] for s in result.steps}
    try:
        store.bisected(id_, result.package, answers, result.found)
        store.rebuild_index()
    except OSError as refused:
        raise UserError(f"what was found cannot be written to {store.folder} ({refused.strerror})") from refused
