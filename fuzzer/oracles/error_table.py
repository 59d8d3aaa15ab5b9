"""What the converter and the runtimes say when they stop, sorted into whose matter it is. One row a kind of message.

- `user`: what was asked for is asked wrongly. The generator asks, so these are our mistakes, counted in `health`.
- `unsupported`: it says so in words. A feature for guidance, no finding.
- `internal`: anything else that stops a conversion or a run of a valid model, a finding. The rows of this class name
  what is known of it upstream; a message that no row knows is internal too.

To teach it a message, add a row: the pattern, its class, the upstream file that says it, and an example as it came
(`CAPTURED`) or as the source spells it. The first row that matches decides; every example must be its own row's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class ErrorClass(StrEnum):
    """Whose matter an error is. The spelling is stored in features and status; never change one."""

    USER = "user"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


CAPTURED, SPELLED = True, False
"""Whether an example was captured from the real stack, or is written as the source spells it."""


@dataclass(frozen=True)
class ErrorRow:
    """One kind of message."""

    pattern: re.Pattern[str]
    error: ErrorClass
    source: str
    """The upstream file that says it."""
    example: str
    captured: bool


def _row(error: ErrorClass, pattern: str, source: str, example: str, captured: bool) -> ErrorRow:
    return ErrorRow(re.compile(pattern, re.IGNORECASE), error, source, example, captured)


_USER, _UNSUPPORTED, _INTERNAL = ErrorClass.USER, ErrorClass.UNSUPPORTED, ErrorClass.INTERNAL

ROWS: tuple[ErrorRow, ...] = (
    # --- asked wrongly: lite.py, checks of flags and their combinations -----------------------------------
    _row(
        _USER,
        r"Cannot set tensor: Values for U?INT4 input must be",
        "lite/python/interpreter_wrapper/interpreter_wrapper.cc: details of such a tensor say (u)int8, which is fed",
        "Cannot set tensor: Values for UINT4 input must be between 0 and 15",
        CAPTURED,
    ),
    _row(
        _USER,
        r"`representative_dataset` must be specified",
        "lite/python/lite.py, QuantizationMode.validate_flags",
        "For full integer quantization, a `representative_dataset` must be specified.",
        CAPTURED,
    ),
    _row(
        _USER,
        r"inference_input_type and inference_output_type must be",
        "lite/python/lite.py, _validate_inference_input_output_types",
        "The inference_input_type and inference_output_type must be tf.float32.",
        CAPTURED,
    ),
    _row(
        _USER,
        r"must be defined when",
        "lite/python/lite.py, TFLiteConverterBaseV1._validate_quantized_input_stats",
        "The `quantized_input_stats` flag must be defined when either `inference_type` flag or `inference_input_type` "
        "flag is set to tf.int8 or tf.uint8.",
        SPELLED,
    ),
    _row(
        _USER,
        r"`\w+` is only supported for",
        "lite/python/lite.py, QuantizationMode",
        "`full_integer_quantization_bias_type` is only supported for full integer quantization.",
        CAPTURED,
    ),
    _row(
        _USER,
        r"Expected bias type to be",
        "lite/python/lite.py, QuantizationMode",
        "Expected bias type to be `dtypes.int32` for Int8Quant. Current setting bias type: <dtype: 'int64'>",
        CAPTURED,
    ),
    # --- not supported, in words --------------------------------------------------------------------------
    _row(
        _UNSUPPORTED,
        r"is neither a custom op nor a flex op",
        "compiler/mlir/lite/flatbuffer_export.cc: the op has no builtin and flex is off",
        "error: 'tf.StridedSlice' op is neither a custom op nor a flex op",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"Some ops are not supported by the native TFLite runtime",
        "compiler/mlir/lite/flatbuffer_export.cc",
        "Some ops are not supported by the native TFLite runtime, you can enable TF kernels fallback using TF Select.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"Some ops in the model are custom ops",
        "compiler/mlir/lite/flatbuffer_export.cc",
        "Some ops in the model are custom ops, See instructions to implement custom ops: "
        "https://www.tensorflow.org/lite/guide/ops_custom",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"not yet supported for op",
        "compiler/mlir/lite/quantization/lite/toco_legacy/quantize_model.cc",
        "Quantization to 16x8-bit not yet supported for op: 'FLOOR_MOD'.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"Select TensorFlow op\(s\), included in the given model",
        "lite/kernels: an interpreter built without the flex delegate",
        "Select TensorFlow op(s), included in the given model, is(are) not supported by this interpreter. Make sure "
        "you apply/link the Flex delegate before inference.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"Non-contiguous `axes` not supported",
        "lite/kernels/reverse.cc",
        "Non-contiguous `axes` not supportedNode number 3 (REVERSE_V2) failed to prepare.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"is unsupported by op",
        "lite/kernels/elementwise.cc: an integer type that the kernel has no table for",
        "tensorflow/lite/kernels/elementwise.cc:88 Type INT16 is unsupported by op Rsqrt.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"is only defined for",
        "lite/kernels/elementwise.cc, RsqrtEvalQuantized: integers have no NaN to give",
        "tensorflow/lite/kernels/elementwise.cc:475 Sqrt is only defined for non-negative values",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"'tfl\.embedding_lookup' op failed to verify|failed to legalize operation 'tfl\.embedding_lookup'",
        "compiler/mlir/lite/transforms/prepare_composite_functions_tf.cc checks the arity of `embedding_matmul` only; "
        "ids of a rank or dtype that the fused op does not take are refused by the op's own verifier",
        "error: 'tfl.embedding_lookup' op failed to verify that value and output must have same element type",
        SPELLED,
    ),
    _row(
        _UNSUPPORTED,
        r"Unsupported TensorFlow type .{1,60} provided for the",
        "lite/python/util.py: inputs of a dtype that flatbuffers have and the concrete function's road has not",
        "Unsupported TensorFlow type <dtype: 'bfloat16'> provided for the input x0",
        SPELLED,
    ),
    _row(
        _UNSUPPORTED,
        r"Encountered unresolved custom op",
        "lite/core/subgraph.cc",
        "Encountered unresolved custom op: my_fused.",
        SPELLED,
    ),
    _row(
        _UNSUPPORTED,
        r"Didn't find op for builtin opcode",
        "lite/core/api/op_resolver.cc",
        "Didn't find op for builtin opcode 'CEIL' version '1'. An older version of this builtin might be supported.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"not supported (?:by|for|with|in)",
        "many kernels and checks",
        "Type 'INT8' is not supported by reverse_sequence.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"type .{1,40} not (?:currently )?supported",
        "lite/kernels: a kernel's list of types",
        "Input type UINT32 not currently supported.",
        SPELLED,
    ),
    _row(
        _UNSUPPORTED,
        r"unsupported (?:input |output |data ?)?type",
        "lite/delegates/xnnpack/xnnpack_delegate.cc, lite/tools/optimize",
        "Unsupported input type INT16 for input tensor 0 of type FLOAT32.",
        CAPTURED,
    ),
    _row(_UNSUPPORTED, r"is not supported", "many kernels and checks", "Dilation of 3 is not supported", SPELLED),
    _row(_UNSUPPORTED, r"is only supported for", "lite/kernels", "Rank 6 is only supported for float", SPELLED),
    _row(_UNSUPPORTED, r"does not support", "lite/kernels", "Cast op does not support casting to it", SPELLED),
    _row(
        _UNSUPPORTED,
        r"\bonly supports? (?:\w|<)",
        "lite/kernels: what a kernel takes, types or ranks",
        "SquaredDifference only supports FLOAT32 and INT32 now, got 7.Node number 19 (SQUARED_DIFFERENCE) failed to "
        "invoke.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"Division by 0",
        "lite/kernels/floor_div.cc: where TensorFlow gives infinity",
        "Division by 0Node number 3 (FLOOR_DIV) failed to invoke.",
        CAPTURED,
    ),
    _row(
        _UNSUPPORTED,
        r"div\.cc:\d+ data\[i\] != \w+ was not true",
        "lite/kernels/div.cc, CheckNonZero: a divisor is zero, of which integers have no quotient",
        "tensorflow/lite/kernels/div.cc:250 data[i] != zero_point was not true.Node number 2 (DIV) failed to invoke.",
        CAPTURED,
    ),
    # --- internal: what is known of a finding -------------------------------------------------------------
    _row(
        _INTERNAL,
        r"Max and min for dynamic tensors should be recorded during calibration",
        "lite/tools/optimize/quantization_utils.cc: calibration missed a tensor",
        "Max and min for dynamic tensors should be recorded during calibration: Failed for tensor matmul_6;add_18",
        CAPTURED,
    ),
    _row(
        _INTERNAL,
        r"Quantized dimension for tensor property and quantization parameters do not match",
        "lite/tools/optimize/quantize_model.cc",
        "Quantized dimension for tensor property and quantization parameters do not match. Got 3 and 0 respectively.",
        CAPTURED,
    ),
    _row(
        _INTERNAL,
        r"'tfl\.\w+' op ",
        "compiler/mlir/lite/ir/tfl_ops.cc: the verifier of an operator that a pass of the converter made",
        "error: 'tfl.mul' op failed to verify that binary op operands have same element type",
        CAPTURED,
    ),
    _row(
        _INTERNAL,
        r"failed to create XNNPACK|XNNPack delegate failed|failed to (?:setup|reshape) XNNPACK",
        "lite/delegates/xnnpack/xnnpack_delegate.cc: a partition that the delegate claimed",
        "failed to create XNNPACK runtimeNode number 6 (TfLiteXNNPackDelegate) failed to prepare.",
        CAPTURED,
    ),
    _row(
        _INTERNAL,
        r"specified an out of range offset",
        "lite/core/interpreter_builder.cc: a file that the converter wrote",
        "Constant buffer 2 specified an out of range offset.",
        CAPTURED,
    ),
    _row(
        _INTERNAL,
        r"[\w/]+\.(?:cc|h):\d+ .{1,300}?(?:was not true| != )",
        "lite/kernels, TF_LITE_ENSURE and its kin: a condition on what the converter made",
        "tensorflow/lite/kernels/kernel_util.cc:323 scale_diff / output_scale <= 0.02 was not true.",
        CAPTURED,
    ),
)


def row_of(message: str) -> ErrorRow | None:
    """The row of a message; None where no row knows it."""
    return next((row for row in ROWS if row.pattern.search(message)), None)


def classify(message: str) -> ErrorClass:
    """Whose matter a message is; internal where no row knows it."""
    row = row_of(message)
    return ErrorClass.INTERNAL if row is None else row.error
