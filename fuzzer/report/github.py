"""A report as GitHub's form for issues wants it: a line with the title, then the body.

The headings are the labels of TensorFlow's form in their order (tensorflow/tensorflow,
`.github/ISSUE_TEMPLATE/tensorflow_issue_template.yaml`), and unanswered ones say what GitHub itself writes there.
LiteRT (google-ai-edge/LiteRT) has no form of its own; the same answers serve there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from fuzzer.report import system
from fuzzer.report.blocks import Block, Code, Report, Section, say
from fuzzer.report.markdown import body, lines_of, one_line, plain, span, words
from fuzzer.report.material import Material
from fuzzer.report.scrub import scrub

MAX_BODY = 65_536
"""Characters of an issue's body ("body is too long (maximum is 65536 characters)", GitHub's API)."""
MAX_TITLE = 256
"""Characters of an issue's title ("title is too long (maximum is 256 characters)", GitHub's API)."""
NO_RESPONSE = "_No response_"
TENSORFLOW = "https://github.com/tensorflow/tensorflow/issues/new/choose"
LITERT = "https://github.com/google-ai-edge/LiteRT/issues/new"
_SORTED = ("value", "metamorphic", "nan-propagation", "shape", "dtype")
_TITLES = re.compile(rf"^({'|'.join(_SORTED)})(?: in compare(?: \(\w+\))?)?: ")
"""What our titles begin with for the sake of sorting, and upstream has no use for: the rest says it in words."""
_BEHAVIOUR = ("happens", "expected", "why", "kernels", "blame", "versions", "repeatability", "evidence")
_ROOM = (1 << 30, 20_000, 8_000, 2_000, 500)
"""Characters that a block of code may have, tried one after another until the whole fits."""


def issue(report: Report, material: Material) -> str:
    """Title, a blank line, and the body, within GitHub's limits."""
    title = one_line(f"[TFLite] {_TITLES.sub('', report.title)}")
    title = title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"
    texts = (_body(_cut(report, room), material) for room in _ROOM)
    fitting = next((text for text in texts if len(text) <= MAX_BODY), None)
    if fitting is None:
        note = "\n\n(The rest was cut: see the attached files.)\n"
        fitting = _body(_cut(report, _ROOM[-1]), material)[: MAX_BODY - len(note)] + note
    return f"{title}\n\n{fitting}"


def tracker(material: Material) -> str:
    """Where such an issue is filed: LiteRT's tracker where LiteRT alone is at fault."""
    return LITERT if set(material.finding.runtimes) == {"litert"} else TENSORFLOW


def _body(report: Report, material: Material) -> str:
    released = system.versions(material.finding.versions)
    answers: list[tuple[str, str]] = [
        ("Issue type", "Bug"),
        ("Have you reproduced the bug with TensorFlow Nightly?", "No"),
        ("Source", "binary"),
        ("TensorFlow version", _version(released)),
        ("Custom code", "Yes"),
        ("OS platform and distribution", span(scrub(system.distribution()))),
        ("Mobile device", NO_RESPONSE),
        ("Python version", released.get("python", NO_RESPONSE)),
        ("Bazel version", NO_RESPONSE),
        ("GCC/compiler version", NO_RESPONSE),
        ("CUDA/cuDNN version", NO_RESPONSE),
        ("GPU model and memory", NO_RESPONSE),
        ("Current behavior?", _behaviour(report)),
        ("Standalone code to reproduce the issue", _section(report, "code")),
        ("Relevant log output", _logs(report)),
    ]
    return "\n".join(f"### {heading}\n\n{answer}\n" for heading, answer in answers)


def _version(released: dict[str, str]) -> str:
    litert = released.get("ai-edge-litert")
    shown = f"tf {plain(released['tensorflow'])}" if "tensorflow" in released else NO_RESPONSE
    return f"{shown} (ai-edge-litert {plain(litert)})" if litert else shown


def _behaviour(report: Report) -> str:
    chosen = [section for key in _BEHAVIOUR if (section := report.section(key)) is not None]
    return "\n".join([words(report.lead), "", *body(_once(report, chosen), 4, fold=True)]).strip()


def _once(report: Report, sections: Sequence[Section]) -> list[Section]:
    """The sections without the paragraph that the lead says already."""
    return [replace(s, blocks=tuple(b for b in s.blocks if b != say("".join(map(str, report.lead))))) for s in sections]


def _section(report: Report, key: str) -> str:
    section = report.section(key)
    if section is None:
        return NO_RESPONSE
    return "\n".join(line for block in section.blocks for line in (*lines_of(block), "")).strip()


def _logs(report: Report) -> str:
    chosen = [section for key in ("stack", "log") if (section := report.section(key)) is not None]
    return "\n".join(body(chosen, fold=True)).strip() or NO_RESPONSE


def _cut(report: Report, room: int) -> Report:
    """The report with every block of code cut to `room` characters; a script is cut last, to four times as many."""
    return replace(
        report, sections=tuple(replace(s, blocks=tuple(map(_cutter(room), s.blocks))) for s in report.sections)
    )


def _cutter(room: int) -> Callable[[Block], Block]:
    def cut(block: Block) -> Block:
        if not isinstance(block, Code):
            return block
        size = room * 4 if block.language == "python" else room
        if len(block.text) <= size:
            return block
        left = f"({len(block.text) - size:,} characters are left out)"
        if block.language == "python":
            return replace(block, text=f"{block.text[:size]}\n# {left}: see the attached repro.py")
        if block.keep == "end":
            return replace(block, text=f"{left}\n{block.text[-size:]}")
        return replace(block, text=f"{block.text[:size]}\n{left}")

    return cut
