"""`report`: a finding as an issue to file or a page to look at, or a whole campaign as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.cli import options
from fuzzer.errors import UserError

if TYPE_CHECKING:
    from fuzzer.findings import Finding


@click.command(name="report")
@click.argument("what", metavar="ID", required=False)
@options.crashes
@click.option(
    "--corpus", type=click.Path(path_type=Path), help="Folder of the corpus, for --campaign (default: the campaign's)."
)
@options.known
@click.option("--github", is_flag=True, help="As GitHub's form for issues wants it; the first line is the title.")
@click.option("--campaign", is_flag=True, help="The whole campaign instead of one finding; needs --html.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write one self-contained page.")
def command(
    what: str | None,
    crashes: Path,
    corpus: Path | None,
    known: Path | None,
    github: bool,
    campaign: bool,
    html: Path | None,
) -> int:
    """Prints the report of a finding as Markdown, in the order of TensorFlow's bug template.

    ID is a finding's id, the beginning of one, or its folder. With --html a page is written instead: the model before
    and after its conversion, the numbers drawn, the stack and the script. Nothing is executed.
    """
    if campaign == (what is not None):
        raise UserError("say what to report on: the id of a finding, or --campaign")
    if github and (campaign or html is not None):
        raise UserError("--github is text of one finding: leave --campaign and --html away")
    if campaign:
        if html is None:
            raise UserError("a campaign is reported as a page: name its file with --html FILE")
        return _campaign(crashes, corpus, known, html)
    assert what is not None
    return _finding(crashes, what, github, html)


def _finding(crashes: Path, what: str, github: bool, html: Path | None) -> int:
    from fuzzer.report.github import issue, tracker
    from fuzzer.report.markdown import markdown
    from fuzzer.report.material import read
    from fuzzer.report.sections import report

    folder, finding = _find(crashes, what)
    material = read(folder, finding)
    for problem in material.problems:
        click.echo(f"note: {problem}", err=True)
    if html is not None:
        from fuzzer.report.page import page

        _write(html, page(material))
    elif github:
        click.echo(issue(report(material), material), nl=False)
        click.echo(f"note: file it at {tracker(material)}; the first line is the title", err=True)
    else:
        click.echo(markdown(report(material)), nl=False)
    return 0


def _find(crashes: Path, what: str) -> tuple[Path, Finding]:
    """A finding and its folder of findings, by id or by the path of its own folder."""
    from fuzzer.findings import FindingStore

    path = Path(what)
    if not path.is_dir():
        store = FindingStore(crashes)
        if not store.findings() and store.damaged:
            raise UserError(
                f"none of the {store.damaged} lines of {store.journal.path} can be read: they are damaged or of a "
                "newer release; nothing was changed. Update the fuzzer"
            )
        return crashes, store.get(what)
    path = path.resolve()
    return path.parent, FindingStore(path.parent).at(path.name)


def _campaign(crashes: Path, corpus: Path | None, known: Path | None, html: Path) -> int:
    from fuzzer.cli.status import read_status
    from fuzzer.findings.hiding import Hider
    from fuzzer.findings.known import load
    from fuzzer.report.campaign import page, read

    snapshot, problems = None, []
    if crashes.is_dir():
        try:
            snapshot = read_status(crashes)
        except UserError as broken:
            problems.append(str(broken))
    campaign = read(crashes, corpus, Hider(load(known)), snapshot, problems)
    for problem in campaign.problems:
        click.echo(f"note: {problem}", err=True)
    _write(html, page(campaign))
    return 0


def _write(path: Path, page: str) -> None:
    from fuzzer.disk import write_atomic

    try:
        write_atomic(path, page)
    except OSError as refused:
        raise UserError(f"{path} cannot be written ({refused.strerror}); name another file") from refused
    click.echo(f"{path} written", err=True)
