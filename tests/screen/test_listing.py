from __future__ import annotations

from dataclasses import replace

import pytest

from fuzzer.findings.finding import Finding
from fuzzer.screen.demo_data import HOSTILE, NOW, demo_findings
from fuzzer.screen.listing import SORTS, View, caption, columns, row

FINDINGS = demo_findings(30)


def test_sorts() -> None:
    def order(sort: str) -> list[Finding]:
        return View(sort=sort).pick(FINDINGS)

    assert [f.kind for f in order("severity")[:6]] == ["crash"] * 6
    assert order("count")[0].count == max(f.count for f in FINDINGS)
    assert order("newest")[0].first_seen == max(f.first_seen for f in FINDINGS)
    assert order("title")[0].title == min(f.title for f in FINDINGS)
    assert all(len(order(sort)) == 30 for sort in SORTS)


def test_filters_cycle_through_what_is_there_and_back() -> None:
    view, states, kinds = View(), [], []
    while (view := view.next_state(FINDINGS)).state:
        states.append(view.state)
        assert {f.state for f in view.pick(FINDINGS)} == {view.state}
    assert states == ["new", "known", "reported", "fixed"]
    while (view := view.next_kind(FINDINGS)).kind:
        kinds.append(view.kind)
    assert set(kinds) == {f.kind for f in FINDINGS}
    assert view == View()
    assert View(state="gone").next_state(FINDINGS) == View()
    assert View().next_kind([]) == View()


@pytest.mark.parametrize("words", ["depthwiseconv segfault", "SEGFAULT invoke", FINDINGS[1].id, "depthwise_conv2d"])
def test_search_finds_all_words_anywhere(words: str) -> None:
    assert FINDINGS[1] in View(search=words).pick(FINDINGS)
    assert not View(search=words + " nowhere").pick(FINDINGS)


@pytest.mark.parametrize("width", [1, 20, 60, 80, 120])
def test_rows_are_exactly_as_wide_as_the_list(width: int) -> None:
    odd = replace(FINDINGS[0], title=HOSTILE * 40, kind=HOSTILE, state="?" * 40, first_seen="", severity=float("nan"))
    for finding in (*FINDINGS, odd):
        for selected in (True, False):
            text = row(finding, width, NOW, selected)
            assert text.cell_len == width
            assert text.plain.isprintable()
    assert columns(width).cell_len <= width
    assert caption(View(search=HOSTILE, kind="crash"), 3, FINDINGS, width).cell_len <= width


def test_columns_stand_above_their_values() -> None:
    for width, reported in ((80, "filed"), (120, "reported")):
        head, line = columns(width).plain, row(FINDINGS[3], width, NOW, False).plain
        for name, value in (("kind", "value"), ("state", reported), ("title", "compare value")):
            assert head.index(name) == line.index(value)


def test_80_columns_leave_half_of_them_for_the_title() -> None:
    assert columns(80).plain.index("title") <= 40
    torn = replace(FINDINGS[0], state="new", reproduced=2, repeats=3, first_seen="2020-01-01", last_seen="2025-01-01")
    assert " 2/3    6y  62w " in row(torn, 80, NOW, False).plain
    assert " new 2/3 " in row(torn, 120, NOW, False).plain


def test_a_new_finding_that_no_longer_shows_asks_for_a_decision() -> None:
    gone = replace(FINDINGS[0], state="new", replayed="gone")
    for width in (80, 120):
        assert " gone? " in row(gone, width, NOW, False).plain
        assert "gone?" not in row(replace(gone, state="fixed"), width, NOW, False).plain


def test_the_caption_fits_80_columns_with_every_filter() -> None:
    off = {f.id: "known" for f in FINDINGS[:11]}
    for hidden in (False, True):
        said = caption(View(state="reported", kind="converter-error", hidden=hidden), 12, FINDINGS, 80, off).plain
        assert "hidden" in said and not said.endswith("…"), said
