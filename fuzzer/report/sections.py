"""What there is to say of a finding, once: `report.md`, the issue text and the page only lay it out.

The order is that of upstream's forms for bugs (tensorflow/tensorflow, `.github/ISSUE_TEMPLATE`:
`tflite-converter-issue.md` and `tensorflow_issue_template.yaml`): system, code, what happens, what was expected; then
what a maintainer asks next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from fuzzer.case import Case
from fuzzer.findings.finding import Finding
from fuzzer.oracles.death import FRAME, KERNEL, STACK
from fuzzer.oracles.verdict import DEATHS, RELATION, SPECIAL_OPERANDS, TOLERANCE, ULP, Verdict
from fuzzer.report import kernels, system, words
from fuzzer.report.blocks import Block, Code, Facts, Grid, Mono, Paragraph, Report, Section, Words, clean, say
from fuzzer.report.material import Material
from fuzzer.screen.text import ALONE, number, severity

LOG_LINES = 60
"""Of a log the end, which is where a process died."""
MAX_OPERANDS = 12
VERIFIED = re.compile(r"'(\w+\.\w+)' op ")
"""How MLIR's verifier names the operation that it refuses: mlir/lib/IR/Operation.cpp (`emitOpError`)."""
_NOISE = re.compile(
    r"cuInit|cuda_platform|Ignored (?:output_format|drop_control_dependency)|oneDNN custom operations"
    r'|^Extension modules: |^  File "(?:[^"]*/fuzzer/|<frozen runpy>)'
)
"""What TensorFlow says at every start, whatever is run (tensorflow/core/util/port.cc, cuda_platform.cc,
compiler/mlir/lite/python/tf_tfl_flatbuffer_helpers.cc), and of a Python stack the frames that are ours."""
_PYTHON_FRAME = re.compile(r"(?:lib)?python\d[\d.]*(?:\.so[\d.]*)? ")
"""How a frame of CPython begins: its shared library, or its executable where that is linked statically."""
NODE = re.compile(r"Node number (\d+) \((\w+)\)")
"""How a runtime names the node that failed: tensorflow/lite/core/subgraph.cc."""
_TOLD = frozenset(
    {"message", "log", "promise", STACK, FRAME, KERNEL, "pass", "before", "after", "program before", "program after"}
    | {"tensor", "run", "ratios", "runtimes", "expected", "actual", "index", "output", "sample", "operands", "signal"}
    | {
        "step",
        "python",
        "relation",
        "node",
        "operator",
        "operators",
        "base",
        "first tensor",
        "dtype",
        ULP,
        RELATION,
        TOLERANCE,
    }
)
"""Keys of the evidence that have a place of their own."""


def report(material: Material) -> Report:
    """The whole report, free of what tells of this machine."""
    finding, verdict = material.finding, material.verdict
    lead = words.what(verdict) if verdict is not None else f"A finding of the kind {finding.kind}."
    sections = (
        Section("system", "System information", tuple(_system(material))),
        Section("code", "Code", tuple(_code(material))),
        Section("happens", "What happens", tuple(_happens(material))),
        Section("expected", "What was expected", tuple(_expected(material))),
        Section("why", "Why this is a defect", tuple(_why(material))),
        Section("kernels", "Which kernels agree", tuple(_kernels(material))),
        Section("blame", "Where the fault is", tuple(_blame(material))),
        Section("stack", "Native stack", tuple(_stack(material)), long=True),
        Section("log", "Log", tuple(_log(material)), long=True),
        Section("versions", "Versions affected", tuple(_versions(finding))),
        Section("repeatability", "Repeatability", tuple(_repeatability(finding))),
        Section("evidence", "Further evidence", tuple(_evidence(material)), long=True),
    )
    return clean(Report(finding.title, (lead,), tuple(section for section in sections if section.blocks)))


