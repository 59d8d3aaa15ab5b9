"""How TensorFlow Lite computes integers: NumPy kernels that agree bit for bit with its reference kernels.

    from fuzzer import reference
    tensors = reference.run(flatbuffer, {"serving_default_x:0": codes})

gives the raw value of every tensor of the model, by its name in the flatbuffer. NumPy alone computes; the file is
read with the schema that LiteRT ships, and TensorFlow is not imported. What is not computed raises UnsupportedError
and says which operator and why: float operators (QUANTIZE and DEQUANTIZE excepted), types and options without a
kernel here. Where a reference kernel of the runtime is itself wrong, the kernel's docstring says so and the right
value is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fuzzer.errors import UserError
from fuzzer.reference import graph as flatbuffer
from fuzzer.reference.fixed_point import Array, MultiplierError
from fuzzer.reference.graph import Graph, Node, Tensor, UnsupportedError
from fuzzer.reference.registry import kernels


def run(content: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Runs the main graph of a flatbuffer.

    Inputs are raw values by tensor name, in the tensors' own types; their shapes may differ from the file's where the
    operators allow it. Returns every tensor that has a value (inputs, constants, intermediates, outputs) by name;
    when a name is shared, later tensors are called `name#index`. Raises UnsupportedError (see there) and
    UserError for inputs that do not match.
    """
    graph = flatbuffer.read(content)
    by_name = {graph.tensors[i].name: i for i in graph.inputs}
    if set(inputs) != set(by_name):
        raise UserError(f"the model's inputs are {sorted(by_name)}, given were {sorted(inputs)}")
    found = _evaluate(graph, {by_name[name]: value for name, value in inputs.items()})
    named: dict[str, Array] = {}
    for index in sorted(found):
        name = graph.tensors[index].name
        named[name if name not in named else f"{name}#{index}"] = found[index]
    return named


def evaluate(content: bytes, feeds: Mapping[int, Array]) -> dict[int, Array]:
    """The same by tensor index of the main graph: what is fed, constants, and every result."""
    return _evaluate(flatbuffer.read(content), feeds)


def compute(node: Node, operands: Sequence[Array | None]) -> list[Array]:
    """One operator on raw operands (None where an optional one is left out). Raises UnsupportedError."""
    kernel = kernels().get(node.op)
    if kernel is None:
        raise UnsupportedError(node.op, "no kernel in the reference")
    try:
        # Products of extreme float32 scales may overflow; whoever makes a multiplier of one refuses it.
        with np.errstate(all="ignore"):
            results = kernel(node, operands)
    except MultiplierError as error:
        raise UnsupportedError(node.op, str(error)) from error
    for tensor, result in zip(node.outputs, results, strict=True):
        assert result.dtype == np.dtype(tensor.dtype), f"{node.op} gave {result.dtype} for {tensor.dtype}"
    return results


def refusal(content: bytes, position: int) -> str:
    """Why the reference cannot compute one operator of the main graph; empty when it can.

    Found by running it on codes beside the zero point (0 for what is not quantised), with unknown dimensions as 1:
    options, types and shapes decide, unless the values of an operand that is no constant do.
    """
    node = flatbuffer.read(content).nodes[position]
    try:
        compute(node, [None if t is None else _value_or(t, _probe(node, t)) for t in node.inputs])
    except UnsupportedError as error:
        return error.reason
    return ""


def supported(content: bytes, position: int) -> bool:
    """Whether the reference computes one operator of the main graph."""
    return not refusal(content, position)


def _probe(node: Node, tensor: Tensor) -> Array:
    if tensor.dtype == "object":
        raise UnsupportedError(node.op, f"{tensor.stored} operand {tensor.name!r}")
    value = tensor.zero_points[0] if tensor.zero_points else 0
    if tensor.scales:
        value = value + 1 if value < np.iinfo(tensor.dtype).max else value - 1
    return np.full([abs(d) for d in tensor.shape], value, tensor.dtype)


def _value_or(tensor: Tensor, value: Array) -> Array:
    return value if tensor.data is None else tensor.data


def _evaluate(graph: Graph, feeds: Mapping[int, Array]) -> dict[int, Array]:
    found = {t.index: t.data for t in graph.tensors if t.data is not None}
    for index, value in feeds.items():
        tensor = graph.tensors[index]
        if value.dtype != np.dtype(tensor.dtype):
            raise UserError(f"tensor {tensor.name!r} is {tensor.dtype}, fed was {value.dtype}")
        found[index] = value
    for node in graph.nodes:
        operands = [None if t is None else _operand(node, t, found) for t in node.inputs]
        for tensor, result in zip(node.outputs, compute(node, operands), strict=True):
            found[tensor.index] = result
    return found


def _operand(node: Node, tensor: Tensor, found: Mapping[int, Array]) -> Array:
    if tensor.index in found:
        return found[tensor.index]
    if 0 in tensor.shape and tensor.dtype != "object":  # a constant without elements has no buffer
        return np.zeros(tensor.shape, tensor.dtype)
    reason = tensor.unreadable or "it is neither fed, constant, nor computed before"
    raise UnsupportedError(node.op, f"operand {tensor.name!r} has no value: {reason}")


__all__ = [
    "Graph",
    "Node",
    "Tensor",
    "UnsupportedError",
    "compute",
    "evaluate",
    "read",
    "refusal",
    "run",
    "supported",
]

read = flatbuffer.read
