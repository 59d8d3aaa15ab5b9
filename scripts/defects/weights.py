"""Edits of constants: weights, biases, scales, indices, paddings."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fuzzer.build import Array, weights_of
from fuzzer.case import Case
from scripts.defects.defect import Edit
from scripts.defects.flat import Edited

_BATCH_NORM_EPSILON = 1e-3
"""Keras' default, and that of the op here."""


def constant(operand: int, made: Any) -> Edit:
    """Replaces a constant operand by a function of it."""

    def edit(model: Edited, op: Any, case: Case | None) -> bool:
        return model.change(op, operand, made)

    return edit


def one_up(value: Array) -> Array:
    """One element is off by a step; of floats, the largest by 2 %."""
    flat = value.reshape(-1).copy()
    at = int(np.argmax(np.abs(flat.astype(np.float64))))
    if value.dtype.kind == "f":
        flat[at] *= value.dtype.type(1.02)
    else:
        flat[at] += 1 if flat[at] < 0 else -1
    return flat.reshape(value.shape)


def all_up(value: Array) -> Array:
    """Every weight is off by one step: a forgotten zero point."""
    info = np.iinfo(value.dtype)
    return np.clip(value.astype(np.int64) + 1, info.min, info.max).astype(value.dtype)


def transposed_kernel(value: Array) -> Array:
    """Height and width of a filter are swapped, where that leaves its shape."""
    return value.transpose(0, 2, 1, 3) if value.ndim == 4 and value.shape[1] == value.shape[2] else value


def mirrored_kernel(value: Array) -> Array:
    """A convolution in the place of a correlation."""
    return value[:, ::-1, ::-1, :] if value.ndim == 4 else value


def rolled(axis: int, value: Array) -> Array:
    """Channels are off by one."""
    return np.roll(value, 1, axis) if value.ndim else value


def transposed_matrix(value: Array) -> Array:
    """A square matrix, transposed."""
    return value.T if value.ndim == 2 and value.shape[0] == value.shape[1] else value


def zeroed(value: Array) -> Array:
    """Nothing but zeros: a bias that was dropped."""
    return np.zeros_like(value)


