"""NaN, infinity and negative zero that go in: whose kernel passes them on otherwise than TensorFlow does.

Every operator of the flatbuffer whose operands hold one is run alone, under each runtime, and each element of its
result is held against what the table of `fuzzer.oracles.special_values` says of TensorFlow. Only what the table defines
is judged, and only in cases whose end result differs too: what an operator further on hides again is no defect.

A verdict from here is a matter of propagation: its evidence says so (`SPECIAL_OPERANDS`), it is low in severity and off
the main list. NaN or infinity out of finite operands is another thing, which `truth` and `nodewise` confirm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer.build import Array
from fuzzer.convert.flatbuffer import Flat, FlatOp
from fuzzer.execute.record import CaseRun
from fuzzer.oracles.confirm import Confirmation
from fuzzer.oracles.confirm.nodewise import kernels_of
from fuzzer.oracles.confirm.parts import intermediates, invoke, isolate
from fuzzer.oracles.confirm.windows import products, windows
from fuzzer.oracles.special_values import (
    CLASSES,
    RESULTS,
    SPECIALS,
    TINY,
    encoded,
    lookup,
    outcome,
    special_masks,
    table,
)
from fuzzer.oracles.verdict import SPECIAL_OPERANDS, Kind, Verdict

MESSAGE = "NaN or infinity propagates otherwise than in TensorFlow"
_FUSED = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1", "TANH": "TANH"}
"""Fused activations and the rows that say what becomes of a special result in them."""
Codes = NDArray[np.int8]


def applies(record: CaseRun) -> bool:
    """Whether the table can say anything of a case: a float one, whose flatbuffer is compared with TensorFlow."""
    return record.case.conversion.judged == "float32" and record.flat is not None and bool(record.samples)


def confirm(record: CaseRun, suspicion: Verdict) -> Confirmation:
    """The first operator that some runtime computes otherwise than the table says, or why there is none."""
    if not applies(record):
        return Confirmation(None, "NaN and infinity are compared with TensorFlow in float models only")
    complete = [name for name, run in record.runs.items() if run.complete]
    wrong_at_the_end = [name for name in complete if _differs(record, name)]
    if not wrong_at_the_end:
        return Confirmation(None, "what comes of NaN and infinity is the same in the end")
    flat = record.flat
    assert flat is not None
    recorded = [intermediates(record, sample) for sample in range(len(record.samples))]
    for position, op in enumerate(flat.ops):
        found: dict[str, tuple[int, tuple[int, ...], int, str, str]] = {}
        for sample, tensors in enumerate(recorded):
            wanted = expected(flat, op, record.content, position, tensors)
            if wanted is None:
                continue
            content = isolate(record.content, position)
            for runtime in complete:
                odd = _odd(wanted, invoke(runtime, content, tensors))
                if odd is not None and (runtime not in found or odd[0] > found[runtime][0]):
                    found[runtime] = (odd[0], odd[1], sample, odd[2], odd[3])
        if found and set(found) & set(wrong_at_the_end):
            return _confirmed(record, suspicion, position, op, found)
    return Confirmation(None, "no operator alone passes NaN or infinity on otherwise than TensorFlow defines")


def _confirmed(
    record: CaseRun,
    suspicion: Verdict,
    position: int,
    op: FlatOp,
    found: dict[str, tuple[int, tuple[int, ...], int, str, str]],
) -> Confirmation:
    runtime = max(found, key=lambda r: found[r][0])
    count, index, sample, want, got = found[runtime]
    evidence = {
        **suspicion.evidence,
        SPECIAL_OPERANDS: True,
        "node": position,
        "runtimes": [r for r in record.runs if r in found],
        "sample": sample,
        "index": list(index),
        "expected": want,
        "actual": got,
    }
    verdict = replace(
        suspicion,
        kind=Kind.NAN_PROPAGATION,
        message=f"{kernels_of(record, set(found))} {op.name} (float32): {MESSAGE}",
        runtime=runtime,
        severity=float(count),
        unit="elements",
        blame=op.name,
        evidence=evidence,
    )
    return Confirmation(verdict, "TensorFlow defines what comes of it")


def _differs(record: CaseRun, runtime: str) -> bool:
    """Whether some element of an output is NaN, infinite or a truth here and is not in TensorFlow."""
    run = record.runs[runtime]
    for outputs, reference in zip(run.samples, record.reference, strict=True):
        for got, want in zip(outputs, reference, strict=False):
            if got.shape == want.shape and got.dtype == want.dtype and bool(np.any(outcome(got) != outcome(want))):
                return True
    return False


def _odd(wanted: Codes, made: list[Array] | None) -> tuple[int, tuple[int, ...], str, str] | None:
    """How many elements are otherwise than wanted, the first of them, and both classes; None where none is."""
    if not made or made[0].shape != wanted.shape:
        return None
    got = outcome(made[0])
    odd = (wanted > 0) & (got > 0) & (got != wanted)
    if not odd.any():
        return None
    at = tuple(int(i) for i in np.argwhere(odd)[0])
    return int(odd.sum()), at, RESULTS[wanted[at]], RESULTS[got[at]]


def expected(flat: Flat, op: FlatOp, content: bytes, position: int, tensors: dict[int, Array]) -> Codes | None:
    """What the table says of each element of an operator's first result, as indices into `RESULTS`.

    0 where it says nothing; None where it says nothing of any element: no special value goes in, the operator has no
    row, or it does not work on float32 alone.
    """
    row = table().get(op.name)
    if row is None or not op.outputs or any(i not in tensors for i in op.inputs if i >= 0):
        return None
    operands = [tensors[i] for i in op.inputs if i >= 0]
    made = flat.tensors[op.outputs[0]].dtype
    if made not in ("FLOAT32", "BOOL") or not any(_special(value) for value in operands):
        return None
    if any(value.dtype.kind == "f" and value.dtype != np.float32 for value in operands):
        return None
    if row.rule == "elementwise":
        wanted = _elementwise(op, operands[: row.operands])
    elif row.rule == "reduce":
        wanted = _reduced(op, operands, tensors)
    elif row.rule == "window":
        wanted = _sets(op.name, windows(content, position, special_masks(operands[0])))
    else:
        wanted = _summed(op, content, position, operands)
    return None if wanted is None or not wanted.any() else _activated(op, wanted)


def _special(value: Array) -> bool:
    return value.dtype == np.float32 and not bool(np.all(np.isfinite(value) & ((value != 0) | ~np.signbit(value))))


def _elementwise(op: FlatOp, operands: list[Array]) -> Codes | None:
    cells = lookup(op.name)
    if len(operands) != cells.ndim:
        return None
    try:
        codes = np.broadcast_arrays(*(encoded(value) for value in operands))
    except ValueError:
        return None
    known = np.logical_and.reduce([code >= 0 for code in codes])
    found: Codes = cells[tuple(np.where(known, code, 0) for code in codes)]
    return np.where(known, found, 0).astype(np.int8)


def _reduced(op: FlatOp, operands: list[Array], tensors: dict[int, Array]) -> Codes | None:
    """Reductions over axes, and functions of the last axis whose result has the operand's shape."""
    data = operands[0]
    if len(operands) > 1:
        axes = tuple(sorted({int(axis) % data.ndim for axis in np.atleast_1d(operands[1])})) if data.ndim else ()
    else:
        axes = (data.ndim - 1,) if data.ndim else ()
    if not axes or data.size == 0 or bool(np.any((data != 0) & (np.abs(data) < TINY))):
        return None
    masks = [mask.any(axis=axes, keepdims=True) for mask in special_masks(data)]
    shape = tensors[op.outputs[0]].shape
    wanted = _sets(op.name, masks)
    return np.broadcast_to(wanted, shape) if len(operands) == 1 else wanted.reshape(shape)


