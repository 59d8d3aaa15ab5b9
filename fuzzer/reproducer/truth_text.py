"""Judging against the float64 truth (`fuzzer.oracles.confirm.truth`), as the Python text of a reproducer."""

from __future__ import annotations

import math

from fuzzer.case import Case
from fuzzer.oracles.confirm.truth import (
    JUMP_FACTOR,
    JUMP_PERTURBATIONS,
    NUDGE,
    PERTURBATIONS,
    UNIT,
    coarsest,
    jumps,
)
from fuzzer.oracles.verdict import SPECIAL_OPERANDS, Kind, Verdict
from fuzzer.reproducer import layout
from fuzzer.reproducer.judge_text import count, judged, worst
from fuzzer.reproducer.model_text import needs_real
from fuzzer.reproducer.run_text import fill

_EVALUATE = '''

def evaluate(inputs, dtype@after@):
    """TensorFlow itself, op by op, with all floating-point numbers in `dtype`."""
    values = [@value@ for v in @values@]
    return [y.numpy()@number@ for y in tf.nest.flatten(model(*values@pass@))]
'''
_BOUND = '''

def bounds_of(tensorflow, truth):
    """A sound kernel's error: TensorFlow's own, or 1e-5 of the largest value."""
@exact@    largest = np.abs(truth[np.isfinite(truth)]).max(initial=0)
    return np.maximum(np.abs(tensorflow - truth), 1e-5 * largest)
'''
_EXACT = """    if truth.dtype.kind in "iuO":
        return np.full(truth.shape, 0.1)
"""
_MOTION = '''

def truth_and_bounds(inputs):
    """The outputs in float64, and how far from them a sound result in @own@ may be.

    That is the larger of the error of TensorFlow itself and of how far an element moves
    when every weight, input and intermediate value moves by up to @moves@,
    plus two roundings of the largest intermediate value.
    """
    rounding, largest = @unit@, 0.0

    def watch(value):
        nonlocal largest
        if value.dtype.is_floating:
            size = np.nan_to_num(np.abs(value.numpy()), nan=0.0, posinf=0.0)
            largest = max(largest, size.max(initial=0.0))
        return value

    truth = evaluate(inputs, "float64", after=watch)
    motion = [np.abs(y - v) for y, v in zip(evaluate(inputs, @dtype@), truth)]
    for seed in range(@count@):
        random = np.random.RandomState(seed)

        def move(value):
            if not value.dtype.is_floating:
                return value
            noise = random.uniform(-1.0, 1.0, value.shape)
            @end@value * (1.0 + @factor@rounding * noise)@nudge@

        moved = evaluate(inputs, "float64", before=move, after=move)
        motion = [np.maximum(m, np.abs(y - v)) for m, y, v in zip(motion, moved, truth)]
    motion = [np.nan_to_num(m, nan=np.inf) for m in motion]
    bounds = []
    for m in motion:
        finite = m[np.isfinite(m)]
        mean = finite.mean() if finite.size else 0.0
        bounds.append(np.maximum(m, 0.25 * mean) + 2 * rounding * largest)
    return truth, bounds
'''
_FURTHEST = "Prints the element that is furthest off, in bounds, and returns how many."
_IN_BOUNDS = """sound = np.isfinite(y) & np.isfinite(v) & np.isfinite(bound)
error = np.where(sound, np.abs(y.astype(np.float64) - v), 0.0)
apart = np.where(sound, error / np.maximum(bound, 1e-30), 0.0)"""
_SIMPLE_BOUNDS = """truth = [y for inputs in samples for y in evaluate(inputs, "float64")]"""
_FULL_BOUNDS = """truth, bounds = [], []
for inputs in samples:
    for values, made in zip((truth, bounds), truth_and_bounds(inputs)):
        values += made"""


def evaluate(case: Case, tracked: bool) -> list[str]:
    """The function `evaluate`: the model in TensorFlow, weights first."""
    value = "v.astype(dtype)"
    if own_dtype(case) is None:
        real = 'v.dtype.kind == "f"'
        if any(t.dtype == "bfloat16" for t in case.model.types.values()):
            real = 'v.dtype.kind in "fV"'  # what NumPy says of bfloat16
        value = f"v.astype(dtype) if dtype and {real} else v"
    value = f"tf.constant({value})"
    weights = [f"{t.name}_{s.name}" for t in case.model.typed for s in t.slots]
    values = f"[{', '.join(weights)}, *inputs]" if weights else "inputs"
    after = ", before=lambda v: v, after=lambda v: v" if tracked else ""
    bools = any(t.dtype == "bool" for t in case.model.output_types)
    lines = fill(
        _EVALUATE,
        number=" * 1" if bools else "",
        after=after,
        value=f"before({value})" if tracked else value,
        values=values,
        **{"pass": (", real=dtype" if needs_real(case) else "") + (", after=after" if tracked else "")},
    )
    return [made for line in lines for made in _wrapped(line)]


