"""`report.md`: one page for the person who receives a finding."""

from __future__ import annotations

from fuzzer.case import Case
from fuzzer.findings import rewrite_text
from fuzzer.findings.finding import Finding
from fuzzer.oracles.death import STACK
from fuzzer.oracles.verdict import SPECIAL_OPERANDS, Kind, Verdict

_WHAT = {
    Kind.CRASH: "The process is killed by a signal on a valid model.",
    Kind.HANG: "The call does not return on a valid model.",
    Kind.OUT_OF_MEMORY: "The call takes memory without bound on a valid model.",
    Kind.CONVERTER_ERROR: "The converter fails on a valid model, and not by saying that something is unsupported.",
    Kind.ALLOCATE_ERROR: "The interpreter refuses a flatbuffer that the converter has just made.",
    Kind.INVOKE_ERROR: "The interpreter fails while it runs a flatbuffer that the converter has just made.",
    Kind.OUTPUT_COUNT: "The flatbuffer has another number of outputs than the model.",
    Kind.SHAPE: "An output has another shape than in TensorFlow.",
    Kind.DTYPE: "An output has another dtype than asked for.",
    Kind.VALUE: "The numbers are wrong by more than any order of rounding explains.",
    Kind.NAN_PROPAGATION: "NaN or infinity appears where the exact result is finite.",
    Kind.CALIBRATION: "The quantiser chose scales that do not fit the data it was calibrated on.",
    Kind.METAMORPHIC: "A change that must not change the result does.",
}
_PROPAGATION = (
    "NaN, infinity or a negative zero goes in, and the result is otherwise than TensorFlow's. What TensorFlow gives is "
    "the same for rows of all lengths, at every place of them, eagerly and in a graph."
)


def report(finding: Finding, case: Case, verdict: Verdict, script: str) -> str:
    """The Markdown text."""
    lines = [
        f"# {finding.title}",
        "",
        _PROPAGATION if verdict.evidence.get(SPECIAL_OPERANDS) else _WHAT[verdict.kind],
        *([str(promise)] if (promise := verdict.evidence.get("promise")) else []),
        "",
        f"- severity: {finding.severity:g} {finding.unit}"
        + (f", {finding.ulp:g} ulp of the output's largest value" if finding.ulp else ""),
        f"- runtimes: {', '.join(finding.runtimes)}",
        f"- entry, quantisation: {finding.entry}, {finding.quantisation}",
        *([f"- relation: {case.inference.relation}"] if case.inference.relation != "none" else []),
        f"- repeatability: {finding.reproduced} of {finding.repeats} fresh processes",
        f"- versions: {finding.versions}",
        f"- case: {finding.case} (found as {finding.found_as}), "
        + ("minimised to a fixed point" if finding.minimised else "minimising was cut short"),
        "",
        "## Model",
        "",
        *graph_lines(case),
        "",
        *rewrite_text.section(verdict),
        *_evidence(verdict),
        "## Reproducer",
        "",
        "`python repro.py` prints what differs; it exits 1 while the defect is there and 0 when it is gone.",
        "",
        "```python",
        script.rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def graph_lines(case: Case) -> list[str]:
    """The model, one line a value."""
    types = case.model.types
    lines = [f"    x{i}: {t}" for i, t in enumerate(case.model.inputs)]
    for typed in case.model.typed:
        attrs = ", ".join(f"{k}={v}" for k, v in typed.node.attrs.items())
        call = f"{typed.node.op}({', '.join(typed.node.operands)}; {attrs})"
        lines.append(f"    {typed.name} = {call}: {types[typed.name]}")
    return [*lines, f"    return {', '.join(case.model.outputs)}"]


def _evidence(verdict: Verdict) -> list[str]:
    hidden = ("log", "message", "promise", STACK, *rewrite_text.SHOWN)
    shown = {k: v for k, v in verdict.evidence.items() if k not in hidden}
    lines = ["## Evidence", "", *(f"- {k}: `{v}`" for k, v in shown.items())] if shown else ["## Evidence"]
    for key in ("message", "log"):
        text = str(verdict.evidence.get(key, "")).strip()
        if text:
            lines += ["", "```text", *text.replace("```", "'''").splitlines()[-25:], "```"]
    stack = verdict.evidence.get(STACK)
    if stack:
        lines += ["", "Native stack, innermost function first:", "", "```text", *stack, "```"]
    return [*lines, ""]
