"""Operators that move, take, join and pad raw codes, against the runtime's reference kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fuzzer import reference
from tests.reference.builder import Array, Operand, build, codes, compare, tensor
from tests.reference.unary import quantisation

Case = tuple[str, str, dict[str, Any], tuple[int, ...], list[Any], Any]
TYPES = ("int8", "uint8", "int16", "int32")
X = "x"  # the fed operand's place among constant ones

# op, options table, its fields, shape fed, operands (X or a constant list), shape of the result(s)
CASES: list[Case] = [
    ("RESHAPE", "ReshapeOptions", {}, (2, 3, 4), [X, [4, -1]], (4, 6)),
    ("RESHAPE", "ReshapeOptions", {"newShape": [6, 4]}, (2, 3, 4), [X], (6, 4)),
    ("SQUEEZE", "SqueezeOptions", {"squeezeDims": [0, -1]}, (1, 3, 1, 1), [X], (3, 1)),
    ("SQUEEZE", "SqueezeOptions", {}, (1, 3, 1, 2), [X], (3, 2)),
    ("EXPAND_DIMS", "ExpandDimsOptions", {}, (2, 3), [X, [-1]], (2, 3, 1)),
    ("TRANSPOSE", "TransposeOptions", {}, (2, 3, 4, 5), [X, [3, 0, 2, 1]], (5, 2, 4, 3)),
    ("TILE", "TileOptions", {}, (2, 1, 3), [X, [2, 3, 1]], (4, 3, 3)),
    ("REVERSE_V2", "ReverseV2Options", {}, (2, 3, 4), [X, [1]], (2, 3, 4)),
    ("REVERSE_SEQUENCE", "ReverseSequenceOptions", {"seqDim": 1, "batchDim": 0}, (3, 4, 2), [X, [1, 4, 2]], (3, 4, 2)),
    ("REVERSE_SEQUENCE", "ReverseSequenceOptions", {"seqDim": 0, "batchDim": 2}, (4, 2, 3), [X, [0, 3, 2]], (4, 2, 3)),
    ("BROADCAST_TO", "BroadcastToOptions", {}, (3, 1), [X, [2, 3, 4]], (2, 3, 4)),
    ("SPACE_TO_BATCH_ND", "SpaceToBatchNDOptions", {}, (2, 4, 5, 3), [X, [2, 3], [[1, 1], [0, 1]]], (12, 3, 2, 3)),
    ("SPACE_TO_BATCH_ND", "SpaceToBatchNDOptions", {}, (2, 4, 3), [X, [3], [[1, 1]]], (6, 2, 3)),
    ("BATCH_TO_SPACE_ND", "BatchToSpaceNDOptions", {}, (12, 3, 2, 2), [X, [2, 3], [[1, 0], [2, 1]]], (2, 5, 3, 2)),
    ("SPACE_TO_DEPTH", "SpaceToDepthOptions", {"blockSize": 2}, (2, 4, 6, 3), [X], (2, 2, 3, 12)),
    ("DEPTH_TO_SPACE", "DepthToSpaceOptions", {"blockSize": 2}, (2, 2, 3, 12), [X], (2, 4, 6, 3)),
    ("SLICE", "SliceOptions", {}, (4, 5, 6), [X, [1, 0, 2], [2, -1, 3]], (2, 5, 3)),
    ("GATHER", "GatherOptions", {"axis": 1}, (2, 5, 3), [X, [[4, 0], [1, 1]]], (2, 2, 2, 3)),
    ("GATHER", "GatherOptions", {"axis": 1, "batchDims": 1}, (2, 5, 3), [X, [[4, 0, 2], [1, 1, 3]]], (2, 3, 3)),
    ("GATHER_ND", "GatherNdOptions", {}, (3, 4, 2), [X, [[2, 1], [0, 3], [1, 0]]], (3, 2)),
    ("PAD", "PadOptions", {}, (2, 3, 4), [X, [[0, 1], [2, 0], [1, 1]]], (3, 5, 6)),
    ("MIRROR_PAD", "MirrorPadOptions", {"mode": 0}, (4, 5), [X, [[3, 1], [2, 4]]], (8, 11)),
    ("MIRROR_PAD", "MirrorPadOptions", {"mode": 1}, (4, 5), [X, [[4, 1], [2, 5]]], (9, 12)),
    ("SPLIT", "SplitOptions", {"numSplits": 3}, (2, 6, 2), [[1], X], [(2, 2, 2)] * 3),
    ("SPLIT_V", "SplitVOptions", {"numSplits": 3}, (2, 6, 2), [X, [1, -1, 2], [1]], [(2, 1, 2), (2, 3, 2), (2, 2, 2)]),
    ("UNPACK", "UnpackOptions", {"num": 3, "axis": -1}, (2, 4, 3), [X], [(2, 4)] * 3),
]


# What the runtime's kernel does not take; the reference moves any type.
NOT_TAKEN = {("TILE", "int16"), ("REVERSE_SEQUENCE", "int8"), ("SPACE_TO_DEPTH", "int16"), ("DEPTH_TO_SPACE", "int16")}
MOVES = [(case, dtype) for case in CASES for dtype in TYPES if (case[0], dtype) not in NOT_TAKEN]


def result_shapes(shapes: Any) -> list[tuple[int, ...]]:
    """One shape or a list of them, as a list."""
    return shapes if isinstance(shapes, list) else [shapes]


@pytest.mark.parametrize(("case", "dtype"), MOVES, ids=lambda value: value if isinstance(value, str) else value[0])
def test_moves(case: Case, dtype: str) -> None:
    op, options, fields, shape, arguments, made_shapes = case
    random = np.random.default_rng(15)
    scale = quantisation(random, dtype) if dtype != "int32" else ()
    fed = tensor(dtype, shape, *scale)
    operands = [fed if a is X else Operand("int32", ()).constant(np.array(a, np.int32)) for a in arguments]
    version = 2 if op == "BROADCAST_TO" else 1
    content = build(
        op, operands, [tensor(dtype, s, *scale) for s in result_shapes(made_shapes)], options, version, **fields
    )
    feeds = {operands.index(fed): codes(random, fed)}
    compare(content, feeds)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_every_mask_of_strided_slice(dtype: str) -> None:
    random = np.random.default_rng(16)
    shape, scale = (4, 5, 6), (0.1, 3) if dtype != "int32" else ()
    values = codes(random, tensor(dtype, shape))
    for _ in range(60):
        count = int(random.integers(1, 4))
        begins, ends = random.integers(-4, 4, count), random.integers(-6, 7, count)
        strides = random.choice([1, 1, 2, -1, -2], count)
        begin_mask, end_mask = (int(mask) for mask in random.integers(0, 1 << count, 2))
        shrink = int(random.integers(0, 1 << count)) & ~begin_mask if random.random() < 0.5 else 0
        strides = np.where([shrink >> i & 1 for i in range(count)], 1, strides)
        fields = {"beginMask": begin_mask, "endMask": end_mask, "shrinkAxisMask": shrink}
        bounds = [Operand("int32", ()).constant(np.asarray(v, np.int32)) for v in (begins, ends, strides)]
        operands = [tensor(dtype, shape, *scale), *bounds]
        content = build("STRIDED_SLICE", operands, [tensor(dtype, (), *scale)], "StridedSliceOptions", **fields)
        made = reference.evaluate(content, {0: values})[4]
        if made.size:  # an empty result cannot be read from the interpreter
            compare(content, {0: values})


@pytest.mark.parametrize(
    "fields",
    [
        {"ellipsisMask": 1},
        {"ellipsisMask": 2},
        {"newAxisMask": 1},
        {"newAxisMask": 2},
        {"ellipsisMask": 1, "newAxisMask": 2},
    ],
)
def test_ellipsis_and_new_axis(fields: dict[str, int]) -> None:
    values = np.arange(60, dtype=np.int8).reshape(3, 4, 5)
    bounds = [Operand("int32", ()).constant(np.array(v, np.int32)) for v in ([0, 1], [2, 3], [1, 1])]
    operands = [tensor("int8", (3, 4, 5), 0.1), *bounds]
    content = build("STRIDED_SLICE", operands, [tensor("int8", (), 0.1)], "StridedSliceOptions", **fields)
    compare(content, {0: values})


def joined(
    op: str, options: str, dtypes: str, scales: list[tuple[float, int]], axis: int
) -> tuple[bytes, dict[int, Array]]:
    """PACK or CONCATENATION of one operand for each scale but the last, which is the result's."""
    random = np.random.default_rng(17)
    shapes = [(2, size, 3) if op == "CONCATENATION" else (2, 4, 3) for size in range(1, len(scales))]
    fed = [tensor(dtypes, shape, *scale) for shape, scale in zip(shapes, scales, strict=False)]
    values = {place: codes(random, operand) for place, operand in enumerate(fed)}
    join = np.concatenate if op == "CONCATENATION" else np.stack
    made = tensor(dtypes, join(list(values.values()), axis).shape, *scales[-1])
    fields = {"axis": axis, **({"valuesCount": len(fed)} if op == "PACK" else {})}
    return build(op, fed, [made], options, 2, **fields), values


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_joining_equal_scales(dtype: str) -> None:
    scale = (0.1, 0 if dtype == "int16" else 5)
    compare(*joined("CONCATENATION", "ConcatenationOptions", dtype, [scale] * 4, 1))
    compare(*joined("CONCATENATION", "ConcatenationOptions", dtype, [scale] * 4, -2))
    for axis in (0, -1, 2):
        compare(*joined("PACK", "PackOptions", dtype, [scale] * 4, axis))


