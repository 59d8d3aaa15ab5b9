"""The patterns of the package. To add one, add an entry; patterns are the rows of the fusion map too."""

from __future__ import annotations

from collections.abc import Mapping

from fuzzer.ops import Value
from fuzzer.patterns.spec import Pattern, Step


def _step(
    *ops: str, chance: float = 1.0, with_: int | None = None, pinned: Mapping[str, Value] | None = None, **more: Value
) -> Step:
    return Step(ops, {**(pinned or {}), **more}, chance, with_)


_POINTWISE: dict[str, Value] = {"kernel": (1, 1), "strides": (1, 1), "dilations": (1, 1), "groups": 1}
_SAME: dict[str, Value] = {"strides": (1, 1), "padding": "SAME"}

_CONVOLUTION = (
    Pattern("conv_bias", 4, (_step("conv2d", use_bias=False), _step("bias_add"))),
    Pattern("conv_batch_norm", 4, (_step("conv2d"), _step("batch_norm")), weight=1.5),
    Pattern(
        "relu6_after_linear",
        4,
        (_step("conv2d", "depthwise_conv2d", "dense", use_bias=True), _step("relu6")),
        weight=1.5,
    ),
    Pattern(
        "depthwise_pointwise",
        4,
        (
            _step("depthwise_conv2d"),
            _step("batch_norm", chance=0.3),
            _step("relu6", "relu", chance=0.4),
            _step("conv2d", pinned=_POINTWISE),
        ),
        weight=1.5,
    ),
    Pattern("separable_conv", 4, (_step("separable_conv2d"), _step("relu", "relu6", "sigmoid", chance=0.5))),
    Pattern("relu_max_pool", 4, (_step("conv2d", chance=0.4), _step("relu", "leaky_relu"), _step("max_pool"))),
    Pattern("batch_norm_relu", 4, (_step("batch_norm"), _step("relu", "relu6"))),
    Pattern("conv_batch_norm_relu", 4, (_step("conv2d"), _step("batch_norm"), _step("relu", "relu6")), weight=1.5),
    Pattern(
        "conv_activation",
        4,
        (
            _step("conv2d", "depthwise_conv2d", use_bias=True),
            _step("relu", "relu_n1_to_1", "relu_0_to_1", "tanh", "leaky_relu", "prelu", "elu", "hard_swish", "silu"),
        ),
        weight=1.5,
    ),
    Pattern("conv_mul_add", 4, (_step("conv2d", "depthwise_conv2d"), _step("broadcast_mul"), _step("broadcast_add"))),
    Pattern(
        "transposed_conv_bias_relu",
        4,
        (_step("conv2d_transpose"), _step("bias_add", "batch_norm"), _step("relu", "relu6", chance=0.6)),
    ),
    Pattern("conv1d_batch_norm_relu", 3, (_step("conv1d"), _step("batch_norm_axis", chance=0.5), _step("relu"))),
    Pattern("causal_conv", 3, (_step("causal_conv1d"), _step("relu", "tanh", "glu"))),
    Pattern("depthwise_conv1d_pointwise", 3, (_step("depthwise_conv1d"), _step("conv1d"))),
    Pattern("conv3d_bias_relu", 5, (_step("conv3d"), _step("bias_add"), _step("relu"))),
    Pattern("conv3d_transpose_bias", 5, (_step("conv3d_transpose"), _step("bias_add"))),
    Pattern("atrous_conv_relu", 4, (_step("atrous_conv2d"), _step("batch_norm", chance=0.4), _step("relu"))),
    Pattern("pad_conv", 4, (_step("pad", "pad_zeros", "zero_padding_2d"), _step("conv2d", padding="VALID"))),
    Pattern("conv_pad_conv", 4, (_step("conv2d"), _step("mirror_pad", "pad"), _step("depthwise_conv2d"))),
    Pattern(
        "residual_block",
        4,
        (
            _step("conv2d", pinned=_POINTWISE),
            _step("conv2d", pinned=_SAME),
            _step("relu"),
            _step("conv2d", pinned=_SAME),
            _step("add", with_=1),
            _step("relu"),
        ),
    ),
    Pattern(
        "inverted_residual",
        4,
        (
            _step("conv2d", pinned=_POINTWISE),
            _step("relu6"),
            _step("depthwise_conv2d", multiplier=1, pinned=_SAME),
            _step("relu6", "hard_swish"),
            _step("conv2d", pinned=_POINTWISE),
            _step("add", with_=0),
        ),
        weight=0.7,
    ),
    Pattern(
        "squeeze_excite",
        4,
        (
            _step("global_avg_pool", keepdims=True),
            _step("conv2d", "dense"),
            _step("relu"),
            _step("dense"),
            _step("sigmoid", "hard_sigmoid"),
            _step("mul", with_=0),
        ),
    ),
    Pattern("resize_conv", 4, (_step("resize_bilinear", "resize_nearest", "upsampling_2d"), _step("conv2d"))),
    Pattern("pixel_shuffle", 4, (_step("conv2d", filters=16), _step("depth_to_space"), _step("relu", chance=0.5))),
    Pattern("space_to_depth_conv", 4, (_step("space_to_depth"), _step("conv2d"))),
    Pattern("space_batch_conv", 4, (_step("space_to_batch_nd"), _step("conv2d"), _step("batch_to_space_nd"))),
    Pattern("conv_pool", 4, (_step("conv2d"), _step("avg_pool", "max_pool", "l2_pool"), _step("relu", chance=0.5))),
    Pattern("conv_nchw", 4, (_step("conv2d_nchw"), _step("bias_add_nchw", "relu"))),
    Pattern("conv_concat", 4, (_step("conv2d", pinned=_SAME), _step("concat", with_=0), _step("conv2d"))),
    Pattern(
        "image_head",
        4,
        (_step("global_avg_pool", "global_max_pool"), _step("dense"), _step("softmax", "log_softmax", "arg_max")),
    ),
)

