"""How a model is converted: the road into the converter and its switches."""

from __future__ import annotations

from dataclasses import dataclass, replace

ENTRIES = ("concrete_function", "saved_model", "keras", "legacy_keras")
OPTIMIZATIONS = ("none", "default")
SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8")
"""Quantisation schemes of the TFLite post-training quantisation guide."""
OP_SETS = ("builtins", "select_tf")
IO_DTYPES = {
    "float32": ("float32",),
    "float16": ("float32",),
    "dynamic": ("float32",),
    "int8": ("float32", "int8", "uint8"),
    "int16x8": ("float32", "int16"),
}
"""The I/O dtypes each scheme allows."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One road through the converter.

    `io` is the dtype of quantised inputs and outputs. `fallback` lets ops without an integer kernel stay in
    float (int8 and int16x8). `optimizations` is DEFAULT for every scheme but float32, where it may be either
    without quantising anything.
    """

    entry: str = "concrete_function"
    optimizations: str = "none"
    scheme: str = "float32"
    io: str = "float32"
    per_channel: bool = True
    fallback: bool = True
    op_set: str = "builtins"
    unfold_batch_matmul: bool = False
    calibration: int = 4
    """Representative samples; the judged inputs come first, so calibration covers their range."""

    @property
    def integer(self) -> bool:
        """Whether activations are quantised."""
        return self.scheme in ("int8", "int16x8")

    def conflict(self) -> tuple[str, str, object] | None:
        """The first field that contradicts the others: its name, what was expected, what was found."""
        if self.io not in IO_DTYPES[self.scheme]:
            return "io", f"one of {', '.join(IO_DTYPES[self.scheme])} for {self.scheme}", self.io
        if self.scheme != "float32" and self.optimizations != "default":
            return "optimizations", f"'default' for {self.scheme}", self.optimizations
        if self.scheme == "float32" and self.optimizations != "none":
            # DEFAULT without anything else is the dynamic-range scheme; it has its own name.
            return "optimizations", "'none' for float32", self.optimizations
        return None

    def repaired(self) -> Conversion:
        """The nearest conversion without a conflict."""
        io = self.io if self.io in IO_DTYPES[self.scheme] else "float32"
        return replace(self, io=io, optimizations="none" if self.scheme == "float32" else "default")
