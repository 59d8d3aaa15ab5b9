"""What every page of ours is made of: one style sheet, tables, folded parts. No network, no script, readable in print.

Text becomes markup here and nowhere else: whatever is not an `Html` is escaped, so a hostile name stays a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

OPEN_ROWS = 15
"""Rows of a long table that are open; the rest is folded up."""
STYLE = """
:root { color-scheme: light }
body { font: 15px/1.45 system-ui, sans-serif; color: #1f2937; background: #fff; margin: 2rem auto; max-width: 62rem;
       padding: 0 1.2rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid #e5e7eb; padding-bottom: .25rem }
p { margin: .3rem 0; overflow-wrap: anywhere } .dim { color: #6b7280 }
nav { margin: 1rem 0; line-height: 1.9 } nav a { margin-right: 1rem; white-space: nowrap }
a { color: #1f6feb; text-decoration: none } a:hover { text-decoration: underline }
table { border-collapse: collapse; width: 100%; font-size: .88rem; table-layout: auto }
th { text-align: left; font-weight: 600; border-bottom: 2px solid #e5e7eb; position: sticky; top: 0; background: #fff }
td, th { padding: .22rem .8rem .22rem 0; vertical-align: top } td { border-bottom: 1px solid #f3f4f6 }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.name { font-family: ui-monospace, monospace; font-size: .95em; overflow-wrap: break-word }
tr.none td.name { color: #b45309 }
.bar { display: inline-block; width: 5rem; height: .6rem; background: #e5e7eb; margin-left: .5rem; border-radius: 2px }
.bar i { display: block; height: 100%; background: #1f6feb; border-radius: 2px }
summary { cursor: pointer; color: #1f6feb; margin: .4rem 0 } svg { width: 100%; height: auto }
.note { background: #fffbeb; border-left: 3px solid #f59e0b; padding: .35rem .8rem; margin: .4rem 0 }
@media print { details > * { display: block } nav { display: none } }
"""


class Html(str):
    """Text that is markup already."""


def markup(text: str) -> str:
    """`text` as markup: escaped, unless it is markup already."""
    return text if isinstance(text, Html) else escape(text)


def document(
    title: str, lead: str, sections: Sequence[tuple[str, str]], notes: Iterable[str] = (), style: str = ""
) -> str:
    """A whole page: a heading, a line below it, notes, links to the sections, and the sections (markup).

    `title`, `lead`, the sections' titles and `notes` are plain text (or `Html`); `style` comes after the common one.
    """
    links = " ".join(f'<a href="#s{i}">{markup(name)}</a>' for i, (name, _) in enumerate(sections))
    body = "".join(f'<h2 id="s{i}">{markup(name)}</h2>{html}' for i, (name, html) in enumerate(sections))
    said = "".join(f'<p class="note">{markup(note)}</p>' for note in notes)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{markup(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{style}</style></head><body><h1>{markup(title)}</h1>"
        f'<p class="dim">{markup(lead)}</p>{said}<nav>{links}</nav>{body}</body></html>\n'
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], dark: Iterable[int] = ()) -> Html:
    """A table; the titles of columns of numbers begin with a #, the first column is a name. `dark` rows are amber."""
    dark = set(dark)
    kinds = ["n" if title.startswith("#") else "name" if i == 0 else "" for i, title in enumerate(head)]
    marked = [f' class="{kind}"' if kind else "" for kind in kinds]
    titles = "".join(f"<th{m}>{escape(t.removeprefix('#'))}</th>" for t, m in zip(head, marked, strict=True))
    lines = []
    for i, row in enumerate(rows):
        inner = "".join(f"<td{m}>{markup(cell)}</td>" for m, cell in zip(marked, row, strict=True))
        lines.append(f"<tr{' class=none' if i in dark else ''}>{inner}</tr>")
    return Html(f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>")


def folded_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], dark: Iterable[int] = (), open_rows: int = OPEN_ROWS
) -> Html:
    """A table whose first rows are open."""
    dark = set(dark)
    shown = table(head, rows[:open_rows], {i for i in dark if i < open_rows})
    if len(rows) <= open_rows:
        return shown
    rest = table(head, rows[open_rows:], {i - open_rows for i in dark if i >= open_rows})
    return Html(f"{shown}<details><summary>{len(rows) - open_rows:,} more</summary>{rest}</details>")


def folded(summary: str, inner: str) -> Html:
    """A part that opens on a click. `inner` is markup."""
    return Html(f"<details><summary>{markup(summary)}</summary>{inner}</details>")


def figure(caption: str, inner: str) -> Html:
    """A picture (markup) with a line above it."""
    return Html(f"<figure><figcaption>{markup(caption)}</figcaption>{inner}</figure>")
