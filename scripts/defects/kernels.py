"""Defects of kernels: the flatbuffer is right, some runtimes' kernel of one operator is not."""

from __future__ import annotations

from scripts.defects import options, results, weights
from scripts.defects.converter import CONV, DENSE, DEPTHWISE
from scripts.defects.defect import (
    EVERY,
    ONE_RELEASE,
    OPTIMISED,
    REFERENCE,
    SHARED,
    XNNPACK,
    Defect,
    Edit,
    Party,
    Tamper,
)

_KIND = {
    "float32": "float32",
    "float16": "float32",
    "dynamic": "hybrid",
    "int8": "int8",
    "int16x8": "int16",
    "qat": "int8",
}


def _of(
    kind: str, operator: str, scheme: str, runtimes: tuple[str, ...], draw: tuple[str, ...],
    edit: Edit | None = None, tamper: Tamper | None = None, control: bool = False,
) -> Defect:  # fmt: skip
    return Defect(kind, scheme, Party.KERNEL, operator, draw, runtimes, (_KIND[scheme],), edit, tamper, control=control)


def defects() -> list[Defect]:
    """All of them."""
    return [*_wrong_reading(), *_float_results(), *_one_step(), *_integer_results(), *_controls()]


def _wrong_reading() -> list[Defect]:
    """Kernels that read the model wrongly."""
    bias, alpha = weights.drop_bias, options.option("alpha", lambda a: a + 0.1)
    scales, side = weights.neighbour_scale, options.padding_on_other_side
    pool = ("avg_pool", "conv_pool")
    return [
        _of("kernel drops the bias", "CONV_2D", "float32", XNNPACK, CONV, bias),
        _of("kernel drops the bias", "CONV_2D", "int8", OPTIMISED, CONV, bias),
        _of("kernel drops the bias", "CONV_2D", "dynamic", XNNPACK, CONV, bias),
        _of("kernel drops the bias", "CONV_2D", "int16x8", OPTIMISED, CONV, bias),
        _of("kernel drops the bias of a matrix", "FULLY_CONNECTED", "int8", REFERENCE, DENSE, bias),
        _of("kernel drops the bias of a matrix", "FULLY_CONNECTED", "float32", EVERY, DENSE, bias),
        _of("kernel reads the neighbour's scale", "CONV_2D", "int8", XNNPACK, CONV, scales),
        _of("kernel reads the neighbour's scale", "DEPTHWISE_CONV_2D", "int8", SHARED, DEPTHWISE, scales),
        _of("kernel reads the neighbour's scale", "CONV_2D", "int16x8", REFERENCE, CONV, scales),
        _of("kernel pads on the other side", "CONV_2D", "float32", OPTIMISED, CONV, side),
        _of("kernel pads on the other side", "CONV_2D", "int8", XNNPACK, CONV, side),
        _of("kernel forgets the dilation", "DEPTHWISE_CONV_2D", "float32", REFERENCE, DEPTHWISE, options.no_dilation),
        _of("kernel forgets the dilation", "DEPTHWISE_CONV_2D", "int8", XNNPACK, DEPTHWISE, options.no_dilation),
        _of("kernel has another leaky alpha", "LEAKY_RELU", "float32", XNNPACK, ("leaky_relu", "conv_activation"), alpha),
        _of("kernel has another leaky alpha", "LEAKY_RELU", "int8", OPTIMISED, ("leaky_relu", "conv_activation"), alpha),
        _of("kernel has another leaky alpha", "LEAKY_RELU", "int16x8", REFERENCE, ("leaky_relu",), alpha),
        _of("kernel forgets the fused ReLU", "ADD", "float32", XNNPACK, ("add_activation", "residual_block"), options.activation("RELU", "NONE")),
        _of("kernel has a wider window", "AVERAGE_POOL_2D", "float32", OPTIMISED, pool, options.wider_pool),
        _of("kernel has a wider window", "AVERAGE_POOL_2D", "int8", REFERENCE, pool, options.wider_pool),
        _of("kernel has other half-pixel centres", "RESIZE_BILINEAR", "float32", XNNPACK, ("resize_bilinear", "resize_conv"), options.other_centres),
        _of("kernel has other half-pixel centres", "RESIZE_NEAREST_NEIGHBOR", "float32", REFERENCE, ("resize_nearest",), options.other_centres),
        _of("kernel gathers the next row", "GATHER", "float32", SHARED, ("gather", "gather_reduce"), weights.constant(1, weights.next_index)),
        _of("kernel swaps the paddings", "PAD", "int8", OPTIMISED, ("pad", "pad_conv", "pad_zeros"), weights.constant(1, weights.swapped_pads)),
        _of("kernel swaps its operands", "SUB", "int8", XNNPACK, ("sub", "broadcast_sub"), options.swapped_operands),
    ]  # fmt: skip


