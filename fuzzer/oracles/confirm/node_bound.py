"""What two sound kernels of one operator may differ by, and where nothing is promised."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat, FlatOp
from fuzzer.oracles import ranges
from fuzzer.oracles.confirm.parts import FLOAT_UNIT, invoke, nudged
from fuzzer.oracles.divergence import real_pair

MAX_STEPS = 1.0
"""Two correct roundings of one real number differ by at most one quantisation step (TFLite 8-bit quantisation
specification, rounding of the requantisation is left to the kernel)."""
MAX_STEPS_16 = 2.0
"""16-bit tables interpolate; reference and optimised kernels round the interpolation separately."""
FLOAT_FACTOR = 16.0
PERTURBATIONS = 4
MAX_RESCALE = 2.0**31
"""Kernels multiply by a 32-bit fixed-point number; beyond it each saturates in its own way (`QuantizeMultiplier`)."""
_ALONE = frozenset(
    {
        *("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG"),
        *("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "ROUND", "RSQRT", "SIGN", "SIN", "SQRT", "SQUARE", "TANH"),
    }
)
"""Functions of one number: nothing is summed, so a pole is a pole in any order and huge operands are plain ones."""
_PRODUCTS = frozenset({"BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "TRANSPOSE_CONV"})
"""Operators that multiply their first two quantised operands, so that the scales of these multiply too."""
_SUMMING = frozenset({"SOFTMAX", "LOG_SOFTMAX", "SUM", "MEAN", "CUMSUM", "L2_NORMALIZATION", "AVERAGE_POOL_2D"})
"""Operators whose reference kernels add one term after the other to one float."""
_CANCELLING = frozenset({"GELU"})
"""x (1 + erf(x / sqrt 2)) / 2: for negative x the sum is a rounding of one."""
Rerun = Callable[[Callable[[Array], Array]], "list[Array] | None"]
"""Runs an operator again on operands that a function has moved."""


def _rescales(flat: Flat, op: FlatOp) -> bool:
    """Whether the scales of an operator are numbers that fixed-point arithmetic can express."""
    given = [flat.tensors[i].scales for i in op.inputs if i >= 0 and flat.tensors[i].scales]
    made = [s for i in op.outputs for s in flat.tensors[i].scales]
    if any(s < ranges.TINY for s in (*made, *(s for scales in given for s in scales))):
        return False
    largest = [max(scales) for scales in given]
    factor = math.prod(largest[:2]) if op.name in _PRODUCTS else max(largest, default=0.0)
    return not made or factor / min(made) < MAX_RESCALE


MAX_CODE = 2.0**31
"""Steps from zero that no kernel can count: it rounds to an int32 before it saturates (`AffineQuantize`,
affine_quantize.h), and a float beyond an integer type has no value in it (C++20, 7.3.10)."""


def meaningful(flat: Flat, op: FlatOp, tensors: dict[int, Array]) -> bool:
    """Whether an operator's result is promised for these operands: see `ranges`."""
    if not _rescales(flat, op):
        return False
    for i in op.inputs:
        if i < 0 or i not in tensors:
            continue
        if not all(np.isfinite(s) and s < ranges.limit("float32") for s in flat.tensors[i].scales):
            return False  # the quantiser's own infinity
        value = tensors[i]
        if value.dtype.kind != "f":
            continue
        if not ranges.finite(value):
            return False
        largest = float(np.abs(value).max(initial=0.0))
        steps = flat.tensors[op.outputs[0]].scales if op.name == "QUANTIZE" else ()
        if steps and largest >= MAX_CODE * min(steps):
            return False
        if op.name not in _ALONE and largest > ranges.limit(value.dtype.name):
            return False
    return True


