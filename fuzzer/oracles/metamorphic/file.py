"""The same model in another file: written anew, or its operators in another order."""

from __future__ import annotations

from typing import Any

from fuzzer.execute.record import CaseRun
from fuzzer.oracles.metamorphic.relation import Relation, Samples, Work, repeatable

_UNSTABLE = "unpacking and packing gives other bytes the second time"


def repacked(content: bytes) -> bytes:
    """The flatbuffer read into objects and written again by TensorFlow's own `flatbuffer_utils`."""
    from tensorflow.lite.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(flatbuffer_utils.convert_bytearray_to_object(content)))


def round_trip(work: Work) -> Samples:
    """The file repacked, which a second time must give the same bytes. Raises `ValueError` where it does not."""
    once = repacked(work.content)
    if repacked(once) != once:
        raise ValueError(_UNSTABLE)
    return work.all(work.interpreter(once))


def reordered(content: bytes) -> bytes | None:
    """The flatbuffer with the operators of its main graph in the most different valid order; None where none is.

    The last operator that may come first does, and so on: every operator still follows those it reads from.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(content)
    graph = model.subgraphs[0]
    order = _order(graph)
    if order == sorted(order):
        return None
    graph.operators = [graph.operators[i] for i in order]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _order(graph: Any) -> list[int]:
    operators = graph.operators
    made = {int(o): i for i, op in enumerate(operators) for o in op.outputs}
    waits = {i: {made[int(t)] for t in op.inputs if int(t) in made} for i, op in enumerate(operators)}
    order: list[int] = []
    while waits:
        free = [i for i, needed in waits.items() if needed <= set(order)]
        if not free:
            return sorted(range(len(operators)))  # a loop: no order of ours is better than its own
        order.append(max(free))
        del waits[order[-1]]
    return order


def node_order(work: Work) -> Samples | None:
    """The operators in another valid order."""
    content = reordered(work.content)
    return None if content is None else work.all(work.interpreter(content))


def _within(record: CaseRun) -> str:
    """Why the file can't be repacked: buffers behind the flatbuffer, which `flatbuffer_utils` doesn't read."""
    outside = record.case.conversion.switches.get("_experimental_use_buffer_offset")
    return repeatable(record) or ("buffers outside the flatbuffer" if outside else "")


RELATIONS = (
    Relation(
        "round_trip",
        "A flatbuffer that was read and written again is the same model.",
        "the flatbuffer read and written again gives other values",
        "the flatbuffer read and written again fails",
        _within,
        round_trip,
    ),
    Relation(
        "node_order",
        "Operators that do not read from each other may stand in any order.",
        "another valid order of operators gives other values",
        "another valid order of operators fails",
        _within,
        node_order,
        alone=False,  # one operator has one order
    ),
)
