"""The command line: one file a verb, options into a dataclass, heavy imports inside the verb.

To add a verb, write a module with a click command named `command` and list it in `VERBS`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from fuzzer import __version__, plugins
from fuzzer.errors import UserError

VERBS = {
    "run": "Run a campaign (the default).",
    "replay": "Run saved findings again in fresh executors.",
    "minimize": "Minimise a finding or a case.",
    "status": "Show the running or last campaign.",
    "fusions": "Show what the converter makes of each pattern and scheme.",
    "health": "Show how well ops, patterns and schemes get through.",
    "coverage": "Show what native code and which features were reached, and what was not.",
    "triage": "Go through the findings on an interactive screen.",
    "report": "Write a finding as an issue to file or a page to look at, or a campaign as a page.",
    "bisect": "Find the release that brought a finding in or mended it.",
    "export-tests": "Write the findings as pytest files.",
    "corpus": "Distil a corpus: the fewest cases that reach the same.",
    "case": "Show or check a case file.",
}
DEFAULT = "run"


class Verbs(click.Group):
    """Loads a verb when it is called; what starts with an option belongs to `run`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"fuzzer.cli.{cmd_name.replace('-', '_')}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args, files = _plugins_of(args)
        if files:
            plugins.use(files)
        first = args[0] if args else "-"
        if first.startswith("-") and first not in ("--help", "-h", "--version"):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("With any verb"):
            formatter.write_dl([("--plugin FILE", "Ops and patterns of your own (again for several files).")])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


def _plugins_of(args: list[str]) -> tuple[list[str], list[str]]:
    """The arguments without `--plugin FILE`, which may stand anywhere before a `--`, and the files."""
    rest, files = [], []
    end = args.index("--") if "--" in args else len(args)
    words = iter(args[:end])
    for word in words:
        if word == "--plugin":
            file = next(words, None)
            if file is None:
                raise UserError("--plugin needs a file")
            files.append(file)
        elif word.startswith("--plugin="):
            files.append(word.removeprefix("--plugin="))
        else:
            rest.append(word)
    return rest + args[end:], files


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Coverage-guided fuzzing of TensorFlow -> TFLite.\n\n"
    "`python -m fuzzer --hours 8` runs a campaign overnight; `python -m fuzzer triage` shows what it found.",
)
@click.version_option(__version__, prog_name="fuzzer")
def cli() -> None:
    """The group itself does nothing."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 the answer is no, 2 it could not be done."""
    try:
        result: Any = cli.main(args=arguments, prog_name="python -m fuzzer", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    sys.exit(result if isinstance(result, int) else 0)
