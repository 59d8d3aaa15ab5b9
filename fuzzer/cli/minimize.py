"""`minimize`: the smallest case that shows the same."""

from __future__ import annotations

from pathlib import Path

import click

from fuzzer.cli import options


@click.command(name="minimize", help="Minimise a finding (by id) or a case file; writes minimal.json beside it.")
@click.argument("what")
@options.crashes
@click.option("--seconds", type=click.FloatRange(min=1), default=300.0, show_default=True, help="Time budget.")
def command(what: str, crashes: Path, seconds: float) -> int:
    """Prints the sizes before and after."""
    from fuzzer.examine.minimize import minimize

    click.echo(minimize(crashes, what, seconds))
    return 0
