"""Defects of the converter: what it returns is wrong, and every kernel runs it as it is written."""

from __future__ import annotations

from functools import partial

from scripts.defects import options, weights
from scripts.defects.defect import Defect, Edit, Party

CONV = ("conv_bias", "conv_activation", "relu_max_pool", "conv_pool", "conv_concat")
DENSE = ("dense_activation", "mlp", "image_head", "dense")
DEPTHWISE = ("depthwise_pointwise", "conv_pad_conv", "depthwise_conv2d")
TRAINED = ("fake_quant_linear", "fake_quant_dense")
_FLOATS = ("float32", "float16", "dynamic")
_FIXED = ("int8", "int16x8")


def _kind(
    kind: str, operator: str, schemes: tuple[str, ...], draw: tuple[str, ...], edit: Edit, qat: bool = False
) -> list[Defect]:
    made = [Defect(kind, scheme, Party.CONVERTER, operator, draw, edit=edit) for scheme in schemes]
    if qat:
        made.append(Defect(kind, "qat", Party.CONVERTER, operator, TRAINED, edit=edit))
    return made


def defects() -> list[Defect]:
    """All of them."""
    return [*_products(), *_quantisation(), *_options(), *_movers()]


def _products() -> list[Defect]:
    constant = weights.constant
    every = ("float32", "float16", "int8", "int16x8")
    return [
        *_kind("one weight of a convolution off", "CONV_2D", every, CONV, constant(1, weights.one_up), qat=True),
        *_kind("one weight of a matrix off", "FULLY_CONNECTED", ("float32", "dynamic", "int8"), DENSE, constant(1, weights.one_up)),
        *_kind("convolution without its bias", "CONV_2D", (*_FLOATS, *_FIXED), CONV, weights.drop_bias),
        *_kind("matrix product without its bias", "FULLY_CONNECTED", ("float32", "int8"), DENSE, weights.drop_bias),
        *_kind("depthwise convolution without its bias", "DEPTHWISE_CONV_2D", ("float32", "int8"), DEPTHWISE, weights.drop_bias),
        *_kind("transposed convolution without its bias", "TRANSPOSE_CONV", ("float32", "int8"), ("transposed_conv_bias_relu",), weights.drop_bias),
        *_kind("transposed kernel", "CONV_2D", every, CONV, constant(1, weights.transposed_kernel), qat=True),
        *_kind("mirrored kernel", "DEPTHWISE_CONV_2D", ("float32", "dynamic", "int8"), DEPTHWISE, constant(1, weights.mirrored_kernel)),
        *_kind("mirrored transposed convolution", "TRANSPOSE_CONV", ("float32", "int8"), ("transposed_conv_bias_relu",), constant(1, weights.mirrored_kernel)),
        *_kind("output channels off by one", "CONV_2D", ("float32", "int8"), CONV, constant(1, weights.rolled_outputs)),
        *_kind("input channels off by one", "CONV_2D", ("float32", "int8"), CONV, constant(1, weights.rolled_channels)),
        *_kind("transposed matrix", "FULLY_CONNECTED", ("float32", "int8"), DENSE, constant(1, weights.transposed_matrix)),
        *_kind("bias of the neighbouring channel", "CONV_2D", ("float32", "int8"), CONV, constant(2, weights.rolled_channels)),
        *_kind("batch normalisation folded with a wrong epsilon", "CONV_2D", ("float32",), ("conv_batch_norm", "conv_batch_norm_relu"), weights.batch_norm_epsilon),
        *_kind("weights in half precision", "FULLY_CONNECTED", ("float32",), DENSE, constant(1, weights.half_precision)),
    ]  # fmt: skip


def _quantisation() -> list[Defect]:
    half = partial(weights.scale_of_constant, 0.5)
    return [
        *_kind("scale of the neighbouring channel", "CONV_2D", ("dynamic", *_FIXED), CONV, weights.neighbour_scale, qat=True),
        *_kind("scale of the neighbouring channel, depthwise", "DEPTHWISE_CONV_2D", ("int8",), DEPTHWISE, weights.neighbour_scale),
        *_kind("one scale for all channels", "CONV_2D", ("dynamic", "int8"), CONV, weights.one_scale),
        *_kind("scale of a constant off", "ADD", ("int8", "int16x8"), ("mul_add", "matmul_add"), half),
        *_kind("zero point of a constant off by one", "MUL", ("int8",), ("mul_add", "conv_mul_add"), weights.zero_of_constant),
        *_kind("weights without their zero point", "FULLY_CONNECTED", ("int8",), DENSE, weights.constant(1, weights.all_up)),
        *_kind("range of a result too narrow", "FULLY_CONNECTED", _FIXED, DENSE, weights.saturating_range),
        *_kind("range of a result too wide", "CONV_2D", ("int8",), CONV, weights.coarse_range, qat=True),
        *_kind("range of a sum too narrow", "ADD", ("int8",), ("residual_block", "add_activation"), weights.saturating_range),
    ]  # fmt: skip


