"""The converter pass that made a model wrong, as text: for the report and for the reproducer's docstring."""

from __future__ import annotations

from fuzzer.oracles.verdict import Verdict

SHOWN = ("pass", "before", "after", "program before", "program after", "tensor", "run")
"""Keys of the evidence (`fuzzer.oracles.confirm.rewrite`) that are told here."""


def sentence(verdict: Verdict) -> str:
    """Which pass, and what became of what; empty where no pass is known."""
    evidence = verdict.evidence
    if "pass" not in evidence:
        return ""
    before, after = (", ".join(map(str, evidence.get(key) or ["nothing"])) for key in ("before", "after"))
    return f"The model is wrong after the converter's {evidence['pass']}: before it {before}, after it {after}."


def section(verdict: Verdict) -> list[str]:
    """A section of the report; empty where no pass is known."""
    evidence = verdict.evidence
    if "pass" not in evidence:
        return []
    lines = ["## Rewrite", "", f"- pass: `{evidence['pass']}`"]
    if evidence.get("tensor"):
        lines.append(f"- first wrong tensor of the flatbuffer: `{evidence['tensor']}`")
    if evidence.get("run"):
        lines.append(f"- the converter's program was run after each pass that changed it: {evidence['run']}")
    for key in ("before", "after"):
        operations = evidence.get(f"program {key}") or evidence.get(key) or ["nothing"]
        lines += ["", f"Operations {key}:", "", *(f"    {operation}" for operation in operations)]
    return [*lines, ""]
