"""Float cases: the truth is the same graph in float64, the yardstick is the measured conditioning of the case.

A result is wrong when its error against the truth exceeds `FACTOR` times a bound. The bound of an element is the
largest of (a) the error that float32 TensorFlow itself makes there, (b) how far the element moves when every input,
weight and intermediate value moves by up to one float32 rounding (Monte Carlo arithmetic: Parker 1997;
random-perturbation condition estimates: Higham, Accuracy and Stability, 2nd ed., ch. 3 and 15), and (c) two
roundings at the scale of the largest intermediate value, which no reordering of a sum can be held below.

The error in (a) is the largest over runs of float32 TensorFlow from neighbouring inputs: at a single point a sum that
cancels may be exact by luck. Where inputs hold denormals, elements also move as far as flushing them moves the truth.

A sample is not judged at all when NaN or infinity goes in or comes up on the way, when some value comes near
overflow, or when a number is cast that the integer type does not have: `fuzzer.oracles.ranges` says why.

Where an op jumps (floor, comparison, arg-max, a cast to integers) an operand that is off by a few roundings may sit on
the other side. Such models are moved more often and further, so that (b) spans what either side gives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array, constants, run_eager, walk, weights_of
from fuzzer.build.graph import array
from fuzzer.case import Case
from fuzzer.execute.record import CaseRun
from fuzzer.ops import REALS
from fuzzer.ops.spec import COMPLEX
from fuzzer.oracles import ranges
from fuzzer.oracles.confirm import Confirmation, node_bound, nodewise, parts, tolerance
from fuzzer.oracles.confirm.ulp import worst_ulp
from fuzzer.oracles.divergence import real_pair
from fuzzer.oracles.verdict import ULP, Kind, Verdict

WORST = 1e30
"""The ratio of a number that is none."""
NEIGHBOURS = 3
"""Runs of float32 TensorFlow from neighbouring inputs."""
TERMS = 16.0
"""`FACTOR` times two roundings are the worst that a sum of so many numbers can be off (Higham, 4.2)."""
FACTOR = 8.0
"""Sound kernels were off by at most 2.43 bounds (median 0.29, 99th percentile 1.70) over 967 generated float cases on
which all kernels agreed; those that were wrong were off by 1e5 bounds and more (`scripts/bench bounds`)."""
UNTOLD = 0.05
"""Where runtimes differ and all are this near to the truth, what differs are elements that it cannot judge (they move
when something jumps): kernels are compared operator by operator instead."""
UNBLAMED = 1e3
"""Where no operator alone is wrong and some runtimes are right, from this many bounds on it is no rounding: the bound
does not see what moves inside of a loop or a recurrent op (seen: 11 bounds of a sound kernel over four steps)."""
PERTURBATIONS = 6
JUMP_PERTURBATIONS = 24
"""A tie is missed when all moves go one way: two in 2^24 elements."""
JUMP_FACTOR = 8.0
"""How many roundings a value may be off when it meets a jump: what `FACTOR` allows a sound result."""
NUDGE = 1e-300
"""Added where something jumps: the sign of a zero depends on the order of a sum, and atan2 of it is 0 or pi."""
UNIT = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""One unit in the last place of a number in [1, 2)."""

LOST, SMALL = 0.5, 0.02
"""Part of an element: where float32 TensorFlow itself is off by so much there is no right digit in what it gives (a
variance that overflows inside of an operator, say), and nobody's other number is a defect. Elements below `SMALL` of
their output's largest value are taken to be as large as that: they are what is left of a difference."""
_CASTS = frozenset({"cast", "from_complex"})

Real = NDArray[np.float64]
Motion = Callable[[Any], Any]


