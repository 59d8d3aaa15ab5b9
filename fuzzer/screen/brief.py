"""The title of a finding in the few cells that a list has: what tells it from its neighbours comes first.

What other columns say (kind, signal) goes, and so do words that a whole family of titles shares. The full title stands
in the detail, in reports and in the index.
"""

from __future__ import annotations

import re

from rich.cells import cell_len

from fuzzer.findings.finding import Finding
from fuzzer.screen.text import fit, one_line

STAGE_TELLS = ("crash", "hang", "out-of-memory")
"""Kinds that may happen at any stage, so that the stage belongs to what a row says."""
SHORTER: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bSIG[A-Z]+ in "), ""),
    (re.compile(r"\b(?:tflite::(?:ops::builtin::|optimize::)?|mlir::(?:TFL?::|quant::)?(?:internal::)?)"), ""),
    (re.compile(r"^the converter changed the model in (?:the )?"), ""),
    (re.compile(r"^the flatbuffer computes another function than the model: (.*)"), r"\1"),
    (re.compile(r"^the quantiser wrote an? (.*) that no kernel can compute:"), r"quantiser's \1:"),
    (re.compile(r"^every kernel of (\S+(?: \([^)]*\))?): wrong values$"), r"\1: every kernel"),
    (re.compile(r"^(\S+) ([A-Z][A-Z0-9_]+(?: \([^)]*\))?): wrong values$"), r"\2: \1"),
    (re.compile(r"^every kernel of (\S+(?: \([^)]*\))?):"), r"\1:"),
    (re.compile(r"^(\S+[+]\S+|optimised|reference|XNNPACK|litert|tf-\w+) ([A-Z][A-Z0-9_]+(?: \(\w+\))?):"), r"\2: \1,"),
    (re.compile(r"^(?:ConverterError|RuntimeError|ValueError): "), ""),
    (re.compile(r"(^|: )(?:\w+\.cc|tflite<path>|tensorflow<path>) "), r"\1"),
    (re.compile(r" \[[A-Z0-9_]+\]"), ""),
    (re.compile(r" \(float32\)"), ""),
)  # fmt: skip
"""What a narrow list leaves out or turns round, in this order; a title that fits none of it is only cut."""
TAIL = re.compile(r" \([^()!]{1,20}\)$")
"""A scheme or an op at the end of a title, which tells it from its sisters: it stays when the middle is cut. Not so
the values of a failed check (`INT16 != INT8`)."""
LEAST_CELLS = 30
"""Below this a tail would leave no room for anything else."""


def short_title(finding: Finding) -> str:
    """The title without what the other columns say: the kind, and the stage where the kind tells it."""
    title = one_line(finding.title)
    for words in (f"{finding.kind} in {finding.stage}: ", f"{finding.kind}: "):
        if title.startswith(words) and len(title) > len(words):
            said = f"{finding.stage}: " if finding.kind in STAGE_TELLS and finding.stage in words else ""
            return said + title.removeprefix(words)
    return title


def brief_title(finding: Finding, width: int, *, always: bool = False) -> str:
    """`short_title` in at most `width` cells; shortened by `SHORTER` where it would have to be cut, or `always`."""
    title = short_title(finding)
    if cell_len(title) <= width and not always:
        return title
    for pattern, words in SHORTER:
        shorter = pattern.sub(words, title).strip()
        title = shorter or title
    tail = TAIL.search(title)
    if cell_len(title) <= width or tail is None or width < LEAST_CELLS:
        return fit(title, width).rstrip() if width > 0 else ""
    end = tail.group()
    return fit(title[: tail.start()], width - cell_len(end)).rstrip() + end
