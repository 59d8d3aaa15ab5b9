"""Named fused sub-graphs: what people build and what the converter rewrites.

A pattern is a chain of steps; a step names the op, or several of which one is drawn, and may pin attributes.
Everything not pinned is drawn and mutates. To add a pattern, add an entry to `PATTERNS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from fuzzer import plugins
from fuzzer.errors import UserError
from fuzzer.ops import Value


@dataclass(frozen=True)
class Step:
    """One op of a pattern, drawn from `ops`; `pinned` attributes are fixed when the op has them."""

    ops: tuple[str, ...]
    pinned: Mapping[str, Value] = field(default_factory=dict)
    chance: float = 1.0
    """Probability that the step is there at all."""


@dataclass(frozen=True)
class Pattern:
    """A named chain of steps on a value of rank `rank`.

    `entries` are the roads into the converter on which the fusion is known to happen; empty means any.
    """

    name: str
    rank: int
    steps: tuple[Step, ...]
    entries: tuple[str, ...] = ()
    weight: float = 1.0


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


@cache
def patterns() -> MappingProxyType[str, Pattern]:
    """All patterns by name, plugins' included. Raises `UserError` when two have one name."""
    found: dict[str, Pattern] = {}
    sources = [("the package", PATTERNS), *((path, getattr(m, "PATTERNS", ())) for path, m in plugins.modules())]
    for source, several in sources:
        for pattern in several:
            if pattern.name in found:
                raise UserError(f"pattern {pattern.name!r} of {source} exists already; give it another name")
            found[pattern.name] = pattern
    return MappingProxyType(found)
