"""The converter's dumps become passes. The folder holds what TensorFlow 2.21 wrote of a softplus, a few files of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fuzzer.convert.passes import IMPORT, changes, functions_of, read_dumps

DUMPS = Path(__file__).parent / "dumps" / "softplus"


def test_passes_come_in_order_with_the_whole_program() -> None:
    found = read_dumps(DUMPS)
    assert [p.name for p in found] == [
        IMPORT,
        "ExecutorIslandCoarseningPass",
        "Canonicalizer",
        "mlir_detail_OpToOpPassAdaptor",
        "LegalizeTFPass",
        "mlir_detail_OpToOpPassAdaptor",
        "ReconcileUnrealizedCastsPass",
    ]
    assert [p.number for p in found] == list(range(7))
    assert all(list(p.functions) == ["main"] for p in found)


def test_a_change_says_which_operations_went_and_came() -> None:
    by_pass = {change.after.name: change for change in changes(read_dumps(DUMPS))}
    legalised = by_pass["LegalizeTFPass"]
    assert legalised.removed == Counter(["tf.Softplus", "tf.Identity", "tf.Identity"])  # files in between are left out
    assert legalised.added == Counter(["tfl.exp", "tfl.add", "tfl.log"])
    assert legalised.after.operations == ("tfl.exp", "tfl.add", "tfl.log")


def test_a_module_and_its_function_alone_read_the_same() -> None:
    found = read_dumps(DUMPS)
    alone, module = found[2], found[3]
    assert alone.name == "Canonicalizer" and alone.functions == module.functions
    assert module.name not in {change.after.name for change in changes(found)}


def test_a_pass_over_one_function_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    two = "module {\n  func.func @main() {\n    return\n  }\n  func.func private @body() {\n    return\n  }\n}\n"
    (folder / "main.before_all.mlir").write_text(two)
    (folder / "00000001.body.X_after.mlir").write_text('func.func private @body() {\n  "tf.NoOp"() : () -> ()\n}')
    (folder / "00000002.main.Y_after.mlir").write_text("module {\n  func.func @main() {\n    return\n  }\n}\n")
    first, second, third = read_dumps(tmp_path)
    assert list(first.functions) == list(second.functions) == ["main", "body"]
    assert second.functions["main"] == first.functions["main"] and second.operations == ("tf.NoOp",)
    assert list(third.functions) == ["main"], "a module says which functions there are"


@pytest.mark.parametrize("name", ["main", "a b/c"])
def test_names_may_be_quoted(name: str) -> None:
    symbol = name if name.isidentifier() else f'"{name}"'
    assert list(functions_of(f"func.func @{symbol}() {{\n  return\n}}")) == [name]
