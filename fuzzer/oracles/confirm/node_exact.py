"""Node by node, bit for bit: the runtime's reference kernels against our own integer reference (`fuzzer.reference`).

Real arithmetic allows a kernel its rounding. The reference kernels have none to choose: what they compute is written
down, so one code at one element is a difference.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fuzzer import reference
from fuzzer.build import Array
from fuzzer.errors import UserError
from fuzzer.execute.record import CaseRun
from fuzzer.oracles.confirm import node_bound, parts
from fuzzer.oracles.confirm.node import UNJUDGED, NodeDivergence
from fuzzer.oracles.divergence import REFERENCE_RUNTIME

EXACT = "the integer reference"


def disputes(record: CaseRun, samples: int | None = None) -> Iterator[list[NodeDivergence]]:
    """The operators whose reference kernel gives another integer than it should, in execution order.

    Operators that our reference does not have, and those of floats, are passed over.
    """
    flat = record.flat
    run = record.runs.get(REFERENCE_RUNTIME)
    if flat is None or run is None or not run.complete:
        return
    graph = reference.read(record.content)
    recorded = [parts.intermediates(record, sample) for sample in range(len(record.samples[:samples]))]
    for position, op in enumerate(flat.ops if all(recorded) else ()):
        integers = bool(op.outputs) and flat.tensors[op.outputs[0]].dtype in ("INT8", "UINT8", "INT16")
        if op.name in UNJUDGED or not integers:
            continue
        for sample, tensors in enumerate(recorded):
            if not node_bound.meaningful(flat, op, tensors):
                continue
            found = _judge(record, graph.nodes[position], position, tensors, sample)
            if found is not None:
                yield [found]
                break


def _judge(
    record: CaseRun, node: reference.Node, position: int, tensors: dict[int, Array], sample: int
) -> NodeDivergence | None:
    assert record.flat is not None
    op = record.flat.ops[position]
    operands = [None if t is None else tensors.get(t.index, t.data) for t in node.inputs]
    if any(t is not None and value is None for t, value in zip(node.inputs, operands, strict=True)):
        return None
    try:
        right = reference.compute(node, operands)[0]
    except (reference.UnsupportedError, UserError):
        return None
    made = parts.invoke(REFERENCE_RUNTIME, parts.isolate(record.content, position), tensors)
    if not made or made[0].shape != right.shape or not right.size:
        return None
    apart = np.abs(made[0].astype(np.float64) - right.astype(np.float64))
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), apart.shape))
    if not apart[at]:
        return None
    size = float(apart[at])
    place = (at, float(right[at]), float(made[0][at]))
    return NodeDivergence(position, op, REFERENCE_RUNTIME, 2 * size, size, "steps", *place, 0, sample, right.shape)