def graph_lines(case: Case) -> list[str]:
    """The model, one line a value."""
    types = case.model.types
    lines = [f"    x{i}: {t}" for i, t in enumerate(case.model.inputs)]
    for typed in case.model.typed:
        attrs = ", ".join(f"{k}={v}" for k, v in typed.node.attrs.items())
        call = f"{typed.node.op}({', '.join(typed.node.operands)}; {attrs})"
        lines.append(f"    {typed.name} = {call}: {types[typed.name]}")
    return [*lines, f"    return {', '.join(case.model.outputs)}"]


def _system(material: Material) -> Iterator[Block]:
    released = system.versions(material.finding.versions)
    rows: list[tuple[str, Words]] = [("OS platform and distribution", (Mono(system.distribution()),))]
    if system.processor():
        rows.append(("Processor", (Mono(system.processor()),)))
    rows += [(label, (Mono(released[name]),)) for name, label in system.PACKAGES.items() if name in released]
    rows.append(("Installed from", ("binary (pip)",)))
    yield Facts(tuple(rows))


def _code(material: Material) -> Iterator[Block]:
    if material.case is not None:
        yield say("The model, minimised:" if material.finding.minimised else "The model (minimising was cut short):")
        yield Code("\n".join(line.removeprefix("    ") for line in graph_lines(material.case)))
    if material.script:
        yield say(
            "The script prints what differs. It exits 1 while the defect is there, 0 when it is gone, 2 when it cannot "
            f"tell. It needs TensorFlow and NumPy only{_litert(material.script)}."
        )
        yield Code(material.script.rstrip(), "python")


def _litert(script: str) -> str:
    return ", and ai-edge-litert" if "ai_edge_litert" in script else ""


def _happens(material: Material) -> Iterator[Block]:
    finding, verdict = material.finding, material.verdict
    if verdict is None:
        yield Paragraph((Mono(finding.message or finding.title), "."))
        return
    yield say(words.what(verdict))
    evidence = verdict.evidence
    if "actual" in evidence and not verdict.unsteady:
        yield _difference(evidence)
    if verdict.kind in DEATHS:
        yield Facts(tuple(_death(verdict)))
    message = str(evidence.get("message", "")).strip()
    if message:
        yield Code(_head(message, LOG_LINES))
    said = verdict.kind in DEATHS or finding.unit == ALONE  # above: what it died of, what the error says
    rows: list[tuple[str, Words]] = [] if said else [("Severity", (_severity(finding),))]
    rows.append(("Conversion", ("scheme ", Mono(finding.quantisation), " from ", Mono(finding.entry))))
    switches = material.case.conversion.switches if material.case is not None else {}
    if switches:
        rows.append(("Switches", (Mono(", ".join(f"{name}={value}" for name, value in sorted(switches.items()))),)))
    relation = evidence.get("relation") or (material.case.inference.relation if material.case is not None else "none")
    if relation != "none":
        rows.append(("Relation", (Mono(str(relation)),)))
    rows += [("Also seen as", (Mono(title),)) for title in finding.alternatives]
    yield Facts(tuple(rows))


def _severity(finding: Finding) -> str:
    shown = severity(finding.severity, finding.unit)
    if finding.unit == "x bound":
        shown = f"{number(finding.severity)} times the bound"
    return shown + (f", {number(finding.ulp)} ulp of the output's largest value" if finding.ulp > 0 else "")


def _difference(evidence: dict[str, Any]) -> Grid:
    node = evidence.get("node")  # judged alone, on its own operands: its result, not the model's
    head = ["output" if node is None else "result of node", "at", "#expected", "#actual"]
    row = [
        str(evidence.get("output", 0) if node is None else node),
        _place(evidence),
        _figure(evidence.get("expected")),
        _figure(evidence["actual"]),
    ]
    try:
        error = abs(float(evidence["actual"]) - float(evidence["expected"]))
    except (KeyError, TypeError, ValueError):
        return Grid(tuple(head), (tuple(row),))
    if not math.isfinite(error):
        return Grid(tuple(head), (tuple(row),))
    return Grid((*head, "#error"), ((*row, f"{error:.9g}"),))