_DENSE = (
    Pattern("dense_sigmoid_cross_entropy", 2, (_step("dense"), _step("sigmoid_cross_entropy"))),
    Pattern("matmul_add", 2, (_step("matmul"), _step("add"))),
    Pattern(
        "dense_activation",
        2,
        (_step("dense", "dense_wide"), _step("relu", "relu6", "gelu", "gelu_tanh", "silu", "tanh", "mish", "prelu")),
        weight=1.5,
    ),
    Pattern("dense_batch_norm", 2, (_step("dense"), _step("broadcast_mul"), _step("broadcast_add"), _step("relu"))),
    Pattern("dense_layer_norm", 3, (_step("dense"), _step("layer_norm", "rms_norm"), _step("gelu", chance=0.5))),
    Pattern("mlp", 2, (_step("dense"), _step("relu", "gelu"), _step("dense"), _step("add", with_=0, chance=0.4))),
    Pattern("matmul_bias_relu", 2, (_step("matmul"), _step("bias_add", "broadcast_add"), _step("relu", "relu6"))),
    Pattern("batch_matmul_add", 3, (_step("batch_matmul"), _step("broadcast_add"), _step("softmax", chance=0.3))),
    Pattern("attention", 3, (_step("dense"), _step("dot_attention"), _step("dense"), _step("layer_norm", chance=0.5))),
    Pattern("gram_softmax", 3, (_step("gram"), _step("mul"), _step("softmax"))),
    Pattern("einsum_dense", 3, (_step("einsum_dense"), _step("bias_add"), _step("relu", chance=0.5))),
    Pattern("dense_softmax_loss", 2, (_step("dense"), _step("softmax_cross_entropy", "sparse_softmax_cross_entropy"))),
    Pattern("embedding_mean", 1, (_step("embedding_lookup", "embedding_matmul"), _step("reduce_mean"))),
    Pattern("one_hot_matmul", 1, (_step("one_hot_matmul"), _step("tanh"))),
)

