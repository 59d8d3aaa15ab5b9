"""`corpus`: what can be done with a corpus outside a campaign."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.cli import options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from fuzzer.campaign.afresh import Measured
    from fuzzer.campaign.distill import Distilled


@click.group(name="corpus")
def command() -> None:
    """Works on a corpus outside a campaign."""


@command.command()
@options.corpus
@click.option(
    "--out", type=click.Path(path_type=Path), help="A new folder [default: corpus-distilled-DATE]; never overwritten."
)
@click.option("--workers", type=click.IntRange(1, 256), help="Entries measured side by side [default: all cores].")
def distill(corpus: Path, out: Path | None, workers: int | None) -> int:
    """Writes a minimal corpus that still reaches every block and shows every feature.

    Each entry runs twice in fresh executors with every block armed; of entries that reach the same, short and quick
    ones are kept. The old corpus is not changed. Ctrl-C keeps what was measured: the same command goes on from there.
    """
    from rich.console import Console

    from fuzzer.campaign.afresh import default_workers
    from fuzzer.campaign.distill import distil_folder, kept_in

    begun = time.monotonic()
    console = Console(highlight=False, stderr=True)
    with _screen(console) as screen:
        try:
            distilled, new = distil_folder(corpus, out, workers or default_workers(), screen)
        except KeyboardInterrupt:
            screen.say(f"interrupted, nothing was written; {kept_in(corpus)}")
            raise
    for line in summary(distilled, new, time.monotonic() - begun):
        click.echo(line)
    return 0


class _Screen:
    """Progress on standard error: what is being done, how far, how long it will take."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting TensorFlow", total=None)
        self._died = 0

    def say(self, sentence: str) -> None:
        self._progress.console.print(sentence, markup=False, soft_wrap=True)

    def reading(self, library: str, share: float) -> None:
        self._progress.update(self._task, description=f"reading {library}", total=1.0, completed=share)

    def measured(self, done: int, of: int, last: Measured | None) -> None:
        if last is None:
            # A task of its own: how long the rest takes must not be guessed from what an earlier call did.
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task("measuring", total=of, completed=done)
            if done:
                self.say(f"{done} of {of} entries were measured by an earlier call")
        elif last.problem:
            self._died += 1
            self.say(f"left out: {last.case}: {last.problem}")
        died = f", {self._died} left out" if self._died else ""
        words = f"measured {done} of {of}{died}" if done < of else "choosing"
        self._progress.update(self._task, description=words, completed=done)


@contextmanager
def _screen(console: Console) -> Iterator[_Screen]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Screen(progress)


def summary(distilled: Distilled, new: Path, seconds: float) -> list[str]:
    """What was done, in lines."""
    chosen = len(distilled.chosen)
    said = [
        f"entries   {distilled.entries} -> {chosen} ({chosen / distilled.entries:.1%}), one run of each"
        f" {_duration(distilled.seconds)} -> {_duration(distilled.chosen_seconds)}",
        f"blocks    {_counts(distilled.blocks)}, all kept",
        f"features  {_counts(distilled.features)}, all kept",
        f"flaky     blocks {_counts(distilled.flaky_blocks)}; features {_counts(distilled.flaky_features)}"
        " (in one run of two, never in both: not counted above)",
    ]
    if distilled.dead:
        said.append(f"left out  {len(distilled.dead)} that did not run to their end:")
        said += [f"          {measured.case} {measured.problem}" for measured in distilled.dead]
    said += [f"time      {_duration(seconds)}", f"{new} is ready: python -m fuzzer --corpus {new}"]
    return said


def _counts(counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    return f"{sum(counts.values()):,}" + (f" ({parts})" if parts else "")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