class Truth:
    """Float64 outputs and error bounds of a case, per sample and output."""

    def __init__(self, record: CaseRun) -> None:
        import tensorflow as tf

        case = record.case
        weights = weights_of(case)
        self.values: list[list[Array]] = []
        self.bounds: list[list[Real]] = []
        count = JUMP_PERTURBATIONS if jumps(case) else PERTURBATIONS
        flat = record.flat
        longest = max((node_bound.terms(flat, op) for op in flat.ops), default=1.0) if flat is not None else 1.0
        for sample, reference in zip(record.samples, record.reference, strict=True):
            true = run_truth(tf, case, sample, weights)
            self.values.append(true.outputs)
            if not true.meaningful:
                self.bounds.append([np.full(value.shape, np.inf) for value in true.outputs])
                continue
            moved = [run_truth(tf, case, sample, weights, _nudge(case, seed)).outputs for seed in range(count)]
            if true.denormal:
                moved.append(run_truth(tf, case, sample, weights, ranges.flushed).outputs)
            own = [_own_error(tf, case, sample, weights, seed) for seed in range(NEIGHBOURS)]
            own.append([_apart(r, v) for r, v in zip(reference, true.outputs, strict=True)])
            largest = true.largest * max(1.0, longest / TERMS)
            self.bounds.append(
                [
                    _bound(
                        value,
                        [m[o] for m in moved],
                        np.maximum.reduce([e[o] for e in own]),
                        reference[o].dtype.kind,
                        largest,
                        UNIT[coarsest(case)],
                    )
                    for o, value in enumerate(true.outputs)
                ]
            )


def is_exact(case: Case) -> bool:
    """Whether no value of the graph is a float: every kernel must give the same bits."""
    return not any(t.dtype in REALS or t.dtype in COMPLEX for t in case.model.types.values())


def jumps(case: Case) -> bool:
    """Whether some op of the case jumps where its operands move by a rounding."""
    return any(typed.node.spec.discontinuous for typed in case.model.typed) and not is_exact(case)


def coarsest(case: Case) -> str:
    """The float dtype of the graph with the largest rounding."""
    used = {t.dtype for t in case.model.types.values()} & set(UNIT)
    return max(used, key=lambda d: UNIT[d], default="float32")


@dataclass(frozen=True)
class _Run:
    """One run of the graph in float64."""

    outputs: list[Array]
    largest: float
    """The largest finite intermediate value."""
    meaningful: bool
    denormal: bool


def _nudge(case: Case, seed: int) -> Motion:
    """Moves every number by up to one rounding."""
    random = np.random.RandomState(seed)
    unit = UNIT[coarsest(case)] * (JUMP_FACTOR if jumps(case) else 1.0)

    def moved(value: Any) -> Any:
        made = value * (1.0 + unit * random.uniform(-1.0, 1.0, value.shape))
        return made + NUDGE * random.uniform(-1.0, 1.0, value.shape) if jumps(case) else made

    return moved


def run_truth(
    tf: Any, case: Case, sample: Sequence[Any], weights: Sequence[dict[str, Any]], moved: Motion | None = None
) -> _Run:
    """The graph in float64, optionally with every input, weight and intermediate value moved."""
    nodes = iter(case.model.typed)
    largest, meaningful, denormal = 0.0, True, False
    known: dict[str, Any] = {}

    def seen(value: Array, dtype: str, given: bool) -> None:
        nonlocal largest, meaningful, denormal
        sizes = np.abs(value)
        top = float(np.nan_to_num(sizes, nan=0.0, posinf=0.0).max(initial=0.0))
        largest = max(largest, 0.0 if given else top)
        meaningful &= ranges.finite(value) and (given or top <= ranges.limit(dtype))
        denormal |= bool(np.any((sizes > 0) & (sizes < ranges.TINY)))

    def after(value: Any) -> Any:
        nonlocal meaningful
        typed = next(nodes)
        known[typed.name] = value
        if not value.dtype.is_floating:
            operand = known.get(typed.node.operands[0]) if typed.node.operands else None
            if typed.node.op in _CASTS and value.dtype.is_integer and operand is not None:
                given = operand.numpy()
                meaningful &= given.dtype.kind not in "fc" or ranges.fits(given.real, typed.type.dtype)
            return value
        raw = value.numpy()
        seen(raw, typed.type.dtype, False)
        if moved is None:
            return value
        known[typed.name] = tf.constant(moved(raw))
        return known[typed.name]

    def real(value: Any) -> Any:
        if value.dtype.name not in REALS:
            return value
        wide = value.astype(np.float64)
        seen(wide, value.dtype.name, True)
        return wide if moved is None else moved(wide)

    fixed = constants(tf, [{k: real(v) for k, v in node.items()} for node in weights])
    inputs = [tf.constant(real(x)) for x in sample]
    known.update({f"x{i}": x for i, x in enumerate(inputs)})
    values = walk(tf, case, inputs, fixed, after, "float64")
    return _Run([_wide(array(values[name])) for name in case.model.outputs], largest, meaningful, denormal)


