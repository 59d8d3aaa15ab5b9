"""What would lead to native code that was never reached: an op of ours, a flag, or nothing that we have.

Measured, not guessed, where it can be: `made_of.json` (`scripts/made_of.py`) holds the TensorFlow operators of every
op's graph and the TFLite operators of its flatbuffer. Tables say the rest: which operators a kernel's file implements,
and what a pass runs for. The name of a rewrite pattern names the operators that it is about.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fuzzer.ops import Op

MADE_OF = Path(__file__).with_name("made_of.json")
MAX_OPS = 2
"""Ops that are named for one operator: the plainest."""
NOTHING = "no op of ours"

KERNEL_OPERATORS: dict[str, tuple[str, ...]] = {
    "activations": (
        *("ELU", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "LOG_SOFTMAX", "PRELU", "RELU", "RELU6"),
        *("RELU_0_TO_1", "RELU_N1_TO_1", "SOFTMAX", "TANH"),
    ),
    "arg_min_max": ("ARG_MAX", "ARG_MIN"),
    "broadcastto": ("BROADCAST_TO",),
    "call_once_kernel": ("CALL_ONCE",),
    "comparisons": ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"),
    "complex": ("REAL", "IMAG", "COMPLEX_ABS"),
    "conv": ("CONV_2D",),
    "conv3d": ("CONV_3D",),
    "conv3d_transpose": ("CONV_3D_TRANSPOSE",),
    "depthwise_conv": ("DEPTHWISE_CONV_2D",),
    "elementwise": ("ABS", "COS", "LOG", "LOGICAL_NOT", "RSQRT", "SIN", "SQRT", "SQUARE"),
    "embedding_lookup": ("EMBEDDING_LOOKUP", "EMBEDDING_LOOKUP_SPARSE"),
    "hashtable": ("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE"),
    "if_kernel": ("IF",),
    "l2norm": ("L2_NORMALIZATION",),
    "local_response_norm": ("LOCAL_RESPONSE_NORMALIZATION",),
    "logical": ("LOGICAL_AND", "LOGICAL_OR"),
    "lstm_eval": ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"),
    "maximum_minimum": ("MAXIMUM", "MINIMUM"),
    "non_max_suppression": ("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"),
    "pad": ("PAD", "PADV2"),
    "pooling": ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"),
    "random": ("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL"),
    "reduce": ("MEAN", "SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ANY", "REDUCE_ALL"),
    "reduce_window": ("STABLEHLO_REDUCE_WINDOW",),
    "reduce_window_op": ("REDUCE_WINDOW",),
    "reverse": ("REVERSE_V2",),
    "select": ("SELECT", "SELECT_V2"),
    "unsorted_segment": tuple(f"UNSORTED_SEGMENT_{name}" for name in ("MAX", "MIN", "PROD", "SUM")),
    "while_kernel": ("WHILE",),
}
"""Kernels that are not called as their operator is: the `Register_` functions in `tensorflow/lite/kernels/*.cc`."""

_FLAGS = (
    # tensorflow/compiler/mlir/lite/tf_tfl_passes.cc says under which condition a pass is added.
    (r"::DefaultQuantParamsPass$", "schemes uint8_v1 and int8_v1"),
    (r"TFL::(PrepareQuantize|PostQuantizeRemoveQDQ)Pass$", "schemes int8, int16x8 and qat"),
    (r"TFL::(Quantize|PostQuantize|OptimizeOpOrder)Pass$", "any scheme that quantises"),
    (r"::PrepareDynamicRangeQuantizePass$", "scheme dynamic"),
    (r"::(Prepare)?QuantizeVariablesPass$", "switch _experimental_variable_quantization, with an op that has state"),
    (r"::LegalizeTensorListPass$", "switch legalize_custom_tensor_list_ops"),
    (r"::LowerQuantAnnotationsPass$", "switch _experimental_strict_qdq"),
    (r"::ReduceTypePrecisionPass$", "switch _experimental_reduce_type_precision"),
    (r"::UnfoldLargeSplatConstantPass$", "switch _experimental_unfold_large_splat_constant"),
    (r"::DenseToSparsePass$", "optimizations sparsity, with pruned weights"),
    (r"::ModifyIONodesPass$", "a scheme with integer inputs and outputs"),
)
_PATTERN_FLAGS = (
    # transforms/quantization/quantize.cc (QuantizePass::runOnOperation): which patterns are added in which mode.
    (
        r"^(StrictQuantizationPattern|FuseDqQToRequant|RemoveUnusedFQ|PushForwardDrqFQ)$",
        "switch _experimental_strict_qdq",
    ),
)
_NO_ROAD = (
    (r"^mlir::quant::stablehlo", "the StableHLO quantiser: it takes StableHLO, which no op of ours writes"),
    (r"^mlir::odml::|::LegalizeJaxRandomPass$", "for StableHLO (JAX, PyTorch), which no op of ours writes"),
    (r"^mlir::TFL::(Pipeline|BiasQuantizer|FuseQDQ|PropagateQsv)Pass$", "the newer pipeline for StableHLO only"),
    (r"^mlir::TFL::DecomposeHybridQuantizationPass$", "on the road to TOSA only"),
    (r"^mlir::quant::ImportQuantStatsPass$", "for statistics in a file, which no option of the converter names"),
    (r"^mlir::quant(fork)?::", "TensorFlow's own quantiser, not the TFLite converter"),
)
_KERNEL_NOTES = {
    "densify": "optimizations sparsity, where an operator takes no sparse weights",
    "quantize": "schemes int8 and int16x8",
    "dequantize": "schemes dynamic and float16",
}
_ALIASES = {
    "avgpool": "averagepool2d",
    "averagepool": "averagepool2d",
    "batchmm": "batchmatmul",
    "bmm": "batchmatmul",
    "concat": "concatenation",
    "fakequant": "fakequantwithminmaxvars",
    "not": "logicalnot",
    "matmul": "fullyconnected",
    "conv": "conv2d",
    "depthwiseconv": "depthwiseconv2d",
    "fc": "fullyconnected",
    "hashtablefind": "lookuptablefind",
    "hashtableimport": "lookuptableimport",
    "hashtablesize": "lookuptablesize",
    "lstm": "unidirectionalsequencelstm",
    "maxpool": "maxpool2d",
    "readvariable": "readvariableop",
    "relu1": "relun1to1",
    "tposeconv": "transposeconv",
}
"""Words of the converter for operators that are called otherwise in the flatbuffer, squashed."""
_OTHERS = frozenset(
    {
        *("approxtopk", "assert", "batchnormwithglobalnormalization", "checknumerics", "placeholderwithdefault"),
        *("preventgradient", "sigmoidgrad", "xlasharding"),
    }
)
"""TensorFlow operators that the converter rewrites (`prepare_tf.cc`, `legalize_tf.cc`) and that no table holds."""
_PLUMBING = frozenset({"const", "identity", "identityn", "noop", "placeholder", "partitionedcall"})
_LOOSE = frozenset({"shape", "rank", "range", "size", "real", "all", "any", "where", "if", "fill", "min", "max"})
"""Operators whose names are everyday words: they count where `Op` follows, or where a pattern is about one operator."""
_TOKENS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+D(?![a-z])|\d+")
_VERSION = re.compile(r"(?:v\d|native)$")
_WHOLE = re.compile(r"(?:Legalize|ConvertTF)(?P<op>[A-Z]\w*?)(?:Op)?(?:Pattern)?$")
_CALLED = re.compile(r"\btf\.(?:\w+\.)*(\w+)")


@dataclass(frozen=True)
class Road:
    """What would lead somewhere. `ops` are ops of ours, the plainest first; `needs` says it in words."""

    ops: tuple[str, ...]
    needs: str
    open: bool
    """Whether the generator can go there today."""


class Roads:
    """Looks up what leads where."""

    def __init__(self, ops: Mapping[str, Op], operators: Iterable[str] = ()) -> None:
        """`ops` are those that the generator knows, `operators` names of TFLite operators without an op of ours."""
        made = made_of()
        ways: dict[str, list[tuple[bool, int, int, str]]] = {}
        for name, op in ops.items():
            words, length = _words_of(made[name]) if name in made else (_called_by(op), 0)
            for word in words - _PLUMBING:
                ways.setdefault(word, []).append((squash(name) != word, length, len(name), name))
        self._ways = {word: tuple(found[-1] for found in sorted(ways_there)) for word, ways_there in ways.items()}
        self._known = {*self._ways, *map(squash, operators), *_ALIASES, *_OTHERS} - _PLUMBING

    def kernel(self, kernel: str) -> Road:
        """The road to a kernel: the last part of `tflite::ops::builtin::conv`."""
        operators = KERNEL_OPERATORS.get(kernel, (kernel.upper(),))
        ways = {operator: self._ways.get(squash(operator), ()) for operator in operators}
        ops = [op for found in ways.values() for op in found[:MAX_OPS]]
        if kernel in _KERNEL_NOTES:
            return Road(tuple(dict.fromkeys(ops)), _KERNEL_NOTES[kernel], True)
        if ops:
            return _of_ops(dict.fromkeys(ops), "")
        return Road((), f"{NOTHING} becomes {' or '.join(operators[:2])}", False)

    def node(self, node: str) -> Road:
        """The road to a node of the XNNPACK delegate: `MaxPool2D`."""
        ops = self._ways.get(_ALIASES.get(squash(node), squash(node)), ())
        if node == "Reduce":
            ops = self._ways.get("mean", ()) + self._ways.get("sum", ())
        return _of_ops(dict.fromkeys(ops), "") if ops else Road((), f"{NOTHING} becomes a node {node}", False)

    def converter_pass(self, name: str) -> Road:
        """The road to a pass that was never run: `mlir::TFL::DenseToSparsePass`."""
        for table, way in ((_NO_ROAD, False), (_FLAGS, True)):
            for pattern, needs in table:
                if re.search(pattern, name):
                    return Road((), needs, way)
        return Road((), "not known: no option of ours is known to run it", False)

    def pattern(self, owner: str, pattern: str, run: bool = False) -> Road:
        """The road to a rewrite pattern of the pass `owner`. Where that was `run`, its flag is not what is missing."""
        there = self.converter_pass(owner)
        if any(re.search(expression, owner) for expression, _ in _NO_ROAD):
            return there
        flag = next((needs for expression, needs in _PATTERN_FLAGS if re.search(expression, pattern)), "")
        flag = flag or (there.needs if there.open and not run else "")
        words = self._operators_in(pattern)
        lost = [word for word in words if not self._ways_to(word)]
        if lost:
            return Road((), f"{NOTHING} makes {' or '.join(lost)}", False)
        if not words:
            return Road((), flag or "its name does not say which operators it rewrites", bool(flag))
        ways = [self._ways_to(word) for word in words]
        if len(words) == 1:
            return _of_ops(dict.fromkeys(ways[0]), flag)
        ops = dict.fromkeys(found[0] for found in ways)
        return Road(tuple(ops), " with ".join(ops) + (f"; {flag}" if flag else ""), True)

    def _ways_to(self, word: str) -> tuple[str, ...]:
        key = squash(word)
        return self._ways.get(key) or self._ways.get(_ALIASES.get(key, key), ())

    def _operators_in(self, pattern: str) -> list[str]:
        """The operators that the name of a pattern holds, longest names first, in order."""
        whole = _WHOLE.match(pattern)
        if whole and squash(whole["op"]) in self._known:
            return [whole["op"]]
        spotted = self._spotted(pattern)
        firm = [w for w in spotted if squash(w) not in _LOOSE or f"{w}Op" in pattern or pattern.startswith("Legalize")]
        return list(dict.fromkeys(firm))

    def _spotted(self, pattern: str) -> list[str]:
        tokens = [token for token in _TOKENS.findall(pattern) if token not in ("TFL", "TF", "AF")]
        found, at = [], 0
        while at < len(tokens):
            for end in range(len(tokens), at, -1):
                word = "".join(tokens[at:end])
                if squash(word) in self._known:
                    found.append(word)
                    at = end
                    break
            else:
                at += 1
        return found


def _of_ops(ops: Mapping[str, None], flag: str) -> Road:
    named = tuple(ops)[:MAX_OPS]
    more = len(ops) - len(named)
    text = ", ".join(named) + (f" and {more} more" if more else "") + (f"; {flag}" if flag else "")
    return Road(tuple(ops), text, True)


def squash(name: str) -> str:
    """An operator's name without what spells it differently: `BATCH_MATMUL` and `BatchMatMul` are the same."""
    return name.replace("_", "").lower()


@cache
def made_of() -> dict[str, Any]:
    """What the ops are made of; see `scripts/made_of.py`."""
    found: dict[str, Any] = json.loads(MADE_OF.read_bytes())
    return found


def _words_of(made: Mapping[str, Iterable[str]]) -> tuple[set[str], int]:
    """The operators of an op before and after conversion, with and without version, and how many there are."""
    before = {squash(name) for name in made["tensorflow"]} - _PLUMBING
    words = before | {squash(name) for name in made["tflite"]}
    words |= {_VERSION.sub("", word) for word in words}
    return words, len(before) + len(list(made["tflite"]))


def _called_by(op: Op) -> set[str]:
    """The functions of TensorFlow that an op's code names: a guess, for ops that were never measured."""
    try:
        source = inspect.getsource(op.build)
    except (OSError, TypeError):
        return set()
    return {squash(name) for name in _CALLED.findall(source)}