def _place(evidence: dict[str, Any]) -> str:
    index = evidence.get("index")
    return f"({', '.join(map(str, index))})" if isinstance(index, list) else "-"


def _figure(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else "-" if value is None else str(value)


def _death(verdict: Verdict) -> Iterator[tuple[str, Words]]:
    evidence = verdict.evidence
    yield "Died of", (Mono(str(evidence.get("signal") or severity(verdict.severity, verdict.unit))),)
    yield "During", (str(evidence.get("step") or verdict.stage.value),)
    if evidence.get(FRAME):
        yield "In", (Mono(str(evidence[FRAME])),)
    if evidence.get("python"):
        yield "Called from", (Mono(str(evidence["python"])),)


def _expected(material: Material) -> Iterator[Block]:
    verdict = material.verdict
    if verdict is None:
        return
    promise = verdict.evidence.get("promise")
    yield say(str(promise) if promise else words.expected(verdict))
    if "expected" in verdict.evidence and verdict.evidence.get("base") and not verdict.unsteady:
        base = {"tensorflow": "TensorFlow, eagerly", "real arithmetic": "real arithmetic on the operands' values"}
        told = str(verdict.evidence["base"])
        yield Paragraph((f"The value expected above is that of {base.get(told, told)}.",))


def _why(material: Material) -> Iterator[Block]:
    if material.verdict is not None:
        yield say(words.why(material.verdict))


def _kernels(material: Material) -> Iterator[Block]:
    rows, untried = kernels.rows(material)
    if material.verdict is not None and material.verdict.runtimes == ("converter",):
        yield say(
            "The fault is the converter's: no kernel can mend what is written in the flatbuffer, or was not written."
        )
    if rows:
        yield Grid(("kernel", "is", "result", "#largest difference"), tuple(rows))
        if any(row[-1] for row in rows):
            yield say("The last column is the largest difference of an element from TensorFlow, over all samples.")
    if rows and untried:
        yield Paragraph(("Not tried on the minimal model: ", Mono(", ".join(untried)), "."))


def _blame(material: Material) -> Iterator[Block]:
    verdict = material.verdict
    if verdict is None:
        if material.finding.blame:
            yield Facts((("blamed", (Mono(material.finding.blame),)),))
        return
    evidence = verdict.evidence
    rows = list(_blamed(material.finding, verdict))
    if rows:
        yield Facts(tuple(rows))
    else:
        yield say("Not known: neither the message nor the numbers name an operator or a pass.")
    for key in ("before", "after"):
        operations = evidence.get(f"program {key}") or evidence.get(key)
        if "pass" in evidence and isinstance(operations, list):
            yield say(f"Operations {key} the pass:")
            yield Code("\n".join(map(str, operations)) or "nothing")
    operands = evidence.get("operands")
    if isinstance(operands, list) and operands and all(isinstance(o, dict) for o in operands):
        yield say("Operands of the node:")
        yield Grid(("tensor", "dtype", "scale", "values"), tuple(_operand(o) for o in operands[:MAX_OPERANDS]))


def _blamed(finding: Finding, verdict: Verdict) -> Iterator[tuple[str, Words]]:
    evidence = verdict.evidence
    message = str(evidence.get("message", ""))
    named, refused = NODE.search(message), VERIFIED.search(message)
    if "pass" in evidence:
        yield "pass", (Mono(str(evidence["pass"])),)
        if evidence.get("tensor"):
            yield "first wrong tensor of the flatbuffer", (Mono(str(evidence["tensor"])),)
        if evidence.get("run"):
            yield "the converter's program was run after each pass that changed it", (str(evidence["run"]),)
    if verdict.blame and verdict.blame != "converter":
        yield "operator", (Mono(verdict.blame),)
    elif evidence.get("operator"):
        yield "operator", (Mono(str(evidence["operator"])),)
    elif named is None and finding.blame and finding.blame != "converter":
        yield "operator", (Mono(finding.blame),)
    if refused is not None:
        yield "operation that the converter itself refuses", (Mono(refused[1]),)
    if named is not None:
        yield "node of the flatbuffer", (f"number {named[1]}, ", Mono(named[2]))
    elif isinstance(evidence.get("node"), int):
        yield "node of the flatbuffer", (f"number {evidence['node']}",)
    if evidence.get(KERNEL):
        yield "kernel", (Mono(str(evidence[KERNEL])),)
    if evidence.get(FRAME):
        yield "function", (Mono(str(evidence[FRAME])),)
    first = evidence.get("first tensor")
    if isinstance(first, dict):
        yield (
            "first tensor that is wrong",
            (
                Mono(str(first.get("tensor", "?"))),
                " of ",
                Mono(str(first.get("operator", "?"))),
                f": {_figure(first.get('actual'))} instead of {_figure(first.get('expected'))} at {_place(first)}",
            ),
        )


def _operand(operand: dict[str, Any]) -> tuple[str, ...]:
    scales, values = operand.get("scales") or [], operand.get("values")
    return (
        str(operand.get("tensor", "")),
        str(operand.get("dtype", "")),
        _several(scales) or "-",
        _several(values) if isinstance(values, list) else "",
    )


def _several(values: list[Any]) -> str:
    shown = ", ".join(_figure(v) for v in values[:8])
    return f"{shown}, … ({len(values)})" if len(values) > 8 else shown


def _stack(material: Material) -> Iterator[Block]:
    # What the Python interpreter does to call the library is in every stack and tells nothing.
    native = [*takewhile(lambda line: not _PYTHON_FRAME.match(line), material.stack)]
    if material.stack:
        yield say("Innermost function first, up to the call from Python:" if native else "Innermost function first:")
        yield Code("\n".join(native or material.stack))


def _log(material: Material) -> Iterator[Block]:
    lines = [line for line in material.log.splitlines() if line.strip() and not _NOISE.search(line)]
    if lines:
        yield Code("\n".join(lines[-LOG_LINES:]), keep="end")


def _versions(finding: Finding) -> Iterator[Block]:
    """What `bisect` found, oldest release first; the releases it did not find are empty."""
    found = (
        ("last release without it", finding.last_good),
        (
            "first release that has it" if finding.last_good else "already in the oldest release tried",
            finding.first_bad,
        ),
        ("last release that has it", finding.last_bad),
        ("first release that is mended", finding.first_good),
    )
    rows: list[tuple[str, Words]] = [("seen with", (Mono(finding.versions),))]
    rows += [(label, (Mono(release),)) for label, release in found if release]
    yield Facts(tuple(rows))
    if len(rows) == 1:
        yield say("Other releases were not tried.")


def _repeatability(finding: Finding) -> Iterator[Block]:
    rows: list[tuple[str, Words]] = [("fresh processes", (f"{finding.reproduced} of {finding.repeats} showed it",))]
    exits = {
        1: "exited 1: the defect is there",
        0: "exited 0 each time when it was written: it does not show the defect",
        2: "exited 2: it could not tell",
        -1: "was not run",
        -2: "did not end within three minutes",
    }
    code = finding.script_exit
    other = f"was killed by signal {-code} itself" if code < 0 else f"exited {code} when it was written"
    rows.append(("the script", (exits.get(code, other),)))
    if finding.replayed:
        rows.append(("last replay", (f"{finding.replayed}: {finding.replay_said}",)))
    rows.append(("case", (Mono(finding.case), " (found as ", Mono(finding.found_as), ")")))
    yield Facts(tuple(rows))


def _evidence(material: Material) -> Iterator[Block]:
    verdict = material.verdict
    if verdict is None:
        return
    rest = {k: v for k, v in verdict.evidence.items() if k not in _TOLD and k != SPECIAL_OPERANDS}
    operators = verdict.evidence.get("operators")
    if isinstance(operators, list):
        rest["operators of the flatbuffer"] = ", ".join(map(str, operators))
    if rest:
        yield Facts(tuple((str(key), (Mono(_head(_figure(value), 1)[:400]),)) for key, value in rest.items()))


def _head(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[:lines])
