"""Which kernels show a finding and which do not, from what the oracle measured and the numbers that were kept."""

from __future__ import annotations

import numpy as np

from fuzzer.case import RUNTIMES
from fuzzer.oracles.confirm.truth import FACTOR
from fuzzer.oracles.verdict import DEATHS, Kind
from fuzzer.report.material import Array, Material, Output
from fuzzer.screen.text import number

NAMES = {
    "tf-xnnpack": "tf.lite.Interpreter, XNNPACK",
    "tf-builtin": "tf.lite.Interpreter, optimised kernels",
    "tf-reference": "tf.lite.Interpreter, reference kernels",
    "litert": "ai_edge_litert, default",
}
_NUMBERS = frozenset({Kind.VALUE, Kind.NAN_PROPAGATION})
MAX_SAMPLES = 64


_UNTRIED = "not tried"


def rows(material: Material) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Runtime, what it is, what it made of the model, and its largest difference; and runtimes that were not tried."""
    found = [(runtime, NAMES[runtime], *_row(material, runtime)) for runtime in RUNTIMES]
    return [row for row in found if row[2] != _UNTRIED], [row[0] for row in found if row[2] == _UNTRIED]


def _row(material: Material, runtime: str) -> tuple[str, str]:
    verdict = material.verdict
    far = difference(material, runtime)
    shown = number(far) if far is not None else ""
    if verdict is None:
        return ("ran" if far is not None else _UNTRIED), shown
    ratios = verdict.evidence.get("ratios")
    ratio = ratios.get(runtime) if isinstance(ratios, dict) else None
    if isinstance(ratio, int | float):
        return f"{'agrees' if ratio <= FACTOR else 'wrong'}: {number(ratio)} bounds", shown
    kernel = material.kernels.get(runtime)
    if runtime in verdict.runtimes:
        return _guilty(verdict.kind), shown
    if kernel is not None and kernel.failure:
        return f"fails: {kernel.failure.splitlines()[0][:160]}", shown
    if "converter" in verdict.runtimes and (kernel is not None or far is not None):
        return "runs the flatbuffer as it is", shown
    if kernel is not None or far is not None:
        return ("agrees" if verdict.kind in _NUMBERS else "does not show it"), shown
    return _UNTRIED, shown


def _guilty(kind: Kind) -> str:
    if kind in DEATHS:
        return "dies"
    return {Kind.ALLOCATE_ERROR: "refuses it", Kind.INVOKE_ERROR: "fails"}.get(kind, "shows it")


def difference(material: Material, runtime: str) -> float | None:
    """Largest absolute difference from TensorFlow over all samples and outputs; NaN counts where only one has it.

    None where the numbers were not kept or cannot be held against each other (another shape, unknown quantisation).
    """
    largest: float | None = None
    for sample in range(MAX_SAMPLES):
        if f"sample{sample}_{runtime}_y0" not in material.tensors:
            break
        for place in range(MAX_SAMPLES):
            both = pair(material, runtime, sample, place)
            if both is None:
                break
            errors = error(*both)
            largest = max(largest or 0.0, float(errors.max(initial=0.0)))
    return largest


def pair(material: Material, runtime: str, sample: int, place: int) -> tuple[Array, Array] | None:
    """TensorFlow's and a runtime's values of one output, as float64 (complex128), flat; codes are read as numbers."""
    expected = material.tensors.get(f"sample{sample}_tensorflow_y{place}")
    actual = material.tensors.get(f"sample{sample}_{runtime}_y{place}")
    if expected is None or actual is None or expected.shape != actual.shape:
        return None
    if expected.dtype.kind == "f" and actual.dtype.kind in "iu":
        kernel = material.kernels.get(runtime)
        output = kernel.outputs[place] if kernel is not None and place < len(kernel.outputs) else Output()
        if not output.scale:
            return None
        actual = (actual.astype(np.float64) - output.zero_point) * output.scale
    kind = np.complex128 if "c" in (expected.dtype.kind, actual.dtype.kind) else np.float64
    return expected.astype(kind).ravel(), actual.astype(kind).ravel()


def error(expected: Array, actual: Array) -> Array:
    """|actual - expected| by element, f64; 0 where both are the same NaN or infinity, inf where only one is."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(actual - expected)
    same = (np.isnan(expected) & np.isnan(actual)) | (expected == actual)
    return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
