"""The converter pass that made a model wrong, as text for the reproducer's docstring."""

from __future__ import annotations

from fuzzer.oracles.verdict import Verdict


def sentence(verdict: Verdict) -> str:
    """Which pass, and what became of what; empty where no pass is known."""
    evidence = verdict.evidence
    if "pass" not in evidence or not (evidence.get("before") or evidence.get("after")):
        return ""  # of a death the pass is known and not what it wrote
    before, after = (", ".join(map(str, evidence.get(key) or ["nothing"])) for key in ("before", "after"))
    return f"In the converter the model is wrong after {evidence['pass']}: before it {before}, after it {after}."
