"""Quantised cases: do the runtimes compute the flatbuffer, and does the flatbuffer compute the model?

Runtimes are judged operator by operator, on the operands each really had: against real arithmetic where the result is
an integer (`node_reals`), between kernels elsewhere (`nodewise`), and the reference kernels bit for bit against our own
integer reference (`node_exact`). What every operator does right, the whole does right.

The flatbuffer is judged by its real twin (`twin`) against the float64 truth of the model. They differ by the rounding
of the constants, at most half a step each: the predicted noise is how far the twin moves when every quantised constant
moves by up to that (Monte Carlo arithmetic: Parker 1997; its size is that of the additive uniform noise of Widrow and
Kollar, Quantization Noise, 2008, ch. 4, without the assumption that nothing is nonlinear). So dynamic range and float16
are judged with the flatbuffer's own weights, and what quantisation costs by design is nobody's defect.

Calibration is judged by the twin, too: what it computes from the very data that were calibrated on must fit into the
ranges that calibration chose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import weights_of
from fuzzer.case import RUNTIMES
from fuzzer.case.conversion import TFMOT
from fuzzer.execute.record import CaseRun, RuntimeRun
from fuzzer.oracles.confirm import (
    Confirmation,
    constants,
    formats,
    node_bound,
    node_exact,
    node_reals,
    nodewise,
    parts,
    truth,
)
from fuzzer.oracles.confirm.first_tensor import first_wrong_tensor
from fuzzer.oracles.confirm.node import NodeDivergence
from fuzzer.oracles.confirm.prediction import HALF_LARGEST, SURE_SEEDS, Prediction, feeds_of, noisy, predict
from fuzzer.oracles.confirm.truth import WORST, Truth, truth_errors
from fuzzer.oracles.confirm.twin import PASSING, NoTwinError, Twin
from fuzzer.oracles.divergence import real_pair, step_of
from fuzzer.oracles.verdict import MODEL_ERROR, MODELS_CONSTANT, NOISE, STEP, Kind, Verdict

REALS = "real arithmetic"
"""What evidence calls the base where no runtime is one."""
FACTOR = 32.0
"""Over 396 generated int8, int16x8, dynamic and float16 cases sound conversions were off by at most 10.6 bounds (median
0.9, 99th percentile 6.9), in a campaign one recurrent model by 16; what was further off was a defect, and off by 1e3
bounds and more."""
COVERED = 0.05
"""Share of a range by which calibrated data may lie outside of it: rounded weights make activations that calibration,
which ran the float model, has not seen (measured: up to 1.2 %)."""

SATURATED = 2 / 256
"""Share of a range by which a sample may lie outside of it and still be held against the model: two steps of 8 bits."""

SHOWN = 2.0
"""Steps of the outputs that a fault of every kernel must move them by: what nobody can see is nobody's defect."""

ROUNDED = {"dynamic": 1 / 127, "float16": 2.0**-11}
"""What rounding accounts for, over the largest value, where an output has no grid of its own: a step of the symmetric
int8 range of weights and hybrid operands (TensorFlow Lite's quantisation specification), half an ulp of binary16 (IEEE
754). A healthy matrix of 64 inputs was off by 0.011 and 0.00027."""

Real = NDArray[np.float64]


def twin_of(record: CaseRun) -> Twin | None:
    """The real twin of a flatbuffer; None where there is none (loops, state, chance, sparse or custom operators)."""
    assert record.flat is not None
    try:
        return Twin(record.content, record.flat)
    except NoTwinError:
        return None