def _options() -> list[Defect]:
    option, activation = options.option, options.activation
    return [
        *_kind("ReLU6 became ReLU", "CONV_2D", ("float32", "dynamic"), ("relu6_after_linear", "inverted_residual"), activation("RELU6", "RELU")),
        *_kind("ReLU became ReLU6", "CONV_2D", ("float32", "int8"), ("relu_max_pool", "conv_batch_norm_relu"), activation("RELU", "RELU6")),
        *_kind("ReLU was lost", "FULLY_CONNECTED", ("float32", "float16"), ("dense_activation", "mlp"), activation("RELU", "NONE")),
        *_kind("fused activation nobody asked for", "CONV_2D", ("float32", "dynamic", "int8"), ("conv_bias", "conv_pool"), activation("NONE", "RELU")),
        *_kind("padding on the other side", "CONV_2D", ("float32", "float16", "int8"), ("conv_bias", "conv_activation"), options.padding_on_other_side),
        *_kind("forgotten dilation", "DEPTHWISE_CONV_2D", ("float32", "int8"), DEPTHWISE, options.no_dilation),
        *_kind("wrong leaky alpha", "LEAKY_RELU", ("float32", "int8", "int16x8"), ("leaky_relu", "conv_activation"), option("alpha", lambda a: a + 0.1)),
        *_kind("wrong softmax beta", "SOFTMAX", ("float32", "int8"), ("image_head", "softmax"), option("beta", lambda b: b * 1.25)),
        *_kind("pool wider by one", "AVERAGE_POOL_2D", ("float32", "int8"), ("avg_pool", "conv_pool"), options.wider_pool),
        *_kind("average became maximum", "AVERAGE_POOL_2D", ("float32", "int8"), ("avg_pool", "conv_pool"), _pool("MAX_POOL_2D")),
        *_kind("other half-pixel centres", "RESIZE_BILINEAR", ("float32", "int8"), ("resize_bilinear", "resize_conv"), options.other_centres),
        *_kind("other GELU", "GELU", ("float32",), ("gelu", "gelu_tanh"), option("approximate", lambda a: not a)),
        *_kind("transposed operand of a product", "BATCH_MATMUL", ("float32", "int8"), ("batch_matmul", "gram", "batch_matmul_add"), _adjoint),
        *_kind("exclusive sum", "CUMSUM", ("float32",), ("cumsum", "running_mean"), option("exclusive", lambda e: not e)),
        *_kind("addition became subtraction", "ADD", ("float32", "int8"), ("add", "broadcast_add", "residual_block"), options.operator("SUB", "SubOptions")),
        *_kind("swapped operands", "SUB", ("float32", "int8"), ("sub", "broadcast_sub"), options.swapped_operands),
        *_kind("one operand read twice", "MUL", ("float32", "int8"), ("mul", "broadcast_mul"), options.first_operand_twice),
        *_kind("hard swish became ReLU6", "HARD_SWISH", ("float32", "int8"), ("hard_swish", "inverted_residual"), options.operator("RELU6")),
    ]  # fmt: skip


def _movers() -> list[Defect]:
    constant = weights.constant
    return [
        *_kind("swapped axes", "TRANSPOSE", ("float32", "int8"), ("transpose_any", "channel_shuffle", "transpose"), _square_transpose),
        *_kind("swapped operands of a concatenation", "CONCATENATION", ("float32", "int8"), ("concat_many", "conv_concat", "concat"), options.swapped_operands),
        *_kind("padding before and after swapped", "PAD", ("float32", "int8"), ("pad", "pad_conv", "pad_zeros"), constant(1, weights.swapped_pads)),
        *_kind("index off by one", "GATHER", ("float32", "int8"), ("gather", "gather_reduce"), constant(1, weights.next_index)),
        *_kind("reduction over another axis", "MEAN", ("float32", "int8"), ("reduce_mean", "variance"), options.neighbour_of_square),
        *_kind("other axis reversed", "REVERSE_V2", ("float32",), ("reverse",), constant(1, lambda axes: (axes + 1) % 2)),
    ]  # fmt: skip


def _pool(made: str) -> Edit:
    from scripts.defects.flat import Edited

    def edit(model: Edited, op: object, case: object) -> bool:
        op.opcodeIndex = model.code(made)  # type: ignore[attr-defined]
        shape = model.shape(int(op.inputs[0]))  # type: ignore[attr-defined]
        return bool(len(shape) == 4 and op.builtinOptions.filterWidth * op.builtinOptions.filterHeight > 1)  # type: ignore[attr-defined]

    return edit


def _adjoint(model: object, op: object, case: object) -> bool:
    """Reads a square operand as if it were transposed."""
    shape = model.shape(int(op.inputs[1]))  # type: ignore[attr-defined]
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < 2:
        return False
    op.builtinOptions.adjY = not op.builtinOptions.adjY  # type: ignore[attr-defined]
    return True


def _square_transpose(model: object, op: object, case: object) -> bool:
    """Swaps the last two axes of a permutation where that leaves the shape of the result."""
    shape = model.shape(int(op.outputs[0]))  # type: ignore[attr-defined]
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < 2:
        return False
    return bool(model.change(op, 1, weights.swapped_last_axes))  # type: ignore[attr-defined]
