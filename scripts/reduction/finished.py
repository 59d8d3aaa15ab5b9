"""The same figures of a finished campaign's findings, and its titles as this release tells and merges them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fuzzer.case.conversion import SCHEMES
from fuzzer.errors import UserError
from fuzzer.examine.replay import load_case
from fuzzer.findings import Finding, FindingStore
from fuzzer.findings.merging import as_sample_of, cause_of, twin_of
from fuzzer.findings.titles import finding_id, title_of
from fuzzer.oracles import Kind, Verdict
from fuzzer.oracles.messages import normalise, runtime_message
from fuzzer.reduce import size
from scripts.reduction.figures import spread


def campaign_table(folder: Path) -> Table:
    """The sizes of a campaign's findings, and what is wanted of them. Raises `UserError` for a folder without any."""
    findings = FindingStore(folder, lenient=True).findings()
    sizes = [size(load_case(folder / f.path / "minimal.json")) for f in findings]
    ran = [f.script_exit for f in findings]
    table = Table("figure", "median (90th percentile)", "wanted")
    table.add_row("titles", str(len(findings)), "")
    table.add_row("nodes", spread([s[0] for s in sizes]), "<= 2")
    table.add_row("weight elements", spread([s[1] for s in sizes]), "<= 64")
    table.add_row("value elements", spread([s[2] for s in sizes]), "")
    table.add_row("settings that are not plain", spread([s[3] for s in sizes]), "")
    table.add_row(
        "seconds of examination, a suspicion", spread([round(f.examined_s / f.count, 1) for f in findings]), "<= 60"
    )
    table.add_row("came to a fixed point", f"{sum(f.minimised for f in findings)} of {len(findings)}", "")
    table.add_row("scripts that show it", f"{sum(code == 1 for code in ran)} of {len(ran)}", "")
    order = sorted(SCHEMES, key=lambda s: -sum(f.quantisation == s for f in findings))
    counts = {s: sum(f.quantisation == s for f in findings) for s in order}
    table.add_row("schemes", ", ".join(f"{n} {s}" for s, n in counts.items() if n), "")
    return table


@dataclass(frozen=True)
class Retold:
    """A campaign's findings as this release would title and merge them, and how many titles there were."""

    findings: list[Finding]
    titles_before: int
    titles: int
    unread: int
    """Findings whose files are gone or damaged: left out."""


def retold(folder: Path) -> Retold:
    """Titles the stored minimal cases of a campaign anew, and merges them in the order in which they were seen.

    Nothing is run: what the oracles said is read, and normalised again where the evidence has the words as they came.
    """
    merged: dict[str, Finding] = {}
    titles, unread = set(), 0
    found = FindingStore(folder, lenient=True).findings()
    for finding in found:
        try:
            verdict = Verdict.from_json(json.loads((folder / finding.path / "verdict.json").read_bytes()))
            case = load_case(folder / finding.path / "minimal.json")
        except (OSError, ValueError, KeyError, TypeError, UserError):
            unread += 1
            continue
        verdict = _normalised(verdict)
        title = title_of(verdict, case)
        titles.add(title)
        told = replace(
            finding, title=title, id=finding_id(title), message=verdict.message, cause=cause_of(verdict, case)
        )
        alias = next((f for f in merged.values() if told.title in (f.title, *f.alternatives)), None)
        old = alias or twin_of(told, merged.values())
        merged[old.id if old else told.id] = as_sample_of(old, told) if old else told
    return Retold([*merged.values()], len(found), len(titles), unread)


def _normalised(verdict: Verdict) -> Verdict:
    said = str(verdict.evidence.get("message", ""))
    if verdict.kind in (Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR) and said:
        return replace(verdict, message=runtime_message(said))
    if verdict.kind is Kind.CONVERTER_ERROR:  # the evidence keeps the beginning of what may be long
        return replace(verdict, message=normalise(verdict.message))
    return verdict


def report_retold(told: Retold, console: Console) -> None:
    """Prints how many titles are left, and which were merged."""
    console.print(
        f"{told.titles_before} findings: {told.titles} titles by this release, {len(told.findings)} after merging"
        + (f"; {told.unread} could not be read" if told.unread else "")
    )
    for finding in told.findings:
        if finding.alternatives:
            console.print(f"one defect: {finding.title}", markup=False)
            for title in finding.alternatives:
                console.print(f"    also as {title}", markup=False)