def confirm(record: CaseRun, suspicion: Verdict) -> Confirmation:
    """A suspicion about a quantised case: whose kernel is wrong, or else whether the converter or calibration is."""
    twin = twin_of(record) if suspicion.kind is not Kind.NAN_PROPAGATION else None
    suspicion = replace(suspicion, kind=Kind.VALUE) if suspicion.kind is Kind.CALIBRATION else suspicion
    if twin is None:
        return nodewise.confirm(record, suspicion)
    told_of: set[int] = set()
    wrong = _wrong(record, twin, suspicion, told_of)
    apart = nodewise.first_dispute(record, told=told_of) or []
    if wrong and (not apart or wrong[0].position <= apart[0].position or not _all_of(record, wrong)):
        told = nodewise.verdict_of(record, suspicion, wrong, base=REALS)
        return _by_format(record, twin, wrong, told)
    if apart:
        return nodewise.verdict_of(record, suspicion, apart)
    inexact = next(node_exact.disputes(record), [])
    if inexact:
        return nodewise.verdict_of(record, suspicion, inexact, base=node_exact.EXACT)
    stored = constants.first_wrong(record, twin) if not unjudgeable(record) else None
    if stored is not None:
        return _by_constant(record, twin, suspicion, stored)
    return _judge_conversion(record, twin, suspicion)


def _by_constant(record: CaseRun, twin: Twin, suspicion: Verdict, wrong: constants.WrongConstant) -> Confirmation:
    """A constant that is not the model's, as a verdict on the converter."""
    evidence = {**suspicion.evidence, **asdict(wrong), "base": MODELS_CONSTANT, "runtimes": []}
    verdict = replace(
        suspicion,
        message=f"the converter stores a constant of {wrong.operator} that is not the model's",
        runtime="converter",
        severity=float(f"{wrong.apart:.3g}"),
        unit="steps",
        blame=wrong.operator,
        evidence=evidence,
    )
    verdict = with_model_error(record, verdict, _fair(record, twin))
    return Confirmation(verdict, "every kernel is right, a constant is not")


def _wrong(record: CaseRun, twin: Twin, suspicion: Verdict, told: set[int]) -> list[NodeDivergence]:
    """Who is wrong at the first operator that explains the suspicion; empty when every kernel is right everywhere.

    Where runtimes were seen to differ, an operator that all get wrong does not explain it, unless there is no other.
    """
    complete = [name for name, run in record.runs.items() if run.complete]
    found = list(node_reals.disputes(record, twin, complete, told=told))
    some = [wrong for wrong in found if not _all_of(record, wrong)]
    between = suspicion.evidence.get("base") in RUNTIMES
    return next(iter(some if between and some else found), [])


def _all_of(record: CaseRun, wrong: list[NodeDivergence]) -> bool:
    return len(wrong) == sum(run.complete for run in record.runs.values())


def _by_format(record: CaseRun, twin: Twin, wrong: list[NodeDivergence], told: Confirmation) -> Confirmation:
    """Where every kernel is wrong because of the formats it was given, the quantiser is.

    So it is where some round that to the right side; one that is off by more is wrong by itself.
    """
    flat, op = record.flat, wrong[0].op
    assert flat is not None and told.verdict is not None
    fault = formats.fault(flat, op)
    if not _all_of(record, wrong) and not (fault and by_rounding(wrong)):
        return told
    fair = _fair(record, twin)
    told = replace(told, verdict=with_model_error(record, told.verdict, fair))
    assert told.verdict is not None
    if not is_shown(record, fair):
        return Confirmation(None, "every kernel does it alike but for a rounding, and the outputs are TensorFlow's")
    if not fault:
        return told
    named = f"{op.name} ({node_bound.kernel_kind(flat, op)})"
    message = f"the quantiser wrote a {named} that no kernel can compute: {fault}"
    return replace(told, verdict=replace(told.verdict, message=message, runtime="converter"))


def by_rounding(wrong: Sequence[NodeDivergence]) -> bool:
    """Whether runtimes that are wrong took the neighbouring code, as others may not have by a hair."""
    return all(found.apart < 1.0 for found in wrong)


def _fair(record: CaseRun, twin: Twin) -> list[int]:
    """`fair_samples` of predictions without noise; all of them where nothing can be predicted."""
    run = next(run for run in record.runs.values() if run.complete)
    try:
        return fair_samples(record, [predict(run, twin, sample, 0) for sample in record.samples])
    except NoTwinError:
        return [*range(len(record.samples))]