def apart_of(
    op: FlatOp, actual: NDArray[np.float64], expected: NDArray[np.float64], dtype: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How far finite elements are apart, and where one side is not finite and should be.

    Results near overflow are left out: a sum may overflow in one order and not in another, and an exponential in one
    approximation and not in another.
    """
    safe = np.inf if dtype not in ranges.LARGEST else ranges.limit(dtype)
    with np.errstate(invalid="ignore"):
        left, right = np.abs(expected) <= safe, np.abs(actual) <= safe
    apart = np.where(left & right, np.abs(np.where(left, expected, 0.0) - np.where(right, actual, 0.0)), 0.0)
    special = (left & ~np.isfinite(actual)) | (right & ~np.isfinite(expected))
    if op.name in _ALONE:
        special |= np.isnan(expected) != np.isnan(actual)
    return apart, special


def flushed(op: FlatOp, base: str, content: bytes, tensors: dict[int, Array]) -> list[Array] | None:
    """The base's results on operands without denormals; None where there are none to begin with."""
    given = [tensors[i] for i in op.inputs if i in tensors and tensors[i].dtype.kind == "f"]
    if all(np.array_equal(ranges.flushed(value), value) for value in given):
        return None
    return invoke(base, content, tensors, ranges.flushed)


def undefined(op: FlatOp, want: Array, tensors: dict[int, Array]) -> bool:
    """Whether the result has no meaning: NaN, infinity or what is beyond the type as an integer (C++20, 7.3.10)."""
    if op.name != "CAST" or want.dtype.kind not in "iu":
        return False
    given = tensors[op.inputs[0]]
    return given.dtype.kind in "fc" and not ranges.fits(given.real, str(want.dtype))


def bound_of(
    flat: Flat, op: FlatOp, output: int, want: Array, rerun: Rerun, tensors: dict[int, Array]
) -> tuple[NDArray[np.float64], str]:
    """How far two sound kernels may be apart, per element, and the unit of that."""
    if want.dtype.kind in "bOSU" or (want.dtype.kind in "iu" and not flat.tensors[op.outputs[output]].scales):
        # The same operands: a comparison, or what only moves or counts elements, has one right result.
        return np.full(want.shape, 0.5), "elements"
    if want.dtype.kind in "iu":
        limit = MAX_STEPS_16 if want.dtype == np.int16 else MAX_STEPS
        return np.full(want.shape, limit), "steps"
    sizes = np.nan_to_num(np.abs(want if want.dtype.kind == "c" else want.astype(np.float64)))
    largest = max(float(sizes.max(initial=0.0)), _range(flat, op), _cancelled(op, tensors))
    # Recursive summation of n numbers is off by up to n - 1 roundings of the sum of their magnitudes (Higham, 4.2).
    slack = largest * max(8.0, terms(flat, op)) * FLOAT_UNIT
    if kernel_kind(flat, op) == "hybrid":
        return np.full(want.shape, _hybrid_bound(flat, op, tensors) + slack), "absolute"
    motion = np.zeros(want.shape)
    for seed in range(PERTURBATIONS):
        random = np.random.RandomState(seed)
        moved = rerun(partial(nudged, random=random))
        if moved and moved[output].shape == want.shape:
            after, before = real_pair(moved[output], want)
            motion = np.maximum(motion, np.abs(after - before))
    return FLOAT_FACTOR * np.nan_to_num(np.maximum(motion, motion.mean()), nan=0.0) + slack, "absolute"


def _cancelled(op: FlatOp, tensors: dict[int, Array]) -> float:
    """The largest operand of a function that multiplies it with a difference: it cancels, and the rounding stays."""
    if op.name not in _CANCELLING:
        return 0.0
    value = np.abs(tensors[op.inputs[0]].astype(np.float64))
    return float(np.nan_to_num(value, posinf=0.0).max(initial=0.0))


def terms(flat: Flat, op: FlatOp) -> float:
    """How many numbers an operator adds up one after the other; 1 where it adds none that way."""
    if op.name not in _SUMMING or not op.inputs or op.inputs[0] < 0:
        return 1.0
    shape, made = flat.tensors[op.inputs[0]].shape, flat.tensors[op.outputs[0]].shape
    size, left = float(np.prod([abs(n) for n in shape])), float(np.prod([abs(n) for n in made]))
    return max(float(abs(shape[-1])) if shape else 1.0, size / max(left, 1.0))


def _range(flat: Flat, op: FlatOp) -> float:
    """The largest real number a quantised operand can hold: scale * (q - zero point) may be summed in parts."""
    scales = [flat.tensors[i].scale for i in op.inputs if i >= 0 and not flat.tensors[i].constant]
    return 255.0 * max(scales, default=0.0)


def _hybrid_bound(flat: Flat, op: FlatOp, tensors: dict[int, Array]) -> float:
    """Largest difference of two kernels that each quantise the activations to 8 bits in their own way.

    Each is off by at most half a step (largest magnitude / 127) an activation, so the products differ by at most
    one step times the L1 norm of an output channel's weights.
    """
    given = next(i for i in op.inputs if i >= 0 and not flat.tensors[i].constant)
    activation = tensors[given].astype(np.float64)
    step = float(np.abs(np.nan_to_num(activation)).max(initial=0.0)) / 127
    largest = 0.0
    for i in op.inputs:
        if i >= 0 and i in tensors and tensors[i].dtype in (np.int8, np.uint8) and flat.tensors[i].constant:
            weights = np.abs(tensors[i].astype(np.float64)) * max(flat.tensors[i].scales, default=1.0)
            axes = tuple(range(weights.ndim - 1)) if op.name == "DEPTHWISE_CONV_2D" else tuple(range(1, weights.ndim))
            largest = max(largest, float(weights.sum(axis=axes).max(initial=0.0)))
    return step * largest


def kernel_kind(flat: Flat, op: FlatOp) -> str:
    """Which kernel an operator uses: `float32`, `int8`, `int16`, or `hybrid` (float activations, integer weights).

    Its first operand that is no constant tells: a transposed convolution begins with the size of its result.
    """
    inputs = [flat.tensors[i] for i in op.inputs if i >= 0]
    data = next((t for t in inputs if not t.constant), inputs[0] if inputs else None)
    if data is None:
        return "?"
    integers = any(t.dtype in ("INT8", "UINT8", "INT4") and t.constant for t in inputs)
    return "hybrid" if data.dtype == "FLOAT32" and integers and not data.constant else data.dtype.lower()
