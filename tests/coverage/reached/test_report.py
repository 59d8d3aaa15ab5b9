"""Counting what a corpus reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzzer.campaign.corpus import FEATURES, Line
from fuzzer.coverage.reached.build import build
from fuzzer.coverage.reached.evidence import read, read_lines
from fuzzer.coverage.reached.report import BLOCKS, PAUSE_S, Report, Tally, clock_of
from fuzzer.coverage.space import SCOPES
from fuzzer.errors import UserError
from fuzzer.ops import registry
from tests.coverage.reached import corpora


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return report_of(corpora.usual(tmp_path)[0])


def report_of(corpus: Path) -> Report:
    return build(read(corpus, corpus / ".state" / corpora.BLOCKS_FILE), registry())


def test_scopes(report: Report) -> None:
    rows = {row.scope: row.tally for row in report.scopes}
    assert set(rows) == set(corpora.LIBRARIES) <= set(SCOPES)
    # Of the converter: the pass (4 blocks, one of them indirect), a destructor and a verifier (1 each).
    assert rows["converter"] == Tally(10, 3, 23, 6, 7, 1) and rows["converter"].plain == (5, 16)
    assert rows["runtime"] == Tally(7, 1, 20, 6, 6, 1)


def test_groups(report: Report) -> None:
    groups = {group.name: group for group in report.groups}
    conv = groups["tflite::ops::builtin::conv"]
    assert (conv.kind, conv.tally.missing, conv.missing) == ("kernel", 0, ())
    assert groups["tflite::ops::builtin::svdf"].missing == ("tflite::ops::builtin::svdf::Eval",)
    legalize = groups["mlir::TFL::LegalizeTFPass"]
    assert (legalize.kind, legalize.run, legalize.patterns, legalize.patterns_tried) == ("pass", True, 3, 0)
    assert groups["mlir::TFL::DenseToSparsePass"].run is False
    assert groups["mlir::TFL::AddOp"].tally == Tally(2, 1, 3, 1, 1, 0)
    missing = [group.tally.missing for group in report.groups]
    assert missing == sorted(missing, reverse=True)
    assert sum((group.tally for group in report.groups), Tally()) == sum((row.tally for row in report.scopes), Tally())


def test_a_pattern_that_was_only_destroyed_was_never_tried(report: Report) -> None:
    tried = {pattern.name: pattern.tried for pattern in report.patterns}
    assert tried == {"LegalizeBucketize": False, "LegalizeSigmoidGrad": False, "LegalizeAbs": False}
    assert next(p for p in report.patterns if p.name == "LegalizeAbs").tally.functions_reached == 1


def test_what_was_never_reached_and_what_leads_there(report: Report) -> None:
    found = {item.name: item for item in report.unreached}
    assert set(found) == {
        *("tflite::ops::builtin::bucketize", "tflite::ops::builtin::svdf", "MaxPool2D", "mlir::TFL::DenseToSparsePass"),
        *("LegalizeBucketize", "LegalizeSigmoidGrad", "LegalizeAbs"),
    }
    bucketize = found["tflite::ops::builtin::bucketize"]
    assert (bucketize.kind, bucketize.ops, bucketize.owner, bucketize.blocks) == (
        "kernel",
        ("bucketize",),
        "runtime",
        4,
    )
    assert bucketize.open and bucketize.seen, "the corpus has a flatbuffer with it"
    assert not found["tflite::ops::builtin::svdf"].open and not found["tflite::ops::builtin::svdf"].seen
    assert "max_pool" in found["MaxPool2D"].ops
    assert "sparsity" in found["mlir::TFL::DenseToSparsePass"].needs
    assert found["LegalizeAbs"].ops[0] == "abs" and found["LegalizeAbs"].owner == "mlir::TFL::LegalizeTFPass"
    assert found["LegalizeSigmoidGrad"].needs == "no op of ours makes SigmoidGrad"


def test_growth_cuts_pauses_out_and_counts_each_block_once(report: Report) -> None:
    # Lines at 0, 30 and 60 s, and one an hour later: that hour is a pause.
    assert [point.seconds for point in report.growth] == [0, 30, 60, 60]
    assert [point.blocks for point in report.growth] == [
        {"converter": 4, "runtime": 0},
        {"converter": 4, "runtime": 6},
        {"converter": 6, "runtime": 6},
        {"converter": 6, "runtime": 6},
    ]
    assert [point.features for point in report.growth] == [2, 3, 3, 4]
    assert [point.entries for point in report.growth] == [1, 2, 2, 3]
    assert report.seconds == 60 and report.entries == 3 and report.died == 1


def test_families_count_who_was_first(report: Report) -> None:
    families = {family.name: family for family in report.families}
    assert (families["op"].count, families["op"].entries) == (1, 1), "the second entry with it brought nothing"
    assert (families["flat"].count, families["flat"].entries, families["flat"].share) == (2, 2, 0.6667)
    assert families["qat"].count == 0, "families that brought nothing are named too"
    # Blocks of the two entries; the killer's count, but it is no entry, and the last line repeats the first.
    assert (families[BLOCKS].count, families[BLOCKS].entries) == (12, 2)


def test_pauses() -> None:
    at = [0.0, PAUSE_S, 2 * PAUSE_S + 1, 2 * PAUSE_S + 2]
    lines = [Line(str(i), [], at=time) for i, time in enumerate(at)]
    assert clock_of(lines) == [0, PAUSE_S, PAUSE_S, PAUSE_S + 1]
    assert clock_of([Line("old", []), *lines]) == [0, 0, PAUSE_S, PAUSE_S, PAUSE_S + 1]


# --- bad input ------------------------------------------------------------------------------------------


def test_no_corpus_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no corpus in .*nowhere.*--corpus DIR"):
        read_lines(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no features\.jsonl"):
        read_lines(tmp_path)
    (tmp_path / FEATURES).write_bytes(b"")
    with pytest.raises(UserError, match="holds nothing and no case"):
        read_lines(tmp_path)
    (tmp_path / FEATURES).write_bytes(b"{}\n[]\n")
    with pytest.raises(UserError, match="holds 2 damaged lines and no case"):
        read_lines(tmp_path)


def test_damaged_lines_are_counted_and_one_that_is_being_written_is_not_there(tmp_path: Path) -> None:
    good = Line("a", ["op:x"], at=1.0).to_bytes()
    (tmp_path / FEATURES).write_bytes(good + b'{"case": 3}\n' + b"\xff\xfe\n" + good[:-9])
    lines, problems = read_lines(tmp_path)
    assert [line.case for line in lines] == ["a"]
    assert problems == [f"2 damaged lines of {tmp_path / FEATURES} left out"]


def test_without_blocks_there_are_features_alone(tmp_path: Path) -> None:
    corpora.write(tmp_path / "corpus", [Line("a", ["op:conv2d/float32"])], None)
    report = report_of(tmp_path / "corpus")
    assert report.scopes == report.groups == report.unreached == ()
    assert [family.name for family in report.families if family.count] == ["op"]
    assert report.undated == 1 and len(report.problems) == 1 and "features alone" in report.problems[0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"libraries": 3}', '{"libraries": [{"scope": "x"}]}'])
def test_a_damaged_list_of_libraries(tmp_path: Path, text: str) -> None:
    corpus, _ = corpora.usual(tmp_path)
    (corpus / ".state" / corpora.BLOCKS_FILE).write_text(text)
    report = report_of(corpus)
    assert report.scopes == () and "is damaged" in report.problems[0] and len(report.problems) == 1


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda raw: raw[:-1], "damaged"),
        (lambda raw: b"", "no block table"),
        (None, "No such file"),
    ],
)
def test_a_table_that_cannot_be_read_leaves_the_others(tmp_path: Path, damage: object, says: str) -> None:
    corpus, where = corpora.usual(tmp_path)
    path = Path(where.libraries[0].table)
    if damage is None:
        path.unlink()
    else:
        assert callable(damage)
        path.write_bytes(damage(path.read_bytes()))
    report = report_of(corpus)
    assert [row.scope for row in report.scopes] == ["runtime"]
    assert len(report.problems) == 1 and says in report.problems[0] and "converter" in report.problems[0]


def test_a_table_of_another_release(tmp_path: Path) -> None:
    corpus, where = corpora.usual(tmp_path)
    other = Path(where.libraries[1].table)
    Path(where.libraries[0].table).write_bytes(other.read_bytes())
    report = report_of(corpus)
    assert [row.scope for row in report.scopes] == ["runtime"] and "another release" in report.problems[0]


def test_blocks_of_libraries_that_are_gone_are_left_out(tmp_path: Path) -> None:
    where = corpora.space(tmp_path)
    mixed = {"0" * 16: "AAAA", **corpora.pack(where, "runtime", "svdf")}
    corpora.write(tmp_path / "corpus", [Line("a", [], mixed, 1.0), Line("b", [], {"0" * 16: "AA=="}, 2.0)], where)
    report = report_of(tmp_path / "corpus")
    assert report.problems == ("2 lines hold blocks of another release's libraries: those are left out",)
    assert sum(row.tally.blocks_reached for row in report.scopes) == 3


def test_numbers_that_no_table_has_are_left_out(tmp_path: Path) -> None:
    where = corpora.space(tmp_path)
    digest = where.libraries[0].digest
    corpora.write(tmp_path / "corpus", [Line("a", [], {digest: "AP//fw=="}, 1.0)], where)
    assert [row.tally.blocks_reached for row in report_of(tmp_path / "corpus").scopes] == [1, 0]