def _judge_conversion(record: CaseRun, twin: Twin, suspicion: Verdict) -> Confirmation:
    """Every kernel is right: whether the flatbuffer is."""
    reason = unjudgeable(record)
    if reason:
        return Confirmation(None, f"every kernel is right; {reason}")
    run = next(run for run in record.runs.values() if run.complete)
    try:
        made = [predict(run, twin, sample) for sample in record.samples]
    except NoTwinError as error:
        return Confirmation(None, f"every kernel is right; no real twin ({error})")
    try:
        exact = Truth(record)
    except truth_errors() as error:
        return Confirmation(None, f"every kernel is right; no float64 truth ({str(error)[:120]})")
    fair = fair_samples(record, made)
    if not fair:
        return Confirmation(None, "every kernel is right; all samples lie beyond ranges that were not made for them")
    worst = _worst(made, exact, fair)
    if worst is not None and worst.ratio > FACTOR:
        surer = [predict(run, twin, sample, SURE_SEEDS, furthest=True) for sample in record.samples]
        worst = _worst(surer, exact, fair)
    if worst is not None and worst.ratio > FACTOR:
        if truth.jumps(record.case):
            return Confirmation(
                None, "every kernel is right; an op jumps, maybe to its other side by a rounded constant"
            )
        if not _steady(record, run, made):
            return Confirmation(None, "a float kernel gives now this and now that, which is no witness")
        plain = _in_floats(record, suspicion)
        return plain if plain.verdict is not None else _converter(record, twin, suspicion, worst, fair)
    return judge_ranges(record, suspicion, made)


def _steady(record: CaseRun, run: RuntimeRun, made: list[Prediction]) -> bool:
    """Whether the twin, made anew on other memory, gives the same again: a kernel may read what nobody wrote."""
    twin = twin_of(record)
    for seed, (sample, before) in enumerate(zip(record.samples, made, strict=True)):
        parts.litter(seed)
        again = twin.run(feeds_of(run, sample)) if twin is not None else {}
        values = [again.get(slot.index) for slot in run.outputs]
        if any(a is None or a.tobytes() != b.tobytes() for a, b in zip(values, before.values, strict=True)):
            return False
    return True


def _in_floats(record: CaseRun, suspicion: Verdict) -> Confirmation:
    """What is wrong of the model without quantisation too, by the float oracle: then that is the defect."""
    plain = parts.in_floats(record)
    if not any(run.complete for run in plain.runs.values()):
        return Confirmation(None, "the model does not run in floats")
    return truth.confirm(plain, suspicion)


def unjudgeable(record: CaseRun) -> str:
    """Why the flatbuffer cannot be held against the model; empty where it can."""
    case = record.case
    if case.conversion.scheme == "qat" or case.conversion.scheme in TFMOT:
        return "training rounds inside of the model"
    if any("quant" in node.op or "qat" in node.op for node in case.model.nodes):
        return "fake quantisation rounds inside of the model"
    flat = record.flat
    assert flat is not None
    if not all(0 < scale < math.inf for tensor in flat.tensors for scale in tensor.scales):
        return "a scale is no number above zero, which is a finding of its own"
    if case.conversion.judged == "float16" and _beyond_halves(record):
        return "weights beyond float16"
    return "random numbers" if case.model.random else ""


def _beyond_halves(record: CaseRun) -> bool:
    """Whether some weight is too large for a float16: what is stored instead is nobody's."""
    weights = (value for node in weights_of(record.case) for value in node.values())
    floats = [value for value in weights if value.dtype.kind == "f" and value.size]
    return any(not np.all(np.abs(value) <= HALF_LARGEST) for value in floats)


@dataclass(frozen=True)
class Deviation:
    """The element of the twin that is furthest from the truth, in bounds."""

    ratio: float
    sample: int
    output: int
    index: tuple[int, ...]
    expected: float
    actual: float
    bound: float


