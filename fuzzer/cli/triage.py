"""`triage`: the interactive screen."""

from __future__ import annotations

from pathlib import Path

import click

from fuzzer.cli import options

_DUMB = ("", "dumb", "unknown")
"""Values of TERM that promise nothing but lines of text (terminfo(5))."""


@click.command(name="triage", help="Go through the findings on an interactive screen.")
@options.crashes
@options.known
def command(crashes: Path, known: Path | None) -> int:
    """Runs the screen until it is left."""
    import os
    import sys

    from fuzzer.errors import UserError
    from fuzzer.findings.hiding import Hider
    from fuzzer.findings.known import load
    from fuzzer.screen.folder import FolderSource
    from fuzzer.screen.triage import TriageApp

    hider = Hider(load(known))
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise UserError("triage needs a terminal; `python -m fuzzer status` prints the findings")
    term = os.environ.get("TERM", "")
    if term in _DUMB:
        said = f"TERM is {term!r}" if term else "TERM is not set"
        raise UserError(
            f"triage needs a terminal that can move its cursor, and {said}; if yours can, name it "
            "(TERM=xterm-256color, or vt100 for one without colour); `python -m fuzzer status` prints the findings"
        )
    if not sys.stderr.encoding.casefold().startswith("utf"):  # where Textual writes to
        raise UserError(
            f"triage draws with characters that this terminal's encoding ({sys.stderr.encoding}) does not have; set "
            "LANG=C.UTF-8; `python -m fuzzer status` prints the findings"
        )
    TriageApp(FolderSource(crashes), hider=hider).run()
    return 0
