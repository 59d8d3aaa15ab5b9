"""Both resizing operators, three ways to align, all three integer types, against the runtime's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Operand, build, codes, compare, tensor

OPTIONS = {"RESIZE_BILINEAR": "ResizeBilinearOptions", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions"}
ALIGNMENTS = [(False, False), (True, False), (False, True)]


CASES = [*[(op, a) for op in OPTIONS for a in ALIGNMENTS], ("RESIZE_NEAREST_NEIGHBOR", (True, True))]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(("op", "align"), CASES)
def test_resizing(op: str, dtype: str, align: tuple[bool, bool]) -> None:
    random = np.random.default_rng(14)
    for _ in range(25):
        batch, height, width, channels = (int(random.integers(1, most)) for most in (3, 10, 10, 4))
        wanted = random.integers(1, 14, 2).astype(np.int32)
        fed = tensor(dtype, (batch, height, width, channels), 0.1, 0)
        made = tensor(dtype, (batch, int(wanted[0]), int(wanted[1]), channels), 0.1, 0)
        size = Operand("int32", ()).constant(wanted)
        content = build(op, [fed, size], [made], OPTIONS[op], alignCorners=align[0], halfPixelCenters=align[1])
        compare(content, {0: codes(random, fed)})


def test_both_alignments_of_the_bilinear_kernel_are_refused() -> None:
    fed, made = tensor("int8", (1, 2, 2, 1), 0.1), tensor("int8", (1, 4, 4, 1), 0.1)
    size = Operand("int32", ()).constant(np.array([4, 4], np.int32))
    fields = {"alignCorners": True, "halfPixelCenters": True}
    content = build("RESIZE_BILINEAR", [fed, size], [made], "ResizeBilinearOptions", **fields)
    assert reference.refusal(content, 0) == "both ways to align"
