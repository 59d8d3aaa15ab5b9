"""The patterns of the package. To add one, add an entry; patterns are the rows of the fusion map too."""

from __future__ import annotations

from fuzzer.ops import Value
from fuzzer.patterns.spec import Pattern, Step


def _step(*ops: str, chance: float = 1.0, **pinned: Value) -> Step:
    return Step(ops, pinned, chance)


PATTERNS = (
    Pattern("conv_bias", 4, (_step("conv2d", use_bias=False), _step("bias_add"))),
    Pattern("conv_batch_norm", 4, (_step("conv2d"), _step("batch_norm"))),
    Pattern("relu6_after_linear", 4, (_step("conv2d", "depthwise_conv2d", "dense", use_bias=True), _step("relu6"))),
    Pattern(
        "depthwise_pointwise",
        4,
        (
            _step("depthwise_conv2d"),
            _step("batch_norm", chance=0.3),
            _step("relu6", "relu", chance=0.4),
            _step("conv2d", kernel=(1, 1), strides=(1, 1), dilations=(1, 1), groups=1),
        ),
    ),
    Pattern("separable_conv", 4, (_step("separable_conv2d"), _step("relu", "relu6", "sigmoid", chance=0.5))),
    Pattern("dense_sigmoid_cross_entropy", 2, (_step("dense"), _step("sigmoid_cross_entropy"))),
    Pattern(
        "relu_max_pool",
        4,
        (_step("conv2d", chance=0.4), _step("relu", "leaky_relu"), _step("max_pool")),
    ),
    Pattern("matmul_add", 2, (_step("matmul"), _step("add"))),
    Pattern("batch_norm_relu", 4, (_step("batch_norm"), _step("relu", "relu6"))),
    Pattern("conv_batch_norm_relu", 4, (_step("conv2d"), _step("batch_norm"), _step("relu", "relu6"))),
    Pattern("recurrent", 3, (_step("lstm", "gru", "simple_rnn"),), entries=("legacy_keras",), weight=0.12),
)