@pytest.mark.parametrize("target", [0.38, 0.42, 0.54])
def test_the_scale_of_concatenation_is_inverted_before_it_is_multiplied(target: float) -> None:
    """0.01 / 0.38 and 0.01 * (1 / 0.38) differ in float32, and so do codes that are ties."""
    codes_fed = np.arange(256, dtype=np.uint8)
    fed = tensor("uint8", (256,), 0.01, 0)
    content = build("CONCATENATION", [fed], [tensor("uint8", (256,), target, 0)], "ConcatenationOptions", axis=0)
    compare(content, {0: codes_fed})


def test_concatenation_rescales_uint8_alone() -> None:
    random = np.random.default_rng(18)
    for _ in range(40):
        scales = [quantisation(random, "uint8") for _ in range(4)]
        scales[1] = scales[3]
        compare(*joined("CONCATENATION", "ConcatenationOptions", "uint8", scales, 1))
    content, _ = joined("CONCATENATION", "ConcatenationOptions", "int8", [(0.1, 0), (0.2, 0), (0.1, 0)], 1)
    assert reference.refusal(content, 0) == "int8 operands with several scales"


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
def test_padding_with_a_code(dtype: str) -> None:
    random = np.random.default_rng(19)
    scale = quantisation(random, dtype) if dtype != "int32" else ()
    fed, blank = tensor(dtype, (2, 3, 4), *scale), tensor(dtype, (1,), *scale).constant(np.array([7], dtype))
    edges = Operand("int32", ()).constant(np.array([[0, 1], [2, 0], [1, 1]], np.int32))
    content = build("PADV2", [fed, edges, blank], [tensor(dtype, (3, 5, 6), *scale)], "PadV2Options")
    compare(content, {0: codes(random, fed)})


@pytest.mark.parametrize("start", [(0, 0, 0), (1, 2, 1), (5, -3, 2)])
def test_an_update_is_moved_inside(start: tuple[int, ...]) -> None:
    random = np.random.default_rng(20)
    fed, update = tensor("int8", (3, 4, 5), 0.1), tensor("int8", (2, 2, 3), 0.1)
    where = Operand("int32", ()).constant(np.array(start, np.int32))
    content = build("DYNAMIC_UPDATE_SLICE", [fed, update, where], [fed], "DynamicUpdateSliceOptions")
    compare(content, {0: codes(random, fed), 1: codes(random, update)})


def test_an_index_outside_is_refused() -> None:
    outside = Operand("int32", ()).constant(np.array([5], np.int32))
    content = build("GATHER", [tensor("int8", (3,), 0.1), outside], [tensor("int8", (1,), 0.1)], "GatherOptions")
    assert reference.refusal(content, 0) == "an index outside [0, 3)"