def _wrapped(line: str) -> list[str]:
    """A long list comprehension broken before its `for`."""
    if len(line) <= layout.WIDTH or " for v in " not in line or " = [" not in line:
        return [line]
    head, rest = line.split(" = [", 1)
    value, source = rest[:-1].split(" for v in ", 1)
    inner = [f"        {value}", f"        for v in {source}"]
    if len(inner[1]) > layout.WIDTH:
        inner = [inner[0], "        for v in [", *layout.fill(source[1:-1].split(", "), 12), "        ]"]
    return [f"{head} = [", *inner, "    ]"]


def own_dtype(case: Case) -> str | None:
    """The one floating-point type of a case; None where there are several types."""
    dtypes = {t.dtype for t in case.model.types.values()}
    dtypes |= {slot.type.dtype for typed in case.model.typed for slot in typed.slots}
    return next(iter(dtypes)) if len(dtypes) == 1 and dtypes <= {"float32", "float16"} else None


def against_truth(case: Case, verdict: Verdict, tracked: bool) -> list[str]:
    """Everything from `evaluate` to the runs, for a value that is wrong against the float64 truth."""
    dtype = layout.string(own_dtype(case) or "") if own_dtype(case) else "None"
    plain = f"tensorflow = [y for inputs in samples for y in evaluate(inputs, {dtype})]"
    if verdict.kind is Kind.NAN_PROPAGATION:
        if verdict.evidence.get(SPECIAL_OPERANDS):
            return [*evaluate(case, False), *judged(_propagation(case), plain)]
        return [*evaluate(case, False), *judged(_not_finite(case), f"{_SIMPLE_BOUNDS}\n{plain}")]
    integers = any(t.dtype.startswith(("int", "uint", "bool", "string")) for t in case.model.output_types)
    if tracked:
        functions, bounds = _motion(case, dtype), _FULL_BOUNDS
    else:
        functions, bounds = fill(_BOUND.replace("@exact@", _EXACT if integers else "")), _SIMPLE_BOUNDS
        plain += "\nbounds = [bounds_of(y, v) for y, v in zip(tensorflow, truth)]"
    judge = worst(case, _FURTHEST, _IN_BOUNDS, "truth", ("bound", "bounds"))
    return [
        *evaluate(case, tracked),
        *functions,
        *judged(judge, f"{bounds}\n{plain}", "expected|actual|in bounds"),
        'judge("TensorFlow", tensorflow)',
    ]


_NUDGED = f"""
            return value + {NUDGE:g} * random.uniform(-1.0, 1.0, value.shape)"""


def _motion(case: Case, dtype: str) -> list[str]:
    """The campaign's own bound: see `fuzzer.oracles.confirm.truth`."""
    own = coarsest(case)
    several = jumps(case)
    return fill(
        _MOTION,
        own=own,
        unit=f"2.0**{round(math.log2(UNIT[own]))}",
        dtype=dtype,
        count=JUMP_PERTURBATIONS if several else PERTURBATIONS,
        moves=f"{JUMP_FACTOR:g} roundings" if several else "one rounding",
        factor=f"{JUMP_FACTOR:g} * " if several else "",
        end="value = " if several else "return ",
        nudge=_NUDGED if several else "",
    )


_NOT_FINITE = """if outputs[o].dtype.kind != "f":
    continue
far = np.abs(v) < np.finfo(y.dtype).max / 1e3
odd = np.isfinite(t) & np.isfinite(v) & far & ~np.isfinite(y)"""
_OTHERWISE = """if outputs[o].dtype.kind not in "fb":
    continue
if y.dtype.kind == "b":
    odd = y != v
else:
    odd = np.isnan(y) != np.isnan(v)
    odd |= (np.isinf(y) | np.isinf(v)) & (y != v) & ~np.isnan(y) & ~np.isnan(v)"""


def _not_finite(case: Case) -> str:
    """A `judge` of results that should be finite."""
    what = "Counts what is not finite where the expected value is, and far from overflow."
    told = "expected {v[at]:.8g}, actual {y[at]}"
    return count(case, what, _NOT_FINITE, "not finite", "truth", ("t", "tensorflow"), told)


def _propagation(case: Case) -> str:
    """A `judge` of NaN and infinities that go in."""
    what = "Counts what is NaN, an infinity or a truth on one side and not the same on the other."
    told = "TensorFlow {v[at]}, here {y[at]}"
    return count(case, what, _OTHERWISE, "otherwise than in TensorFlow", "tensorflow", told=told)
