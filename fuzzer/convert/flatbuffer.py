"""Reads a flatbuffer: the ops, tensors, quantisation and fused activations the converter made.

Uses the schema that TensorFlow ships; the packed accessors, because unpacking a whole model costs 2 ms.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FlatTensor:
    """One tensor: its name, dtype name (`INT8`), static shape, whether it has data in the file, and its scale.

    `scales` are the quantisation scales: none, one, or one a channel.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    constant: bool
    per_channel: bool
    scales: tuple[float, ...]

    @property
    def scale(self) -> float:
        """The scale of a tensor that has one for all; 0.0 where there is none."""
        return self.scales[0] if self.scales else 0.0


@dataclass(frozen=True)
class FlatOp:
    """One operator of the main sub-graph: its builtin (or custom) name, tensors, and fused activation."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str


@dataclass(frozen=True)
class Flat:
    """The main sub-graph of a flatbuffer."""

    ops: tuple[FlatOp, ...]
    tensors: tuple[FlatTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int
    operators: tuple[str, ...]
    """Distinct operators of all sub-graphs, sorted; custom ones as `custom:name`."""


@cache
def _schema() -> Any:
    if "tensorflow" in sys.modules:
        from tensorflow.lite.python import schema_py_generated

        return schema_py_generated
    return _schema_alone()


def _schema_alone() -> Any:
    """TensorFlow's schema without TensorFlow, whose import takes seconds: the file needs NumPy and flatbuffers only."""
    package = find_spec("tensorflow")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("tensorflow is not installed")
    path = Path(package.submodule_search_locations[0]) / "lite" / "python" / "schema_py_generated.py"
    spec = spec_from_file_location("fuzzer_tflite_schema", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _names(enum: str) -> dict[int, str]:
    cls = getattr(_schema(), enum)
    return {v: k for k, v in vars(cls).items() if isinstance(v, int)}


def read(content: bytes) -> Flat:
    """Reads the main sub-graph. Raises whatever the schema raises on bytes that are no flatbuffer."""
    schema = _schema()
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    builtin, dtypes = _names("BuiltinOperator"), _names("TensorType")
    codes = []
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        # Old readers only know the deprecated byte; the larger of the two is the code (schema.fbs, OperatorCode).
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        codes.append(f"custom:{custom.decode()}" if custom else builtin.get(number, str(number)))
    tensors = []
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        quantization = tensor.Quantization()
        scales = quantization.ScaleLength() if quantization is not None else 0
        name = tensor.Name()
        tensors.append(
            FlatTensor(
                name.decode(errors="replace") if name else "",
                dtypes.get(tensor.Type(), str(tensor.Type())),
                tuple(tensor.Shape(d) for d in range(tensor.ShapeLength())),
                _has_data(model.Buffers(tensor.Buffer())),
                scales > 1,
                tuple(float(quantization.Scale(k)) for k in range(scales)),
            )
        )
    ops = []
    for i in range(graph.OperatorsLength()):
        op = graph.Operators(i)
        ops.append(
            FlatOp(
                codes[op.OpcodeIndex()],
                tuple(op.Inputs(k) for k in range(op.InputsLength())),
                tuple(op.Outputs(k) for k in range(op.OutputsLength())),
                _activation(op),
            )
        )
    return Flat(
        tuple(ops),
        tuple(tensors),
        tuple(graph.Inputs(k) for k in range(graph.InputsLength())),
        tuple(graph.Outputs(k) for k in range(graph.OutputsLength())),
        model.SubgraphsLength(),
        _operators(model, codes),
    )


def _operators(model: Any, codes: list[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for g in range(model.SubgraphsLength()):
        graph = model.Subgraphs(g)
        found.update(codes[graph.Operators(i).OpcodeIndex()] for i in range(graph.OperatorsLength()))
    return tuple(sorted(found))


def _has_data(buffer: Any) -> bool:
    """Whether a buffer holds something, in the flatbuffer or (`use_buffer_offset`) behind it, where 1 means nothing."""
    return bool(buffer.DataLength() > 0 or buffer.Offset() > 1)


def _activation(op: Any) -> str:
    """The fused activation of an operator, or an empty string where its options have none."""
    options = op.BuiltinOptions()
    if options is None:
        return ""
    name = _names("BuiltinOptions").get(op.BuiltinOptionsType(), "")
    cls = getattr(_schema(), name, None)
    if cls is None or not hasattr(cls, "FusedActivationFunction"):
        return ""
    typed = cls()
    typed.Init(options.Bytes, options.Pos)
    return _names("ActivationFunctionType").get(typed.FusedActivationFunction(), "")
