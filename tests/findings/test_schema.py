from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuzzer.findings import Finding
from fuzzer.findings.schema import COLUMNS, UPGRADES, VERSION, upgraded
from tests.findings.samples import finding

SQL = {
    "duckdb",
    "sql",
    "select",
    "from",
    "group",
    "order",
    "by",
    "desc",
    "limit",
    "where",
    "and",
    "not",
    "all",
    "unnest",
    "list",
}
SQL |= {"titles", "suspicions", "runtime", "sum"}
"""Words of the README's questions that are no columns: the language's, and names given there."""


def test_there_is_a_step_from_every_version_to_the_next() -> None:
    assert sorted(UPGRADES) == list(range(1, VERSION))


def test_a_record_of_this_version_is_left_as_it_is() -> None:
    tree = finding(first_bad="tensorflow 2.18.0").to_json()
    assert upgraded(tree, VERSION) == tree


def test_an_upgrade_overwrites_nothing() -> None:
    tree = finding(first_bad="tensorflow 2.18.0").to_json()
    assert upgraded(dict(tree), 1) == tree


@pytest.mark.parametrize("version", [0, -1, VERSION + 1])
def test_versions_that_never_were(version: int) -> None:
    with pytest.raises(ValueError, match="no record of version"):
        upgraded({}, version)


def test_every_field_of_a_finding_is_documented_in_its_order() -> None:
    assert list(COLUMNS) == list(Finding.__dataclass_fields__)


def test_the_readme_documents_the_columns_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    section = text[text.index("## Reading the index") :]
    assert re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE) == list(COLUMNS.items())
    assert f"`schema_version` (now {VERSION})" in section


def test_the_questions_of_the_readme_ask_for_columns_that_are_there() -> None:
    """Neither DuckDB nor pandas is a dependency: what their lines name is looked up instead."""
    text = (Path(__file__).parents[2] / "README.md").read_text()
    questions = [line for line in text.splitlines() if "| `duckdb.sql(" in line]
    assert len(questions) == 5
    for line in questions:
        _, _, sql, pandas, _ = line.split("|")[0:5]
        read = re.findall(r"found\.(\w+)|\"(\w+)\"", re.sub(r"== \"\w+\"", "", pandas))
        assert {name for pair in read for name in pair if name} <= {*COLUMNS, "groupby", "explode", "size", "sum"}
        words = set(re.findall(r"[a-z_]+", re.sub(r"'[^']*'", "", sql)))
        assert words - SQL <= set(COLUMNS), words - SQL - set(COLUMNS)
