"""`case show` and `case validate`: a case file in words, or a yes or no."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(name="case", help="Show or check a case file.")
def command() -> None:
    """The group itself does nothing."""


@command.command(name="show", help="Print a case as a graph and as indented JSON.")
@click.argument("path", type=click.Path(path_type=Path))
def show(path: Path) -> int:
    """Prints the graph, then the JSON."""
    from fuzzer.case import pretty
    from fuzzer.examine.replay import load_case
    from fuzzer.report.sections import graph_lines

    case = load_case(path)
    click.echo(f"case {case.id}")
    click.echo("\n".join(graph_lines(case)))
    click.echo(pretty(case), nl=False)
    return 0


@command.command(name="validate", help="Exit 0 when PATH is a valid case; else say which field is wrong.")
@click.argument("path", type=click.Path(path_type=Path))
def validate(path: Path) -> int:
    """Prints one line."""
    from fuzzer.examine.replay import load_case

    case = load_case(path)
    click.echo(f"{path}: valid, id {case.id}, {len(case.model.nodes)} nodes")
    return 0
