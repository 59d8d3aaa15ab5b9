"""`health`: how well the generator's cases get through, and which TFLite operators they reach."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fuzzer.cli import options
from fuzzer.errors import UserError

_ERRORS = ("errors", "asked_wrongly", "unjudged")


@click.command()
@options.crashes
@click.option("--operators", is_flag=True, help="Add the table of TFLite operator by scheme.")
@click.option("--json", "as_json", is_flag=True, help="Print the tables as JSON.")
def command(crashes: Path, operators: bool, as_json: bool) -> int:
    """Shows what share of the cases of each op, pattern and scheme is built, converted and run.

    Reads the status of the running or last campaign; an op that (nearly) never converts is named with what the
    converter says of it.
    """
    from rich.console import Console

    from fuzzer.campaign.health import barren, wasted_share
    from fuzzer.cli.status import read_status
    from fuzzer.findings import FindingStore
    from fuzzer.screen.health import health

    FindingStore(crashes)  # says so where there is no such folder
    snapshot = read_status(crashes)
    if snapshot is None:
        raise UserError(f"{crashes} holds no campaign's status; start one: python -m fuzzer --minutes 10")
    if as_json:
        tree = snapshot.to_json()
        ops = snapshot.health.get("op", {})
        shares = ("valid_share", "conversion_share", "accepted_share", "builtins", "health", "reached", *_ERRORS)
        answer = {name: tree[name] for name in shares}
        click.echo(json.dumps({**answer, "wasted_share": wasted_share(ops), "never_through": barren(ops)}, indent=1))
        return 0
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # a pipe has no width; rows must not be cut there
    console.print(health(snapshot, operators))
    return 0
