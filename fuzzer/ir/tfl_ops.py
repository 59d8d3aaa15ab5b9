"""Operators of the `tfl` dialect: each becomes a flatbuffer of its own and runs on TFLite's reference kernels.

The converter's exporter is generated from the dialect: an operator's attributes are the fields of its options table in
`schema.fbs` under the same names (`stride_h` is `strideH` in Python). So one rule builds them all, and only the names
that do not follow from the operator's are listed. An attribute without a field is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from fuzzer.ir.errors import NotEvaluableError
from fuzzer.ir.text import Dense, Operation, Raw, SyntaxRefused
from fuzzer.ir.values import TensorType, array_of, dequantised, quantised, tensor_type

Array = np.ndarray[Any, Any]
_OPTIONS = {
    "max_pool_2d": "Pool2D",
    "average_pool_2d": "Pool2D",
    "l2_normalization": "L2Norm",
    "conv_3d_transpose": "Conv3D",
    "basic_lstm": "LSTM",
    **dict.fromkeys(("mean", "sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_any", "reduce_all"), "Reducer"),
}
"""Options tables that are not called as the operator (schema.fbs, `union BuiltinOptions`)."""
_ENUMS = {
    "padding": "Padding",
    "fusedactivationfunction": "ActivationFunctionType",
    "weightsformat": "FullyConnectedOptionsWeightsFormat",
    "mode": "MirrorPadMode",
}
"""Fields that hold a word, and its enum."""
_TYPED = {"outtype": 0, "outputtype": 0, "idxouttype": 1, "outdatatype": 0}
"""Fields that hold the dtype of a result, and of which."""
_IDLE = ("device", "volatile", "qtype", "value", "operandSegmentSizes", "resultSegmentSizes")
"""Attributes that the exporter does not write into the options."""
_STATEFUL = ("lstm", "rnn", "svdf", "random", "variable", "var_handle", "call_once", "hashtable")
"""Parts of names of operators that keep something from one run to the next, or draw lots."""

_SMALLEST = 127
"""Quantised types of less than eight bits have no kernels here."""
_VERSIONS = (1, 2, 3, 4)
"""Versions of an operator to ask a resolver for: most kernels are registered from the first on, some later."""
_BASES = ("tf-reference", "tf-builtin")
"""The kernels that run operators: reference ones, or optimised ones where there are no other."""
_OPTIMISED = ("tfl.local_response_normalization",)
"""Operators whose reference kernel is known to be wrong (it leaves out the last channel of its window)."""


@cache
def _schema() -> Any:
    from tensorflow.lite.python import schema_py_generated

    return schema_py_generated


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


@cache
def _member(enum: str, name: str) -> int | None:
    """The number of a member, whose case and underscores do not matter."""
    known = {_plain(k): v for k, v in vars(getattr(_schema(), enum)).items() if isinstance(v, int)}
    return known.get(_plain(name))


def call(op: Operation, args: Sequence[Array | None], fixed: Sequence[bool]) -> list[Array]:
    """The results of one operator. `fixed` says which operands are constants. Raises `NotEvaluableError`.

    QUANTIZE and DEQUANTIZE between real numbers and integers are done by their types: four bits and narrow ranges are
    limits that the program has and a flatbuffer has not.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    from fuzzer.execute.runtimes import MAKERS

    try:
        given = args[0] if len(args) == 1 else None
        if op.name in ("tfl.quantize", "tfl.dequantize") and given is not None:
            kinds = tensor_type(op.operand_types[0]), tensor_type(op.result_types[0])
            if kinds[1].scales and given.dtype.kind == "f":
                return [quantised(given, kinds[1])]
            if kinds[0].scales and not kinds[1].scales:
                return [dequantised(given, kinds[0])]
        model = _model(op, args, fixed)
    except SyntaxRefused as error:
        raise NotEvaluableError(f"{op.name}: {error}") from error
    feeds = [value for value, constant in zip(args, fixed, strict=True) if value is not None and not constant]
    why = ""
    for base in reversed(_BASES) if op.name in _OPTIMISED else _BASES:
        for version in _VERSIONS:
            model.operatorCodes[0].version = version
            content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
            try:
                return _invoke(MAKERS[base](content, 1), feeds)
            except (RuntimeError, ValueError) as error:
                # A missing or an unwilling kernel; the other resolver, or a later version, may have one.
                why = str(error)
                if "version" not in why:
                    break
    raise NotEvaluableError(f"{op.name}: {why[:120]}")


