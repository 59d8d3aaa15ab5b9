"""`run`: a campaign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.cli import options
from fuzzer.errors import UserError
from fuzzer.guidance.options import FEEDBACK, Guidance

if TYPE_CHECKING:
    from fuzzer.campaign.config import CampaignConfig

PLAIN_S = 10.0


@click.command(name="run", help="Run a campaign. Without a limit it runs until Ctrl-C.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="Stop after this many hours.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after this many minutes.")
@click.option("--cases", type=click.IntRange(min=1), help="Stop after this many cases.")
@click.option("--workers", type=click.IntRange(1, 64), help="Drivers [default: cores - examiners].")
@click.option(
    "--examiners",
    type=click.IntRange(1, 64),
    help="Threads that examine suspicions [default: a quarter of the cores, at least 1; all cores at the end].",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Same seed, same cases (with --cases, --workers 1, --fresh, --coverage features).",
)
@options.corpus
@options.crashes
@options.known
@click.option("--plain", is_flag=True, help="One line every 10 s instead of the screen.")
@click.option(
    "--coverage",
    type=click.Choice(FEEDBACK),
    default=FEEDBACK[0],
    show_default=True,
    help="What guides: native blocks and features, features alone, or nothing (for comparison).",
)
@click.option("--fresh", is_flag=True, help="Set the old corpus aside and start anew; findings are kept.")
def command(
    hours: float | None,
    minutes: float | None,
    cases: int | None,
    workers: int | None,
    examiners: int | None,
    seed: int | None,
    corpus: Path,
    crashes: Path,
    known: Path | None,
    plain: bool,
    fresh: bool,
    coverage: str,
) -> int:
    """Parses the options and runs the campaign."""
    from fuzzer.campaign.config import CampaignConfig

    if sum(limit is not None for limit in (hours, minutes, cases)) > 1:
        raise UserError("give one of --hours, --minutes and --cases, not several")
    seconds = hours * 3600 if hours is not None else minutes * 60 if minutes is not None else None
    config = CampaignConfig(
        corpus, crashes, seconds, cases, workers, examiners, seed, fresh, known, Guidance.by(coverage)
    )
    return _run(config, plain or not sys.stdout.isatty())


def _run(config: CampaignConfig, plain: bool) -> int:
    from fuzzer.campaign.snapshot import Snapshot
    from fuzzer.campaign.supervisor import Supervisor
    from fuzzer.screen.live import plain_line, render, summary

    if plain:
        last = -PLAIN_S

        def draw(snapshot: Snapshot) -> None:
            nonlocal last
            if snapshot.elapsed_s - last >= PLAIN_S:
                last = snapshot.elapsed_s
                click.echo(plain_line(snapshot))

        final = Supervisor(config, draw).run()
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console()
        with Live(console=console, screen=True, auto_refresh=False) as live:

            def paint(snapshot: Snapshot) -> None:
                live.update(render(snapshot, console.width, console.height), refresh=True)

            final = Supervisor(config, paint).run()
    click.echo(summary(final), nl=False)
    return 0
