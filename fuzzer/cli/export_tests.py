"""`export-tests`: findings as pytest files for somebody else's tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.cli import options

if TYPE_CHECKING:
    from fuzzer.findings import Finding


@click.command(
    name="export-tests",
    help="Write a pytest file per title into FOLDER: TensorFlow and NumPy only, one file a defect. "
    "Without IDs all that the main lists show. Files that were not written by this command, or edited since, stay.",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("ids", nargs=-1)
@options.crashes
@options.known
@click.option(
    "--hidden", is_flag=True, help="Also what main lists leave out: known behaviour, propagation of NaN, unconfirmed."
)
def command(folder: Path, ids: tuple[str, ...], crashes: Path, known: Path | None, hidden: bool) -> int:
    """Says what was written and what was not; exit code 1 when a finding could not be told as a test."""
    from fuzzer.errors import UserError
    from fuzzer.export import export

    chosen, hidden_line = _chosen(crashes, ids, known, hidden)
    if not chosen:
        raise UserError(f"{crashes} holds no findings to export" + (f"; {hidden_line}" if hidden_line else ""))
    done = export(crashes, chosen, folder)
    tests = len(chosen) - len(done.left_out)
    click.echo(f"{tests} tests in {folder}: {len(done.written)} files written, {done.same} already so")
    if hidden_line:
        click.echo(hidden_line)
    for path in done.kept:
        click.echo(f"kept: {path.name} is not ours or was edited; remove it to have it written")
    for finding, why in done.left_out:
        click.echo(f"left out: {finding.id}: {why}")
    return 1 if done.left_out else 0


def _chosen(crashes: Path, ids: tuple[str, ...], known: Path | None, hidden: bool) -> tuple[list[Finding], str]:
    """The findings that are asked for, and a line about what is hidden."""
    from fuzzer.findings import FindingStore, State
    from fuzzer.findings.hiding import Hider, count_line
    from fuzzer.findings.known import load

    store = FindingStore(crashes)
    if ids:
        return [store.get(id_) for id_ in dict.fromkeys(ids)], ""
    hider = Hider(load(known))
    # A duplicate is another finding's title: that one has the test.
    findings = [f for f in store.findings() if f.state != State.DUPLICATE]
    whys = {f.id: why.why for f in findings if (why := hider(f)) is not None}
    shown = [f for f in findings if hidden or f.id not in whys]
    return shown, "" if hidden else count_line(whys.values(), "--hidden exports them too")
