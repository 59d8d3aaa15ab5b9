"""Tampering with results: what a kernel writes, or does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzer.build import Array
from scripts.defects.defect import Tamper
from scripts.defects.stepped import Site

_memory = np.random.default_rng(0)
"""What is in memory that nobody wrote to: other numbers every time, the same ones in every measurement."""


def forget() -> None:
    """Starts the numbers afresh."""
    global _memory
    _memory = np.random.default_rng(0)


def _first(change: Any) -> Tamper:
    """Changes the first result, when it has elements, by a function of the site, the operands and the result."""

    def tamper(site: Site, operands: list[Any], results: list[Any]) -> list[Any]:
        if not results or results[0].size == 0 or results[0].dtype.kind not in "fiu":
            return results
        # A result without axes comes as a NumPy scalar, which nothing can be written into.
        return [np.asarray(change(site, operands, np.array(results[0]))), *results[1:]]

    return tamper


def _stepped(value: Array, at: int, by: int = 1) -> Array:
    flat = value.reshape(-1)
    before = int(flat[at])
    flat[at] = before + by if before + by <= np.iinfo(flat.dtype).max else before - by
    return value


@_first
def one_step(site: Site, operands: list[Any], result: Array) -> Array:
    """One element is off by one quantisation step (its place depends on nothing but the size)."""
    return _stepped(result, result.size // 2)


@_first
def two_steps(site: Site, operands: list[Any], result: Array) -> Array:
    """One element is off by two quantisation steps."""
    return _stepped(result, result.size // 2, 2)


@_first
def all_one_step(site: Site, operands: list[Any], result: Array) -> Array:
    """Every element is one step too high: a zero point off by one."""
    info = np.iinfo(result.dtype)
    return np.minimum(result.astype(np.int64) + 1, info.max).astype(result.dtype)


@_first
def one_element(site: Site, operands: list[Any], result: Array) -> Array:
    """One float is off by 1 % of the largest."""
    flat = result.reshape(-1)
    flat[flat.size // 2] += np.asarray(0.01 * np.abs(flat).max(), flat.dtype)
    return result


@_first
def one_ulp(site: Site, operands: list[Any], result: Array) -> Array:
    """Every float is its upper neighbour: a rounding, which nobody calls a defect."""
    return np.nextafter(result, np.asarray(np.inf, result.dtype)) if result.dtype.kind == "f" else result


@_first
def no_denormals(site: Site, operands: list[Any], result: Array) -> Array:
    """Denormal results are zero, which every runtime may make of them."""
    return np.where(np.abs(result) < np.finfo(np.float32).tiny, np.zeros((), result.dtype), result)


@_first
def half_precision(site: Site, operands: list[Any], result: Array) -> Array:
    """Sums are kept in float16 (11 bits)."""
    with np.errstate(over="ignore"):
        return np.nan_to_num(result.astype(np.float16)).astype(result.dtype)


@_first
def tail_zero(site: Site, operands: list[Any], result: Array) -> Array:
    """The rest after whole vectors of four is not computed."""
    flat = result.reshape(-1)
    flat[flat.size - (flat.size % 4 or 1) :] = 0
    return result


@_first
def tail_garbage(site: Site, operands: list[Any], result: Array) -> Array:
    """The rest after whole vectors of eight holds what was in memory: another number every time."""
    flat = result.reshape(-1)
    count = flat.size % 8 or 1
    flat[-count:] = _memory.integers(-100, 100, count).astype(flat.dtype)
    return result


@_first
def last_channel_zero(site: Site, operands: list[Any], result: Array) -> Array:
    """The last channel is not computed."""
    if result.ndim:
        result[..., -1] = site.zero
    return result


@_first
def rows_swapped(site: Site, operands: list[Any], result: Array) -> Array:
    """Where the width is odd, two neighbouring columns come in the wrong order."""
    if result.ndim >= 2 and result.shape[-2] % 2 and result.shape[-2] > 1:
        result[..., [0, 1], :] = result[..., [1, 0], :]
    elif result.ndim and result.shape[-1] > 1:
        result[..., [0, 1]] = result[..., [1, 0]]
    return result


@_first
def repeats_first_batch(site: Site, operands: list[Any], result: Array) -> Array:
    """Every batch is the first one."""
    if result.ndim >= 2:
        result[:] = result[:1]
    return result


@_first
def nan_for_large(site: Site, operands: list[Any], result: Array) -> Array:
    """NaN where the operand is beyond 2: a polynomial outside of its range."""
    if operands[0] is not None and operands[0].shape == result.shape and result.dtype.kind == "f":
        result[np.abs(operands[0]) > 2] = np.nan
    return result


@_first
def infinity_for_large(site: Site, operands: list[Any], result: Array) -> Array:
    """Infinity for the largest result: an intermediate that overflows."""
    if result.dtype.kind == "f":
        result.reshape(-1)[int(np.argmax(result))] = np.inf
    return result


@_first
def rough_function(site: Site, operands: list[Any], result: Array) -> Array:
    """An approximation that is off by 1e-3."""
    return result * np.asarray(1.001, result.dtype) if result.dtype.kind == "f" else result


@_first
def low_clamp(site: Site, operands: list[Any], result: Array) -> Array:
    """Results are clamped at three quarters of the largest."""
    top = np.asarray(0.75 * float(np.abs(result.astype(np.float64) - site.zero).max()) + site.zero)
    return np.minimum(result, top.astype(result.dtype))


# --- from the operands ------------------------------------------------------------------------------------


def _real(site: Site, operand: int, value: Array) -> Array:
    """An operand in real numbers, by its scales."""
    index = int(site.op.inputs[operand])
    scales = site.model.scales(index)
    if value.dtype.kind == "f" or not scales.size:
        return value.astype(np.float64)
    if scales.size > 1:
        shape = [1] * value.ndim
        shape[int(site.model.tensor(index).quantization.quantizedDimension)] = scales.size
        scales = scales.reshape(shape)
    return (value.astype(np.float64) - site.model.zero(index)) * scales


def _exact(site: Site, operands: list[Any]) -> Array | None:
    """The first result in units of its scale, before rounding; None where it is not computed here."""
    made = int(site.op.outputs[0])
    scale = site.model.scale(made)
    values = [None if v is None else _real(site, k, v) for k, v in enumerate(operands)]
    if not scale or values[0] is None:
        return None
    if site.name == "ADD":
        result = values[0] + values[1]
    elif site.name == "SUB":
        result = values[0] - values[1]
    elif site.name == "MUL":
        result = values[0] * values[1]
    elif site.name == "LOGISTIC":
        result = 1 / (1 + np.exp(-values[0]))
    elif site.name == "TANH":
        result = np.tanh(values[0])
    elif site.name == "LEAKY_RELU":
        result = np.where(values[0] >= 0, values[0], values[0] * site.op.builtinOptions.alpha)
    elif site.name == "QUANTIZE":
        result = values[0]
    elif site.name == "MEAN":
        result = values[0].mean(tuple(int(a) for a in operands[1].reshape(-1)), keepdims=True)
    elif site.name == "FULLY_CONNECTED":
        flat = values[0].reshape(-1, values[1].shape[1])
        result = flat @ values[1].T + (0.0 if len(values) < 3 or values[2] is None else values[2])
    else:
        return None
    return np.asarray(result) / scale + site.model.zero(made)


@_first
def truncated(site: Site, operands: list[Any], result: Array) -> Array:
    """Results are truncated towards zero instead of rounded."""
    exact = _exact(site, operands)
    if exact is None or exact.size != result.size:
        return result
    zero = site.model.zero(int(site.op.outputs[0]))
    cut = (np.trunc(exact - zero) + zero).reshape(result.shape)
    near = np.abs(cut - result) <= 1  # elsewhere an activation or the type clamps
    return np.where(near, cut, result).astype(result.dtype)


def _requantised(site: Site, real: Array, result: Array) -> Array:
    made = int(site.op.outputs[0])
    info = np.iinfo(result.dtype)
    raw = np.rint(real / site.model.scale(made)) + site.model.zero(made)
    return np.clip(raw, info.min, info.max).astype(result.dtype).reshape(result.shape)


@_first
def narrow_accumulator(site: Site, operands: list[Any], result: Array) -> Array:
    """Sums of products wrap at 16 bits (int8) or at 31 - 8 = 23 (int16): an accumulator that is too narrow."""
    data, weights = operands[0], operands[1]
    if weights is None or weights.ndim != 2 or data is None or data.dtype.kind not in "iu":
        return result
    index = int(site.op.inputs[0])
    given = data.reshape(-1, weights.shape[1]).astype(np.int64) - site.model.zero(index)
    sums = given @ weights.T.astype(np.int64)
    half = 1 << (15 if data.dtype == np.int8 else 23)
    wrapped = (sums + half) % (2 * half) - half
    lost = wrapped != sums
    bias = operands[2].astype(np.int64) if len(operands) > 2 and operands[2] is not None else 0
    scale = site.model.scale(index) * site.model.scales(int(site.op.inputs[1]))
    wrong = _requantised(site, (wrapped + bias) * scale, result)
    return np.where(lost.reshape(result.shape), wrong, result)


@_first
def shift_overflow(site: Site, operands: list[Any], result: Array) -> Array:
    """Operands are shifted left by 24 bits instead of 20 before they are rescaled: beyond 127 an int32 wraps."""
    if any(v is None or v.dtype != np.int8 for v in operands[:2]):
        return result
    real = []
    for k in (0, 1):
        index = int(site.op.inputs[k])
        apart = operands[k].astype(np.int64) - site.model.zero(index)
        real.append(((apart + 128) % 256 - 128) * site.model.scale(index))
    wrong = _requantised(site, real[0] + real[1], result)
    lost = [np.abs(operands[k].astype(np.int64) - site.model.zero(int(site.op.inputs[k]))) > 127 for k in (0, 1)]
    return np.where(np.broadcast_to(lost[0] | lost[1], result.shape), wrong, result)


@_first
def no_rescale(site: Site, operands: list[Any], result: Array) -> Array:
    """Inputs of other scales than the result's are copied as they are."""
    axis = int(getattr(site.op.builtinOptions, "axis", 0)) % max(result.ndim, 1)
    if any(v is None for v in operands):
        return result
    wrong = np.concatenate(operands, axis) if len(operands) > 1 else operands[0].reshape(result.shape)
    return wrong if wrong.shape == result.shape else result