def _own_error(tf: Any, case: Case, sample: Sequence[Any], weights: Sequence[dict[str, Any]], seed: int) -> list[Real]:
    """How far TensorFlow in the case's own dtypes is from the truth, at a neighbour of the sample."""
    nudge = _nudge(case, seed)

    def near(value: Any) -> Any:
        return nudge(value.astype(np.float64)).astype(value.dtype) if value.dtype.name in REALS else value

    inputs, moved = [near(x) for x in sample], [{k: near(v) for k, v in node.items()} for node in weights]
    found = run_eager(tf, case, inputs, constants(tf, moved))
    return [_apart(f, t) for f, t in zip(found, run_truth(tf, case, inputs, moved).outputs, strict=True)]


def _wide(value: Array) -> Array:
    """Real numbers as float64; strings and complex numbers as they are."""
    return value if value.dtype.kind in "OSUc" else value.astype(np.float64)


def _apart(left: Array, right: Array) -> Real:
    with np.errstate(all="ignore"):
        first, second = real_pair(left, right)
        return np.abs(first - second)


def _bound(true: Array, moved: list[Array], own: Real, kind: str, largest: float, unit: float) -> Real:
    """Per element; a quarter of the mean serves elements whose few random moves happened to cancel.

    A bool, an integer or a string that moves is nobody's; one that does not has one right value.
    """
    motion = np.maximum.reduce([_apart(m, true) for m in moved])
    if kind in "biuOSU":
        return np.where(np.maximum(motion, own) > 0, np.inf, 0.5 / FACTOR)
    bound = np.nan_to_num(np.maximum(motion, own), nan=np.inf, posinf=np.inf)
    size = float(np.max(np.abs(true), initial=0.0, where=np.isfinite(true)))
    if size > 0:
        with np.errstate(invalid="ignore"):
            lost = np.nan_to_num(own, nan=np.inf) > LOST * np.maximum(np.nan_to_num(np.abs(true)), SMALL * size)
        bound = np.where(lost, np.inf, bound)
    finite = bound[np.isfinite(bound)]
    mean = float(finite.mean()) if finite.size else 0.0
    widened: Real = np.maximum(bound, 0.25 * mean) + 2 * unit * largest
    return widened


def ratios(record: CaseRun, truth: Truth, broken: bool = True) -> dict[str, float]:
    """Per complete runtime: the largest error in bounds. Elements where the truth is not finite are left out.

    NaN or infinity where the truth is finite is as wrong as can be; without `broken` such elements are left out.
    """
    result = {}
    for runtime, run in record.runs.items():
        if not run.complete:
            continue
        worst = 0.0
        for s, outputs in enumerate(run.samples):
            for o, actual in enumerate(outputs):
                true, bound = truth.values[s][o], truth.bounds[s][o]
                if actual.shape != true.shape:
                    continue
                left, right = real_pair(actual, true)
                judged = np.isfinite(right) & np.isfinite(bound) & (broken | np.isfinite(left))
                with np.errstate(all="ignore"):
                    apart = np.where(np.isfinite(left), np.abs(left - right), np.inf)
                    ratio = np.where(judged, np.minimum(apart / np.maximum(bound, 1e-300), WORST), 0.0)
                worst = max(worst, float(np.max(ratio, initial=0.0)))
        result[runtime] = worst
    return result


