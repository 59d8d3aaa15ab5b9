"""`fusions`: what the installed converter makes of every pattern under every scheme."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from fuzzer.errors import GenerateAnother, UserError

if TYPE_CHECKING:
    from fuzzer.screen.fusions import Row

DEFAULT_SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8", "qat")


@click.command(name="fusions")
@click.option("--pattern", "wanted", multiple=True, help="Only patterns of this name (again for several).")
@click.option("--scheme", "schemes", multiple=True, help="Only these schemes (again for several).")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print one Markdown table.")
def command(wanted: tuple[str, ...], schemes: tuple[str, ...], as_json: bool, as_markdown: bool) -> int:
    """Shows for each pattern and scheme the operators before and after, what was folded, and how far results are off.

    The number is the largest error of any runtime against TensorFlow's float result, over the scale of its channel.
    """
    from rich.console import Console

    from fuzzer.case import SCHEMES
    from fuzzer.patterns import patterns
    from fuzzer.screen.fusions import markdown, table

    for name, known in ((wanted, patterns()), (schemes, SCHEMES)):
        for word in name:
            if word not in known:
                raise UserError(f"{word!r} is not one of {', '.join(known)}")
    chosen = schemes or DEFAULT_SCHEMES
    with Console(stderr=True).status("converting") as status:
        rows = []
        for row in _rows(wanted or tuple(patterns()), chosen):
            rows.append(row)
            status.update(f"converting {row.pattern}")
    if as_json:
        click.echo(json.dumps([row.to_json() for row in rows], indent=1))
    elif as_markdown:
        click.echo(markdown(rows, chosen))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = 200  # a pipe has no width; operator lists must not be cut there
        console.print(table(rows))
    return 0


def _rows(names: tuple[str, ...], schemes: tuple[str, ...]) -> Iterator[Row]:
    """Converts every variant under every scheme in one executor, which is replaced when it dies."""
    from fuzzer.execute import Executor, Zygote, ZygoteDiedError
    from fuzzer.patterns import patterns
    from fuzzer.patterns.instance import instance, variants
    from fuzzer.screen.fusions import Row

    zygote = Zygote()
    try:
        zygote.wait_ready()
        executor = Executor(zygote.path)
        for name in names:
            pattern = patterns()[name]
            for steps in variants(pattern):
                ops = tuple(step.ops[0] for step in steps)
                for scheme in schemes:
                    try:
                        yield _row(executor, name, ops, instance(pattern, steps, scheme), scheme)
                    except GenerateAnother as unfit:
                        yield Row(name, ops, scheme, outcome=str(unfit))
        executor.close()
    except ZygoteDiedError as dead:
        raise UserError(f"TensorFlow could not be loaded: {dead}") from dead
    finally:
        zygote.stop()


def _row(executor: Any, name: str, ops: tuple[str, ...], case: Any, scheme: str) -> Row:
    from fuzzer.case import to_json
    from fuzzer.execute import Death
    from fuzzer.screen.fusions import Row

    answer = executor.run({"command": "fusion", "case": to_json(case)}, 30.0)
    if isinstance(answer, Death):
        return Row(name, ops, scheme, outcome=f"{answer.kind} in {answer.stage}: {answer.signal}")
    message = answer.message
    if "bug" in message:
        raise RuntimeError(message["bug"])
    errors = [float(s["to_tensorflow"]) for s in message.get("statistics", {}).values()]
    kinds = {str(s["kind"]) for s in message["suspicions"]}
    doubts = kinds & {"value", "nan-propagation"}
    failure = str(message["failure"]).strip()
    return Row(
        name,
        ops,
        scheme,
        tuple(message["before"]),
        tuple(message.get("after", ())),
        bool(message.get("fused")),
        tuple(message.get("folded", ())),
        max(errors, default=None),
        ", ".join(sorted(kinds - doubts)) or (failure.splitlines()[0] if failure else ""),
        tuple(sorted(doubts)),
    )
