"""`replay`: saved findings again, in fresh executors."""

from __future__ import annotations

from pathlib import Path

import click

from fuzzer.cli import options


@click.command(name="replay", help="Run findings again. WHAT is an id, a case file or a finding's folder.")
@click.argument("what", required=False)
@click.option("--all", "everything", is_flag=True, help="Every finding of the folder.")
@options.crashes
def command(what: str | None, everything: bool, crashes: Path) -> int:
    """Prints a table and journals what it says; exit code 0 only if all that was asked for reproduced."""
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from fuzzer.errors import UserError
    from fuzzer.examine.replay import all_targets, record, replay, targets

    if everything == (what is not None):
        raise UserError("say what to replay: an id, a path, or --all")
    chosen, broken = (targets(crashes, what), []) if what is not None else all_targets(crashes)
    if not chosen and not broken:
        raise UserError(f"{crashes} holds no findings; there is nothing to replay")
    console = Console()
    table = Table("finding", "result", "now", "title")
    good, problems = not broken, set()
    with console.status("starting TensorFlow"):
        for result in replay(chosen):
            good = good and result.result == "reproduced"
            problems.add(record(crashes, result, datetime.now(UTC).isoformat(timespec="seconds")))
            style = {"reproduced": "green", "changed": "yellow", "skipped": "yellow", "gone": "red"}[result.result]
            table.add_row(result.target.name, Text(result.result, style), Text(result.now), Text(result.target.title))
    console.print(table)
    for damaged in broken:
        click.echo(f"note: not replayed, {damaged}", err=True)
    for problem in sorted(problems - {""}):
        click.echo(f"note: the result is {problem}", err=True)
    return 0 if good else 1