_ARITHMETIC = (
    Pattern("add_activation", 4, (_step("broadcast_add", "sub", "mul"), _step("relu", "relu6", "relu_n1_to_1"))),
    Pattern("mul_add", 3, (_step("broadcast_mul"), _step("broadcast_add"))),
    Pattern("variance", 3, (_step("reduce_mean"), _step("squared_difference", with_=0), _step("reduce_mean"))),
    Pattern("normalise", 3, (_step("l2_normalize", "l2_divide", "unit_normalization"), _step("broadcast_mul"))),
    Pattern("swish_by_hand", 3, (_step("sigmoid"), _step("mul", with_=0))),
    Pattern("rsqrt_scale", 3, (_step("abs"), _step("rsqrt", "sqrt", "reciprocal"), _step("broadcast_mul"))),
    Pattern("exp_log", 2, (_step("exp", "softplus"), _step("reduce_sum"), _step("log"))),
    Pattern("norm_activation", 4, (_step("instance_norm", "group_norm"), _step("relu", "silu"))),
    Pattern("lrn_pool", 4, (_step("local_response_normalization"), _step("max_pool"))),
    Pattern(
        "compare_select", 3, (_step("greater", "less_equal", "equal"), _step("cast", dtype="float32"), _step("mul"))
    ),
    Pattern("clip_round", 3, (_step("clip", "relu_up_to"), _step("round", "floor"), _step("cast", dtype="int32"))),
    Pattern("reduce_reshape", 4, (_step("reduce_sum", "reduce_max", "reduce_min"), _step("reshape"), _step("dense"))),
)

_SHAPE = (
    Pattern("channel_shuffle", 4, (_step("reshape", rank=5), _step("transpose_any"), _step("reshape", rank=4))),
    Pattern("split_concat", 4, (_step("split", "split_v"), _step("concat_copies"), _step("relu", chance=0.4))),
    Pattern("slice_concat", 3, (_step("slice", "strided_slice"), _step("concat_copies", "stack_copies"))),
    Pattern("transpose_matmul", 3, (_step("transpose_any"), _step("matmul"), _step("transpose_any", chance=0.5))),
    Pattern("unstack_stack", 3, (_step("unstack"), _step("stack_copies"))),
    Pattern("gather_reduce", 3, (_step("gather", "gather_nd"), _step("reduce_sum", "reduce_max"))),
    Pattern("pad_slice", 3, (_step("pad_zeros", "mirror_pad"), _step("strided_slice"))),
    Pattern("tile_add", 3, (_step("tile", "broadcast_to"), _step("broadcast_add"))),
    Pattern("top_k_gather", 2, (_step("top_k"), _step("gather", "reduce_max"))),
    Pattern("flatten_dense", 4, (_step("conv2d", chance=0.5), _step("flatten", "reshape_infer"), _step("dense"))),
)

_SPECIAL = (
    Pattern("fake_quant_linear", 4, (_step("fake_quant"), _step("qat_conv", "conv2d"), _step("fake_quant"))),
    Pattern(
        "fake_quant_dense", 2, (_step("fake_quant"), _step("qat_dense", "dense"), _step("relu"), _step("fake_quant"))
    ),
    Pattern("quantize_dequantize_conv", 4, (_step("quantize_dequantize"), _step("conv2d"), _step("relu"))),
    Pattern("branches", 3, (_step("cond", "case_of"), _step("add", with_=0)), weight=0.6),
    Pattern("loop", 2, (_step("while_loop", "nested_while"), _step("dense", chance=0.5)), weight=0.4),
    Pattern("recurrent", 3, (_step("lstm", "gru", "simple_rnn"),), entries=("legacy_keras",), weight=0.12),
    Pattern(
        "recurrent_dense",
        3,
        (_step("lstm", "gru", sequences=True), _step("dense")),
        entries=("legacy_keras",),
        weight=0.08,
    ),
    Pattern("spectrum", 2, (_step("rfft2d", "rfft"), _step("reduce_mean", chance=0.5)), weight=0.5),
    Pattern(
        "state", 2, (_step("accumulate", "counter"), _step("relu", chance=0.5)), entries=("saved_model",), weight=0.1
    ),
)

PATTERNS = (*_CONVOLUTION, *_DENSE, *_ARITHMETIC, *_SHAPE, *_SPECIAL)
