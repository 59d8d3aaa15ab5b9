"""Merging: when two titles are one defect, by what they have in common beside their words.

A title is made of words, and some of those are chance: which stage prepares a kernel, which scheme leads into a
pass, which of several runtimes reads memory that nobody wrote. So a minimal case has a *cause* beside its title: the
failing check in the source, the statement of the converter's verifier, or the chain of ops that is left. Two minimal
cases of one cause are one finding. It keeps the title, and so the id, that it had first; the others are kept as its
alternatives, with their samples.

The rule for every cause: it must tell two defects apart at least as well as a maintainer could who is shown both
minimal cases and nothing else. Where that is not sure the cause is empty, and the title alone decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from fuzzer.case import Case
from fuzzer.findings.titles import CALIBRATED_ON, chain, finding_id, ill_typed
from fuzzer.oracles.death import FRAME
from fuzzer.oracles.messages import UNLISTED
from fuzzer.oracles.verdict import DEATHS, UNSTEADY, Kind, Verdict

if TYPE_CHECKING:
    from fuzzer.findings.finding import Finding

_NUMBERS = (Kind.VALUE, Kind.NAN_PROPAGATION)
_ERRORS = (Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR, Kind.CONVERTER_ERROR)
_DECLARED = (Kind.DTYPE, Kind.SHAPE, Kind.OUTPUT_COUNT)
_CHECK = re.compile(r"([\w\-.]+\.(?:cc|h|c)):(\d+) ")
"""`file.cc:line`, as `TF_LITE_ENSURE` and its like begin (tensorflow/lite/core/c/common.h, TF_LITE_KERNEL_LOG)."""
_UNSTEADY = re.compile(rf"([A-Z][A-Z0-9_]+ \(\w+\)): {re.escape(UNSTEADY)}$")
_OPERATOR = re.compile(r" \[\w+\]$")
_VERIFIED = re.compile(r"'(?:tf|tfl)\.\w+' op ")
"""What the verifier of MLIR says begins with the operator."""


def cause_of(verdict: Verdict, case: Case) -> str:
    """What equals for minimal cases of one defect under several titles; empty where the title alone can tell.

    `case` is the minimised case and `verdict` what was said of it.
    """
    if verdict.kind is Kind.CONVERTER_ERROR and ill_typed(verdict.message, case):
        return ""  # one title already, of whichever operator the verifier meets first
    if verdict.kind in _ERRORS:
        return _failed_check(verdict) or _statement(verdict, case)
    if verdict.kind in _DECLARED:
        # What is declared is in the file, which every runtime reads: scheme and runtime are chance.
        return _joined(verdict.kind.value, verdict.message, chain(case))
    unsteady = _UNSTEADY.search(verdict.message)
    if unsteady is not None:
        # Whose results are off, and whether they were held against each other or against themselves, is chance.
        return _joined("unsteady", unsteady[1])
    named = verdict.blame or any(verdict.evidence.get(key) for key in (FRAME, CALIBRATED_ON))
    if verdict.kind in DEATHS and not named:
        # No function and no operator is named: the ops that are left tell, and who died of them.
        return _joined(verdict.kind.value, verdict.stage.value, verdict.message, verdict.runtime, chain(case))
    return ""


def _failed_check(verdict: Verdict) -> str:
    """The check of a kernel that failed: where it stands, and its condition.

    A kernel is prepared by `allocate`, by `invoke` behind shapes that are known late, and by calibration, which is a
    step of the conversion: three kinds of error for one check. A check in a file that several operators share
    (comparisons.cc, kernel_util.cc) is one check too, whichever of them meets it.
    """
    found = _CHECK.search(str(verdict.evidence.get("message", "")))
    if found is None:
        return ""
    condition = _OPERATOR.sub("", verdict.message).removeprefix("RuntimeError: ")
    # "This type is none that I take" is said of every type: which one it was is the defect.
    type_ = verdict.blame if UNLISTED in condition else ""
    if UNLISTED in condition and not type_:
        return ""
    return _joined("check", f"{found[1]}:{found[2]}", condition, type_)


def _statement(verdict: Verdict, case: Case) -> str:
    """What the converter or a runtime states, with the ops where it names none of its own; the scheme is chance."""
    if verdict.kind is not Kind.CONVERTER_ERROR:
        # Which stage prepares a kernel, or applies a delegate, is chance.
        by = _OPERATOR.search(verdict.message) is not None and UNLISTED not in verdict.message
        return _joined("statement", verdict.message, "" if by else verdict.blame) if by or verdict.blame else ""
    named = _VERIFIED.search(verdict.message) is not None
    if not named and case.conversion.switches:
        return ""  # a switch that is left is a part of the defect
    return _joined("statement", verdict.message, "" if named else chain(case))


def _joined(*parts: str) -> str:
    return "|".join(parts)


def twin_of(finding: Finding, known: Iterable[Finding]) -> Finding | None:
    """The finding that another is merged into: the first seen of its cause, or of its numbers under other runtimes.

    A case whose kernels read memory that nobody wrote shows other runtimes in every process: what was confirmed first
    (`key`), the kind and the ops that are left are the same, whoever is named in the end.
    Two rewrites of the converter are two defects, though all that the converter changes says the same words at first.
    """
    for other in known:
        if other.id == finding.id:
            continue
        if finding.cause and finding.cause in (other.cause, *other.other_causes):
            return other
        alike = finding.kind in _NUMBERS and finding.kind == other.kind and finding.ops == other.ops
        met = finding.key and finding.key in (other.key, *other.other_keys)
        if alike and met and not _rewritten_apart(finding, other):
            return other
    return None


def _rewritten_apart(one: Finding, other: Finding) -> bool:
    """Whether a rewrite of the converter is named for both, and not the same one.

    A rewrite is named after minimising, so its words are not in the key.
    """
    named = [f.blame == "converter" and f.message not in f.key for f in (one, other)]
    return all(named) and one.message != other.message


def as_sample_of(old: Finding, new: Finding) -> Finding:
    """A finding with another sample: under its own title and id, whichever title the sample would have.

    What the sample was recognised by is remembered beside what the first one was.
    """
    known = old.merged(new)
    return replace(
        new,
        id=old.id,
        title=old.title,
        path=old.path,
        first_seen=min(old.first_seen, new.first_seen),
        count=old.count + 1,
        key=old.key,
        cause=old.cause,
        alternatives=known.alternatives,
        other_causes=known.other_causes,
        other_keys=known.other_keys,
    )


def answers_to(finding: Finding, id_: str) -> bool:
    """Whether an id, or the beginning of one, is that of a finding or of one of its other titles."""
    return finding.id.startswith(id_) or any(finding_id(title).startswith(id_) for title in finding.alternatives)