def fair_samples(record: CaseRun, made: list[Prediction]) -> list[int]:
    """The samples, by number, on which the runtimes can be held against the model.

    What saturates in ranges that were declared, or calibrated on other data, is what was asked for.
    """
    conversion = record.case.conversion
    own = conversion.calibrated and conversion.representative in ("samples", "wide")
    seen = conversion.calibration if own else 0
    held = (s < seen or max(p.beyond.values(), default=0.0) <= SATURATED for s, p in enumerate(made))
    return [s for s, fair in enumerate(held) if fair]


def _worst(made: list[Prediction], truth: Truth, fair_ones: list[int]) -> Deviation | None:
    found: list[Deviation] = []
    for s in fair_ones:
        prediction = made[s]
        for o, value in enumerate(prediction.values):
            true, bound = truth.values[s][o], truth.bounds[s][o] + prediction.noise[o]
            if value.shape != true.shape or not value.size:
                continue
            left, right = real_pair(value, true)
            fair = np.isfinite(bound) & np.isfinite(right)
            with np.errstate(all="ignore"):
                apart = np.nan_to_num(np.abs(left - right), nan=WORST, posinf=WORST)
                ratio = np.where(fair, np.minimum(apart / np.maximum(bound, 1e-300), WORST), 0.0)
            at = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
            place = (float(right[at]), float(left[at]), float(bound[at]))
            found.append(Deviation(float(ratio[at]), s, o, at, *place))
    return max(found, key=lambda d: d.ratio, default=None)


def _converter(record: CaseRun, twin: Twin, suspicion: Verdict, worst: Deviation, fair: list[int]) -> Confirmation:
    evidence = {
        **suspicion.evidence,
        "sample": worst.sample,
        "output": worst.output,
        "index": list(worst.index),
        "expected": worst.expected,
        "actual": worst.actual,
        "bound": worst.bound,
        "base": "the float64 truth",
    }
    run = next(run for run in record.runs.values() if run.complete)
    first = first_wrong_tensor(record, [feeds_of(run, sample) for sample in record.samples], partial(noisy, twin))
    if first:
        evidence["first tensor"] = first
    verdict = replace(
        suspicion,
        message="the flatbuffer computes another function than the model: the converter changed it",
        runtime="converter",
        severity=float(f"{worst.ratio:.3g}"),
        unit="x bound",
        blame="converter",
        evidence=evidence,
    )
    return Confirmation(with_model_error(record, verdict, fair), "every kernel is right, the graph is not")


def with_model_error(record: CaseRun, verdict: Verdict, fair: Sequence[int] | None = None) -> Verdict:
    """The verdict, with how far the runtimes are from TensorFlow over the largest value of an output.

    Beside it what rounding accounts for: a step of the output's own grid, or where it has none of the weights'. `fair`
    are the samples that count, by number; None: all.
    """
    run = next(run for run in record.runs.values() if run.complete)
    samples = range(len(run.samples)) if fair is None else fair
    error, noise, least = 0.0, ROUNDED.get(record.case.conversion.judged, 0.0), 1e-30
    for o, slot in enumerate(run.outputs):
        wanted = [record.reference[s][o] for s in samples]
        made = [run.samples[s][o] for s in samples]
        if any(w.shape != m.shape or w.dtype.kind not in "fiub" for w, m in zip(wanted, made, strict=True)):
            continue
        pairs = [real_pair(m, w, slot, None) for w, m in zip(wanted, made, strict=True)]
        largest = max((float(np.abs(np.where(np.isfinite(r), r, 0.0)).max(initial=0.0)) for _, r in pairs), default=0.0)
        with np.errstate(all="ignore"):
            apart = [float(np.nan_to_num(np.abs(m - r), posinf=0.0).max(initial=0.0)) for m, r in pairs]
        step = step_of(record.flat, slot)
        least = max(least, step)
        largest = max(largest, step, 1e-30)
        error, noise = max(error, max(apart, default=0.0) / largest), max(noise, step / largest)
    return replace(verdict, evidence={**verdict.evidence, MODEL_ERROR: error, NOISE: noise, STEP: least})