def half_precision(value: Array) -> Array:
    """Weights with the seven bits of a bfloat16 after the point (truncated)."""
    if value.dtype != np.float32:
        return value
    return (value.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def neighbour_scale(model: Edited, op: Any, case: Case | None, operand: int = 1) -> bool:
    """Every channel of the weights is quantised by its neighbour's scale: the file's scales are rolled."""
    if operand >= len(op.inputs) or op.inputs[operand] < 0 or model.constant(int(op.inputs[operand])) is None:
        return False
    scales = model.scales(int(op.inputs[operand]))
    if scales.size < 2 or np.array_equal(np.roll(scales, 1), scales):
        return False
    index = model.twin(int(op.inputs[operand]))
    model.tensor(index).quantization.scale = np.roll(scales, 1).tolist()
    op.inputs = [*op.inputs[:operand], index, *op.inputs[operand + 1 :]]
    return True


def one_scale(model: Edited, op: Any, case: Case | None) -> bool:
    """The first channel's scale serves all."""
    if len(op.inputs) < 2 or model.constant(int(op.inputs[1])) is None:
        return False
    scales = model.scales(int(op.inputs[1]))
    if scales.size < 2 or np.all(scales == scales[0]):
        return False
    index = model.twin(int(op.inputs[1]))
    model.tensor(index).quantization.scale = [float(scales[0])] * scales.size
    op.inputs = [op.inputs[0], index, *op.inputs[2:]]
    return True


def scale_of_constant(factor: float, model: Edited, op: Any, case: Case | None) -> bool:
    """A constant operand's scale is off by a factor (its integers were made with the right one)."""
    for k, index in enumerate(op.inputs):
        if index >= 0 and model.constant(int(index)) is not None and model.scale(int(index)):
            made = model.twin(int(index))
            model.tensor(made).quantization.scale = (model.scales(int(index)) * factor).tolist()
            op.inputs = [*op.inputs[:k], made, *op.inputs[k + 1 :]]
            return bool(np.any(model.constant(made)))
    return False


def zero_of_constant(model: Edited, op: Any, case: Case | None) -> bool:
    """A constant operand's zero point is off by one."""
    for k, index in enumerate(op.inputs):
        if index >= 0 and model.constant(int(index)) is not None and len(model.scales(int(index))) == 1:
            if model.tensor(int(index)).type != 9:  # TensorType.INT8: the others must have zero
                continue
            made = model.twin(int(index))
            zero = model.zero(int(index))
            model.tensor(made).quantization.zeroPoint = [zero + 1 if zero < 127 else zero - 1]
            op.inputs = [*op.inputs[:k], made, *op.inputs[k + 1 :]]
            return True
    return False


_RESCALING = frozenset(
    {
        *(
            "CONV_2D",
            "DEPTHWISE_CONV_2D",
            "FULLY_CONNECTED",
            "ADD",
            "SUB",
            "MUL",
            "DEQUANTIZE",
            "QUANTIZE",
            "MEAN",
            "TANH",
        )
    }
)
"""Readers that take a tensor of any scale; others want that of their result."""


def _free_range(model: Edited, op: Any) -> bool:
    """Whether the scale of a result can be changed without making the model invalid."""
    index = int(op.outputs[0])
    readers = [other for other in model.graph.operators if index in list(other.inputs)]
    return bool(model.scale(index)) and all(model.name(other) in _RESCALING for other in readers)


def saturating_range(model: Edited, op: Any, case: Case | None) -> bool:
    """The result's scale is half of what calibration asked for: large values saturate."""
    index = int(op.outputs[0])
    if not _free_range(model, op):
        return False
    model.tensor(index).quantization.scale = [model.scale(index) / 2]
    return True


def coarse_range(model: Edited, op: Any, case: Case | None) -> bool:
    """The result's scale is sixteen times what calibration asked for: four bits of eight are left."""
    index = int(op.outputs[0])
    if not _free_range(model, op):
        return False
    model.tensor(index).quantization.scale = [model.scale(index) * 16]
    return True


def drop_bias(model: Edited, op: Any, case: Case | None) -> bool:
    """The bias is not there."""
    at = 3 if model.name(op) == "TRANSPOSE_CONV" else 2
    if len(op.inputs) <= at or op.inputs[at] < 0:
        return False
    return model.change(op, at, zeroed)


def batch_norm_epsilon(model: Edited, op: Any, case: Case | None) -> bool:
    """A batch normalisation that was folded into a filter with ten times its epsilon.

    With r = sqrt(variance + e) / sqrt(variance + 10 e) a channel, weights become w r and the bias
    beta - (beta - b) r (Keras: y = gamma (x - mean) / sqrt(variance + e) + beta, folded).
    """
    if case is None or len(op.inputs) < 3:
        return False
    bias = model.constant(int(op.inputs[2])) if op.inputs[2] >= 0 else None
    for node, weights in zip(case.model.nodes, weights_of(case), strict=True):
        if node.op != "batch_norm" or bias is None or weights["variance"].size != bias.size:
            continue
        variance = weights["variance"].astype(np.float64)
        epsilon = float(node.attrs.get("epsilon", _BATCH_NORM_EPSILON))  # type: ignore[arg-type]
        with np.errstate(invalid="ignore"):
            ratio = np.sqrt((variance + epsilon) / (variance + 10 * epsilon))
        if not np.all(np.isfinite(ratio)):
            return False
        axis = 3 if model.name(op) == "DEPTHWISE_CONV_2D" else 0

        def scaled(value: Array, ratio: Array = ratio, axis: int = axis) -> Array:
            shape = [1] * value.ndim
            shape[axis] = ratio.size
            made: Array = (value * ratio.reshape(shape)).astype(value.dtype)
            return made

        beta = weights["beta"].astype(np.float64) if "beta" in weights else np.zeros_like(ratio)
        if bias.dtype != np.float32 or not model.change(op, 1, scaled):
            return False
        model.give(op, 2, (beta - (beta - bias) * ratio).astype(np.float32))
        return True
    return False


def next_index(value: Array) -> Array:
    """Indices off by one, within their range."""
    return np.roll(value.reshape(-1), 1).reshape(value.shape) if np.ptp(value) else np.maximum(value - 1, 0)


def swapped_pads(value: Array) -> Array:
    """Padding before and after are swapped."""
    return value[:, ::-1] if value.ndim == 2 and value.shape[1] == 2 else value


def swapped_last_axes(value: Array) -> Array:
    """The last two entries of a permutation are swapped."""
    made = value.copy()
    if made.ndim == 1 and made.size >= 2:
        made[-2:] = made[-2:][::-1]
    return made


rolled_outputs = partial(rolled, 0)
rolled_channels = partial(rolled, -1)