def _float_results() -> list[Defect]:
    r = results
    pools = ("max_pool", "relu_max_pool", "conv_pool")
    return [
        _of("one element off by 1 %", "CONV_2D", "float32", XNNPACK, CONV, tamper=r.one_element),
        _of("one element off by 1 %", "FULLY_CONNECTED", "float32", OPTIMISED, DENSE, tamper=r.one_element),
        _of("one element off by 1 %", "MUL", "float32", REFERENCE, ("mul", "mul_add"), tamper=r.one_element),
        _of("sums in half precision", "FULLY_CONNECTED", "float32", XNNPACK, DENSE, tamper=r.half_precision),
        _of("sums in half precision", "BATCH_MATMUL", "float32", ONE_RELEASE, ("batch_matmul", "gram", "batch_matmul_add"), tamper=r.half_precision),
        _of("tail is not computed", "ADD", "float32", XNNPACK, ("add", "broadcast_add", "mul_add"), tamper=r.tail_zero),
        _of("tail is not computed", "LOGISTIC", "float32", ONE_RELEASE, ("sigmoid", "squeeze_excite"), tamper=r.tail_zero),
        _of("tail is what was in memory", "MAXIMUM", "float32", XNNPACK, ("maximum", "broadcast_maximum"), tamper=r.tail_garbage),
        _of("last channel is not computed", "DEPTHWISE_CONV_2D", "float32", OPTIMISED, DEPTHWISE, tamper=r.last_channel_zero),
        _of("last channel is not computed", "TRANSPOSE_CONV", "float32", XNNPACK, ("transposed_conv_bias_relu", "conv2d_transpose"), tamper=r.last_channel_zero),
        _of("elements in another order", "MAX_POOL_2D", "float32", XNNPACK, pools, tamper=r.rows_swapped),
        _of("elements in another order", "TRANSPOSE", "float32", SHARED, ("transpose_any", "channel_shuffle"), tamper=r.rows_swapped),
        _of("elements in another order", "STRIDED_SLICE", "float32", OPTIMISED, ("strided_slice", "slice_concat"), tamper=r.rows_swapped),
        _of("first batch repeated", "BATCH_MATMUL", "float32", SHARED, ("batch_matmul", "gram"), tamper=r.repeats_first_batch),
        _of("NaN for large numbers", "TANH", "float32", XNNPACK, ("tanh", "conv_activation"), tamper=r.nan_for_large),
        _of("NaN for large numbers", "EXP", "float32", REFERENCE, ("exp", "exp_log"), tamper=r.nan_for_large),
        _of("infinity for the largest", "SOFTMAX", "float32", ONE_RELEASE, ("softmax", "image_head"), tamper=r.infinity_for_large),
        _of("rough function", "TANH", "float32", OPTIMISED, ("tanh", "conv_activation"), tamper=r.rough_function),
        _of("rough function", "LOGISTIC", "float32", XNNPACK, ("sigmoid", "squeeze_excite"), tamper=r.rough_function),
        _of("rough function", "GELU", "float32", SHARED, ("gelu", "dense_layer_norm"), tamper=r.rough_function),
        _of("rough function", "MEAN", "float32", EVERY, ("reduce_mean", "variance", "global_avg_pool"), tamper=r.rough_function),
        _of("rough function", "FULLY_CONNECTED", "dynamic", XNNPACK, DENSE, tamper=r.rough_function),
        _of("last channel is not computed", "FULLY_CONNECTED", "dynamic", OPTIMISED, DENSE, tamper=r.last_channel_zero),
        _of("clamped too early", "CONV_2D", "dynamic", SHARED, CONV, tamper=r.low_clamp),
        _of("last channel is not computed", "CONV_2D", "float16", XNNPACK, CONV, tamper=r.last_channel_zero),
    ]  # fmt: skip


def _one_step() -> list[Defect]:
    """One quantisation step at one element: the smallest thing an integer kernel can have wrong."""
    sites: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = [
        ("CONV_2D", "int8", XNNPACK, CONV),
        ("CONV_2D", "int8", OPTIMISED, CONV),
        ("CONV_2D", "int8", REFERENCE, CONV),
        ("CONV_2D", "int16x8", OPTIMISED, CONV),
        ("DEPTHWISE_CONV_2D", "int8", XNNPACK, DEPTHWISE),
        ("FULLY_CONNECTED", "int8", XNNPACK, DENSE),
        ("FULLY_CONNECTED", "int16x8", REFERENCE, DENSE),
        ("FULLY_CONNECTED", "qat", OPTIMISED, ("fake_quant_dense",)),
        ("ADD", "int8", OPTIMISED, ("add", "residual_block", "matmul_add")),
        ("MUL", "int8", REFERENCE, ("mul", "mul_add")),
        ("LOGISTIC", "int8", OPTIMISED, ("sigmoid", "squeeze_excite")),
        ("SOFTMAX", "int8", SHARED, ("softmax", "image_head")),
        ("AVERAGE_POOL_2D", "int8", XNNPACK, ("avg_pool", "conv_pool")),
        ("MAX_POOL_2D", "int8", XNNPACK, ("max_pool", "relu_max_pool")),
        ("MEAN", "int8", REFERENCE, ("reduce_mean", "global_avg_pool", "squeeze_excite")),
        ("CONCATENATION", "int8", OPTIMISED, ("concat_many", "conv_concat")),
        ("PAD", "int8", SHARED, ("pad", "pad_conv")),
        ("HARD_SWISH", "int8", OPTIMISED, ("hard_swish",)),
        ("RESIZE_BILINEAR", "int8", XNNPACK, ("resize_bilinear", "resize_conv")),
        ("TRANSPOSE_CONV", "int8", OPTIMISED, ("conv2d_transpose",)),
    ]
    return [
        _of("one element off by one step", operator, scheme, runtimes, draw, tamper=results.one_step)
        for operator, scheme, runtimes, draw in sites
    ]


