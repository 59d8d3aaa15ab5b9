"""Edits of an operator's options, operands and code."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzer.case import Case
from scripts.defects.defect import Edit
from scripts.defects.flat import Edited, schema


def option(name: str, change: Any) -> Edit:
    """Sets an option to a function of its value."""

    def edit(model: Edited, op: Any, case: Case | None) -> bool:
        before = getattr(op.builtinOptions, name, None)
        if before is None:
            return False
        after = change(before)
        setattr(op.builtinOptions, name, after)
        return bool(after != before)

    return edit


def activation(given: str, made: str) -> Edit:
    """Another fused activation in the place of one."""

    def edit(model: Edited, op: Any, case: Case | None) -> bool:
        names = schema().ActivationFunctionType
        if getattr(op.builtinOptions, "fusedActivationFunction", None) != getattr(names, given):
            return False
        op.builtinOptions.fusedActivationFunction = getattr(names, made)
        return True

    return edit


def operator(made: str, options: str = "") -> Edit:
    """Another operator in the place of one, with the same operands."""

    def edit(model: Edited, op: Any, case: Case | None) -> bool:
        op.opcodeIndex = model.code(made)
        op.builtinOptionsType = getattr(schema().BuiltinOptions, options) if options else 0
        op.builtinOptions = getattr(schema(), f"{options}T")() if options else None
        return True

    return edit


def other_centres(model: Edited, op: Any, case: Case | None) -> bool:
    """Pixels are taken at their other corner; not beside aligned corners, which exclude half-pixel centres."""
    if op.builtinOptions.alignCorners:
        return False
    op.builtinOptions.halfPixelCenters = not op.builtinOptions.halfPixelCenters
    return True


def swapped_operands(model: Edited, op: Any, case: Case | None) -> bool:
    """The first two operands, of one shape, are swapped."""
    if len(op.inputs) < 2 or op.inputs[0] == op.inputs[1]:
        return False
    if model.shape(int(op.inputs[0])) != model.shape(int(op.inputs[1])):
        return False
    op.inputs = [op.inputs[1], op.inputs[0], *op.inputs[2:]]
    return True


def first_operand_twice(model: Edited, op: Any, case: Case | None) -> bool:
    """The second operand is read as the first again."""
    if len(op.inputs) < 2 or op.inputs[0] == op.inputs[1]:
        return False
    if model.shape(int(op.inputs[0])) != model.shape(int(op.inputs[1])):
        return False
    op.inputs = [op.inputs[0], op.inputs[0], *op.inputs[2:]]
    return True


def no_dilation(model: Edited, op: Any, case: Case | None) -> bool:
    """The dilation is forgotten; with SAME padding the result keeps its shape."""
    options = op.builtinOptions
    if options.padding != schema().Padding.SAME or options.dilationHFactor == options.dilationWFactor == 1:
        return False
    options.dilationHFactor = options.dilationWFactor = 1
    return True


def wider_pool(model: Edited, op: Any, case: Case | None) -> bool:
    """The window is wider by one; with SAME padding the result keeps its shape."""
    options = op.builtinOptions
    if options.padding != schema().Padding.SAME:
        return False
    options.filterWidth += 1
    return model.shape(int(op.inputs[0]))[2] > 1


def padding_on_other_side(model: Edited, op: Any, case: Case | None) -> bool:
    """SAME padding of an odd number puts the surplus before instead of after: a PAD and a VALID convolution.

    After (height, width) = max((ceil(n / stride) - 1) * stride + size - n, 0), of which SAME puts the smaller half
    before (TensorFlow, `GetWindowedOutputSizeVerbose`).
    """
    options, shape = op.builtinOptions, model.shape(int(op.inputs[0]))
    weights = model.shape(int(op.inputs[1]))
    if options.padding != schema().Padding.SAME or len(shape) != 4 or min(shape) < 1:
        return False
    if options.dilationHFactor != 1 or options.dilationWFactor != 1:
        return False
    pads = [[0, 0]]
    for size, window, stride in ((shape[1], weights[1], options.strideH), (shape[2], weights[2], options.strideW)):
        whole = max((-(-size // stride) - 1) * stride + window - size, 0)
        pads.append([whole - whole // 2, whole // 2])
    pads.append([0, 0])
    if all(before == after for before, after in pads):
        return False
    _pad_first(model, op, np.asarray(pads, np.int32))
    options.padding = schema().Padding.VALID
    return True


def _pad_first(model: Edited, op: Any, pads: Any) -> None:
    s = schema()
    data = int(op.inputs[0])
    padded = model.twin(data)
    tensor = model.tensor(padded)
    tensor.name, tensor.shapeSignature = b"padded", None
    tensor.shape = [int(n) + int(p) for n, p in zip(model.shape(data), pads.sum(1), strict=True)]
    amounts = s.TensorT()
    amounts.shape, amounts.type, amounts.name = list(pads.shape), s.TensorType.INT32, b"pads"
    buffer = s.BufferT()
    buffer.data = np.frombuffer(pads.tobytes(), np.uint8)
    model.model.buffers.append(buffer)
    amounts.buffer = len(model.model.buffers) - 1
    model.graph.tensors.append(amounts)
    made = s.OperatorT()
    made.opcodeIndex = model.code("PAD")
    made.inputs, made.outputs = [data, len(model.graph.tensors) - 1], [padded]
    made.builtinOptionsType, made.builtinOptions = s.BuiltinOptions.PadOptions, s.PadOptionsT()
    operators = list(model.graph.operators)
    operators.insert(next(i for i, other in enumerate(operators) if other is op), made)
    model.graph.operators = operators
    op.inputs = [padded, *op.inputs[1:]]


def neighbour_of_square(model: Edited, op: Any, case: Case | None) -> bool:
    """A reduction over the other axis of a square: the shape says nothing."""
    axes = model.constant(int(op.inputs[1])) if len(op.inputs) > 1 else None
    shape = model.shape(int(op.inputs[0]))
    if axes is None or axes.size != 1 or len(shape) < 2:
        return False
    at = int(axes.reshape(-1)[0]) % len(shape)
    other = next((k for k in range(len(shape)) if k != at and shape[k] == shape[at] > 1), None)
    if other is None:
        return False
    model.give(op, 1, np.full(axes.shape, other, axes.dtype))
    return True