def _sets(operator: str, masks: Any) -> Codes:
    """The result for each set of special values, given where each of NaN, +Inf and -Inf takes part."""
    row = table()[operator]
    made = np.zeros(masks[0].shape, np.int8)
    for bits in range(1, 8):
        chosen = [SPECIALS[i] for i in range(3) if bits >> i & 1]
        here = np.logical_and.reduce([masks[i] if bits >> i & 1 else ~masks[i] for i in range(3)])
        made[here] = RESULTS.index(row.result(" ".join(chosen)))
    return made


def _summed(op: FlatOp, content: bytes, position: int, operands: list[Array]) -> Codes | None:
    """Sums of products: each product's class by the table, NaN where both infinities meet or a product is NaN.

    Only data may be special: what padding makes of an infinite weight is nobody's promise.
    """
    data, weights, row = operands[0], operands[1], table()[op.name]
    if not all(bool(np.all(np.isfinite(value))) for value in operands[1:]):
        return None
    if bool(np.any((weights != 0) & (np.abs(weights) < TINY))):
        return None
    hits = {name: np.zeros(0, np.bool_) for name in ("nan", "+inf", "-inf")}
    codes = encoded(weights)
    for special, mask in zip(("nan", "+inf", "-inf"), special_masks(data), strict=True):
        for factor in ("+0", "-0", "+x", "-x"):
            result = row.result(f"{special},{factor}")
            there = codes == CLASSES.index(factor)
            if not mask.any() or not there.any():
                continue
            if result not in hits:
                return None
            met = products(content, position, mask, there)
            if met is None:
                return None
            hits[result] = met | (hits[result] if hits[result].size else np.zeros(met.shape, np.bool_))
    shape = next((hit.shape for hit in hits.values() if hit.size), None)
    if shape is None:
        return None
    nan, plus, minus = (hit if hit.size else np.zeros(shape, np.bool_) for hit in hits.values())
    made = np.zeros(shape, np.int8)
    made[plus] = RESULTS.index("+inf")
    made[minus] = RESULTS.index("-inf")
    made[nan | (plus & minus)] = RESULTS.index("nan")
    return made


def _activated(op: FlatOp, wanted: Codes) -> Codes | None:
    """What a fused activation makes of special results; None for one that has no row."""
    if op.activation in ("", "NONE"):
        return wanted
    name = _FUSED.get(op.activation)
    if name is None:
        return None
    row, made = table()[name], wanted.copy()
    for special in ("nan", "+inf", "-inf"):
        made[wanted == RESULTS.index(special)] = RESULTS.index(row.result(special))
    return made
