"""The names of the installed libraries: what is a kernel, a pass, a pattern."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzer.coverage import tables
from fuzzer.coverage.reached.evidence import Module
from fuzzer.coverage.reached.missing import operators_of
from fuzzer.coverage.reached.names import KINDS, Function
from fuzzer.coverage.reached.report import Group, Tally, named
from fuzzer.coverage.reached.roads import NOTHING, Roads
from fuzzer.execute import Zygote
from fuzzer.ops import registry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real(real_zygote: Zygote) -> dict[str, list[Function]]:
    space, _ = tables.ensure(real_zygote.libraries)
    found = {}
    for library in space.libraries:
        table = tables.read(library.table)
        found[library.scope] = named(Module(library, table, np.full(library.count, -1, np.int32))).functions
    return found


def test_passes_have_their_patterns(real: dict[str, list[Function]]) -> None:
    patterns: dict[str, set[str]] = {}
    for function in real["converter"]:
        if function.place.pattern:
            patterns.setdefault(function.place.group, set()).add(function.place.pattern)
    of = {name.rpartition("::")[2]: found for name, found in patterns.items() if name.startswith("mlir::TFL")}
    # The files are transforms/{prepare_tf,legalize_tf,optimize}.cc and their .td.
    assert {"FusedBatchNormV3Pat", "ConvertTFStridedSlice"} <= of["PrepareTFPass"]
    assert {"LegalizeAbs", "ConvertTFConcatV2Op"} <= of["LegalizeTFPass"] and len(of["LegalizeTFPass"]) > 100
    assert {"FuseFullyConnectedAndAdd", "ConvertTrivialTransposeOpToReshapeOp"} <= of["OptimizePass"]
    homeless = sum(len(found) for name, found in patterns.items() if "no pass" in name)
    assert homeless < 0.2 * sum(map(len, patterns.values()))


def test_both_runtimes_have_the_same_kernels(real: dict[str, list[Function]]) -> None:
    kernels = [{f.place.group for f in real[scope] if f.place.kind == "kernel"} for scope in ("runtime", "litert")]
    assert len(kernels[0] & kernels[1]) > 100 and "tflite::ops::builtin::conv" in kernels[0] & kernels[1]
    for scope in ("runtime", "litert"):
        kinds = {f.place.kind for f in real[scope]}
        assert {"kernel", "node", "microkernel", "namespace"} <= kinds <= set(KINDS)


def test_most_kernels_and_patterns_have_a_road(real: dict[str, list[Function]]) -> None:
    groups = [Group("converter", f.place.kind, f.place.group, Tally()) for f in real["converter"]]
    roads = Roads(registry(), operators_of(groups))
    kernels = {f.place.group.rpartition("::")[2] for f in real["runtime"] if f.place.kind == "kernel"}
    dead = {kernel for kernel in kernels if not roads.kernel(kernel).open}
    assert {"svdf", "lsh_projection"} <= dead and len(dead) < 0.25 * len(kernels), dead
    optimise = {f.place.pattern for f in real["converter"] if f.place.group == "mlir::TFL::OptimizePass"} - {""}
    ways = [roads.pattern("mlir::TFL::OptimizePass", pattern, run=True) for pattern in optimise]
    assert sum(way.open for way in ways) > 0.85 * len(ways), [way.needs for way in ways if not way.open]
    assert not any(way.open and way.needs.startswith(NOTHING) for way in ways)
