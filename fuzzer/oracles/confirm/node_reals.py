"""Node by node against real arithmetic: each operator alone, on the operands it really had.

An integer kernel approximates a function of real numbers. What its operands stand for is known exactly, so is what the
result can hold; the function is computed by a float kernel (`twin`). A sound kernel is half a quantisation step off,
whatever its roundings; so this tells whose result is wrong without asking a majority, also when every kernel is.

`STEPS` rests on 433 generated cases: over 3 million results of int8 kernels, none of a sound one was further than
0.53 steps from the real number, but those of MEAN (0.88) and SQRT (0.94), which round twice. 16-bit kernels multiply by
a number of 15 bits and look functions up in 512 segments.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import FlatOp
from fuzzer.execute.record import CaseRun
from fuzzer.oracles.confirm import node_bound, parts
from fuzzer.oracles.confirm.node import UNJUDGED, NodeDivergence
from fuzzer.oracles.confirm.twin import PASSING, NoTwinError, Twin

STEPS = 0.65
"""Half a step for the format, and what ties and multipliers of 31 bits take (measured: at most 0.03). At this value 117
of 117 injected single steps were told from 117 sound results (`scripts/bench steps`)."""
STEPS_TWICE = 1.25
TWICE_ROUNDED = frozenset({"HARD_SWISH", "LEAKY_RELU", "MEAN", "SQRT"})
"""Kernels that requantise an intermediate integer: each rounding costs half a step."""
STEPS_SUMMED_16 = 32.0
SUMMED = frozenset({"SOFTMAX", "LOG_SOFTMAX"})
"""16-bit kernels that multiply a looked-up reciprocal with looked-up exponentials: each is good to about 2^-12
(measured: at most 11 steps of 32768)."""
STEPS_16 = 1.75
"""A multiplier of 15 bits is off by 2^-16 of at most 32767 (`MultiplyByQuantizedMultiplier` of 64-bit accumulators)."""
STEPS_SUMMED = 2.0
"""8-bit kernels that sum looked-up exponentials (measured: at most 1.82 steps, LOG_SOFTMAX)."""
SEGMENT = 128
"""16-bit functions are looked up in 512 segments of 128 codes (`LUTSize`, `gen_lut`): between the knots they are
interpolated, so a result may be off by what the function changes within a segment."""
LEFT_SHIFT = 2.0**-18
"""ADD and SUB rescale both operands by 20 bits first (`AddParams.left_shift`); this is a unit of that, and what it is
in steps of the result is allowed."""
MOVES = 2
MOTION_FACTOR = 8.0

Real = NDArray[np.float64]


def disputes(
    record: CaseRun,
    twin: Twin,
    runtimes: Collection[str],
    samples: int | None = None,
    told: set[int] | None = None,
) -> Iterator[list[NodeDivergence]]:
    """The runtimes whose kernel is wrong, operator by operator in execution order; none for operators all get right.

    `samples` limits how many of the case's samples are looked at. The positions of the operators that real arithmetic
    could tell anything of are added to `told`.
    """
    recorded = [parts.intermediates(record, sample) for sample in range(len(record.samples[:samples]))]
    flat = record.flat
    for position in range(len(flat.ops) if flat is not None and all(recorded) else 0):
        worst: dict[str, NodeDivergence] = {}
        for sample, tensors in enumerate(recorded):
            for found in judge_node(record, twin, position, tensors, runtimes, sample):
                if found.runtime not in worst or found.ratio > worst[found.runtime].ratio:
                    worst[found.runtime] = found
        if told is not None and worst:
            told.add(position)
        guilty = [found for found in worst.values() if found.ratio > 1]
        if guilty:
            yield guilty


def judge_node(
    record: CaseRun, twin: Twin, position: int, tensors: dict[int, Array], runtimes: Collection[str], sample: int = 0
) -> list[NodeDivergence]:
    """How far each runtime's kernel is from real arithmetic at one operator; empty where that cannot be told."""
    flat = record.flat
    assert flat is not None
    op = flat.ops[position]
    if not judged(record, twin, op, tensors):
        return []
    known = real_operands(twin, op, tensors)
    try:
        right = twin.node(position, known)[0]
        if right.dtype.kind != "f" or right.size == 0:
            return []
        code, allowed = _allowed(record, twin, position, known, right)
    except NoTwinError:
        return []
    grid, content = twin.grids[op.outputs[0]], parts.isolate(record.content, position)
    result = []
    for runtime in runtimes:
        made = parts.invoke(runtime, content, tensors)
        if not made or made[0].shape != code.shape:
            continue
        with np.errstate(all="ignore"):
            apart = np.abs(made[0].astype(np.float64) - np.clip(code, grid.lowest, grid.highest))
            ratio = np.where(np.isfinite(right), apart / allowed, 0.0)
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
        result.append(
            NodeDivergence(
                position,
                op,
                runtime,
                float(ratio[at]),
                float(apart[at]),
                "steps",
                at,
                float(np.clip(code[at], grid.lowest, grid.highest)),
                float(made[0][at]),
                0,
                sample,
                code.shape,
            )
        )
    return result