# --- state ------------------------------------------------------------------------------------------------


@_first
def stale(site: Site, operands: list[Any], result: Array) -> Array:
    """From the second invocation on the result is the first one's."""
    return site.kept.setdefault("first", result.copy()) if site.invocation > 0 else site.keep("first", result)


@_first
def accumulates(site: Site, operands: list[Any], result: Array) -> Array:
    """The result is added to that of the invocation before."""
    before = site.kept.get("sum")
    made = result if before is None else (result + before).astype(result.dtype)
    site.kept["sum"] = made.copy()
    return made


@_first
def racing(site: Site, operands: list[Any], result: Array) -> Array:
    """With several threads the second half of the result is not ready when it is read."""
    if site.threads > 1:
        result.reshape(-1)[result.size // 2 :] = site.zero
    return result


@_first
def overwritten(site: Site, operands: list[Any], result: Array) -> Array:
    """In a model of several operators the memory planner gives the first half of a live result to another tensor."""
    if site.whole and not site.preserved and result.dtype.kind == "f":
        result.reshape(-1)[: (result.size + 1) // 2] = 0.75
    elif site.whole and not site.preserved:
        result.reshape(-1)[: (result.size + 1) // 2] = 21
    return result


@_first
def chance(site: Site, operands: list[Any], result: Array) -> Array:
    """One element is another number at every invocation."""
    flat = result.reshape(-1)
    if flat.dtype.kind == "f":
        flat[0] += flat.dtype.type(_memory.uniform(0.5, 1.0) * max(1.0, float(np.abs(flat).max())))
    else:
        flat[0] = _memory.integers(-100, 100)
    return result
