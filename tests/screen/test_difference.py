from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzzer.screen.difference import FILE, MAX_BYTES, MAX_ELEMENTS, differences
from tests.screen.test_detail import draw


def save(folder: Path, **arrays: Any) -> None:
    np.savez_compressed(folder / FILE, **{name.replace("__", "-"): value for name, value in arrays.items()})


def shown(folder: Path) -> str:
    table = differences(folder)
    return "" if table is None else draw(table, 100)


def test_the_worst_elements_of_every_runtime(tmp_path: Path) -> None:
    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    wrong = expected.copy()
    wrong[1, 0], wrong[0, 1] = -4, np.nan
    arrays = {"sample0_x0": expected, "sample0_tensorflow_y0": expected, "sample0_litert_y0": expected}
    save(tmp_path, **arrays, sample0_tf__xnnpack_y0=wrong)
    lines = shown(tmp_path).splitlines()
    assert lines[0].startswith("sample 0, output 0: float32 [2, 3]")
    assert lines[1].split() == ["element", "tensorflow", "litert", "tf-xnnpack", "error"]
    assert lines[2].split() == ["0,1", "1", "1", "nan", "inf"]
    assert lines[3].split() == ["1,0", "3", "3", "-4", "7"]
    assert lines[4] == "2 of 6 elements differ"


def test_equal_outputs_and_no_file_are_no_table(tmp_path: Path) -> None:
    assert differences(tmp_path) is None
    same = np.array([np.nan, np.inf, -0.0], np.float32)
    save(tmp_path, sample0_tensorflow_y0=same, sample0_litert_y0=same)
    assert differences(tmp_path) is None


def test_another_shape_or_dtype_is_said(tmp_path: Path) -> None:
    save(tmp_path, sample0_tensorflow_y0=np.zeros((1, 4)), sample0_litert_y0=np.zeros((1, 3), np.uint8))
    assert "litert gives uint8 [1, 3]" in shown(tmp_path)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "complex64", "S5"])
def test_every_dtype_is_shown(tmp_path: Path, dtype: str) -> None:
    save(tmp_path, sample0_tensorflow_y0=np.zeros(3, dtype), sample0_litert_y0=np.array([0, 0, 1]).astype(dtype))
    text = shown(tmp_path)
    assert ("1 of 3 elements differ" if dtype != "S5" else "3 of 3 elements differ") in text


def test_many_elements_are_cut_and_counted(tmp_path: Path) -> None:
    save(tmp_path, sample0_tensorflow_y0=np.zeros(1000), sample0_litert_y0=np.arange(1000.0))
    text = shown(tmp_path)
    assert f"999 of 1000 elements differ, the {MAX_ELEMENTS} worst are shown" in text
    assert text.splitlines()[2].split() == ["999", "0", "999", "999"]


@pytest.mark.parametrize(
    "damage", [b"", b"PK\x03\x04", b"no archive at all", b"\x80\x04K\x01."], ids=["empty", "zip", "text", "pickle"]
)
def test_a_damaged_file_is_a_sentence(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    assert f"{FILE} is damaged" in shown(tmp_path)


def test_a_cut_file_is_a_sentence(tmp_path: Path) -> None:
    save(tmp_path, sample0_tensorflow_y0=np.zeros(900), sample0_litert_y0=np.random.default_rng(1).normal(size=900))
    whole = (tmp_path / FILE).read_bytes()
    for end in range(0, len(whole), 97):
        (tmp_path / FILE).write_bytes(whole[:end])
        assert f"{FILE} is damaged" in shown(tmp_path)
    middle = len(whole) // 2
    (tmp_path / FILE).write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    assert f"{FILE} is damaged" in shown(tmp_path)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (Path("bomb-went-off"), "")


def test_objects_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    strings, numbers = np.array([Bomb()], object), np.zeros(2)
    save(tmp_path, sample0_tensorflow_y0=strings, sample0_litert_y0=strings)
    assert differences(tmp_path) is None
    arrays = {"sample1_tensorflow_y0": numbers, "sample1_litert_y0": strings, "sample1_tf__builtin_y0": numbers + 1}
    save(tmp_path, sample0_tensorflow_y0=strings, **arrays)
    assert "2 of 2 elements differ" in shown(tmp_path) and "litert" not in shown(tmp_path)
    assert not (tmp_path / "bomb-went-off").exists()


def test_what_unpacks_to_too_much_is_not_read(tmp_path: Path) -> None:
    save(tmp_path, sample0_tensorflow_y0=np.zeros(MAX_BYTES // 8 + 1))
    assert (tmp_path / FILE).stat().st_size < MAX_BYTES // 100
    assert "too large" in shown(tmp_path)
