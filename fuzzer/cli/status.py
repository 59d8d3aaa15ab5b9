"""`status`: the running or last campaign, also of another terminal."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.cli import options
from fuzzer.errors import UserError

if TYPE_CHECKING:
    from fuzzer.campaign.snapshot import Snapshot
    from fuzzer.findings import FindingStore


@click.command(name="status", help="Show the running or last campaign of a crashes folder.")
@options.crashes
@options.known
@click.option("--hidden", is_flag=True, help="List the titles that are off the main list too.")
@click.option("--json", "as_json", is_flag=True, help="Print status.json.")
def command(crashes: Path, known: Path | None, hidden: bool, as_json: bool) -> int:
    """Prints the snapshot."""
    from fuzzer.findings import FindingStore
    from fuzzer.screen.live import summary

    store = FindingStore(crashes)
    snapshot = read_status(crashes)
    if not store.index_path.exists() or _damaged(crashes):
        store.rebuild_index()
        click.echo(f"{store.index_path} was written anew from the journal", err=True)
    if snapshot is None:
        raise UserError(f"{crashes} holds no campaign's status; start one: python -m fuzzer --minutes 10")
    snapshot = _with_hidden(snapshot, store, known)
    if as_json:
        click.echo(json.dumps(snapshot.to_json(), indent=1))
    else:
        click.echo(summary(snapshot, hidden), nl=False)
    return 0


def _with_hidden(snapshot: Snapshot, store: FindingStore, known: Path | None) -> Snapshot:
    """The snapshot with what the lists of known behaviour say now: they may have changed since it was written."""
    from dataclasses import replace

    from fuzzer.findings.hiding import Hider
    from fuzzer.findings.known import load

    hider = Hider(load(known))
    why = {f.id: hidden.why if (hidden := hider(f)) else "" for f in store.findings()}
    return replace(snapshot, titles=tuple(replace(t, hidden=why.get(t.id, t.hidden)) for t in snapshot.titles))


def read_status(crashes: Path) -> Snapshot | None:
    """The snapshot in `status.json`; a campaign whose process is gone is `interrupted`. None when there is none.

    Raises `UserError` when the file is damaged.
    """
    from dataclasses import replace

    from fuzzer.campaign.snapshot import Snapshot
    from fuzzer.campaign.supervisor import STATUS_FILE

    path = crashes / STATUS_FILE
    try:
        snapshot = Snapshot.from_json(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as broken:
        raise UserError(
            f"{path} cannot be read ({broken}); findings are not in it and are safe. Remove it, or start a campaign"
        ) from broken
    if snapshot.state not in ("finished", "interrupted") and not _alive(snapshot.pid):
        return replace(snapshot, state="interrupted")
    return snapshot


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _damaged(crashes: Path) -> bool:
    from fuzzer.findings.index import read_index

    try:
        read_index(crashes)
    except UserError as broken:
        click.echo(f"note: {broken}", err=True)
        return "newer release" not in str(broken)
    return False