def truth_errors() -> tuple[type[Exception], ...]:
    """What TensorFlow raises when an op has no float64 kernel."""
    import tensorflow as tf

    return (tf.errors.OpError, TypeError, ValueError)


def _widen(record: CaseRun, truth: Truth, runtime: str) -> None:
    """Adds to the bounds how far the converted graph moves when its own constants move by one rounding.

    The converter may reorder sums and products (fold a scale into a filter); that it then cancels where TensorFlow
    happened to be exact is rounding. Constants that are wrong, or a function that is, stay as wrong as they were.
    """
    for s, sample in enumerate(record.samples):
        plain = parts.outputs_of(record, runtime, sample, record.content)
        for seed in range(NEIGHBOURS):
            moved = parts.outputs_of(record, runtime, sample, parts.nudged_constants(record.content, seed))
            for o, (left, right) in enumerate(zip(moved, plain, strict=False)):
                if left.shape == right.shape == truth.bounds[s][o].shape and left.dtype.kind == "f":
                    apart = np.nan_to_num(_apart(left, right), nan=0.0, posinf=0.0)
                    mean = 0.25 * float(apart.mean()) if apart.size else 0.0
                    truth.bounds[s][o] = np.maximum(truth.bounds[s][o], np.maximum(apart, mean))


def confirm(record: CaseRun, suspicion: Verdict) -> Confirmation:
    """A float suspicion against the truth."""
    without = sorted({typed.node.op for typed in record.case.model.typed if not typed.node.spec.judgeable})
    if without:
        reason = f"no float64 kernel and no reference: {', '.join(without)}"
        return Confirmation(None, reason, reason)
    try:
        truth = Truth(record)
    except truth_errors() as error:
        # An op that should have a float64 kernel and has none: whose it is stands in the message.
        reason = f"no float64 truth ({type(error).__name__}: {str(error)[:120]})"
        return Confirmation(None, reason, f"no float64 truth ({type(error).__name__}): {chain_of(record.case)}")
    if suspicion.kind is Kind.NAN_PROPAGATION:
        return _confirm_special(record, truth, suspicion)
    found = ratios(record, truth, broken=False)
    if any(v > FACTOR for v in found.values()):
        _widen(record, truth, min(found, key=lambda r: found[r]))
        found = ratios(record, truth, broken=False)
    if any(v > FACTOR for v in found.values()):
        found = ratios(record, truth)  # where numbers are wrong, those that are none belong to the same defect
    guilty = {r: v for r, v in found.items() if v > FACTOR}
    if not guilty:
        if all(np.all(np.isinf(bound)) for sample in truth.bounds for bound in sample):
            reason = "every sample meets NaN, infinity, overflow or a cast of what the type has not"
            return Confirmation(None, reason, reason)
        worst = max(found.values(), default=0.0)
        apart = nodewise.first_dispute(record) if worst < UNTOLD else None
        if apart:
            return nodewise.verdict_of(record, suspicion, apart)
        return Confirmation(None, f"within {worst:.2g} of the error bound")
    runtime = max(guilty, key=lambda r: guilty[r])
    blame, who = _blame(record, False, tuple(guilty))
    if not blame and len(guilty) < sum(run.complete for run in record.runs.values()):
        if jumps(record.case):
            return Confirmation(None, "no kernel alone is wrong: what they round put a jump on its other side")
        if guilty[runtime] < UNBLAMED:
            return Confirmation(None, "no kernel alone is wrong: what they round grew, in a loop for instance")
    severity = float(f"{min(guilty[runtime], 1e30):.3g}")
    if blame:
        message = who
    elif len(guilty) == sum(run.complete for run in record.runs.values()) > 1:
        message = "every runtime is wrong against the float64 truth: the converter changed the model"
        blame = "converter"
    else:
        message = f"{_family(guilty)} is wrong against the float64 truth"
    evidence = {
        **suspicion.evidence,
        "ratios": {k: float(f"{v:.4g}") for k, v in found.items()},
        "runtimes": list(guilty),
        ULP: worst_ulp(record.runs[runtime].samples, truth.values, truth.bounds, _dtypes(record.case)),
        **_tolerance(record, truth, guilty),
    }
    return Confirmation(
        replace(
            suspicion,
            message=message,
            runtime=runtime,
            severity=severity,
            unit="x bound",
            blame=blame,
            evidence=evidence,
        ),
        "beyond the error bound",
    )


