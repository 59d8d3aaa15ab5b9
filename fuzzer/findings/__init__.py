"""Findings: saved first, judged later; journal, titles, reproducers, index."""

from fuzzer.findings.finding import Finding, State
from fuzzer.findings.store import FindingStore

__all__ = ["Finding", "FindingStore", "State"]
