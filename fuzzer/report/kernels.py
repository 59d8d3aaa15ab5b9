"""Which kernels show a finding and which do not, from what the oracle measured and the numbers that were kept."""

from __future__ import annotations

import re

import numpy as np

from fuzzer.case import RUNTIMES
from fuzzer.oracles.confirm.truth import FACTOR
from fuzzer.oracles.verdict import DEATHS, Kind, Verdict
from fuzzer.report.material import Array, Kernel, Material, Output
from fuzzer.screen.text import number

NAMES = {
    "tf-xnnpack": "tf.lite.Interpreter, XNNPACK",
    "tf-builtin": "tf.lite.Interpreter, optimised kernels",
    "tf-reference": "tf.lite.Interpreter, reference kernels",
    "litert": "ai_edge_litert, default",
}
_NUMBERS = frozenset({Kind.VALUE, Kind.NAN_PROPAGATION})
_SIGNATURES = frozenset({Kind.OUTPUT_COUNT, Kind.SHAPE, Kind.DTYPE})
MAX_SAMPLES = 64


_UNTRIED = "not tried"


def rows(material: Material) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Runtime, what it is, what it made of the model, and its largest difference; and runtimes that were not tried."""
    found = [(runtime, NAMES[runtime], *_row(material, runtime)) for runtime in RUNTIMES]
    if material.verdict is not None and material.verdict.kind in _SIGNATURES:
        found.insert(0, ("TensorFlow", "eager", f"gives {_signature(material, 'tensorflow') or '?'}", ""))
    return [row for row in found if row[2] != _UNTRIED], [row[0] for row in found if row[2] == _UNTRIED]


def _row(material: Material, runtime: str) -> tuple[str, str]:
    """What a runtime made of the model, in a few words, and its largest difference where there is one."""
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
    failure = kernel.failure if kernel is not None else ""
    if verdict.kind in _SIGNATURES and (given := _signature(material, runtime)):
        return f"gives {given}", shown
    if runtime in verdict.runtimes:
        return _guilty(verdict.kind), shown
    if failure and verdict.kind in DEATHS:
        return (failure if failure.startswith("dies") else f"fails: {failure}"), shown
    if failure:
        alike = any(_plain(failure) == _plain(material.kernels[r].failure) for r in _failing(material))
        return (f"{_guilty(verdict.kind)}, with the same error" if alike else f"fails: {failure}"), shown
    if kernel is None and far is None:
        return _UNTRIED, shown
    if "converter" in verdict.runtimes:
        return "runs the flatbuffer as it is", shown
    return _sound(material, verdict, runtime, far), shown


def _sound(material: Material, verdict: Verdict, runtime: str, far: float | None) -> str:
    """What is to be said of a runtime that ran and is not among the guilty ones."""
    if verdict.kind is Kind.METAMORPHIC:
        tried = material.case is not None and runtime in material.case.inference.runtimes
        return "does not show it" if tried else "runs it; the change was not tried"
    worst = max((difference(material, r) or 0.0 for r in verdict.runtimes), default=0.0)
    if verdict.kind in _NUMBERS and far is not None and worst > 0 and far >= worst / 2:
        return "as far off"
    return "does not show it"


def _failing(material: Material) -> list[str]:
    """The guilty runtimes whose own error is known."""
    guilty = material.verdict.runtimes if material.verdict is not None else ()
    return [r for r in guilty if r in material.kernels and material.kernels[r].failure]


def _plain(failure: str) -> str:
    """An error without the folder of the source file that raised it: TensorFlow and LiteRT differ in that alone."""
    return re.sub(r"[\w./-]*/(?=[\w.-]+\.(?:cc|h|c):\d)", "", failure)


def _signature(material: Material, runtime: str) -> str:
    """The dtypes and shapes that a runtime gave for the first sample: `float32[1,2], int8[3] (declared [1,3])`."""
    kernel = material.kernels.get(runtime, Kernel())
    given = []
    for place in range(MAX_SAMPLES):
        value = material.tensors.get(f"sample0_{runtime}_y{place}")
        if value is not None:
            declared = kernel.outputs[place].shape if place < len(kernel.outputs) else value.shape
            words = f" (declared {_dims(declared)})" if declared != value.shape else ""
            given.append(f"{value.dtype}{_dims(value.shape)}{words}")
    return ", ".join(given)


def _dims(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


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
