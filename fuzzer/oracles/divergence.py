"""How far apart the runs of a case are: measured once, read by oracles, features and statistics.

Float cases are compared with TensorFlow eager, quantised ones with the same flatbuffer under reference kernels:
a quantised model is meant to differ from its float original, its kernels are not meant to differ among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat
from fuzzer.execute.record import CaseRun, RuntimeRun, Slot

REFERENCE_RUNTIME = "tf-reference"
EAGER = "tensorflow"


@dataclass(frozen=True)
class Divergence:
    """One runtime against its base.

    `relative` is the largest error over the scale of its channel; `steps` the same in quantisation steps (None
    where the output has no scale); `specials` counts elements of which exactly one side is NaN, or infinite.
    `sample`, `output` and `index` say where the largest finite error is.
    """

    runtime: str
    base: str
    relative: float
    steps: float | None
    specials: int
    sample: int
    output: int
    index: tuple[int, ...]
    expected: float
    actual: float
    to_tensorflow: float
    """Relative error against TensorFlow's float result, for statistics: what quantisation costs."""


def base_of(record: CaseRun) -> str:
    """The name of what a case's runtimes are compared with."""
    if record.case.conversion.judged == "float32":
        return EAGER
    reference = record.runs.get(REFERENCE_RUNTIME)
    if reference is not None and reference.complete:
        return REFERENCE_RUNTIME
    return next((name for name, run in record.runs.items() if run.complete), EAGER)


def measure(record: CaseRun) -> dict[str, Divergence]:
    """Every complete runtime's divergence, by runtime. Runs of other shapes are left to the shape oracle."""
    base = base_of(record)
    expected = record.reference if base == EAGER else record.runs[base].samples
    result = {}
    for runtime, run in record.runs.items():
        if run.complete and _comparable(expected, run.samples):
            result[runtime] = _compare(record, run, base, expected)
    return result


def _comparable(left: list[list[Array]], right: list[list[Array]]) -> bool:
    return len(left) == len(right) and all(
        len(a) == len(b) and all(x.shape == y.shape for x, y in zip(a, b, strict=True))
        for a, b in zip(left, right, strict=True)
    )


def _compare(record: CaseRun, run: RuntimeRun, base: str, expected: list[list[Array]]) -> Divergence:
    worst: tuple[float, int, int] = (-1.0, 0, 0)
    specials = 0
    steps: float | None = None
    to_tensorflow = 0.0
    for s, outputs in enumerate(run.samples):
        for o, actual in enumerate(outputs):
            slot = run.outputs[o]
            want = expected[s][o]
            left, right = real_pair(actual, want, slot, slot if base != EAGER else None)
            relative, special = error(left, right)
            specials += special
            worst = max(worst, (relative, s, o))
            scale = step_of(record.flat, slot)
            if base != EAGER and scale:
                # Where one side is NaN or infinite, `specials` counts; elsewhere integers and floats are finite.
                left, right = real_pair(actual, want)
                both = np.isfinite(left) & np.isfinite(right)
                apart = float(np.max(np.where(both, np.abs(_finite(left) - _finite(right)), 0.0), initial=0.0))
                steps = max(steps or 0.0, apart if slot.scale else apart / scale)
            if base != EAGER:
                relative = _to_tensorflow(actual, record.reference[s][o], slot)
            to_tensorflow = max(to_tensorflow, relative)
    _, s, o = worst
    if not run.outputs:
        return Divergence(run.runtime, base, 0.0, None, 0, 0, 0, (), 0.0, 0.0, 0.0)
    slot = run.outputs[o]
    at, want_value, actual_value = _where(
        *real_pair(run.samples[s][o], expected[s][o], slot, slot if base != EAGER else None)
    )
    return Divergence(
        run.runtime, base, max(0.0, worst[0]), steps, specials, s, o, at, want_value, actual_value, to_tensorflow
    )


def _to_tensorflow(actual: Array, want: Array, slot: Slot) -> float:
    """The error against TensorFlow; none where shapes differ, which the shape oracle tells."""
    return error(*real_pair(actual, want, slot, None))[0] if actual.shape == want.shape else 0.0


