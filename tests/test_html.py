"""What pages are made of: text is escaped, markup is not."""

from __future__ import annotations

from fuzzer.html import Html, document, figure, folded, folded_table, table


def test_text_is_escaped_and_markup_is_not() -> None:
    assert "<td>&lt;b&gt;</td><td><b>x</b></td>" in table(("a", "b", "c"), [("n", "<b>", Html("<b>x</b>"))])
    assert "<summary>&lt;</summary><p>" in folded("<", "<p>") and "&quot;" in figure('"', "")
    page = document("<t>", "<l>", [("<s>", "<p>kept</p>")], ["<n>"])
    assert "<p>kept</p>" in page and page.count("&lt;t&gt;") == 2
    for raw in ("<t>", "<l>", "<s>", "<n>"):
        assert raw not in page


def test_a_long_table_is_folded_and_its_amber_rows_stay_amber() -> None:
    rows = [(str(i), "x") for i in range(20)]
    html = folded_table(("name", "#n"), rows, dark={1, 17}, open_rows=15)
    assert "5 more" in html and html.count("<thead>") == 2 and html.count("<tr class=none>") == 2
    assert '<td class="name">17</td>' in html.partition("<details>")[2]
    assert "<details>" not in folded_table(("name",), [("x",)])
