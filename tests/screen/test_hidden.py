"""What is off the main lists: every screen leaves it out, says how many there are, and shows them when asked."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from textual.pilot import Pilot

from fuzzer.campaign.snapshot import Snapshot, TitleLine
from fuzzer.campaign.statistics import Statistics
from fuzzer.findings.finding import Finding
from fuzzer.findings.hiding import KNOWN, PROPAGATION, Hider
from fuzzer.screen.demo_data import NOW, DemoSource, demo_findings, demo_snapshot
from fuzzer.screen.detail import page
from fuzzer.screen.listing import View, caption, columns, row
from fuzzer.screen.live import plain_line, summary
from tests.screen.test_live import draw
from tests.screen.test_triage import drive, listed, press, screen

VERSIONS = "tensorflow 2.21.0, ai-edge-litert 2.3.0, python 3.11.7"
SHOWN, PROPAGATED, FILED = demo_findings(3)
PROPAGATED = replace(PROPAGATED, kind="nan-propagation", title="nan: RELU", special_operands=True, unit="elements")
FILED = replace(
    FILED, kind="value", title="value: softplus", ops=("softplus",), blame="converter", severity=2e6, unit="x bound",
    ulp=8.4e6, versions=VERSIONS,
)  # fmt: skip
FINDINGS = [SHOWN, PROPAGATED, FILED]
HIDING = {f.id: hidden.why for f in FINDINGS if (hidden := Hider()(f))}
BOTH = "2 titles are hidden ({}): 1 known behaviour, 1 nan-propagation"


def snapshot(findings: list[Finding] = FINDINGS, new: bool = True) -> Snapshot:
    ids = {f.id for f in findings} if new else set()
    return replace(Statistics().snapshot(10.0, findings, ids), crashes_dir="crashes", state="finished")


def test_statistics_say_what_is_hidden_and_why() -> None:
    found = {t.id: t.hidden for t in snapshot().titles}
    assert found == {SHOWN.id: "", PROPAGATED.id: PROPAGATION, FILED.id: KNOWN}
    assert [t.id for t in snapshot().listed] == [SHOWN.id]
    assert Snapshot.from_json(snapshot().to_json()) == snapshot()
    old = snapshot().to_json()
    for title in old["titles"]:
        del title["hidden"], title["ulp"]
    assert {t.hidden for t in Snapshot.from_json(old).titles} == {""}


def test_the_account_leaves_them_out_and_says_so() -> None:
    text = summary(snapshot())
    assert SHOWN.title in text and "nan: RELU" not in text and "value: softplus" not in text
    assert BOTH.format("python -m fuzzer status --hidden shows them") in text
    assert "1 new finding" in text.splitlines()[0] and "findings: 1 in crashes, 1 new" in text
    assert "findings=1" in plain_line(snapshot())


def test_the_account_lists_them_when_asked() -> None:
    text = summary(snapshot(), hidden=True)
    assert text.index(SHOWN.title) < text.index("hidden: known behaviour") < text.index("value: softplus")
    assert text.index("hidden: nan-propagation") < text.index("nan: RELU")
    assert "2.0e6x bound" in text and "8.4e6 ulp" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 48)])
def test_the_live_screen_leaves_them_out_and_says_so(width: int, height: int) -> None:
    lines = draw(snapshot(), width, height)
    assert any(SHOWN.title[:20] in line for line in lines) and not any("nan: RELU" in line for line in lines)
    assert any("2 titles are hidden (python -m fuzzer status --hidden" in line for line in lines)
    assert any(line.startswith("findings 1, 1 first seen") for line in lines)


def test_the_live_screen_with_nothing_but_hidden_titles() -> None:
    lines = draw(snapshot([PROPAGATED]))
    assert any("none yet" in line for line in lines) and any("1 title is hidden (" in line for line in lines)


def test_the_line_survives_a_full_screen() -> None:
    base = demo_snapshot()
    hidden = TitleLine("x", "nan", "nan-propagation", 1.0, "elements", 1, "", True, PROPAGATION)
    lines = draw(replace(base, titles=(*base.titles * 10, hidden)))
    assert any("1 title is hidden (" in line for line in lines)
    assert any("more: python -m fuzzer triage" in line for line in lines)


def test_the_list_hides_and_shows() -> None:
    assert View().pick(FINDINGS, HIDING) == [SHOWN]
    shown = View().with_hidden().pick(FINDINGS, HIDING)
    assert shown[0] == SHOWN and set(shown) == set(FINDINGS)
    assert View().with_hidden().with_hidden() == View()
    assert View(hidden=True, search="x").cleared() == View(hidden=True)
    text = caption(View(), 1, FINDINGS, 120, HIDING).plain
    assert text.startswith("1 finding by severity") and BOTH.format("h shows them") in text
    assert caption(View(hidden=True), 3, FINDINGS, 120, HIDING).plain.startswith("3 findings")


def test_rows_of_hidden_findings_say_why_and_wide_ones_show_ulp() -> None:
    text = row(FILED, 140, NOW, False, KNOWN).plain
    assert "[known] softplus" in text
    head = columns(140).plain
    assert "ulp" in head and text.index("8.4e6") + len("8.4e6") == head.index("ulp") + len("ulp")
    assert "ulp" not in columns(80).plain and "8.4e6" not in row(FILED, 80, NOW, False).plain


def rendered(finding: Finding, folder: Path) -> str:
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(page("difference", finding, folder, NOW, Hider()(finding)))
    return console.export_text()


def test_the_detail_says_why_with_reason_and_link(tmp_path: Path) -> None:
    text = rendered(FILED, tmp_path)
    assert "Off the main list: known behaviour (softplus-overflow, version 1 of " in text
    assert "https://github.com/tensorflow/tensorflow/issues/60892" in text and "LOG(EXP(x) + 1)" in text
    assert "2.0e6x bound, 8.4e6 ulp" in text
    assert "Off the main list: nan-propagation" in rendered(PROPAGATED, tmp_path)
    assert "Off the main list" not in rendered(SHOWN, tmp_path)


class Source(DemoSource):
    """The demo, with two findings that are off the main list."""

    def findings(self) -> list[Finding]:
        return FINDINGS


def test_the_key_on_the_triage_screen(tmp_path: Path) -> None:
    async def steps(pilot: Pilot[None], source: DemoSource) -> None:
        assert [f.id for f in listed(pilot).rows] == [SHOWN.id]
        assert "2 hidden (h shows them)" in screen(pilot)
        await press(pilot, "h")
        assert len(listed(pilot).rows) == 3 and "[nan] nan: RELU" in screen(pilot)
        await press(pilot, "h")
        assert [f.id for f in listed(pilot).rows] == [SHOWN.id]

    drive(Source(tmp_path), steps, (160, 48))
