"""A finding as one self-contained page: no network, no script. A pure function of what its folder holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC

import numpy as np
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from fuzzer import __version__
from fuzzer.case import RUNTIMES
from fuzzer.html import Html, document, figure, folded, markup, table
from fuzzer.oracles.verdict import DEATHS, Kind
from fuzzer.report import graphs, kernels
from fuzzer.report.blocks import Block, Code, Facts, Grid, Mono, Paragraph, Section, Words
from fuzzer.report.drawing import draw
from fuzzer.report.material import Array, Material
from fuzzer.report.points import by_element, scatter
from fuzzer.report.scrub import scrub
from fuzzer.report.sections import report
from fuzzer.screen.text import ALONE, parse_time, severity

WORST_ROWS = 12
"""Elements listed, the largest errors first."""
_CODE = HtmlFormatter(nowrap=True, style="friendly")
STYLE = f"""
pre {{ background: #f9fafb; border: 1px solid #e5e7eb; border-radius: 4px; padding: .6rem .8rem; overflow-x: auto;
      font: 12.5px/1.5 ui-monospace, monospace; margin: .5rem 0 }}
pre.text {{ white-space: pre-wrap; overflow-wrap: anywhere }}
code {{ font: .92em ui-monospace, monospace; background: #f3f4f6; border-radius: 3px; padding: .05rem .25rem;
       overflow-wrap: anywhere }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0 }}
