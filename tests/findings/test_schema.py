from __future__ import annotations

import pytest

from fuzzer.findings import Finding
from fuzzer.findings.schema import COLUMNS, UPGRADES, VERSION, upgraded
from tests.findings.samples import finding


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
