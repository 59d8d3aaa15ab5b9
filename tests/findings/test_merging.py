"""Two titles of one defect are one finding, and two defects are two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fuzzer.case import Case, Conversion
from fuzzer.errors import UserError
from fuzzer.examine.ledger import Ledger
from fuzzer.findings import Finding, FindingStore, State
from fuzzer.findings.merging import as_sample_of, cause_of, twin_of
from fuzzer.findings.store import ALTERNATIVES, MAX_ALTERNATIVES
from fuzzer.findings.titles import finding_id, folder_name, title_of
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.death import FRAME
from fuzzer.oracles.verdict import UNSTEADY
from tests.findings.samples import fill, finding
from tests.strategies import drawn_case

CASE: Case = replace(drawn_case(1, 0), conversion=Conversion())
OTHER: Case = replace(drawn_case(2, 0), conversion=Conversion())
INT8 = replace(CASE, conversion=Conversion(scheme="int8").repaired())


def error(kind: Kind, stage: Stage, message: str, raw: str = "", blame: str = "") -> Verdict:
    return Verdict(stage, kind, message, "litert", 1.0, "error", blame, {"message": raw})


def told(verdict: Verdict, case: Case) -> Finding:
    title = title_of(verdict, case)
    id_, path = finding_id(title), folder_name(title, finding_id(title))
    return finding(title, id=id_, path=path, kind=verdict.kind.value, cause=cause_of(verdict, case), key=title)


def same(one: tuple[Verdict, Case], other: tuple[Verdict, Case]) -> bool:
    first, second = told(*one), told(*other)
    assert first.title != second.title, "the title says it already"
    return twin_of(second, [first]) is first


ZERO_POINT = "dequantize.cc op_context.input->params.zero_point != N (N != N) [DEQUANTIZE]"
RAW = "tensorflow/lite/kernels/dequantize.cc:68 op_context.input->params.zero_point != 0 (-3 != 0)Node number 1"


def test_a_check_of_a_kernel_is_one_defect_in_every_stage_that_prepares_it() -> None:
    allocate = error(Kind.ALLOCATE_ERROR, Stage.ALLOCATE, ZERO_POINT, RAW, "DEQUANTIZE (int16)")
    invoke = error(Kind.INVOKE_ERROR, Stage.INVOKE, ZERO_POINT, RAW, "DEQUANTIZE (int16)")
    convert = error(Kind.CONVERTER_ERROR, Stage.CONVERT, f"RuntimeError: {ZERO_POINT}", RAW)
    assert same((allocate, CASE), (invoke, CASE)) and same((allocate, CASE), (convert, INT8))
    moved = replace(invoke, evidence={"message": RAW.replace(":68 ", ":71 ")})
    assert not same((allocate, CASE), (moved, CASE)), "another line is another check"


def test_a_check_in_a_file_of_several_operators_is_one_check() -> None:
    raw = "tensorflow/lite/kernels/comparisons.cc:59 input1->type != input2->type (INT16 != FLOAT32)Node"
    one = "comparisons.cc input1->type != input2->type (INT16 != FLOAT32) [{}]"
    less = error(Kind.ALLOCATE_ERROR, Stage.ALLOCATE, one.format("LESS"), raw, "LESS (int16)")
    greater = error(Kind.ALLOCATE_ERROR, Stage.ALLOCATE, one.format("GREATER"), raw, "GREATER (int16)")
    other = replace(greater, message=greater.message.replace("INT16", "UINT8"), blame="GREATER (uint8)")
    assert same((less, CASE), (greater, OTHER)) and not same((less, CASE), (other, OTHER))


def test_a_type_that_is_on_no_list_is_the_defect() -> None:
    raw = "tensorflow/lite/kernels/floor.cc:40 input->type == kTfLiteFloat32 || input->type == kTfLiteInt8 was not true"
    message = "floor.cc input->type is an unlisted type [FLOOR]"
    uint8, int16 = (
        error(Kind.ALLOCATE_ERROR, Stage.ALLOCATE, message, raw, f"FLOOR ({t})") for t in ("uint8", "int16")
    )
    assert not same((uint8, CASE), (int16, CASE))
    unnamed = error(Kind.CONVERTER_ERROR, Stage.CONVERT, f"RuntimeError: {message}", raw)
    assert not same((uint8, CASE), (unnamed, CASE)), "nobody knows which type it was"
    assert cause_of(replace(uint8, blame=""), CASE) == ""


def test_a_statement_of_the_verifier_is_the_same_under_every_scheme() -> None:
    verifier = error(Kind.CONVERTER_ERROR, Stage.CONVERT, "ConverterError: 'tfl.prelu' op failed to verify that x is y")
    assert same((verifier, CASE), (verifier, INT8)) and same((verifier, INT8), (verifier, OTHER))
    plain = error(Kind.CONVERTER_ERROR, Stage.CONVERT, "RuntimeError: Quantized dimension and parameters do not match")
    other = replace(OTHER, conversion=INT8.conversion)
    assert same((plain, CASE), (plain, INT8)) and not same((plain, CASE), (plain, other)), "it names no op: ours tell"
    switched = replace(CASE, conversion=Conversion(switches={"unfold_batchmatmul": True}))
    assert cause_of(plain, switched) == "", "a switch that is left is needed"


def test_a_death_without_a_name_is_known_by_the_ops_that_are_left_and_by_who_died() -> None:
    died = Verdict(Stage.INVOKE, Kind.CRASH, "SIGSEGV", "tf-reference", 11.0, "signal")
    assert same((died, CASE), (died, INT8))
    assert not same((died, CASE), (died, OTHER)) and not same((died, CASE), (replace(died, runtime="litert"), INT8))
    named = replace(died, message="SIGSEGV in f", evidence={FRAME: "f"})
    assert cause_of(named, CASE) == cause_of(replace(died, blame="FLOOR"), CASE) == "", "the title is the cause"


def test_an_operator_that_reads_what_nobody_wrote_is_one_defect_however_it_shows() -> None:
    def unsteady(kind: Kind, message: str) -> Verdict:
        return Verdict(Stage.COMPARE, kind, f"{message}: {UNSTEADY}", "litert", 1.0, "elements", "MUL")

    value, fresh = unsteady(Kind.VALUE, "MUL (uint8)"), unsteady(Kind.METAMORPHIC, "litert MUL (uint8)")
    assert same((value, CASE), (fresh, OTHER))
    assert same((fresh, CASE), (unsteady(Kind.METAMORPHIC, "optimised+reference MUL (uint8)"), OTHER))
    assert not same((value, CASE), (unsteady(Kind.METAMORPHIC, "litert MUL (int8)"), CASE))
    assert not same((value, CASE), (unsteady(Kind.METAMORPHIC, "litert SUM (uint8)"), CASE))
    assert cause_of(replace(value, message="litert MUL (uint8): wrong values"), CASE) == ""


def test_numbers_that_were_the_same_before_minimising_are_the_same_after_it() -> None:
    """A kernel that reads what nobody wrote shows other runtimes in every process."""
    first = finding("value in compare: every kernel of BATCH_MATMUL", ops=("batch_matmul",), key="k")
    again = finding("value in compare: litert BATCH_MATMUL", ops=("batch_matmul",), key="k")
    assert twin_of(again, [first]) is first
    assert twin_of(replace(again, ops=("batch_matmul", "add")), [first]) is None
    assert twin_of(replace(again, key="other"), [first]) is None
    assert twin_of(replace(again, kind="metamorphic"), [first]) is None
    errors = [replace(f, kind="allocate-error") for f in (first, again)]
    assert twin_of(errors[1], errors[:1]) is None, "two errors of one key are told apart by their titles"


def test_two_rewrites_of_the_converter_are_two_defects() -> None:
    """All that the converter changes says the same words until its rewrite is named."""
    words = "the flatbuffer computes another function than the model: the converter changed it"
    plain = {"ops": ("dense",), "key": f"value|compare|{words}|float32", "blame": "converter"}
    fused, folded = (finding(f"value in compare: {m}", message=m, **plain) for m in ("mul fused", "add folded"))
    unnamed = finding("value in compare: unnamed (dense, float32)", message=words, **plain)
    assert twin_of(folded, [fused]) is None
    assert twin_of(unnamed, [fused]) is fused, "the rewrite was not found this time"
    assert twin_of(replace(fused, id="switched", title="another switch"), [fused]) is fused


def test_what_has_no_cause_is_merged_with_nothing() -> None:
    assert twin_of(finding("one", cause="", key=""), [finding("two", cause="", key="")]) is None


def test_the_first_title_keeps_its_id_and_the_others_lead_to_it(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, create=True)
    first, second = finding("first", cause="c"), finding("second", cause="c", key="k2")
    store.add(first, fill("first"))
    store.add_alternative(first, second, fill("second"))
    store.seen(first.id, "case", "2026-01-03T00:00:00+00:00")
    for reader in (store, FindingStore(tmp_path)):
        (only,) = reader.findings()
        assert (only.id, only.title, only.alternatives) == (first.id, "first", ("second",))
        assert only.count == 2 and only.other_keys == ("k2",) and only.other_causes == ()
        assert reader.get(second.id[:8]) == only == reader.at(second.id) == reader.get(first.id)
    assert (tmp_path / ALTERNATIVES / second.path / "case.json").read_text() == "second"
    assert (store.files(second.id) / "case.json").read_text() == "first"
    store.mark(second.id, State.REPORTED)
    assert store.get(first.id).state == "reported"


def test_a_smaller_sample_of_another_title_is_shown_under_the_first(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, create=True)
    first, second = finding("first", cause="c", nodes=3), finding("second", cause="c", nodes=1, key="k2")
    store.add(first, fill("first"))
    store.add_alternative(first, second, fill("second"))
    store.add(as_sample_of(store.get(first.id), second), fill("second"))
    (only,) = FindingStore(tmp_path).findings()
    assert (only.title, only.nodes, only.count, only.path) == ("first", 1, 2, first.path)
    assert only.key == first.key and only.alternatives == ("second",) and only.other_keys == ("k2",)
    assert (store.files(first.id) / "case.json").read_text() == "second"


def test_titles_are_all_kept_and_samples_of_a_few(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, create=True)
    store.add(finding("first"), fill())
    for i in range(MAX_ALTERNATIVES + 3):
        store.add_alternative(store.get(finding("first").id), finding(f"title {i}"), fill())
    (only,) = FindingStore(tmp_path).findings()
    assert len(only.alternatives) == MAX_ALTERNATIVES + 3
    assert len(list((tmp_path / ALTERNATIVES).iterdir())) == MAX_ALTERNATIVES


def test_an_id_that_leads_to_two_findings_is_refused(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, create=True)
    one, two = finding("one"), finding("two")
    for each in (one, two):
        store.add(each, fill())
    store.add_alternative(one, finding("shared"), fill())
    store.add_alternative(two, finding("shared"), fill())
    with pytest.raises(UserError, match="beginning of 2 ids"):
        store.get(finding("shared").id)


def test_the_ledger_knows_a_finding_by_its_other_titles_and_keys() -> None:
    first, second = finding("first", cause="c", key="k1"), finding("second", cause="c", key="k2")
    ledger = Ledger([first.merged(second)])
    found = ledger.finding(second.id)
    assert found is not None and found.id == first.id
    twin = ledger.twin(finding("third", cause="c", key="k3"))
    assert twin is not None and twin.id == first.id
    assert ledger.twin(finding("fourth", cause="d")) is None


def test_merging_twice_changes_nothing() -> None:
    first, second = finding("first", cause="c", key="k1"), finding("second", cause="d", key="k2")
    once = first.merged(second)
    assert once.merged(second) == once == once.merged(first)