dt {{ color: #6b7280; max-width: 18rem }} dd {{ margin: 0; overflow-wrap: anywhere }}
.pair {{ display: flex; flex-wrap: wrap; gap: 1rem }} .pair figure {{ flex: 1 1 22rem; margin: .5rem 0; min-width: 0 }}
figcaption {{ color: #6b7280; margin-bottom: .3rem }} figure.wide {{ margin: .5rem 0; overflow-x: auto }}
svg.graph {{ display: block }}
.badge {{ display: inline-block; border-radius: 3px; padding: 0 .45rem; margin-right: .4rem; background: #e5e7eb;
         color: #111827; font-size: .9em }} .badge.bad {{ background: #fee2e2; color: #991b1b }}
td:not(.n) {{ overflow-wrap: anywhere }}
{_CODE.get_style_defs("pre.python")}
pre.python {{ background: #f9fafb }}
"""
_ORDER = ("happens", "expected", "why", "kernels", "numbers", "model", "blame", "stack", "log", "code")
"""What comes first on the page; the rest follows in its own order."""


@dataclass(frozen=True)
class Numbers:
    """One output of one runtime beside TensorFlow's: f64[n] or c128[n], and the errors f64[n]."""

    runtime: str
    sample: int
    output: int
    shape: tuple[int, ...]
    expected: Array
    actual: Array
    errors: Array
    wrong: Array
    """bool[n]: the element that was judged wrong and those that are at least as far off."""


def page(material: Material) -> str:
    """The whole page."""
    finding = material.finding
    told = report(material)
    drawn = {section.key: (section.title, _section(section)) for section in told.sections}
    drawn["numbers"] = ("Expected and actual values", _numbers(material))
    drawn["model"] = ("The model before and after conversion", _models(material))
    keys = [*(key for key in _ORDER if key in drawn), *(key for key in drawn if key not in _ORDER)]
    sections = [drawn[key] for key in keys if drawn[key][1]]
    badges = [
        _badge(finding.kind, bad=True),
        *([_badge(severity(finding.severity, finding.unit))] if finding.unit != ALONE else []),
        _badge(finding.state),
        *map(_badge, finding.runtimes),
    ]
    lead = Html(
        f"{''.join(badges)} {markup(finding.id)}, seen {finding.count} time{'s' * (finding.count != 1)}, first "
        f"{markup(moment(finding.first_seen))}. tflite-fuzzer {__version__}"
    )
    return document(told.title, lead, sections, map(scrub, material.problems), STYLE)


def moment(iso: str) -> str:
    """A stored time as people write it: `2026-11-21 06:38 UTC`; as it is where it is none."""
    time = parse_time(iso)
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if time is not None else iso


def _badge(text: str, *, bad: bool = False) -> str:
    return f'<span class="badge{" bad" if bad else ""}">{markup(scrub(text))}</span>'


# --- the text --------------------------------------------------------------------------------------------


def _section(section: Section) -> str:
    inner = "".join(map(_block, section.blocks))
    lines = sum(block.text.count("\n") for block in section.blocks if isinstance(block, Code))
    return folded(f"{lines + 1} lines", inner) if section.long and lines > 12 else inner


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{_words(block.words)}</p>"
    if isinstance(block, Facts):
        return f"<dl>{''.join(f'<dt>{markup(n)}</dt><dd>{_words(v)}</dd>' for n, v in block.rows)}</dl>"
    if isinstance(block, Grid):
        return table(block.head, block.rows)
    if block.language == "python":
        return f'<pre class="python">{highlight(block.text, PythonLexer(stripnl=False), _CODE)}</pre>'
    return f'<pre class="text">{markup(block.text)}</pre>'


def _words(words: Words) -> str:
    return "".join(f"<code>{markup(w.text)}</code>" if isinstance(w, Mono) else markup(w) for w in words)


# --- the model -------------------------------------------------------------------------------------------


def _models(material: Material) -> str:
    boxes, edges = graphs.before(material)
    (flat_boxes, flat_edges), why_not = graphs.after(material)
    parts = []
    if boxes:
        marked = any(box.role == "blamed" for box in boxes)
        caption = f"Before: the model as TensorFlow runs it.{' Red: what is blamed.' if marked else ''}"
        parts.append(draw(boxes, edges, "the model before conversion", caption))
    if flat_boxes:
        caption = "After: the flatbuffer that the converter wrote."
        caption += " Red: what is blamed." if any(box.role == "blamed" for box in flat_boxes) else ""
        parts.append(draw(flat_boxes, flat_edges, "the model after conversion", caption))
    notes = f'<p class="dim">{markup(scrub(why_not))}</p>' if why_not else ""
    if not boxes:
        notes += '<p class="dim">There is no model that could be drawn.</p>'
    return f'<div class="pair">{"".join(parts)}</div>{notes}'


# --- the numbers -----------------------------------------------------------------------------------------


def numbers(material: Material) -> Numbers | None:
    """The output that was judged wrong, or the one with the largest error; None where no numbers were kept."""
    evidence = material.verdict.evidence if material.verdict is not None else {}
    named = "node" not in evidence and isinstance(evidence.get("index"), list)
    guilty = material.verdict.runtimes if material.verdict is not None else ()
    found = [_numbers_of(material, r, s, o) for r in RUNTIMES for s in range(kernels.MAX_SAMPLES) for o in range(16)]
    there = [f for f in found if f is not None]
    if not there:
        return None

    def worth(f: Numbers) -> tuple[bool, bool, float]:
        judged = named and f.sample == evidence.get("sample", 0) and f.output == evidence.get("output", 0)
        return f.runtime in guilty, judged, float(f.errors.max(initial=0.0))

    best = max(there, key=worth)
    return replace(best, wrong=_wrong(best, evidence.get("index") if named and worth(best)[1] else None))


def _numbers_of(material: Material, runtime: str, sample: int, output: int) -> Numbers | None:
    both = kernels.pair(material, runtime, sample, output)
    if both is None or not both[0].size:
        return None
    shape = material.tensors[f"sample{sample}_tensorflow_y{output}"].shape
    errors = kernels.error(*both)
    return Numbers(runtime, sample, output, shape, *both, errors, np.zeros(errors.size, bool))


def _wrong(found: Numbers, index: object) -> Array:
    """The judged element and those as far off; the largest errors where no element was judged here."""
    least = float(found.errors.max(initial=0.0))
    place = element(index, found.shape)
    if place is not None:
        least = float(found.errors[place])
    return (found.errors >= least) & (found.errors > 0)


def element(index: object, shape: tuple[int, ...]) -> int | None:
    """The place of an index in the flat array; None where it is none of this shape."""
    if not isinstance(index, list) or len(index) != len(shape) or not all(isinstance(i, int) for i in index):
        return None
    place = 0
    for i, size in zip(index, shape, strict=True):
        if not 0 <= i < size:
            return None
        place = place * size + i
    return place


NUMBERLESS = frozenset({*DEATHS, Kind.CONVERTER_ERROR, Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR})
"""Kinds that end before there is a number: nobody misses the plots."""


def _numbers(material: Material) -> str:
    found = numbers(material)
    if found is None and material.finding.kind in NUMBERLESS:
        return ""
    if found is None:
        why = "no runtime gave numbers, or none were kept"
        if any(f"_{runtime}_" in name for name in material.tensors for runtime in RUNTIMES):
            why = "the numbers that were kept cannot be held against TensorFlow's (another shape, or codes of no scale)"
        return f'<p class="dim">Nothing to draw: {why}.</p>'
    return "".join(_drawn(material, found))


def _drawn(material: Material, found: Numbers) -> Iterator[str]:
    guilty = material.verdict.runtimes if material.verdict is not None else ()
    yield (
        f"<p>Output {found.output} of {markup(found.runtime)} beside TensorFlow's, sample {found.sample}: "
        f"{found.errors.size:,} element{'s' * (found.errors.size != 1)}, {int((found.errors > 0).sum()):,} differ.</p>"
    )
    if guilty and "converter" not in guilty and found.runtime not in guilty:
        missing = markup(", ".join(guilty))
        yield f'<p class="note">The numbers of {missing} were not kept: these are of another runtime.</p>'
    if not found.errors.any():
        yield '<p class="dim">All elements are equal: the fault shows elsewhere (see above).</p>'
        return
    if not np.iscomplexobj(found.expected):
        plots = (
            ("Expected against actual. On the line they are equal.", scatter),
            ("Error by element.", lambda e, a, errors, wrong: by_element(errors, wrong)),
        )
        drawn = (figure(c, d(found.expected, found.actual, found.errors, found.wrong)) for c, d in plots)
        yield f'<div class="pair">{"".join(drawn)}</div>'
        yield '<p class="dim">Red: the element that was judged, and those at least as far off. NaN and infinity lie at '
        yield "the edge.</p>"
    order = np.argsort(-np.nan_to_num(found.errors, posinf=np.finfo(np.float64).max), kind="stable")[:WORST_ROWS]
    rows = [
        (
            f"({', '.join(map(str, map(int, np.unravel_index(int(i), found.shape))))})",
            f"{found.expected[i]:.9g}",
            f"{found.actual[i]:.9g}",
            f"{found.errors[i]:.4g}",
        )
        for i in order
        if found.errors[i] > 0
    ]
    yield table(("element", "#expected", "#actual", "#error"), rows)
