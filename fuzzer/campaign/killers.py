"""Known killers: combinations of op, switches and scheme that mostly end in a death of the executor.

A death costs a restart and teaches nothing the second time, so mutants that carry a known killer are drawn again.
Counting is by op, its boolean attributes and the scheme: an unrolled loop converts where a WHILE loop dies. Switches
of the converter are counted by themselves, and ops under dynamic shapes apart from ops under static ones.
"""

from __future__ import annotations

from collections import Counter

from fuzzer.case import Case

MIN_DEATHS = 3
DEADLY_SHARE = 0.4
"""Share of a combination's executions that died, from which it counts as a killer."""


class Killers:
    """What is known to kill. The same history gives the same answers."""

    def __init__(self) -> None:
        self._runs: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()

    def record(self, case: Case, died: bool) -> None:
        """Takes note of one execution."""
        for key in _keys(case):
            self._runs[key] += 1
            self._deaths[key] += died

    def suspects(self, case: Case) -> bool:
        """Whether a case carries a combination that mostly killed so far."""
        return any(
            self._deaths[key] >= MIN_DEATHS and self._deaths[key] > DEADLY_SHARE * self._runs[key]
            for key in _keys(case)
        )


def _keys(case: Case) -> set[str]:
    conversion = case.conversion
    scheme, shapes = conversion.scheme, "/dynamic" if conversion.dynamic != "none" else ""
    switches = {f"switch {name}={value}/{scheme}" for name, value in conversion.switches.items()}
    return switches | {
        f"{node.op}/{','.join(k for k, v in sorted(node.attrs.items()) if v is True)}/{scheme}{shapes}"
        for node in case.model.nodes
    }
