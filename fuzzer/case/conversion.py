"""How a model is converted: the road into the converter and its switches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

ENTRIES = (
    "concrete_function",
    "concrete_function_variables",
    "saved_model",
    "saved_model_signatures",
    "keras",
    "keras_export",
    "legacy_keras",
    "frozen_graph",
    "session",
)
"""Roads into the converter. `concrete_function` has weights as constants, `concrete_function_variables` as variables
of a trackable module; the last two are `tf.compat.v1.lite.TFLiteConverter`."""
KERAS_ENTRIES = ("keras", "keras_export", "legacy_keras")
V1_ENTRIES = ("frozen_graph", "session")
DEAR_ENTRIES = ("concrete_function_variables", "saved_model", "saved_model_signatures", *KERAS_ENTRIES)
"""Roads over a SavedModel or Keras: they take three to fifteen times as long as the plain one."""
OPTIMIZATIONS = ("none", "default", "sparsity", "default_sparsity")
"""`tf.lite.Optimize`: nothing, DEFAULT, EXPERIMENTAL_SPARSITY, both."""
TFMOT_FLOAT = ("tfmot_prune", "tfmot_cluster")
TFMOT_QUANTISED = ("tfmot_qat", "tfmot_pqat", "tfmot_cqat", "tfmot_pcqat")
TFMOT = (*TFMOT_FLOAT, *TFMOT_QUANTISED)
"""What tensorflow-model-optimization makes of a legacy Keras model before it is converted."""
V1_SCHEMES = ("uint8_v1", "int8_v1")
"""Quantisation without calibration, by `inference_type`, `quantized_input_stats` and `default_ranges_stats`."""
SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8", *V1_SCHEMES, "qat", *TFMOT)
"""Quantisation schemes: those of the TFLite post-training quantisation guide, those of the v1 converter, and
quantisation-aware training: by hand (`qat`: fake quantisation in the graph) and by tensorflow-model-optimization."""
OP_SETS = ("builtins", "select_tf")
REPRESENTATIVE = ("samples", "absent", "constant", "narrow", "wide", "one")
"""Calibration data: the judged samples, none at all, ones, samples times 0.1 or 10, the first sample only."""
DYNAMIC = ("none", "batch", "spatial", "all")
"""Axes of the inputs that the converter does not know: the first, those between first and last, or all."""
QAT_BITS = (8, 4, 16)
"""Bits of fake-quantised weights; activations have 8, or 16 where this says so (weights then have 8)."""
_EIGHT = ("float32", "int8", "uint8")
IO_DTYPES = {
    "float32": ("float32",),
    "float16": ("float32",),
    "dynamic": ("float32",),
    "int8": _EIGHT,
    "int16x8": ("float32", "int16"),
    "uint8_v1": ("float32", "uint8"),
    "int8_v1": ("float32", "int8"),
    "qat": _EIGHT,
    **dict.fromkeys(TFMOT_FLOAT, ("float32",)),
    **dict.fromkeys(TFMOT_QUANTISED, _EIGHT),
}
"""The I/O dtypes each scheme allows."""
MAX_SWITCHES = 16
Switch = bool | int | str
"""The value of a converter switch."""
_ABSENT_IS = "dynamic"


@dataclass(frozen=True, slots=True)
class Conversion:
    """One road through the converter.

    `io` is the dtype of quantised inputs and outputs. `fallback` lets ops without an integer kernel stay in
    float (int8 and int16x8).
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
    representative: str = "samples"
    dynamic: str = "none"
    qat_bits: int = 8
    qat_symmetric: bool = True
    """Whether fake-quantised ranges are symmetric about zero."""
    qat_dense: bool = False
    """Whether matrices are fake-quantised per channel too, not only filters; off in tensorflow-model-optimization."""
    ranges: float = 6.0
    """Activations reach from minus this to this: in fake quantisation and in the statistics of the v1 converter."""
    switches: Mapping[str, Switch] = field(default_factory=dict, hash=False)
    """Other attributes of the converter, by name. Names that the installed converter does not have are ignored."""

    @property
    def calibrated(self) -> bool:
        """Whether representative data are what quantises activations."""
        return self.scheme in ("int8", "int16x8")

    @property
    def integer(self) -> bool:
        """Whether activations are quantised."""
        return self.judged in ("int8", "int16x8")

    @property
    def judged(self) -> str:
        """The scheme of the post-training guide whose measures serve this one: what a difference is held against."""
        if self.scheme in TFMOT_FLOAT:
            return "float16"  # float kernels, on weights that TensorFlow's own run does not have
        if self.calibrated and self.representative == "absent":
            return _ABSENT_IS  # what the converter makes of it when it does not refuse
        if self.scheme == "qat":
            return "int16x8" if self.qat_bits == 16 else "int8"
        return "int8" if self.scheme in (*V1_SCHEMES, *TFMOT_QUANTISED) else self.scheme

    @property
    def inference_type(self) -> str:
        """What the v1 converter is told of activations that it does not calibrate."""
        if self.scheme in V1_SCHEMES:
            return self.scheme.removesuffix("_v1")
        return "int16" if self.qat_bits == 16 else "int8"

    @property
    def trained_v1(self) -> bool:
        """Whether the v1 converter is to make integers of a model that was trained for it: it has to be told."""
        return self.scheme == "qat" and self.entry in V1_ENTRIES and "default" in self.optimizations

    @property
    def resized(self) -> bool:
        """Whether inputs of the flatbuffer have to be given their shapes: Keras exports leave out the batch size."""
        return self.dynamic != "none" or self.entry == "keras_export"

    @property
    def has_signature(self) -> bool:
        """Whether the flatbuffer has a signature, which names the outputs."""
        return self.entry not in ("concrete_function", *V1_ENTRIES)

    def unknown(self, axis: int, rank: int) -> bool:
        """Whether the converter does not know the size of an input's axis."""
        if self.dynamic == "spatial":
            return 0 < axis < rank - 1
        return self.dynamic == "all" or (self.dynamic == "batch" and axis == 0)

    def signature_shape(self, shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """An input's shape as the converter is told it."""
        return tuple(None if self.unknown(axis, len(shape)) else size for axis, size in enumerate(shape))

    def allowed_optimizations(self) -> tuple[str, ...]:
        """What `optimizations` may be under this scheme, the usual one first."""
        if self.scheme in ("float32", *TFMOT_FLOAT, *V1_SCHEMES):
            # DEFAULT without anything else is the dynamic-range scheme; it has its own name.
            return ("none", "sparsity")
        return ("default", "default_sparsity", *(("none", "sparsity") if self.scheme == "qat" else ()))

    def allowed_io(self) -> tuple[str, ...]:
        """The I/O dtypes of this scheme: without DEFAULT the second converter leaves a trained model in float."""
        if self.scheme == "qat" and "default" not in self.optimizations:
            return ("float32",)
        if self.qat_bits == 16:
            return IO_DTYPES["int16x8"]
        return IO_DTYPES[self.scheme]

    def allowed_entries(self) -> tuple[str, ...]:
        """The roads this scheme can take."""
        if self.scheme in V1_SCHEMES:
            return V1_ENTRIES
        if self.scheme in TFMOT:
            return ("legacy_keras",)
        if self.scheme == "qat":
            return tuple(e for e in ENTRIES if e not in KERAS_ENTRIES)
        return ENTRIES

    def _rules(self) -> tuple[tuple[str, bool, str], ...]:
        """Field, whether it fits the others, and what was expected."""
        plain = _PLAIN
        optimizations, entries, io = self.allowed_optimizations(), self.allowed_entries(), self.allowed_io()
        qat, stats = self.scheme == "qat", self.scheme in ("qat", *V1_SCHEMES)
        shapes = ("none", "batch") if self.entry in KERAS_ENTRIES else DYNAMIC
        return (
            ("qat_bits", qat or self.qat_bits == plain.qat_bits, "8 for schemes other than qat"),
            ("optimizations", self.optimizations in optimizations, f"{_or(optimizations)} for {self.scheme}"),
            ("io", self.io in io, f"one of {', '.join(io)} for {self.scheme}"),
            ("entry", self.entry in entries, f"{_or(entries)} for {self.scheme}"),
            ("dynamic", self.dynamic in shapes, f"{_or(shapes)} for {self.entry}"),
            ("switches", not self._misfits(), f"no {' or '.join(self._misfits())} beside the other fields"),
            ("representative", self.calibrated or self.representative == "samples", "'samples' without calibration"),
            ("qat_symmetric", qat or self.qat_symmetric, "true for schemes other than qat"),
            ("qat_dense", qat or not self.qat_dense, "false for schemes other than qat"),
            ("ranges", stats or self.ranges == plain.ranges, "6 for schemes other than qat and the v1 converter's"),
        )

    def _misfits(self) -> list[str]:
        """Switches that contradict other fields, so that the converter's answer would be nobody's defect."""
        misfits = {
            "experimental_new_converter": self.resized,  # the old converter makes unknown sizes 1
            "_experimental_full_integer_quantization_bias_type": not self.calibrated,  # refused
            "_experimental_calibrate_only": self.io != "float32",  # the model stays a float model
        }
        return [name for name, misfit in misfits.items() if misfit and name in self.switches]

    def conflict(self) -> tuple[str, str, object] | None:
        """The first field that contradicts the others: its name, what was expected, what was found."""
        return next(((name, want, getattr(self, name)) for name, fits, want in self._rules() if not fits), None)

    def repaired(self) -> Conversion:
        """The nearest conversion without a conflict."""
        nearest: dict[str, object] = {
            "io": "float32",
            "optimizations": self.allowed_optimizations()[0],
            "entry": self.allowed_entries()[0],
            "dynamic": "none",
            "switches": {k: v for k, v in self.switches.items() if k not in self._misfits()},
        }
        if self.optimizations.endswith("sparsity"):
            nearest["optimizations"] = self.allowed_optimizations()[1]
        made = self
        while (conflict := made.conflict()) is not None:
            name = conflict[0]
            made = replace(made, **{name: nearest.get(name, getattr(_PLAIN, name))})  # type: ignore[arg-type]
        return made

    def over(self, entry: str) -> Conversion:
        """The same conversion by another road; a scheme that cannot take it becomes the one it is most like."""
        moved = replace(self, entry=entry)
        if entry not in moved.allowed_entries():
            moved = replace(moved, scheme=self.judged)
        return moved.repaired()


def _or(values: tuple[str, ...]) -> str:
    return " or ".join(map(repr, values))


_PLAIN = Conversion()
