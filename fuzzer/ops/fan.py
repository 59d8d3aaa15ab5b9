"""Weights that convolutions and products share."""

from __future__ import annotations

from fuzzer.ops.spec import Attrs, TensorType, WeightSlot


def fan_unit(fan_in: int) -> float:
    """The standard deviation that keeps a sum over `fan_in` products near 1."""
    return float(f"{max(1, fan_in) ** -0.5:.4g}")


def optional_bias(attrs: Attrs, channels: int, dtype: str) -> tuple[WeightSlot, ...]:
    """A bias a channel where the attribute `use_bias` asks for it."""
    return (WeightSlot("bias", TensorType((channels,), dtype), 0.5),) if attrs["use_bias"] else ()
