"""What the converter made of a model: which TensorFlow operators went in, which came out, and what was folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.build import Array, trace
from fuzzer.case import Case
from fuzzer.convert.flatbuffer import Flat, FlatOp

_PLUMBING = frozenset({"Placeholder", "Const", "Identity", "IdentityN", "NoOp", "PartitionedCall"})
_AFFINE = frozenset({"MUL", "ADD", "SUB", "DIV", "RSQRT"})
_LINEAR = frozenset(
    {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D", "CONV_3D_TRANSPOSE"}
)
_FUSED_CELLS = frozenset(
    {"UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "SVDF"}
)
BORDER = frozenset({"QUANTIZE", "DEQUANTIZE"})
"""Operators that quantisation adds around a model; they say nothing about fusion."""


def before(tf: Any, case: Case, weights: Sequence[dict[str, Array]]) -> list[str]:
    """The TensorFlow operators of the traced model, in order, without plumbing."""
    traced = trace(tf, case, weights)
    graph = traced.get_concrete_function().graph
    return [op.type for op in graph.get_operations() if op.type not in _PLUMBING]


def after(flat: Flat) -> list[str]:
    """The operators of the flatbuffer in order, a fused activation behind its operator: `CONV_2D+RELU6`."""
    return [_shown(op) for op in flat.ops]


def folded(case: Case, given: Sequence[str], flat: Flat) -> list[str]:
    """What was folded into what, in words. `given` are the TensorFlow operators of the case."""
    names = {op.name for op in flat.ops}
    found = [f"{op.activation} into {op.name}" for op in flat.ops if op.activation not in ("", "NONE")]
    linear = [op for op in flat.ops if op.name in _LINEAR]
    if any(node.op == "batch_norm" for node in case.model.nodes):
        left = sorted(names & _AFFINE)
        found.append(f"batch norm left as {'+'.join(left)}" if left or not linear else "batch norm into weights")
    biased = [op.name for op in linear if len(op.inputs) > 2 and op.inputs[-1] >= 0]
    if "BiasAdd" in given or ("AddV2" in given and "ADD" not in names):
        found += [f"bias into {name}" for name in dict.fromkeys(biased)]
    found += [f"cell into {name}" for name in sorted(names & _FUSED_CELLS)]
    return found


def fused(given: Sequence[str], flat: Flat) -> bool:
    """Whether fewer operators came out than went in."""
    return sum(op.name not in BORDER for op in flat.ops) < len(given)


def _shown(op: FlatOp) -> str:
    return op.name if op.activation in ("", "NONE") else f"{op.name}+{op.activation}"
