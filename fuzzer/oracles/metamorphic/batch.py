"""Batches: n examples at once give what they give alone, and where an example stands does not matter.

Which models keep their examples apart is not told by a list of operators: TensorFlow itself, run on the changed batch,
has to keep the promise for the very numbers that are fed.

Integers need not be the same either: vectorised kernels round the last elements of a buffer otherwise than the others
(DEQUANTIZE in floats, the optimised convolution by a quantisation step: measured, 3 of 74 batches under `tf-builtin`).
"""

from __future__ import annotations

import numpy as np

from fuzzer.build import Array, constants, run_eager, trained_weights, weights_of
from fuzzer.execute.record import CaseRun
from fuzzer.oracles.metamorphic.relation import Relation, Samples, Work, repeatable

_CLOSE = 1e-5
"""What TensorFlow's own two results may be apart, relative to their largest number: matrices of another height are
multiplied in other blocks, so about a hundred float32 roundings."""


def moved(value: Array) -> Array:
    """The batch with every example one place further; the last one comes first."""
    return np.roll(value, 1, axis=0)


def moved_back(value: Array) -> Array:
    """The inverse of `moved`."""
    return np.roll(value, -1, axis=0)


def batch_rows(work: Work) -> Samples:
    """Every batch with its examples moved by one place; the results moved back."""
    interpreter = work.interpreter()
    found = []
    for fed in work.feeds:
        rows = work.invoke(interpreter, {index: moved(value) for index, value in fed.items()})
        found.append([moved_back(value) for value in rows])
    return found


def batch_split(work: Work) -> Samples:
    """Every example alone, on an interpreter for batches of one; the results joined."""
    ones = tuple(
        {index: value[i : i + 1] for index, value in fed.items()} for fed in work.feeds for i in range(_size(fed))
    )
    alone = Work(work.runtime, work.content, ones, work.outputs, work.threads)
    rows = alone.all(alone.interpreter())
    size = _size(work.feeds[0])
    batches = [rows[i : i + size] for i in range(0, len(rows), size)]
    return [[np.concatenate(parts) for parts in zip(*batch, strict=True)] for batch in batches]


def _size(fed: object) -> int:
    assert isinstance(fed, dict)
    return int(next(iter(fed.values())).shape[0])


def _batched(record: CaseRun) -> str:
    """Why there is no batch: inputs and outputs do not all have the same first axis of two and more."""
    model = record.case.model
    firsts = {t.shape[0] if t.shape else 0 for t in (*model.inputs, *model.output_types)}
    return repeatable(record) or ("" if len(firsts) == 1 and min(firsts) > 1 else "no batch of two and more")


def _eager(record: CaseRun, sample: list[Array]) -> list[Array]:
    import tensorflow as tf

    weights = weights_of(record.case)
    fixed = trained_weights(tf, record.case, constants(tf, weights), weights)
    return run_eager(tf, record.case, sample, fixed)


def _apart(record: CaseRun) -> str:
    """Why examples can't be moved: TensorFlow itself does not give the same then."""
    why = _batched(record)
    if why:
        return why
    for sample, expected in zip(record.samples, record.reference, strict=True):
        found = _eager(record, [moved(value) for value in sample])
        if not all(_close(moved_back(f), e) for f, e in zip(found, expected, strict=True)):
            return "examples of a batch are not apart"
    return ""


def _alone(record: CaseRun) -> str:
    """Why examples can't be run alone: the flatbuffer fixes its batch, or TensorFlow does not take or keep them so."""
    import tensorflow as tf

    why = _batched(record)
    if why:
        return why
    conversion = record.case.conversion
    if conversion.dynamic not in ("batch", "all") and conversion.entry != "keras_export":
        return "the flatbuffer fixes its batch"
    try:
        for sample, expected in zip(record.samples, record.reference, strict=True):
            rows = [_eager(record, [v[i : i + 1] for v in sample]) for i in range(sample[0].shape[0])]
            for i, row in enumerate(rows):
                if not all(_close(r, e[i : i + 1]) for r, e in zip(row, expected, strict=True)):
                    return "examples of a batch are not apart"
    except (tf.errors.OpError, ValueError):
        return "TensorFlow does not take examples alone"  # a reshape that names the size of the batch
    return ""


def _close(left: Array, right: Array) -> bool:
    if left.shape != right.shape:
        return False
    if left.dtype.kind not in "fc":
        return bool(np.all(left == right))
    wide = np.complex128 if left.dtype.kind == "c" else np.float64
    first, second = left.astype(wide), right.astype(wide)
    size = float(np.abs(np.where(np.isfinite(second), second, 0.0)).max(initial=0.0))
    return bool(np.all(np.isclose(first, second, rtol=0.0, atol=_CLOSE * size, equal_nan=True)))


RELATIONS = (
    Relation(
        "batch_rows",
        "Where an example stands in its batch does not change its result.",
        "examples at another place of their batch give other values",
        "examples at another place of their batch fail",
        _apart,
        batch_rows,
        exact=False,
        exact_integers=False,
        alone=False,  # inside the model the axis of the batch may be any
    ),
    Relation(
        "batch_split",
        "A batch gives what its examples give alone.",
        "examples give other values alone than in a batch",
        "examples of a batch fail alone",
        _alone,
        batch_split,
        exact=False,
        exact_integers=False,
        alone=False,
    ),
)
