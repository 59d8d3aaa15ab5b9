"""The text of a report: what it says, that hostile words stay words, and GitHub's limits."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fuzzer.oracles import Kind, Stage, Verdict
from fuzzer.report import graphs
from fuzzer.report.blocks import Code, Facts, Mono, Report, Section, say
from fuzzer.report.github import MAX_BODY, MAX_TITLE, NO_RESPONSE, issue, tracker
from fuzzer.report.markdown import fenced, markdown, plain, span
from fuzzer.report.material import Material, read
from fuzzer.report.sections import report
from tests.report import folders


def material(tmp_path: Path, told: Verdict | None = None, **changes: Any) -> Material:
    store, finding = folders.crashes(tmp_path / "crashes", told, **changes)
    return read(store.folder, finding)


def headings(text: str, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", text, re.M)


# --- what it says -----------------------------------------------------------------------------------------


def test_the_sections_come_in_the_order_of_upstreams_form(tmp_path: Path) -> None:
    text = markdown(report(material(tmp_path)))
    assert text.startswith(f"# {folders.TITLE}\n")
    assert headings(text, 2) == [
        "System information",
        "Code",
        "What happens",
        "What was expected",
        "Why this is a defect",
        "Which kernels agree",
        "Where the fault is",
        "Log",
        "Versions affected",
        "Repeatability",
        "Further evidence",
    ]
    assert folders.SCRIPT.strip() in text
    assert "| 0 | (0, 1) | 0.25 | 0.5 | 0.25 |" in text
    assert "n1 = relu6(n0; ): float32[2,3]" in text
    assert "- operator: `RELU`" in text
    assert "3 of 3 showed it" in text and "exited 1: the defect is there" in text


def test_kernels_agree_up_to_the_factor_that_confirms(tmp_path: Path) -> None:
    text = markdown(report(material(tmp_path)))
    table = dict(re.findall(r"^\| (tf-\w+|litert) \| [^|]+ \| ([^|]+?) \|", text, re.M))
    assert table == {
        "tf-xnnpack": "agrees: 0.5 bounds",
        "tf-builtin": "agrees: 8 bounds",
        "tf-reference": "wrong: 8.5 bounds",
        "litert": "agrees: 0 bounds",
    }
    assert re.search(r"^\| tf-reference .* 0\.25 \|$", text, re.M), "the largest difference comes from the numbers kept"


def test_the_log_is_without_what_tensorflow_says_at_every_start(tmp_path: Path) -> None:
    text = markdown(report(material(tmp_path)))
    assert "an important last line" in text and "Ignored output_format" not in text


def test_a_death_tells_where_and_names_those_not_tried(tmp_path: Path) -> None:
    stack = ["libc.so.6 abort", "libtensorflow_cc.so.2 mlir::TFL::f", "_pywrap_x.so pybind11::g"]
    python = ["libpython3.11.so.1.0 cfunction_call", "libc.so.6 __libc_start_main", "python3.11 _start"]
    evidence = {
        "signal": "SIGABRT",
        "step": "conversion of the graph (MLIR)",
        "frame": "mlir::TFL::f",
        "stack": stack + python,
    }
    told = Verdict(Stage.INVOKE, Kind.CRASH, "SIGABRT in f", "litert", 6.0, "signal", "", evidence)
    text = markdown(report(material(tmp_path, told, kind="crash", unit="signal", severity=6.0)))
    assert "- Died of: `SIGABRT`" in text and "- During: conversion of the graph" in text
    assert "\n".join(stack) in text and "cfunction_call" not in text and "_start" not in text
    assert (
        "| litert | ai\\_edge\\_litert, default | dies |" in text
        or "| litert | ai_edge_litert, default | dies |" in text
    )


def test_a_pass_is_blamed_with_what_it_made_of_what(tmp_path: Path) -> None:
    more = {"pass": "LegalizeTFPass", "before": ["tf.Softplus"], "after": ["tfl.exp", "tfl.log"], "tensor": "4 y"}
    told = replace(folders.verdict(**more), blame="converter")
    text = markdown(report(material(tmp_path, told, blame="converter")))
    assert "- pass: `LegalizeTFPass`" in text and "- first wrong tensor of the flatbuffer: `4 y`" in text
    assert "tf.Softplus" in text and "tfl.exp\ntfl.log" in text


def test_the_verifier_of_the_converter_names_an_operation(tmp_path: Path) -> None:
    message = "<unknown>:0: error: loc(\"a\"): 'tfl.relu6' op failed to verify that x and y have one type"
    told = Verdict(Stage.CONVERT, Kind.CONVERTER_ERROR, "m", "converter", 1.0, "error", "", {"message": message})
    given = material(tmp_path, told, blame="", runtimes=("converter",))
    text = markdown(report(given))
    assert "- operation that the converter itself refuses: `tfl.relu6`" in text and message in text
    boxes, _ = graphs.before(given)
    assert [box.key for box in boxes if box.role == "blamed"] == ["n1"]


def test_releases_come_from_a_bisection_where_there_was_one(tmp_path: Path) -> None:
    plain_one = material(tmp_path)
    assert "Other releases were not tried." in markdown(report(plain_one))

    finding = plain_one.finding.bisected("tensorflow 2.18.1", "tensorflow 2.19.0", "tensorflow 2.20.0", "")
    text = markdown(report(replace(plain_one, finding=finding)))
    assert "- last release without it: `tensorflow 2.18.1`\n- first release that has it: `tensorflow 2.19.0`" in text
    assert "- last release that has it: `tensorflow 2.20.0`" in text and "is mended" not in text
    assert "not tried" not in text.partition("## Versions affected")[2].partition("## ")[0]
    oldest = plain_one.finding.bisected("", "tensorflow 2.18.0", "", "")
    text = markdown(report(replace(plain_one, finding=oldest)))
    assert "- already in the oldest release tried: `tensorflow 2.18.0`" in text and "first release" not in text


# --- what it must not say -----------------------------------------------------------------------------------


def test_paths_and_names_of_this_machine_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fuzzer.report import scrub

    monkeypatch.setattr("getpass.getuser", lambda: "janedoe")
    scrub._names.cache_clear()
    try:
        message = "/srv/janedoe/env/lib/python3.11/site-packages/tensorflow/a.py:1:1: error: by janedoe"
        given = material(tmp_path, folders.verdict(message=message, odd="/opt/secret/place/x.cc:3"))
        given = replace(
            given, log=f"{given.log}\n{message}\n", stack=("/opt/secret/lib.so f",), script="# /opt/secret/a"
        )
        for text in (markdown(report(given)), issue(report(given), given)):
            assert "janedoe" not in text and "secret" not in text and "/srv" not in text
            assert "tensorflow/a.py:1:1: error" in text and "x.cc:3" in text
    finally:
        scrub._names.cache_clear()


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    given = material(
        tmp_path, folders.verdict(message=f"{folders.HOSTILE}\n```\n# not a heading\n```", odd=folders.HOSTILE)
    )
    given = replace(given, finding=replace(given.finding, title=folders.HOSTILE), script="x = '''\n```\n'''")
    text = markdown(report(given))
    outside = re.sub(r"^(`{3,})[a-z]*\n.*?^\1$", "", text, flags=re.M | re.S)  # without fenced blocks
    outside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", outside)  # and without code spans
    assert "not a heading" not in outside
    assert not re.search(r"(?<!\\)<", outside), outside
    assert not re.search(r"(?<!\\)\](?=\()|@\w", outside), outside


def test_a_fence_and_a_span_are_longer_than_what_they_hold() -> None:
    assert fenced(Code("````\nx"))[0] == "`````text"
    assert span("a``b`") == "``` a``b` ```"
    assert span("two\nlines") == "`two lines`"
    assert plain("a_b _c_ #1 x#1 @me me@x") == "a_b \\_c\\_ \\#1 x#1 @\u200bme me@\u200bx"


# --- GitHub's form -------------------------------------------------------------------------------------------


def test_the_form_has_upstreams_labels_and_the_title_first(tmp_path: Path) -> None:
    given = material(tmp_path, versions="tensorflow 2.21.0, ai-edge-litert 2.3.0, python 3.11.7")
    text = issue(report(given), given)
    assert text.splitlines()[0] == "[TFLite] reference RELU (float32): wrong values"
    assert headings(text, 3) == [
        "Issue type",
        "Have you reproduced the bug with TensorFlow Nightly?",
        "Source",
        "TensorFlow version",
        "Custom code",
        "OS platform and distribution",
        "Mobile device",
        "Python version",
        "Bazel version",
        "GCC/compiler version",
        "CUDA/cuDNN version",
        "GPU model and memory",
        "Current behavior?",
        "Standalone code to reproduce the issue",
        "Relevant log output",
    ]
    assert "### TensorFlow version\n\ntf 2.21.0 (ai-edge-litert 2.3.0)\n" in text
    assert "### Python version\n\n3.11.7\n" in text and f"### Mobile device\n\n{NO_RESPONSE}\n" in text
    assert text.count("<details>") == text.count("</details>") == 2
    assert text.count("The numbers are wrong by more than any order of rounding explains.") == 1


@pytest.mark.parametrize("where", ["script", "log", "stack", "title"])
def test_long_parts_are_cut_to_githubs_limits(tmp_path: Path, where: str) -> None:
    given = material(tmp_path)
    long = "".join(f"x{i} = {i}\n" for i in range(30_000))
    if where == "title":
        given = replace(given, finding=replace(given.finding, title="T" * 400))
    else:
        given = replace(given, **{where: tuple(long.splitlines()) if where == "stack" else long})
    title, _, body = issue(report(given), given).partition("\n\n")
    assert len(title) <= MAX_TITLE and len(body) <= MAX_BODY
    assert body.count("```") % 2 == 0 and body.count("<details>") == body.count("</details>")
    if where == "script":
        assert "x0 = 0" in body and "characters are left out): see the attached repro.py" in body
    if where == "log":
        assert "x29999 = 29999" in body, "of a log the end is kept"


def test_even_what_cannot_be_cut_ends_within_the_limit(tmp_path: Path) -> None:
    given = material(tmp_path)
    told = Report(
        "t", ("l",), (Section("happens", "What", (Facts(tuple((f"k{i}", (Mono("v"),)) for i in range(9999))),)),)
    )
    _, _, body = issue(told, given).partition("\n\n")
    assert len(body) <= MAX_BODY and "The rest was cut" in body


def test_litert_has_a_tracker_of_its_own(tmp_path: Path) -> None:
    given = material(tmp_path)
    assert "tensorflow/tensorflow" in tracker(given)
    assert "LiteRT" in tracker(replace(given, finding=replace(given.finding, runtimes=("litert",))))


# --- folders that are not whole ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["case.json", "minimal.json", "verdict.json", "repro.py", "log.txt", "tensors.npz"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "binary", "list", "deep", "folder"])
def test_whatever_a_folder_holds_there_is_a_report(tmp_path: Path, name: str, damage: str) -> None:
    store, finding = folders.crashes(tmp_path / "crashes")
    path = store.folder / finding.path / name
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "gone":
        made = {"empty": b"", "cut": whole[: len(whole) // 2], "binary": b"\xff\x00PK\x03\x04" * 9, "list": b"[1]"}
        path.write_bytes(made.get(damage, b"[" * 9000))
    given = read(store.folder, finding)
    text = markdown(report(given)) + issue(report(given), given)
    assert folders.TITLE in text
    if name in ("verdict.json", "tensors.npz") and damage in ("cut", "binary", "folder"):
        assert any(problem.startswith(name) for problem in given.problems), given.problems


def test_a_newer_case_is_named_and_the_rest_told(tmp_path: Path) -> None:
    store, finding = folders.crashes(tmp_path / "crashes")
    newer = json.dumps({**folders.CASE, "schema": 99})
    (store.folder / finding.path / "minimal.json").write_text(newer)
    given = read(store.folder, finding)
    assert any("minimal.json" in problem and "schema" in problem for problem in given.problems)
    assert given.case is None and "Which kernels agree" in markdown(report(given))


def test_newer_kernels_are_left_out_and_said(tmp_path: Path) -> None:
    store, finding = folders.crashes(tmp_path / "crashes")
    path = store.folder / finding.path / "kernels.json"
    path.write_text(json.dumps({"schema": 1, "kernels": {"litert": {"failure": "invoke: X: y", "outputs": []}}}))
    assert read(store.folder, finding).kernels["litert"].failure == "invoke: X: y"
    path.write_text(json.dumps({"schema": 2, "kernels": []}))
    given = read(store.folder, finding)
    assert given.kernels == {} and any("newer" in problem for problem in given.problems)


def test_a_lead_is_said_once(tmp_path: Path) -> None:
    told = report(material(tmp_path))
    happens = told.section("happens")
    assert happens is not None and happens.blocks[0] == say("".join(map(str, told.lead)))


def test_the_last_replay_is_told(tmp_path: Path) -> None:
    given = material(tmp_path)
    assert "last replay" not in markdown(report(given))
    again = replace(given.finding, replayed="gone", replay_said="0 of 3 fresh runs showed it: it ended well")
    text = markdown(report(replace(given, finding=again)))
    assert "- last replay: gone: 0 of 3 fresh runs showed it: it ended well" in text
