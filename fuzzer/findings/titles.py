"""Titles: one line that is the same for the same defect on any machine."""

from __future__ import annotations

import hashlib
import re

from fuzzer.case import Case, Conversion
from fuzzer.case.conversion import KERAS_ENTRIES
from fuzzer.oracles.death import FRAME, KERNEL
from fuzzer.oracles.messages import HEAP_CORRUPTION
from fuzzer.oracles.verdict import DEATHS, Kind, Stage, Verdict

MAX_TITLE = 180
SPECIFIC_MESSAGE = 40
"""Characters from which a converter's message names its defect better than the ops that happen to lead there."""

LOOP = "while loop"
"""What a title calls a recurrent op that is not unrolled."""
CALIBRATED_ON = "calibrated on"
"""Key of the evidence that says what was wrong with the numbers a conversion was calibrated on."""


def title_of(verdict: Verdict, case: Case) -> str:
    """Kind, stage and message, then the minimal op chain and the scheme where the message does not say them.

    `case` is the minimised case: its ops are the ones the defect needs.
    """
    where = " in ".join(filter(None, [verdict.kind.value, _stage(verdict)]))
    if verdict.stage is Stage.METAMORPHIC:
        where += f" ({case.inference.relation})"  # what dies of a relation says nothing of it itself
    if verdict.blame not in ("", "converter"):
        named = verdict.kind in (Kind.VALUE, Kind.NAN_PROPAGATION, Kind.METAMORPHIC)
        message = _SCALES.sub(r"\1", verdict.message)
        return _line(f"{where}: {message}" if named else f"{where}: {verdict.blame}: {verdict.message}")
    if "pass" in verdict.evidence and (verdict.evidence.get("before") or verdict.evidence.get("after")):
        # The converter's rewrite names the defect: which ops of ours lead to it is chance.
        return _line(f"{where}: {verdict.message} ({settings(case.conversion)})")
    if verdict.kind is Kind.CALIBRATION:
        # Which ops of ours made the numbers that were calibrated on is chance.
        return _line(f"{where}: {verdict.message} ({settings(case.conversion)})")
    if HEAP_CORRUPTION in verdict.message:
        # The heap is found broken some time after it was broken: neither runtime nor ops name the culprit.
        return _line(f"{where}: {verdict.message}")
    if verdict.kind is Kind.CONVERTER_ERROR and (violated := ill_typed(verdict.message, case)):
        return _line(f"{where}: fake quantisation leaves a tfl op whose {violated}")
    if verdict.kind is Kind.CONVERTER_ERROR and len(verdict.message) >= SPECIFIC_MESSAGE and not _breaks_off(verdict):
        return _line(f"{where}: {verdict.message} ({settings(case.conversion)})")
    if CALIBRATED_ON in verdict.evidence:
        return _line(f"{where}: {verdict.message} (calibrated on {verdict.evidence[CALIBRATED_ON]})")
    if verdict.kind is Kind.ALLOCATE_ERROR and not re.search(r"\[|\.cc\b|XNNPACK", verdict.message):
        # No operator is named: the file is at fault, or the switch that wrote it so.
        return _line(f"{where}: {verdict.message} ({_switched(case.conversion)})")
    if verdict.kind in DEATHS and verdict.evidence.get(FRAME):
        # The native stack names the function: which ops, scheme and runtime lead there is chance.
        return _line(f"{where}: {verdict.message}")
    if verdict.kind in DEATHS and verdict.stage is Stage.CONVERT and case.conversion.switches:
        # The minimal case keeps a switch that it needs: the road dies, whatever op goes along it.
        return _line(f"{where}: {verdict.message} ({_switched(case.conversion)})")
    operator = re.search(r"\[(\w+)\]$", verdict.message)
    if operator is not None and verdict.kind in (Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR):
        # The runtime names its operator: which ops of ours lead there is chance.
        return _line(f"{where}: {operator[1]}: {verdict.message} ({settings(case.conversion)})")
    # Errors: runtimes that say the same share a title.
    told = verdict.kind not in DEATHS or verdict.runtime in ("", "converter") or verdict.runtime in verdict.message
    runtime = "" if told else f" [{verdict.runtime}]"
    # Calibration runs the float model: what dies there does not depend on the scheme it is done for.
    scheme = "calibrated" if "calibrator" in verdict.message else settings(case.conversion)
    return _line(f"{where}: {verdict.message}{runtime} ({chain(case)}, {scheme})")


