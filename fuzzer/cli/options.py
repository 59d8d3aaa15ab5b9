"""Options that several verbs share, spelled once."""

from __future__ import annotations

from pathlib import Path

import click

corpus = click.option(
    "--corpus",
    type=click.Path(path_type=Path),
    default=Path("corpus"),
    show_default=True,
    help="Folder of the corpus.",
)
crashes = click.option(
    "--crashes",
    type=click.Path(path_type=Path),
    default=Path("crashes"),
    show_default=True,
    help="Folder of the findings.",
)
known = click.option(
    "--known",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A list of known behaviour beside the one that ships (fuzzer/findings/known.toml says how to write one).",
)