def judged(record: CaseRun, twin: Twin, op: FlatOp, tensors: dict[int, Array]) -> bool:
    """Whether an operator has an integer result that real arithmetic can be asked for."""
    assert record.flat is not None
    if op.name in UNJUDGED or op.name in PASSING or len(op.outputs) != 1 or op.outputs[0] not in twin.grids:
        return False
    # An operand that is constant and quantised is in the twin; others are what the model gave it.
    present = all(i < 0 or i in tensors or i in twin.constants for i in op.inputs)
    return present and node_bound.meaningful(record.flat, op, tensors)


def real_operands(twin: Twin, op: FlatOp, tensors: dict[int, Array]) -> dict[int, Array]:
    """The operands of an operator as the real numbers that they stand for."""
    known = {}
    for index in op.inputs:
        if index in twin.constants:
            known[index] = twin.constants[index]
        elif index >= 0:
            value = tensors[index]
            grid = twin.grids.get(index)
            known[index] = value if grid is None else grid.real(value).astype(np.float32)
    return known


def _allowed(record: CaseRun, twin: Twin, position: int, known: dict[int, Array], right: Array) -> tuple[Real, Real]:
    """The result as real-valued code, unclamped, and how many codes a sound kernel may be off, per element."""
    flat = record.flat
    assert flat is not None
    op = flat.ops[position]
    grid = twin.grids[op.outputs[0]]
    code = grid.position(right)
    random = np.random.RandomState(0)
    moves = [{i: parts.nudged(v, random) for i, v in known.items()} for _ in range(MOVES)]
    motion = _motion(twin, position, moves, grid.position, code)
    wide = grid.highest > 255
    if wide and op.name not in SUMMED and len([i for i in op.inputs if i >= 0]) == 1:
        moves = [{i: _shifted(twin, i, v, by) for i, v in known.items()} for by in (-SEGMENT, SEGMENT)]
        steps = STEPS_16 + _motion(twin, position, moves, grid.position, code)
    else:
        steps = np.full(code.shape, _steps(op.name, wide))
    coarsest = max((s for i in op.inputs if i >= 0 for s in flat.tensors[i].scales), default=0.0)
    slack = coarsest * LEFT_SHIFT / float(grid.step.min()) if op.name in ("ADD", "SUB") else 0.0
    return code, steps + MOTION_FACTOR * motion + slack


def _steps(operator: str, wide: bool) -> float:
    """How many codes a sound kernel of an operator may be off; `wide` for 16-bit results."""
    if wide:
        return STEPS_SUMMED_16 if operator in SUMMED else STEPS_16
    if operator in SUMMED:
        return STEPS_SUMMED
    return STEPS_TWICE if operator in TWICE_ROUNDED else STEPS


def _motion(
    twin: Twin, position: int, moves: Sequence[dict[int, Array]], scale: Callable[[Array], Real], code: Real
) -> Real:
    """How far the result moves, in codes, when its operands do."""
    motion = np.zeros(code.shape)
    for moved in moves:
        result = twin.node(position, moved)[0]
        if result.shape == code.shape:
            with np.errstate(all="ignore"):
                motion = np.fmax(motion, np.nan_to_num(np.abs(scale(result) - code), nan=np.inf))
    return motion


def _shifted(twin: Twin, index: int, value: Array, codes: int) -> Array:
    """An activation moved by some codes of its grid."""
    grid = twin.grids.get(index)
    if grid is None or index in twin.constants:
        return value
    moved: Array = (value.astype(np.float64) + codes * grid.step).astype(np.float32)
    return moved
