from __future__ import annotations

import dataclasses
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fuzzer.errors import UserError
from fuzzer.findings import Finding, State
from fuzzer.findings.index import FILE, SCHEMA_VERSION, read_index, write_index
from fuzzer.findings.schema import COLUMNS
from tests.findings.samples import finding, store

PROMISED = (
    "id title kind stage ops patterns dtypes quantisation runtimes severity unit versions first_seen reproduced "
    "repeats path state note"
)


def test_a_row_a_finding_with_the_fields_of_the_issue(tmp_path: Path) -> None:
    made = store(tmp_path, "one", "two")
    made.mark(finding("two").id, State.KNOWN, "seen before")
    findings = made.rebuild_index()
    rows = read_index(tmp_path)
    assert [Finding.from_json(row) for row in rows] == findings
    assert set(PROMISED.split()) <= set(rows[0])
    assert {row["title"]: row["state"] for row in rows} == {"one": "new", "two": "known"}


def test_types_are_stable_even_without_rows(tmp_path: Path) -> None:
    write_index(tmp_path, [])
    schema = pq.read_schema(tmp_path / FILE)
    assert read_index(tmp_path) == [] and schema.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    types = {field.name: field.type for field in schema}
    assert types["severity"] == pa.float64() and types["count"] == pa.int64() and types["minimised"] == pa.bool_()
    assert types["ops"] == pa.list_(pa.string()) and types["title"] == pa.string()
    assert set(types) == {f.name for f in dataclasses.fields(Finding)}
    write_index(tmp_path, [finding()])
    assert pq.read_schema(tmp_path / FILE).equals(schema)


def test_hostile_texts_and_numbers(tmp_path: Path) -> None:
    odd = finding("ä\x00\n" * 50, severity=float("inf"), note="\U0001f600", ops=(), count=2**62)
    write_index(tmp_path, [odd])
    (row,) = read_index(tmp_path)
    assert Finding.from_json(row) == odd


def test_a_missing_index_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run a campaign first"):
        read_index(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 4, 100, -100, -8, -1])
def test_a_truncated_index_says_that_nothing_is_lost(tmp_path: Path, keep: int) -> None:
    store(tmp_path, "one").rebuild_index()
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"nothing is lost.*status"):
        read_index(tmp_path)


def test_any_damage_is_an_answer_or_a_sentence(tmp_path: Path) -> None:
    store(tmp_path, "one", "two", "three").rebuild_index()
    path = tmp_path / FILE
    whole = path.read_bytes()
    rng = Random(1)
    for _ in range(400):
        data = bytearray(whole)
        # The end of a Parquet file is its footer, where damage hurts most.
        low = 0 if rng.random() < 0.4 else len(data) - 6000
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(max(0, low), len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            assert isinstance(read_index(tmp_path), list)
        except UserError as refused:
            assert "status" in str(refused) or "newer" in str(refused)


def test_an_index_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    write_index(tmp_path, [finding()])
    table = pq.read_table(tmp_path / FILE)
    for version in (str(SCHEMA_VERSION + 1), "99"):
        pq.write_table(table.replace_schema_metadata({"schema_version": version}), tmp_path / FILE)
        with pytest.raises(UserError, match=f"newer release .schema {version}.; update the fuzzer"):
            read_index(tmp_path)


def test_a_foreign_parquet_file(tmp_path: Path) -> None:
    table = pa.table({"a": [1]})
    pq.write_table(table, tmp_path / FILE)
    with pytest.raises(UserError, match="no index of findings"):
        read_index(tmp_path)
    pq.write_table(table.replace_schema_metadata({"schema_version": "one"}), tmp_path / FILE)
    with pytest.raises(UserError):
        read_index(tmp_path)


def test_a_full_disk_leaves_the_old_index(small_disk: Path) -> None:
    write_index(small_disk, [finding()])
    before = (small_disk / FILE).read_bytes()
    with pytest.raises(OSError, match="No space"), (small_disk / "filler").open("wb") as file:
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(OSError, match="No space"):
        write_index(small_disk, [finding(f"title {i}") for i in range(100)])
    assert (small_disk / FILE).read_bytes() == before
    assert [p.name for p in small_disk.iterdir() if p.name.startswith(".")] == []


def test_an_index_of_an_older_release_has_defaults_for_newer_columns(tmp_path: Path) -> None:
    write_index(tmp_path, [finding(special_operands=True, ulp=3.5)])
    table = pq.read_table(tmp_path / FILE)
    pq.write_table(table.drop_columns(["special_operands", "ulp"]), tmp_path / FILE)
    (row,) = read_index(tmp_path)
    assert (row["special_operands"], row["ulp"]) == (False, 0.0) and row["title"]
    pq.write_table(table.drop_columns(["title"]), tmp_path / FILE)
    with pytest.raises(UserError, match="is no index of findings"):
        read_index(tmp_path)


def test_every_column_says_what_it_means(tmp_path: Path) -> None:
    write_index(tmp_path, [finding()])
    schema = pq.read_schema(tmp_path / FILE)
    said = {field.name: field.metadata[b"description"].decode() for field in schema}
    assert said == dict(COLUMNS) and list(said) == list(COLUMNS) and all(len(text) > 5 for text in said.values())


def test_an_index_of_the_first_schema_is_read_and_then_upgraded(tmp_path: Path) -> None:
    made = store(tmp_path, "one")
    made.rebuild_index()
    table = pq.read_table(tmp_path / FILE).drop_columns(["first_bad", "last_good", "last_bad", "first_good"])
    pq.write_table(table.replace_schema_metadata({"schema_version": "1"}), tmp_path / FILE)
    (row,) = read_index(tmp_path)
    assert Finding.from_json(row) == made.findings()[0] and row["first_bad"] == ""
    made.rebuild_index()
    assert pq.read_schema(tmp_path / FILE).metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    pq.write_table(table.replace_schema_metadata({"schema_version": "0"}), tmp_path / FILE)
    with pytest.raises(UserError, match="is no index of findings"):
        read_index(tmp_path)
