"""Formats that an operator cannot work with: where every kernel is wrong, the quantiser gave it such.

From the TFLite 8-bit quantisation specification: a bias has the scale of the operand times that of the filter, by
channel; operators that only choose or move elements have one scale and zero point for operands and result.
"""

from __future__ import annotations

from fuzzer.convert.flatbuffer import Flat, FlatOp, FlatTensor

_BIASED = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
"""Where an operator has its data, its filter and its bias (schema.fbs)."""
_ONE_FORMAT = frozenset(
    {
        *(
            "BATCH_TO_SPACE_ND",
            "BROADCAST_TO",
            "CONCATENATION",
            "DEPTH_TO_SPACE",
            "DYNAMIC_UPDATE_SLICE",
            "EMBEDDING_LOOKUP",
            "EXPAND_DIMS",
        ),
        *("GATHER", "GATHER_ND", "MAX_POOL_2D", "MAXIMUM", "MINIMUM", "MIRROR_PAD", "ONE_HOT", "PACK", "PAD", "PADV2"),
        *("RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SCATTER_ND", "SELECT", "SELECT_V2", "SLICE"),
        *("SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TILE", "TOPK_V2"),
        *("TRANSPOSE", "UNPACK", "WHERE"),
    }
)
TOLERANCE = 1e-2
"""Scales are products of float32 numbers; the kernels themselves take a bias that is off by 2 % of the result's scale
(kernel_util.cc, `PopulateConvolutionQuantizationParams`)."""


def fault(flat: Flat, op: FlatOp) -> str:
    """What is wrong with the formats of an operator, in words; empty when nothing is."""
    if op.name in _BIASED:
        places = _BIASED[op.name]
        data, filters, bias = (_at(flat, op, place) for place in places)
        if (
            data is not None
            and filters is not None
            and bias is not None
            and bias.scales
            and not _fits(data, filters, bias)
        ):
            return "its bias has another scale than operand times filter"
    if op.name in _ONE_FORMAT:
        tensors = [flat.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
        scales = [t.scale for t in tensors if t.scales and not t.per_channel]
        if scales and max(scales) > min(scales) * (1 + TOLERANCE):
            return "its operands and result have different scales"
    return ""


def _at(flat: Flat, op: FlatOp, place: int) -> FlatTensor | None:
    index = op.inputs[place] if place < len(op.inputs) else -1
    return flat.tensors[index] if index >= 0 else None


def _fits(data: FlatTensor, filters: FlatTensor, bias: FlatTensor) -> bool:
    if not data.scales or not filters.scales:
        return True
    wanted = [data.scale * scale for scale in filters.scales]
    given = bias.scales * len(wanted) if len(bias.scales) == 1 else bias.scales
    return all(abs(g - w) <= TOLERANCE * w for g, w in zip(given, wanted, strict=False))
