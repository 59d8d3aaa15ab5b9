"""What the main lists leave out by default, and why.

Known behaviour, how NaN and infinity propagate, and what the reproducer does not show.

Nothing hidden is lost: it is in the store, in the index and in the numbers, and every list says how many it leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fuzzer.findings.finding import Finding
from fuzzer.findings.known import Known, shipped
from fuzzer.oracles.verdict import DEATHS

KNOWN = "known behaviour"
PROPAGATION = "nan-propagation"
UNCONFIRMED = "unconfirmed"
SHORT = {KNOWN: "known", PROPAGATION: "nan", UNCONFIRMED: "unsure"}
"""What marks a row of a list."""
_PROPAGATION = (
    "NaN, infinity or a negative zero goes in, and a kernel passes it on otherwise than TensorFlow does. Few models "
    "feed such numbers on purpose, so it is low in severity."
)
_UNCONFIRMED = (
    "The reproducer, which uses nothing of this project, exited 0 each time it was run when the finding was made: what "
    "was seen here, a receiver would not see. Five of six such findings of earlier campaigns were false alarms."
)


def unconfirmed(finding: Finding) -> bool:
    """Whether a finding is not confirmed by its own reproducer.

    A death may need the heap that it met, or a race: it stays listed, and its report says what the script did.
    """
    return finding.script_exit == 0 and finding.kind not in _DEATHS


_DEATHS = frozenset(kind.value for kind in DEATHS)


@dataclass(frozen=True)
class Hidden:
    """Why a finding is left out: in a word or two, in a paragraph, and where that is written (empty: nowhere)."""

    why: str
    reason: str
    link: str = ""
    entry: str = ""
    """Id and version of the entry of known behaviour."""


class Hider:
    """Says of findings whether they are left out. Cheap to make; `known` are the entries that it goes by."""

    def __init__(self, known: Sequence[Known] | None = None) -> None:
        self._known = shipped() if known is None else known

    def __call__(self, finding: Finding) -> Hidden | None:
        """Why a finding is left out; None where it is not."""
        for entry in self._known:
            if entry.fits(finding):
                return Hidden(KNOWN, entry.reason, entry.link, f"{entry.id}, version {entry.version} of {entry.since}")
        if finding.special_operands:
            return Hidden(PROPAGATION, _PROPAGATION)
        return Hidden(UNCONFIRMED, _UNCONFIRMED) if unconfirmed(finding) else None


def count_line(whys: Iterable[str], how: str) -> str:
    """How many titles are hidden and why, and how they are shown; empty when none is."""
    counts = Counter(why for why in whys if why)
    if not counts:
        return ""
    total = sum(counts.values())
    kinds = ", ".join(f"{n} {why}" for why, n in sorted(counts.items())) if len(counts) > 1 else next(iter(counts))
    return f"{total} title{'s are' if total != 1 else ' is'} hidden ({how}): {kinds}"
