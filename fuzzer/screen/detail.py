"""The pages of one finding, read from its folder: difference, report, graph, reproducer, log; and its jobs.

Whatever a folder holds, a page is something to read: a missing or damaged file becomes a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from fuzzer.findings.finding import LOOKS_FLAKY, Finding, State
from fuzzer.findings.hiding import Hidden
from fuzzer.screen.difference import differences
from fuzzer.screen.graph import graph
from fuzzer.screen.job_page import issue_text, job_page
from fuzzer.screen.jobs import Job
from fuzzer.screen.lines import line
from fuzzer.screen.text import ALONE, ago, kind_style, many_lines, number, one_line, severity, ulps

PAGES = ("difference", "report", "graph", "repro.py", "log", "jobs")
REPORT, JOBS = PAGES.index("report"), PAGES.index("jobs")
MAX_READ_BYTES = 256 * 1024
"""A page shows this much of a file; of a log its end, which is where a process died."""
MAX_READ_LINES = 2000
"""More takes the screen seconds to lay out (measured: 5 s for 260,000 lines)."""
MAX_CELL = 400
"""Characters of one value in a table of evidence."""
LATE = ("message", "stack", "log")
"""Evidence that comes after all else where it is long."""
IN_TITLE = ("frame", "signal")
"""Evidence that titles of deaths are made of."""
IN_TABLE = ("actual", "expected", "index", "output", "sample")
"""Evidence that the table of elements shows."""
WORDS = {"ratios": "x bound"}
"""Evidence whose name says too little to a person."""
MAX_ROWS = 200
MAX_LINE = 200
"""Characters from which a value is long."""
MAX_TOGETHER = 60
"""Characters up to which a list of names stands on one line."""


@dataclass(frozen=True)
class Content:
    """The text of a file, or a sentence on why there is none."""

    text: str = ""
    problem: str = ""


def read(path: Path, *, tail: bool = False) -> Content:
    """The beginning (or end) of a file as harmless text."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - MAX_READ_BYTES) if tail else 0)
            raw = stream.read(MAX_READ_BYTES)
    except FileNotFoundError:
        return Content(problem=f"{path.name} is missing: {path} does not exist.")
    except OSError as broken:
        return Content(problem=f"{path.name} can't be read: {broken.strerror or broken} ({path}).")
    lines = many_lines(raw.decode("utf-8", "replace")).split("\n")
    shown = lines[-MAX_READ_LINES:] if tail else lines[:MAX_READ_LINES]
    if size > MAX_READ_BYTES or len(lines) > MAX_READ_LINES:
        note = f"({'the end' if tail else 'the beginning'} of {size:,} bytes: {path})"
        shown = [note, *shown] if tail else [*shown, note]
    text = "\n".join(shown)
    return Content(text) if text.strip() else Content(problem=f"{path.name} is empty ({path}).")


def read_json(path: Path) -> tuple[Any, str]:
    """The JSON in a file, and a sentence on why there is none (empty when there is)."""
    content = read(path)
    if content.problem:
        return None, content.problem
    try:
        return json.loads(content.text), ""
    except (ValueError, RecursionError) as broken:
        return None, f"{path.name} is damaged: {one_line(str(broken))} ({path})."


def stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes when any file of the folder does; reading the folder anew each time would be slow."""
    found = []
    for name in (
        "verdict.json", "report.md", "minimal.json", "case.json", "repro.py", "log.txt", "stack.txt", "tensors.npz",
    ):  # fmt: skip
        try:
            stat = (folder / name).stat()
        except OSError:
            continue
        found.append((name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def page(
    name: str,
    finding: Finding,
    folder: Path,
    now: datetime | None,
    hidden: Hidden | None = None,
    jobs: Sequence[Job] = (),
) -> RenderableType:
    """One page of a finding. Never raises for what is in the folder.

    `hidden` says why it is off the main list; `jobs` are those of this session, the latest first.
    """
    try:
        if name == PAGES[JOBS]:
            return job_page(jobs, finding.id)
        if name == PAGES[REPORT] and (written := issue_text([job for job in jobs if job.id == finding.id])):
            return _source(Content(written), "markdown")
        if not folder.is_dir():
            return _gone(finding, folder, now)
        return _page(name, finding, folder, now, hidden)
    except RecursionError:
        return _problem(f"The files in {folder} are nested too deeply to be shown.")


def _page(name: str, finding: Finding, folder: Path, now: datetime | None, hidden: Hidden | None) -> RenderableType:
    if name == "report":
        return _source(read(folder / "report.md"), "markdown")
    if name == "graph":
        return _graph(folder, finding.blame)
    if name == "repro.py":
        return _source(read(folder / "repro.py"), "python")
    if name == "log":
        return _log(folder)
    return _difference(finding, folder, now, hidden)


def _problem(sentence: str) -> Text:
    return Text(one_line(sentence), style="yellow")


def _source(content: Content, language: str) -> RenderableType:
    if content.problem:
        return _problem(content.problem)
    return Syntax(content.text, language, theme="monokai", background_color="default", word_wrap=True)


def _log(folder: Path) -> RenderableType:
    """The native stack, where the finding is a death, and the end of the log."""
    stack, log = read(folder / "stack.txt"), read(folder / "log.txt", tail=True)
    shown: RenderableType = Text(log.text) if not log.problem else _problem(log.problem)
    if stack.problem:
        return shown
    return Group(Text("native stack", style="dim"), Text(stack.text), Text(), Text("log", style="dim"), shown)


def _gone(finding: Finding, folder: Path, now: datetime | None) -> RenderableType:
    """What is left of a finding without its folder."""
    said = f"Its folder is gone: {folder} was deleted or moved."
    left = (
        "The journal still has what stands below, and every mark. Put the folder back if you have it; a campaign that "
        "finds a smaller case under this title writes it anew."
    )
    head = [Text(one_line(finding.title), style="bold"), _problem(said), Text(left)]
    return Group(*head, *_said(finding, now), _facts(finding, folder, now))


def _graph(folder: Path, blame: str) -> RenderableType:
    """The minimal case, or the case as it was found where there is no minimal one."""
    minimal, why_not = read_json(folder / "minimal.json")
    if not why_not:
        return graph(minimal, "minimised case", blame)
    found, no_case = read_json(folder / "case.json")
    if no_case:
        return Group(_problem(why_not), _problem(no_case))
    return Group(graph(found, "case as it was found", blame), Text(), _problem(why_not))


# --- what differs -----------------------------------------------------------------------------------------


def _difference(finding: Finding, folder: Path, now: datetime | None, hidden: Hidden | None) -> RenderableType:
    tree, problem = read_json(folder / "verdict.json")
    parts: list[RenderableType] = [
        Text(one_line(finding.title), style="bold"),
        _headline(finding),
    ]
    parts += _said(finding, now)
    if hidden is not None:
        parts += _why_hidden(hidden)
    table = differences(folder)
    parts += [table] if table is not None else []
    short, long = evidence(tree, finding.title, table is not None) if not problem else (_problem(problem), Text())
    return Group(*parts, short, _facts(finding, folder, now), long)


def _headline(finding: Finding) -> Text:
    """What it is, where, whose fault, and what was said of it."""
    text = line(
        (severity(finding.severity, finding.unit) if finding.unit != ALONE else "", "bold"),
        f", {ulps(finding.ulp)}" if finding.ulp > 0 else "",
        " " if finding.unit != ALONE else "",
        (finding.kind, kind_style(finding.kind)),
        f" at {finding.stage}",
        f" on {', '.join(finding.runtimes)}" if finding.runtimes else "",
        *((", blames ", (finding.blame, "bold red")) if finding.blame else ()),
        f", {finding.state}",
    )
    text.no_wrap, text.overflow = False, "fold"  # every word of it matters
    return text


def _why_hidden(hidden: Hidden) -> list[RenderableType]:
    """Why a finding is off the main list, with the reason and where it is written."""
    head = f"Off the main list: {hidden.why}" + (f" ({hidden.entry})" if hidden.entry else "")
    parts: list[RenderableType] = [Text(one_line(head), style="yellow"), Text(one_line(hidden.reason))]
    return [*parts, Text(one_line(hidden.link), style="cyan")] if hidden.link else parts


def _said(finding: Finding, now: datetime | None) -> list[RenderableType]:
    """What a person has said of it, and a replay that did not show it, where there is any."""
    remark = _remark(finding)
    when = f" ({ago(finding.marked_at, now)} ago)" if finding.marked_at else ""
    if not remark and finding.state != State.NEW and when:
        remark = f"marked as {finding.state}"
    parts: list[RenderableType] = [Text(one_line(remark) + when, style="cyan")] if remark else []
    if finding.replayed in ("gone", "changed") or LOOKS_FLAKY in finding.replay_said:
        parts.append(Text(f"last replay: {replayed(finding, now)}", style="yellow"))
    return parts


def _remark(finding: Finding) -> str:
    copy = f"duplicate of {finding.duplicate_of}. " if finding.duplicate_of else ""
    return copy + (f"note: {finding.note}" if finding.note else "")


def replayed(finding: Finding, now: datetime | None) -> str:
    """The last replay in a sentence: `reproduced 3 min ago: signal 11 (SIGSEGV), in the first fresh run`."""
    if not finding.replayed:
        return ""
    return one_line(f"{finding.replayed} {ago(finding.replayed_at, now)} ago: {finding.replay_said}")


def evidence(verdict: Any, title: str = "", tabled: bool = False) -> tuple[RenderableType, RenderableType]:
    """What differs: the evidence of a verdict as a table, lists of records as tables of their own; and what is long.

    The verdict's message, frame and signal are left out where the title says them already, and
    the worst element where a table of elements stands above (`tabled`; that of a node is not in it).
    """
    if not isinstance(verdict, dict):
        return _problem("verdict.json is damaged: expected an object."), Text()
    tree = verdict.get("evidence")
    message = one_line(str(verdict.get("message", "")))
    said = [Text(message)] if message and message not in one_line(title) else []
    if not isinstance(tree, dict) or not tree:
        return Group(*said, Text("No evidence was stored with the verdict.", style="dim")), Text()
    long = [k for k in LATE if not _records(tree.get(k)) and len(_value(tree.get(k))) > MAX_LINE]
    late = {k: _end(tree[k]) if k == "log" else tree[k] for k in long}
    told = {k for k in IN_TITLE if isinstance(tree.get(k), str) and tree[k] in title}
    told |= set(IN_TABLE) if tabled and "node" not in tree else set()
    rest = {str(k): v for k, v in tree.items() if not _records(v) and k not in late and k not in told}
    plain = {WORDS.get(k, k): v for k, v in rest.items()}
    tables = [_records_table(str(k), v) for k, v in tree.items() if _records(v)]
    pairs = [_pairs_table(_flat(plain))] if plain else []
    short = Group(*said, *pairs, *tables)
    return short, Group(Text(), _pairs_table(_flat(late))) if late else Text()


def _end(value: Any) -> Any:
    """The end of a long text: that is where a process died."""
    text = one_line(value) if isinstance(value, str) else ""
    return f"…{text[-MAX_CELL:]}" if len(text) > MAX_CELL else value


def _records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and v for v in value)


def _flat(tree: dict[str, Any], prefix: str = "", depth: int = 4) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth:
            rows += _flat(value, f"{name}.", depth - 1)
        else:
            rows.append((name, _value(value)))
    return rows


def _value(value: Any) -> str:
    if isinstance(value, list) and len(value) > 1 and all(isinstance(v, str) for v in value):
        words = [one_line(v)[:MAX_CELL] for v in value[:MAX_ROWS]]
        together = ", ".join(words)
        return together if len(together) <= MAX_TOGETHER else "\n".join(words)  # a stack: a line a frame
    if isinstance(value, str):
        text = one_line(value)
    elif isinstance(value, float):
        text = f"{value:.9g}"  # nine digits tell any two float32 apart
    else:
        text = one_line(json.dumps(value, default=str))
    return text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…"


def _pairs_table(rows: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for key, value in rows[:MAX_ROWS]:
        table.add_row(Text(one_line(key)), Text(value))
    return table


def _records_table(name: str, records: list[dict[str, Any]]) -> RenderableType:
    names = list(dict.fromkeys(str(key) for record in records for key in record))
    table = Table(box=None, pad_edge=False, header_style="dim underline", padding=(0, 2, 0, 0))
    for key in names:
        numeric = all(isinstance(r.get(key), int | float) for r in records)
        table.add_column(Text(one_line(key)), justify="right" if numeric else "left", overflow="fold")
    for record in records[:MAX_ROWS]:
        table.add_row(*(Text(_value(record[key]) if key in record else "") for key in names))
    return Group(Text(f"{one_line(name)}:", style="dim"), table)


def _facts(finding: Finding, folder: Path, now: datetime | None) -> Table:
    """What the index knows of a finding."""
    nodes = f"{finding.nodes} node{'' if finding.nodes == 1 else 's'}"
    smaller = f"minimised to {nodes}" if finding.minimised else "not minimised yet (key m)"
    rate = f"{finding.reproduced} of {finding.repeats} fresh runs" if finding.repeats else "not replayed yet (key r)"
    again = [("replayed", replayed(finding, now))] if finding.replayed else []
    rows = [
        ("ops", " > ".join(finding.ops)),
        ("patterns", ", ".join(finding.patterns)),
        ("converted", f"{finding.quantisation} from {finding.entry}, {', '.join(finding.dtypes)}"),
        ("runtimes", ", ".join(finding.runtimes)),
        ("reproduced", rate),
        *again,
        (
            "seen",
            f"{number(finding.count)} time{'' if finding.count == 1 else 's'}, "
            f"first {finding.first_seen} ({ago(finding.first_seen, now)} ago), "
            f"last {finding.last_seen} ({ago(finding.last_seen, now)} ago)",
        ),
        ("case", f"{finding.case}, {smaller}; found as {finding.found_as}"),
        ("versions", finding.versions),
        ("id", finding.id),
        ("folder", str(folder)),
    ]
    return _pairs_table([("", ""), *((key, one_line(value) or "-") for key, value in rows)])
