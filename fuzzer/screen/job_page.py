"""What became of the jobs of a finding in this session, with what they printed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from fuzzer.screen.jobs import Job
from fuzzer.screen.text import one_line, span

REPORT = "report"
"""The job whose output is an issue's text."""
SHOWN_LINES = 400
"""Of each job's output its end."""
NATIVE_LOG = re.compile(r"WARNING: All log messages before|[IWEF]\d{4} \d\d:|(?:INFO|WARNING): ")
"""How lines of absl's and TFLite's logs begin; they come after what the script itself says."""
NONE = (
    "Nothing was run for this finding since the screen was opened.\n"
    "r replays it, p runs its repro.py, m minimises it, o writes its report; all beside the screen. c stops them."
)


def job_page(jobs: Sequence[Job], id: str) -> RenderableType:
    """The jobs of the finding `id` with what they printed, then a line for each of the others; the latest first."""
    here = [part for job in jobs if job.id == id for part in _job(job)] or [Text(NONE, style="dim")]
    others = [_state(job).append(f" {one_line(job.title)}", "dim") for job in jobs if job.id != id]
    if others:
        here += [Text("\nof other findings:", style="dim"), *others]
    return Group(*here)


def _job(job: Job) -> list[RenderableType]:
    parts: list[RenderableType] = [_state(job)]
    lines = list(job.life.lines)
    if job.verb == REPORT and job.outcome is not None and not job.failed:
        return [*parts, Text("page 2 shows it", style="dim"), Text()]
    if lines and job.outcome == lines[-1]:
        lines.pop()  # our jobs end by printing their outcome, which stands above already
    if len(lines) > SHOWN_LINES:
        parts.append(Text(f"(the last {SHOWN_LINES} of {len(lines)} lines)", style="dim"))
    shown = lines[-SHOWN_LINES:]
    said, logged = [x for x in shown if not NATIVE_LOG.match(x)], [x for x in shown if NATIVE_LOG.match(x)]
    parts += [Text(line) for line in said]
    parts += [Text(line, style="dim") for line in logged]
    return [*parts, Text()]


def _state(job: Job) -> Text:
    text = Text(f"{job.verb}: ", "bold")
    if job.outcome is None:
        return text.append("running" if job.started else "waiting", "cyan")
    said = f"{one_line(job.outcome)} (took {span(job.ended - job.started)})"
    return text.append(said, "yellow" if job.failed else "green")


def issue_text(jobs: Sequence[Job]) -> str:
    """What the latest report job that succeeded has written; empty where none has, or where it printed nothing."""
    done = (job for job in jobs if job.verb == REPORT and job.outcome is not None and not job.failed)
    return next(("\n".join(text) for job in done if (text := list(job.life.lines))), "")
