"""`coverage`: what the campaigns over a corpus have reached, and what leads to the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.cli import options
from fuzzer.errors import UserError

if TYPE_CHECKING:
    from fuzzer.coverage.reached.report import Report


@click.command()
@options.corpus
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one self-contained page with a plot of the growth.",
)
@click.option("--all", "everything", is_flag=True, help="Print every row.")
def command(corpus: Path, as_json: bool, html: Path | None, everything: bool) -> int:
    """Shows what was reached: by scope, kernel, converter pass and namespace, over time, and by family of features.

    And which kernels and rewrite patterns were never reached, each with the op, flag or scheme that leads there.
    Nothing is executed; a campaign may run meanwhile.
    """
    from rich.console import Console

    from fuzzer.coverage.reached.text import WIDTH, text

    report = report_on(corpus)
    for problem in report.problems:
        click.echo(f"note: {problem}", err=True)
    if html is not None:
        _write_page(html, report)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    if as_json or html is not None:
        return 0
    console = Console(highlight=False)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    console.print(text(report, None) if everything else text(report))
    return 0


def report_on(corpus: Path) -> Report:
    """The report on a corpus. Raises `UserError` where there is nothing to report on."""
    from fuzzer.campaign.corpus import BLOCKS_FILE, STATE
    from fuzzer.coverage.reached.build import build
    from fuzzer.coverage.reached.evidence import read
    from fuzzer.ops import registry

    return build(read(corpus, corpus / STATE / BLOCKS_FILE), registry())


def _write_page(path: Path, report: Report) -> None:
    from fuzzer.coverage.reached.page import page
    from fuzzer.disk import write_atomic

    try:
        write_atomic(path, page(report))
    except OSError as refused:
        raise UserError(f"{path} cannot be written ({refused.strerror}); name another file") from refused
    click.echo(f"{path} written", err=True)
