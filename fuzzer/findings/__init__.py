"""Findings: what is known of each title; journal, folders, inbox, index."""

from fuzzer.findings.finding import Finding, State
from fuzzer.findings.store import FindingStore

__all__ = ["Finding", "FindingStore", "State"]
