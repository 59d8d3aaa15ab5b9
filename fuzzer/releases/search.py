"""Which release to try next, and what the answers say. Pure: no process, no network.

A defect is taken to be there from one release on, up to one that mends it. So the release it was found with and both
ends are tried, and then always the middle between two neighbours that disagree. A release that cannot run the script
says nothing: the untried one nearest to it stands in, as `git bisect skip` does.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What a release says of a finding. The spelling is stored; never change one."""

    BAD = "bad"
    GOOD = "good"
    CANNOT = "cannot run"


@dataclass(frozen=True)
class Boundaries:
    """Releases around the defect; empty where none was seen."""

    last_good: str = ""
    """The newest without it before `first_bad`."""
    first_bad: str = ""
    """The oldest that shows it."""
    last_bad: str = ""
    """The newest that shows it; empty unless `first_good` is known."""
    first_good: str = ""
    """The oldest without it after `last_bad`: it is mended there."""


def next_release(order: Sequence[str], answers: Mapping[str, Answer], found: str, everything: bool = False) -> str:
    """The release to try next; empty when all is known. `order`: oldest first. `found`: where the finding was made."""
    untried = [v for v in order if v not in answers]
    if everything or not untried:
        return untried[0] if untried else ""
    told = [i for i, v in enumerate(order) if answers.get(v) in (Answer.BAD, Answer.GOOD)]
    if found in untried:
        return found
    # The newest first: "is it mended?" is what is asked most.
    if not told or _unsaid_after(order, answers, told[-1]):
        return untried[-1]
    if _unsaid_after(order[::-1], answers, len(order) - 1 - told[0]):
        return untried[0]
    for left, right in itertools.pairwise(told):
        between = [i for i in range(left + 1, right) if order[i] not in answers]
        if between and answers[order[left]] is not answers[order[right]]:
            return order[min(between, key=lambda i: (abs(2 * i - left - right), i))]
    return ""


def _unsaid_after(order: Sequence[str], answers: Mapping[str, Answer], told: int) -> bool:
    """Whether the end of `order`, beyond the last release that said something, has untried ones."""
    return any(v not in answers for v in order[told + 1 :])


def boundaries(order: Sequence[str], answers: Mapping[str, Answer], found: str) -> Boundaries:
    """What the answers say of the defect as it was `found`; of its newest appearance where that release is none."""
    told = [v for v in order if answers.get(v) in (Answer.BAD, Answer.GOOD)]
    bad = [i for i, v in enumerate(told) if answers[v] is Answer.BAD]
    if not bad:
        return Boundaries()
    first = last = told.index(found) if found in told and answers[found] is Answer.BAD else bad[-1]
    while first - 1 in bad:
        first -= 1
    while last + 1 in bad:
        last += 1
    mended = last + 1 < len(told)
    return Boundaries(
        told[first - 1] if first else "",
        told[first],
        told[last] if mended else "",
        told[last + 1] if mended else "",
    )


def changes(order: Sequence[str], answers: Mapping[str, Answer]) -> int:
    """How often the answer changes from one release to the next: more than two is not one defect's life."""
    told = [answers[v] for v in order if answers.get(v) in (Answer.BAD, Answer.GOOD)]
    return sum(a is not b for a, b in itertools.pairwise(told))


def most_tries(count: int) -> int:
    """How many releases of `count` a bisection tries at most, where all can run: three, and twice the halvings."""
    return min(count, 3 + 2 * max(0, (count - 2)).bit_length()) if count else 0