def _invoke(interpreter: Any, feeds: Sequence[Array]) -> list[Array]:
    from fuzzer.execute.record import slot_of
    from fuzzer.execute.runtimes import output

    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), feeds, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [np.array(output(interpreter, slot_of(d))) for d in interpreter.get_output_details()]


def _model(op: Operation, args: Sequence[Array | None], fixed: Sequence[bool]) -> Any:
    """The flatbuffer as an object tree."""
    schema = _schema()
    name = op.name.removeprefix("tfl.")
    code = _member("BuiltinOperator", name)
    if code is None or any(word in name for word in _STATEFUL):
        raise NotEvaluableError(f"{op.name}: no stateless builtin operator")
    model, graph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    model.version, model.subgraphs, model.description = 3, [graph], ""
    model.operatorCodes = [schema.OperatorCodeT()]
    model.operatorCodes[0].builtinCode = code
    model.operatorCodes[0].deprecatedBuiltinCode = min(code, 127)
    model.buffers, graph.tensors, graph.operators = [schema.BufferT()], [], [operator]
    graph.inputs, graph.outputs, operator.inputs, operator.outputs = [], [], [], []
    for value, type_, constant in zip(args, op.operand_types, fixed, strict=True):
        if value is None:
            operator.inputs.append(-1)
            continue
        operator.inputs.append(_tensor(model, tensor_type(type_), value.shape, value if constant else None))
        if not constant:
            graph.inputs.append(operator.inputs[-1])
    for type_ in op.result_types:
        kind = tensor_type(type_)
        known = kind.shape if kind.shape is not None and -1 not in kind.shape else ()
        operator.outputs.append(_tensor(model, kind, known, None))
    graph.outputs = list(operator.outputs)
    _set_options(op, name, operator)
    return model


def _tensor(model: Any, kind: TensorType, shape: Sequence[int], value: Array | None) -> int:
    schema = _schema()
    tensor = schema.TensorT()
    number = _member("TensorType", kind.dtype)
    if number is None or (kind.scales and kind.limits[1] < _SMALLEST):
        raise SyntaxRefused(f"no tensors of {kind.dtype} up to {kind.limits[1]}")
    tensor.type, tensor.shape, tensor.buffer = number, list(shape), 0
    tensor.name = f"t{len(model.subgraphs[0].tensors)}"
    if kind.scales:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = list(kind.scales)
        tensor.quantization.zeroPoint = list(kind.zero_points)
        tensor.quantization.quantizedDimension = kind.axis
    if value is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _set_options(op: Operation, name: str, operator: Any) -> None:
    schema = _schema()
    wanted = _OPTIONS.get(name, name) + "Options"
    carried = {_plain(k): v for k, v in op.attributes.items() if k not in _IDLE and not k.startswith("_")}
    for union, suffix in (("BuiltinOptions", ""), ("BuiltinOptions2", "2")):
        number = _member(union, wanted)
        if number is None:
            continue
        spelt = next(k for k, v in vars(getattr(schema, union)).items() if v == number and _plain(k) == _plain(wanted))
        options = getattr(schema, f"{spelt}T")()
        for field in vars(options):
            plain = _plain(field)
            if plain in carried:
                setattr(options, field, _value(plain, carried.pop(plain)))
            elif plain in _TYPED:
                setattr(options, field, _member("TensorType", tensor_type(op.result_types[_TYPED[plain]]).dtype))
            elif plain == "indatatype":
                setattr(options, field, _member("TensorType", tensor_type(op.operand_types[0]).dtype))
        setattr(operator, f"builtinOptions{suffix}Type", number)
        setattr(operator, f"builtinOptions{suffix}", options)
        break
    if carried:
        raise NotEvaluableError(f"{op.name}: no field for {', '.join(carried)}")


def _value(field: str, value: Any) -> Any:
    if isinstance(value, Raw):
        value = value.text.rstrip(">").split()[-1]
    if isinstance(value, str):
        number = _member(_ENUMS.get(field, ""), value) if field in _ENUMS else None
        if number is None:
            raise NotEvaluableError(f"word {value!r} for {field}")
        return number
    return array_of(value).reshape(-1).tolist() if isinstance(value, Dense) else value