def dtype_name(value: Array) -> str:
    """The dtype's name as cases have it: strings are objects to NumPy."""
    return "string" if value.dtype.kind in "OSU" else str(value.dtype)


def real_pair(
    actual: Array, expected: Array, actual_slot: Slot | None = None, expected_slot: Slot | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two tensors of one shape as real numbers whose difference says how far they are apart.

    Bools are 0 and 1. Equal strings are 1 and 1, unequal ones 0 and 1. Of complex numbers the expected one is its
    modulus, and the actual one is that plus the modulus of the difference.
    """
    if "string" in (dtype_name(actual), dtype_name(expected)):
        same = np.frompyfunc(_same_text, 2, 1)(actual, expected)
        return np.asarray(same, np.float64), np.ones(expected.shape)
    if "c" in (actual.dtype.kind, expected.dtype.kind):
        left, right = actual.astype(np.complex128), expected.astype(np.complex128)
        fine = np.isfinite(left) & np.isfinite(right)
        with np.errstate(all="ignore"):
            size, apart = np.abs(right), np.abs(left - right)
            return np.where(fine, size + apart, np.abs(left)), size
    return real(actual, actual_slot), real(expected, expected_slot)


def _same_text(left: object, right: object) -> float:
    return float(left == right)


def real(value: Array, slot: Slot | None) -> NDArray[np.float64]:
    """A tensor of numbers as real ones: integers of a quantised slot are dequantised."""
    raw = value.astype(np.float64)
    if slot is not None and slot.scale and value.dtype.kind in "iu":
        return (raw - slot.zero_point) * slot.scale
    return raw


def error(actual: NDArray[np.float64], expected: NDArray[np.float64]) -> tuple[float, int]:
    """Largest |actual - expected| over the largest |expected| of its channel, and the number of special mismatches.

    Channels (the last axis) have scales of their own: batch normalisation makes them differ by orders of magnitude.
    A channel that is nearly zero is measured by a millionth of the whole tensor's scale.
    """
    if actual.size == 0 or np.array_equal(actual, expected):
        return 0.0, 0
    finite = np.isfinite(actual) & np.isfinite(expected)
    special = int(np.sum((np.isnan(actual) != np.isnan(expected)) | (np.isinf(actual) != np.isinf(expected))))
    size = np.where(finite, np.abs(expected), 0.0)
    scale = size.max(axis=tuple(range(size.ndim - 1)), keepdims=True) if size.ndim > 1 else size.max(keepdims=True)
    floor = max(float(size.max()) * 1e-6, 1e-30)
    apart = np.where(finite, np.abs(np.where(finite, actual, 0.0) - np.where(finite, expected, 0.0)), 0.0)
    return float(np.max(apart / np.maximum(scale, floor))), special


def step_of(flat: Flat | None, slot: Slot) -> float:
    """One quantisation step of an output, in real units; 0.0 when the output is float by nature.

    A float output of an integer model is the result of a DEQUANTIZE, whose operand has the scale.
    """
    if slot.scale or flat is None:
        return slot.scale
    for op in flat.ops:
        if op.name == "DEQUANTIZE" and slot.index in op.outputs:
            return flat.tensors[op.inputs[0]].scale
    return 0.0


def _finite(value: Array) -> NDArray[np.float64]:
    return np.nan_to_num(value.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _where(actual: NDArray[np.float64], expected: NDArray[np.float64]) -> tuple[tuple[int, ...], float, float]:
    """Index, expected and actual value of the largest finite error."""
    if actual.size == 0:
        return (), 0.0, 0.0
    with np.errstate(all="ignore"):
        apart = np.nan_to_num(np.abs(actual - expected), nan=-1.0, posinf=-1.0)
    index = np.unravel_index(int(np.argmax(apart)), actual.shape)
    at = tuple(int(i) for i in index)
    return at, float(expected[at]), float(actual[at])