def _breaks_off(verdict: Verdict) -> bool:
    """Whether a message ends where its reason should begin ("MLIR Graph Optimizer failed: ")."""
    return str(verdict.evidence.get("message", "")).rstrip().endswith(":")


_SCALES = re.compile(r"(the quantiser wrote an? \w+) \(\w+\)")
"""The type is that of the first operand; the quantiser is to blame for the scales of others (indices have none)."""


def _stage(verdict: Verdict) -> str:
    """The stage; none where the native stack names a kernel, which `convert` runs too, to calibrate."""
    named = verdict.kind in DEATHS and verdict.evidence.get(FRAME) and verdict.evidence.get(KERNEL)
    return "" if named else verdict.stage.value


_VIOLATIONS = (
    (re.compile(r"'tfl\.\w+' op operand #N must be"), "operand is of a type it does not take"),
    (re.compile(r"'tfl\.\w+' op result #N must be"), "result is of a type it does not give"),
    (re.compile(r"'tfl\.\w+' op .*(same element type|element type needs to match)"), "operands are of different types"),
    (re.compile(r"'tfl\.\w+' op quantization parameters violate the same scale"), "operands have different scales"),
)
"""What the verifier of MLIR says of operators that ranges of several widths met in: whichever operator it is, the pass
that propagates the ranges is at fault."""


def ill_typed(message: str, case: Case) -> str:
    """Which of the `_VIOLATIONS` a message tells of, in a case with fake quantisation; empty for none."""
    trained = case.conversion.scheme == "qat" or any(
        "quant" in node.op or "qat" in node.op for node in case.model.nodes
    )
    return next((words for pattern, words in _VIOLATIONS if trained and pattern.search(message)), "")


def settings(conversion: Conversion) -> str:
    """The scheme, and what else of the road is not plain in a minimised case: it is part of the defect."""
    extra = [f"{name}={value}" for name, value in sorted(conversion.switches.items())]
    if "sparsity" in conversion.optimizations:
        extra.append("sparsity")
    if conversion.dynamic != "none":
        extra.append("dynamic shapes")
    if conversion.representative == "absent":
        extra.append("no representative data")
    return ", ".join([conversion.scheme, *extra])


def _switched(conversion: Conversion) -> str:
    """What a road has beside its scheme; the scheme where there is nothing else."""
    return settings(conversion).partition(", ")[2] or conversion.scheme


def chain(case: Case) -> str:
    """The ops of a case in order, repeated ones once; recurrent ops that are not unrolled are all WHILE loops."""
    layers = case.conversion.entry in KERAS_ENTRIES  # layers loop, whatever the attribute says
    names = (LOOP if n.spec.recurrent and (layers or not n.attrs.get("unroll")) else n.op for n in case.model.nodes)
    return " > ".join(dict.fromkeys(names))


def finding_id(title: str) -> str:
    """First 12 hex digits of the title's SHA-256."""
    return hashlib.sha256(title.encode()).hexdigest()[:12]


def folder_name(title: str, id_: str) -> str:
    """A folder name a person can read: letters and digits of the title, then the id."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")
    return f"{slug}-{id_}"


def key_of(verdict: Verdict, scheme: str) -> str:
    """What equals for equal defects before minimising: cheap to compute, used to bound the work spent on one defect."""
    if verdict.blame not in ("", "converter") or verdict.evidence.get(FRAME):
        scheme = ""
    return f"{verdict.kind.value}|{_stage(verdict)}|{verdict.message}|{scheme}"


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"