def _tolerance(record: CaseRun, truth: Truth, guilty: Collection[str]) -> dict[str, Any]:
    """`FACTOR` times the largest bound of any element of an output, where that alone tells wrong from right."""
    if any(not np.all(np.isfinite(bound)) for sample in truth.bounds for bound in sample):
        return {}
    largest = [max(float(np.max(bound, initial=0.0)) for bound in rows) for rows in zip(*truth.bounds, strict=True)]
    why = f"{FACTOR:g} times as far as rounding moves any element of a sound result"
    return tolerance.told(record, guilty, tolerance.EAGER, [FACTOR * bound for bound in largest], why)


def _dtypes(case: Case) -> list[str]:
    return [t.dtype for t in case.model.output_types]


def chain_of(case: Case) -> str:
    """The ops of a case, each once, in order."""
    return " > ".join(dict.fromkeys(node.op for node in case.model.nodes))


def _confirm_special(record: CaseRun, truth: Truth, suspicion: Verdict) -> Confirmation:
    """NaN or Inf mismatch: only where the truth is finite and far from overflow is it nobody's right to differ."""
    guilty: dict[str, int] = {}
    for runtime, run in record.runs.items():
        for s, outputs in enumerate(run.samples if run.complete else []):
            for o, actual in enumerate(outputs):
                if actual.dtype.kind != "f":
                    continue
                reference = record.reference[s][o]
                true = truth.values[s][o]
                safe = np.isfinite(reference) & np.isfinite(truth.bounds[s][o])
                safe &= np.abs(true) < ranges.limit(actual.dtype.name)
                guilty[runtime] = guilty.get(runtime, 0) + int(np.sum(safe & ~np.isfinite(actual)))
    guilty = {r: n for r, n in guilty.items() if n}
    if not guilty:
        return Confirmation(None, "NaN or Inf only where TensorFlow has one too, or near overflow")
    runtime = max(guilty, key=lambda r: guilty[r])
    blame, who = _blame(record, special=True)
    message = who or f"{_family(guilty)} gives NaN or Inf where the truth is finite"
    if not blame and len(guilty) == sum(run.complete for run in record.runs.values()) > 1:
        blame, message = "converter", "every runtime gives NaN or Inf where the truth is finite"
    evidence = {**suspicion.evidence, "runtimes": list(guilty)}
    return Confirmation(
        replace(
            suspicion, message=message, runtime=runtime, severity=float(guilty[runtime]), blame=blame, evidence=evidence
        ),
        "the truth is finite there",
    )


def _blame(record: CaseRun, special: bool, wrong: Sequence[str] = ()) -> tuple[str, str]:
    """The op on which kernels disagree, and the defect in words; empty strings when they all agree.

    `wrong` are the runtimes that the truth contradicts.
    """
    dispute = nodewise.first_dispute(record, special)
    if not dispute:
        return "", ""
    return dispute[0].op.name, nodewise.defect(record, dispute[0], dispute, special, wrong)


def _family(guilty: dict[str, Any]) -> str:
    """The guilty runtimes as one word, the same for one defect: both XNNPACK runtimes share their kernels."""
    names = sorted(guilty)
    return "XNNPACK" if names == ["litert", "tf-xnnpack"] else "+".join(names)