def _integer_results() -> list[Defect]:
    r = results
    dense8 = ("dense_activation", "mlp", "flatten_dense", "image_head")
    return [
        _of("one element off by two steps", "CONV_2D", "int8", OPTIMISED, CONV, tamper=r.two_steps),
        _of("one element off by two steps", "ADD", "int8", SHARED, ("add", "residual_block"), tamper=r.two_steps),
        _of("zero point off by one", "FULLY_CONNECTED", "int8", XNNPACK, DENSE, tamper=r.all_one_step),
        _of("zero point off by one", "LOGISTIC", "int8", EVERY, ("sigmoid", "squeeze_excite"), tamper=r.all_one_step),
        _of("zero point off by one", "CONV_2D", "int8", REFERENCE, CONV, tamper=r.all_one_step),
        _of("truncates instead of rounding", "ADD", "int8", XNNPACK, ("add", "residual_block", "matmul_add"), tamper=r.truncated),
        _of("truncates instead of rounding", "MUL", "int8", OPTIMISED, ("mul", "mul_add"), tamper=r.truncated),
        _of("truncates instead of rounding", "FULLY_CONNECTED", "int8", SHARED, DENSE, tamper=r.truncated),
        _of("truncates instead of rounding", "LEAKY_RELU", "int8", REFERENCE, ("leaky_relu", "conv_activation"), tamper=r.truncated),
        _of("truncates instead of rounding", "TANH", "int16x8", OPTIMISED, ("tanh", "dense_activation"), tamper=r.truncated),
        _of("truncates instead of rounding", "FULLY_CONNECTED", "int8", EVERY, DENSE, tamper=r.truncated),
        _of("accumulator of 16 bits", "FULLY_CONNECTED", "int8", OPTIMISED, dense8, tamper=r.narrow_accumulator),
        _of("accumulator of 24 bits", "FULLY_CONNECTED", "int16x8", OPTIMISED, dense8, tamper=r.narrow_accumulator),
        _of("int32 overflow of a shifted operand", "ADD", "int8", XNNPACK, ("add", "residual_block", "broadcast_add"), tamper=r.shift_overflow),
        _of("requantisation is left out", "QUANTIZE", "qat", XNNPACK, ("fake_quant", "fake_quant_off_zero", "qat_conv", "qat_dense"), tamper=r.no_rescale),
        _of("tail is not computed", "SUB", "int8", XNNPACK, ("sub", "broadcast_sub"), tamper=r.tail_zero),
        _of("last channel is not computed", "DEPTHWISE_CONV_2D", "int8", XNNPACK, DEPTHWISE, tamper=r.last_channel_zero),
        _of("last channel is not computed", "BATCH_MATMUL", "int8", OPTIMISED, ("batch_matmul", "gram"), tamper=r.last_channel_zero),
        _of("elements in another order", "RESIZE_BILINEAR", "int8", OPTIMISED, ("resize_bilinear", "resize_conv"), tamper=r.rows_swapped),
        _of("elements in another order", "TRANSPOSE", "int8", REFERENCE, ("transpose_any", "channel_shuffle"), tamper=r.rows_swapped),
        _of("clamped too early", "MEAN", "int8", OPTIMISED, ("reduce_mean", "squeeze_excite"), tamper=r.low_clamp),
        _of("clamped too early", "HARD_SWISH", "int8", REFERENCE, ("hard_swish",), tamper=r.low_clamp),
        _of("clamped too early", "MUL", "int16x8", ONE_RELEASE, ("mul", "mul_add"), tamper=r.low_clamp),
        _of("clamped too early", "CONV_2D", "qat", XNNPACK, ("fake_quant_linear",), tamper=r.low_clamp),
    ]  # fmt: skip


def _controls() -> list[Defect]:
    r = results
    return [
        _of("control: one ulp", "CONV_2D", "float32", XNNPACK, CONV, tamper=r.one_ulp, control=True),
        _of("control: one ulp", "LOGISTIC", "float32", OPTIMISED, ("sigmoid",), tamper=r.one_ulp, control=True),
        _of("control: one ulp", "FULLY_CONNECTED", "dynamic", OPTIMISED, DENSE, tamper=r.one_ulp, control=True),
        _of("control: denormals are zero", "MUL", "float32", XNNPACK, ("mul", "mul_add"), tamper=r.no_denormals, control=True),
    ]  # fmt: skip
