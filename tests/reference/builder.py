"""Tiny flatbuffers of one operator (or a few), and their results under the runtime's reference kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzzer import reference

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Operand:
    """A tensor to build: its type, shape, quantisation, and its value when it is a constant.

    `dtype` is NumPy's name or `int4` (a constant of int8 codes, packed two to a byte).
    """

    dtype: str
    shape: tuple[int, ...]
    scale: float | Sequence[float] | None = None
    zero_point: int | Sequence[int] = 0
    axis: int = 0
    data: Array | None = None

    def constant(self, data: Array) -> Operand:
        return replace(self, data=data, shape=tuple(data.shape))


def tensor(dtype: str, shape: Sequence[int], scale: float | None = None, zero_point: int = 0) -> Operand:
    """A computed tensor: fed when it is an operand, made when it is a result."""
    return Operand(dtype, tuple(shape), scale, zero_point)


@cache
def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def _quantization(operand: Operand) -> Any:
    made = _schema().QuantizationParametersT()
    if operand.scale is not None:
        scales = np.atleast_1d(np.asarray(operand.scale, np.float32))
        points = np.broadcast_to(np.asarray(operand.zero_point, np.int64), scales.shape)
        made.scale, made.zeroPoint = scales.tolist(), points.tolist()
        made.quantizedDimension = operand.axis
    return made


def _bytes(operand: Operand) -> Any:
    assert operand.data is not None
    if operand.dtype != "int4":
        return np.frombuffer(np.ascontiguousarray(operand.data).tobytes(), np.uint8)
    nibbles = operand.data.reshape(-1).astype(np.uint8) & 0xF
    nibbles = np.append(nibbles, np.zeros(nibbles.size % 2, np.uint8))
    return nibbles[0::2] | (nibbles[1::2] << 4)


def build(
    op: str,
    operands: Sequence[Operand | None],
    results: Sequence[Operand],
    options: str = "",
    version: int = 1,
    **fields: Any,
) -> bytes:
    """A flatbuffer of one operator. Tensor i is operand i (named `i0`, `i1` …), then come the results (`o0` …).

    `options` is the schema's options table (`AddOptions`), `fields` its fields (`fusedActivationFunction=1`).
    """
    schema = _schema()
    model, graph, node, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    model.version, model.buffers, graph.tensors = 3, [schema.BufferT()], []
    for index, operand in enumerate([*operands, *results]):
        made = schema.TensorT()
        made.name = f"i{index}" if index < len(operands) else f"o{index - len(operands)}"
        if operand is not None:
            made.type = getattr(schema.TensorType, operand.dtype.upper())
            made.shape, made.quantization = list(operand.shape), _quantization(operand)
            if operand.data is not None:
                made.buffer = len(model.buffers)
                model.buffers.append(schema.BufferT())
                model.buffers[-1].data = _bytes(operand)
        graph.tensors.append(made)
    code.builtinCode = getattr(schema.BuiltinOperator, op)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
    node.inputs = [-1 if operand is None else i for i, operand in enumerate(operands)]
    node.outputs = [len(operands) + i for i in range(len(results))]
    if options:
        node.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        node.builtinOptions = getattr(schema, f"{options}T")()
        for name, value in fields.items():
            assert hasattr(node.builtinOptions, name), name
            setattr(node.builtinOptions, name, value)
    graph.inputs = [i for i, operand in enumerate(operands) if operand is not None and operand.data is None]
    graph.outputs, graph.operators = node.outputs, [node]
    model.operatorCodes, model.subgraphs = [code], [graph]
    return pack(model)


def pack(model: Any) -> bytes:
    """A `ModelT` as the bytes of a flatbuffer."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def runtime(content: bytes, feeds: Mapping[int, Array], preserve: bool = False) -> dict[int, Array]:
    """What BUILTIN_REF computes: results by tensor index; with `preserve`, every tensor of the graph that has a value.

    Raises RuntimeError or ValueError when the runtime refuses the model.
    """
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(
        model_content=content,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=preserve,
    )
    for index, value in feeds.items():
        interpreter.resize_tensor_input(index, value.shape)
    interpreter.allocate_tensors()
    for index, value in feeds.items():
        interpreter.set_tensor(index, value)
    interpreter.invoke()
    wanted = [d["index"] for d in (interpreter.get_tensor_details() if preserve else interpreter.get_output_details())]
    found = {}
    for index in wanted:
        try:
            found[int(index)] = interpreter.get_tensor(index)
        except ValueError:
            if not preserve:  # scratch tensors have no data; an output that has none is the caller's business
                raise
    return found


def codes(random: np.random.Generator, operand: Operand) -> Array:
    """Random raw codes of an operand's type, extremes included; small values for float types."""
    if operand.dtype.startswith("float"):
        return random.normal(0, 3, operand.shape).astype(operand.dtype)
    low, high = (-8, 7) if operand.dtype == "int4" else (np.iinfo(operand.dtype).min, np.iinfo(operand.dtype).max)
    made = random.integers(low, high, operand.shape, np.int64, endpoint=True)
    extreme = random.choice([low, high], operand.shape)
    drawn = np.where(random.random(operand.shape) < 0.1, extreme, made)
    return drawn.astype("int8" if operand.dtype == "int4" else operand.dtype)


def compare(content: bytes, feeds: Mapping[int, Array]) -> dict[int, Array]:
    """Asserts that reference and runtime agree bit for bit on every result (type, shape and values); the results."""
    expected = runtime(content, feeds)
    actual = reference.evaluate(content, feeds)
    for index, value in expected.items():
        ours = actual[index]
        assert ours.dtype == value.dtype and ours.shape == value.shape, (
            ours.dtype,
            ours.shape,
            value.dtype,
            value.shape,
        )
        if value.dtype.kind == "f":
            value, ours = (v.view(f"i{v.dtype.itemsize}") for v in (value, ours))
        different = np.argwhere(ours != value)
        if len(different):
            first = tuple(different[0])
            raise AssertionError(
                f"{len(different)} of {value.size} elements differ, first at {first}: "
                f"reference {ours[first]}, runtime {value[first]}"
            )
    return expected
