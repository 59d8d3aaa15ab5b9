"""The measurement of reduction and titles: its table, its cases, its figures, and two defects from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from fuzzer.case import Case, Conversion, Inference, Model, Node, Recipe, to_json
from fuzzer.case.codec import from_json
from fuzzer.examine.saving import Sample
from fuzzer.execute import Death, Executor, Limits, Reply, Zygote
from fuzzer.findings import FindingStore
from fuzzer.findings.inbox import Suspicion
from fuzzer.mutate.draw import WILD
from fuzzer.ops import TensorType, registry
from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.oracles.death import judge_death
from scripts.defects import DEFECTS
from scripts.defects.planted import PLANTED
from scripts.defects.table import by_name
from scripts.reduction import figures, finished, trials
from scripts.reduction.figures import confusions
from scripts.reduction.larger import larger
from scripts.reduction.trials import Trial, beyond
from tests.findings.samples import finding

# --- the table --------------------------------------------------------------------------------------------


def test_planted_defects_are_of_every_kind_and_need() -> None:
    kinds = {kind for p in PLANTED.values() for kind in p.kinds}
    assert kinds >= {
        Kind.VALUE, Kind.NAN_PROPAGATION, Kind.CRASH, Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR, Kind.CONVERTER_ERROR,
        Kind.DTYPE, Kind.SHAPE,
    }  # fmt: skip
    assert len(PLANTED) >= 20
    assert {p.minimum.nodes for p in PLANTED.values()} == {1, 2}
    assert {p.minimum.scheme for p in PLANTED.values()} >= {"float32", "dynamic", "int8"}
    assert any(p.minimum.settings for p in PLANTED.values()) and any(p.defect.when for p in PLANTED.values())
    stages = {p.defect.ending.stage for p in PLANTED.values() if p.defect.ending}
    assert stages == {"convert", "allocate", "invoke"}
    assert {r for p in PLANTED.values() for r in p.defect.runtimes} == {
        "tf-xnnpack", "tf-builtin", "tf-reference", "litert"
    }  # fmt: skip


def test_planted_defects_are_grown_from_ops_that_there_are_under_schemes_that_can_be_their_smallest() -> None:
    for planted in PLANTED.values():
        assert all(name in registry() for name in (*planted.seeds, *planted.then)), planted.name
        assert len(planted.then) == planted.minimum.nodes - 1, planted.name
        assert planted.minimum.scheme in planted.schemes, planted.name
        assert planted.name not in DEFECTS


def test_a_defect_does_one_thing() -> None:
    one = next(iter(PLANTED.values())).defect
    with pytest.raises(ValueError, match="needs an edit, a tamper or an ending"):
        by_name([replace(one, tamper=None)])
    with pytest.raises(ValueError, match="two defects"):
        by_name([one, one])


# --- cases ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_larger_cases_hold_what_the_defect_needs_and_more(name: str) -> None:
    planted = PLANTED[name]
    first, again = ([*islice(larger(planted, Random("5")), 3)] for _ in range(2))
    assert [c.id for c in first] == [c.id for c in again], "the same cases twice"
    assert len(first) == 3
    for case in first:
        assert 3 <= len(case.model.nodes) <= 8 and case.conversion.conflict() is None
        assert case.conversion.scheme in planted.schemes and case.inference.relation == "none"
        assert not any(recipe.distribution in WILD for recipe in case.inference.inputs)
        ops = {node.op for node in case.model.nodes}
        assert ops & set(planted.seeds) and set(planted.then) <= ops | {"reshape"}, "repair keeps what is needed"
        assert all(getattr(case.conversion, k) == v for k, v in planted.minimum.settings.items())


REPRODUCED = Path(__file__).parents[1] / "reproducer" / "cases"
ONE = (Recipe("normal", 1),)


def small(*ops: str, **changes: object) -> Case:
    nodes = tuple(
        Node(op, (f"n{i - 1}" if i else "x0",), {k: d.default for k, d in registry()[op].attrs.items()})
        for i, op in enumerate(ops)
    )
    model = Model((TensorType((1, 4), "float32"),), nodes, (f"n{len(ops) - 1}",))
    conversion = Conversion(**changes).repaired()  # type: ignore[arg-type]
    return Case(model, conversion, Inference(inputs=ONE, runtimes=("tf-reference",)))


def test_what_a_case_has_beyond_the_smallest_is_named() -> None:
    planted = PLANTED["segfault of a square root"]
    assert beyond(planted, small("sqrt")) == []
    assert beyond(planted, small("relu", "sqrt")) == ["nodes"]
    assert beyond(planted, small("sqrt", scheme="float16"))[0] == "scheme"
    assert beyond(planted, small("sqrt", op_set="select_tf")) == ["op_set"]
    other = replace(small("sqrt"), inference=Inference(inputs=ONE, runtimes=("litert",)))
    assert beyond(planted, other) == ["runtimes"], "an innocent runtime alone"
    two = replace(small("sqrt"), inference=Inference(inputs=ONE, runtimes=("tf-reference", "litert")))
    assert beyond(planted, two) == ["runtimes"]
    busy = replace(small("sqrt"), inference=Inference(inputs=ONE * 2, runtimes=("tf-reference",), threads=4))
    assert beyond(planted, busy) == ["threads", "samples"]
    flagged = PLANTED["a product beside selected ops"]
    assert beyond(flagged, small("square", op_set="select_tf")) == []
    assert beyond(flagged, small("square")) == ["op_set"]


# --- figures ----------------------------------------------------------------------------------------------


def trial(defect: str, id_: str, **changes: object) -> Trial:
    return Trial(defect, case="c", id=id_, title=f"title {id_}", nodes=1, **changes)  # type: ignore[arg-type]


def test_confusions_are_titles_of_two_defects_and_defects_of_two_titles() -> None:
    rows = [trial("a", "1"), trial("a", "1"), trial("b", "2"), trial("b", "3"), trial("c", "3"), Trial("d", why="x")]
    told = confusions(rows)
    assert told.impure == {"title 3": ["b", "c"]} and told.split == {"b": ["title 2", "title 3"]}
    assert told.purity == pytest.approx(2 / 3) and told.completeness == pytest.approx(2 / 3)
    clean = confusions(rows[:3])
    assert (clean.purity, clean.completeness, clean.impure, clean.split) == (1.0, 1.0, {}, {})


def test_a_case_that_would_be_counted_under_another_defect_is_told() -> None:
    rows = [trial("a", "1"), trial("a", "1", recognised="1"), trial("b", "2", recognised="1")]
    assert confusions(rows).misrecognised == ["b as a"]


def test_the_tables_tell_minimal_from_not_and_name_what_made_no_finding(tmp_path: Path) -> None:
    names = sorted(PLANTED)[:2]
    rows = [trial(names[0], "1"), trial(names[1], "2", missed=["runtimes"]), Trial(names[1], why="no case shows it")]
    text = StringIO()
    figures.report(rows, Console(file=text, width=200))
    said = text.getvalue()
    assert "50% of 2" in said and "runtimes" in said and f"no finding: {names[1]}" in said
    figures.save(rows, tmp_path / "out.json", 7, 30.0)
    saved = json.loads((tmp_path / "out.json").read_text())
    assert saved["seed"] == 7 and len(saved["trials"]) == 3 and saved["trials"][0]["defect"] == names[0]


def test_a_campaign_without_findings_has_figures(tmp_path: Path) -> None:
    FindingStore(tmp_path, create=True)
    table = finished.campaign_table(tmp_path)
    assert next(iter(table.columns[1].cells)) == "0"
    assert finished.retold(tmp_path).findings == []


def test_the_findings_of_a_campaign_are_titled_and_merged_as_this_release_does(tmp_path: Path) -> None:
    store = FindingStore(tmp_path, create=True)
    raw = "tensorflow/lite/kernels/dequantize.cc:68 x->zero_point != 0 (-3 != 0)"
    raw += "Node number 1 (DEQUANTIZE) failed to prepare."
    stages = [
        (Kind.ALLOCATE_ERROR, Stage.ALLOCATE, "first"),
        (Kind.INVOKE_ERROR, Stage.INVOKE, "second"),
        (Kind.ALLOCATE_ERROR, Stage.ALLOCATE, "damaged"),
    ]
    for kind, stage, title in stages:
        verdict = Verdict(stage, kind, "old words", "litert", blame="DEQUANTIZE (int16)", evidence={"message": raw})

        def write(folder: Path, verdict: Verdict = verdict, damaged: bool = title == "damaged") -> None:
            (folder / "verdict.json").write_text("{" if damaged else json.dumps(verdict.to_json()))
            (folder / "minimal.json").write_text(json.dumps(to_json(small("sqrt"))))

        seen = "2026-01-02" if title == "second" else "2026-01-01"
        store.add(finding(title, kind=kind.value, stage=stage.value, first_seen=f"{seen}T00:00:00+00:00"), write)
    told = finished.retold(tmp_path)
    assert (told.titles_before, told.titles, told.unread) == (3, 2, 1)
    (only,) = told.findings
    assert only.title.startswith("allocate-error") and len(only.alternatives) == 1
    assert "zero_point != N" in only.title, "normalised anew from the words as they came"


# --- with TensorFlow --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "only",
    [
        "segfault of a",  # a square root, a floor (alone in a case) and a joined sigmoid (two nodes)
        "convolution with a stride",  # numbers of one runtime, which the smallest case asks for
    ],
)
def test_planted_defects_shrink_to_their_smallest_cases_under_a_title_each(only: str, tmp_path: Path) -> None:
    console = Console(file=StringIO())
    rows = trials.trials(1, 60.0, 3, 1, only, tmp_path, console)
    assert {t.defect for t in rows} == {name for name in PLANTED if only in name}
    assert all(t.found for t in rows), [t.why for t in rows]
    assert [t.missed for t in rows] == [[]] * len(rows)
    assert all(t.begun_with >= 3 and t.nodes <= PLANTED[t.defect].minimum.nodes for t in rows)
    told = confusions(rows)
    assert (told.purity, told.completeness) == (1.0, 1.0), (told.impure, told.split)
    found = FindingStore(tmp_path / "crashes").findings()
    assert len(found) == len(rows) and {f.script_exit for f in found} == {-1}
    assert not any("ABS" in f.title for f in found), "the operator that the guilty one reads is innocent"


@pytest.mark.slow
def test_a_smallest_case_of_something_else_is_not_the_planted_one(tmp_path: Path) -> None:
    """A real defect of the stock stack has the kind of what is planted."""
    planted, store = PLANTED["first axis is not joined"], FindingStore(tmp_path / "crashes", create=True)
    tree = json.loads((REPRODUCED / "allocate_error_pad_int16x8.json").read_text())
    real, verdict = from_json(tree["case"]), Verdict.from_json(tree["verdict"])
    assert verdict.kind in planted.kinds
    station = trials.Station(store, trials.Forgetful(store), 1.0, tmp_path)
    try:
        for case, another in ((small("relu"), False), (real, True)):
            sample = Sample(Suspicion(case, verdict, ""), case, verdict, "", 3, True)
            assert station._is_another(sample, planted) == another
    finally:
        station.close()


@pytest.mark.slow
def test_a_planted_ending_shows_where_it_is_put_and_nowhere_else() -> None:
    zygote = Zygote(trials.TARGET)
    executor = Executor(zygote.path, Limits(timeout_s=60.0))
    try:
        zygote.wait_ready()

        def ask(op: str, defect: str) -> Death | Reply:
            case = replace(small(op), inference=Inference())
            return executor.run({"command": "run", "defect": defect, "case": to_json(case)})

        for op, defect, kind, stage in (
            ("sqrt", "segfault of a square root", Kind.CRASH, Stage.INVOKE),
            ("round", "rounding is lost", Kind.CONVERTER_ERROR, Stage.CONVERT),
            ("abs", "absolute value of another type", Kind.DTYPE, Stage.COMPARE),
            ("square", "square of another shape", Kind.SHAPE, Stage.COMPARE),
        ):
            clean, innocent, sick = ask(op, ""), ask("relu", defect), ask(op, defect)
            for quiet in (clean, innocent):
                assert isinstance(quiet, Reply) and quiet.message["verdicts"] == [], (op, quiet)
            told = judge_death(sick) if isinstance(sick, Death) else Verdict.from_json(sick.message["verdicts"][0])
            assert (told.kind, told.stage) == (kind, stage), (defect, told)
    finally:
        executor.close()
        zygote.stop()