def is_shown(record: CaseRun, fair: Sequence[int] | None = None) -> bool:
    """Whether the outputs are not TensorFlow's: one is off by more than `SHOWN` of its own steps, or is NaN or infinite
    where TensorFlow's is not, or cannot be compared.

    `fair` are the samples that count, by number; None: all.
    """
    run = next(run for run in record.runs.values() if run.complete)
    for o, slot in enumerate(run.outputs):
        step = step_of(record.flat, slot)
        for s in range(len(run.samples)) if fair is None else fair:
            wanted, made = record.reference[s], run.samples[s]
            if wanted[o].shape != made[o].shape:
                return True
            actual, expected = real_pair(made[o], wanted[o], slot, None)
            if not np.array_equal(np.isfinite(actual), np.isfinite(expected)):
                return True
            with np.errstate(all="ignore"):
                apart = np.nan_to_num(np.abs(actual - expected), posinf=0.0)
            if apart.max(initial=0.0) > SHOWN * step:
                return True
    return False


def judge_ranges(record: CaseRun, suspicion: Verdict, made: list[Prediction]) -> Confirmation:
    """Kernels and graph are right: whether calibration chose ranges that hold what it saw."""
    flat, conversion = record.flat, record.case.conversion
    assert flat is not None
    if not conversion.calibrated:
        return Confirmation(None, "kernels and graph are right: what is left is the rounding of the weights")
    if conversion.representative not in ("samples", "wide"):
        return Confirmation(None, "kernels and graph are right; the ranges are not those of these data")
    beyond: dict[int, float] = {}
    for prediction in made[: conversion.calibration]:
        for index, share in prediction.beyond.items():
            beyond[index] = max(share, beyond.get(index, 0.0))
    open_ones = _unclamped(record)
    first = next((i for op in flat.ops for i in op.outputs if i in open_ones and beyond.get(i, 0.0) > COVERED), None)
    if first is None:
        return Confirmation(None, "kernels and graph are right: what is left is the noise of quantisation")
    maker = next(op for op in flat.ops if first in op.outputs)
    verdict = with_model_error(record, suspicion)
    return Confirmation(
        replace(
            verdict,
            kind=Kind.CALIBRATION,
            message=f"the range of a {maker.name} does not hold what calibration saw",
            runtime="converter",
            severity=float(f"{100 * beyond[first]:.3g}"),
            unit="% of the range",
            blame="converter",
            evidence={**verdict.evidence, "tensor": flat.tensors[first].name, "scale": flat.tensors[first].scale},
        ),
        "a tensor saturates on calibrated data",
    )


def _unclamped(record: CaseRun) -> set[int]:
    """Tensors all of which goes into arithmetic.

    An operator that wants its operands in the format of its result (MINIMUM, SELECT, SLICE) may be fed numbers that
    saturate: they are the ones that it does not pass on.
    """
    flat = record.flat
    assert flat is not None
    used: dict[int, set[str]] = {}
    for op in flat.ops:
        for index in op.inputs:
            used.setdefault(index, set()).add(op.name)
    made = {i for op in flat.ops if op.name not in PASSING | _FIXED for i in op.outputs}
    return {i for i in made if used.get(i, set()) <= _ARITHMETIC}


_FIXED = frozenset({"L2_NORMALIZATION", "LOG_SOFTMAX", "LOGISTIC", "SOFTMAX", "TANH"})
"""Operators whose results have a range of their own by the specification, whatever calibration saw."""
_ARITHMETIC = frozenset(
    {
        *("ADD", "BATCH_MATMUL", "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "DIV", "ELU", "EXP"),
        *("FULLY_CONNECTED", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "MEAN", "MUL", "PRELU", "RSQRT"),
        *("SOFTMAX", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SUB", "SUM", "TANH", "TRANSPOSE_CONV"),
    }
)
